"""The audit page: sentences with links, filters, and its export."""

import csv
import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models
from statestore.access import audit
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.models.audit import Action
from statestore.tasks import service as task_service
from tests.api.conftest import script_of
from tests.builders import NOW, make_agent, make_snapshot, make_task

pytestmark = pytest.mark.django_db


def entry(**columns: Any) -> models.AuditEntry:
    given = {"at": NOW, "actor": "ada", "action": "status", "noun": "agent", "row_id": "a1", **columns}
    return models.AuditEntry.objects.create(**given)


def rows(client: Client, query: str = "") -> list[str]:
    """Return the sentences of the page, as text."""
    answer = client.get(f"/audit/{query}")
    assert answer.status_code == 200, answer.content[:500]
    cells = re.findall(r'<td data-label="Activity".*?</td>', answer.content.decode(), re.S)
    return [" ".join(re.sub("<[^>]+>", "", cell).split()) for cell in cells]


def exported(client: Client, query: str) -> bytes:
    answer = client.get(f"/export/audit/{query}")
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def test_an_entry_is_a_sentence_that_links_what_it_names(viewer: Client):
    agent = make_agent("a1", name="Coder <2>")
    snapshot = make_snapshot(agent, description="before refactor")
    audit.record(
        Action.RESTORE, agent, by=Actor("ada", "10.0.0.7"), hash_before="1" * 64, hash_after="2" * 64,
        detail={"restore": "r1", "moment": f"snapshot:{snapshot.pk}", "kind": "whole", "reason": ""},
    )  # fmt: skip
    html = viewer.get("/audit/").content.decode()
    assert rows(viewer) == ["ada restored Coder &lt;2&gt; to snapshot “before refactor”"]
    for link in ("/agents/a1/", f"/snapshots/{snapshot.pk}/", "/restores/r1/", "?person=ada"):
        assert f'href="{link}"' in html, f"{link} is one click away."
    details = re.search(r'<details class="behind">.*?</details>', html, re.S)
    assert details, "What machines need is behind it."
    assert "10.0.0.7" in details[0]
    assert "1" * 6 in details[0]
    assert "Coder <2>" not in html


def test_the_log_is_filtered_by_person_action_time_and_row(viewer: Client):
    for number, (actor, action) in enumerate((("ada", "status"), ("bob", "status"), ("ada", "snapshot"))):
        entry(actor=actor, action=action, at=NOW + number * 60, row_id=f"a{number}")
    assert [said.split()[0] for said in rows(viewer)] == ["ada", "bob", "ada"]
    assert len(rows(viewer, "?person=ada")) == 2
    assert len(rows(viewer, "?action=status")) == 2
    assert len(rows(viewer, "?person=ada&action=status")) == 1
    assert len(rows(viewer, f"?start={NOW + 60}")) == 2
    assert len(rows(viewer, "?end=2026-09-21T14:13:20Z")) == 1
    assert len(rows(viewer, "?row=a2")) == 1
    assert "Clear filters" in viewer.get("/audit/?person=ada").content.decode()
    assert "Clear filters" not in viewer.get("/audit/").content.decode()
    assert "No matches" in viewer.get("/audit/?person=eve").content.decode()


