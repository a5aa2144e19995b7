import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff.textdiff import Line, Op, diff_lines, diff_words
from tests.examples import thoroughly

words = st.lists(st.sampled_from(["one", "two", "three", " ", "  ", "\n", ".", "é", "\ud800", "x_1"]), max_size=25)
proses = words.map("".join)
papers = st.lists(st.sampled_from(["", "a", "b", "c\r", "d"]), max_size=25).map("\n".join)


def _side(lines: list[Line], other: Op) -> list[str]:
    return [line.text for line in lines if line.op is not other]


@thoroughly
@given(proses, proses)
def test_the_segments_make_up_both_texts(before: str, after: str) -> None:
    segments = diff_words(before, after)
    assert "".join(text for op, text in segments if op is not Op.INSERT) == before
    assert "".join(text for op, text in segments if op is not Op.DELETE) == after
    assert all(text for _, text in segments)
    assert all(left.op is not right.op for left, right in pairwise(segments))


def test_words_change_whole() -> None:
    assert diff_words("the quick brown fox", "the quiet brown fox jumps") == [
        (Op.EQUAL, "the "),
        (Op.DELETE, "quick "),
        (Op.INSERT, "quiet "),
        (Op.EQUAL, "brown "),
        (Op.DELETE, "fox"),
        (Op.INSERT, "fox jumps"),
    ]


def test_unlike_sentences_are_not_chopped_up_by_their_spaces() -> None:
    assert diff_words("a b c", "x y z") == [(Op.DELETE, "a b c"), (Op.INSERT, "x y z")]


def test_the_same_text_is_one_segment_and_no_text_is_none() -> None:
    assert diff_words("same", "same") == [(Op.EQUAL, "same")]
    assert diff_words("", "") == []


def test_a_long_difference_is_one_deletion_and_one_insertion() -> None:
    before, after = "p q" + "a " * jsondiff_limits.MAX_COMPARED_CHARS + "end", "p q" + "b " * 9 + "end"
    segments = diff_words(before, after)
    assert [op for op, _ in segments] == [Op.EQUAL, Op.DELETE, Op.INSERT, Op.EQUAL]
    assert segments[0].text == "p "
    assert segments[-1].text == " end"


@thoroughly
@given(papers, papers, st.integers(0, 3))
def test_hunks_tell_every_line_that_differs(before: str, after: str, context: int) -> None:
    result = diff_lines(before, after, context)
    assert not result.truncated
    assert bool(result.hunks) == (before != after)
    told = [line for hunk in result.hunks for line in hunk.lines]
    old, new = before.split("\n"), after.split("\n")
    assert all(line.text == old[line.before_number - 1] for line in told if line.before_number)
    assert all(line.text == new[line.after_number - 1] for line in told if line.after_number)
    deleted = {line.before_number for line in told if line.op is Op.DELETE}
    inserted = {line.after_number for line in told if line.op is Op.INSERT}
    assert [text for n, text in enumerate(old, 1) if n not in deleted] == [
        text for n, text in enumerate(new, 1) if n not in inserted
    ]


def test_a_hunk_has_equal_lines_around_it() -> None:
    before = "\n".join(map(str, range(100)))
    after = before.replace("\n40\n", "\nforty\n").replace("\n43\n", "\n").replace("\n80\n", "\n80\n80a\n")
    first, second = diff_lines(before, after, context=2).hunks
    assert _side(list(first.lines), Op.INSERT) == ["38", "39", "40", "41", "42", "43", "44", "45"]
    assert _side(list(first.lines), Op.DELETE) == ["38", "39", "forty", "41", "42", "44", "45"]
    assert [(line.op, line.before_number, line.after_number) for line in first.lines][:4] == [
        (Op.EQUAL, 39, 39),
        (Op.EQUAL, 40, 40),
        (Op.DELETE, 41, None),
        (Op.INSERT, None, 41),
    ]
    assert second.lines[2] == Line(Op.INSERT, "80a", None, 81, cut=False)


def test_the_end_of_the_last_line_is_a_difference() -> None:
    (hunk,) = diff_lines("a\n", "a").hunks
    assert hunk.lines == (Line(Op.EQUAL, "a", 1, 1, cut=False), Line(Op.DELETE, "", 2, None, cut=False))


def test_a_line_ahead_of_a_text_of_any_length_is_one_insertion() -> None:
    text = "line\n" * (2 * jsondiff_limits.MAX_COMPARED_LINES)
    result = diff_lines(text, "new\n" + text)
    assert not result.truncated
    assert [line.op for hunk in result.hunks for line in hunk.lines] == [Op.INSERT, *[Op.EQUAL] * 3]


def test_long_lines_are_cut_and_say_so() -> None:
    result = diff_lines("x" * 3_000, "y")
    deleted, inserted = result.hunks[0].lines
    assert (len(deleted.text), deleted.cut, inserted.cut) == (jsondiff_limits.MAX_LINE_CHARS, True, False)


@pytest.mark.parametrize("lines", [jsondiff_limits.MAX_SHOWN_LINES + 1, jsondiff_limits.MAX_COMPARED_LINES + 1])
def test_a_long_list_of_lines_is_cut_and_says_so(lines: int) -> None:
    result = diff_lines("\n".join(f"a{n}" for n in range(lines)), "\n".join(f"b{n}" for n in range(lines)))
    assert result.truncated
    assert sum(len(hunk.lines) for hunk in result.hunks) == jsondiff_limits.MAX_SHOWN_LINES


def test_what_was_cut_off_of_one_text_is_not_told_as_missing_from_the_other() -> None:
    rest = [str(n) for n in range(jsondiff_limits.MAX_COMPARED_LINES)]
    result = diff_lines("\n".join(["old", *rest, "end"]), "\n".join([*["new"] * 10, *rest, "END"]))
    told = [line.text for hunk in result.hunks for line in hunk.lines if line.op is not Op.EQUAL]
    assert told == ["old", *["new"] * 10]
    assert result.truncated


def test_shuffled_lines_are_compared_in_bounded_time_and_room() -> None:
    lines = [str(n % 100) for n in range(20_000)]
    shuffled = random.Random(1).sample(lines, len(lines))
    result = diff_lines("\n".join(lines), "\n".join(shuffled))
    assert result.truncated
