"""Who may do what in the admin: each of its URLs for every role, against one table. A URL without a row fails."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import signed_in
from tests.views.test_access import PLACES, ROLES, named_urls

pytestmark = pytest.mark.django_db

LOGIN, NO, OK, GONE, METHOD, MOVED = 302, 403, 200, 404, 405, 302
STAFF = {"manager", "administrator"}
# Of a model's pages, (GET, POST), each as (manager, administrator); who is no staff is sent to the login.
EVERYBODY, NOBODY, BOSS = ((OK, OK), (OK, OK)), ((NO, NO), (NO, NO)), ((NO, OK), (NO, OK))
# Its history is the audit log of the dashboard.
AUDIT = ((MOVED, MOVED), (MOVED, MOVED))
READ_ONLY = {"changelist": EVERYBODY, "add": NOBODY, "history": AUDIT, "delete": NOBODY,
             "change": ((OK, OK), (NO, NO))}  # fmt: skip
EDITED = {"changelist": EVERYBODY, "add": EVERYBODY, "history": AUDIT, "delete": EVERYBODY, "change": EVERYBODY}
PEOPLE = dict.fromkeys(("changelist", "add", "history", "delete", "change"), BOSS)
MODELS: dict[str, dict[str, Any]] = {
    "statestore_agentstate": READ_ONLY,
    "statestore_transition": READ_ONLY,
    "statestore_snapshot": READ_ONLY,
    "statestore_event": READ_ONLY,
    "statestore_task": EDITED,
    "statestore_session": EDITED,
    "auth_group": PEOPLE,
    "auth_user": PEOPLE | {"password_change": BOSS},
}
TABLE: dict[str, Any] = {
    "index": EVERYBODY,
    "app_list": EVERYBODY,
    # The dashboard has a page for it.
    "password_change": ((MOVED, MOVED), (MOVED, MOVED)),
    "password_change_done": ((OK, OK), (METHOD, METHOD)),
    # Without saying what is looked for.
    "autocomplete": ((NO, NO), (METHOD, METHOD)),
    "jsi18n": ((OK, OK), (METHOD, METHOD)),
    "view_on_site": ((GONE, GONE), (GONE, GONE)),
} | {f"{model}_{page}": expected for model, pages in MODELS.items() for page, expected in pages.items()}
OPEN = {"login", "logout"}


def patterns(found: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in found:
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern.url_patterns)
        elif pattern.name:
            yield pattern


def test_every_url_of_the_admin_has_a_row_in_the_table():
    assert {pattern.name for pattern in patterns(admin.site.get_urls())} == TABLE.keys() | OPEN


@pytest.fixture
def rows(people: dict[str, User]) -> dict[str, Any]:
    agent = make_agent("a1")
    return {
        "agentstate": agent, "transition": make_transition(agent), "snapshot": make_snapshot(agent),
        "event": make_event(), "task": make_task(), "session": make_session(agent), "user": people["viewer"],
        "group": Group.objects.first(),
    }  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_the_table_holds(people: dict[str, User], rows: dict[str, Any], name: str):
    pattern = next(one for one in patterns(admin.site.get_urls()) if one.name == name)
    row = next((row for model, row in rows.items() if f"_{model}_" in name), None)
    named = dict.fromkeys(pattern.pattern.regex.groupindex, "0" if row is None else row.pk)
    address = reverse(f"admin:{name}", kwargs=named | ({"app_label": "statestore"} if "app_label" in named else {}))
    for role in ROLES:
        client = Client() if role == "anonymous" else signed_in(people[role])
        for method, expected in zip(("get", "post"), TABLE[name], strict=True):
            wanted = expected[role == "administrator"] if role in STAFF else LOGIN
            answer = getattr(client, method)(address)
            assert answer.status_code == wanted, f"{role} {method} {address}: {answer.status_code}"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_no_page_takes_another_method_than_get_and_post(people: dict[str, User], method: str):
    client = signed_in(people["administrator"])
    # Django's own forms take PUT for POST, token and all.
    for pattern in (
        one for one in named_urls(get_resolver().url_patterns) if one.name not in {"login", "password_change"}
    ):
        named = {part: PLACES.get(part, "a1") for part in pattern.pattern.converters}
        answer = getattr(client, method)(reverse(str(pattern.name), kwargs=named))
        assert answer.status_code == METHOD, (pattern.name, answer.status_code)
