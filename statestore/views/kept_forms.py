"""What was typed into a form whose session had ended: kept over the sign-in, and put back into the form's own page.

Nothing is sent again by itself. On its way the form lies in a signed field of the login page, so that nothing of
unknown senders is stored here; and it is opened only for the user who was signed in with that browser before.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from html.parser import HTMLParser
from typing import Final, TypeAlias
from urllib.parse import urljoin, urlsplit

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from statestore.access import sign_ins
from statestore.views.formatting import visible
from statestore.views.own_addresses import is_own

SESSION_NAME: Final = "kept_form"
# The login's own request may have 64 KB, and quoting makes a tenth more of it.
MOST_SEALED: Final = 48 * 1024
_MAX_AGE_SECONDS: Final = 3600
_SALT: Final = "statestore.kept_form"
_TEXT_SHOWN: Final = 4000
# Never kept: secrets, and what belongs to the page and not to what was typed.
_SECRET: Final = ("password", "csrfmiddlewaretoken", "kept")
_UNTOUCHED_TYPES: Final = {"hidden", "submit", "button", "image", "reset", "file", "password"}

Attributes: TypeAlias = list[tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form as it was sent: the page it is on, the address it goes to, its fields; and whose it is."""

    owner: int
    page: str
    action: str
    fields: dict[str, list[str]]


def page_of(request: HttpRequest) -> str:
    """Return the page that a request was made from: a form's or a fragment's own address may be no page."""
    for name in ("HX-Current-URL", "Referer"):
        address = request.headers.get(name, "")[:4000]
        if address and is_own(request, address):
            parts = urlsplit(address)
            if parts.path.startswith("/") and parts.path != reverse("login"):
                return f"{parts.path}?{parts.query}" if parts.query else parts.path
    if request.method in {"GET", "HEAD"} and "HX-Request" not in request.headers:
        return request.get_full_path()
    return reverse("overview")


def seal(request: HttpRequest) -> str:
    """Return a form that came without a session as a signed text; "" if it is too long, or of an unknown user."""
    owner = sign_ins.owner_of(request)
    if owner is None:
        return ""
    fields = {
        name: values for name, values in request.POST.lists() if not any(secret in name.lower() for secret in _SECRET)
    }
    form = KeptForm(owner, page_of(request), request.get_full_path(), fields)
    sealed = signing.dumps(asdict(form), salt=_SALT, compress=True)
    return sealed if len(sealed) <= MOST_SEALED else ""


def opened(sealed: str, user_pk: int) -> KeptForm | None:
    """Return a sealed form if it is this user's and not old."""
    if not sealed or len(sealed) > MOST_SEALED:
        return None
    try:
        form = KeptForm(**signing.loads(sealed, salt=_SALT, max_age=_MAX_AGE_SECONDS))
    except (signing.BadSignature, TypeError, zlib.error):
        return None
    return form if form.owner == user_pk else None


def put(request: HttpRequest, form: KeptForm) -> None:
    """Keep a form for the next request of its page."""
    request.session[SESSION_NAME] = asdict(form)


def take(request: HttpRequest) -> KeptForm | None:
    """Return the form that is kept for the page of this request, once."""
    if request.method != "GET" or "HX-Request" in request.headers or not request.user.is_authenticated:
        return None
    kept = request.session.get(SESSION_NAME)
    if not kept or kept["page"] != request.get_full_path():
        return None
    del request.session[SESSION_NAME]
    return KeptForm(**kept) if kept["owner"] == request.user.pk else None


def fill(response: HttpResponse, form: KeptForm) -> None:
    """Put what was typed into the form on its page, and say that nothing was done."""
    html = response.content.decode("utf-8", "surrogateescape")
    filler = _Filler(html, form)
    filler.feed(html)
    filler.close()
    response.content = filler.result().encode("utf-8", "surrogateescape")


_FILLED: Final = (
    "Your session had ended, so nothing was done. What you typed is in the form again: check it and send it once more."
)
_PRESSED: Final = "Your session had ended, so nothing was done. Press the button once more if you still want it."
_UNFILLED: Final = (
    "Your session had ended, so nothing was done. This page no longer has the form; this is what you typed:"
)


class _Filler(HTMLParser):
    """Finds the form on its page, and notes which pieces of the page to replace by what."""

    def __init__(self, html: str, form: KeptForm) -> None:
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
        elif self.is_inside:
            self._fill(tag, text, attrs, given.get("name") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self.open_details:
            self.open_details.pop()
        elif tag == "form":
            self.is_inside = False
        elif tag == "select":
            self.select = ""
        elif tag == "textarea" and self.text_start is not None:
            start, value = self.text_start
            # The browser drops one line break at the beginning.
            self.edits.append((start, self.place, "\n" + escape(value)))
            self.text_start = None

    def _is_it(self, given: Mapping[str, str | None]) -> bool:
        address = urlsplit(urljoin(self.form.page, given.get("action") or ""))
        return (given.get("method") or "").lower() == "post" and address.path == urlsplit(self.form.action).path

    def _fill(self, tag: str, text: str, attrs: Attributes, name: str) -> None:
        kind = (dict(attrs).get("type") or "text").lower()
        if tag == "select":
            self.select = name
        elif tag == "option" and self.select in self.values:
            self._mark("option", text, attrs, "selected", self.select)
        elif tag == "textarea" and self.values.get(name):
            self.text_start = self.place + len(text), self.values[name].pop(0)
        elif tag == "input" and kind in {"checkbox", "radio"}:
            self._mark("input", text, attrs, "checked", name)
        elif tag == "input" and kind not in _UNTOUCHED_TYPES and self.values.get(name):
            others = [(key, value) for key, value in attrs if key != "value"]
            self._replace(self.place, text, _tag("input", [*others, ("value", self.values[name].pop(0))]))

    def _mark(self, tag: str, text: str, attrs: Attributes, mark: str, name: str) -> None:
        others: Attributes = [(key, value) for key, value in attrs if key != mark]
        if (dict(attrs).get("value") or "") in self.form.fields.get(name, []):
            others.append((mark, None))
        self._replace(self.place, text, _tag(tag, others))

    def _replace(self, start: int, text: str, by: str) -> None:
        self.edits.append((start, start + len(text), by))

    def result(self) -> str:
        """Return the page with all that was noted."""
        if self.notice_at is not None:
            self.edits.append((self.notice_at, self.notice_at, self._notice()))
        html = self.html
        for start, end, text in sorted(self.edits, reverse=True):
            html = html[:start] + text + html[end:]
        return html

    def _notice(self) -> str:
        lines = [f"{name}: {value}" for name, values in self.form.fields.items() for value in values if value]
        if self.was_found or not lines:
            text = _FILLED if lines else _PRESSED
            return f'<div class="notice" role="status" data-level="warning">{text}</div>'
        typed = "\n".join(lines)
        return (
            f'<div class="notice" role="status" data-level="warning"><p>{_UNFILLED}</p>'
            f'<pre class="raw">{escape(visible(typed[:_TEXT_SHOWN]))}</pre></div>'
        )


def _tag(name: str, attrs: Attributes) -> str:
    words = [key if value is None else f'{key}="{escape(value)}"' for key, value in attrs]
    return f"<{' '.join([name, *words])}>"
