"""Pictures of time: their axes, scales and steps."""

import itertools
import re

import pytest
from django.test import Client

from statestore import models
from statestore.views.svg import axes, sparkline
from tests.builders import NOW, make_agent, make_event, make_snapshot, make_transition

HOUR, DAY = 3600, 86400
MIDNIGHT = NOW - NOW % DAY


def labels(start: int, end: int) -> list[str]:
    return [tick.label for tick in axes.time_ticks(start, end)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 60, ["00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50"]),
        (6 * HOUR, 12 * HOUR, ["07:00", "08:00", "09:00", "10:00", "11:00"]),
        (-18 * HOUR + DAY, 6 * HOUR + DAY, ["09:00", "12:00", "15:00", "18:00", "21:00", "Fri 2 Jan", "03:00"]),
        (HOUR, 5 * DAY + HOUR, ["Fri 2 Jan", "Sat 3 Jan", "Sun 4 Jan", "Mon 5 Jan"]),
        (0, 0, []),
    ],
)
def test_ticks_stand_at_full_units_of_the_clock(start: int, end: int, expected: list[str]):
    found = labels(start, end)
    assert [label for label in found if label in expected] == expected, found


@pytest.mark.parametrize("seconds", [1, 59, 3_599, 40_000, 900_000, 40_000_000, 10**12, 2**62])
@pytest.mark.parametrize("start", [0, NOW, 2**62, -5])
def test_there_are_never_many_ticks_for_any_time_that_a_program_wrote(seconds: int, start: int):
    ticks = axes.time_ticks(start, start + seconds)
    assert len(ticks) <= 17
    places = [float(tick.percent.rstrip("%")) for tick in ticks]
    assert places == sorted(places)
    assert all(3 <= place <= 97 for place in places), "A label at the end would be cut."
    rare = [float(tick.percent.rstrip("%")) for tick in ticks if tick.is_rare]
    assert all(after - before >= 32 for before, after in itertools.pairwise(rare)), "A phone has room for few."


def test_a_new_day_is_marked_and_no_hour_is_written_over_it():
    ticks = axes.time_ticks(MIDNIGHT - 20 * HOUR, MIDNIGHT + 4 * HOUR)
    assert [tick.is_day for tick in ticks].count(True) == 1
    assert {tick.label for tick in ticks if not tick.is_day} <= {f"{hour:02}:00" for hour in range(24)}


@pytest.mark.parametrize(
    ("most", "top"), [(0.5, 1), (1, 1), (3, 4), (7, 10), (10, 10), (11, 20), (126, 200), (4_100, 5_000)]
)
def test_a_scale_ends_at_a_round_number(most: float, top: float):
    assert axes.nice_top(most) == top
    assert next(tick.label for tick in axes.value_ticks(top, 60)) == f"{top:,.0f}"
    assert axes.value_ticks(top, 60)[-1].label == "0"


def test_the_sizes_of_states_are_steps_from_zero_up():
    assert sparkline.steps([]) == sparkline.steps([7]) == ""
    assert sparkline.steps([0, 100]) == "M0 16H88V1"
    assert sparkline.steps([5, 5, 5]).startswith("M0 1H44V1")


@pytest.mark.django_db
def test_a_path_of_numbers_is_drawn_as_steps_with_a_scale(viewer: Client):
    agent = make_agent("a", state={"spent": 30}, created_at=NOW, updated_at=NOW + 200)
    for number, (before, after) in enumerate(((0, 10), (10, 30))):
        make_transition(agent, {"spent": before}, {"spent": after}, timestamp=NOW + 100 * (number + 1))
    page = viewer.get("/agents/a/history/?path=/spent")
    drawn = page.context["drawn"]
    assert (drawn.count, drawn.least, drawn.most) == (3, "0", "30")
    assert [tick.label for tick in drawn.scale] == ["30", "0"]
    assert [step.title.split()[0] for step in drawn.steps] == ["0", "10", "30"]
    assert drawn.steps[0].y > drawn.steps[1].y > drawn.steps[2].y, "More is higher."
    assert 'role="img"' in page.content.decode()


@pytest.mark.django_db
def test_a_time_that_no_clock_can_show_is_drawn_as_its_number(viewer: Client):
    beyond = 10**15
    agent = make_agent("a", state={"spent": 30}, created_at=NOW, updated_at=beyond)
    make_transition(agent, {"spent": 10}, {"spent": 30}, timestamp=beyond)
    steps = viewer.get("/agents/a/history/?path=/spent").context["drawn"].steps
    assert steps[-1].title == f"30 from {beyond}"


@pytest.mark.django_db
def test_lanes_without_records_are_left_out_and_the_axis_ends_now(viewer: Client):
    now = models.now()
    agent = make_agent("a", updated_at=now)
    make_snapshot(agent, created_at=now - 5 * DAY - 17)
    make_transition(agent, timestamp=now)
    page = viewer.get("/agents/a/timeline/")
    assert [lane.name for lane in page.context["lanes"]] == ["transitions", "snapshots"]
    html = page.content.decode()
    assert int(re.findall(r'max="(\d+)"', html)[0]) <= models.now(), "The slider does not reach into the future."
    assert page.context["shown_end"] <= models.now()
    assert 'class="time-axis"' in html


@pytest.mark.one_store
@pytest.mark.django_db
def test_the_histogram_has_a_scale_an_axis_and_a_range_to_drag(viewer: Client):
    for number in range(30):
        make_event(content="spread", event_type="error", timestamp=NOW + number * HOUR)
    page = viewer.get("/events/?q=spread")
    drawn = page.context["histogram"]
    assert drawn.scale[-1].label == "0"
    assert drawn.zoom == "/events/?q=spread+after%3A{start}+before%3A{end}"
    start, end = NOW + 5 * HOUR, NOW + 9 * HOUR
    zoomed = viewer.get(drawn.zoom.replace("{start}", str(start)).replace("{end}", str(end)))
    assert len(zoomed.context["rows"]) == 4
    assert 'class="danger"' in page.content.decode(), "Errors stand out by their colour, and by their word."


@pytest.mark.django_db
def test_an_earlier_value_is_restored_from_the_history_of_its_path(operator: Client):
    agent = make_agent("a", state={"goal": "c", "step": 3}, updated_at=NOW + 300)
    for number, (before, after) in enumerate((("a", "b"), ("b", "c")), 1):
        make_transition(
            agent, {"goal": before, "step": number}, {"goal": after, "step": number + 1}, timestamp=NOW + 100 * number
        )
    html = operator.get("/agents/a/history/?path=/goal").content.decode()
    links = re.findall(r'href="(/agents/a/restore/[^"]+)"\s*>Restore this value…', html)
    assert len(links) == 1, "Not for the value that it has now."
    preview = operator.get(links[0].replace("&amp;", "&"))
    assert preview.context["ticked"] == {"~/goal"}, "The change of the step is not ticked."
    form = preview.content.decode()
    hidden = dict(re.findall(r'name="(moment|etag|state_hash|picking)" value="([^"]*)"', form))
    fields = {**hidden, "confirmed": 1, "path": '"~/goal"', "step": "preview"}
    shown = re.search(r'name="shown" value="([^"]+)"', operator.post("/agents/a/restore/", fields).content.decode())
    assert shown
    operator.post("/agents/a/restore/", {**fields, "step": "apply", "shown": shown[1]})
    assert models.AgentState.objects.get(pk=agent.pk).state_data == '{"goal": "b", "step": 3}'
