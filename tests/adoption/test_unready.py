"""A store that is not adopted, or missing: one page says so, and nothing is created or changed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stores import fingerprint, make_store

pytestmark = [pytest.mark.sqlite, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("/", "/agents/", "/agents/planner/", "/events/", "/trash/", "/admin/statestore/task/", "/admin/", "/readyz",
         "/healthz")  # fmt: skip
# A process of its own, since the store is chosen when a process starts.
VISIT = """
import django, json, sys
django.setup()
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
settings.ALLOWED_HOSTS.append("testserver")
call_command("migrate", database="default", verbosity=0)
client = Client()
client.force_login(get_user_model().objects.create_superuser("ada"), "django.contrib.auth.backends.ModelBackend")
pages = {address: client.get(address) for address in sys.argv[1:]}
print(json.dumps({address: [page.status_code, page.content.decode()] for address, page in pages.items()}))
"""


def visit(store: Path, home: Path) -> dict[str, Any]:
    """Return the status and the text of each page, with a store of that name."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "descartes_site.settings",
        "STORE_URL": f"sqlite:///{store}",
        "DATABASE_URL": f"sqlite:///{home / 'dashboard.db'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", VISIT, *PAGES], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def check(answers: dict[str, Any], words: str) -> None:
    for address in PAGES[:6]:
        status, page = answers[address]
        assert (address, status) == (address, 503)
        assert words in " ".join(re.sub("</?code>", "`", page).split())
    assert [answers[address][0] for address in ("/admin/", "/readyz", "/healthz")] == [200, 503, 200]


def test_a_store_that_is_not_adopted_says_so_on_every_page_and_is_left_alone(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    path = make_store(tmp_path / "theirs" / "descartes.db")
    before = fingerprint(path.parent)
    check(visit(path, tmp_path), f"Run `manage.py adopt {path}`")
    assert fingerprint(path.parent) == before


def test_a_store_that_is_missing_is_not_created(tmp_path: Path):
    check(visit(tmp_path / "nowhere.db", tmp_path), "does not exist")
    assert not (tmp_path / "nowhere.db").exists()


def test_a_file_that_is_no_database_says_so(tmp_path: Path):
    path = tmp_path / "notes.db"
    path.write_text("these are notes, and many of them " * 100)
    check(visit(path, tmp_path), "cannot be read as a store")
