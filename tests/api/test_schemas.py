"""What the API's description says of a body, and of a query, is what the calls take: no field more, and none less."""

import importlib
import json
import pkgutil
from typing import Any

import pytest
from django.contrib.auth.models import User
from pydantic import BaseModel

from statestore.api import schemas
from statestore.api.site import site
from tests.api.conftest import Script, script_of
from tests.builders import make_agent, make_session, make_task

pytestmark = pytest.mark.django_db

DESCRIPTION: dict[str, Any] = json.loads(json.dumps(site.get_openapi_schema(path_prefix="/")))
SCHEMAS: dict[str, Any] = DESCRIPTION["components"]["schemas"]
OTHER = "00000000-0000-4000-8000-000000000001"


def test_no_two_schemas_share_a_name():
    """Of two that do, the description has one alone, and says it of both calls."""
    names = [
        value.__name__
        for module in pkgutil.iter_modules(schemas.__path__)
        for value in vars(importlib.import_module(f"{schemas.__name__}.{module.name}")).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__.endswith(f".{module.name}")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []


# A call that writes a row, the body without which it is refused, where the row is read afterwards, and for each field
# what is sent and what the row then has: {field: (sent, column, value)}.
AGENT: dict[str, tuple[object, str, object]] = {
    "name": ("Ann", "name", "Ann"), "status": ("paused", "status", "paused"), "version": (7, "version", 7),
    "metadata": ({"a": 1}, "metadata", '{"a": 1}'), "state": ({"b": 2}, "state", {"b": 2}),
    "state_data": ('{"c":3}', "state_data", '{"c":3}'), "reason": ("why", "", None),
}  # fmt: skip
TASK: dict[str, tuple[object, str, object]] = {
    "title": ("T", "title", "T"), "description": ("D", "description", "D"), "status": ("Done", "status", "Done"),
    "priority": ("high", "priority", "high"), "complexity": ("epic", "complexity", "epic"),
    "assigned_to": ("a1", "assigned_to", "a1"), "dependencies": (["t2"], "waits_for", ["t2"]),
    "metadata": ({"a": 1}, "metadata", '{"a": 1}'),
}  # fmt: skip
SESSION: dict[str, tuple[object, str, object]] = {
    "agent_id": ("a2", "agent_id", "a2"), "status": ("paused", "status", "paused"),
    "started_at": (1_780_000_000, "started_at_seconds", 1_780_000_000),
    "ended_at": (1_790_000_200, "ended_at_seconds", 1_790_000_200), "metadata": ({"a": 1}, "metadata", '{"a": 1}'),
}  # fmt: skip
EVENT: dict[str, tuple[object, str, object]] = {
    "id": (OTHER, "id", OTHER), "event_type": ("thought", "event_type", "thought"),
    "timestamp": (1_790_000_100, "timestamp_seconds", 1_790_000_100), "session_id": ("s1", "session_id", "s1"),
    "actor_type": ("System", "actor_type", "System"), "actor_id": ("a2", "actor_id", "a2"),
    "content": ("text", "content", "text"), "metadata": ({"a": 1}, "metadata", '{"a": 1}'),
    "git_commit": ("abc123", "git_commit", "abc123"),
}  # fmt: skip
WHOLE_EVENT = {"event_type": "message", "session_id": "s", "actor_type": "Agent", "actor_id": "a1", "content": "c"}
CALLS: dict[str, tuple[str, str, str, dict[str, Any], dict[str, tuple[object, str, object]]]] = {
    "AgentIn": ("PUT", "/agents/a1", "/agents/a1", {"state": {}}, {**AGENT, "namespace": ("", "namespace", "")}),
    "AgentPatchIn": ("PATCH", "/agents/a1", "/agents/a1", {"version": 2}, AGENT),
    "TaskIn": ("POST", "/tasks", "", {"title": "new"}, {**TASK, "id": (OTHER, "id", OTHER)}),
    "TaskPutIn": ("PUT", "/tasks/t1", "/tasks/t1", {"title": "new"}, TASK),
    "TaskPatchIn": ("PATCH", "/tasks/t1", "/tasks/t1", {}, TASK),
    "SessionIn": (
        "POST", "/sessions", "", {"agent_id": "a1"},
        {name: SESSION[name] for name in ("agent_id", "metadata")} | {"id": ("s9", "id", "s9")},
    ),
    "SessionPutIn": (
        "PUT", "/sessions/s1", "/sessions/s1",
        {"agent_id": "a1", "status": "active", "started_at": 1_790_000_000}, SESSION,
    ),
    "SessionPatchIn": ("PATCH", "/sessions/s1", "/sessions/s1", {}, SESSION),
    "EventIn": ("POST", "/events", "", WHOLE_EVENT, EVENT),
}  # fmt: skip


@pytest.fixture
def script(people: dict[str, User]) -> Script:
    for agent_id in ("a1", "a2"):
        make_agent(agent_id)
    make_task(id="t1", title="one")
    make_task(id="t2", title="two")
    make_session("a1", id="s1")
    return script_of(people["administrator"])


@pytest.mark.parametrize("schema", CALLS)
def test_every_field_that_is_described_can_be_tried(schema: str):
    assert set(SCHEMAS[schema]["properties"]) == set(CALLS[schema][4])


@pytest.mark.parametrize(("schema", "field"), [(schema, field) for schema in CALLS for field in CALLS[schema][4]])
def test_a_field_that_is_described_is_what_the_row_has_afterwards(script: Script, schema: str, field: str):
    method, path, read, body, fields = CALLS[schema]
    sent, column, value = fields[field]
    whole = {**body, field: sent}
    if field == "state_data":
        whole.pop("state", None)
    answer = script(method, path, whole)
    assert answer.status_code in {200, 201}, answer.content
    row = script.get(read).json() if read else answer.json()
    assert not column or row[column] == value, (field, row)


BODIES = [
    (method.upper(), path, reference["$ref"].rpartition("/")[2])
    for path, calls in DESCRIPTION["paths"].items()
    for method, call in calls.items()
    if (reference := call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {}))
    and "$ref" in reference
]


