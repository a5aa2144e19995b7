"""Who may do what: every URL and method for every role, against one table. A URL without a row fails."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from statestore import models, retention
from statestore.access import audit
from statestore.db.ids import RESERVED, from_address, to_address
from statestore.db.routers import store_alias
from statestore.retention import Limits
from statestore.tasks import service as task_service
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task, make_transition
from tests.conftest import signed_in, undone

pytestmark = pytest.mark.django_db

ROLES = ("anonymous", "nobody", "viewer", "operator", "manager", "administrator")
LOGIN, NO, OK, GONE, METHOD = 302, 403, 200, 404, 405
SEES = (LOGIN, NO, OK, OK, OK, OK)
# A post that is allowed answers with a redirect, or says in words that its fields are missing.
OPERATES_PAGE = (LOGIN, NO, NO, OK, OK, OK)
OPERATES = (LOGIN, NO, NO, "done", "done", "done")
MANAGES = (LOGIN, NO, NO, NO, "done", "done")

# name of the URL: (GET, POST), each for the six roles. A single number holds for everybody signed in.
TABLE: dict[str, tuple[object, object]] = {
    "overview": (SEES, METHOD),
    # Each finds what they may see.
    "find": ((LOGIN, OK, OK, OK, OK, OK), METHOD),
    "healthz": ((OK,) * 6, METHOD),
    "readyz": ((OK,) * 6, METHOD),
    "theme": (METHOD, (LOGIN, "done", "done", "done", "done", "done")),
    "agents": (SEES, METHOD),
    "agents-bulk": (METHOD, (LOGIN, NO, NO, "done", "done", "done")),
    "bulk-done": ((LOGIN, NO, GONE, GONE, GONE, GONE), (LOGIN, NO, NO, "done", "done", "done")),
    "agent": (SEES, METHOD),
    "case": (SEES, METHOD),
    "transition-case": (SEES, METHOD),
    "agent-state": (SEES, METHOD),
    "agent-branch": (SEES, METHOD),
    "take-snapshot": (METHOD, OPERATES),
    "change-status": (METHOD, OPERATES),
    "restore-agent": (SEES, OPERATES),
    "delete-agent": (METHOD, OPERATES),
    "undelete-agent": (METHOD, OPERATES),
    "purge-agent": (METHOD, MANAGES),
    "hold-agent": (METHOD, OPERATES),
    "release-agent": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "hold-snapshot": (METHOD, OPERATES),
    "hold-restore": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "release-restore": (METHOD, (LOGIN, NO, NO, NO, NO, GONE)),
    "release-snapshot": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "changes": (SEES, METHOD),
    "transition": (SEES, METHOD),
    "snapshots": (SEES, METHOD),
    "snapshot": (SEES, METHOD),
    "delete-snapshot": (METHOD, OPERATES),
    "timeline": (SEES, METHOD),
    "blame": (SEES, METHOD),
    "path-history": (SEES, METHOD),
    "bisect": (SEES, METHOD),
    "compare": (SEES, METHOD),
    "revert": (SEES, OPERATES),
    "fork": (OPERATES_PAGE, OPERATES),
    "restores": (SEES, METHOD),
    "restore": ((LOGIN, NO, GONE, GONE, GONE, GONE), METHOD),
    "apply-plan": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "approve-plan": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "fleet": (OPERATES_PAGE, OPERATES),
    "batch": ((LOGIN, NO, GONE, GONE, GONE, GONE), METHOD),
    "apply-batch": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "approve-batch": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "undo-batch": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "edit": (SEES, METHOD),
    "revert-edit": (METHOD, MANAGES),
    "growth": (SEES, METHOD),
    "sources": (SEES, METHOD),
    "connect": (SEES, METHOD),
    "add-source": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "upload-source": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "remove-source": (METHOD, (LOGIN, NO, NO, NO, NO, GONE)),
    "capture": ((LOGIN, NO, NO, NO, NO, OK), (LOGIN, NO, NO, NO, NO, "done")),
    "undo-restore": (METHOD, (LOGIN, NO, NO, GONE, GONE, GONE)),
    "metrics": ((OK,) * 6, METHOD),
    "tokens": ((LOGIN, OK, OK, OK, OK, OK), (LOGIN, 422, 422, 422, 422, 422)),
    "revoke-token": (METHOD, (LOGIN, GONE, GONE, GONE, GONE, GONE)),
    "events": (SEES, METHOD),
    "event": (SEES, METHOD),
    "events-live": (SEES, METHOD),
    "events-complete": (SEES, METHOD),
    "events-export": (SEES, METHOD),
    "save-view": (METHOD, (LOGIN, NO, "done", "done", "done", "done")),
    "delete-view": (METHOD, (LOGIN, NO, GONE, GONE, GONE, GONE)),
    "sessions": (SEES, METHOD),
    "session": (SEES, METHOD),
    "tasks": (SEES, METHOD),
    "task": (SEES, METHOD),
    "move-task": (METHOD, MANAGES),
    "change-task": (METHOD, MANAGES),
    "end-session": (METHOD, MANAGES),
    "agents-offered": (SEES, METHOD),
    "commit": (SEES, METHOD),
    "trash": (SEES, METHOD),
    "upkeep": (SEES, METHOD),
    "new-policy": ((LOGIN, NO, NO, NO, NO, OK), (LOGIN, NO, NO, NO, NO, "done")),
    "policy": (SEES, METHOD),
    "edit-policy": ((LOGIN, NO, NO, NO, NO, OK), (LOGIN, NO, NO, NO, NO, "done")),
    "switch-policy-on": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "switch-policy-off": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "delete-policy": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "verify-audit": (METHOD, (LOGIN, NO, NO, NO, NO, "done")),
    "audit": (SEES, METHOD),
    "audit-export": (SEES, METHOD),
    # Who is signed in is led on.
    "login": ((OK, *(LOGIN,) * 5), (OK, *(LOGIN,) * 5)),
    "confirm": (LOGIN, LOGIN),
    "browsers": ((LOGIN, OK, OK, OK, OK, OK), METHOD),
    "end-browser": (METHOD, LOGIN),
    "end-other-browsers": (METHOD, LOGIN),
    "sign-ins": ((LOGIN, NO, NO, NO, NO, OK), METHOD),
    "admin_password_change": (LOGIN, LOGIN),
    "logout": ((LOGIN, METHOD, METHOD, METHOD, METHOD, METHOD), (LOGIN,) * 6),
    "password_change": ((LOGIN, OK, OK, OK, OK, OK), (LOGIN, OK, OK, OK, OK, OK)),
    "password_change_done": ((LOGIN, OK, OK, OK, OK, OK), None),
}


def named_urls(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.app_name not in {"admin", "api"}:  # tests/api/test_access.py has the API's
                yield from named_urls(pattern.url_patterns)
        else:
            yield pattern


# What stands in an address for its parameters, where it is no id.
PLACES: dict[str, object] = {
    "entry_id": 1,
    "source_id": 1,
    "view_id": 1,
    "started_at": 1,
    "group": uuid.UUID(int=1),
    "policy_id": str(uuid.UUID(int=1)),
}


def test_every_url_has_a_row_in_the_table():
    assert {pattern.name for pattern in named_urls(get_resolver().url_patterns)} == set(TABLE)


def beside_ids(patterns: list[URLPattern | URLResolver], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the addresses of all pages and calls in parts, a parameter of any name as ""."""
    for pattern in patterns:
        route = str(pattern.pattern).strip("^$/")
        # The id of a policy is a UUID, which no word is.
        parts = (
            *before,
            *("" if "<" in part and "<policy:" not in part else part for part in route.split("/") if part),
        )
        if isinstance(pattern, URLResolver):
            yield from beside_ids(pattern.url_patterns, parts) if pattern.app_name != "admin" else ()
        else:
            yield parts


