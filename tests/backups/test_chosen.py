"""Chosen agents, tasks and sessions of a backup come back into the live store, after a preview, and can be undone."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from statestore import backups, models, restore
from statestore.access.audit import SYSTEM
from statestore.backups import chosen
from statestore.db.routers import store_alias
from statestore.errors import Moved
from statestore.tasks import edits
from tests.builders import make_session, make_task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("filled")]

STATE = json.dumps({"step": 1, "notes": "ö" * 100})
TASK = "7b0d4c1e-3f7f-4a46-9c3e-000000000001"


def put_back(path: Path, **options: list[str]) -> str:
    out = StringIO()
    call_command("restore-backup", str(path), yes=True, stdout=out, **options)
    return out.getvalue()


def change_agent() -> None:
    models.AgentState.objects.filter(agent_id="agent-1").update(state_data='{"step": 99}')


def state_of(agent_id: str) -> str:
    return str(models.AgentState.objects.get(agent_id=agent_id).state_data)


def test_an_agent_gets_the_state_of_the_backup_and_the_restore_can_be_undone(tmp_path: Path):
    backup = backups.take(tmp_path)
    change_agent()
    told = put_back(backup.path, agent=["agent-1"])
    assert state_of("agent-1") == STATE
    assert "the state of the backup of" in told
    done = models.Restore.objects.get()
    assert (done.kind, f"/restores/{done.pk}/" in told) == ("backup", True)
    restore.undo(done, by=SYSTEM)
    assert state_of("agent-1") == '{"step": 99}'


def test_an_agent_that_was_deleted_is_created_again(tmp_path: Path):
    backup = backups.take(tmp_path)
    models.AgentState.objects.filter(agent_id="agent-1").delete()
    models.Transition.objects.filter(agent_id="agent-1").delete()
    models.Snapshot.objects.filter(agent_id="agent-1").delete()
    put_back(backup.path, agent=["agent-1"])
    assert state_of("agent-1") == STATE


def test_a_task_comes_back_and_the_edit_can_be_undone(tmp_path: Path):
    task = make_task("Parser", id=TASK, priority="high", description="tab\there, new\nline, back\\slash")
    backup = backups.take(tmp_path)
    models.Task.objects.filter(pk=TASK).update(title="Broken", priority="low", description=None)
    told = put_back(backup.path, task=[TASK])
    row = models.Task.objects.get(pk=TASK)
    assert (row.title, row.priority, row.description) == (task.title, "high", task.description)
    assert "title: Broken → Parser" in told
    edits.revert(edits.entries().order_by("-id")[0], by=SYSTEM)
    assert models.Task.objects.get(pk=TASK).title == "Broken"


def test_a_deleted_task_and_a_session_come_back(tmp_path: Path):
    make_task("Parser", id=TASK)
    session = make_session("agent-1", id="build-7")
    backup = backups.take(tmp_path)
    models.Task.objects.all().delete()
    models.Session.objects.all().delete()
    put_back(backup.path, task=[TASK], session=["build-7"])
    assert models.Task.objects.get(pk=TASK).title == "Parser"
    assert models.Session.objects.get(pk="build-7").ended_at == session.ended_at


def test_what_is_as_in_the_backup_is_left_alone(tmp_path: Path):
    backup = backups.take(tmp_path)
    assert "already has the state of the backup" in put_back(backup.path, agent=["agent-1"])
    assert not models.Restore.objects.exists()


def test_a_change_since_the_preview_is_not_overwritten(tmp_path: Path):
    make_task("Parser", id=TASK)
    backup = backups.take(tmp_path)
    change_agent()
    models.Task.objects.filter(pk=TASK).update(title="Broken")
    agent, task = chosen.agent(backup, "agent-1", using=store_alias()), chosen.task(backup, TASK, using=store_alias())
    models.AgentState.objects.filter(agent_id="agent-1").update(state_data='{"step": 100}')
    models.Task.objects.filter(pk=TASK).update(title="Mended")
    with pytest.raises(Moved):
        restore.apply(agent.plan, by=SYSTEM)
    with pytest.raises(Moved):
        chosen.put_back_row(task, by=SYSTEM, using=store_alias())
    assert (state_of("agent-1"), models.Task.objects.get(pk=TASK).title) == ('{"step": 100}', "Mended")


def test_what_the_backup_does_not_have_is_named(tmp_path: Path):
    backup = backups.take(tmp_path)
    with pytest.raises(CommandError, match="The agent nobody is not in"):
        put_back(backup.path, agent=["nobody"])


def test_a_damaged_backup_changes_nothing(tmp_path: Path):
    backup = backups.take(tmp_path)
    change_agent()
    (backup.path / backup.manifest.files[0].name).write_bytes(b"")
    with pytest.raises(CommandError, match="Nothing was changed"):
        put_back(backup.path, agent=["agent-1"])
    assert state_of("agent-1") == '{"step": 99}'


def test_a_file_and_chosen_rows_at_once_are_refused(tmp_path: Path):
    backup = backups.take(tmp_path)
    with pytest.raises(CommandError, match="Say --to FILE or --replace, or else which"):
        put_back(backup.path)
