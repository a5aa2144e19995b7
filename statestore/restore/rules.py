"""Whether a plan or a batch may be applied: approved, not applied before, not expired."""

from django.conf import settings

from statestore import models
from statestore.access.audit import Actor
from statestore.db import fast_rows
from statestore.errors import Conflict, NeedsApproval


def needs_approval(approved_by: str, *, is_undo: bool = False) -> bool:
    """Return whether a second person must still approve; an undo needs no approval."""
    return bool(settings.RESTORES_NEED_APPROVAL and not (is_undo or approved_by))


def saving_needs_permission() -> bool:
    """Return whether saving a state over HTTP needs a permission of its own: an old state could be saved unapproved."""
    return bool(settings.RESTORES_NEED_APPROVAL)


def check_approved(approved_by: str, *, is_undo: bool = False, how: str) -> None:
    """Raise NeedsApproval, saying how to get it, unless a restore is approved or needs no approval."""
    if needs_approval(approved_by, is_undo=is_undo):
        raise NeedsApproval(f"Restores need approval by a second person. Nothing was changed. {how}")


def check_approver(by: Actor, author: str, what: str) -> None:
    """Raise Conflict if the author of a plan or a batch wants to approve it; the author is the owner of a token too."""
    if by.name == author:
        raise Conflict(f"You cannot approve your own {what}. Send the link to another person.")


def approval(by: Actor, **detail: object) -> dict[str, object]:
    """Return what the audit entry of an approval says, by what means it was given above all."""
    return {**detail, "means": by.means or "Python API"}


def check_not_applied(plan_id: str | None, using: str) -> None:
    """Raise Conflict if a plan was applied already: its restore has its id."""
    if plan_id and fast_rows.exists(models.Restore, using, id=plan_id):
        raise Conflict("This plan has already been applied. Nothing was changed.")


def check_not_expired(expires_at: int, what: str) -> None:
    """Raise Conflict if a plan or a batch has expired."""
    if models.now() >= expires_at:
        raise Conflict(
            f"This {what} has expired: it can be applied for 24 hours. Create a new one from the current state."
        )
