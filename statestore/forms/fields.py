"""Fields that more than one form has, and what they are refused with."""

import json
from typing import Any, cast

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import QueryDict

from statestore import search
from statestore.errors import ValidationError
from statestore.history import moments


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


class CheckedForm(forms.Form):
    """A query string that is either right or refused in words."""

    @property
    def checked(self) -> dict[str, Any]:
        """Return the values. Raises ValidationError with the first thing that is wrong."""
        if not self.is_valid():
            name, errors = next(iter(self.errors.items()))
            if name == NON_FIELD_ERRORS:
                raise ValidationError(str(errors[0]))
            raise ValidationError(f"{name}: {errors[0]}", field=name)
        return self.cleaned_data


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
