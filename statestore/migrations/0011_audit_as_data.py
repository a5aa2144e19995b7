"""What an audit entry changed becomes data: columns before and after, and the entry that it undid.

The columns `verb` and `address` keep their names: to rename one, SQLite parses the whole schema, and fails on a broken
view of another program. Nothing but columns that may be null is added: no table is copied.

The orchestrator waits while entries are converted, some 40 µs for each: only the newest are. Older edits keep their
details as text, and cannot be undone any more.
"""

import json
from collections.abc import Callable
from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from statestore.db import fields

CONVERTED_ENTRIES = 5_000
SQLITE_GUARD = (
    "CREATE TRIGGER dash_audit_no_update BEFORE UPDATE ON dash_audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
)
POSTGRES_GUARD = (
    "CREATE TRIGGER dash_audit_append_only BEFORE UPDATE OR DELETE ON dash_audit"
    " FOR EACH ROW EXECUTE FUNCTION dash_audit_refuse()"
)
OLD_EDITS = (
    "SELECT id, noun, verb, detail FROM dash_audit WHERE detail <> ''"  # noqa: S608 (a number of ours)
    f" AND (noun IN ('task', 'session') OR verb = 'status') ORDER BY id DESC LIMIT {CONVERTED_ENTRIES}"
)
NEW_EDITS = "SELECT id, noun, before, after, reverts FROM dash_audit WHERE before IS NOT NULL OR after IS NOT NULL"


def fill_columns(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Move what the details of earlier edits say into the new columns."""
    rewrite(
        editor,
        OLD_EDITS,
        "UPDATE dash_audit SET before = %s, after = %s, reverts = %s, detail = '' WHERE id = %s",
        columns_of,
    )


def fill_details(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Move the new columns back into the details."""
    rewrite(editor, NEW_EDITS, "UPDATE dash_audit SET detail = %s WHERE id = %s", detail_of)


def rewrite(editor: BaseDatabaseSchemaEditor, select: str, update: str, values: Callable[..., tuple[Any, ...]]) -> None:
    """Change the selected entries, with the table's guard lifted meanwhile."""
    is_postgres = editor.connection.vendor == "postgresql"
    editor.execute(
        "DROP TRIGGER dash_audit_append_only ON dash_audit" if is_postgres else "DROP TRIGGER dash_audit_no_update"
    )
    with editor.connection.cursor() as cursor:
        cursor.execute(select)
        cursor.executemany(update, [(*values(*columns), entry_id) for entry_id, *columns in cursor.fetchall()])
    editor.execute(POSTGRES_GUARD if is_postgres else SQLITE_GUARD)


def columns_of(noun: str, action: str, detail_text: str) -> tuple[str | None, str | None, int | None]:
    """Return `before`, `after` and `reverts` of an entry, from its details in the form of the first releases."""
    detail = json.loads(detail_text)
    if noun == "agent":
        return json.dumps({"status": detail.get("before")}), json.dumps({"status": detail.get("after")}), None
    reverts = detail.pop("reverts", None)
    if action == "create":
        return None, json.dumps(detail), reverts
    if action == "delete":
        return json.dumps(detail), None, reverts
    pairs = {column: pair for column, pair in detail.items() if isinstance(pair, list)}
    before, after = (json.dumps({column: pair[side] for column, pair in pairs.items()}) for side in (0, 1))
    return before, after, reverts


def detail_of(noun: str, before_text: str | None, after_text: str | None, reverts: int | None) -> tuple[str]:
    """Return the details of an entry in the form of the first releases, the inverse of `columns_of`."""
    before, after = json.loads(before_text or "null"), json.loads(after_text or "null")
    if noun == "agent":
        detail = {"before": before["status"], "after": after["status"]}
    elif before is None or after is None:
        detail = before or after
    else:
        detail = {column: [before[column], after[column]] for column in after}
    return (json.dumps(detail if reverts is None else {**detail, "reverts": reverts}),)


class Migration(migrations.Migration):
    dependencies = [("statestore", "0010_insertion_order")]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="verb",
            field=models.CharField(db_column="verb", max_length=40),
        ),
        migrations.RenameField(model_name="auditentry", old_name="verb", new_name="action"),
        migrations.AlterField(
            model_name="auditentry",
            name="address",
            field=fields.LenientText(
                blank=True,
                db_column="address",
                default="",
                help_text="The network address that the request came from.",
            ),
        ),
        migrations.RenameField(model_name="auditentry", old_name="address", new_name="ip_address"),
        migrations.AddField(
            model_name="auditentry",
            name="before",
            field=fields.LenientText(blank=True, help_text="The changed columns before, as JSON.", null=True),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="after",
            field=fields.LenientText(blank=True, help_text="The changed columns after, as JSON.", null=True),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="reverts",
            field=models.BigIntegerField(blank=True, help_text="The id of the entry that this one undid.", null=True),
        ),
        migrations.RunPython(fill_columns, fill_details, hints={"place": "store"}),
    ]
