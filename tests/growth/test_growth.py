"""Growth: the samples say what is there, the walk goes on where it stopped, and the page reads samples alone."""

import itertools
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from statestore import growth, models
from statestore.db.routers import store_alias
from statestore.growth import forecast as lines
from statestore.growth import limits, sampling
from statestore.models import Sample
from statestore.operations import housekeeping
from statestore.views.svg import treemap
from statestore.views.svg.treemap import Part
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

HOUR, DAY = limits.HOUR, limits.DAY


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path) -> Any:
    with override_settings(BACKUP_DIR=tmp_path / "backups", VAR_DIR=tmp_path, BACKUP_EVERY_HOURS=0):
        yield


def sampled(kind: str, at: int | None = None) -> dict[str, tuple[int, int]]:
    rows = Sample.objects.using(store_alias()).of(kind)
    return {row.name: (row.rows, row.bytes) for row in (rows if at is None else rows.filter(at=at))}


def fill(number: int = 3) -> None:
    for n in range(number):
        agent = make_agent(f"a{n}", namespace="build" if n else "", state={"messages": ["é" * 10 * n], "step": 1})
        make_transition(agent, {"a": 1}, {"a": 22})
        make_snapshot(agent, {"b": "x" * 100 * n})
        make_event(content="hello", metadata=None)


def text_bytes(value: Any) -> int:
    return len(json.dumps(value).encode())


def test_the_samples_are_the_sums_of_the_bytes_of_the_texts():
    fill()
    make_transition("gone", "12345", "123")
    assert growth.sample(store_alias(), NOW)
    tables = sampled("table")
    snapshots = [text_bytes({"b": "x" * 100 * n}) for n in range(3)]
    assert tables["state_snapshots"] == (3, sum(snapshots))
    assert tables["events"] == (3, 15)
    assert tables["state_transitions"] == (4, 3 * (text_bytes({"a": 1}) + text_bytes({"a": 22})) + 8)
    states = [len(agent.state_data.encode()) + 2 for agent in models.AgentState.objects.order_by("agent_id")]
    assert tables["agent_states"] == (3, sum(states))
    each = [state + snapshot + 17 for state, snapshot in zip(states, snapshots, strict=True)]
    assert sampled("agent") == {**{f"a{n}": (3, each[n]) for n in range(3)}, "gone": (1, 8)}
    assert sampled("namespace") == {
        "": (3, each[0]), "build": (6, each[1] + each[2]), sampling.OF_DELETED: (1, 8)
    }  # fmt: skip
    assert sampled("path")[json.dumps(["a2", "/messages"])] == (1, len(json.dumps(["é" * 20])))


def test_a_walk_that_is_stopped_anywhere_goes_on_and_counts_the_same(monkeypatch: pytest.MonkeyPatch):
    fill(7)
    growth.sample(store_alias(), NOW)
    wanted = {kind: sampled(kind) for kind in sampling.WALKED}
    monkeypatch.setattr(limits, "SLICE_ROWS", 2)
    runs = 0
    at = NOW + DAY
    is_done = False
    while not is_done:
        slices = partial(next, iter([True, True]), False)
        is_done = growth.sample(store_alias(), at + runs, slices)
        runs += 1
        assert runs < 100
    assert runs > 5
    assert {kind: sampled(kind, at) for kind in sampling.WALKED} == wanted
    assert not Sample.objects.of("walk").exists()


def test_a_damaged_note_of_a_walk_begins_it_anew():
    fill()
    Sample.objects.create(at=NOW, kind="walk", name='{"at": 1, "other": 2}')
    assert growth.sample(store_alias(), NOW)
    assert sampled("table")["events"][0] == 3


def test_what_was_just_sampled_is_not_sampled_again():
    fill()
    growth.sample(store_alias(), NOW)
    number = Sample.objects.count()
    growth.sample(store_alias(), NOW + 60)
    assert Sample.objects.count() == number
    growth.sample(store_alias(), NOW + HOUR)
    assert Sample.objects.count() == 2 * number


