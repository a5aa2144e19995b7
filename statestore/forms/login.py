"""Signing in, changing a password, confirming it: Django's forms bound neither the username nor the password."""

from typing import Any, Final

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest

from statestore.access import sign_ins

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
    """A change of password; the old one is hashed, so it is bounded too, and wrong ones are counted."""

    def __init__(self, *arguments: Any, request: HttpRequest, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.request = request
        for field in self.fields.values():
            _bound(field, MAX_PASSWORD_CHARACTERS, "A password")

    def clean_old_password(self) -> str:
        """Return the old password if it is right."""
        password: str = self.cleaned_data["old_password"]
        if not sign_ins.is_password(self.request, self.user, password):
            raise forms.ValidationError("Wrong password. Nothing was changed.", code="password_incorrect")
        return password


class ConfirmForm(forms.Form):
    """The password of the signed-in user, asked for again; among the fields of the form that is carried."""

    FIELD: Final = "confirm_password"
    confirm_password = forms.CharField(strip=False, max_length=MAX_PASSWORD_CHARACTERS)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST if self.FIELD in request.POST else None)
        self.request = request

    def clean_confirm_password(self) -> str:
        """Return the password if it is right."""
        password: str = self.cleaned_data[self.FIELD]
        if not sign_ins.is_password(self.request, self.request.user, password):
            raise forms.ValidationError("Wrong password. Nothing was done.")
        return password


def _bound(field: forms.Field, most: int, what: str) -> None:
    field.validators = [*field.validators, MaxLengthValidator(most, f"{what} has at most {most:,} characters.")]
    field.widget.attrs["maxlength"] = most
