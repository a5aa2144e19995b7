"""Query string or POST → checked values, for the HTML face and the JSON face alike."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, cast

from django import forms
from django.http import QueryDict

from statestore import jsontext, models, moments, paging, search, tokens, work
from statestore.errors import ValidationError
from statestore.restore import Side
from statestore.routers import store_alias

SORTS: Final = {
    "changed": ("-updated_at", "-rowid"),
    "oldest": ("updated_at", "rowid"),
    "created": ("-created_at", "-rowid"),
    "id": ("agent_id",),
}
CHOICES: Final = {
    "status": models.TaskStatus,
    "priority": models.TaskPriority,
    "complexity": models.TaskComplexity,
}
MAX_EXPIRY_DAYS: Final = 3650


class PageForm(forms.Form):
    """What each list takes: a cursor and a page size."""

    cursor = forms.CharField(required=False, max_length=8000)
    size = forms.TypedChoiceField(
        required=False, coerce=int, empty_value=str(paging.USUAL_SIZE), choices=[(n, n) for n in paging.PAGE_SIZES]
    )

    def clean_size(self) -> int:
        """Return the number of rows on a page."""
        return int(self.cleaned_data["size"])

    def page(self, rows: Any, order: Sequence[str]) -> paging.Page[Any]:
        """Return the page of `rows` that is asked for; a size that is none of the offered ones counts as not given."""
        asked = self.cleaned_data if self.is_valid() else {}
        return paging.page(rows, order, cursor=asked.get("cursor", ""), size=asked.get("size", paging.USUAL_SIZE))


class AgentFilterForm(PageForm):
    """Which agents, in which order."""

    q = forms.CharField(required=False, max_length=200, strip=True, label="Id or name")
    status = forms.CharField(required=False, max_length=200)
    namespace = forms.CharField(required=False, max_length=1000)
    sort = forms.ChoiceField(required=False, choices=[(name, name) for name in SORTS])

    def agents(self) -> Any:
        """Return the agents that the checked values ask for, without their states."""
        return self.chosen().without_state().with_size().with_last_reason()

    def chosen(self) -> Any:
        """Return the agents that the checked values ask for."""
        values = self.cleaned_data
        agents = models.AgentState.objects.walked()
        if values["status"]:
            agents = agents.walked_with_status(values["status"])
        if "namespace" in self.data:
            agents = agents.in_namespace(values["namespace"]) if values["namespace"] != "*" else agents
        return agents.matching(values["q"])

    def order(self) -> tuple[str, ...]:
        """Return the columns to sort by."""
        return SORTS[self.cleaned_data["sort"] or "changed"]


class SnapshotForm(forms.Form):
    """A snapshot to take."""

    description = forms.CharField(required=False, max_length=500, strip=True)
    expires_in_days = forms.IntegerField(required=False, min_value=1, max_value=MAX_EXPIRY_DAYS)

    def expires_at(self) -> int | None:
        """Return when the snapshot shall expire, or None for never."""
        days = self.cleaned_data["expires_in_days"]
        return models.now() + days * 86400 if days else None


class StatusForm(forms.Form):
    """A status to give."""

    status = forms.ChoiceField(choices=models.AgentStatus.choices)
    reason = forms.CharField(required=False, max_length=500, strip=True)


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(required=False, max_length=500, strip=True)


def sent(form: forms.Form, name: str) -> list[str]:
    """Return all values that a browser sent under one name."""
    return cast(QueryDict, form.data).getlist(name)


class RestoreForm(ReasonForm):
    """A restore to preview, to keep as a plan, or to apply: what to put back, and the hash of the row that was seen."""

    moment = forms.CharField(max_length=4000)
    etag = forms.RegexField(r"^[0-9a-f]{64}$")
    state_hash = forms.CharField(required=False, max_length=64)
    confirmed = forms.BooleanField(required=False)
    shown = forms.CharField(required=False, max_length=64)
    picking = forms.BooleanField(required=False)
    merging = forms.BooleanField(required=False)
    step = forms.ChoiceField(required=False, choices=[(step, step) for step in ("apply", "preview", "plan")])

    def paths(self) -> list[str] | None:
        """Return the ticked paths, or None where the whole state is asked for."""
        return [_from_json(text) for text in sent(self, "path")] if self.cleaned_data["picking"] else None

    def edits(self) -> list[tuple[str, str]]:
        """Return the corrections as (path, JSON text); pairs without a value are none."""
        pairs = zip(sent(self, "edit_path"), sent(self, "edit_value"), strict=False)
        return [(path.strip(), value) for path, value in pairs if value.strip()]

    def sides(self) -> dict[str, Side]:
        """Return which side was chosen where both changed the same place."""
        names = [name for name in self.data if name.startswith("choice:")]
        chosen = {_from_json(name.removeprefix("choice:")): self.data[name] for name in names}
        return {path: side for path, side in chosen.items() if side in ("ours", "theirs")}


def _from_json(text: str) -> str:
    """Return a path as pages send it, as an ASCII JSON string in which any character survives; or as it is."""
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise ValidationError(f"“{text[:80]}” is no path. Nothing was changed.") from None


class TokenForm(forms.Form):
    """A token to make."""

    name = forms.CharField(max_length=100, strip=True, help_text="Which script uses it?")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in tokens.SCOPES], widget=forms.CheckboxSelectMultiple, initial=["read"]
    )
    namespaces = forms.CharField(required=False, max_length=5000, strip=True)
    days = forms.IntegerField(min_value=1, max_value=tokens.MOST_DAYS, initial=tokens.USUAL_DAYS)

    def wanted(self) -> dict[str, Any]:
        """Return what the token shall be."""
        values = self.cleaned_data
        named = [word.strip() for word in values["namespaces"].split(",")] if values["namespaces"] else None
        return {"name": values["name"], "scopes": values["scopes"], "namespaces": named, "days": values["days"]}


class ForkForm(ReasonForm):
    """A new agent: its id, its name, and the moment whose state it begins with."""

    moment = forms.CharField(max_length=4000)
    agent_id = forms.CharField(max_length=500, strip=True, label="Id")
    name = forms.CharField(required=False, max_length=500, strip=True)


class MomentField(forms.CharField):
    """A moment in the grammar of moments.py; empty means now."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=4000)

    def clean(self, value: Any) -> moments.Moment:
        """Return the moment."""
        text = super().clean(value)
        try:
            return moments.parse(text) if text else moments.Now()
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None


