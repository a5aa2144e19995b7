"""Sessions: the list, and one session as a conversation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from statestore import conversations, models, search, sessions
from statestore.access.scope import Scope
from statestore.conversations import Message, Role, Text, Turn, Unknown
from statestore.conversations.messages import Part
from statestore.db.ids import RowId
from statestore.db.routers import store_alias
from statestore.forms import EndSessionForm, PageForm, SessionFilterForm
from statestore.jsondiff import parsing
from statestore.jsondiff.parsing import Json
from statestore.models.events import is_error_type
from statestore.sessions import limits as session_limits
from statestore.sessions import service as session_service
from statestore.sources.naming import mirrors
from statestore.tasks import edits
from statestore.views import conversation, search_page
from statestore.views.access import actor, require, scope
from statestore.views.audit import activity
from statestore.views.conversation import ShownTurn
from statestore.views.edits import say_edited
from statestore.views.formatting import middle, utc
from statestore.views.htmx import render_live
from statestore.views.json_links import json_twin


@require_safe
@require("view_session")
@json_twin("list_sessions", "q", "status", "agent", ids=["agent"])
def session_list(request: HttpRequest) -> HttpResponse:
    """Show all sessions, recorded or known from their events alone, by last event, newest first."""
    form = SessionFilterForm(request.GET)
    context: dict[str, object] = {"place": "sessions", "form": form, "statuses": _statuses(form.data.get("status", ""))}
    if form.is_valid():
        page = form.sessions(seen := scope(request))
        context |= {"page": page, "mirrors": mirrors(seen.using, (row.agent_id for row in page.rows))}
    return render_live(request, "sessions/list.html", context, fragment="sessions/_rows.html")


def _statuses(asked: str) -> list[str]:
    """Return the statuses to choose from: the usual ones, and another one that is asked for."""
    return list(dict.fromkeys([*models.SessionStatus.values, sessions.NOT_RECORDED, *filter(None, [asked])]))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a conversation as shown. `day` is said above the first one of each day."""

    said: sessions.ConversationEntry
    turn: ShownTurn | None
    day: str
    is_cut: bool


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
        "mirrors": mirrors(seen.using, [row.agent_id] if row else []),
        "entries": list(_entries(read.entries)),
        "read": read,
        "shown_transitions": sum(entry.transition is not None for entry in read.entries),
        "etag": models.row_hash(row) if row else "",
        "end_form": EndSessionForm(auto_id=False),
        "activity": activity(seen, "session", name) if row else None,
        "events_url": search_page.address(search.Query((search.Term("session", name),))),
    }
    return render_live(request, "sessions/detail.html", context, fragment="sessions/_conversation.html")


@require_POST
@require("change_session")
def end_session(request: HttpRequest, session_id: RowId) -> HttpResponse:
    """End an open session now, where it is the one that was seen."""
    session, form = scope(request).sessions().named(session_id), EndSessionForm(request.POST)
    if session is None:
        raise Http404("Session not found.")
    status, etag = form.checked["status"], form.checked["etag"]
    entry = edits.recorded(
        lambda: session_service.end_session(store_alias(), session.pk, status=status, by=actor(request), if_match=etag)
    )
    say_edited(request, entry)
    return redirect(session)


def _session(seen: Scope, address: RowId) -> tuple[models.Session | None, str]:
    """Return a session and its id. Whose one is that only events name is not known: it is for the whole store."""
    row = seen.sessions().named(address)
    if row is not None:
        return row, str(row.pk)
    event = seen.events().named(address, "session_id") if seen.is_unrestricted else None
    if event is None:
        raise Http404("Session not found.")
    return None, str(event.session_id)


def _entries(said: list[sessions.ConversationEntry]) -> Iterator[Entry]:
    """Yield entries with their days, and their events as turns."""
    last = ""
    for one in said:
        moment = utc(one.at)
        day = f"{moment:%Y-%m-%d}" if moment else ""
        text = str(one.event.beginning or "") if one.event else ""  # type: ignore[attr-defined]
        is_cut = len(text) > session_limits.SHOWN_CHARACTERS
        turn = None if one.event is None else _turn(one.event, text[: session_limits.SHOWN_CHARACTERS], is_cut=is_cut)
        yield Entry(one, turn, day if day != last else "", is_cut)
        last = day


def _turn(event: models.Event, text: str, *, is_cut: bool) -> ShownTurn:
    """Return an event as a row of a conversation: a message where its content is one, else its text or value."""
    value = None if is_cut else _structure(text)
    if value is not None and conversations.is_message(value):
        (turn,) = conversations.paired([conversations.message(value, 0)])
    else:
        parts: list[Part] = [Text(text)] if value is None else [Unknown(value)]
        turn = Turn(Message(0, Role.OTHER, "", tuple(parts)), parts if text else [], [])
    word = middle(event.actor_id, 28) or "(empty)"
    return replace(conversation.shown(turn), role=_role(event), word=word)


def _role(event: models.Event) -> str:
    kind = str(event.event_type).lower()
    if "tool" in kind:
        return "tool"
    if is_error_type(kind):
        return "error"
    return {"user": "user", "agent": "assistant"}.get(str(event.actor_type).lower(), "other")


def _structure(text: str) -> Json | None:
    """Return the value of a JSON object or list, or None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = parsing.parse(text)
    except parsing.NotJson:
        return None
    return value if isinstance(value, dict | list) and value else None
