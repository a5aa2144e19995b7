"""A parsed state as nested `<details>`: collapsed past a depth, counted, cut where long, fetched later where large.

Written out here and not by templates, since a state has thousands of nodes and a template costs 30 µs for each;
Django's own `escape` does what the library's does, after it has asked whether its text is lazy or safe.
"""

import json
from dataclasses import dataclass, field
from html import escape
from itertools import islice
from typing import Final
from urllib.parse import quote

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from statestore.jsondiff import parsing, pointer
from statestore.jsondiff.parsing import Json
from statestore.views.formatting import line, visible

OPEN_DEPTH: Final = 2
# So many nodes are written into one response; what is left is fetched when its branch is opened.
MAX_NODES: Final = 200
# Where nothing can be fetched later.
MAX_NODES_ALONE: Final = 2500
# Of a long list or object, so many are shown at once.
SHOWN_ITEMS: Final = 100
LONG_CHARACTERS: Final = 240
SHOWN_CHARACTERS: Final = 50_000
COPIED_CHARACTERS: Final = 4000
GIST_CHARACTERS: Final = 90


@dataclass
class _Writer:
    """Collects the HTML of a tree."""

    agent_id: str
    moment: str
    history: str = ""
    left: int = MAX_NODES
    parts: list[str] = field(default_factory=list)

    def html(self) -> SafeString:
        return mark_safe("".join(self.parts))  # noqa: S308 (each part is escaped where it is made)

    def node(self, name: str, value: Json, path: str, depth: int) -> None:
        self.left -= 1
        if isinstance(value, dict | list) and value:
            self.branch(name, value, path, depth)
        else:
            self.leaf(name, value, path)

    def branch(self, name: str, value: dict[str, Json] | list[Json], path: str, depth: int) -> None:
        is_far = self.left < min(len(value), SHOWN_ITEMS) and depth > 0 and bool(self.agent_id)
        opened = " open" if depth < OPEN_DEPTH and not is_far else ""
        noun = "item" if isinstance(value, list) else "key"
        count = f"{len(value):,} {noun}{'' if len(value) == 1 else 's'}"
        far = self._far(path) if is_far else ""
        self.parts.append(
            f'<div class="branch"><details{opened}{far}><summary><span class="name">{_shown(name)}</span>'
            f' <span class="quiet">{count}</span>'
            f"{_gist(value) if depth else ''}</summary>"
        )
        if is_far:
            self.parts.append(f'<div class="leaf"><a href="{escape(self._url(path))}">Open branch</a></div>')
        else:
            self.children(value, path, depth)
        # Beside the summary, not in it: a button in a button could not be told from it by a screen reader.
        self.parts.append(f"</details>{_copy(path, 'path')}</div>")

    def children(self, value: dict[str, Json] | list[Json], path: str, depth: int, start: int = 0) -> None:
        """Write the items from a position on, and how to get those after them."""
        pairs = value.items() if isinstance(value, dict) else ((str(i), item) for i, item in enumerate(value))
        for position, (name, item) in enumerate(islice(pairs, start, None), start):
            if self.agent_id and position == start + SHOWN_ITEMS:
                self.parts.append(self._more(path, position, len(value) - position))
                return
            if not self.agent_id and self.left <= 0 and position:
                self.parts.append(f'<div class="leaf quiet">{len(value) - position:,} more; see the raw state</div>')
                return
            self.node(name, item, f"{path}/{pointer.escape(name)}", depth + 1)

    def _more(self, path: str, start: int, number: int) -> str:
        """Return the link to the items after those that are shown, which it is replaced by."""
        url = escape(self._url(path, start))
        load = f'hx-get="{url}" hx-target="closest .leaf" hx-swap="outerHTML"'
        return f'<div class="leaf"><a href="{url}" {load}>Show {min(number, SHOWN_ITEMS)} of {number:,} more</a></div>'

    def leaf(self, name: str, value: Json, path: str) -> None:
        kind, shown = _literal(value)
        self.parts.append(
            f'<div class="leaf"><span class="name">{_shown(name)}</span>'
            f'<span class="literal" data-type="{kind}">{shown}</span>'
            f"{_copy(path, 'path')}{_copy(_copied(value), 'value')}{self._history(path)}</div>"
        )

    def _history(self, path: str) -> str:
        """Return the link to the history of a value."""
        if not self.history:
            return ""
        return f'<a class="copy" href="{self.history}?path={quote(path, safe="")}" tabindex="-1">history</a>'

    def _far(self, path: str) -> str:
        url = escape(self._url(path))
        return f' hx-get="{url}" hx-trigger="toggle once" hx-target="closest .branch" hx-swap="outerHTML"'

    def _url(self, path: str, start: int = 0) -> str:
        query = urlencode({"moment": self.moment, "path": path} | ({"start": start} if start else {}))
        return f"{reverse('agent-branch', args=[self.agent_id])}?{query}"


