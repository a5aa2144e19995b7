"""Signing in and changing a password: Django's forms, which bound neither the username nor the password."""

from typing import Any, Final

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.validators import MaxLengthValidator

MAX_PASSWORD_CHARACTERS: Final = 4096
_MISSING: Final = "Enter a username and password."


class BoundedLoginForm(AuthenticationForm):
    """A login whose values are short enough to be looked up, hashed, and kept by the log of failed logins."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Django reads the length of a username from its column, but sets it without the validator.
        _bound(self.fields["username"], self.fields["username"].max_length, "A username")  # type: ignore[attr-defined]
        _bound(self.fields["password"], MAX_PASSWORD_CHARACTERS, "A password")
        for field in self.fields.values():
            field.error_messages["required"] = _MISSING

    @property
    def problem(self) -> str:
        """What is wrong with the values that were sent, in a line."""
        if self.non_field_errors():
            return "Wrong username or password."
        return next((str(errors[0]) for errors in self.errors.values()), "")


class AdminLoginForm(BoundedLoginForm, AdminAuthenticationForm):
    """The same at the admin's own address."""


class BoundedPasswordChangeForm(PasswordChangeForm):
    """A change of password; the old one is hashed, so it is bounded too."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for field in self.fields.values():
            _bound(field, MAX_PASSWORD_CHARACTERS, "A password")


def _bound(field: forms.Field, most: int, what: str) -> None:
    field.validators = [*field.validators, MaxLengthValidator(most, f"{what} has at most {most:,} characters.")]
    field.widget.attrs["maxlength"] = most
