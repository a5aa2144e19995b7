"""The HTML face's site map, by noun."""

from django.urls import path, register_converter

from statestore.addresses import AnyIdConverter
from statestore.views import agents, frame, journal, overview, restores, snapshots, states, transitions

register_converter(AnyIdConverter, "anyid")

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("healthz", overview.healthz, name="healthz"),
    path("readyz", overview.readyz, name="readyz"),
    path("theme/", frame.choose_theme, name="theme"),
    # agents
    path("agents/", agents.agent_list, name="agents"),
    path("agents/bulk/", agents.bulk, name="agents-bulk"),
    path("agents/<anyid:agent_id>/", agents.agent_detail, name="agent"),
    path("agents/<anyid:agent_id>/state/", states.raw_state, name="agent-state"),
    path("agents/<anyid:agent_id>/branch/", states.branch, name="agent-branch"),
    path("agents/<anyid:agent_id>/snapshot/", agents.take_snapshot, name="take-snapshot"),
    path("agents/<anyid:agent_id>/status/", agents.change_status, name="change-status"),
    path("agents/<anyid:agent_id>/restore/", restores.restore_agent, name="restore-agent"),
    path("agents/<anyid:agent_id>/delete/", agents.delete_agent, name="delete-agent"),
    path("agents/<anyid:agent_id>/undelete/", agents.undelete_agent, name="undelete-agent"),
    path("agents/<anyid:agent_id>/purge/", agents.purge_agent, name="purge-agent"),
    # their past
    path("transitions/<anyid:transition_id>/", transitions.transition_detail, name="transition"),
    path("snapshots/", snapshots.snapshot_list, name="snapshots"),
    path("snapshots/<anyid:snapshot_id>/", snapshots.snapshot_detail, name="snapshot"),
    path("snapshots/<anyid:snapshot_id>/delete/", snapshots.delete_snapshot, name="delete-snapshot"),
    path("restores/", restores.restore_list, name="restores"),
    path("restores/<anyid:restore_id>/", restores.restore_detail, name="restore"),
    path("restores/<anyid:restore_id>/undo/", restores.undo_restore, name="undo-restore"),
    # journals
    path("events/", journal.event_list, name="events"),
    path("trash/", journal.trash, name="trash"),
    path("audit/", journal.audit_log, name="audit"),
]
