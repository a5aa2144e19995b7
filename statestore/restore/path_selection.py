"""States composed of others: with some paths restored, with values corrected, or merged.

All edits are made in the stored text, so that everything else stays as it was, byte for byte.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from statestore.errors import ValidationError
from statestore.jsondiff import diff, merge3, parsing, source_edit
from statestore.jsondiff import limits as jsondiff_limits
from statestore.jsondiff.diff import Change, Kind
from statestore.restore import limits

Edits: TypeAlias = Sequence[tuple[str, str]]
Side: TypeAlias = merge3.Side
MergeConflict: TypeAlias = merge3.Conflict

# In front of a path, one of these chooses only the change of that kind; a path alone chooses all that is there.
SIGNS: Final = {Kind.ADDED: "+", Kind.REMOVED: "-", Kind.REPLACED: "~", Kind.MOVED: ">"}


def sign_of(change: Change) -> str:
    """Return the form value of a change: a sign and its path."""
    return f"{SIGNS[change.kind]}{change.path}"


def select(now: str, then: str, paths: Sequence[str]) -> tuple[str, int]:
    """Return the present text with some paths restored, and the number of changes.

    A path stands for all that is at and below it, in either state. Raises ValidationError for states that are not JSON,
    for no path, too many, and one at which nothing differs.
    """
    changes = _changes(now, then)
    if not paths:
        raise ValidationError("Choose at least one path to restore. Nothing was changed.")
    if len(paths) > jsondiff_limits.MAX_CHANGES:
        raise ValidationError(
            f"At most {jsondiff_limits.MAX_CHANGES:,} paths can be chosen. Restore the whole state instead."
        )
    wanted = dict.fromkeys(paths)
    picked = [change for change in changes if any(path in wanted for path in _names(change))]
    used = {path for change in picked for path in _names(change)}
    if lost := [path for path in wanted if path not in used]:
        raise ValidationError(f"“{lost[0][:80]}” no longer differs. Nothing was changed. Open a new preview.")
    if len(picked) == len(changes):
        return then, len(picked)
    return _rewritten(now, picked, then), len(picked)


def _names(change: Change) -> set[str]:
    """Return all names of a change: its signed path, its paths, and those above them."""
    names = {sign_of(change)}
    for path in (change.before_path, change.after_path):
        parts = path.split("/")
        names |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return names


def _changes(now: str, then: str) -> tuple[Change, ...]:
    compared = diff.compare(now, then)
    if isinstance(compared, diff.TextComparison):
        raise ValidationError(f"Single paths cannot be restored. {compared.reason} Restore the whole state instead.")
    if compared.diff.truncated:
        raise ValidationError("There are too many changes to choose from. Restore the whole state instead.")
    return compared.diff.changes


def _rewritten(text: str, changes: Sequence[Change], source: str | None = None) -> str:
    try:
        return source_edit.rewrite(text, changes, source)
    except (diff.DoesNotFit, parsing.NotJson) as error:
        raise ValidationError(f"These paths cannot be restored together: {error} Nothing was changed.") from None


def correct(text: str, edits: Edits) -> str:
    """Return the text with the values at some paths replaced by JSON as it was typed. Raises ValidationError."""
    if len(edits) > limits.MAX_EDITS:
        raise ValidationError(f"At most {limits.MAX_EDITS} values can be edited at once. Nothing was changed.")
    for path, typed in edits:
        try:
            text = source_edit.replace_value(text, path, typed)
        except parsing.NotJson as error:
            raise ValidationError(f"The value for {path or 'the whole state'} is not JSON: {error.reason}") from None
        except (KeyError, ValueError):
            raise ValidationError(f"“{path[:80]}” does not exist in the resulting state.") from None
    return text


def merge(
    base: str, ours: str, theirs: str, sides: Mapping[str, Side] | None = None
) -> tuple[str, tuple[MergeConflict, ...]]:
    """Return `ours` with what `theirs` changed since `base`, and the conflicts without a chosen side.

    Raises ValidationError if one of the three is not JSON, and for a side chosen at a path without a conflict.
    """
    if ours in (base, theirs):
        return theirs, ()
    try:
        values = [parsing.parse(text) for text in (base, ours, theirs)]
        merged = merge3.merge(*values)
        sides = sides or {}
        result = merged.resolved(sides)
        changes = diff.diff(values[1], result)
    except parsing.NotJson as error:
        raise ValidationError(f"These states cannot be merged: one of them is not JSON. {error.reason}") from None
    except diff.TooDeep as error:
        raise ValidationError(f"These states cannot be merged: {error}") from None
    except diff.Truncated:
        raise ValidationError("There are too many changes to merge. Restore the whole state instead.") from None
    except KeyError as error:
        raise ValidationError(
            f"“{error.args[0]}” is no longer in conflict. Nothing was changed. Open a new preview."
        ) from None
    if changes.truncated:
        raise ValidationError("There are too many changes to merge. Restore the whole state instead.")
    left = tuple(clash for clash in merged.conflicts if clash.path not in sides)
    return (_rewritten(ours, changes.changes) if changes.changes else ours), left
