"""An agent's past: which stretch, which moments, which path."""

from typing import Any

from django import forms

from statestore.forms.fields import CheckedForm, MomentField, TimeField
from statestore.history import moments


class StateForm(CheckedForm):
    """How a state is shown: as a tree or as a conversation, and which stretch of which of its message lists."""

    view = forms.ChoiceField(required=False, choices=[("tree", "tree"), ("conversation", "conversation")])
    find = forms.CharField(required=False, max_length=1000)
    messages = forms.CharField(required=False, max_length=8000, strip=False)
    until = forms.IntegerField(required=False, min_value=1)


class TimelineForm(CheckedForm):
    """Which stretch of an agent's past, and which moment of it; `at` is what the slider sends."""

    start = TimeField()
    end = TimeField()
    moment = MomentField()
    at = TimeField()

    def clean(self) -> dict[str, object]:
        values: dict[str, Any] = super().clean() or {}
        start, end = values.get("start"), values.get("end")
        if start is not None and end is not None and end < start:
            raise forms.ValidationError("The end is before the start. Choose an earlier start or a later end.")
        if values.get("at") is not None:
            values["moment"] = moments.AtTime(values["at"])
        return values


class CompareForm(CheckedForm):
    """Two moments, of one agent or of two, and the paths that are left out of the comparison."""

    left = forms.CharField(required=False, max_length=4000)
    right = forms.CharField(required=False, max_length=4000)
    before = MomentField()
    after = MomentField()
    layout = forms.ChoiceField(required=False, choices=[("unified", "unified"), ("split", "side by side")])


class WalkForm(CheckedForm):
    """From where a reading of the past goes on, and for which place of the state."""

    path = forms.CharField(required=False, max_length=8000, strip=False)
    place = forms.CharField(required=False, max_length=8000, strip=False)
    condition = forms.CharField(required=False, max_length=2000)
    reached = forms.CharField(required=False, max_length=60)
