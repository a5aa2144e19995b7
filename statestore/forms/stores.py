"""Stores: which file is served, and under which name."""

from django import forms

from statestore.forms.fields import CheckedForm, from_json


class AddStoreForm(CheckedForm):
    """A file of one of the allowed directories, to be served under a name."""

    name = forms.CharField(max_length=100)
    path = forms.CharField(max_length=4_096, strip=False)

    def clean_path(self) -> str:
        """Return the path, in which any character may be."""
        return from_json(str(self.cleaned_data["path"]))
