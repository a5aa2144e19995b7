"""The search page: what was typed, found, narrowed, kept, exported and followed."""

import csv
import io
import json
import random
import re
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from statestore import models, search
from statestore.db.routers import store_alias
from statestore.search import limits
from statestore.views import search_page
from tests.builders import NOW, make_event
from tests.faults.scale import times

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("index_file")]


def page(client: Client, q: str = "", **more: str) -> str:
    response = client.get("/events/", {"q": q, **more})
    assert response.status_code == 200, response.content[:500]
    # Templates break lines inside of tags, where nobody sees them.
    return re.sub(r"<mark\s+>", "<mark>", response.content.decode())


def rows(html: str) -> int:
    return len(re.findall(r"<tr\s+data-row", html))


def test_what_was_searched_for_is_found_and_marked(viewer: Client):
    make_event(content="the Parser failed", event_type="error")
    make_event(content="all is well")
    html = page(viewer, "parser")
    assert rows(html) == 1
    assert "<mark>Parser</mark>" in html
    assert re.search(r"<strong class=\"number\">1</strong>\s*match", html)


def header(html: str) -> str:
    found = re.search(r'<strong class="number">(.*?), newest\s+first', html, re.DOTALL)
    assert found
    return " ".join(found[1].replace("</strong>", "").split())


def test_an_id_that_is_shortened_has_its_whole_text_behind_it_and_another_one_nothing(viewer: Client):
    make_event(session_id="a-session-with-a-very-long-name", actor_id="short", event_type="", content="x")
    page = viewer.get("/events/").content.decode()
    assert '<span title="a-session-with-a-very-long-name">a-sessio…ong-name</span>' in page
    assert "<span>short</span>" in page
    assert "<span>(empty)</span>" in page


@pytest.mark.sqlite
def test_the_number_above_the_answer_is_true_and_says_how_far_it_reaches(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
):
    """Of candidates that were read and were no matches, it once said that there are more than a thousand matches."""
    for number in range(30):
        make_event(id=f"e{number}", content="zq" if number == 19 else "nothing", timestamp=NOW + number)
    search.index_all()
    assert header(page(viewer, "zq")) == "1 match"
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 10)
    assert re.fullmatch(r"0 matches back to 2026-\S+ \S+ UTC", header(page(viewer, "zq")))
    monkeypatch.setattr(limits, "UNINDEXED_EVENTS", 15)
    assert re.fullmatch(r"1 match back to 2026-\S+ \S+ UTC", header(page(viewer, "zq")))
    monkeypatch.setattr(search_page, "COUNTED", 20)
    assert header(page(viewer, "nothing")) == "20+ matches"


@pytest.mark.parametrize(
    "text", ['"', "(", "^", "-x", "x:y", "", "a", "ab", "x" * 10_000, "x" * 10_001, "%", "type:", "after:soon"]
)
def test_no_text_is_too_odd(viewer: Client, text: str):
    make_event(content="x:y (a) ab ^")
    page(viewer, text)


PIECES = (
    "parser",
    "type:",
    "-",
    '"',
    "after:",
    "before:1h",
    " ",
    "%",
    "_",
    "é",
    "\u202e",
    "\ud800",
    "日本",
    "\\",
    "'",
    "(",
    "*",
)


def test_no_random_text_is_an_error(viewer: Client):
    make_event(content='parser "quoted" 100% é 日本')
    search.index_all()
    chance = random.Random(11)
    for _ in range(times(100, 5_000)):
        drawn = [chance.choice(PIECES) if chance.random() < 0.6 else chr(chance.randrange(1, 0x3000)) for _ in range(9)]
        text = "".join(drawn[: chance.randrange(10)])
        status = viewer.get(
            "/events/", {"q": text.encode("utf-8", "surrogatepass")}, HTTP_HX_REQUEST="true"
        ).status_code
        assert status == 200, repr(text)


