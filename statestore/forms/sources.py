"""Sources: what is mirrored."""

from django import forms

from statestore.forms.fields import CheckedForm, from_json
from statestore.sources import servers

_PATH_CHARACTERS = 4_096


class MirrorForm(CheckedForm):
    """A file of one of the allowed directories, or a database of one of the allowed servers, to be mirrored."""

    path = forms.CharField(max_length=_PATH_CHARACTERS, strip=False, required=False)
    # By this name nothing keeps what was typed: neither the page with the error nor a sign-in in between.
    url_with_password = forms.CharField(max_length=_PATH_CHARACTERS, required=False)

    def clean_path(self) -> str:
        """Return the path, in which any character may be."""
        path = str(self.cleaned_data["path"])
        return from_json(path) if path else ""

    def clean_url_with_password(self) -> str:
        """Return the URL of a database; a path is that of a file."""
        url = str(self.cleaned_data["url_with_password"])
        if url and not url.startswith(servers.SCHEMES):
            raise forms.ValidationError("Write the URL of a database: postgresql://USER:PASSWORD@HOST/DATABASE.")
        return url

    def clean(self) -> None:
        """Ask for one of both."""
        if not self.errors and not any(self.cleaned_data.values()):
            self.add_error("path", "Choose a file, or write the URL of a database.")