def test_a_word_that_stands_where_an_id_could_is_the_address_of_no_id():
    found = set(beside_ids(get_resolver().url_patterns))
    before_ids = {parts[:at] for parts in found for at, part in enumerate(parts) if not part and at}
    words = {parts[len(start)] for start in before_ids for parts in found
             if len(parts) > len(start) and parts[: len(start)] == start}  # fmt: skip
    assert words - {""} == RESERVED - {".", ".."}
    for word in RESERVED:
        assert to_address(word).startswith("~")
        assert from_address(to_address(word)) == word
        with pytest.raises(ValueError, match=word.replace(".", r"\.")):
            from_address(word)


@pytest.fixture
def address() -> dict[str, str]:
    agent = make_agent("a1", state={"step": 2})
    snapshot, transition = make_snapshot(agent, {"step": 1}), make_transition(agent)
    ids = {"agent_id": "a1", "snapshot_id": snapshot.pk, "transition_id": transition.pk, "restore_id": "none"}
    task_service.save_task(store_alias(), {"title": "made"}, by=audit.SYSTEM)
    entry = models.AuditEntry.objects.newest_first().first()
    ids |= {"batch_id": "none", "entry_id": entry.pk if entry else 0}
    event, session, task = make_event(git_commit="a41f"), make_session(agent), make_task()
    ids |= {"event_id": event.pk, "session_id": session.pk, "task_id": task.pk, "sha": "a41f", "view_id": "1"}
    ids |= {"source_id": 1, "public_id": "none", "started_at": "1", "group": uuid.UUID(int=1)}
    ids["policy_id"] = retention.create(store_alias(), "snapshots", None, Limits(keep_count=1), by=audit.SYSTEM).pk
    from django.urls import reverse

    found = {}
    for pattern in named_urls(get_resolver().url_patterns):
        needed = {name: ids[name] for name in pattern.pattern.converters}
        found[str(pattern.name)] = reverse(str(pattern.name), kwargs=needed)
    found["restore-agent"] += f"?moment=snapshot:{snapshot.pk}"
    return found


