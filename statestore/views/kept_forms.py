"""What was typed into a form whose session had ended: kept over the sign-in, and put back into the form's own page.

Nothing is sent again by itself. On its way the form lies in a signed field of the login page, so that nothing of
unknown senders is stored here; and it is opened only for the user who was signed in with that browser before.
"""

import zlib
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlsplit

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from statestore.access import sign_ins
from statestore.views import refill
from statestore.views.own_addresses import is_own

SESSION_NAME: Final = "kept_form"
# The login's own request may have 64 KB, and quoting makes a tenth more of it.
MOST_SEALED: Final = 48 * 1024
_MAX_AGE_SECONDS: Final = 3600
_SALT: Final = "statestore.kept_form"
# Never kept: secrets, and what belongs to the page and not to what was typed.
SECRETS: Final = ("password", "csrfmiddlewaretoken", "kept")


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form as it was sent: the page it is on, the address it goes to, its fields; and whose it is."""

    owner: int
    page: str
    action: str
    fields: dict[str, list[str]]


def page_of(request: HttpRequest) -> str:
    """Return the page that a request was made from: a form's or a fragment's own address may be no page."""
    for name in ("HX-Current-URL", "Referer"):
        address = request.headers.get(name, "")[:4000]
        if address and is_own(request, address):
            parts = urlsplit(address)
            if parts.path.startswith("/") and parts.path != reverse("login"):
                return f"{parts.path}?{parts.query}" if parts.query else parts.path
    if request.method in {"GET", "HEAD"} and "HX-Request" not in request.headers:
        return request.get_full_path()
    return reverse("overview")


def seal(request: HttpRequest) -> str:
    """Return a form that came without a session as a signed text; "" if it is too long, or of an unknown user."""
    owner = sign_ins.owner_of(request)
    if owner is None:
        return ""
    fields = {
        name: values for name, values in request.POST.lists() if not any(secret in name.lower() for secret in SECRETS)
    }
    form = KeptForm(owner, page_of(request), request.get_full_path(), fields)
    sealed = signing.dumps(asdict(form), salt=_SALT, compress=True)
    return sealed if len(sealed) <= MOST_SEALED else ""


def opened(sealed: str, user_pk: int) -> KeptForm | None:
    """Return a sealed form if it is this user's and not old."""
    if not sealed or len(sealed) > MOST_SEALED:
        return None
    try:
        form = KeptForm(**signing.loads(sealed, salt=_SALT, max_age=_MAX_AGE_SECONDS))
    except (signing.BadSignature, TypeError, zlib.error):
        return None
    return form if form.owner == user_pk else None


def put(request: HttpRequest, form: KeptForm) -> None:
    """Keep a form for the next request of its page."""
    request.session[SESSION_NAME] = asdict(form)


def take(request: HttpRequest) -> KeptForm | None:
    """Return the form that is kept for the page of this request, once."""
    if request.method != "GET" or "HX-Request" in request.headers or not request.user.is_authenticated:
        return None
    kept = request.session.get(SESSION_NAME)
    if not kept or kept["page"] != request.get_full_path():
        return None
    del request.session[SESSION_NAME]
    return KeptForm(**kept) if kept["owner"] == request.user.pk else None


def fill(response: HttpResponse, form: KeptForm) -> None:
    """Put what was typed into the form on its page, and say that nothing was done."""
    refill.fill(response, refill.SentForm(form.page, form.action, form.fields), _notice)


def _notice(form: refill.SentForm, found: refill.Found) -> str:
    typed = form.typed
    if found.has_form or not typed:
        return refill.notice("warning", _FILLED if typed else _PRESSED)
    return refill.notice("warning", _UNFILLED, typed)


_FILLED: Final = (
    "Your session had ended, so nothing was done. What you typed is in the form again: check it and send it once more."
)
_PRESSED: Final = "Your session had ended, so nothing was done. Press the button once more if you still want it."
_UNFILLED: Final = (
    "Your session had ended, so nothing was done. This page no longer has the form; this is what you typed:"
)
