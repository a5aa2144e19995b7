"""What a person does: snapshots, statuses, restores, forks, batches, moves, tokens."""

from collections.abc import Iterable
from typing import Any, Final

from django import forms

from statestore import cases, models
from statestore.access import tokens
from statestore.events import limits as events_limits
from statestore.forms.fields import CheckedForm, QueryField, TimeField, from_json, sent
from statestore.restore import Side

MAX_EXPIRY_DAYS: Final = 3650


class SnapshotForm(CheckedForm):
    """A snapshot to take."""

    description = forms.CharField(
        required=False, max_length=500, strip=True, widget=forms.TextInput({"placeholder": "before refactor"})
    )
    expires_in_days = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_EXPIRY_DAYS, label="Expires after",
        widget=forms.Select(choices=[("", "never"), (1, "1 day"), (7, "7 days"), (30, "30 days"), (365, "a year")]),
    )  # fmt: skip

    def expires_at(self) -> int | None:
        """Return when the snapshot shall expire, or None for never."""
        days = self.cleaned_data["expires_in_days"]
        return models.now() + days * 86400 if days else None


class CaseForm(CheckedForm):
    """What goes into the case of an agent, and in which format."""

    format = forms.ChoiceField(
        choices=[("html", "HTML, one file that opens offline"), ("ndjson", "NDJSON, for scripts")]
    )
    state = forms.BooleanField(required=False, label="State", initial=True)
    conversation = forms.BooleanField(required=False, label="Conversation", initial=True)
    transitions = forms.IntegerField(
        required=False, min_value=0, max_value=cases.limits.MOST_TRANSITIONS, initial=cases.limits.TRANSITIONS,
        label="Newest transitions",
    )  # fmt: skip
    events = forms.IntegerField(
        required=False, min_value=0, max_value=cases.limits.MOST_EVENTS, initial=0, label="Newest events",
    )  # fmt: skip

    def wanted(self) -> cases.Wanted:
        """Return what the checked values ask for."""
        values = self.checked
        return cases.Wanted(
            values["state"], values["conversation"], values["transitions"] or 0, values["events"] or 0
        )  # fmt: skip


class CaseFormatForm(CheckedForm):
    """The format of the case of a transition."""

    format = CaseForm.base_fields["format"]


class StatusForm(CheckedForm):
    """A status to give."""

    status = forms.ChoiceField(
        choices=[(value, str(label).lower()) for value, label in models.AgentStatus.choices], label="New status"
    )
    reason = forms.CharField(required=False, max_length=500, strip=True)


class ReasonForm(CheckedForm):
    """Why something is done."""

    reason = forms.CharField(
        required=False, max_length=500, strip=True, widget=forms.TextInput({"placeholder": "optional"})
    )


class BulkForm(ReasonForm):
    """One thing to do to each of the chosen agents, or to all that match a filter: a snapshot, a status, a restore.

    Nothing is done before it is `confirmed`; `after` is the last agent that an earlier request has reached, `group` and
    `started_at` name the action that it goes on with.
    """

    action = forms.ChoiceField(choices=[(action, action) for action in ("snapshot", "status", "restore")])
    status = forms.CharField(
        required=False, max_length=200, label="New status",
        widget=forms.Select(choices=[(value, str(label).lower()) for value, label in models.AgentStatus.choices]),
    )  # fmt: skip
    every = forms.BooleanField(required=False)
    filter = forms.CharField(required=False, max_length=8000)
    confirmed = forms.BooleanField(required=False)
    at = TimeField(label="Time (UTC)", placeholder="2026-11-21 18:02:11")
    after = forms.CharField(required=False, max_length=8000)
    group = forms.UUIDField(required=False)
    started_at = forms.IntegerField(required=False, min_value=0, max_value=2**40)

    def clean(self) -> dict[str, object]:
        values: dict[str, object] = super().clean() or {}
        if not values.get("confirmed"):
            return values
        if values.get("action") == "status" and values.get("status") not in models.AgentStatus.values:
            self.add_error("status", "Choose a status.")
        if values.get("action") == "restore" and values.get("at", 0) is None:
            self.add_error("at", "Choose a time to restore to.")
        return values

    @property
    def is_asked_again(self) -> bool:
        """Whether only what is typed on the page that asks for it is wrong."""
        return bool(self.errors) and set(self.errors) <= {"status", "at", "reason"}


