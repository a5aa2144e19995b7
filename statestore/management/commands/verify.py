"""`manage.py verify`: walk the chain of the audit log, and name what was changed."""

from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from statestore.access import audit_chain
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import in_words, one_line


class Command(StoreCommand):
    help = (
        "Check that no entry of the audit log, and no row that it vouches for, was changed, removed or moved. Exits"
        " with 1 and names them otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--head", type=Path, help="an exported head, which must be part of the chain too")
        parser.add_argument("--export-head", type=Path, help="write the newest entry's digest there, to keep elsewhere")
        parser.add_argument("--key-file", type=Path, help="a file whose bytes sign the exported head (HMAC-SHA256)")

    def handle(self, *, head: Path | None, export_head: Path | None, key_file: Path | None, **options: object) -> None:
        using = store_alias()
        try:
            key = None if key_file is None else key_file.read_bytes()
            given = [] if head is None else [audit_chain.read_head(head.read_text(), key=key)]
            with translated_errors():
                found = audit_chain.verify(using, heads=[*audit_chain.noted_heads(using), *given])
        except (StateStoreError, OSError, ValueError) as error:
            raise CommandError(in_words(error)) from error
        if found.faults:
            raise CommandError("\n".join(one_line(fault.text) for fault in found.faults))
        older = f" {found.older:,} older entries are not part of it." if found.older else ""
        self.stdout.write(f"{found.entries:,} audit entries and {found.vouched:,} rows that they vouch for.{older}")
        if export_head is not None and found.head is not None:
            text = audit_chain.exported_head(*found.head, store=audit_chain.store_name(using), key=key)
            export_head.write_text(text + "\n")
            self.stdout.write(one_line(f"The head, entry {found.head[0]}, was written to {export_head}."))
        self.stdout.write(self.style.SUCCESS("The chain is whole."))
