"""In which schemas of a PostgreSQL database our tables and the extension of the trigram indexes are."""

from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

EXTENSION: Final = "pg_trgm"
_PLACE: Final = (
    "SELECT current_user, current_schema(), has_schema_privilege(current_schema(), 'CREATE'),"
    " has_database_privilege(current_database(), 'CREATE'), current_setting('search_path')"
)
_EXTENSION: Final = (
    "SELECT nspname, has_schema_privilege(pg_namespace.oid, 'USAGE') FROM pg_extension"
    " JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = %s"
)
_IS_PUBLIC_OPEN: Final = "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'"


def fault(connection: BaseDatabaseWrapper, *, is_store: bool) -> str:
    """Return in sentences why the tables of a database cannot be made, with what its owner has to do, or ""."""
    name = connection.settings_dict["NAME"]
    user, place, may_create, may_extend, path = _row(connection, _PLACE) or ("", None, False, False, "")
    if place is None:
        return (
            f"{name} has no schema of the search path {path} that its user {user} may use. Nothing was changed. As its"
            f" owner, run: CREATE SCHEMA agents AUTHORIZATION {user}; and add ?search_path=agents to the URL."
        )
    if not may_create:
        return (
            f"The user {user} may not make tables in the schema {place} of {name}. Nothing was changed. As its owner,"
            f" run: CREATE SCHEMA agents AUTHORIZATION {user}; and add ?search_path=agents to the URL."
        )
    return _extension_fault(connection, name, user, may_extend) if is_store else ""


def _extension_fault(connection: BaseDatabaseWrapper, name: str, user: str, may_extend: bool) -> str:
    found = _row(connection, _EXTENSION, EXTENSION)
    if found is None and not may_extend:
        return (
            f"{name} lacks the extension {EXTENSION}, which the search needs and its user {user} may not make. Nothing"
            f" was changed. As its owner, run: CREATE EXTENSION {EXTENSION} SCHEMA public;"
        )
    if found is not None and not found[1]:
        return (
            f"The extension {EXTENSION} of {name} is in the schema {found[0]}, which the user {user} may not use."
            f" Nothing was changed. As its owner, run: ALTER EXTENSION {EXTENSION} SET SCHEMA public;"
        )
    return ""


def _row(connection: BaseDatabaseWrapper, sql: str, *parameters: str) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def extension_schema(connection: BaseDatabaseWrapper) -> str:
    """Return where the extension is, or where it is to be: all users of a database find it in public."""
    if found := _row(connection, _EXTENSION, EXTENSION):
        return str(found[0])
    is_open = _row(connection, _IS_PUBLIC_OPEN)
    if is_open and is_open[0]:
        return "public"
    return str((_row(connection, _PLACE) or ("", "public"))[1])
