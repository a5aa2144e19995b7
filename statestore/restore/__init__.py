"""Restores: plan → apply → verify → undo.

plans           what a restore would do: whole, of some paths, of one transition, merged with later changes
path_selection  the texts that such plans are made of
side_effects    what a restore will not undo
rules           whether a plan may be applied: approved, not applied before, not expired
apply           writing it, proving it, undoing it
in_place        agents that mirror another framework's thread, put back in its own store
intentions      what is about to be written there, so that it is recorded also if the process is killed
saved_plans     plans as objects: sent to a colleague, approved, applied while nothing moved
forks           a new agent from any moment
batches         many agents restored to one time
"""

from statestore.errors import Moved
from statestore.restore.apply import Verification, apply, apply_at_once, plan_undo, restore_now, undo, verify
from statestore.restore.batches import (
    KINDS,
    BatchPreview,
    apply_batch,
    approve_batch,
    batch_needs_approval,
    prepare,
    prepare_undo,
    undo_batch,
)
from statestore.restore.batches import preview as preview_batch
from statestore.restore.forks import Lineage, fork, lineage
from statestore.restore.in_place import refusals
from statestore.restore.path_selection import Edits, MergeConflict, Side, sign_of
from statestore.restore.plans import Caution, RestorePlan, expecting, plan, plan_kept, plan_merge, plan_revert, setting
from statestore.restore.rules import needs_approval, saving_needs_permission
from statestore.restore.saved_plans import apply_saved, approve, reopen, save
from statestore.restore.side_effects import SideEffects, side_effects_of

__all__ = [
    "KINDS",
    "BatchPreview",
    "Caution",
    "Edits",
    "Lineage",
    "MergeConflict",
    "Moved",
    "RestorePlan",
    "Side",
    "SideEffects",
    "Verification",
    "apply",
    "apply_at_once",
    "apply_batch",
    "apply_saved",
    "approve",
    "approve_batch",
    "batch_needs_approval",
    "expecting",
    "fork",
    "lineage",
    "needs_approval",
    "plan",
    "plan_kept",
    "plan_merge",
    "plan_revert",
    "plan_undo",
    "prepare",
    "prepare_undo",
    "preview_batch",
    "refusals",
    "reopen",
    "restore_now",
    "save",
    "saving_needs_permission",
    "setting",
    "side_effects_of",
    "sign_of",
    "undo",
    "undo_batch",
    "verify",
]  # fmt: skip
