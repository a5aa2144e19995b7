"""The search box of every page: what a text finds, as a page, and as the options below the box while one types.

Rows come from statestore/lookup; the dashboard adds what only it has: its places, and what can be done in them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from statestore import lookup, search
from statestore.access import rights
from statestore.forms import FindForm
from statestore.lookup import Match, Matches
from statestore.models import AgentState
from statestore.views import agent_pages, context, search_page
from statestore.views.access import require, scope
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin

LABELS: Final = {
    "agent": "Agents", "session": "Sessions", "task": "Tasks", "snapshot": "Snapshots", "restore": "Restores",
    "plan": "Plans", "batch": "Fleet restores", "transition": "Transitions", "event": "Events", "commit": "Commits",
    "saved_search": "Saved searches",
}  # fmt: skip
# The lists that can be narrowed to a text.
_LISTS: Final = {"agent": "agents", "session": "sessions", "task": "tasks"}
# name of the URL, what comes after it, label, permission
_ACTIONS: Final = (
    ("compare", "", "Compare two states", "view_agentstate"),
    ("fleet", "", "New fleet restore", "restore_agent"),
    ("tasks", "?layout=board", "Task board", "view_task"),
    ("tokens", "#new-token", "Create a token", ""),
    ("api:docs", "", "API documentation", ""),
    ("browsers", "", "Signed-in browsers", ""),
    ("password_change", "", "Change password", ""),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the dashboard, or what can be done there."""

    title: str
    page: str


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind, and where all of it is."""

    label: str
    links: Sequence[Match | Link]
    more: str = ""


@require_safe
@json_twin("find", "q")
def find(request: HttpRequest) -> HttpResponse:
    """Show what a text finds: places and actions, and a few rows of each kind that the user may see."""
    form, user, seen = FindForm(request.GET), request.user, scope(request)
    if not form.is_valid():
        return render_page(request, "find/page.html", {"form": form}, fragment="find/_options.html", status=422)
    text, row_id = form.cleaned_data["q"], form.cleaned_data["agent"]
    is_known = row_id is not None and rights.may(user, "view_agentstate")
    agent = seen.agents().without_state().named(row_id, "agent_id") if is_known else None
    about = {
        "form": form,
        "text": text,
        "agent": agent,
        "groups": [*_own(text, user, agent), *(_group(matches, text) for matches in lookup.look_up(text, seen, user))],
        "events_url": _events_url(text) if text and rights.may(user, "view_event") else "",
    }
    return render_page(request, "find/page.html", about, fragment="find/_options.html")


@require_safe
@require("view_agentstate")
def offer_agents(request: HttpRequest) -> HttpResponse:
    """Return the agents to choose from for what was typed in the field `of` of a form."""
    form = FindForm({"q": request.GET.get(request.GET.get("of", ""), "")})
    found = lookup.agents(form.cleaned_data["q"], scope(request)) if form.is_valid() else []
    return render(request, "statestore/find/_agents.html", {"offered": found})


def _group(matches: Matches, text: str) -> Group:
    page = _LISTS.get(matches.kind) if matches.has_more else None
    return Group(LABELS[matches.kind], matches.rows, f"{reverse(page)}?{urlencode({'q': text})}" if page else "")


def _own(text: str, user: User | AnonymousUser, agent: AgentState | None) -> Iterator[Group]:
    """Yield what the dashboard itself offers: for the agent whose page one is on, and everywhere."""
    if agent is not None:
        pages = agent_pages.tabs(agent.agent_id, user) + agent_pages.actions(agent, user)
        yield from _offered(f"On {agent}", text, ((page.label, page.url) for page in pages))
    yield from _offered("Go to", text, _places(user))


def _places(user: User | AnonymousUser) -> Iterator[tuple[str, str]]:
    for name, label, *_ in context.places_of(user):
        if name:
            yield label, reverse(name)
    for name, rest, label, codename in _ACTIONS:
        if not codename or rights.may(user, codename):
            yield label, f"{reverse(name)}{rest}"
    if user.is_staff:
        yield "Admin", reverse("admin:index")


def _offered(label: str, text: str, links: Iterable[tuple[str, str]]) -> Iterator[Group]:
    offered = [Link(title, url) for title, url in links if _begins_words(title, text)]
    if offered:
        yield Group(label, offered)


def _begins_words(title: str, text: str) -> bool:
    """Return whether each word of a text begins a word of a title."""
    words = title.lower().split()
    return all(any(word.startswith(part) for word in words) for part in text.lower().split())


def _events_url(text: str) -> str:
    """Return where events are searched for a text: as a query where it is one, otherwise as plain words."""
    try:
        return search_page.address(search.parse(text))
    except search.QueryError:
        return search_page.address(search.Query((search.Term(search.TEXT, text),)))
