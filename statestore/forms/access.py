"""The namespaces and stores that a user or a group is limited to, as administrators set them in the admin."""

from typing import Any

from django import forms

from statestore import models
from statestore.access import rights
from statestore.db import served
from statestore.errors import ValidationError
from statestore.text.natural_order import natural


class _AccessForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whether a user or a group is limited, and to which namespaces: one name for each line."""

    who = "A user"

    is_limited = forms.BooleanField(required=False, label="Limited to namespaces")
    names = forms.CharField(
        required=False, label="Namespaces", help_text="One per line.",
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField", "spellcheck": "false"}),
    )  # fmt: skip
    without_namespace = forms.BooleanField(required=False, label="Agents without a namespace")

    is_limited_to_stores = forms.BooleanField(required=False, label="Limited to stores")
    store_names = forms.MultipleChoiceField(
        required=False, label="Stores", widget=forms.CheckboxSelectMultiple, choices=()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["store_names"].choices = [(name, name) for name in served.aliases()]  # type: ignore[attr-defined]
        self.initial["is_limited_to_stores"] = self.instance.stores is not None
        self.initial["store_names"] = self.instance.stores or []
        namespaces = self.instance.namespaces
        if namespaces is not None:
            names = [str(name) for name in namespaces]
            self.initial["is_limited"] = True
            self.initial["names"] = "\n".join(name for name in names if name)
            self.initial["without_namespace"] = "" in names

    def clean(self) -> dict[str, object]:
        values = super().clean() or self.cleaned_data
        names = [line.strip() for line in values.get("names", "").splitlines() if line.strip()]
        names += [""] if values.get("without_namespace") else []
        if values.get("is_limited"):
            self._check(names)
        elif names:
            raise forms.ValidationError("Check “Limited to namespaces”, or leave the namespaces empty.")
        if served.are_several():
            self.instance.stores = self._stores(values)
        self.instance.namespaces = sorted(set(names), key=natural) if values.get("is_limited") else None
        return values

    def _stores(self, values: dict[str, Any]) -> list[str] | None:
        names = list(values.get("store_names") or [])
        if not values.get("is_limited_to_stores"):
            if names:
                raise forms.ValidationError("Check “Limited to stores”, or choose no store.")
            return None
        self.check_may_be_limited("A superuser opens every store.")
        if not names:
            raise forms.ValidationError("Choose at least one store that may be opened.")
        return names

    def _check(self, names: list[str]) -> None:
        self.check_may_be_limited("A superuser sees the whole store.")
        if not names:
            raise forms.ValidationError("Name at least one namespace that is seen.")
        try:
            rights.checked_namespaces(names, self.who)
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None

    def check_may_be_limited(self, reason: str) -> None:
        """Raise ValidationError, with the reason, for a superuser, whom no limit holds."""


class UserAccessForm(_AccessForm):
    """The limits of a user."""

    class Meta:
        model = models.UserAccess
        fields: list[str] = []

    def check_may_be_limited(self, reason: str) -> None:
        """Refuse to limit superusers."""
        if self.instance.user.is_superuser:
            raise forms.ValidationError(f"{reason} Take away the superuser status first.")


class GroupAccessForm(_AccessForm):
    """The limits of a group's users."""

    who = "A group"

    class Meta:
        model = models.GroupAccess
        fields: list[str] = []
