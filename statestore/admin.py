"""The staff face: tasks and sessions are edited here; what agents did is read-only, with links to the views."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, cast

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from statestore import models
from statestore import user_admin as user_admin
from statestore.access import audited_rows
from statestore.access.scope import Scope
from statestore.db.fields import survives_form
from statestore.db.ids import from_address, to_address
from statestore.db.routers import store_alias
from statestore.errors import Conflict
from statestore.forms import SessionForm, TaskForm
from statestore.forms.login import AdminLoginForm
from statestore.models.agents import AgentQuerySet
from statestore.models.querysets import AddressedQuerySet
from statestore.sessions import service as session_service
from statestore.tasks import service as task_service
from statestore.templatetags.statestore import when
from statestore.views.access import actor, scope
from statestore.views.formatting import line, middle, size
from statestore.views.own_addresses import is_own

COUNTED_ROWS = 1000

admin.site.site_header = "Descartes StateStore"
admin.site.site_title = "Descartes"
admin.site.index_title = "Administration"
admin.site.site_url = reverse_lazy("overview")  # type: ignore[assignment]
admin.site.login_form = AdminLoginForm


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages over a table of any length: rows are counted up to a limit."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Model], self.object_list)
        return len(rows.order_by().values_list("pk")[: COUNTED_ROWS + 1])


def _choose(column: str, choices: list[tuple[str, str]], title: str) -> type[admin.SimpleListFilter]:
    """Return a filter with fixed choices: finding the occurring values would read the whole table."""

    class Chosen(admin.SimpleListFilter):
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    Chosen.title = title
    return Chosen


class EndedFilter(admin.SimpleListFilter):
    """Open or ended sessions."""

    title = "end"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("no", "Open"), ("yes", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(ended_at__isnull=self.value() == "no") if self.value() else queryset


# The rows of each table that a user may see.
ROWS_OF: Final[dict[type[Model], Callable[[Scope], AddressedQuerySet[Model]]]] = {
    models.AgentState: Scope.agents,
    models.Transition: Scope.transitions,
    models.Snapshot: Scope.snapshots,
    models.Event: Scope.events,
    models.Task: Scope.tasks,
    models.Session: Scope.sessions,
}


class AddressedList(ChangeList):
    """A list whose links name rows as the site's other URLs do: an id may be any bytes."""

    def url_for_result(self, result: Model) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=[quote(to_address(result.pk))])


class StoreAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What all tables of the store share."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_select_related = False
    # The redirect that Django would link to cannot carry any id; the "open" column links to the page itself.
    view_on_site = False
    heavy: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> AddressedQuerySet[Model]:
        rows = ROWS_OF[self.model](scope(request))
        return rows.order_by(*self.get_ordering(request)).defer(*self.heavy)

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return AddressedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        rows = self.get_queryset(request)
        row = rows.filter(pk=object_id).first()
        if row is None:
            with suppress(ValueError):
                row = rows.named(from_address(object_id))
        return row

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: object, object_id: str) -> NoReturn:
        """Answer 404 for a row that does not exist or is out of scope, as other pages do."""
        raise Http404

    def history_view(self, request: HttpRequest, object_id: str, extra_context: object = None) -> HttpResponseRedirect:
        """Redirect to the audit log, which has the actions of all faces."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        row_id = getattr(row, "agent_id", row.pk) if isinstance(row, models.AgentState) else row.pk
        return redirect(f"{reverse('audit')}?{urlencode({'row': to_address(row_id)})}")


class ReadOnlyAdmin(StoreAdmin):
    """A table that only agents and the dashboard's verbs write."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="page")
    def page(self, row: models.AgentState) -> SafeString:
        return format_html('<a href="{}">open</a>', row.get_absolute_url())


def _shown(column: str, description: str, *, shorten: Callable[[object], str] = line) -> object:
    """Return a list column that shows any text as one visible line."""

    @admin.display(description=description, ordering=column)
    def cell(self: object, row: object) -> object:
        return shorten(getattr(row, column)) or "—"

    return cell


