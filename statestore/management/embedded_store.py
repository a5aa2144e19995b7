"""The embedded store and the first login, made by the commands that start from nothing."""

import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

from statestore.db.routers import store_alias

USERNAME = "demo"


def prepare() -> bool:
    """Bring the embedded store and our own database up to date, and return whether the store is new."""
    settings.VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = not store_path().exists()
    for alias in dict.fromkeys(("default", store_alias())):
        call_command("migrate", database=alias, verbosity=0)
    if is_new:
        # Readers and the writer of this file do not wait for each other; it is ours alone.
        with connections[store_alias()].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
    return is_new


def store_path() -> Path:
    """Return where the embedded store is."""
    return Path(connections[store_alias()].settings_dict["NAME"])


def login() -> str:
    """Return a line with the first login, made on the first run and kept in var/; "" where people have their own."""
    kept = settings.VAR_DIR / "demo_login"
    if not kept.exists():
        if get_user_model().objects.exists():
            return ""
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    password = kept.read_text().strip()
    if not get_user_model().objects.filter(username=USERNAME).exists():
        get_user_model().objects.create_superuser(USERNAME, "demo@example.org", password)
    return f"Sign in as {USERNAME} with the password {password}"
