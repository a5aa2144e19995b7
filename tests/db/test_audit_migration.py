"""Entries of an earlier release are converted on either database."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from statestore import models
from statestore.db.routers import store_alias

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_edit_becomes_columns_and_details_again_and_the_guard_stands():
    migration = import_module("statestore.migrations.0011_audit_as_data")
    connection: Any = connections[store_alias()]
    detail = '{"title": ["a", "b"], "reverts": 7}'
    models.AuditEntry(at=1, actor="ada", action="edit", noun="task", row_id="t", detail=detail).save(force_insert=True)
    with connection.cursor() as cursor:
        editor: Any = SimpleNamespace(connection=connection, execute=cursor.execute)
        migration.fill_columns(apps, editor)
        entry = models.AuditEntry.objects.get()
        assert (entry.before, entry.after, entry.reverts, entry.detail) == ('{"title": "a"}', '{"title": "b"}', 7, "")
        migration.fill_details(apps, editor)
        assert models.AuditEntry.objects.get().detail == detail
    with pytest.raises(Exception, match="append-only"):
        models.AuditEntry.objects.update(actor="eve")
