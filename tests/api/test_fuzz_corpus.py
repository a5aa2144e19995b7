"""Every call that a fuzzer or a hostile reader has broken the API with, sent again.

Found a new one? The fuzzer prints its call; add a line to CASES with the answer that is right.
"""

import re
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User

from tests.api.conftest import ROOT, Script
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_task

pytestmark = pytest.mark.django_db

EVENT = {"event_type": "note", "session_id": "s1", "actor_type": "Agent", "actor_id": "a1", "content": "hello"}
NDJSON = "application/x-ndjson"
UNKNOWN_ETAG = '"' + "0" * 64 + '"'


class Case(NamedTuple):
    """A call and the status that it must answer; a body that is text or bytes is sent as it is."""

    method: str
    path: str
    body: Any
    status: int
    headers: dict[str, str] = {}


def lines(*texts: str) -> bytes:
    return "\n".join(texts).encode("utf-8", "surrogatepass")


CASES: dict[str, Case] = {
    "an empty agent id": Case("PUT", "/agents/~", {"state": 1}, 422),
    "an id that is base64 of nothing": Case("GET", "/agents/~=", None, 404),
    "an id with two addresses": Case("GET", "/agents/~YTE", None, 404),
    "an id that is a word of the paths": Case("GET", "/events/search%20", None, 404),
    "dots as an id": Case("PUT", "/agents/..%2Fa1", {"state": 1}, 404),
    "an id longer than a row may have": Case("PUT", "/agents/" + "a" * 600, {"state": 1}, 404),
    "a huge number as an id": Case("GET", "/edits/99999999999999999999", None, 422),
    "a negative number as an id": Case("POST", "/edits/-1/revert", {}, 422),
    "a NUL in a name": Case("PATCH", "/agents/a1", {"name": "\x00"}, 422),
    "half a surrogate pair in a state": Case("PUT", "/agents/a1", b'{"state": "\\ud800"}', 422),
    "half a surrogate pair in a state text": Case("PUT", "/agents/a1", b'{"state_data": "\\udfff"}', 422),
    "NaN": Case("PUT", "/agents/a1", b'{"state": NaN}', 422),
    "a version over 64 bits": Case("PUT", "/agents/a1", b'{"state": 1, "version": 9223372036854775808}', 422),
    "an exponent beyond any float": Case("PUT", "/agents/a1", b'{"state": 1e400}', 200),
    "JSON of 101 levels": Case("PUT", "/agents/a1", b'{"state": ' + b"[" * 101 + b"]" * 101 + b"}", 422),
    "the same key twice": Case("PUT", "/agents/a1", b'{"state": 1, "state": 2}', 422),
    "no JSON at all": Case("PUT", "/agents/a1", b"\xff\xfe", 400),
    "a body that is a list": Case("PATCH", "/agents/a1", [], 422),
    "a body where none is taken": Case("POST", "/snapshots/delete-expired", {"all": True}, 422),
    "a field that does not exist": Case("PUT", "/agents/a1", {"state": 1, "stat": 2}, 422),
    "a parameter that does not exist": Case("GET", "/agents?statsu=idle", None, 422),
    "a parameter twice": Case("GET", "/agents?limit=1&limit=2", None, 422),
    "a cursor of another list": Case("GET", "/agents?cursor=AAAA", None, 422),
    "a cursor with a NUL": Case("GET", "/events?cursor=%00", None, 422),
    "a query with a percent sign and a mistake": Case("GET", "/events/search?q=after:%25s", None, 422),
    "a query longer than an address": Case("GET", "/events/search?q=" + "x" * 2001, None, 422),
    "a time in the year 300000": Case("GET", "/agents/a1/state?moment=at:9999999999999", None, 200),
    "a moment that is none": Case("GET", "/agents/a1/state?moment=yesterday", None, 422),
    "a pointer with a bad escape": Case("GET", "/agents/a1/history?path=%2F~2", None, 422),
    "a condition that is none": Case("GET", "/agents/a1/bisect?condition=%2Fa+~+1", None, 422),
    "a list of tags in If-Match": Case("PATCH", "/agents/a1", {"name": "n"}, 422, {"if_match": '"a", "b"'}),
    "a tag that nothing has": Case("PATCH", "/agents/a1", {"name": "n"}, 412, {"if_match": UNKNOWN_ETAG}),
    "a star for a row that is missing": Case("PUT", "/agents/new", {"state": 1}, 412, {"if_match": "*"}),
    "a tag to write only what is new": Case("PUT", "/agents/a1", {"state": 1}, 422, {"if_none_match": '"a"'}),
    "a key with a space": Case("POST", "/agents/a1/snapshots", {}, 422, {"idempotency_key": "a b"}),
    "a key that is empty": Case("POST", "/agents/a1/snapshots", {}, 422, {"idempotency_key": ""}),
    "a method that a path does not have": Case("PUT", "/agents", {}, 405),
    "a method that no path has": Case("BREW", "/agents/a1", None, 405),
    "a media type that is not taken": Case("PUT", "/agents/a1", b"a=1", 415, {"content_type": "text/plain"}),
    "the timeline of captured changes": Case("GET", "/agents/a1/timeline", None, 200),
    "a session in which none took part": Case("GET", "/sessions/s1", None, 200),
    "a session that only events name": Case("GET", "/sessions/s2", None, 200),
    "a snapshot that expired before it was made": Case("POST", "/agents/a1/snapshots", {"expires_at": 1}, 422),
    "a plan of a moment that never was": Case("POST", "/restores", {"agent_id": "a1", "moment": "snapshot:x"}, 404),
    "a fork onto itself": Case("POST", "/agents/a1/fork", {"agent_id": "a1"}, 409),
    "a task that waits for itself": Case("PATCH", "/tasks/t1", {"dependencies": ["t1"]}, 422),
    "a task that waits for nothing there": Case("PATCH", "/tasks/t1", {"dependencies": ["t9"]}, 422),
    "an import of a broken line": Case("POST", "/import", b"{", 422, {"content_type": NDJSON}),
    "a batch with a NUL": Case(
        "POST", "/events/batch", lines('{"event_type": "\\u0000"}'), 200, {"content_type": NDJSON}
    ),
    "a batch with bytes that are no UTF-8": Case("POST", "/events/batch", b"\xff\n", 400, {"content_type": NDJSON}),
    "a batch that is empty": Case("POST", "/events/batch", b"", 415, {"content_type": NDJSON}),
}


@pytest.fixture
def _rows(people: dict[str, User]) -> None:
    agent = make_agent("a1", state={"a": 1})
    make_snapshot(agent, {"a": 0})
    make_session(agent, id="s1")
    make_event(id="e1", session_id="s2", actor_id="a1")
    make_task(id="t1")


def documented(description: dict[str, Any], case: Case) -> set[int] | None:
    """Return the statuses that the description names for a call, or None for a path that it does not have."""
    asked = ROOT + case.path.partition("?")[0]
    for path, calls in description["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), asked) and case.method.lower() in calls:
            return set(map(int, calls[case.method.lower()]["responses"]))
    return None


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("name", CASES)
def test_what_once_broke_the_api_is_answered_as_described(script: Script, description: dict[str, Any], name: str):
    case = CASES[name]
    answer = script(case.method, case.path, case.body, **case.headers)
    assert answer.status_code == case.status, answer.content[:500]
    statuses = documented(description, case)
    if statuses is not None:
        assert answer.status_code in statuses, f"{case.method} {case.path} does not describe {answer.status_code}"
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["detail"]
        assert problem["status"] == answer.status_code
