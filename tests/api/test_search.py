"""What a script may know of a search beside its answer, and the queries that it keeps."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from statestore import models, search
from statestore.db.routers import store_alias
from statestore.errors import ValidationError
from statestore.events import limits as events_limits
from statestore.events import saved_searches
from tests.api.conftest import Script, script_of
from tests.builders import NOW, make_agent, make_event, make_session

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("index_file")]


def make_events() -> None:
    for number in range(3):
        make_event(event_type="error", actor_id="a1", session_id="s1", timestamp=NOW + number, content="broken parser")
    make_event(event_type="commit", actor_id="b1", session_id="s2", timestamp=NOW + 3, git_commit="abc")
    search.index_all(store_alias())


def counted(script: Script, query: str, name: str = "type") -> list[tuple[str, int]]:
    answer = script.get(f"/events/search/facets?q={query}")
    assert answer.status_code == 200, answer.content
    return [(one["value"], one["count"]) for one in answer.json()["values"][name]]


def test_facets_count_what_the_query_finds(script: Script):
    make_events()
    assert counted(script, "") == [("error", 3), ("commit", 1)]
    assert counted(script, "parser") == [("error", 3)]
    assert counted(script, "", "commit") == [("abc", 1)]
    found = script.get("/events/search/facets?q=-type:error").json()
    assert (found["total"], found["has_more"], set(found["values"])) == (1, False, set(search.FIELDS))


def test_the_histogram_spreads_what_the_query_finds(script: Script):
    make_events()
    found = script.get(f"/events/search/histogram?q=parser&since={NOW}&until={NOW + 10}").json()
    assert [(bar["start_seconds"], bar["count"]) for bar in found["bars"] if bar["count"]] == [
        (NOW + number, 1) for number in range(3)
    ]
    assert {bar["end_seconds"] - bar["start_seconds"] for bar in found["bars"]} == {1}
    assert (found["bars"][0]["start"], found["note"]) == ("2026-09-21T14:13:20Z", None)
    assert script.get("/events/search/histogram?since=9&until=5").json()["bars"] == []
    whole = script.get("/events/search/histogram?since=0&until=253402300799").json()
    assert sum(bar["count"] for bar in whole["bars"]) == 4


def test_the_box_offers_names_and_values_that_there_are(script: Script):
    make_events()
    assert [one["label"] for one in script.get("/events/search/complete?q=ac").json()["items"]] == [
        "actor:", "actor-type:",
    ]  # fmt: skip
    (offered,) = script.get("/events/search/complete?q=type:e parser&caret=6").json()["items"]
    assert (offered["text"], offered["caret"]) == ("type:error parser", 11)


@pytest.mark.parametrize("call", ["facets", "histogram"])
def test_a_query_that_is_none_is_refused_in_its_place(script: Script, call: str):
    answer = script.get(f'/events/search/{call}?q=a "open')
    assert (answer.status_code, "character" in answer.json()["detail"]) == (422, True)


def test_a_token_of_a_namespace_counts_and_is_offered_its_own_alone(people: dict[str, User]):
    make_session(make_agent("a1", namespace="n"), id="s1")
    make_agent("b1", namespace="m")
    make_events()
    own = script_of(people["administrator"], namespaces=["n"])
    assert counted(own, "") == [("error", 3)]
    assert counted(own, "", "session") == [("s1", 3)]
    bars = own.get("/events/search/histogram").json()["bars"]
    assert sum(bar["count"] for bar in bars) == 3
    assert [one["label"] for one in own.get("/events/search/complete?q=actor:").json()["items"]] == ["a1"]
    assert own.get("/events/search/complete?q=commit:").json()["items"] == []


def test_a_query_is_kept_under_a_name_changed_and_forgotten(script: Script, people: dict[str, User]):
    made = script.post("/views", {"name": " Errors ", "q": "type:error after:2h"})
    assert (made.status_code, made.json()["name"]) == (201, "Errors")
    url = made["Location"].removeprefix("/api/v1")
    assert made.json()["page"] == "/events/?q=type%3Aerror+after%3A2h"
    again = script.post("/views", {"name": "Errors", "q": "type:error"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert (script.get(url)["ETag"], script.get(url).json()["q"]) == (again["ETag"], "type:error")
    assert script.get("/views").json() == {"items": [again.json()], "next": None}
    other = script_of(people["viewer"])
    assert other.get("/views").json()["items"] == []
    assert other.get(url).status_code == other.delete(url).status_code == 404
    assert script.delete(url, if_match=made["ETag"]).status_code == 412
    assert script.delete(url, if_match=again["ETag"]).status_code == 204
    assert not models.SavedSearch.objects.exists()


@pytest.mark.parametrize("body", [{"name": " ", "q": ""}, {"name": "n", "q": '"open'}, {"name": "n" * 81, "q": ""}])
def test_a_view_without_a_name_or_a_query_is_refused(script: Script, body: dict[str, str]):
    assert script.post("/views", body).status_code == 422
    assert not models.SavedSearch.objects.exists()


def test_so_many_views_are_enough_and_one_may_still_be_changed(people: dict[str, User], viewer: Client):
    user = people["viewer"]
    for number in range(events_limits.SAVED_SEARCHES):
        saved_searches.save(user.pk, f"view {number}", "x")
    with pytest.raises(ValidationError, match="Delete one first"):
        saved_searches.save(user.pk, "another", "x")
    assert viewer.post("/search/views/", {"name": "view 7", "q": "changed"}).status_code == 302
    assert models.SavedSearch.objects.get(name="view 7").query == "changed"
