"""Compare: any two moments of one agent or of two; swapped, with ignored paths, all in the URL."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_safe

from statestore import history, lookup, models
from statestore.db.ids import from_address, to_address
from statestore.errors import NotFound, ValidationError
from statestore.forms import CompareForm
from statestore.history import Choices, moments
from statestore.jsondiff import pointer
from statestore.views.access import past_or_404, require_viewer, scope
from statestore.views.diff_view import ComparisonView
from statestore.views.htmx import render_page
from statestore.views.json_links import json_twin
from statestore.views.states import StateView

MAX_IGNORED = 50
# So many agents are named where an agent was not found, or several were.
SUGGESTIONS = 5


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: an agent, its state at a moment, and what else can be chosen; `chosen` of these."""

    agent: models.AgentState
    known: history.KnownState
    choices: Choices
    chosen: str

    @property
    def words(self) -> str:
        """The moment in words."""
        return "" if isinstance(self.known.moment, moments.AtTime) else self.known.label

    @property
    def at(self) -> int | None:
        """The time that is asked for, or when the state was recorded; None for now."""
        moment = self.known.moment
        return moment.seconds if isinstance(moment, moments.AtTime) else None if self.is_now else self.known.at

    @property
    def is_now(self) -> bool:
        """Whether it is the present state."""
        return isinstance(self.known.moment, moments.Now)


@require_safe
@require_viewer
@json_twin("get_diff", when="left", row="left", before="from", after="to", right="other", fixed={"from": "now"})
@json_twin("list_agents")
def compare(request: HttpRequest) -> HttpResponse:
    """Show how two moments differ; without a second agent both are of the first.

    Agents are named by id or by a unique name. Without moments it is what the last change did.
    """
    values = CompareForm(request.GET).checked
    form = CompareForm(initial=values | {"before_at": "", "after_at": ""})
    context: dict[str, object] = {"place": "agents", "form": form, "layout": values["layout"] or "unified"}
    context["names"] = history.NAMED_MOMENTS.items()
    if values["left"]:
        left = _agent(request, values["left"], "left")
        right = _agent(request, values["right"], "right") if values["right"] else left
        ignored = _ignored(request.GET.getlist("ignore"))
        before = _side(left, values, "before", ("before-last-change", "last-snapshot"))
        after = _side(right, values, "after", ("now", "after-last-change", "last-snapshot"))
        # Links, and the call with the same data, name agents and moments exactly.
        request.GET = _exact(request.GET, before, after)  # type: ignore[assignment]
        form.initial.update({name: request.GET.get(name, "") for name in ("left", "right")})
        context |= {
            "left": left,
            "right": right,
            "agent": left if left == right else None,
            "before": before,
            "after": after,
            "ignored": [(path, _url(request, drop=path)) for path in ignored],
            "swap": f"?{_exact(request.GET, after, before).urlencode()}",
            "comparison": ComparisonView(before.known.text, after.known.text, ignored=ignored),
            "hashes": [StateView(side.known.text).hash for side in (before, after)],
        }
    for name in ("left", "right"):
        form.fields[name].widget.offered = lookup.agents("", scope(request))
    return render_page(request, "history/compare.html", context)


def _agent(request: HttpRequest, text: str, field: str) -> models.AgentState:
    """Return the agent of an address, an id or a unique name. Raises ValidationError, with suggestions."""
    with suppress(ValueError, Http404):
        return past_or_404(request, from_address(text))
    seen = scope(request)
    named = lookup.agents_called(text, seen)
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(agent.agent_id for agent in named[:SUGGESTIONS])
        raise ValidationError(f"Several agents are called “{text[:80]}”: {ids}. Enter the id of one.", field=field)
    like = [f"{agent.row_id} ({agent.title})" for agent in lookup.agents(text, seen)[:SUGGESTIONS]]
    hint = f"Did you mean {', '.join(like)}?" if like else "Enter an agent's id or its name."
    raise ValidationError(f"No agent has the id or the name “{text[:80]}”. {hint}", field=field)


def _side(agent: models.AgentState, values: dict[str, Any], name: str, usual: tuple[str, ...]) -> Side:
    """Return the side that is asked for: at a time if one is given, at a moment, or at the first usual one."""
    choices = history.choices(agent)
    text = values[name] or choices.first_of(*usual)
    at = values[f"{name}_at"]
    try:
        moment = choices.moment(text) if at is None else moments.AtTime(at)
        if moment is None:
            raise ValidationError("This agent has no such moment. Choose another one.")
        known = history.state_at(agent.agent_id, moment)
    except (NotFound, ValidationError) as error:
        raise ValidationError(str(error), field=name) from None
    is_named = at is None and text in history.NAMED_MOMENTS
    return Side(agent, known, choices, text if is_named else choices.value_of(moment))


def _exact(query: QueryDict, before: Side, after: Side) -> QueryDict:
    """Return the query string of two sides, with agents by their addresses and moments as they are."""
    parameters = query.copy()
    for name in ("before_at", "after_at", "right"):
        parameters.pop(name, None)
    parameters["left"] = to_address(before.agent.agent_id)
    if after.agent != before.agent:
        parameters["right"] = to_address(after.agent.agent_id)
    parameters["before"], parameters["after"] = str(before.known.moment), str(after.known.moment)
    return parameters


def _ignored(paths: list[str]) -> list[str]:
    """Return the ignored paths, each once. Raises ValidationError for an invalid path."""
    if len(paths) > MAX_IGNORED:
        raise ValidationError(f"At most {MAX_IGNORED} paths can be ignored.")
    for path in paths:
        try:
            pointer.split(path)
        except ValueError as error:
            raise ValidationError(f"“{path[:80]}” cannot be ignored: {error}") from None
    return [path for path in dict.fromkeys(paths) if path]


def _url(request: HttpRequest, *, drop: str) -> str:
    """Return the page's URL with one path no longer ignored."""
    parameters = request.GET.copy()
    parameters.setlist("ignore", [path for path in parameters.getlist("ignore") if path != drop])
    return f"?{parameters.urlencode()}"