def test_an_event_of_50_mb_is_found_by_its_beginning(viewer: Client, on_sqlite: bool):
    event = make_event(content="alpha " + "x" * 50_000_000 + " omega")
    search.index_all()
    html = page(viewer, "alpha")
    assert rows(html) == 1
    assert ("first megabyte is indexed" in html) is on_sqlite, "PostgreSQL indexes all of it"
    assert len(html) < 100_000
    detail = viewer.get(event.get_absolute_url())
    assert detail.status_code == 200
    assert len(detail.content) < 1_000_000


def test_a_nul_is_refused_in_its_place(viewer: Client):
    html = page(viewer, "ab\0cd")
    assert "NUL" in html
    assert re.search(r"ab<mark>.*</mark>cd", html)


def test_a_mistake_is_shown_where_it_is_and_the_text_kept(viewer: Client):
    html = page(viewer, 'parser "open')
    assert "Unclosed quotation mark" in html
    assert "parser <mark>&quot;</mark>open" in html
    assert f'value="{escape(chr(34).join(["parser ", "open"]))}"' in html


def test_facets_narrow_and_exclude(viewer: Client):
    for number in range(3):
        make_event(event_type="error", actor_id=f"agent-{number}")
    make_event(event_type="message", git_commit="a41f" * 10)
    search.index_all()
    html = page(viewer)
    assert "?q=type%3Aerror" in html
    assert "?q=-type%3Aerror" in html
    assert "?q=commit%3A" in html
    assert rows(page(viewer, "type:error")) == 3
    assert rows(page(viewer, "-type:error")) == 1
    counted = search.facets_of(search.parse(""))
    assert counted.values["type"] == [("error", 3), ("message", 1)]
    assert (counted.total, counted.has_more) == (4, False)


def test_facets_count_what_changed_since_too(viewer: Client):
    make_event(id="e1", event_type="old")
    search.index_all()
    models.Event.objects.filter(pk="e1").update(event_type="new")
    assert search.facets_of(search.parse("")).values["type"] == [("new", 1)]


def test_the_histogram_spreads_all_matches_and_its_bars_zoom(viewer: Client):
    for number in range(60):
        make_event(content="spread", timestamp=NOW + number * 3600)
    for indexed in (False, True):
        if indexed:
            search.index_all()
        found = search.histogram_of(search.parse("spread"))
        assert sum(bar.count for bar in found.bars) == 60
        assert all(one.end == other.start for one, other in zip(found.bars, found.bars[1:], strict=False))
    bar = found.bars[0]
    assert len(search.find(search.parse("spread").between(bar.start, bar.end))) == bar.count
    zoomed = search.parse("spread").between(bar.start, bar.end)
    assert re.fullmatch(r"spread after:2026-\S{8}:00:00 before:2026-\S{8}:00:00", str(zoomed))
    assert escape(search_page.address(zoomed)) in page(viewer, "spread")


def test_addresses_of_an_earlier_release_lead_to_the_query(viewer: Client):
    response = viewer.get("/events/", {"actor": "agent 1", "q": "x"})
    assert (response.status_code, response["Location"]) == (302, "/events/?q=x+actor%3A%22agent+1%22")


def test_an_absolute_range_is_chosen_in_a_form_and_stands_in_it(viewer: Client):
    make_event(content="x")
    html = page(viewer, "x type:message after:2h")
    assert 'name="q" value="x type:message"' in html, "the form replaces the times that there are"
    chosen = {"q": "x", "after": "2026-11-21T09:00", "before": "2026-11-21T10:00:05"}
    response = viewer.get("/events/", chosen, follow=True)
    assert response.redirect_chain == [
        ("/events/?q=x+after%3A2026-11-21T09%3A00+before%3A2026-11-21T10%3A00%3A05", 302)
    ]
    html = response.content.decode()
    assert 'name="after" step="1" value="2026-11-21T09:00:00"' in html.replace("\n", " ").replace("  ", "")
    assert 'aria-current="true">Custom' in html
    assert viewer.get("/events/", {"q": "", "after": "", "before": ""}).status_code == 200


