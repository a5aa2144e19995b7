"""`manage.py partition`: events and transitions by month, on PostgreSQL; or back into tables without partitions."""

from django.core.management.base import CommandError, CommandParser

from statestore import partitions
from statestore.access import audit
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, in_words


class Command(StoreCommand):
    help = (
        "Partition events and transitions by month, on PostgreSQL, while programs write; killed, it goes on with the"
        " next run. Where that is done, it makes the partitions of the coming months, as housekeeping does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--undo", action="store_true", help="make them tables without partitions again")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, undo: bool, yes: bool, **options: object) -> None:
        using = store_alias()
        do = partitions.unpartition if undo else partitions.partition
        try:
            if not yes:
                agreed(_QUESTION)
            done = do(using, by=audit.SYSTEM, progress=self._tell)
            standing = {table: partitions.months_of(using, table) for table in partitions.TABLES}
        except StateStoreError as error:
            raise CommandError(in_words(error)) from error
        for table, months in standing.items():
            rows = f"{done[table]:,} rows were copied and compared. " if table in done else ""
            what = f"partitions of {len(months)} months, to {months[-1]}" if months else "no partitions"
            self.stdout.write(self.style.SUCCESS(f"{table}: {rows}It has {what}."))

    def _tell(self, table: str, what: str, rows: int) -> None:
        self.stderr.write(f"{table}: {rows:,} rows {what}")


_QUESTION = (
    "Both tables are copied within the database: it needs free space of their size, and writes take twice as long"
    " until the end. Programs that write must be of this release, or use no ON CONFLICT (id). Do it now?"
)
