"""The HTML face's site map, by noun."""

from django.urls import path, register_converter

from statestore.db.ids import RowIdConverter
from statestore.views import (
    agents,
    batches,
    capture,
    commits,
    compare,
    context,
    edits,
    events,
    exports,
    forks,
    health,
    journal,
    overview,
    past,
    restore_preview,
    restores,
    sessions,
    snapshots,
    states,
    tasks,
    timeline,
    transitions,
)
from statestore.views import tokens as token_pages

register_converter(RowIdConverter, "anyid")

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics_page, name="metrics"),
    path("theme/", context.choose_theme, name="theme"),
    # agents
    path("agents/", agents.agent_list, name="agents"),
    path("agents/bulk/", agents.bulk_action, name="agents-bulk"),
    path("agents/<anyid:agent_id>/", agents.agent_detail, name="agent"),
    path("agents/<anyid:agent_id>/state/", states.raw_state, name="agent-state"),
    path("agents/<anyid:agent_id>/branch/", states.branch, name="agent-branch"),
    path("agents/<anyid:agent_id>/snapshot/", agents.take_snapshot, name="take-snapshot"),
    path("agents/<anyid:agent_id>/status/", agents.change_status, name="change-status"),
    path("agents/<anyid:agent_id>/restore/", restore_preview.restore_agent, name="restore-agent"),
    path("agents/<anyid:agent_id>/delete/", agents.delete_agent, name="delete-agent"),
    path("agents/<anyid:agent_id>/undelete/", agents.undelete_agent, name="undelete-agent"),
    path("agents/<anyid:agent_id>/purge/", agents.purge_agent, name="purge-agent"),
    # their past
    path("agents/<anyid:agent_id>/timeline/", timeline.agent_timeline, name="timeline"),
    path("agents/<anyid:agent_id>/blame/", past.blame, name="blame"),
    path("agents/<anyid:agent_id>/history/", past.path_history, name="path-history"),
    path("agents/<anyid:agent_id>/bisect/", past.bisect, name="bisect"),
    path("compare/", compare.compare, name="compare"),
    path("transitions/<anyid:transition_id>/", transitions.transition_detail, name="transition"),
    path("snapshots/", snapshots.snapshot_list, name="snapshots"),
    path("snapshots/<anyid:snapshot_id>/", snapshots.snapshot_detail, name="snapshot"),
    path("snapshots/<anyid:snapshot_id>/delete/", snapshots.delete_snapshot, name="delete-snapshot"),
    path("restores/", restores.restore_list, name="restores"),
    path("restores/<anyid:restore_id>/", restores.restore_detail, name="restore"),
    path("transitions/<anyid:transition_id>/revert/", restore_preview.revert_transition, name="revert"),
    path("agents/<anyid:agent_id>/fork/", forks.fork_agent, name="fork"),
    path("restores/<anyid:restore_id>/apply/", restores.apply_plan, name="apply-plan"),
    path("restores/<anyid:restore_id>/approve/", restores.approve_plan, name="approve-plan"),
    path("restores/<anyid:restore_id>/undo/", restores.undo_restore, name="undo-restore"),
    path("fleet/", batches.fleet, name="fleet"),
    path("fleet/<anyid:batch_id>/", batches.batch_detail, name="batch"),
    path("fleet/<anyid:batch_id>/apply/", batches.apply_batch, name="apply-batch"),
    path("fleet/<anyid:batch_id>/approve/", batches.approve_batch, name="approve-batch"),
    path("fleet/<anyid:batch_id>/undo/", batches.undo_batch, name="undo-batch"),
    # events
    path("events/", events.event_search, name="events"),
    path("search/live/", events.live, name="events-live"),
    path("search/complete/", events.complete, name="events-complete"),
    path("search/export/", exports.export_events, name="events-export"),
    path("search/views/", events.save_view, name="save-view"),
    path("search/views/<int:view_id>/delete/", events.delete_view, name="delete-view"),
    path("events/<anyid:event_id>/", events.event_detail, name="event"),
    # sessions, tasks, commits
    path("sessions/", sessions.session_list, name="sessions"),
    path("sessions/<anyid:session_id>/", sessions.session_detail, name="session"),
    path("tasks/", tasks.task_list, name="tasks"),
    path("tasks/<anyid:task_id>/", tasks.task_detail, name="task"),
    path("tasks/<anyid:task_id>/move/", tasks.move_task, name="move-task"),
    path("commits/<anyid:sha>/", commits.commit_detail, name="commit"),
    # journals
    path("capture/", capture.capture_page, name="capture"),
    path("trash/", journal.trash, name="trash"),
    path("audit/", journal.audit_log, name="audit"),
    path("audit/<int:entry_id>/", edits.edit_detail, name="edit"),
    path("audit/<int:entry_id>/revert/", edits.revert_edit, name="revert-edit"),
    # scripts
    path("tokens/", token_pages.token_list, name="tokens"),
    path("tokens/<slug:public_id>/revoke/", token_pages.revoke_token, name="revoke-token"),
]
