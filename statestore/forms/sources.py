"""Sources: what is mirrored."""

from django import forms

from statestore.forms.fields import CheckedForm, from_json

_PATH_CHARACTERS = 4_096


class MirrorForm(CheckedForm):
    """A file of one of the allowed directories, to be mirrored."""

    path = forms.CharField(max_length=_PATH_CHARACTERS, strip=False)

    def clean_path(self) -> str:
        """Return the path, in which any character may be."""
        return from_json(str(self.cleaned_data["path"]))
