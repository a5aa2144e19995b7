"""Retention policies, and holds against them."""

from collections.abc import Iterable
from typing import Any, Final

from django import forms

from statestore.forms.fields import CheckedForm
from statestore.models import PolicyTable, RetentionPolicy
from statestore.retention import Limits

_DAY: Final = 24 * 3600
_MEGABYTE: Final = 1024 * 1024
_ALL: Final = "*"
_MOST_DAYS: Final = 36_500


class LimitsForm(CheckedForm):
    """What a policy keeps."""

    keep_days = forms.FloatField(
        required=False, min_value=0, max_value=_MOST_DAYS, label="Delete what is older than (days)"
    )
    keep_count = forms.IntegerField(
        required=False, min_value=1, max_value=2**31, label="Keep so many of an agent's newest"
    )
    keep_mb = forms.FloatField(
        required=False, min_value=0, max_value=2**31, label="Keep an agent's newest up to (MB of states)"
    )
    is_tiered = forms.BooleanField(required=False)
    etag = forms.CharField(required=False, max_length=64)

    @classmethod
    def initial_of(cls, policy: RetentionPolicy) -> dict[str, object]:
        """Return the fields' values for a policy."""
        days, size = policy.keep_seconds, policy.keep_bytes
        return {
            "keep_days": None if days is None else _short(days / _DAY),
            "keep_count": policy.keep_count,
            "keep_mb": None if size is None else _short(size / _MEGABYTE),
            "is_tiered": policy.is_tiered,
        }

    def limits(self) -> Limits:
        """Return what the policy keeps."""
        values = self.checked
        days, size = values["keep_days"], values["keep_mb"]
        return Limits(
            None if days is None else round(days * _DAY),
            values["keep_count"],
            None if size is None else round(size * _MEGABYTE),
            values["is_tiered"],
        )


def _short(number: float) -> float:
    """Return a number without a fraction that it does not have, as the field shows it."""
    return int(number) if number.is_integer() else number


class PolicyForm(LimitsForm):
    """A policy to make, switched off."""

    table = forms.ChoiceField(choices=[(table, table) for table in PolicyTable.values], label="Table")
    namespace = forms.CharField(
        required=False, max_length=500, strip=False, initial=_ALL, label="Namespace", widget=forms.Select
    )

    def __init__(self, *arguments: Any, namespaces: Iterable[tuple[str, str]] = (), **options: Any) -> None:
        """`namespaces` are those to choose from, each with how it is shown."""
        super().__init__(*arguments, **options)
        self.fields["namespace"].widget.choices = [
            (_ALL, "all that have no policy of their own"), ("", "agents without a namespace"), *namespaces
        ]  # fmt: skip

    def of_namespace(self) -> str | None:
        """Return the namespace that the policy is about: None for all, empty for agents without one."""
        name = str(self.checked["namespace"])
        return None if name == _ALL else name


class SwitchForm(CheckedForm):
    """A policy to switch on: how many rows its simulation showed to the person who does it."""

    would_delete = forms.IntegerField(required=False, min_value=0, max_value=2**62)
