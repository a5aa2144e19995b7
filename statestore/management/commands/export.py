"""`manage.py export [FILE]`: the store as lines of JSON."""

import os
import sys
from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from statestore.access.scope import Scope
from statestore.errors import StateStoreError
from statestore.import_export import Wanted, export_lines
from statestore.import_export.compression import packed
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import in_words

ENCODINGS = {".gz": "gzip", ".zst": "zstd"}


class Command(StoreCommand):
    help = "Write the store as NDJSON, byte for byte: to a file (packed where it ends in .gz or .zst), or to stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="?", default="-", help="the file to write; - for standard output")
        parser.add_argument("--namespace", action="append", help="only agents of this namespace; may be repeated")
        parser.add_argument("--agent", help="only this agent")
        parser.add_argument("--table", action="append", default=[], help="only this table; may be repeated")
        parser.add_argument("--audit", action="store_true", help="with the audit log, which no import takes")

    def handle(
        self,
        *,
        path: str,
        namespace: list[str] | None,
        agent: str | None,
        table: list[str],
        audit: bool,
        **options: object,
    ) -> None:
        scope = Scope(None if namespace is None else tuple(namespace))
        try:
            lines = export_lines(Wanted(scope, tuple(table), agent, audit))
            pieces = packed(lines, ENCODINGS.get(Path(path).suffix, ""))
            if path == "-":
                for piece in pieces:
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                return
            # Complete or not there: a file that was cut short would look like an export.
            unfinished = Path(f"{path}.part")
            with unfinished.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error
