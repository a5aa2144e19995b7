"""A captured change that was changed or deleted after it was sealed is found when the chain is verified."""

import pytest

from statestore import models
from statestore.access import audit_chain, captured_seals
from statestore.db.routers import store_alias
from statestore.models import CapturedChange
from statestore.operations import housekeeping
from tests.builders import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_captured_yesterday")]
ROWS = 250


@pytest.fixture
def _captured_yesterday() -> None:
    CapturedChange.objects.bulk_create(
        CapturedChange(agent_id="a1", at=NOW - 86_400, state_before=f'{{"n": {n}}}', state_after=f'{{"n": {n + 1}}}')
        for n in range(ROWS)
    )


def seal() -> int:
    return sum(outcome.rows for outcome in housekeeping.seal_captured(store_alias(), lambda: True))


def faults() -> list[str]:
    return [fault.text for fault in audit_chain.verify(store_alias()).faults or []]


def number(place: int) -> int:
    """The key of one of them, counted from the oldest."""
    return list(CapturedChange.objects.order_by("pk").values_list("pk", flat=True))[place]


def test_each_is_sealed_once():
    assert seal() == ROWS
    assert seal() == 0
    CapturedChange.objects.create(agent_id="a1", at=NOW - 7200, state_before="1", state_after="2")
    assert seal() == 1
    assert faults() == []


def test_what_is_younger_than_an_hour_waits():
    CapturedChange.objects.update(at=models.now())
    assert seal() == 0
    assert not models.AuditEntry.objects.exists()


def test_a_changed_one_is_named_by_its_range():
    seal()
    first, last = number(100), number(199)
    CapturedChange.objects.filter(pk=number(150)).update(state_after='{"n": "other"}')
    (fault,) = faults()
    assert fault.startswith(f"One or more were changed of the captured changes {first} to {last}, which audit entry ")


def test_missing_ones_are_counted():
    seal()
    CapturedChange.objects.filter(pk__in=[number(120), number(121)]).delete()
    (fault,) = faults()
    assert fault.startswith("2 are missing of the captured changes")


def test_the_oldest_go_by_themselves():
    seal()
    CapturedChange.objects.filter(pk__lte=number(130)).delete()
    assert faults() == []
    CapturedChange.objects.filter(pk=number(100)).update(state_after="other")
    assert len(faults()) == 1, "the newer ones are proved as before"


@pytest.mark.parametrize("detail", ["", "7", "{}", '{"ranges": 7}', '{"ranges": {"x": 1}}', '{"ranges": {"1-2": [1]}}'])
def test_an_entry_whose_seals_cannot_be_read_breaks_no_verification(detail: str):
    entry = models.AuditEntry(action="seal", noun=captured_seals.NOUN, detail=detail)
    assert list(captured_seals.faults(entry, store_alias())) == []
