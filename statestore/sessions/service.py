"""Sessions: opened, ended, edited."""

from statestore import models
from statestore.access import audit, audited_rows, etags
from statestore.access.audit import Actor
from statestore.access.scope import Scope
from statestore.db import transactions
from statestore.db.json_columns import optional_text
from statestore.errors import Conflict, NotFound, ValidationError
from statestore.models import validation
from statestore.models.audit import Action


def start_session(using: str, agent_id: str, *, session_id: str | None, metadata: object, by: Actor) -> models.Session:
    """Open a session of an agent and return it."""
    columns: dict[str, object] = {"agent_id": agent_id, "started_at": models.now(), "status": "active"}
    if session_id is not None:
        columns["id"] = session_id
    columns["metadata"] = optional_text(metadata)
    validation.check_columns(models.Session, columns)
    session = models.Session(**columns)
    with transactions.writing(using):
        if models.Session.objects.using(using).filter(pk=session.pk).exists():
            raise Conflict(f"Session “{session.pk[:80]}” already exists. Nothing was changed.")
        audited_rows.write(using, session, None, by=by)
    return session


def end_session(using: str, session_id: str, *, status: str, by: Actor, if_match: str | None = None) -> models.Session:
    """Close a session and return it. Raises Conflict if it has ended already."""
    validation.check_columns(models.Session, {"status": status})
    with transactions.writing(using):
        session = models.Session.objects.using(using).select_for_update().filter(pk=session_id).first()
        etags.expect(session, if_match)
        if session is None:
            raise NotFound(f"Session “{session_id[:80]}” not found.")
        if session.ended_at is not None:
            raise Conflict("This session has already ended. Nothing was changed.")
        before = {"ended_at": None, "status": session.status}
        after = {"ended_at": max(models.now(), int(session.started_at)), "status": status}
        session.ended_at, session.status = after["ended_at"], status
        session.save(using=using, update_fields=list(after))
        audit.record(Action.END, session, by=by, row_id=session.pk, before=before, after=after, using=using)
    return session


def save_session(
    using: str,
    session: models.Session,
    *,
    by: Actor,
    if_match: str | None = None,
    reverts: int | None = None,
    scope: Scope | None = None,
) -> models.Session:
    """Save an edited session and return it. Raises ValidationError if it ends before it starts.

    `reverts` is the id of the audit entry that this save undoes: what was there before comes back as it was.
    In a limited `scope` the session must be of one of its agents, before and after.
    """
    scope = scope or Scope(using=using)
    with transactions.writing(using):
        stored = models.Session.objects.using(using).filter(pk=session.pk).first()
        scope.require_own_session(stored)
        if stored is None:
            scope.require_new_session(session.pk)
        scope.require_agent(session.agent_id, "A session")
        etags.expect(stored, if_match)
        if reverts is None:
            validation.check_columns(models.Session, audited_rows.columns_of(session), kept=stored)
        if session.ended_at is not None and session.ended_at < session.started_at:
            raise ValidationError("A session cannot end before it started. Nothing was saved.", field="ended_at")
        audited_rows.write(using, session, stored, by=by, reverts=reverts)
    return session