def test_a_view_is_saved_for_oneself_and_deleted(viewer: Client, operator: Client):
    response = viewer.post("/search/views/", {"name": "Mine <b>", "q": "type:error after:2h"})
    assert response["Location"] == "/events/?q=type%3Aerror+after%3A2h"
    assert "Mine &lt;b&gt;" in page(viewer)
    assert "Mine" not in page(operator)
    (view,) = models.SavedSearch.objects.all()
    assert operator.post(f"/search/views/{view.pk}/delete/").status_code == 404
    assert viewer.post(f"/search/views/{view.pk}/delete/").status_code == 302
    assert not models.SavedSearch.objects.exists()


def test_a_query_with_a_mistake_is_not_saved(viewer: Client):
    assert viewer.post("/search/views/", {"name": "x", "q": '"'}).status_code == 422
    assert not models.SavedSearch.objects.exists()


def test_all_that_was_found_is_exported_and_no_cell_is_a_formula(viewer: Client):
    for number in range(230):
        make_event(id=f"e{number}", content=f"=cmd|'/c calc'!A{number}", timestamp=NOW + number)
    make_event(content="other")
    response = viewer.get("/search/export/", {"q": "calc", "format": "csv"})
    lines = list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert len(lines) == 231
    assert lines[1][0] == "e229"
    assert all(line[6].startswith("'=cmd") for line in lines[1:])
    response = viewer.get("/search/export/", {"q": "calc", "format": "ndjson"})
    events = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [event["id"] for event in events] == [f"e{number}" for number in reversed(range(230))]
    assert events[0]["content"] == "=cmd|'/c calc'!A229"


def exported(client: Client, kind: str, q: str = "") -> bytes:
    response = client.get("/search/export/", {"q": q, "format": kind})
    return b"".join(response.streaming_content)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "  =", "\u00a0=", "\u3000＝", "\t"])
def test_no_sign_that_a_spreadsheet_takes_for_a_formula_begins_a_cell(viewer: Client, start: str):
    make_event(content=f"{start}1+1")
    (line,) = list(csv.reader(io.StringIO(exported(viewer, "csv").decode(), newline="")))[1:]
    assert line[6] == f"'{start}1+1"
    assert json.loads(exported(viewer, "ndjson"))["content"] == f"{start}1+1"


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r\n", ";;", "; ", "\t\n", ';"', "; \ufeff", "\x0b", "\x85"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝"])
def test_no_formula_begins_where_a_spreadsheet_might_split_a_cell(viewer: Client, separator: str, sign: str):
    make_event(content=f"a{separator}{sign}1+1{separator}{sign}2")
    rows = exported(viewer, "csv").decode()
    (line,) = list(csv.reader(io.StringIO(rows, newline="")))[1:]
    assert line[6] == f"a{separator}'{sign}1+1{separator}'{sign}2"
    cells = [cell.strip(' \ufeff"\r\n') for cell in re.split(r"[;\t\r\n\x0b\x85]", rows)]
    assert not [cell for cell in cells if cell.startswith(sign)]
    assert json.loads(exported(viewer, "ndjson"))["content"] == f"a{separator}{sign}1+1{separator}{sign}2"


@pytest.mark.parametrize("start", ["\t=", "\n@", "\r\n-"])
def test_a_formula_after_a_separator_at_the_start_is_none_in_either_cell(viewer: Client, start: str):
    make_event(content=f"{start}1+1")
    (line,) = list(csv.reader(io.StringIO(exported(viewer, "csv").decode(), newline="")))[1:]
    assert line[6] == f"'{start[:-1]}'{start[-1]}1+1"


def test_signs_within_words_stay_as_they_are(viewer: Client):
    make_event(content="a-b; c=d, -e\tf+g")
    (line,) = list(csv.reader(io.StringIO(exported(viewer, "csv").decode(), newline="")))[1:]
    assert line[6] == "a-b; c=d, -e\tf+g"


