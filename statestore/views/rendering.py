"""Templates that can render any text that a store holds."""

import re

from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest
from django.template.backends.django import DjangoTemplates, Template
from django.utils.safestring import SafeString, mark_safe

_SURROGATE = re.compile("[\ud800-\udfff]")


class LabelledFields(TemplatesSetting):
    """Form widgets from the project's templates; a field is its label around its widget, then its errors."""

    field_template_name = "statestore/_parts/field.html"


class LenientTextTemplates(DjangoTemplates):
    """Django's templates, whose output can always be sent.

    Text with invalid UTF-8 is read with surrogate escapes, which cannot be encoded: without this, one such row would
    take down every page that shows it, the admin's included.
    """

    def get_template(self, template_name: str) -> Template:
        return _sendable(super().get_template(template_name))

    def from_string(self, template_code: str) -> Template:
        return _sendable(super().from_string(template_code))


def _sendable(template: Template) -> Template:
    render = template.render

    def render_sendable(context: dict[str, object] | None = None, request: HttpRequest | None = None) -> SafeString:
        # Replacing one character by another that needs no escaping keeps safe output safe.
        return mark_safe(_SURROGATE.sub("\ufffd", render(context, request)))  # noqa: S308

    template.render = render_sendable  # type: ignore[method-assign]
    return template
