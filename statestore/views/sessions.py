"""Sessions: the list, and one session as a conversation."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from statestore import models, search, sessions
from statestore.access.scope import Scope
from statestore.db.ids import RowId
from statestore.forms import PageForm, SessionFilterForm
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json
from statestore.sessions import limits as session_limits
from statestore.views import search_page
from statestore.views.access import require, scope
from statestore.views.htmx import render_live
from statestore.views.json_links import json_twin
from statestore.views.tree import tree

FOLDED_CHARACTERS: Final = 600


@require_safe
@require("view_session")
@json_twin("list_sessions", "q", "status", "agent", ids=["agent"])
def session_list(request: HttpRequest) -> HttpResponse:
    """Show all sessions, recorded or known from their events alone, by last event, newest first."""
    form = SessionFilterForm(request.GET)
    context: dict[str, object] = {"place": "sessions", "form": form}
    if form.is_valid():
        context["page"] = form.sessions(scope(request))
    return render_live(request, "sessions/list.html", context, fragment="sessions/_rows.html")


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry of a conversation as shown; `gist` is the summary line of a folded one."""

    said: sessions.ConversationEntry
    role: str
    tree: SafeString | None
    text: str
    is_folded: bool
    is_cut: bool
    gist: str


@require_safe
@require("view_session")
@json_twin("get_session")
def session_detail(request: HttpRequest, session_id: RowId) -> HttpResponse:
    """Show a session as a conversation: what was said and done, tool calls folded, transitions in between."""
    seen = scope(request)
    row, name = _session(seen, session_id)
    about = sessions.summary(name)
    agents = about.tally.agents
    if row is not None and row.agent_id not in agents:
        agents.append(row.agent_id)
    form = PageForm(request.GET)
    cursor = form.cleaned_data["cursor"] if form.is_valid() else ""
    read = sessions.conversation(name, agents, cursor=cursor, among=seen.transitions())
    started = row.started_at if row else about.first
    ended = row.ended_at if row else about.last
    context = {
        "place": "sessions",
        "session": row,
        "session_id": name,
        "about": about.tally,
        "started_at": started,
        "ended_at": ended,
        "seconds": None if started is None or ended is None else max(0, int(ended) - int(started)),
        "agents": seen.agents().filter(agent_id__in=agents[:20]).without_state(),
        "entries": [_shown(entry) for entry in read.entries],
        "read": read,
        "shown_transitions": sum(entry.transition is not None for entry in read.entries),
        "events_url": search_page.address(search.Query((search.Term("session", name),))),
    }
    return render_live(request, "sessions/detail.html", context, fragment="sessions/_conversation.html")


def _session(seen: Scope, address: RowId) -> tuple[models.Session | None, str]:
    """Return a session and its id. Whose one is that only events name is not known: it is for the whole store."""
    row = seen.sessions().named(address)
    if row is not None:
        return row, str(row.pk)
    event = seen.events().named(address, "session_id") if seen.is_unrestricted else None
    if event is None:
        raise Http404("Session not found.")
    return None, str(event.session_id)


def _shown(entry: sessions.ConversationEntry) -> Shown:
    if entry.event is None:
        return Shown(entry, "transition", None, "", False, False, "")
    event: Any = entry.event
    text = str(event.beginning or "")
    is_cut = len(text) > session_limits.SHOWN_CHARACTERS
    value = None if is_cut else _structure(text)
    role = _role(event)
    drawn = tree(value, name="content") if value is not None else None
    is_folded = role == "tool" or len(text) > FOLDED_CHARACTERS
    return Shown(entry, role, drawn, text[: session_limits.SHOWN_CHARACTERS], is_folded, is_cut, text[:160])


def _role(event: models.Event) -> str:
    kind = str(event.event_type).lower()
    if "tool" in kind:
        return "tool"
    if "error" in kind or "fail" in kind:
        return "error"
    return {"user": "user", "agent": "agent"}.get(str(event.actor_type).lower(), "system")


def _structure(text: str) -> Json | None:
    """Return the value of a JSON object or list, or None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = parsing.parse(text)
    except parsing.NotJson:
        return None
    return value if isinstance(value, dict | list) and value else None