class TimeField(forms.CharField):
    """A time as seconds since 1970 or in ISO 8601, in UTC where no zone is said; None where none is given."""

    def __init__(self) -> None:
        super().__init__(required=False, max_length=60)

    def clean(self, value: Any) -> int | None:
        """Return whole seconds since 1970 UTC."""
        text = super().clean(value)
        try:
            return moments.parse_time(text) if text else None
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None


class CheckedForm(forms.Form):
    """A query string that is either right or refused in words."""

    @property
    def checked(self) -> dict[str, Any]:
        """Return the values. Raises ValidationError with the first thing that is wrong."""
        if not self.is_valid():
            name, errors = next(iter(self.errors.items()))
            raise ValidationError(f"{name}: {errors[0]}" if name != "__all__" else str(errors[0]))
        return self.cleaned_data


class TimelineForm(CheckedForm):
    """Which stretch of an agent's past, and which moment of it; `at` is what the slider sends."""

    start = TimeField()
    end = TimeField()
    moment = MomentField()
    at = TimeField()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        start, end = values.get("start"), values.get("end")
        if start is not None and end is not None and end < start:
            raise forms.ValidationError("The stretch ends before it begins. Give an earlier start or a later end.")
        if values.get("at") is not None:
            values["moment"] = moments.AtTime(values["at"])
        return values


class CompareForm(CheckedForm):
    """Two moments, of one agent or of two, and the paths that are left out of the comparison."""

    left = forms.CharField(required=False, max_length=4000)
    right = forms.CharField(required=False, max_length=4000)
    before = MomentField()
    after = MomentField()
    layout = forms.ChoiceField(required=False, choices=[("unified", "unified"), ("split", "side by side")])


class WalkForm(CheckedForm):
    """From where a reading of the past goes on, and for which place of the state."""

    path = forms.CharField(required=False, max_length=8000, strip=False)
    place = forms.CharField(required=False, max_length=8000, strip=False)
    condition = forms.CharField(required=False, max_length=2000)
    reached = forms.CharField(required=False, max_length=60)


class FleetForm(AgentFilterForm):
    """Which agents, and the time that they are put back to."""

    at = TimeField()

    def scope(self) -> str:
        """Return in words which agents are asked for."""
        asked = ((name, self.cleaned_data[name]) for name in ("q", "status", "namespace"))
        return ", ".join(f"{name} {value}" for name, value in asked if value) or "all agents"


class BatchForm(CheckedForm):
    """A batch to keep: the time, why, and which agents as they were seen."""

    at = TimeField()
    reason = forms.CharField(required=False, max_length=500, strip=True)
    scope = forms.CharField(required=False, max_length=4000)

    def clean_at(self) -> int:
        """Return the time, which a batch cannot do without."""
        if self.cleaned_data["at"] is None:
            raise forms.ValidationError("Say to which time the agents shall be put back.")
        return int(self.cleaned_data["at"])


class QueryField(forms.CharField):
    """The search box: a query in the language of search/language.py."""

    def __init__(self) -> None:
        super().__init__(required=False)
        self.validators = []  # NUL characters and length are refused in the language's own words.

    def clean(self, value: Any) -> search.Query:
        """Return what is asked for; the error's `position` is where it cannot be understood."""
        try:
            return search.parse(self.to_python(value) or "")
        except search.QueryError as error:
            raise forms.ValidationError(error.reason, params={"position": error.position}) from None


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