def tree(value: Json, *, agent_id: str = "", moment: str = "now", path: str = "", name: str = "state") -> SafeString:
    """Return the tree of a value. With an agent and a moment, large branches are loaded when they are opened."""
    writer = _writer(agent_id, moment)
    writer.node(name, value, path, 0)
    return writer.html()


def items(value: Json, start: int, *, agent_id: str, moment: str, path: str) -> SafeString:
    """Return the items of an object or a list from a position on, to be put behind those before it."""
    writer = _writer(agent_id, moment)
    if isinstance(value, dict | list):
        writer.children(value, path, 1, start)
    return writer.html()


def _writer(agent_id: str, moment: str) -> _Writer:
    history = _history_of(agent_id) if moment == "now" else ""
    return _Writer(agent_id, moment, history, MAX_NODES if agent_id else MAX_NODES_ALONE)


def _history_of(agent_id: str) -> str:
    """Return the URL of path histories; empty if the agent's address is too long to repeat beside each value."""
    address = reverse("path-history", args=[agent_id]) if agent_id else ""
    return address if len(address) <= LONG_CHARACTERS else ""


def _gist(value: dict[str, Json] | list[Json]) -> str:
    """Return a one-line summary of a closed object."""
    if not isinstance(value, dict):
        return ""
    words = [
        " ".join(item[: GIST_CHARACTERS * 2].split())
        for item in list(value.values())[:6]
        if isinstance(item, str) and item
    ]
    return f' <span class="gist">{escape(line(" · ".join(words), GIST_CHARACTERS))}</span>' if words else ""


def _shown(name: str) -> str:
    return escape(line(name, 100)) or '<span class="quiet">(empty)</span>'


def _literal(value: Json) -> tuple[str, str]:
    """Return a leaf's type and its escaped text, shortened if it is long."""
    if isinstance(value, str):
        return "string", _text(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean", parsing.dump(value)
    if isinstance(value, dict | list):
        return "empty", "{}" if isinstance(value, dict) else "[]"
    return "number", escape(parsing.dump(value))


def _text(value: str) -> str:
    quoted = visible(value[:SHOWN_CHARACTERS])
    if len(value) <= LONG_CHARACTERS:
        return f"“{escape(quoted)}”"
    rest = "" if len(value) <= SHOWN_CHARACTERS else " … truncated; see the raw state"
    return (
        f'“{escape(quoted[:LONG_CHARACTERS])}…” <details class="long"><summary>show {len(value):,} characters</summary>'
        f"{escape(quoted)}{rest}</details>"
    )


def _copied(value: Json) -> str:
    text = value if isinstance(value, str) else parsing.beginning(value, COPIED_CHARACTERS)
    return text if len(text) <= COPIED_CHARACTERS else ""


def _copy(text: str, what: str) -> str:
    if not text:
        return ""
    return f'<button type="button" class="copy" data-copy="{escape(json.dumps(text))}">{what}</button>'
