"""Two at once: If-Match has one winner, and a key is used once."""

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from statestore import models
from tests.api.conftest import Script, script_of
from tests.builders import make_agent
from tests.faults.scale import times

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = times(100, 2_000)


def at_once(*works: Any) -> list[Any]:
    """Return what some functions return that begin at the same moment."""
    barrier, answers = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int) -> None:
        barrier.wait()
        try:
            answers[number] = works[number]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def writer(db: None) -> Script:
    return script_of(User.objects.create_superuser("ada"))


def other(script: Script) -> Script:
    return Script(script.secret, Client())


def test_of_two_who_saw_the_same_row_one_wins_each_time(writer: Script):
    make_agent("a1")
    pair = writer, other(writer)
    won = {0: 0, 1: 0}
    for number in range(ROUNDS):
        etag = writer.get("/agents/a1")["ETag"]

        def save(who: int, number: int = number, etag: str = etag) -> int:
            return int(pair[who].put("/agents/a1", {"state": [number, who]}, if_match=etag).status_code)

        statuses = at_once(lambda save=save: save(0), lambda save=save: save(1))
        assert sorted(statuses) == [200, 412], (number, statuses)
        won[statuses.index(200)] += 1
    assert models.Transition.objects.count() == ROUNDS


def test_without_if_match_both_write(writer: Script):
    """The canary: what the test above would see if the condition were not checked in the transaction."""
    make_agent("a1")
    pair = writer, other(writer)
    statuses = at_once(*(lambda who=who: pair[who].put("/agents/a1", {"state": who}).status_code for who in (0, 1)))
    assert statuses == [200, 200]


def test_a_key_that_two_use_at_once_is_used_once(writer: Script):
    make_agent("a1")
    pair = writer, other(writer)
    for number in range(times(30, 300)):
        answers = at_once(
            *(
                lambda who=who, number=number: pair[who].post(
                    "/agents/a1/snapshots", {"description": str(number)}, idempotency_key=f"key-{number}"
                )
                for who in (0, 1)
            )
        )
        assert [answer.status_code for answer in answers] == [201, 201], [answer.content for answer in answers]
        assert answers[0].content == answers[1].content
        assert models.Snapshot.objects.count() == number + 1