class SessionFilterForm(PageForm):
    """Which sessions."""

    q = forms.CharField(required=False, max_length=200, strip=True)
    status = forms.CharField(required=False, max_length=200)
    agent = forms.CharField(required=False, max_length=1000)


class TaskFilterForm(PageForm):
    """Which tasks, as a list or as a board."""

    q = forms.CharField(required=False, max_length=200, strip=True)
    status = forms.CharField(required=False, max_length=200)
    priority = forms.CharField(required=False, max_length=200)
    agent = forms.CharField(required=False, max_length=1000)
    layout = forms.ChoiceField(required=False, choices=[("list", "list"), ("board", "board")])

    def tasks(self, *, using: str | None = None) -> Any:
        """Return the tasks that the checked values ask for, whatever their status on a board."""
        values = self.cleaned_data
        tasks = models.Task.objects.using(using or store_alias()).with_text(values["q"])
        exact = {"priority": values["priority"], "assigned_to": values["agent"]}
        if values["layout"] != "board":
            exact["status"] = values["status"]
        return tasks.filter(**{column: value for column, value in exact.items() if value})


class MoveForm(forms.Form):
    """A task to move: its new status, and the hash of the row that was seen."""

    status = forms.ChoiceField(choices=models.TaskStatus.choices)
    etag = forms.RegexField(r"^[0-9a-f]{64}$")


class SavedViewForm(forms.Form):
    """A query to keep under a name."""

    name = forms.CharField(max_length=80, strip=True)
    q = QueryField()


class RowForm(forms.ModelForm):  # type: ignore[type-arg]
    """An edit of a row that other programs write too: refused where the row is not the one that was shown."""

    etag = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["etag"].initial = models.row_hash(self.instance)

    def clean_metadata(self) -> str | None:
        """Return the JSON as it was typed, or None for none."""
        text: str | None = self.cleaned_data["metadata"]
        if not text or "metadata" not in self.changed_data:
            return text or None
        try:
            jsontext.parse(text)
        except jsontext.NotJson as error:
            raise forms.ValidationError(f"This is not JSON: {error.reason}") from None
        return text

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = _as_it_was(value, getattr(self.instance, name, None))
        if self.instance._state.adding:
            return values
        present = type(self.instance)._default_manager.filter(pk=self.instance.pk).first()
        if present is None or models.row_hash(present) != values["etag"]:
            raise forms.ValidationError(
                "Somebody changed this row since you opened it. Nothing was saved: copy what you typed, open it again."
            )
        return values


def _as_it_was(typed: str, stored: Any) -> str | None:
    """Return the stored text where only a browser's line ends differ from it, else the typed one with plain ones.

    A browser sends nothing for none, which stays none.
    """
    plain = typed.replace("\r\n", "\n")
    if not plain and stored is None:
        return None
    return stored if isinstance(stored, str) and stored.replace("\r\n", "\n") == plain else plain


class TaskForm(RowForm):
    """A task as people edit it: words from their lists, dependencies one id for each line."""

    title = forms.CharField(max_length=500, widget=forms.TextInput(attrs={"class": "vTextField"}))
    dependencies = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Task ids, one for each line.",
    )

    class Meta:
        model = models.Task
        fields = ["title", "description", "status", "priority", "complexity", "assigned_to", "dependencies", "metadata"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, choices in CHOICES.items():
            stored = getattr(self.instance, name)
            odd = [] if stored in choices.values else [(stored, f"{stored} (as stored)")]
            self.fields[name] = forms.ChoiceField(choices=[*choices.choices, *odd], initial=stored)
        self.fields["assigned_to"] = forms.CharField(
            required=False, empty_value=None, widget=forms.TextInput(attrs={"class": "vTextField"})
        )
        with suppress(ValidationError):
            self.initial["dependencies"] = "\n".join(work.dependency_ids(self.instance.dependencies))

    def clean_dependencies(self) -> str:
        """Return the ids as the column holds them. Refuses unknown tasks and circles."""
        lines = (line.strip() for line in self.cleaned_data["dependencies"].splitlines())
        ids = list(dict.fromkeys(line for line in lines if line))
        try:
            work.check_dependencies(store_alias(), self.instance.pk, ids)
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None
        return work.as_text(ids)


class SessionForm(RowForm):
    """A session as people edit it."""

    agent_id = forms.CharField(widget=forms.TextInput(attrs={"class": "vTextField"}))
    status = forms.CharField(max_length=100, initial="active", widget=forms.TextInput(attrs={"class": "vTextField"}))

    class Meta:
        model = models.Session
        fields = ["agent_id", "started_at", "ended_at", "status", "metadata"]

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        started, ended = values.get("started_at"), values.get("ended_at")
        if started is not None and ended is not None and ended < started:
            self.add_error("ended_at", "A session cannot end before it started.")
        return values
