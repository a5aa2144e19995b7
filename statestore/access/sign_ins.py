"""Who may try to sign in, and how often; which attempts failed, and from where.

django-axes calls the handler below at each attempt and provides the tables. Four limits hold:

- for a user from an address, so that one sender cannot go on guessing;
- for an address, so that one sender cannot try a few passwords on every user;
- for a user, so that many senders cannot share the work. This one is short, and does not hold where the user signed in
  lately: otherwise any outsider could lock a user out;
- for a browser in which the user has signed in before, which a signed cookie proves: it has a limit of its own and
  none of the others, so that what outsiders do never keeps its user out (OWASP's “device cookies”).

An attempt that is refused is not counted: a lock ends by itself, even while attempts go on.
"""

import logging
import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, Final

from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from axes.models import AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser, User
from django.core import signing
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from statestore.access import proxies
from statestore.access.browser_sessions import SessionStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures within a time; then all is refused until the oldest of them is past."""

    failures: int
    seconds: int


PER_PAIR: Final = Limit(10, 15 * 60)
PER_BROWSER: Final = Limit(10, 15 * 60)
PER_ADDRESS: Final = Limit(100, 15 * 60)
PER_ACCOUNT: Final = Limit(50, 5 * 60)
# An address from which a user signed in is known for this time, a browser for longer.
KNOWN_ADDRESS_DAYS: Final = 30
KNOWN_BROWSER_DAYS: Final = 90
# Attempts older than this, and all but so many of the newest, are deleted from time to time.
KEPT_DAYS: Final = 90
KEPT_ROWS: Final = 20_000
PRUNED_EVERY: Final = 100
_NAME_CHARACTERS: Final = 150
_TEXT_CHARACTERS: Final = 200
_SALT: Final = "statestore.known_browser"


class SignIns(AbstractAxesHandler, AxesBaseHandler):  # type: ignore[misc]
    """Decides about attempts, and records them."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, str | None] | None = None) -> bool:
        """Return whether an attempt is refused unseen; `wait_of` then says for how long."""
        username = (credentials or {}).get("username")
        request.sign_in_wait = 0 if username is None else wait_seconds(request, username)  # type: ignore[attr-defined]
        return wait_of(request) > 0

    def get_failures(self, request: HttpRequest, credentials: dict[str, str | None] | None = None) -> int:
        """Return 0: one number cannot say what four limits do; `is_locked` decides."""
        return 0

    def user_login_failed(
        self, sender: object, credentials: dict[str, str | None], request: Any = None, **_: object
    ) -> None:
        """Record a wrong password; the response says if that was one too many."""
        username = credentials.get("username")
        if request is None or username is None:
            return
        if wait_of(request) == 0:
            self._record(request, str(username))
            request.sign_in_wait = wait_seconds(request, username)
        outcome = "Sign-in failed" if wait_of(request) == 0 else f"Sign-in refused for {wait_of(request)} s"
        log.warning("%s: user %r from %s", outcome, bounded(username), _address(request))
        if wait_of(request):
            request.axes_locked_out, request.axes_credentials = True, credentials

    def _record(self, request: HttpRequest, username: str) -> None:
        row = AccessFailureLog.objects.create(
            username=bounded(username),
            ip_address=source(request),
            user_agent=_printable(request.headers.get("User-Agent", "")),
            # The table has no column for it, and what a browser accepts is of no use.
            http_accept=known_browser(request, username),
            path_info=_printable(request.path),
        )
        if row.pk % PRUNED_EVERY == 0:
            prune(AccessFailureLog, row.pk)

    def user_logged_in(self, sender: object, request: HttpRequest, user: User, **_: object) -> None:
        """Record from where a user signed in, and let their browser be known from now on."""
        row = AccessLog.objects.create(
            username=user.get_username(), ip_address=source(request),
            user_agent=_printable(request.headers.get("User-Agent", "")), path_info=_printable(request.path),
        )  # fmt: skip
        if row.pk % PRUNED_EVERY == 0:
            prune(AccessLog, row.pk)
            SessionStore.clear_expired()
        request.new_known_browser = _cookie_for(request, user)  # type: ignore[attr-defined]
        log.info("Signed in: user %r from %s", bounded(user.get_username()), _address(request))

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        """Forget failures, and with them what they lock: `manage.py axes_reset`. Return how many those were."""
        address = proxies.source_of(ip_address) if ip_address else None
        conditions = [Q(ip_address=address)] if ip_address else []
        conditions += [Q(username=bounded(username))] if username else []
        wanted = reduce(or_ if ip_or_username else and_, conditions, Q())
        deleted: int = AccessFailureLog.objects.filter(wanted).delete()[0]
        return deleted

    def user_logged_out(self, sender: object, request: HttpRequest, user: User | None, **_: object) -> None:
        """Log who signed out, and let their browser forget what it has of this site."""
        request.has_signed_out = True  # type: ignore[attr-defined]
        if user is not None:
            log.info("Signed out: user %r from %s", bounded(user.get_username()), _address(request))


