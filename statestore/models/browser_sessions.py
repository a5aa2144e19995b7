"""The browsers that are signed in, in our own database."""

from importlib import import_module

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from statestore.db.fields import UnixSeconds


class BrowserSession(AbstractBaseSession):
    """Django's session, with what its user wants to know of it: since when, last used, by which browser from where."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="browser_sessions"
    )
    created_at = UnixSeconds()
    used_at = UnixSeconds()
    ip_address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "dashboard_browser_session"
        verbose_name = "signed-in browser"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        """Return the store that reads and writes these rows."""
        store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
        return store
