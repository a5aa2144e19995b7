"""Django's PostgreSQL backend, which answers at once while the server is away, and bounds what it is asked."""

import time
from typing import Any, ClassVar, Final

from django.db.backends.postgresql import base

from statestore.db.errors import NamedErrors
from statestore.db.postgresql import bounds
from statestore.db.postgresql.schema_editor import SchemaEditor

# Once no connection could be made, the next requests are refused at once for so long: each that waited would take a
# thread from those that need no database.
AWAY_SECONDS: Final = 1.0


class DatabaseWrapper(NamedErrors, base.DatabaseWrapper):
    """A connection out of the pool."""

    SchemaEditorClass = SchemaEditor
    _away_until: ClassVar[dict[str, float]] = {}

    def get_new_connection(self, conn_params: dict[str, object]) -> object:
        """Take a connection, unless none could be made just now."""
        if time.monotonic() < self._away_until.get(self.alias, 0.0):
            raise self.Database.OperationalError("no connection to its server")
        try:
            connection = super().get_new_connection(conn_params)
        except self.Database.OperationalError:
            self._away_until[self.alias] = time.monotonic() + AWAY_SECONDS
            raise
        self._away_until.pop(self.alias, None)
        return connection

    def _configure_connection(self, connection: Any) -> bool:
        """Bound the statements of a new connection, and choose its schemas.

        Not by its start-up options, which PgBouncer refuses. In transaction mode, what is set for a session would hold
        for whichever client gets it next: there the pooler's own connect_query sets it.
        """
        to_commit: bool = super()._configure_connection(connection)  # type: ignore[misc]
        if self.settings_dict.get("IS_POOLED"):
            return to_commit
        chosen = bounds()
        if schemas := self.settings_dict.get("SEARCH_PATH"):
            chosen["search_path"] = schemas
        if self.settings_dict.get("IS_REPLICA"):
            # Also once it was promoted: what was saved there would be missing from the primary.
            chosen["default_transaction_read_only"] = "on"
        for name, value in chosen.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        return to_commit or bool(chosen)
