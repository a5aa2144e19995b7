"""Cases: what is in the file, that it is safe to open, and that it tells whether it was changed."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from statestore import cases, models
from statestore.access.scope import Scope
from statestore.cases.seal import sealed, verified
from statestore.db.routers import store_alias
from tests.api.conftest import script_of
from tests.builders import make_agent, make_event, make_session, make_snapshot, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

SECRET = "hunter2hunter2"
HOSTILE = "<script>alert(1)</script><img src=//evil.example/x onerror=alert(1)>\u202e</title></style><!-- -->"


def make_case() -> models.AgentState:
    """Return an agent with a past in which a secret and a hostile text occur wherever a text can be."""
    state = {
        "step": 1.50, "config": {"api_key": SECRET}, "note": HOSTILE,
        "messages": [
            {"role": "user", "content": f"password={SECRET}"},
            {"role": "assistant", "content": HOSTILE, "tool_calls": [
                {"id": "c", "function": {"name": "login", "arguments": json.dumps({"password": SECRET})}}]},
            {"role": "tool", "tool_call_id": "c", "content": json.dumps({"token": SECRET})},
        ],
    }  # fmt: skip
    agent = make_agent("a1", name=HOSTILE, state=state, metadata=json.dumps({"secret": SECRET}))
    make_transition(agent, {"config": {"api_key": "another-key"}}, state, reason=f"token={SECRET} {HOSTILE}")
    make_transition(agent, "not json", f"line\npassword: {SECRET}\n{HOSTILE}", reason="by lines")
    make_snapshot(agent, description=f"before {HOSTILE}")
    session = make_session(agent, id="s1", status="active")
    make_event(session_id=session.pk, actor_id="a1", content=f"Authorization: Bearer {SECRET}{HOSTILE}")
    return agent


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("case", *words, stdout=out)
    return out.getvalue()


def records(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.mark.parametrize("kind", cases.FORMATS)
def test_no_secret_is_in_the_file_wherever_it_stood(kind: str):
    content = cases.agent_case(make_case(), cases.Wanted(events=10), Scope(), kind)
    assert SECRET.encode() not in content
    assert b"another-key" not in content
    assert b"[masked:api_key#" in content


def test_the_file_has_what_was_asked_for_and_counts_what_was_masked():
    agent = make_case()
    found = records(cases.agent_case(agent, cases.Wanted(events=10), Scope(), "ndjson"))
    kinds = [record["kind"] for record in found]
    assert kinds == ["case", "agent", "state", *["message"] * 3, *kinds[6:9], "session", "event", "masked", "end"]
    assert sorted(kinds[6:9]) == ["snapshot", "transition", "transition"]
    rules = {rule["rule"]: (rule["different"], rule["places"]) for rule in found[-2]["rules"]}
    assert rules["api_key"] == (2, 3)
    assert '"step": 1.5,' in found[2]["text"]
    (change,) = [one for record in found if record.get("reason", "").startswith("token") for one in record["changes"]
                 if one["path"] == "/config/api_key"]  # fmt: skip
    assert (change["before"], change["after"]) == ('"[masked:api_key#2]"', '"[masked:api_key#1]"')


def test_what_was_not_asked_for_is_not_in_the_file():
    wanted = cases.Wanted(state=False, conversation=False, transitions=1, events=0)
    found = records(cases.agent_case(make_case(), wanted, Scope(), "ndjson"))
    kinds = [record["kind"] for record in found]
    assert kinds[:2] == ["case", "agent"]
    assert kinds[3:] == ["note", "masked", "end"]


def test_the_state_is_in_the_file_byte_for_byte():
    text = '{ "z": 1e400, "a":-0, "caf\\u00e9": [1.50 ] }\n'
    agent = make_agent("a1", state=text)
    found = records(cases.agent_case(agent, cases.Wanted(), Scope(), "ndjson"))
    assert next(record["text"] for record in found if record["kind"] == "state") == text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_runs_nothing():
    content = cases.agent_case(make_case(), cases.Wanted(events=10), Scope(), "html").decode()
    parser = _Tags()
    parser.feed(content)
    names = {tag for tag, _ in parser.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "svg", "form", "base", "audio", "video"}
    assert [tag for tag, _ in parser.tags].count("style") == 1
    for tag, attributes in parser.tags:
        assert not {name for name in attributes if name.startswith("on") or name in {"src", "style", "srcset"}}, tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in content
    assert not re.search(r"@import|url\(", content)
    assert "&lt;script&gt;alert(1)" in content
    assert "⟨U+202E⟩" in content


@pytest.mark.parametrize("kind", cases.FORMATS)
def test_a_changed_byte_is_told(kind: str, tmp_path: Path):
    agent = make_agent("a1", state={"note": "[masked"})
    content = cases.agent_case(agent, cases.Wanted(), Scope(), kind)
    assert verified(content)[1] == ""
    for changed in (content.replace(b"note", b"nota", 1), content[:-80], content + b"x", b"", content[40:]):
        assert verified(changed)[1] != ""
    (tmp_path / "case").write_bytes(content)
    assert "as it was exported" in run("--verify", str(tmp_path / "case"))


def test_a_hash_within_the_file_is_not_taken_for_the_last_line():
    content = sealed(b"x\n", "html") + b"more\n"
    assert verified(content)[1] != ""


def test_the_command_writes_the_file_for_its_owner_alone(tmp_path: Path):
    make_case()
    path = tmp_path / "case.ndjson"
    run("a1", "--to", str(path))
    assert records(path.read_bytes())[0]["id"] == "a1"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_the_page_offers_the_file_and_sends_it(viewer: Client):
    agent = make_case()
    assert "What goes into the file" in viewer.get("/agents/a1/case/").content.decode()
    answer = viewer.get("/agents/a1/case/?format=html&state=on&transitions=5")
    assert answer["Content-Disposition"].startswith('attachment; filename="case-a1-')
    assert verified(answer.content)[1] == ""
    assert b"State" in answer.content
    assert b"Conversation</h2>" not in answer.content
    transition = models.Transition.objects.of_agent(agent.agent_id)[0]
    answer = viewer.get(f"/transitions/{transition.pk}/case/?format=ndjson")
    assert [record["kind"] for record in records(answer.content)] == ["case", "agent", "transition", "masked", "end"]
    assert viewer.get("/agents/a1/case/?format=pdf").status_code == 422
    assert viewer.get("/agents/a1/case/?format=html&transitions=100000").status_code == 422


def test_scripts_read_the_case_of_an_agent_and_of_a_transition(people: dict[str, User]):
    script = script_of(people["viewer"])
    agent = make_case()
    transition = models.Transition.objects.of_agent(agent.agent_id)[0]
    for path, kinds in (
        ("/agents/a1/case?state=false&conversation=false&transitions=0", ["case", "agent", "masked", "end"]),
        (f"/transitions/{transition.pk}/case", ["case", "agent", "transition", "masked", "end"]),
    ):
        answer = script.get(path)
        assert answer["Content-Type"] == "application/x-ndjson"
        assert verified(answer.content)[1] == ""
        assert [record["kind"] for record in records(answer.content)] == kinds


def test_events_need_their_own_permission():
    make_case()
    user = User.objects.create(username="reader")
    user.user_permissions.set(Permission.objects.filter(group__name="viewer").exclude(codename="view_event"))
    client = signed_in(user)
    assert client.get("/agents/a1/case/?format=html").status_code == 200
    assert client.get("/agents/a1/case/?format=html&events=5").status_code == 403


def test_own_rules_come_from_the_settings(settings: Any):
    settings.MASK_KEYS, settings.MASK_PATTERNS = ["customer"], [r"CUST-\d+"]
    content = cases.agent_case(make_agent("a1", state={"customer": "Ada", "note": "it is CUST-77"}), cases.Wanted(),
                               Scope(), "ndjson")  # fmt: skip
    assert b"Ada" not in content
    assert b"CUST-77" not in content


def test_the_form_takes_as_many_queries_however_long_the_past_is(viewer: Client):
    agent = make_case()
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            viewer.get("/agents/a1/case/")
        counts.append(len(queries))
        for _ in range(20):
            make_transition(agent, {"a": 1}, {"a": 2})
    assert counts[0] == counts[1]