class RestoreForm(ReasonForm):
    """A restore to preview, to keep as a plan, or to apply: what to put back, and the hash of the row that was seen."""

    moment = forms.CharField(max_length=4000)
    status = forms.ChoiceField(required=False, choices=models.AgentStatus.choices)
    etag = forms.RegexField(r"^[0-9a-f]{64}$")
    state_hash = forms.CharField(required=False, max_length=64)
    confirmed = forms.BooleanField(required=False)
    shown = forms.CharField(required=False, max_length=64)
    picking = forms.BooleanField(required=False)
    merging = forms.BooleanField(required=False)
    step = forms.ChoiceField(required=False, choices=[(step, step) for step in ("apply", "preview", "plan")])

    def paths(self) -> list[str] | None:
        """Return the ticked paths, or None if the whole state is asked for."""
        return [from_json(text) for text in sent(self, "path")] if self.cleaned_data["picking"] else None

    def edits(self) -> list[tuple[str, str]]:
        """Return the corrections as (path, JSON text); pairs without a value are none."""
        pairs = zip(sent(self, "edit_path"), sent(self, "edit_value"), strict=False)
        return [(path.strip(), value) for path, value in pairs if value.strip()]

    def sides(self) -> dict[str, Side]:
        """Return which side was chosen where both changed the same place."""
        names = [name for name in self.data if name.startswith("choice:")]
        chosen = {from_json(name.removeprefix("choice:")): self.data[name] for name in names}
        return {path: side for path, side in chosen.items() if side in ("ours", "theirs")}


class TokenForm(forms.Form):
    """A token to make."""

    name = forms.CharField(
        max_length=100, strip=True, widget=forms.TextInput({"placeholder": "the script that uses it"})
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in tokens.ALL_SCOPES], widget=forms.CheckboxSelectMultiple, initial=["read"]
    )
    namespaces = forms.CharField(
        required=False, max_length=5000, strip=True, label="Namespaces (comma-separated; leave empty for all)"
    )
    stores = forms.MultipleChoiceField(required=False, choices=(), label="Stores", widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(
        min_value=1, max_value=tokens.MOST_DAYS, initial=tokens.USUAL_DAYS, label="Expires in (days)"
    )

    def __init__(self, *arguments: Any, stores: Iterable[str] = (), store: str = "", **options: Any) -> None:
        """`stores` are those of several that the user may open, `store` is the one whose page this is."""
        super().__init__(*arguments, **options)
        self.fields["stores"].choices = [(name, name) for name in stores]  # type: ignore[attr-defined]
        self.fields["stores"].initial = [store]

    def wanted(self) -> dict[str, Any]:
        """Return what the token shall be."""
        values = self.cleaned_data
        named = [word.strip() for word in values["namespaces"].split(",")] if values["namespaces"] else None
        kept = {name: values[name] for name in ("name", "scopes", "stores", "days")}
        return {**kept, "namespaces": named}


class ForkForm(ReasonForm):
    """A new agent: its id, its name, and the moment whose state it begins with."""

    moment = forms.CharField(max_length=4000)
    agent_id = forms.CharField(max_length=500, strip=True, label="Id", widget=forms.TextInput({"spellcheck": "false"}))
    name = forms.CharField(required=False, max_length=500, strip=True, label="Name (default: the id)")
    in_source = forms.BooleanField(required=False, label="As a new thread in the framework's store, with this id")


class BatchForm(ReasonForm, CheckedForm):
    """A batch to keep: the time, why, and which agents as they were seen."""

    at = TimeField()
    scope = forms.CharField(required=False, max_length=4000)

    def clean_at(self) -> int:
        """Return the time, which a batch cannot do without."""
        if self.cleaned_data["at"] is None:
            raise forms.ValidationError("Choose a time to restore to.")
        return int(self.cleaned_data["at"])


class MoveForm(CheckedForm):
    """A task to move: its new status, and the hash of the row that was seen."""

    status = forms.ChoiceField(choices=models.TaskStatus.choices)
    etag = forms.RegexField(r"^[0-9a-f]{64}$")


class EndSessionForm(CheckedForm):
    """A session to end: how it ended, and the hash of the row that was seen."""

    status = forms.ChoiceField(
        choices=[choice for choice in models.SessionStatus.choices if choice[0] != models.SessionStatus.ACTIVE],
        label="It ended as",
    )
    etag = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)


class SavedViewForm(CheckedForm):
    """A query to keep under a name."""

    name = forms.CharField(max_length=events_limits.NAME_CHARACTERS, strip=True)
    q = QueryField()
