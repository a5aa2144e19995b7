import pytest

from statestore.jsondiff.diff import Change, DoesNotFit, Kind, apply, diff
from statestore.jsondiff.parsing import Json


def test_a_chosen_addition_goes_to_its_point_in_order_whatever_else_is_left_out() -> None:
    before: list[Json] = ["a", "z", "b"]
    changes = list(diff(before, ["a", "1", "2", "3", "b", "4"]))
    added = [change for change in changes if change.kind is Kind.ADDED]
    assert [change.after for change in added] == ["2", "3", "4"]
    assert apply(before, added) == ["a", "z", "2", "3", "b", "4"]
    assert apply(before, added[::-2]) == ["a", "z", "2", "b", "4"]
    assert before == ["a", "z", "b"]


def test_a_chosen_removal_is_all_that_happens() -> None:
    before: Json = {"a": 1, "list": [1, 2, 3, 4]}
    changes = diff(before, {"b": 1, "list": [0, 1, 3]})
    chosen = [change for change in changes if change.before_path == "/list/1"]
    assert apply(before, chosen) == {"a": 1, "list": [1, 3, 4]}


def test_apply_shares_nothing_that_it_alters() -> None:
    before: Json = {"kept": [1], "changed": {"x": 1}}
    result = apply(before, diff(before, {"kept": [1], "changed": {"x": 2}}))
    assert before == {"kept": [1], "changed": {"x": 1}}
    assert isinstance(result, dict)
    assert result["kept"] is before["kept"]


@pytest.mark.parametrize(
    "state", [{}, {"a": [1]}, {"a": [1, 2, True]}, {"a": {"2": 3}}, {"a": 7}, [], None, {"a": [1, 2, 3], "b": 1}]
)
def test_changes_of_another_state_do_not_fit(state: Json) -> None:
    changes = diff({"a": [1, 2, 1]}, {"a": [1, 2], "b": 0})
    with pytest.raises(DoesNotFit):
        apply(state, changes)


def test_a_change_whose_old_value_has_the_wrong_type_does_not_fit() -> None:
    with pytest.raises(DoesNotFit, match="/a has changed since the comparison"):
        apply({"a": True}, diff({"a": 1}, {"a": 2}))


def test_changes_have_no_loose_equality() -> None:
    (change,) = diff({"a": 1}, {"a": 2})
    assert change != Change(Kind.REPLACED, "/a", "/a", True, 2)


def test_counts_name_every_kind() -> None:
    counts = diff({"a": 1, "b": 2}, {"a": 2, "c": 1, "d": 1}).counts
    assert counts == {Kind.ADDED: 2, Kind.REMOVED: 1, Kind.REPLACED: 1, Kind.MOVED: 0}