@pytest.mark.parametrize("name", TABLE)
def test_the_table_holds(people: dict[str, User], address: dict[str, str], name: str, settings: Any):
    settings.STORE_IS_EMBEDDED = True  # Sources are mirrored into a store of our own alone.
    if name == "purge-agent":
        models.AgentState.objects.update(is_deleted=1)
    is_open = name in {"healthz", "readyz", "metrics", "logout"}
    fields = {"agent": ["a1"], "action": "snapshot", "confirmed": 1} if name == "agents-bulk" else {}
    for role in ROLES:
        client = Client() if role == "anonymous" else signed_in(people[role])
        for method, expected in zip(("get", "post"), TABLE[name], strict=True):
            if expected is None:
                continue
            if isinstance(expected, tuple):
                wanted = expected[ROLES.index(role)]
            else:
                wanted = LOGIN if role == "anonymous" and not is_open else expected
            with undone():
                status = getattr(client, method)(address[name], fields).status_code
            assert status in ({302, 422} if wanted == "done" else {wanted}), (
                f"{role} {method} {address[name]}: {status}"
            )


def test_a_form_without_its_token_changes_nothing(people: dict[str, User]):
    make_agent("a1")
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["operator"], "django.contrib.auth.backends.ModelBackend")
    assert client.post("/agents/a1/snapshot/").status_code == 403
    assert not models.Snapshot.objects.exists()


def test_every_page_carries_the_strict_headers(viewer: Client):
    make_agent("a1")
    for address in ("/", "/agents/a1/", "/login/", "/nowhere/", "/agents/?cursor=x", "/agents/a1/state/"):
        headers = viewer.get(address).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], address
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "same-origin"
    assert "unsafe" not in viewer.get("/").headers["Content-Security-Policy"]


def test_a_safe_place_to_go_back_to(viewer: Client):
    assert viewer.post("/theme/", {"theme": "dark", "next": "/agents/"})["Location"] == "/agents/"
    assert viewer.post("/theme/", {"theme": "dark", "next": "https://example.org/"})["Location"] == "/"
    assert viewer.cookies["theme"].value == "dark"
    viewer.post("/theme/", {"theme": "<script>"})
    assert viewer.cookies["theme"].value == "system"
