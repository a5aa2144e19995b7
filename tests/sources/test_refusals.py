"""What cannot be put back in place is not offered: pages, previews of batches and calls say why before."""

import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from statestore import models, restore
from statestore.db.ids import to_address
from statestore.db.routers import store_alias
from tests.api.conftest import script_of
from tests.sources.conftest import Opener

pytestmark = pytest.mark.django_db

READ_ONLY = "documents/codex.jsonl"
WRITABLE = "langgraph/forks.sqlite"
REASON = (
    "Codex transcripts can be read here, but not be restored in place. Fork the agent to go on from this moment, or"
    " download its state."
)
Pages = Callable[[str], dict[str, str]]


@pytest.fixture
def pages(operator: Client) -> Pages:
    """Return what gives the pages of an agent from which its moments are put back, by their addresses."""

    def of_agent(agent_id: str) -> dict[str, str]:
        *_, row = models.Transition.objects.of_agent(agent_id).order_by("rowid")
        base = f"/agents/{to_address(agent_id)}/"
        members = [f"/{name}" for name in json.loads(row.state_after)]
        addresses = [
            base, f"{base}timeline/?moment=transition:{to_address(row.pk)}:after", f"{base}history/?path={members[0]}",
            f"/transitions/{to_address(row.pk)}/", "/snapshots/",
        ]  # fmt: skip
        return {address: operator.get(address, follow=True).content.decode() for address in addresses}

    return of_agent


def agent_of(reader: str) -> str:
    return str(models.SourceThread.objects.filter(reader=reader).order_by("pk")[0].agent_id)


def with_a_snapshot(agent_id: str) -> str:
    agent = models.AgentState.objects.get(agent_id=agent_id)
    models.Snapshot.objects.create(agent_id=agent_id, state_data=agent.state_data, created_at=1, description="kept")
    return agent_id


def test_no_page_offers_what_would_be_refused(opened: Opener, pages: Pages):
    opened(READ_ONLY)
    agent_id = with_a_snapshot(agent_of("codex"))
    for address, page in pages(agent_id).items():
        assert f"/agents/{to_address(agent_id)}/restore/" not in page, address
        assert escape(REASON) in page, address


def test_what_can_be_put_back_is_offered(opened: Opener, pages: Pages):
    opened(WRITABLE)
    agent_id = with_a_snapshot(agent_of("langgraph"))
    offered = [f"/agents/{to_address(agent_id)}/restore/" in page for page in pages(agent_id).values()]
    assert sum(offered) >= 4, offered


def test_the_list_of_snapshots_asks_once_for_all_of_its_rows(
    opened: Opener, operator: Client, django_assert_max_num_queries: Callable[..., object]
):
    opened(READ_ONLY)
    agent_id = agent_of("codex")
    for _ in range(20):
        with_a_snapshot(agent_id)
    operator.get("/snapshots/")
    with django_assert_max_num_queries(15, using=store_alias()):
        assert operator.get("/snapshots/").content.decode().count("not restorable in place") == 20


def test_the_preview_of_a_batch_says_which_agents_it_leaves_out(opened: Opener, people: dict[str, User]):
    opened(READ_ONLY)
    opened(WRITABLE)
    agents = models.AgentState.objects.filter(agent_id__in=[agent_of("codex"), agent_of("langgraph")])
    at = max(models.Transition.objects.of_agent(agent_of("codex")).values_list("timestamp", flat=True)) - 1
    refused = next(row for row in restore.preview_batch(agents, at) if row.agent.agent_id == agent_of("codex"))
    assert (refused.kind, refused.note, refused.is_choosable) == ("refused", REASON, False)
    found = script_of(people["administrator"]).get(f"/batches/preview?at={at}").json()
    assert [item["note"] for item in found["items"] if item["kind"] == "refused"] == [REASON]


def test_the_call_for_a_plan_is_refused_with_the_reason(opened: Opener, people: dict[str, User]):
    opened(READ_ONLY)
    agent_id = agent_of("codex")
    row = models.Transition.objects.of_agent(agent_id).order_by("rowid")[0]
    answer = script_of(people["administrator"]).post(
        "/restores", {"agent_id": agent_id, "moment": f"transition:{row.pk}:after", "dry_run": True}
    )
    assert answer.status_code == 409, answer.content
    assert answer.json()["detail"] == f"{REASON} Nothing was written."