def test_entries_are_ordered_by_time_and_page_by_page_complete(viewer: Client):
    """An import may bring older entries after newer ones."""
    for number in range(30):
        entry(at=NOW - number // 2, actor=f"p{number}")
    first = viewer.get("/audit/?size=25")
    second = viewer.get(f"/audit/?size=25&cursor={first.context['page'].older}")
    ids = [row.pk for answer in (first, second) for row in answer.context["page"].rows]
    at = {row.pk: row.at for row in models.AuditEntry.objects.all()}
    assert ids == sorted(at, key=lambda pk: (-at[pk], -pk))


@pytest.mark.parametrize(
    ("query", "field", "error"),
    [
        ("start=soon", "start", "not a valid time"),
        (f"start={NOW}&end=5", "end", "The end is before the start"),
        ("action=wish", "action", "Select a valid choice"),
        (f"person={'x' * 201}", "person", "at most 200 characters"),
    ],
)
def test_a_wrong_filter_is_said_at_its_field_with_what_was_typed(viewer: Client, query: str, field: str, error: str):
    entry()
    answer = viewer.get(f"/audit/?{query}")
    html = answer.content.decode()
    assert answer.status_code == 422
    at_field = re.search(rf'<(input|select)[^>]*name="{field}"[^>]*>.*?field-error[^<]*<', html, re.S)
    assert at_field, "The error stands at its field."
    assert error in at_field[0]
    if field == "start":
        assert 'value="soon"' in html, "What was typed is still there."


def test_a_row_that_is_no_address_is_refused_in_the_frame(viewer: Client):
    answer = viewer.get("/audit/?row=~a")
    assert answer.status_code == 422
    assert "not the address of a row" in answer.content.decode()


def test_the_call_takes_the_filters_of_the_page_and_says_the_same(viewer: Client, people: dict[str, User]):
    make_agent("a1", name="Coder 2")
    entry(before='{"status": "idle"}', after='{"status": "paused"}')
    entry(actor="bob", at=NOW + 60)
    query = f"?person=ada&action=status&start={NOW}&end={NOW}&row=a1"
    html = viewer.get(f"/audit/{query}").content.decode()
    link = re.search(r'<footer class="json-link">\s*<a href="([^"]+)"', html)
    assert link
    (item,) = viewer.get(link[1].replace("&amp;", "&")).json()["items"]
    assert item["summary"] == "ada set the status of Coder 2 from idle to paused"
    script = script_of(people["viewer"], "read")
    assert script.get(f"/audit?person=eve&start={NOW}").json()["items"] == []


def test_an_edit_has_its_summary_in_the_api(people: dict[str, User]):
    task_service.save_task(store_alias(), {"title": "Parser"}, by=Actor("demo"))
    script = script_of(people["viewer"], "read")
    (item,) = script.get("/edits").json()["items"]
    assert item["summary"] == "demo created the task Parser"
    assert script.get(f"/edits/{item['id']}").json()["summary"] == item["summary"]


def test_what_is_filtered_is_exported_and_nothing_in_it_is_a_formula(viewer: Client, on_sqlite: bool):
    odd = "\udcff" if on_sqlite else ""  # PostgreSQL holds no invalid UTF-8.
    for number in range(3):
        entry(actor="=cmd|'/c calc'!A0", row_id=f"+a{number}{odd}", detail='{"reason": "@x"}')
    entry(actor="bob")
    lines = [json.loads(line) for line in exported(viewer, "?format=ndjson").splitlines()]
    assert len(lines) == 4
    assert lines[0]["summary"].startswith("bob set the status of a1")
    assert lines[0]["at"] == "2026-09-21T14:13:20Z"
    text = exported(viewer, "?person=%3Dcmd|'/c calc'!A0").decode("utf-8", "surrogateescape")
    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == 3, "The filters of the page are those of its export."
    assert {row["actor"][0] for row in table} == {"'"}
    assert {row["row_id"][0] for row in table} == {"'"}
    assert {row["summary"][0] for row in table} == {"'"}


def test_an_export_reads_a_part_at_a_time(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("statestore.views.exports.AUDIT_ROWS_AT_ONCE", 2)
    for number in range(5):
        entry(at=NOW + number % 2)
    ids = [json.loads(line)["id"] for line in exported(viewer, "?format=ndjson").splitlines()]
    assert len(set(ids)) == len(ids) == 5


def test_a_wrong_filter_or_format_exports_nothing(viewer: Client):
    assert viewer.get("/export/audit/?start=soon").status_code == 422
    assert viewer.get("/export/audit/?format=xls").status_code == 422


def test_filters_of_few_entries_are_answered_by_an_index():
    """With each filter, the other million entries are not read."""
    rows = models.AuditEntry.objects.order_by("-at", "-id")
    for wanted in (
        {"person": "ada"}, {"action": "purge"}, {"person": "ada", "action": "purge"}, {"person": "ada", "start": NOW},
        {"start": NOW, "end": NOW + 60},
    ):  # fmt: skip
        plan = rows.matching(**wanted).values_list("pk").explain()
        if rows.db == "store" and "SEARCH" in plan:
            assert "TEMP B-TREE" not in plan, f"{wanted}: {plan}"
        assert "SCAN dash_audit\n" not in f"{plan}\n", f"{wanted}: {plan}"


def test_a_task_and_a_session_tell_their_history(manager: Client):
    task = make_task("Parser", id="t1")
    manager.post("/tasks/t1/move/", {"etag": models.row_hash(task), "status": "Done"})
    html = " ".join(re.sub("<[^>]+>", " ", manager.get("/tasks/t1/").content.decode()).split())
    assert "manager moved Parser from Todo to Done" in html