def test_more_agents_than_are_counted_leave_the_largest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "COUNTED_AGENTS", 2)
    monkeypatch.setattr(limits, "SLICE_ROWS", 3)
    for n in range(12):
        make_agent(f"a{n:02}", state={"x": "y" * (1000 if n == 4 else n)})
    growth.sample(store_alias(), NOW)
    assert next(iter(sampled("agent"))) == "a04"


def test_housekeeping_takes_the_first_samples():
    fill()
    housekeeping.run_once(store_alias())
    assert sampled("table")["events"] == (3, 15)
    assert sampled("place")["used"][1] > 0


@pytest.mark.one_store
def test_backups_are_counted(tmp_path: Path):
    (tmp_path / "backups" / "one").mkdir(parents=True)
    (tmp_path / "backups" / "one" / "store.db").write_bytes(b"x" * 1000)
    growth.sample(store_alias(), NOW)
    assert sampled("place")["backups"] == (1, 1000)


def test_old_samples_are_thinned_to_one_a_day_and_go_after_a_year():
    rows = [Sample(at=NOW - hours * HOUR, kind="place", name="used", bytes=hours) for hours in range(0, 24 * 400, 3)]
    Sample.objects.bulk_create(rows)
    sampling.thin(store_alias(), NOW)
    kept = sorted(Sample.objects.values_list("at", flat=True))
    assert kept[0] >= NOW - 365 * DAY
    recent = [at for at in kept if at > NOW - 7 * DAY]
    assert len(recent) == 7 * 8
    older = [at // DAY for at in kept if at <= NOW - 7 * DAY]
    assert len(older) == len(set(older)) == 358
    assert sampling.thin(store_alias(), NOW) == 0


@given(st.integers(1, 10**9), st.integers(0, 10**12), st.integers(3, 40))
def test_the_line_of_steady_growth_is_the_growth(per_hour: int, start: int, number: int):
    found = lines.forecast([(NOW + n * HOUR, start + n * per_hour) for n in range(number)], 24 * per_hour)
    assert found is not None
    assert found.bytes_per_day == pytest.approx(24 * per_hour, rel=1e-6)
    assert found.full_at == pytest.approx(NOW + (number - 1) * HOUR + DAY, abs=2)


def test_there_is_no_forecast_without_growth_or_samples():
    steady = lines.forecast([(NOW + n * HOUR, 1000 - n) for n in range(5)], 10**6)
    assert steady is not None
    assert steady.full_at is None
    assert lines.forecast([(NOW, 1), (NOW + DAY, 2)], 10) is None
    assert lines.forecast([(NOW + n, n) for n in range(10)], 10) is None


@given(st.lists(st.integers(0, 10**12), max_size=40))
def test_the_cells_of_a_treemap_fill_it_by_their_shares_and_do_not_overlap(numbers: list[int]):
    cells = treemap.draw([Part(str(n), "table", number) for n, number in enumerate(numbers)])
    total = sum(numbers)
    assert len(cells) == sum(number > 0 for number in numbers)
    boxes = [(float(c.x[:-1]), float(c.y), float(c.width[:-1]), float(c.height)) for c in cells]
    wanted = sorted((number for number in numbers if number), reverse=True)
    for (left, top, width, height), number in zip(boxes, wanted, strict=True):
        assert width * height / (100 * treemap.HEIGHT) == pytest.approx(number / total, abs=0.002)
        assert left + width <= 100.02
        assert top + height <= treemap.HEIGHT + 0.2
    for n, (left, top, width, height) in enumerate(boxes):
        for x, y, w, h in boxes[n + 1 :]:
            overlap = min(left + width, x + w) - max(left, x), min(top + height, y + h) - max(top, y)
            assert min(overlap) < 0.11


def test_states_that_are_there_already_are_counted(viewer: Client):
    agent = make_agent("a1", state={"n": 0})
    states = [{"n": number, "said": "hello " * 50} for number in range(5)]
    for before, after in itertools.pairwise(states):
        make_transition(agent, before, after)
    growth.sample(store_alias(), NOW, seconds=60)
    share = growth.report(store_alias()).repeated["a1"]
    # Four transitions have eight states, of which three are the state after the one before.
    assert share == pytest.approx(100 * 3 / 8, abs=0.5)
    assert re.search(r"38\s*%|37\s*%", viewer.get("/growth/").content.decode())


def test_no_more_states_are_compared_than_the_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "COMPARED_BYTES", 1)
    agent = make_agent("a1")
    make_transition(agent, {"n": 1}, {"n": 1})
    growth.sample(store_alias(), NOW, seconds=60)
    assert growth.report(store_alias()).repeated["a1"] == 0


