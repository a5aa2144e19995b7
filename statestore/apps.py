"""The app's place in Django: what is wired up when the process starts."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_migrate

if TYPE_CHECKING:
    from statestore.models import SourceThread
    from statestore.restore.in_place import Writer


class StateStoreConfig(AppConfig):
    name = "statestore"
    verbose_name = "State store"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from statestore import checks as checks
        from statestore.access import reauthentication

        # The admin's titles: Django's and axes's own names say how they are made, not what they are for.
        apps.get_app_config("auth").verbose_name = "Users and groups"
        apps.get_app_config("axes").verbose_name = "Sign-in log"
        reauthentication.connect()
        connection_created.connect(_on_connection, dispatch_uid="statestore.prepare_connection")
        pre_migrate.connect(_before_migrate, sender=self, dispatch_uid="statestore.require_own")

    def writer_of(self, thread: "SourceThread") -> "Writer":
        """Return what puts a thread back in the framework's store. Raises Conflict, with the reason, if nothing can."""
        # Not when the process starts: few need the frameworks' formats.
        from statestore.sources import writers

        return writers.writer_of(thread)

    def refusal_of(self, thread: "SourceThread") -> str:
        """Return why no moment of a thread can be put back in the framework's store; "" where it can."""
        from statestore.sources import writers

        return writers.refusal_of(thread)


def _on_connection(connection: object, **_: object) -> None:
    from statestore.db import vendor

    vendor.prepare_connection(connection)  # type: ignore[arg-type]
    if wrappers := list(_wrappers()):
        # A connection that is opened again has them already.
        connection.execute_wrappers[:] = wrappers  # type: ignore[attr-defined]


def _wrappers() -> Iterator[Callable[..., object]]:
    """Yield what each statement is run through."""
    from statestore import logs, telemetry

    if settings.SLOW_QUERY_MS:
        yield logs.slow_queries(settings.SLOW_QUERY_MS)
    if telemetry.is_on():
        yield telemetry.statement


def _before_migrate(using: str, plan: list[object], **_: object) -> None:
    from django.core.management.base import CommandError

    from statestore.adoption import ownership

    if plan and (reason := ownership.refusal(connections[using])):
        raise CommandError(reason)
