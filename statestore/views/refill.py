"""Put what was sent back into its form on the form's own page, with the errors at their fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Final, TypeAlias
from urllib.parse import urljoin, urlsplit

from django.http import HttpResponse

from statestore.views.formatting import visible, with_code

_TEXT_SHOWN: Final = 4000
_UNTOUCHED_TYPES: Final = {"hidden", "submit", "button", "image", "reset", "file", "password"}

# What the page has put into a form by itself.
_OF_PAGE: Final = {"etag", "next"}

Attributes: TypeAlias = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form as it was sent: the page it is on, the address it goes to, its fields, and the errors of some of them."""

    page: str
    action: str
    fields: dict[str, list[str]]
    method: str = "post"
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def typed(self) -> str:
        """The values that were typed, a line for each."""
        return "\n".join(
            f"{name}: {value}"
            for name, values in self.fields.items()
            for value in values
            if value and name not in _OF_PAGE and not name.startswith("initial-")
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What the page has of a form: whether it is there, and the fields that their errors stand at."""

    has_form: bool
    explained: frozenset[str]


def fill(response: HttpResponse, form: SentForm, notice_of: Callable[[SentForm, Found], str]) -> None:
    """Fill the form in a response, put its errors at their fields, and the notice, if any, at the top of the page."""
    html = response.content.decode("utf-8", "surrogateescape")
    filler = _Filler(html, form)
    filler.feed(html)
    filler.close()
    response.content = filler.result(notice_of).encode("utf-8", "surrogateescape")


def notice(level: str, text: str, typed: str = "") -> str:
    """Return the HTML of a notice, with what was typed where the page has no form for it."""
    role = "alert" if level == "error" else "status"
    if not typed:
        return f'<div class="notice" role="{role}" data-level="{level}">{with_code(text)}</div>'
    return (
        f'<div class="notice" role="{role}" data-level="{level}"><p>{with_code(text)}</p>'
        f'<pre class="raw">{escape(visible(typed[:_TEXT_SHOWN]))}</pre></div>'
    )


class _Filler(HTMLParser):
    """Finds the form on its page, and notes which pieces of the page to replace by what."""

    def __init__(self, html: str, form: SentForm) -> None:
        super().__init__(convert_charrefs=True)
        self.html, self.form = html, form
        self.values = {name: list(values) for name, values in form.fields.items()}
        self.edits: list[tuple[int, int, str]] = []
        # The parser counts lines by line feeds alone.
        self.lines = [0, *(place + 1 for place, character in enumerate(html) if character == "\n")]
        self.open_details: list[tuple[int, str, Attributes]] = []
        self.is_inside = self.was_found = False
        self.select = ""
        self.text_start: tuple[int, str] | None = None
        self.notice_at: int | None = None
        self.explained: set[str] = set()
        # The field whose error is due behind its element, and behind the label that the element is in.
        self.due = ""
        self.is_in_label = False

    @property
    def place(self) -> int:
        """Where the parser stands, as an index into the page."""
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        text = self.get_starttag_text() or ""
        given = dict(attrs)
        if tag == "main" and self.notice_at is None:
            self.notice_at = self.place + len(text)
        elif tag == "details":
            self.open_details.append((self.place, text, attrs))
        elif tag == "form" and not self.was_found and self._is_it(given):
            self.is_inside = self.was_found = True
            for place, shown, kept in self.open_details:
                self._replace(place, shown, _tag("details", [*kept, ("open", None)]))
        elif tag == "label":
            self.is_in_label = True
        elif self.is_inside:
            self._fill(tag, text, attrs, given.get("name") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self.open_details:
            self.open_details.pop()
        elif tag == "form":
            self.is_inside = False
        elif tag == "label":
            self.is_in_label = False
            self._explain(self.place + len("</label>"))
        elif tag == "select":
            self.select = ""
            self._explain(self.place + len("</select>"))
        elif tag == "textarea" and self.text_start is not None:
            start, value = self.text_start
            # The browser drops one line break at the beginning.
            self.edits.append((start, self.place, "\n" + escape(value)))
            self.text_start = None
            self._explain(self.place + len("</textarea>"))

    def _is_it(self, given: Mapping[str, str | None]) -> bool:
        address = urlsplit(urljoin(self.form.page, given.get("action") or ""))
        is_same = (given.get("method") or "get").lower() == self.form.method
        # A page may have several forms that ask it for something.
        return is_same and address.path == urlsplit(self.form.action).path and self._has_fields()

    def _has_fields(self) -> bool:
        if self.form.method == "post":
            return True
        end = self.html.find("</form>", self.place)
        return any(f'name="{escape(name)}"' in self.html[self.place : end] for name in self.form.errors)

    def _fill(self, tag: str, text: str, attrs: Attributes, name: str) -> None:
        kind = (dict(attrs).get("type") or "text").lower()
        if tag == "select":
            self.select = name
            self._mark_wrong(tag, text, attrs, name)
        elif tag == "option" and self.select in self.values:
            self._mark("option", text, attrs, "selected", self.select)
        elif tag == "textarea" and self.values.get(name):
            self.text_start = self.place + len(text), self.values[name].pop(0)
            self._mark_wrong(tag, text, attrs, name)
        elif tag == "input" and kind in {"checkbox", "radio"}:
            self._mark("input", text, attrs, "checked", name)
        elif tag == "input" and kind not in _UNTOUCHED_TYPES:
            others = [(key, value) for key, value in attrs if key != "value"]
            typed = self.values[name].pop(0) if self.values.get(name) else dict(attrs).get("value") or ""
            self._replace(self.place, text, _tag("input", [*others, ("value", typed), *self._wrong(name)]))
            self._explain(self.place + len(text))

    def _mark(self, tag: str, text: str, attrs: Attributes, mark: str, name: str) -> None:
        others: Attributes = [(key, value) for key, value in attrs if key != mark]
        if (dict(attrs).get("value") or "") in self.form.fields.get(name, []):
            others.append((mark, None))
        self._replace(self.place, text, _tag(tag, others))

    def _mark_wrong(self, tag: str, text: str, attrs: Attributes, name: str) -> None:
        if wrong := self._wrong(name):
            self._replace(self.place, text, _tag(tag, [*attrs, *wrong]))

    def _wrong(self, name: str) -> Attributes:
        """Return the attributes of a field with an error, which is then due behind its element."""
        if name not in self.form.errors or name in self.explained:
            return []
        self.due = name
        return [("aria-invalid", "true"), ("aria-describedby", _error_id(name))]

    def _explain(self, place: int) -> None:
        if self.due and not self.is_in_label:
            message = with_code(self.form.errors[self.due])
            text = f'<span class="field-error" role="alert" id="{_error_id(self.due)}">{message}</span>'
            self.edits.append((place, place, text))
            self.explained.add(self.due)
            self.due = ""

    def _replace(self, start: int, text: str, by: str) -> None:
        self.edits.append((start, start + len(text), by))

    def result(self, notice_of: Callable[[SentForm, Found], str]) -> str:
        """Return the page with all that was noted."""
        if self.notice_at is not None:
            text = notice_of(self.form, Found(self.was_found, frozenset(self.explained)))
            self.edits.append((self.notice_at, self.notice_at, text))
        html = self.html
        for start, end, text in sorted(self.edits, reverse=True):
            html = html[:start] + text + html[end:]
        return html


def _error_id(name: str) -> str:
    return f"error-{name}"


def _tag(name: str, attrs: Attributes) -> str:
    words = [key if value is None else f'{key}="{escape(value)}"' for key, value in attrs]
    return f"<{' '.join([name, *words])}>"
