"""Sessions of browsers: they end without use, can be listed, and be ended one by one or all at once.

Django's way to extend its database sessions (`settings.SESSION_ENGINE`). A request reads one row, as with Django's own,
and writes none; when it was last used is written every few minutes, and pages work where that cannot be written.
"""

import hashlib
import logging
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils.functional import cached_property

from statestore.models.browser_sessions import BrowserSession
from statestore.models.rows import now

log = logging.getLogger(__name__)
NOTED_EVERY_SECONDS: Final = 300
_AGENT_CHARACTERS: Final = 200


def idle_seconds() -> int:
    """Return after how long without use a session ends."""
    return int(settings.SESSION_IDLE_HOURS * 3600)


class SessionStore(DatabaseSessions):
    """One browser's session. It ends without use, and at the latest so long after it began."""

    # Where the browser is and what it says it is; set by the middleware, written when the session begins.
    ip_address = ""
    user_agent = ""
    row: BrowserSession | None = None

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    @cached_property
    def model(self) -> type[BrowserSession]:
        return self.get_model_class()

    def load(self) -> dict[str, object]:
        """Return what the session holds; nothing if it ended."""
        self.row = alive().filter(pk=self.session_key).first() if self.session_key else None
        if self.row is None:
            self._session_key = None
            return {}
        data: dict[str, object] = self.decode(self.row.session_data)
        return data

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        """Return the row to write. When a session began, and when it ends at the latest, stays as it is."""
        key, time = self._get_or_create_session_key(), now()  # type: ignore[attr-defined]
        kept = self.row if self.row is not None and self.row.pk == key else None
        row = BrowserSession(session_key=key, session_data=self.encode(data), user_id=data.get(SESSION_KEY))
        row.created_at = time if kept is None else kept.created_at
        row.used_at = time
        row.ip_address = self.ip_address[:45] if kept is None else kept.ip_address
        row.user_agent = self.user_agent[:_AGENT_CHARACTERS] if kept is None else kept.user_agent
        row.expire_date = datetime.fromtimestamp(row.created_at + settings.SESSION_COOKIE_AGE, UTC)
        return row

    def get_expiry_age(self, **_: object) -> int:
        """Return for how long the browser keeps the cookie."""
        age = 0 if self.row is None else now() - int(self.row.created_at)
        return max(0, settings.SESSION_COOKIE_AGE - age)

    def note_use(self) -> None:
        """Write that the session is used, unless that was written lately."""
        row = self.row
        if row is None or now() - int(row.used_at) < NOTED_EVERY_SECONDS:
            return
        try:
            with transaction.atomic(using="default"):
                BrowserSession.objects.filter(pk=row.pk).update(used_at=now())
        except DatabaseError as error:
            log.info("Could not note that a session is used: %s", error)

    @classmethod
    def clear_expired(cls) -> None:
        """Delete the sessions that ended. `manage.py clearsessions` asks for it, as do some sign-ins."""
        BrowserSession.objects.exclude(pk__in=alive().values("pk")).delete()


def alive() -> QuerySet[BrowserSession]:
    """Return the sessions that have not ended."""
    time = now()
    return BrowserSession.objects.filter(
        Q(expire_date__gt=datetime.fromtimestamp(time, UTC)), used_at__gt=time - idle_seconds()
    )


def sessions_of(user: User | AnonymousUser) -> QuerySet[BrowserSession]:
    """Return the browsers in which a user is signed in, last used first."""
    return alive().filter(user=user.pk or 0).order_by("-used_at", "-created_at")


def public_id(session_key: str) -> str:
    """Return what names a session on a page: its key is the secret that the cookie holds."""
    return hashlib.sha256(f"browser session {session_key}".encode()).hexdigest()[:16]


def end(user: User | AnonymousUser, wanted: str) -> bool:
    """End one session of a user's, and return whether there was one."""
    keys = [row.pk for row in sessions_of(user).only("pk") if public_id(row.pk) == wanted]
    return bool(BrowserSession.objects.filter(pk__in=keys).delete()[0])


def end_others(user: User | AnonymousUser, kept: str | None) -> int:
    """End all sessions of a user's but one, and return how many those were."""
    ended: int = BrowserSession.objects.filter(user=user.pk or 0).exclude(pk=kept or "").delete()[0]
    return ended
