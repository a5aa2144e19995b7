"""Django's editor of schemas, which says where the extension of the trigram indexes is."""

from typing import Any, Final

from django.db.backends.ddl_references import Statement
from django.db.backends.postgresql import schema

from statestore.db.postgresql.schemas import EXTENSION, extension_schema

# How migrations, which do not change any more, name what they need of the extension.
_CREATE: Final = f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}"
_OPERATORS: Final = " gin_trgm_ops"


class SchemaEditor(schema.DatabaseSchemaEditor):
    """Names the schema of the extension, which need not be one in which a store's tables are looked for."""

    def execute(self, sql: str | Statement, params: Any = ()) -> None:
        """Run a statement."""
        if isinstance(sql, str) and (sql == _CREATE or _OPERATORS in sql):
            place = self.quote_name(extension_schema(self.connection))
            sql = sql.replace(_CREATE, f"{_CREATE} SCHEMA {place}").replace(_OPERATORS, f" {place}.gin_trgm_ops")
        super().execute(sql, params)
