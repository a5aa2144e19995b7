"""Cursors that were not made here: whatever is in one, a list says so, or begins where it leads."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from tests.builders import NOW, make_agent, make_event, make_session, make_snapshot, make_task, make_transition

pytestmark = pytest.mark.django_db

LISTS = (
    "/agents/", "/agents/?sort=id", "/events/", "/sessions/", "/tasks/", "/snapshots/", "/restores/", "/changes/",
    "/trash/", "/audit/", "/api/v1/agents", "/api/v1/events", "/api/v1/sessions", "/api/v1/tasks", "/api/v1/audit",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    2**63, -(2**63), -(2**63) - 1, 10**300, float("inf"), float("nan"), 1.5, "text", {"odd": 2**70}, {"odd": "soon"},
    {"odd": float("-inf")}, {"odd": None}, {"odd": {"odd": 1}}, {"blob": "AA=="}, {"blob": 1}, None, True, [],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _some_rows() -> None:
    agent = make_agent("a1")
    make_transition(agent)
    make_snapshot(agent)
    make_session(agent)
    make_event(timestamp=NOW)
    make_task()


def cursors() -> list[str]:
    found = ["[" * 3_000, "{" * 3_000, '{"a":' * 1_000, "0", "[]", "not base64 …", "[0, NaN]", f"[0, {'9' * 4_000}, 1]"]
    for value in VALUES:
        keys = ([value], [value, 1], [1, value], [value, 1, "x"], [1, value, "x"])
        found += [json.dumps([0, *key]) for key in keys]
    return [base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in found] + ["~", "_", "a" * 7_000]


@pytest.mark.parametrize("address", LISTS)
def test_no_cursor_is_an_error_of_ours(admin_client: Client, address: str):
    joined = "&" if "?" in address else "?"
    answered = {
        admin_client.get(f"{address}{joined}cursor={quote(cursor)}").status_code: cursor for cursor in cursors()
    }
    assert answered.keys() <= {200, 400, 422}, answered
