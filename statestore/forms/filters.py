"""Which rows of a list, in which order."""

from collections.abc import Sequence
from typing import Final

from django import forms
from django.db.models import QuerySet

from statestore import models, search, sessions
from statestore.access.scope import Scope
from statestore.db import pagination
from statestore.db.ids import RowId, from_address
from statestore.db.routers import store_alias
from statestore.forms.fields import AgentInput, CheckedForm, QueryField, TimeField, TimeRangeForm
from statestore.models.agents import AgentQuerySet
from statestore.models.audit import Action, AuditQuerySet
from statestore.models.tasks import TaskQuerySet

SORTS: Final = {
    "changed": ("-updated_at", "-rowid"),
    "oldest": ("updated_at", "rowid"),
    "created": ("-created_at", "-rowid"),
    "id": ("agent_id",),
}


class PageForm(forms.Form):
    """What each list takes: a cursor and a page size."""

    cursor = forms.CharField(required=False, max_length=8000)
    size = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=str(pagination.USUAL_SIZE),
        choices=[(n, n) for n in pagination.PAGE_SIZES],
    )

    def clean_size(self) -> int:
        """Return the number of rows on a page."""
        return int(self.cleaned_data["size"])

    def page(self, rows: QuerySet[pagination.Row], order: Sequence[str]) -> pagination.Page[pagination.Row]:
        """Return the page of `rows` that is asked for; a size that is none of the offered ones counts as not given."""
        values = self.cleaned_data if self.is_valid() else {}
        return pagination.page(
            rows, order, cursor=values.get("cursor", ""), size=values.get("size", pagination.USUAL_SIZE)
        )


class OverviewForm(CheckedForm):
    """How far back the overview's chart goes."""

    range = forms.ChoiceField(required=False, choices=[(name, name) for name in ("day", "week", "month")])


class AgentFilterForm(PageForm):
    """Which agents, in which order."""

    q = forms.CharField(required=False, max_length=200, strip=True, label="Id or name")
    status = forms.CharField(required=False, max_length=200)
    namespace = forms.CharField(required=False, max_length=1000)
    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])

    def agents(self) -> AgentQuerySet:
        """Return the agents that the checked values ask for, without their states."""
        return self.chosen().without_state().with_size()

    def chosen(self) -> AgentQuerySet:
        """Return the agents that the checked values ask for."""
        values = self.cleaned_data
        agents = models.AgentState.objects.walked()
        if values["status"]:
            agents = agents.walked_with_status(values["status"])
        if "namespace" in self.data:
            agents = agents.in_namespace(values["namespace"]) if values["namespace"] != "*" else agents
        return agents.matching(values["q"])

    def counted(self) -> AgentQuerySet:
        """Return the agents that the checked values ask for, to be counted: those of a status by its index."""
        is_status_alone = self.cleaned_data["status"] and not self.cleaned_data["q"] and "namespace" not in self.data
        if not is_status_alone:
            return self.chosen()
        return models.AgentState.objects.alive().with_status(self.cleaned_data["status"])

    def in_trash(self) -> AgentQuerySet:
        """Return the agents in the trash that the checked values ask for."""
        values = self.cleaned_data
        agents = models.AgentState.objects.in_trash()
        if values["status"]:
            agents = agents.with_status(values["status"])
        if "namespace" in self.data and values["namespace"] != "*":
            agents = agents.in_namespace(values["namespace"])
        return agents.matching(values["q"])

    def order(self) -> tuple[str, ...]:
        """Return the columns to sort by."""
        return SORTS[self.cleaned_data["sort"] or "changed"]


class FleetForm(AgentFilterForm, CheckedForm):
    """Which agents, and the time that they are put back to."""

    at = TimeField()

    def scope(self) -> str:
        """Return in words which agents are asked for."""
        values = ((name, self.cleaned_data[name]) for name in ("q", "status", "namespace"))
        return ", ".join(f"{name} {value}" for name, value in values if value) or "all agents"


