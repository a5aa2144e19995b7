"""Two versions of a message list: whole messages are added, removed, moved; changed words alone are edits."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from statestore.conversations import MessageChange, Op, changes
from statestore.jsondiff.budget import Budget
from tests.examples import thoroughly

LONG = "hunk 4 of the patch failed at line 252 of src/parser/lexer.rs"


def said(text: str, role: str = "user", **more: Any) -> Any:
    return {"role": role, "content": text} | more


def told(before: list[Any], after: list[Any], *, units: int = 10**7) -> list[tuple[str, int | None, int | None]]:
    """Return what became of the messages, without those that were kept."""
    found = changes(before, after, Budget(units))
    return [(one.op.value, one.before, one.after) for one in found if one.op is not Op.KEPT]


def test_what_is_gone_is_removed_where_it_was_and_what_is_new_is_added():
    a, b, c, new = said("alpha"), said("beta"), said("gamma"), said("something else", "assistant")
    assert changes([a, b, c], [a, new, c], Budget(10**7)) == [
        MessageChange(Op.KEPT, 0, 0), MessageChange(Op.REMOVED, 1, None), MessageChange(Op.ADDED, None, 1),
        MessageChange(Op.KEPT, 2, 2),
    ]  # fmt: skip
    assert told([a, b], []) == [("removed", 0, None), ("removed", 1, None)]
    assert changes([a, b], [a, b], Budget(10**7)) == [MessageChange(Op.KEPT, 0, 0, 2)]


def test_a_compacted_conversation_is_a_run_of_removed_messages_and_one_added():
    start = said("You are a coder", "system")
    lost = [said(f"thought {number}", "assistant" if number % 2 else "tool") for number in range(24)]
    summary = said("Summary of the conversation so far", "system")
    assert told([start, *lost], [start, summary]) == [
        *(("removed", number, None) for number in range(1, 25)), ("added", None, 1),
    ]  # fmt: skip


def test_a_message_whose_words_alone_were_changed_is_edited():
    assert told([said(LONG)], [said(LONG.replace("252", "206"))]) == [("edited", 0, 0)]
    assert told([said("new"), said(LONG)], [said(LONG.replace("4", "5"))]) == [("removed", 0, None), ("edited", 1, 0)]
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": LONG}}],
    }
    other = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c2", "function": {"name": "add", "arguments": LONG + "!"}}],
    }
    assert told([call], [other]) == [("edited", 0, 0)]


@pytest.mark.parametrize(
    "after",
    [
        said(LONG, "assistant"),
        said(LONG, name="ada"),
        said("An entirely different thing, with hardly a word in common"),
        {"role": "user", "content": [{"type": "text", "text": LONG}, {"type": "text", "text": "more"}]},
    ],
)
def test_a_message_that_differs_in_more_is_another_one(after: Any):
    assert told([said(LONG)], [after]) == [("removed", 0, None), ("added", None, 0)]


def test_a_message_that_stands_elsewhere_was_moved():
    a, b, c, d = (said(text) for text in ("alpha", "beta", "gamma", "delta"))
    assert told([a, b, c, d], [b, c, d, a]) == [("moved", 0, 3)]


def test_a_call_goes_with_its_result_and_equal_messages_are_not_moved():
    """Each turn has the same words; the oldest turn went, and a new one came."""
    turns = [[said("I try again", "assistant"), said(f"failed at line {number}", "tool")] for number in range(6)]
    before, after = ([one for turn in turns[start : start + 5] for one in turn] for start in (0, 1))
    assert told(before, after) == [("removed", 0, None), ("removed", 1, None), ("added", None, 8), ("added", None, 9)]
    start = said("start", "system")
    assert told([start, *before], [start, *after])[:2] == [("removed", 1, None), ("removed", 2, None)]


def test_without_effort_left_the_answer_is_coarser_and_still_whole():
    before, after = (
        [said(f"{LONG} {number}") for number in range(200)],
        [said(f"{LONG} {number}!") for number in range(200)],
    )
    assert {op for op, _, _ in told(before, after)} == {"edited"}
    coarse = told(before, after, units=100)
    assert [op for op, _, _ in coarse].count("removed") == [op for op, _, _ in coarse].count("added") == 200


MESSAGES = st.lists(
    st.builds(said, st.sampled_from(["a", "b 1", "b 2", LONG, LONG + "!"]), st.sampled_from(["user", "tool"])),
    max_size=8,
)


@thoroughly
@example([said("a"), said("b"), said("a")], [said("a"), said("a"), said("b")])
@given(MESSAGES, MESSAGES)
def test_every_message_is_told_once_and_those_kept_are_equal(before: list[Any], after: list[Any]):
    left: list[int] = []
    right: list[int] = []
    for one in changes(before, after, Budget(10**7)):
        if one.before is not None:
            left += range(one.before, one.before + one.count)
        if one.after is not None:
            right += range(one.after, one.after + one.count)
        if one.op in (Op.KEPT, Op.MOVED):
            assert one.before is not None
            assert one.after is not None
            for offset in range(one.count):
                assert before[one.before + offset] == after[one.after + offset]
    assert sorted(left) == list(range(len(before)))
    assert right == list(range(len(after))), "in the order of the list after"