@pytest.mark.parametrize(("method", "path", "schema"), BODIES)
def test_a_field_that_is_not_described_is_refused_by_name(script: Script, method: str, path: str, schema: str):
    body: dict[str, Any] = {"events": []} if schema == "BatchIn" else {}
    answer = script(method, path.format_map(Ids()), {**body, "unheard_of": 1})
    assert (answer.status_code, "unheard_of" in text_of(answer)) == (422, True), text_of(answer)


class Ids(dict[str, str]):
    """Some id for each placeholder of a path."""

    def __missing__(self, name: str) -> str:
        return "1"


def text_of(answer: Any) -> str:
    return str(answer.getvalue().decode(errors="replace"))


QUERIES = [
    (path, [parameter for parameter in call["get"].get("parameters", ()) if parameter["in"] == "query"])
    for path, call in DESCRIPTION["paths"].items()
    if "get" in call
]


@pytest.mark.parametrize(("path", "parameters"), QUERIES, ids=[path for path, _ in QUERIES])
def test_a_query_takes_the_parameters_that_are_described_and_no_others(
    script: Script, path: str, parameters: list[dict[str, Any]]
):
    address = path.format_map(Ids())
    needed = "".join(f"{parameter['name']}=now&" for parameter in parameters if parameter.get("required"))
    for parameter in parameters:
        assert "Unknown parameter" not in text_of(script.get(f"{address}?{needed}{parameter['name']}=1"))
    answer = script.get(f"{address}?{needed}unheard_of=1")
    assert answer.status_code in {404, 422}, text_of(answer)
    assert answer.status_code == 404 or "unheard_of" in text_of(answer)
