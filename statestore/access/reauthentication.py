"""Asking for the password again before what a forgotten browser must not do: delete for good, import, make a token."""

from typing import Final

from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from statestore.access import remote_user
from statestore.models.rows import now

FRESH_SECONDS: Final = 15 * 60
PROVED_AT: Final = "password_proved_at"


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the user proved to be there lately; a proxy that vouches for each request always does."""
    proved = request.session.get(PROVED_AT, 0)
    return 0 <= now() - proved < FRESH_SECONDS or remote_user.is_remote(request)


def note_proof(request: HttpRequest) -> None:
    """Remember that the user has just given the password."""
    request.session[PROVED_AT] = now()


def _on_sign_in(request: HttpRequest, **_: object) -> None:
    if request is not None and hasattr(request, "session"):
        note_proof(request)


def connect() -> None:
    """Take a sign-in for a proof."""
    user_logged_in.connect(_on_sign_in, dispatch_uid="statestore.note_proof")