def wait_of(request: HttpRequest) -> int:
    """Return for how many seconds the attempt of this request is refused, 0 if it is not."""
    return int(getattr(request, "sign_in_wait", 0))


def wait_seconds(request: HttpRequest, username: str) -> int:
    """Return for how many seconds attempts of this sender to sign in as a user are refused, 0 for none."""
    now, name, address = timezone.now(), bounded(username), source(request)
    failures = AccessFailureLog.objects.order_by("-attempt_time")
    browser = known_browser(request, username)
    if browser:
        return _wait(failures.filter(username=name, http_accept=browser), PER_BROWSER, now)
    signed_in = AccessLog.objects.filter(username=name, ip_address=address).order_by("-attempt_time")
    last = signed_in.values_list("attempt_time", flat=True).first()
    pair = failures.filter(username=name, ip_address=address)
    waits = [_wait(pair if last is None else pair.filter(attempt_time__gt=last), PER_PAIR, now)]
    if last is None or now - last > timedelta(days=KNOWN_ADDRESS_DAYS):
        waits.append(_wait(failures.filter(ip_address=address), PER_ADDRESS, now))
        waits.append(_wait(failures.filter(username=name), PER_ACCOUNT, now))
    return max(waits)


def _wait(failures: "QuerySet[AccessFailureLog]", limit: Limit, now: datetime) -> int:
    """Return the seconds until there are fewer failures than the limit within its time."""
    times = list(failures.values_list("attempt_time", flat=True)[limit.failures - 1 : limit.failures])
    left = (times[0] + timedelta(seconds=limit.seconds) - now).total_seconds() if times else 0
    return max(0, math.ceil(left))


def failures(username: str = "", address: str = "") -> "QuerySet[AccessFailureLog]":
    """Return the attempts that failed, of a user name and from an address where they are given."""
    rows: QuerySet[AccessFailureLog] = AccessFailureLog.objects.all()
    if username:
        rows = rows.filter(username=bounded(username))
    if address:
        rows = rows.filter(ip_address=proxies.source_of(address) or "0.0.0.0")  # noqa: S104 (no sender's address)
    return rows


def prune(model: Any, newest: int) -> None:
    """Delete the rows of a log that are too old or too many."""
    model.objects.filter(pk__lte=newest - KEPT_ROWS).delete()
    model.objects.filter(attempt_time__lt=timezone.now() - timedelta(days=KEPT_DAYS)).delete()


def is_password(request: HttpRequest, user: User | AnonymousUser, password: str) -> bool:
    """Return whether a password is that of a signed-in user; it is an attempt like one to sign in."""
    found = authenticate(request, username=user.get_username(), password=password)
    return found is not None and found.pk == user.pk


def source(request: HttpRequest) -> str | None:
    """Return what counts as one address: of IPv6 a network, all of which one customer has."""
    return proxies.source_of(str(request.META.get("REMOTE_ADDR", "")))


def _address(request: HttpRequest) -> str:
    return _printable(str(request.META.get("REMOTE_ADDR", "")))[:45] or "an unknown address"


def bounded(name: object) -> str:
    """Return a name as the tables and the log have it."""
    return _printable(str(name))[:_NAME_CHARACTERS]


def _printable(text: str) -> str:
    """Return the beginning of a text that fits any column: without control characters, NUL and surrogates."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:_TEXT_CHARACTERS])


# Browsers in which users signed in: the cookie says whose, and which of theirs.


def known_browser(request: HttpRequest, username: str) -> str:
    """Return what names the browser, if the user signed in with it before; "" for another browser or user."""
    known = _known(request)
    return str(known["browser"]) if known.get("name") == username else ""


def owner_of(request: HttpRequest) -> int | None:
    """Return the id of the user who last signed in with this browser, None if unknown."""
    user = _known(request).get("user")
    return user if isinstance(user, int) else None


def _known(request: HttpRequest) -> dict[str, object]:
    text = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, "")[:1000]
    try:
        known = signing.loads(text, salt=_SALT, max_age=timedelta(days=KNOWN_BROWSER_DAYS)) if text else {}
    except signing.BadSignature:
        return {}
    return known if isinstance(known, dict) else {}


def _cookie_for(request: HttpRequest, user: User) -> str:
    browser = known_browser(request, user.get_username()) or secrets.token_hex(8)
    return signing.dumps({"user": user.pk, "name": user.get_username(), "browser": browser}, salt=_SALT)


# Not "cookies": that would sign its user out of every site under the same domain.
CLEARED_DATA: Final = '"cache", "storage"'


def tell_browser(request: HttpRequest, response: HttpResponseBase) -> None:
    """Send the cookie by which a browser is known, after its user signed in; let it forget after signing out."""
    if getattr(request, "has_signed_out", False):
        response["Clear-Site-Data"] = CLEARED_DATA
    if not (cookie := getattr(request, "new_known_browser", "")):
        return
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME, cookie, max_age=KNOWN_BROWSER_DAYS * 86400, httponly=True,
        secure=settings.SESSION_COOKIE_SECURE, samesite="Lax",
    )  # fmt: skip
