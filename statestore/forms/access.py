"""The namespaces and stores that a user is limited to, as administrators set them in the admin."""

from typing import Any

from django import forms
from django.conf import settings

from statestore import models
from statestore.access import rights
from statestore.errors import ValidationError
from statestore.text.natural_order import natural


class UserAccessForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whether a user is limited, and to which namespaces: one name for each line."""

    is_limited = forms.BooleanField(
        required=False, label="Limited to namespaces", help_text="If not, the user sees the whole store."
    )
    names = forms.CharField(
        required=False, label="Namespaces", help_text="One per line.",
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField", "spellcheck": "false"}),
    )  # fmt: skip
    without_namespace = forms.BooleanField(required=False, label="Agents without a namespace")

    is_limited_to_stores = forms.BooleanField(
        required=False, label="Limited to stores", help_text="If not, the user may open every store."
    )
    store_names = forms.MultipleChoiceField(
        required=False, label="Stores", widget=forms.CheckboxSelectMultiple, choices=()
    )

    class Meta:
        model = models.UserAccess
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["store_names"].choices = [(name, name) for name in settings.STORES]  # type: ignore[attr-defined]
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
        if settings.STORES:
            self.instance.stores = self._stores(values)
        self.instance.namespaces = sorted(set(names), key=natural) if values.get("is_limited") else None
        return values

    def _stores(self, values: dict[str, Any]) -> list[str] | None:
        names = list(values.get("store_names") or [])
        if not values.get("is_limited_to_stores"):
            if names:
                raise forms.ValidationError("Check “Limited to stores”, or choose no store.")
            return None
        if self.instance.user.is_superuser:
            raise forms.ValidationError("A superuser opens every store. Take away the superuser status first.")
        if not names:
            raise forms.ValidationError("Choose at least one store that the user may open.")
        return names

    def _check(self, names: list[str]) -> None:
        if self.instance.user.is_superuser:
            raise forms.ValidationError("A superuser sees the whole store. Take away the superuser status first.")
        if not names:
            raise forms.ValidationError("Name at least one namespace that the user sees.")
        try:
            rights.checked_namespaces(names, "A user")
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None
