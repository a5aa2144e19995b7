"""A state at a moment: as a tree, as raw text, as a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from statestore import conversations, history, models
from statestore.db.fields import text_bytes
from statestore.db.ids import RowId, to_address
from statestore.forms import BranchForm
from statestore.history import moments
from statestore.jsondiff import limits, parsing, pointer
from statestore.jsondiff.budget import Budget, budget_of, remembered
from statestore.jsondiff.parsing import Json
from statestore.views.access import past_or_404, require_viewer, scope
from statestore.views.conversation import ConversationView
from statestore.views.formatting import line, size
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.tree import items, tree

RAW_CHARACTERS: Final = 100_000
MAX_MATCHES: Final = 100
# A state of this size is described before it is shown, by its largest members.
SHARES_BYTES: Final = 20_000
LARGEST_MEMBERS: Final = 3


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a text in a state."""

    path: str
    text: str


class StateView:
    """A stored state as pages show it: parsed, or with the reason why it cannot be."""

    def __init__(
        self,
        text: str,
        agent_id: str = "",
        moment: str = "now",
        *,
        asked: Mapping[str, object] | None = None,
        name: str = "state",
    ) -> None:
        self.text, self.agent_id, self.moment, self.name = text, agent_id, moment, name
        self.asked = dict(asked or {})
        self.find = str(self.asked.get("find") or "").strip()
        self.value: Json = None
        self.why_raw = ""
        try:
            self.value = remembered(("parse", text), lambda: parsing.parse(text))
        except parsing.NotJson as error:
            self.why_raw = error.reason

    @property
    def size(self) -> int:
        """The bytes of the stored text."""
        return len(text_bytes(self.text))

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of the stored text."""
        return models.sha256(self.text)

    @property
    def tree(self) -> SafeString:
        """The state as nested details."""
        return tree(self.value, agent_id=self.agent_id, moment=self.moment, name=self.name)

    @property
    def shares(self) -> str:
        """What a large state is made of: its keys, its size, and the largest of its members."""
        if self.size < SHARES_BYTES or not isinstance(self.value, dict):
            return ""
        sizes = {name: len(parsing.fingerprint(member)) for name, member in self.value.items()}
        whole = max(sum(sizes.values()), 1)
        largest = sorted(sizes, key=lambda name: -sizes[name])[:LARGEST_MEMBERS]
        told = [f"{line(name, 40)} {100 * sizes[name] / whole:.0f} %" for name in largest if 100 * sizes[name] >= whole]
        keys = f"{len(sizes):,} key{'' if len(sizes) == 1 else 's'}, {size(self.size)}"
        return f"{keys}, largest: {', '.join(told)}" if told else keys

    @cached_property
    def message_lists(self) -> list[conversations.MessageList]:
        """The message lists in the state, the longest first."""
        return conversations.message_lists(self.value)

    @cached_property
    def conversation(self) -> ConversationView | None:
        """The state's messages, where they are asked for and there are any."""
        if self.asked.get("view") != "conversation" or not self.message_lists:
            return None
        return ConversationView(self.message_lists, self.asked)

    @property
    def raw(self) -> str:
        """The beginning of the text, up to the size of one page."""
        return self.text[:RAW_CHARACTERS]

    @property
    def is_cut(self) -> bool:
        """Whether `raw` is not all of it."""
        return len(self.text) > RAW_CHARACTERS

    @cached_property
    def matches(self) -> list[Match]:
        """The matches of the searched text in keys and values, in document order."""
        all_matches: list[Match] = []
        if self.find and not self.why_raw:
            self._effort = budget_of(limits.FIND_UNITS)
            for match in _walk(self.value, "", self.find.lower(), self._effort):
                all_matches.append(match)
                if len(all_matches) == MAX_MATCHES:
                    break
        return all_matches

    @property
    def is_search_cut(self) -> bool:
        """Whether only the beginning of the state was searched."""
        return bool(self.find and not self.why_raw and self.matches is not None and self._effort.is_spent)


def _walk(value: Json, path: str, word: str, effort: Budget) -> Iterator[Match]:
    """Yield the matches below a value, as far as the effort reaches; the parser limits the depth."""
    if not effort.consume(limits.FOUND_VALUE_UNITS):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}/{pointer.escape(key)}"
            if word in key.lower() and isinstance(item, dict | list):
                yield Match(below, f"{len(item)} items")
            yield from _walk(item, below, word, effort)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _walk(item, f"{path}/{position}", word, effort)
    else:
        text = value if isinstance(value, str) else parsing.dump(value)
        at = text.lower().find(word)
        if at >= 0 or word in path.rpartition("/")[2].lower():
            yield Match(path, text[max(at - 60, 0) : max(at, 0) + 120])


@require_safe
@require_viewer
@json_twin("get_state", "moment")
def raw_state(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Send the stored text of a state at a moment, byte for byte, as plain text or as a file to keep."""
    agent = _agent_id(request, agent_id)
    known = history.state_at(agent, moments.parse(request.GET.get("moment", "now")))
    response = HttpResponse(text_bytes(known.text), content_type="text/plain; charset=utf-8")
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in to_address(agent))[:80]
    kind = "attachment" if "download" in request.GET else "inline"
    response["Content-Disposition"] = f'{kind}; filename="{name or "state"}.json"'
    # The text is an agent's: browsers must not interpret it.
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_safe
@require_viewer
@json_twin("get_state", "moment")
def branch(request: HttpRequest, agent_id: RowId) -> HttpResponse:
    """Show one branch of a state, as a page or as the part that replaces a closed branch."""
    agent, path, moment = _agent_id(request, agent_id), request.GET.get("path", ""), request.GET.get("moment", "now")
    start = BranchForm(request.GET).checked["start"] or 0
    known = history.state_at(agent, moments.parse(moment))
    try:
        value = pointer.resolve(parsing.parse(known.text), path)
    except (parsing.NotJson, KeyError, ValueError):
        raise Http404("This path does not exist in the state.") from None
    name = pointer.split(path)[-1] if path else "state"
    shown = {"agent_id": agent, "moment": moment, "path": path}
    context = {
        "place": "agents",
        **shown,
        "tree": items(value, start, **shown) if start else tree(value, name=name, **shown),
    }
    return render_page(request, "agents/branch.html", context, fragment="agents/_branch.html")


def _agent_id(request: HttpRequest, address: RowId) -> str:
    """Return the agent's id; the agent may be deleted while its past remains."""
    if isinstance(address, str) and scope(request).is_unrestricted:
        return address
    agent_id: str = past_or_404(request, address).agent_id
    return agent_id
