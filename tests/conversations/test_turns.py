"""Turns: calls beside their results, runs of alike turns folded, a long list read page by page and searched."""

from typing import Any

import pytest

from statestore.conversations import Call, Result, Role, Text, Turn, found, limits, message, paired, stretch


def said(role: str, text: str = "x") -> Any:
    return {"role": role, "content": text}


def called(*ids: str, name: str = "add") -> Any:
    calls = [{"id": one, "function": {"name": name, "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def returned(call_id: str, text: str = "two", **more: Any) -> Any:
    return {"role": "tool", "tool_call_id": call_id, "content": text} | more


def turns(*items: Any) -> list[Turn]:
    return paired(message(item, at) for at, item in enumerate(items))


def exchanged(turn: Turn) -> list[tuple[str | None, object]]:
    return [
        (one.call.call_id if one.call else None, one.result.value if one.result else None) for one in turn.exchanges
    ]


def test_each_result_stands_beside_its_own_call_in_whatever_order_they_came():
    (asked, last) = turns(called("c1", "c2", "c3"), returned("c2", "b"), returned("c1", "a"), said("assistant"))
    assert exchanged(asked) == [("c1", "a"), ("c2", "b"), ("c3", None)]
    assert last.said == [Text("x")]


def test_results_without_ids_answer_the_calls_of_their_name_in_turn():
    calls = {"role": "model", "parts": [{"functionCall": {"name": name}} for name in ("add", "sub", "add")]}
    results = {"role": "user", "parts": [
        {"functionResponse": {"name": name, "response": value}} for name, value in (("sub", 1), ("add", 2), ("add", 3))
    ]}  # fmt: skip
    (turn,) = turns(calls, results)
    names = [one.call.name for one in turn.exchanges if one.call]
    assert list(zip(names, [value for _, value in exchanged(turn)], strict=True)) == [
        ("add", 2),
        ("sub", 1),
        ("add", 3),
    ]


def test_a_result_whose_call_is_lost_stands_alone():
    (first, second) = turns(returned("gone"), called("c1"))
    assert exchanged(first) == [(None, "two")]
    assert exchanged(second) == [("c1", None)]


def test_an_empty_message_is_still_there():
    (turn,) = turns(said("assistant", ""))
    assert (turn.said, turn.exchanges) == ([], [])


def rejected(number: int) -> list[Any]:
    return [called(f"c{number}"), returned(f"c{number}", f"hunk {number % 3} failed at line {100 + number}")]


def test_runs_that_differ_in_their_numbers_alone_are_folded_and_the_last_turn_never():
    items = [said("user"), *(item for number in range(9) for item in rejected(number))]
    start, run, last = stretch(items).turns
    assert (start.alike, last.alike) == ([], [])
    assert (len(run.alike), run.first, run.last) == (8, 1, 15)
    assert run.exchanges[0].result == Result("hunk ‹0–2› failed at line ‹100–107›", "c0")
    assert run.exchanges[0].call == Call("add", "{}", "c0")
    assert last.exchanges[0].result == Result("hunk 2 failed at line 108", "c8")


@pytest.mark.parametrize(
    "items",
    [
        [said("user", text) for text in ("a 1", "a 2", "b 3", "a 4", "a 5", "last")],
        [said(role, "a 1") for role in ("user", "assistant", "user", "assistant", "user")],
        [said("user", "a" * 3_000) for _ in range(6)],
        [
            item
            for n in range(4)
            for item in (called("c"), returned("c", f"{n}", status="error" if n % 2 else "success"))
        ],
    ],
)
def test_turns_that_differ_in_more_are_not_folded(items: list[Any]):
    assert not any(turn.alike for turn in stretch(items).turns)


def test_numbers_of_any_length_are_compared_by_size():
    items = [said("user", f"n {number}") for number in (9, "0010", 10**500, 2)] + [said("user", "end")]
    run = stretch(items).turns[0]
    assert run.said == [Text(f"n ‹2–{10**500}›")]


def test_a_list_is_read_from_its_newest_messages_back_without_a_gap():
    items = [said("user" if number % 2 else "assistant", f"{'abcdefghij'[number % 10]}") for number in range(230)]
    seen: list[int] = []
    page = stretch(items)
    assert page.later is None
    while True:
        seen = [turn.first for turn in page.turns] + seen
        if page.earlier is None:
            break
        page = stretch(items, end=page.earlier)
        assert page.later is not None
    assert seen == list(range(230))
    assert page.roles == {Role.USER: 115, Role.ASSISTANT: 115}


def test_a_page_does_not_begin_between_a_call_and_its_results():
    items = [said("user"), called("c1", "c2"), returned("c1", "a"), returned("c2", "b"), said("assistant", "end")]
    page = stretch(items, size=2)
    assert [exchanged(turn) for turn in page.turns] == [[("c1", "a"), ("c2", "b")], []]
    assert page.earlier == 1
    many = [said("user"), *(returned(f"c{number}") for number in range(limits.RESULTS_BEFORE + 60))]
    assert stretch(many).turns[0].first == len(many) - limits.PAGE_MESSAGES


@pytest.mark.parametrize(("end", "first", "last"), [(1, 0, 0), (-5, 0, 0), (10**9, 1, 50), (51, 1, 50)])
def test_a_page_beyond_the_list_is_its_nearest(end: int, first: int, last: int):
    items = [said("user", "abc"[number % 3]) for number in range(51)]
    shown = stretch(items, end=end).turns
    assert (shown[0].first, shown[-1].first) == (first, last)


def test_costs_are_added_up_where_messages_carry_them():
    items = [
        said("assistant") | {"usage": {"total_tokens": 5}, "cost": 0.5},
        said("user"),
        said("assistant") | {"tokens": 7},
    ]
    page = stretch(items)
    assert (page.tokens, page.cost) == (12, 0.5)
    page = stretch([said("user")])
    assert (page.tokens, page.cost) == (None, None)


def test_texts_calls_and_results_are_found_ignoring_case():
    items = [said("user", "Look"), called("c1", name="Lookup"), returned("c1", "the LOOK"), said("user", "no")]
    assert [turn.first for turn in found(items, "look")] == [0, 1, 2]
    assert [turn.first for turn in found(items, "look", size=2)] == [1, 2]
    assert found(items, "nothing like it") == []


def test_of_a_list_too_long_to_count_the_newest_messages_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "COUNTED_MESSAGES", 10)
    items = [said("user", "old"), *(said("assistant", "abc"[number % 3]) for number in range(10))]
    page = stretch(items)
    assert (page.is_long, page.total, page.roles) == (True, 11, {Role.ASSISTANT: 10})
    assert found(items, "old") == []