def test_an_export_for_excel_begins_with_a_byte_order_mark(viewer: Client):
    make_event(content="é")
    plain = exported(viewer, "csv")
    marked = viewer.get("/search/export/", {"q": "", "format": "csv", "bom": "1"})
    assert b"".join(marked.streaming_content) == b"\xef\xbb\xbf" + plain
    assert "format=csv&amp;bom=1&amp;q=" in viewer.get("/events/").content.decode()
    lines = viewer.get("/search/export/", {"q": "", "format": "ndjson", "bom": "1"})
    assert b"".join(lines.streaming_content).startswith(b"{")


@pytest.mark.sqlite
def test_bytes_that_are_no_text_are_exported_as_they_are(viewer: Client):
    make_event()
    with connections[store_alias()].cursor() as cursor:
        cursor.execute("UPDATE events SET content = CAST(%s AS TEXT)", [b"caf\xe9"])
    assert b",caf\xe9," in exported(viewer, "csv")
    assert json.loads(exported(viewer, "ndjson"))["content"] == "caf\udce9"


@pytest.mark.sqlite
def test_an_export_is_whole_without_an_index(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    """It once ended, with nothing said, after the events that are read for one page."""
    monkeypatch.setattr(limits, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(limits, "LAST_INSERTED_EVENTS", 10)
    for number in range(60):
        make_event(id=f"e{number}", timestamp=NOW + number)
    ids = [json.loads(line)["id"] for line in exported(viewer, "ndjson").splitlines()]
    assert ids == [f"e{number}" for number in reversed(range(60))]


def test_an_export_holds_few_large_rows_at_once(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "EXPORT_BYTES_AT_ONCE", 1_000)
    for number in range(7):
        make_event(id=f"e{number}", content="x" * 450, timestamp=NOW + number)
    with CaptureQueriesContext(connections[store_alias()]) as captured:
        lines = exported(viewer, "ndjson").splitlines()
    assert len(lines) == 7
    reads = [query["sql"] for query in captured if '"metadata",' in query["sql"]]
    assert len(reads) == 4, "rows of at most 1,000 bytes together"


def test_an_unknown_export_is_refused(viewer: Client):
    assert viewer.get("/search/export/", {"format": "exe"}).status_code == 422


def tail_of(client: Client, q: str = "") -> str:
    """Return the cursor that the search page follows what is new from."""
    cursor = re.search(r'data-cursor="([^"]+)"', page(client, q))
    assert cursor
    return cursor[1]


def came(client: Client, q: str, cursor: str) -> tuple[list[str], Any]:
    """Return the events that the tail brings after a cursor, and its response."""
    response = client.get("/search/live/", {"q": q, "cursor": cursor})
    return re.findall(r'data-event="/events/([^"]+)/"', response.content.decode()), response


def test_the_tail_brings_what_is_new_and_the_cursor_to_go_on_with(viewer: Client):
    make_event(id="e1", content="seen", timestamp=NOW)
    names, first = came(viewer, "seen", tail_of(viewer, "seen"))
    assert names == []
    make_event(id="e2", content="seen again", timestamp=NOW)
    make_event(id="e3", content="not wanted", timestamp=NOW)
    names, second = came(viewer, "seen", first["X-Cursor"])
    assert (names, second["X-Count"]) == (["e2"], "2")
    names, third = came(viewer, "seen", second["X-Cursor"])
    assert (names, third.get("X-Count")) == ([], None)


def test_the_tail_of_an_empty_answer_begins_with_the_first_event(viewer: Client):
    cursor = tail_of(viewer, "first")
    make_event(id="e1", content="first")
    assert came(viewer, "first", cursor)[0] == ["e1"]


def test_the_tail_brings_what_was_saved_since_whatever_its_own_clock_says(viewer: Client):
    make_event(id="future", timestamp=NOW * 1000)
    cursor = tail_of(viewer)
    make_event(id="behind", timestamp=NOW - 30)
    make_event(id="now", timestamp=NOW)
    names, response = came(viewer, "", cursor)
    assert names == ["now", "behind"], "as the list is sorted"
    models.Event.objects.filter(pk="behind").delete()
    make_event(id="behind", timestamp=NOW - 20, content="saved again")
    assert came(viewer, "", response["X-Cursor"])[0] == ["behind"]


def test_the_tail_brings_many_by_and_by(viewer: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "TAIL_EVENTS", 3)
    monkeypatch.setattr(limits, "TAIL_ROWS", 5)
    monkeypatch.setattr(limits, "TAIL_REREAD_ROWIDS", 4)
    make_event(id="old")
    cursor = tail_of(viewer)
    for number in range(20):
        make_event(id=f"e{number}", content="wanted" if number != 7 else "other")
    found, more = [], "1"
    while more:
        names, response = came(viewer, "wanted", cursor)
        assert len(names) <= 3
        found += names[::-1]
        cursor, more = response["X-Cursor"], response["X-More"]
    assert found == [f"e{number}" for number in range(20) if number != 7]


def test_the_tail_brings_what_a_transaction_saved_that_ended_later_than_another(viewer: Client):
    def move(name: str, rowid: int) -> None:
        with connections[store_alias()].cursor() as cursor:
            cursor.execute("UPDATE events SET rowid = %s WHERE id = %s", [rowid, name])

    make_event(id="before")
    cursor = tail_of(viewer)
    place = models.Event.objects.get(pk=make_event(id="late").pk).rowid
    make_event(id="early")
    move("late", -1_000_000)
    names, response = came(viewer, "", cursor)
    assert names == ["early"]
    move("late", place)
    names, response = came(viewer, "", response["X-Cursor"])
    assert names == ["late"]
    assert came(viewer, "", response["X-Cursor"])[0] == []


def test_a_tail_whose_last_place_is_gone_says_that_it_is_lost(viewer: Client):
    make_event(id="stays")
    make_event(id="goes")
    cursor = tail_of(viewer)
    models.Event.objects.filter(pk="goes").delete()
    names, response = came(viewer, "", cursor)
    assert (names, response["X-Lost"]) == ([], "1")
    make_event(id="next")
    assert came(viewer, "", response["X-Cursor"])[0] == ["next"]


@pytest.mark.parametrize("cursor", ["last", "x.y", "1.", "1." + "f" * 9000, f"{2**63}.1"])
def test_a_damaged_tail_is_refused(viewer: Client, cursor: str):
    assert viewer.get("/search/live/", {"cursor": cursor}).status_code == 422


def test_names_and_values_are_offered(viewer: Client):
    make_event(event_type="tool_use", session_id="build 7")
    search.index_all()
    assert b"actor-type:" in viewer.get("/search/complete/", {"q": "act"}).content
    assert b"tool_use" in viewer.get("/search/complete/", {"q": "x type:to"}).content
    offered = search.complete("-session:bu", 11)
    assert [one.text for one in offered] == ['-session:"build 7" ']
    assert search.complete("nothing:", 8) == []


def test_an_event_has_a_page_with_what_happened_around_it(viewer: Client):
    for number in range(9):
        make_event(id=f"e{number}", content=f"step {number}", timestamp=NOW + number)
    make_event(id="elsewhere", session_id="other", content="far away", timestamp=NOW + 4)
    html = viewer.get("/events/e4/").content.decode()
    assert "step 3" in html
    assert "step 5" in html
    assert "far away" not in html
    part = viewer.get("/events/e4/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert viewer.get("/events/none/").status_code == 404


def test_what_was_searched_for_is_marked_wherever_it_was_found(viewer: Client):
    make_event(id="e1", content='{"a": ["the PARSER"], "parser": 1}', event_type="parser_error", session_id="parser-1")
    html = page(viewer, "parser")
    for shown in ("<mark>parser</mark>_error", "<mark>parser</mark>-1", "<mark>PARSER</mark>"):
        assert shown in html
    link = re.search(r'href="(/events/e1/[^"]*)"', html)
    assert link
    own = viewer.get(link[1]).content.decode()
    for shown in ("<mark>parser</mark>_error", "<mark>parser</mark>-1", "the <mark>PARSER</mark>"):
        assert shown in own
    assert '<span class="name"><mark>parser</mark></span>' in own
    assert "<mark>" not in viewer.get("/events/e1/").content.decode()


@pytest.mark.parametrize("word", ["path", "value", "key", "amp", "quot", "span", "name"])
def test_only_what_an_agent_wrote_is_marked_in_a_tree(viewer: Client, word: str):
    make_event(id="e1", content='{"a": {"b": "x & \\"y\\""}}')
    html = viewer.get("/events/e1/", {"q": word}).content.decode()
    assert "<mark>" not in html


def test_any_query_may_stand_beside_an_event(viewer: Client):
    make_event(id="e1", content="<b>")
    for text in ('"', "<", "-b", "type:", "b" * 20_000):
        html = viewer.get("/events/e1/", {"q": text}).content.decode()
        assert "<b>" not in html.split("Content</h2>")[1].split("</section>")[0]


def test_an_events_content_is_a_tree_under_its_own_name(viewer: Client):
    make_event(id="e1", content='{"list": ["x"]}', metadata='{"m": 1}')
    html = viewer.get("/events/e1/").content.decode()
    assert html.count('<div class="tree"') == 2
    assert '<span class="name">content</span>' in html
    assert '<span class="name">metadata</span>' in html


def test_what_an_agent_wrote_is_text(viewer: Client):
    make_event(id="<script>", content="<script>alert(1)</script>", event_type="<img src=x>", session_id="<b>")
    html = page(viewer, "script")
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;<mark>script</mark>&gt;alert" in html


def test_the_number_of_questions_does_not_grow(viewer: Client):
    def asked() -> int:
        with CaptureQueriesContext(connections[store_alias()]) as captured:
            page(viewer, "common type:message", size="25")
        return len(captured)

    for number in range(30):
        make_event(content=f"common {number}")
    search.index_all()
    before = asked()
    for number in range(200):
        make_event(content=f"common {number}")
    search.index_all()
    assert asked() <= before + 1


def test_events_of_nobody_are_seen_by_nobody(people: Any):
    from tests.conftest import signed_in

    nobody = signed_in(people["nobody"])
    for address in ("/events/", "/search/live/", "/search/complete/", "/search/export/", "/sessions/", "/tasks/"):
        assert nobody.get(address).status_code == 403, address
        assert Client().get(address).status_code == 302, address


def test_all_that_happened_at_a_commit_is_on_one_page(viewer: Client, settings: Any):
    sha = "a41f" * 10
    settings.COMMIT_URL = "https://git.example.org/commit/{commit}"
    make_event(content="at it", git_commit=sha)
    make_event(content="elsewhere", git_commit="b" * 40)
    html = viewer.get(f"/commits/{sha}/").content.decode()
    assert rows(html) == 1
    assert f"https://git.example.org/commit/{sha}" in html
    assert f"/commits/{sha}/" in page(viewer, "at")
    assert "No events for this commit" in viewer.get("/commits/ffff/").content.decode()


def test_a_search_without_matches_says_what_each_term_costs(viewer: Client):
    for number in range(3):
        make_event(content="patch rejected", event_type="error", session_id=f"s{number % 2}", timestamp=NOW)
    page = viewer.get("/events/", {"q": "rejected session:s1 type:tool_use -actor:nobody"})
    assert not page.context["rows"]
    said = [(one.term.name, str(one.count)) for one in page.context["widenings"]]
    assert said == [("type", "1")], "Only without the type there is a match in this session."
    html = page.content.decode()
    assert "Without type:tool_use" in " ".join(re.sub(r"<[^>]+>", "", html).split())
    wider = viewer.get(page.context["widenings"][0].url)
    assert len(wider.context["rows"]) == 1


def test_a_single_term_has_nothing_to_be_taken_away(viewer: Client):
    make_event(content="x")
    assert viewer.get("/events/?q=nothing-like-it").context["widenings"] == []