class SearchForm(PageForm):
    """Which events: the query box, and what addresses of an earlier release named one by one."""

    q = QueryField()

    @property
    def position(self) -> int | None:
        """Where the query cannot be understood, or None."""
        for error in self.errors.as_data().get("q", []):
            return int((error.params or {}).get("position", 0))
        return None

    @property
    def earlier(self) -> str:
        """The query that the parameters of an earlier release stand for, or nothing."""
        names = [name for name in ("type", "session", "actor", "after", "before") if self.data.get(name)]
        terms = [search.Term(name, self.data[name]) for name in names]
        return " ".join(filter(None, [self.data.get("q", ""), *map(str, terms)])) if terms else ""


class OfAgentForm(PageForm):
    """A list that can be narrowed to one agent, by its address or its id."""

    agent = forms.CharField(
        required=False, max_length=4000, widget=AgentInput({"placeholder": "Agent id…", "size": "14"})
    )

    def clean_agent(self) -> str:
        """Return the id that an address names; what begins as none does is an id as people see it."""
        text = self.cleaned_data["agent"].strip()
        try:
            named = from_address(text) if text.startswith("~") else text
        except ValueError:
            raise forms.ValidationError("This is not a valid agent id.") from None
        if isinstance(named, str):
            return named
        agent = models.AgentState.objects.using(store_alias()).without_state().named(named, "agent_id")
        if agent is None:
            raise forms.ValidationError("There is no agent with this id.")
        return str(agent.agent_id)


class SessionFilterForm(OfAgentForm):
    """Which sessions, and from which id on where there are too many to sort."""

    beyond = forms.CharField(required=False, max_length=400_000)
    q = forms.CharField(required=False, max_length=200, strip=True)
    status = forms.CharField(required=False, max_length=200)

    def sessions(self, seen: Scope) -> sessions.Listing:
        """Return the page of sessions that the checked values ask for; in a limited scope, of recorded ones."""
        values = self.cleaned_data
        if not seen.is_unrestricted:
            rows = seen.sessions().matching(values["q"], values["status"], values["agent"])
            return sessions.recorded(rows, cursor=values["cursor"], size=values["size"])
        place = {name: values[name] for name in ("cursor", "beyond", "size")}
        return sessions.listed(values["q"], values["status"], values["agent"], **place)


class AuditFilterForm(TimeRangeForm, PageForm, CheckedForm):
    """Which entries of the audit log: by whom, what, when, and about which row."""

    person = forms.CharField(
        required=False, max_length=200, strip=True, label="Person", widget=forms.TextInput({"spellcheck": "false"})
    )
    action = forms.ChoiceField(
        required=False, label="Action", choices=[("", "All actions"), *((word.value, word.value) for word in Action)]
    )
    row = forms.CharField(required=False, max_length=1500, widget=forms.HiddenInput)

    def clean_row(self) -> RowId | None:
        """Return the id of the row that an address names, None if every row is asked for."""
        try:
            return from_address(self.cleaned_data["row"]) if self.cleaned_data["row"] else None
        except ValueError:
            raise forms.ValidationError("This is not the address of a row.") from None

    def entries(self, seen: Scope) -> AuditQuerySet:
        """Return the entries that the checked values ask for. Raises ValidationError with the first that is wrong."""
        values = self.checked
        rows = seen.audit() if values["row"] is None else seen.audit().about(values["row"])
        return rows.matching(**{name: values[name] for name in ("person", "action", "start", "end")})


class TaskFilterForm(PageForm):
    """Which tasks, as a list or as a board."""

    q = forms.CharField(required=False, max_length=200, strip=True)
    status = forms.CharField(required=False, max_length=200)
    priority = forms.CharField(required=False, max_length=200)
    agent = forms.CharField(required=False, max_length=1000)
    layout = forms.ChoiceField(required=False, choices=[("list", "list"), ("board", "board")])
    edit = forms.CharField(required=False, max_length=1500)

    def clean_edit(self) -> RowId | None:
        """Return the id of the task that is edited on the board."""
        try:
            return from_address(self.cleaned_data["edit"]) if self.cleaned_data["edit"] else None
        except ValueError:
            return None

    def tasks(self, seen: Scope) -> TaskQuerySet:
        """Return the tasks that match the filters; on the board, of every status."""
        values = self.cleaned_data
        tasks = seen.tasks().with_text(values["q"])
        exact = {"priority": values["priority"], "assigned_to": values["agent"]}
        if values["layout"] != "board":
            exact["status"] = values["status"]
        return tasks.filter(**{column: value for column, value in exact.items() if value})