def test_the_page_says_what_grew(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "now", lambda: NOW + 2 * DAY)
    make_agent("a1", state={"messages": ["x"] * 3, "step": 1})
    assert "Nothing was measured yet" in viewer.get("/growth/").content.decode()
    growth.sample(store_alias(), NOW)
    models.AgentState.objects.update(state_data=json.dumps({"messages": ["x" * 5000] * 3, "step": 1}))
    growth.sample(store_alias(), NOW + DAY)
    page = viewer.get("/growth/").content.decode()
    assert "<code>/messages</code> is 100 % of the state of" in page.replace("\n", " ")
    assert "+14.6 KB" in page
    answer = viewer.get("/api/v1/growth").json()
    (path,) = [one for one in answer["paths"] if one["name"] == "/messages"]
    assert (path["grown"], path["rows"], path["agent_id"]) == (14_997, 3, "a1")
    assert answer["before_at"] == NOW


@pytest.mark.parametrize(("has_disk", "said"), [(True, "the disk is full"), (False, "is not known here")])
def test_the_page_says_when_the_disk_is_full_or_that_it_is_not_known(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, has_disk: bool, said: str
):
    monkeypatch.setattr(models, "now", lambda: NOW + DAY)
    names = {"used": 10**9, **({"disk free": 10**9} if has_disk else {})}
    Sample.objects.bulk_create(
        Sample(at=NOW + hour * HOUR, kind="place", name=name, bytes=size + (hour * 10**6 if name == "used" else 0))
        for hour in range(5) for name, size in names.items()
    )  # fmt: skip
    assert said in viewer.get("/growth/").content.decode()


def test_the_page_reads_samples_alone_by_an_index_and_takes_no_more_queries_for_more(viewer: Client):
    fill()
    growth.sample(store_alias(), NOW)
    numbers = []
    for size in (1, 400):
        Sample.objects.bulk_create(
            Sample(at=NOW - n * HOUR, kind=kind, name=f"n{n % 20}" if kind != "path" else '["a", "/b"]', bytes=n)
            for n in range(size) for kind in ("place", *sampling.WALKED)
        )  # fmt: skip
        with CaptureQueriesContext(connections[store_alias()]) as queries:
            growth.report(store_alias())
        numbers.append(len(queries))
        for query in queries:
            assert "dash_sample" in query["sql"]
            if connections[store_alias()].vendor == "sqlite" and query["sql"].startswith("SELECT"):
                with connections[store_alias()].cursor() as cursor:
                    plan = str(cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}").fetchall())
                assert "USING INDEX dash_sample" in plan or "USING COVERING INDEX dash_sample" in plan, plan
                assert "SCAN" not in plan
    # Where no sample is a day old, the first one is looked for too.
    assert numbers == [16, 14]


def test_a_user_of_some_namespaces_is_not_shown_the_whole_store(people: Any):
    models.UserAccess.objects.create(user=people["viewer"], namespaces=["build"])
    client = signed_in(people["viewer"])
    assert client.get("/growth/").status_code == 403
    assert "/growth/" not in client.get("/agents/").content.decode()
