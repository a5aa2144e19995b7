"""An agent's past: which stretch, which moments, which path."""

from django import forms

from statestore.errors import ValidationError
from statestore.forms.fields import AgentInput, CheckedForm, MomentField, TimeField, TimeRangeForm
from statestore.forms.filters import OfAgentForm
from statestore.history import moments
from statestore.history.across import KINDS, Asked, time_range
from statestore.history.past import CURSOR_CHARACTERS


class StateForm(CheckedForm):
    """How a state is shown: as a tree or as a conversation, and which stretch of which of its message lists."""

    view = forms.ChoiceField(required=False, choices=[("tree", "tree"), ("conversation", "conversation")])
    find = forms.CharField(required=False, max_length=1000)
    messages = forms.CharField(required=False, max_length=8000, strip=False)
    until = forms.IntegerField(required=False, min_value=1)


class BranchForm(CheckedForm):
    """From which of its items on a branch of a state is shown."""

    start = forms.IntegerField(required=False, min_value=0, max_value=10**9)


class SnapshotFilterForm(OfAgentForm, CheckedForm):
    """Whose snapshots."""


class ChangesForm(OfAgentForm):
    """Which changes across agents; without a range of time those of the last 24 hours."""

    start = TimeField()
    end = TimeField()
    kind = forms.ChoiceField(required=False, choices=[(kind, kind) for kind in KINDS])
    namespace = forms.CharField(required=False, max_length=1000)
    reason = forms.CharField(required=False, max_length=200)
    person = forms.CharField(required=False, max_length=200, label="By")

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        try:
            values["start"], values["end"] = time_range(values.get("start"), values.get("end"))
        except ValidationError as error:
            self.add_error("end", str(error))
        return values

    def asked(self) -> Asked:
        """Return what the checked values ask for."""
        values = self.cleaned_data
        namespace = values["namespace"] if self.data.get("namespace", "*") != "*" else None
        return Asked(
            values["start"], values["end"], values["kind"], values["agent"], namespace, values["reason"],
            values["person"],
        )  # fmt: skip


class TimelineForm(TimeRangeForm, CheckedForm):
    """Which stretch of an agent's past, and which moment of it; `at` is what the slider sends."""

    moment = MomentField()
    at = TimeField()

    def clean(self) -> dict[str, object]:
        values = super().clean()
        if isinstance(at := values.get("at"), int):
            values["moment"] = moments.AtTime(at)
        return values


class CompareForm(CheckedForm):
    """Two moments, of one agent or of two, and the paths that are left out of the comparison."""

    left = forms.CharField(required=False, max_length=4000, label="Agent", widget=AgentInput({"required": True}))
    right = forms.CharField(
        required=False, max_length=4000, label="Agent", widget=AgentInput({"placeholder": "the same agent"})
    )
    before = forms.CharField(required=False, max_length=4000)
    before_at = TimeField(label="or a time (UTC)", placeholder="2026-11-21 18:02:11")
    after = forms.CharField(required=False, max_length=4000)
    after_at = TimeField(label="or a time (UTC)", placeholder="2026-11-21 18:02:11")
    layout = forms.ChoiceField(required=False, choices=[("unified", "unified"), ("split", "side by side")])


class WalkForm(CheckedForm):
    """From where a reading of the past goes on, and for which place of the state."""

    path = forms.CharField(required=False, max_length=8000, strip=False)
    place = forms.CharField(required=False, max_length=8000, strip=False)
    condition = forms.CharField(required=False, max_length=2000)
    reached = forms.CharField(required=False, max_length=CURSOR_CHARACTERS)
