"""Messages that one page leaves for the next: those of a store are shown on pages of that store alone."""

from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http import HttpRequest

from statestore.db.routers import chosen_name


class _InCookie(CookieStorage):
    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.cookie_name = f"{CookieStorage.cookie_name}{_of_store()}"


class _InSession(SessionStorage):
    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.session_key = f"{SessionStorage.session_key}{_of_store()}"


class StoreMessages(FallbackStorage):
    """Django's messages, in a cookie or in the session, for each store under a name of its own."""

    storage_classes = (_InCookie, _InSession)


def _of_store() -> str:
    return f"_{chosen_name()}" if chosen_name() else ""
