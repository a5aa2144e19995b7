"""Query string or POST → checked values, for the HTML face and the JSON face alike.

fields   what several forms have
filters  which rows of a list
lookup   what the search box of every page looks for
past     time ranges and moments
actions  what a person does
rows     what people edit in the admin
retention  policies of what may go
sources  what is mirrored
stores   what is served, where several stores are
"""

from statestore.forms.actions import (
    MAX_EXPIRY_DAYS,
    BatchForm,
    BulkForm,
    CaseForm,
    CaseFormatForm,
    EndSessionForm,
    ForkForm,
    MoveForm,
    ReasonForm,
    RestoreForm,
    SavedViewForm,
    SnapshotForm,
    StatusForm,
    TokenForm,
)
from statestore.forms.fields import AgentInput, CheckedForm, MomentField, QueryField, TimeField, sent
from statestore.forms.filters import (
    SORTS,
    AgentFilterForm,
    AuditFilterForm,
    FleetForm,
    OverviewForm,
    PageForm,
    SearchForm,
    SessionFilterForm,
    TaskFilterForm,
)
from statestore.forms.history import (
    BranchForm,
    ChangesForm,
    CompareForm,
    SnapshotFilterForm,
    StateForm,
    TimelineForm,
    WalkForm,
)
from statestore.forms.lookup import FindForm
from statestore.forms.retention import LimitsForm, PolicyForm, SwitchForm
from statestore.forms.rows import CHOICES, RowForm, SessionForm, TaskChangeForm, TaskForm
from statestore.forms.sources import MirrorForm
from statestore.forms.stores import AddStoreForm

__all__ = [
    "CHOICES",
    "MAX_EXPIRY_DAYS",
    "SORTS",
    "AddStoreForm",
    "AgentFilterForm",
    "AgentInput",
    "AuditFilterForm",
    "BatchForm",
    "BranchForm",
    "BulkForm",
    "CaseForm",
    "CaseFormatForm",
    "ChangesForm",
    "CheckedForm",
    "CompareForm",
    "EndSessionForm",
    "FindForm",
    "FleetForm",
    "ForkForm",
    "LimitsForm",
    "MirrorForm",
    "MomentField",
    "MoveForm",
    "OverviewForm",
    "PageForm",
    "PolicyForm",
    "QueryField",
    "ReasonForm",
    "RestoreForm",
    "RowForm",
    "SavedViewForm",
    "SearchForm",
    "SessionFilterForm",
    "SessionForm",
    "SnapshotFilterForm",
    "SnapshotForm",
    "StateForm",
    "StatusForm",
    "SwitchForm",
    "TaskChangeForm",
    "TaskFilterForm",
    "TaskForm",
    "TimeField",
    "TimelineForm",
    "TokenForm",
    "WalkForm",
    "sent",
]  # fmt: skip
