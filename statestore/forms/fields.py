"""Fields that more than one form has, and what they are refused with."""

import json
from typing import Any, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import QueryDict
from django.urls import reverse

from statestore import search
from statestore.errors import ValidationError
from statestore.history import moments
from statestore.lookup import Match


class MomentField(forms.CharField):
    """A moment in the grammar of moments.py; empty means now."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=4000)

    def clean(self, value: object) -> moments.Moment:
        """Return the moment."""
        text = super().clean(value)
        try:
            return moments.parse(text) if text else moments.Now()
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None


class TimeField(forms.CharField):
    """A time as seconds since 1970 or in ISO 8601, in UTC where no zone is said; None if none is given."""

    def __init__(self, *, label: str | None = None, placeholder: str = "") -> None:
        widget = forms.TextInput({"placeholder": placeholder, "spellcheck": "false"} if placeholder else None)
        super().__init__(required=False, max_length=60, label=label, widget=widget)

    def clean(self, value: object) -> int | None:
        """Return whole seconds since 1970 UTC."""
        text = super().clean(value)
        try:
            return moments.parse_time(text) if text else None
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None


class TimeRangeForm(forms.Form):
    """A range of time, both ends included; an end that is not given does not limit it."""

    start = TimeField(label="From (UTC)", placeholder="2026-11-21 18:02:11")
    end = TimeField(label="To (UTC)", placeholder="2026-11-21 18:02:11")

    def clean(self) -> dict[str, object]:
        """Return the values; an end before the start is refused."""
        values = super().clean() or {}
        try:
            moments.check_range(values.get("start"), values.get("end"))
        except ValidationError as error:
            self.add_error("end", str(error))
        return values


class QueryField(forms.CharField):
    """The search box: a query in the language of search/language.py."""

    def __init__(self) -> None:
        super().__init__(required=False)
        self.validators = []  # NUL characters and length are refused in the language's own words.

    def clean(self, value: object) -> search.Query:
        """Return what is asked for; the error's `position` is where it cannot be understood."""
        try:
            return search.parse(self.to_python(value) or "")
        except search.QueryError as error:
            # A message with parameters is a format: a percent sign in the input must be doubled.
            raise forms.ValidationError(error.reason.replace("%", "%%"), params={"position": error.position}) from None


def checked(form: forms.BaseForm) -> dict[str, Any]:
    """Return the values of a form. Raises ValidationError with the first thing that is wrong."""
    if not form.is_valid():
        name, errors = next(iter(form.errors.items()))
        if name == NON_FIELD_ERRORS:
            raise ValidationError(str(errors[0]))
        raise ValidationError(f"{name}: {errors[0]}", field=name)
    return form.cleaned_data


class CheckedForm(forms.Form):
    """A query string that is either right or refused in words."""

    @property
    def checked(self) -> dict[str, Any]:
        """Return the values. Raises ValidationError with the first thing that is wrong."""
        return checked(self)


class AgentInput(forms.TextInput):
    """A text box for an agent, which offers those that changed last, and while one types those that match."""

    template_name = "statestore/_parts/agent_input.html"

    def __init__(self, attrs: dict[str, object] | None = None) -> None:
        super().__init__({"spellcheck": "false", "autocomplete": "off", **(attrs or {})})
        # What is offered before anything is typed.
        self.offered: list[Match] = []

    def get_context(self, name: str, value: object, attrs: dict[str, object] | None) -> dict[str, object]:
        """Return what the template shows."""
        context = super().get_context(name, value, attrs)
        given = context["widget"]["attrs"]
        given |= {
            "list": f"{given.get('id', name)}-agents", "hx-get": f"{reverse('agents-offered')}?of={name}",
            "hx-trigger": "input changed delay:120ms", "hx-target": "next datalist",
        }  # fmt: skip
        return {**context, "offered": self.offered}


def sent(form: forms.Form, name: str) -> list[str]:
    """Return all values that a browser sent under one name."""
    return cast(QueryDict, form.data).getlist(name)


def from_json(text: str) -> str:
    """Return a path as pages send it, as an ASCII JSON string in which any character survives; or as it is."""
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise ValidationError(f"“{text[:80]}” is not a valid path. Nothing was changed.") from None