def _time(column: str, description: str) -> object:
    """Return a list column that shows seconds as a date."""

    @admin.display(description=description, ordering=column)
    def cell(self: object, row: object) -> object:
        return when(getattr(row, column), False) if getattr(row, column) is not None else "—"

    return cell


def _is_tame(row: Model) -> bool:
    return row.pk != "" and all(survives_form(getattr(row, field.attname)) for field in row._meta.concrete_fields)


@admin.register(models.AgentState)
class AgentAdmin(ReadOnlyAdmin):
    """Agents."""

    heavy = ("state_data", "metadata")
    ordering = ("-updated_at",)
    list_display = ("shown_name", "shown_id", "shown_status", "bytes", "changed", "page")
    search_fields = ("agent_id", "name")
    fields = ("key", "agent_id", "name", "status", "version", "created", "changed", "page")
    readonly_fields = ("created", "changed", "page")
    shown_name = _shown("name", "name")
    shown_id = _shown("agent_id", "id", shorten=middle)
    shown_status = _shown("status", "status")
    created = _time("created_at", "created")
    changed = _time("updated_at", "last changed")

    def get_queryset(self, request: HttpRequest) -> AddressedQuerySet[Model]:
        return cast(AgentQuerySet, super().get_queryset(request)).with_size()

    @admin.display(description="state")
    def bytes(self, agent: Any) -> str:
        return size(agent.size)


@admin.register(models.Transition)
class TransitionAdmin(ReadOnlyAdmin):
    """Transitions."""

    heavy = ("state_before", "state_after")
    ordering = ("-timestamp",)
    list_display = ("shown_reason", "shown_agent", "at", "page")
    search_fields = ("=agent_id", "=id")
    fields = ("id", "agent_id", "reason", "at", "metadata", "page")
    readonly_fields = ("at", "page")
    shown_reason = _shown("reason", "reason")
    shown_agent = _shown("agent_id", "agent", shorten=middle)
    at = _time("timestamp", "when")


