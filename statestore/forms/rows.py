"""Forms of rows that people edit, in the admin and in place; a form whose row has changed since is refused."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn, cast

from django import forms
from django.http import QueryDict

from statestore import lookup, models
from statestore.access import etags
from statestore.access.scope import Scope
from statestore.db.fields import survives_form
from statestore.db.json_columns import as_text
from statestore.errors import Forbidden, Moved, ValidationError
from statestore.forms.fields import AgentInput, checked
from statestore.models import validation
from statestore.models.tasks import dependency_ids, readable_dependency_ids
from statestore.tasks import dependencies as task_dependencies

CHOICES: Final = {
    "status": models.TaskStatus,
    "priority": models.TaskPriority,
    "complexity": models.TaskComplexity,
}


class RowForm(forms.ModelForm):  # type: ignore[type-arg]
    """An edit of a row that other programs write too: refused where the row is not the one that was shown."""

    etag = forms.CharField(required=False, widget=forms.HiddenInput)
    # What the person sees; the admin sets it.
    scope: Scope | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["etag"].initial = models.row_hash(self.instance)

    def clean_metadata(self) -> str | None:
        """Return the JSON as it was typed, or None for none."""
        return self.cleaned_data["metadata"] or None

    def clean(self) -> dict[str, object]:
        values = super().clean() or self.cleaned_data
        for name, value in list(values.items()):
            if isinstance(value, str):
                values[name] = _as_it_was(value, getattr(self.instance, name, None))
            self._check(name, values[name])
        if self.instance._state.adding:
            return values
        present = type(self.instance)._default_manager.filter(pk=self.instance.pk).first()
        try:
            etags.expect(present, values["etag"])
        except Moved as error:
            self.refuse_stale(error)
        return values

    def refuse_stale(self, error: Moved) -> NoReturn:
        """Refuse a row that has changed since it was shown."""
        raise forms.ValidationError(f"{error} Copy your input first.") from None

    def _check_agent(self, name: str, what: str) -> str | None:
        """Return the agent that was typed. Refuses one out of scope."""
        agent_id: str | None = self.cleaned_data[name]
        try:
            (self.scope or Scope()).require_agent(agent_id, what)
        except Forbidden as error:
            raise forms.ValidationError(str(error)) from None
        return agent_id

    def _check(self, name: str, value: object) -> None:
        """Refuse what the orchestrator could not read, as the services do; what is stored already may stay."""
        if name == "etag" or value == getattr(self.instance, name):
            return
        if reason := validation.fault(self._meta.model._meta.get_field(name), value):
            self.add_error(name, f"This {reason}.")


def _as_it_was(typed: str, stored: object) -> str | None:
    """Return the stored text where only a browser's line ends differ from it, else the typed one with plain ones.

    A browser sends nothing for none, which stays none.
    """
    plain = typed.replace("\r\n", "\n")
    if not plain and stored is None:
        return None
    return stored if isinstance(stored, str) and stored.replace("\r\n", "\n") == plain else plain


def _choices(known: Any, stored: str) -> list[tuple[str, str]]:
    """Return the known words, and the one that is stored where it is another."""
    is_odd = stored not in known.values and stored != ""
    return [*known.choices, *([(stored, f"{stored} (as stored)")] if is_odd else [])]


class TaskForm(RowForm):
    """A task as people edit it: words from their lists, dependencies one id for each line."""

    title = forms.CharField(max_length=500, widget=forms.TextInput(attrs={"class": "vTextField"}))
    dependencies = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Task ids, one per line.",
    )

    class Meta:
        model = models.Task
        fields = ["title", "description", "status", "priority", "complexity", "assigned_to", "dependencies", "metadata"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for name, choices in CHOICES.items():
            if name not in self.fields:
                continue
            stored = getattr(self.instance, name)
            self.fields[name] = forms.ChoiceField(choices=_choices(choices, stored), initial=stored)
        self.fields["assigned_to"] = forms.CharField(
            required=False, empty_value=None, widget=forms.TextInput(attrs={"class": "vTextField"})
        )
        with suppress(ValidationError):
            self.initial["dependencies"] = "\n".join(dependency_ids(self.instance.dependencies))

    def clean_assigned_to(self) -> str | None:
        """Return the agent, which must be in scope."""
        return self._check_agent("assigned_to", "A task")

    def clean_dependencies(self) -> str | None:
        """Return the ids as the column holds them. Refuses new ones that are unknown or make a circle."""
        typed, shown = self.cleaned_data["dependencies"], self.initial.get("dependencies") or ""
        stored: str | None = self.instance.dependencies
        if not self.instance._state.adding and typed.splitlines() == shown.strip().splitlines():
            return stored
        lines = (line.strip() for line in typed.splitlines())
        ids = list(dict.fromkeys(line for line in lines if line))
        kept = [] if self.instance._state.adding else readable_dependency_ids(stored)
        try:
            new = [task_id for task_id in ids if task_id not in kept]
            task_dependencies.check_dependencies(self.scope or Scope(), self.instance.pk, new)
        except ValidationError as error:
            raise forms.ValidationError(str(error)) from None
        return as_text(ids)


class TaskChangeForm(TaskForm):
    """A task as it is changed on its page and on the board. Only what was changed is saved.

    It sends what was seen beside what was typed, so that a stale task is refused with what changed meanwhile.
    """

    title = None  # type: ignore[assignment]

    class Meta(TaskForm.Meta):
        fields = ["status", "priority", "assigned_to", "dependencies"]

    def __init__(self, *args: object, scope: Scope, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.scope = scope
        assignee = AgentInput({"placeholder": "unassigned"})
        assignee.offered = lookup.agents("", scope)
        self.fields["assigned_to"].widget = assignee
        self.fields["dependencies"].widget = forms.Textarea({"rows": 3, "spellcheck": "false"})
        labels = {"assigned_to": "Assigned to", "dependencies": "Blocked by (task ids, one per line)"}
        for name in self.Meta.fields:
            self.fields[name].show_hidden_initial = True
            self.fields[name].label = labels.get(name)
            # A browser would send back another text than is stored.
            stored = self.initial.get(name)
            self.fields[name].disabled = not survives_form(stored) or (name == "assigned_to" and "\n" in (stored or ""))

    @property
    def changes(self) -> dict[str, object]:
        """Return the columns that were changed. Raises ValidationError, and Moved for a task that has changed since."""
        values = checked(self)
        return {name: values[name] for name in self.changed_data if name != "etag"}

    @property
    def typed(self) -> QueryDict:
        """What was sent, without what was left as it was seen: a new page has newer values of that."""
        data = cast(QueryDict, self.data).copy()
        for name in set(self.Meta.fields) - set(self.changed_data):
            data.pop(name, None)
        return data

    def refuse_stale(self, error: Moved) -> NoReturn:
        """Say what changed since the task was shown."""
        changed = [
            f"{self.fields[name].label or name} is now {_shown(now)}, and was {_shown(seen)}"
            for name, seen, now in self._seen_and_now()
            if seen != now
        ]
        what = "; ".join(changed) or "other fields than these were changed"
        raise Moved(
            f"This task has changed since you opened it: {what}. Nothing was saved. What you changed is in the form"
            " again: check it and save once more.",
            error.etag,
        ) from None

    def _seen_and_now(self) -> Iterator[tuple[str, str, str]]:
        for name in self.Meta.fields:
            seen = self.data.get(self.add_initial_prefix(name), "")
            yield name, seen.replace("\r\n", "\n"), str(self.initial.get(name) or "")


def _shown(value: str) -> str:
    return f"“{', '.join(value.split(chr(10)))[:200]}”" if value else "empty"


class SessionForm(RowForm):
    """A session as people edit it."""

    agent_id = forms.CharField(widget=forms.TextInput(attrs={"class": "vTextField"}))
    status = forms.ChoiceField(choices=[])

    class Meta:
        model = models.Session
        fields = ["agent_id", "started_at", "ended_at", "status", "metadata"]

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        choices = _choices(models.SessionStatus, self.instance.status)
        self.fields["status"] = forms.ChoiceField(choices=choices, initial=models.SessionStatus.ACTIVE.value)

    def clean_agent_id(self) -> str | None:
        """Return the agent, which must be in scope."""
        return self._check_agent("agent_id", "A session")

    def clean(self) -> dict[str, object]:
        values = super().clean()
        started, ended = values.get("started_at"), values.get("ended_at")
        if isinstance(started, int) and isinstance(ended, int) and ended < started:
            self.add_error("ended_at", "A session cannot end before it started.")
        return values