@admin.register(models.Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    """Snapshots."""

    heavy = ("state_data",)
    ordering = ("-created_at",)
    list_display = ("shown_description", "shown_agent", "created", "expires", "page")
    search_fields = ("=agent_id", "=id")
    fields = ("id", "agent_id", "description", "created", "expires", "page")
    readonly_fields = ("created", "expires", "page")
    shown_description = _shown("description", "description")
    shown_agent = _shown("agent_id", "agent", shorten=middle)
    created = _time("created_at", "taken")
    expires = _time("expires_at", "expires")


@admin.register(models.Event)
class EventAdmin(ReadOnlyAdmin):
    """Events."""

    heavy = ("metadata",)
    ordering = ("-rowid",)
    list_display = ("shown_type", "shown_actor", "shown_session", "shown_content", "at")
    search_fields = ("=session_id", "=actor_id", "=event_type", "=id")
    search_help_text = "Enter an exact id, session, actor or type."
    fields = ("id", "event_type", "at", "session_id", "actor_type", "actor_id", "content", "metadata", "git_commit")
    readonly_fields = ("at",)
    shown_type = _shown("event_type", "type")
    shown_actor = _shown("actor_id", "actor", shorten=middle)
    shown_session = _shown("session_id", "session", shorten=middle)
    shown_content = _shown("content", "content")
    at = _time("timestamp", "when")


class EditedAdmin(StoreAdmin):
    """A table that people edit: each edit is one audited verb, checked against the row that was shown.

    A row whose text a form would not return unchanged can be viewed, but not edited, so that nothing of it is lost.
    """

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _is_tame(obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _is_tame(obj))

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: object) -> Any:
        """Return the form, which refuses what is out of the user's scope."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.scope = scope(request)
        return form

    def get_deleted_objects(
        self, objs: Sequence[Model] | QuerySet[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Return what a deletion takes along; without dependencies where their other ends may be out of scope."""
        listed, counts, needed, protected = super().get_deleted_objects(objs, request)
        if not scope(request).is_unrestricted:
            # The dependencies of a row stand below it as a list of their own, of which the stubs know nothing.
            listed = [item for item in listed if isinstance(item, str)]
            counts = {str(self.opts.verbose_name_plural): len(listed)}
        return listed, counts, needed, protected

    def response_post_save_change(self, request: HttpRequest, obj: Model) -> HttpResponseRedirect:
        """Return to the page of the dashboard that the form was opened from, otherwise to the list."""
        back = request.GET.get("next", "")
        return HttpResponseRedirect(back) if is_own(request, back) else super().response_post_save_change(request, obj)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        audited_rows.delete(store_alias(), obj, by=actor(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(models.Task)
class TaskAdmin(EditedAdmin):
    """Tasks."""

    form = TaskForm
    heavy = ("metadata",)
    ordering = ("-updated_at",)
    list_display = ("shown_title", "shown_status", "shown_priority", "shown_complexity", "shown_assignee", "changed")
    list_filter = (
        _choose("status", models.TaskStatus.choices, "status"),
        _choose("priority", models.TaskPriority.choices, "priority"),
        _choose("complexity", models.TaskComplexity.choices, "complexity"),
    )
    search_fields = ("title", "=id", "=assigned_to")
    fields = (
        "etag", "title", "description", ("status", "priority", "complexity"), "assigned_to", "dependencies", "metadata",
        "created", "changed",
    )  # fmt: skip
    readonly_fields = ("created", "changed")
    shown_title = _shown("title", "title")
    shown_status = _shown("status", "status")
    shown_priority = _shown("priority", "priority")
    shown_complexity = _shown("complexity", "complexity")
    shown_assignee = _shown("assigned_to", "assigned to", shorten=middle)
    created = _time("created_at", "created")
    changed = _time("updated_at", "last changed")

    def get_queryset(self, request: HttpRequest) -> AddressedQuerySet[Model]:
        rows = super().get_queryset(request)
        return rows.defer(None) if request.resolver_match and "object_id" in request.resolver_match.kwargs else rows

    def save_model(self, request: HttpRequest, obj: Model, form: TaskForm, change: bool) -> None:
        columns = {name: form.cleaned_data[name] for name in form.cleaned_data if name != "etag"}
        if_match = form.cleaned_data["etag"] if change else None
        saved = task_service.save_task(
            store_alias(), {"id": obj.pk, **columns}, by=actor(request), if_match=if_match, scope=scope(request)
        )
        obj.__dict__.update(saved.__dict__)


@admin.register(models.Session)
class SessionAdmin(EditedAdmin):
    """Sessions."""

    form = SessionForm
    ordering = ("-started_at",)
    list_display = ("shown_id", "shown_agent", "shown_status", "started", "ended")
    list_filter = (EndedFilter,)
    search_fields = ("=id", "=agent_id")
    fields = ("etag", "agent_id", "started_at", "ended_at", "status", "metadata")
    shown_id = _shown("id", "id", shorten=middle)
    shown_agent = _shown("agent_id", "agent", shorten=middle)
    shown_status = _shown("status", "status")
    actions = ("end_sessions",)
    started = _time("started_at", "started")
    ended = _time("ended_at", "ended")

    def save_model(self, request: HttpRequest, obj: models.Session, form: SessionForm, change: bool) -> None:
        if_match = form.cleaned_data["etag"] if change else None
        session_service.save_session(store_alias(), obj, by=actor(request), if_match=if_match, scope=scope(request))

    @admin.action(description="End selected sessions now", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[models.Session]) -> None:
        """End those of the selected sessions that are open, each as an edit of its own."""
        open_ids = list(queryset.filter(ended_at__isnull=True).values_list("pk", flat=True))
        for session_id in open_ids:
            # One that ends meanwhile is ended: that is what was asked for.
            with suppress(Conflict):
                session_service.end_session(
                    store_alias(), session_id, status=models.SessionStatus.COMPLETED, by=actor(request)
                )
        rest = queryset.count() - len(open_ids)
        had_ended = f" {rest} had ended before." if rest else ""
        self.message_user(request, f"{len(open_ids)} session{'' if len(open_ids) == 1 else 's'} ended.{had_ended}")
