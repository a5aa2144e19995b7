"""`manage.py restore-backup PATH`: a backup as a new file, in the live one's place, or chosen rows of it."""

from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from statestore import backups, restore
from statestore.access import audit
from statestore.adoption.status import store_status
from statestore.adoption.temporary_store import database_at
from statestore.backups import chosen, put_back, swap
from statestore.db.errors import translated_errors
from statestore.db.fields import readable
from statestore.db.routers import store_alias
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import agreed, announced, in_words, one_line

_VALUE_CHARACTERS = 60


class Command(StoreCommand):
    help = (
        "Write the store of a backup as a new file, or into an empty PostgreSQL database; nothing is overwritten. Or"
        " put it in the place of the live SQLite file, which is kept beside it, while no other process has that open."
        " Or put chosen agents, tasks and sessions back into the live store, each after a preview and with an undo."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the directory of a backup, as `backup` printed it")
        parser.add_argument("--to", help="the new file, or postgres://… of an empty database")
        parser.add_argument("--replace", action="store_true", help="put it in the place of the live SQLite file")
        parser.add_argument("--stopped", action="store_true", help="the orchestrator that shares the store is stopped")
        parser.add_argument("--database", choices=("store", "dashboard"), default="store", help="which of the two")
        parser.add_argument("--agent", action="append", default=[], help="put this agent's state back; may be repeated")
        parser.add_argument("--task", action="append", default=[], help="put this task back; may be repeated")
        parser.add_argument("--session", action="append", default=[], help="put this session back; may be repeated")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(
        self,
        *,
        path: Path,
        to: str | None,
        replace: bool,
        stopped: bool,
        database: str,
        agent: list[str],
        task: list[str],
        session: list[str],
        yes: bool,
        **options: object,
    ) -> None:
        if [to is not None, replace, bool(agent or task or session)].count(True) != 1:
            raise CommandError("Say --to FILE or --replace, or else which --agent, --task or --session to put back.")
        try:
            backup = backups.at(path)
            if to is not None:
                self._restore(backup, to, database)
                return
            with translated_errors():
                if replace:
                    self._replace(backup, database, is_stopped=stopped, yes=yes)
                else:
                    self._put_back(backup, agent, task, session, yes=yes)
        except (StateStoreError, OSError, ValueError) as error:
            raise CommandError(in_words(error)) from error

    def _restore(self, backup: backups.Backup, to: str, database: str) -> None:
        with announced(self.stdout.write, "Restoring"):
            if to.startswith(("postgres://", "postgresql://")):
                with database_at(to) as alias:
                    file = backups.restore_to_database(backup, alias, database=database)
            else:
                to = str(Path(to).resolve())
                file = backups.restore_to_file(backup, Path(to), database=database)
        rows = sum(table.rows for table in file.contents.values())
        self.stdout.write(f"{rows:,} rows in {len(file.contents)} tables, compared with the manifest.")
        variable = "STORE_URL" if database == "store" else "DATABASE_URL"
        self.stdout.write(f"To use it, stop the dashboard and name it in {variable}.")
        self.stdout.write(one_line(to))

    def _replace(self, backup: backups.Backup, database: str, *, is_stopped: bool, yes: bool) -> None:
        using = store_alias()
        target = swap.file_of(using if database == "store" else "default")
        if database == "store" and not settings.STORE_IS_EMBEDDED and not is_stopped:
            raise CommandError("An orchestrator may share the store. Stop it, then say --stopped. Nothing was changed.")
        file = put_back.whole_file_of(backup, database)
        self.stdout.write(one_line(f"{target} would become the copy of {file.source} of {file.taken_at}."))
        self.stdout.write("It is kept beside the new file, with all that was saved since then.")
        if not yes:
            agreed("Replace it?")
        connections.close_all()
        with announced(self.stdout.write, "Replacing"):
            done = swap.swap(backup, target, database=database)
        self.stdout.write(f"{done.rows:,} rows, compared with the manifest, are in place.")
        if done.opened_by:
            pids = ", ".join(map(str, done.opened_by))
            self.stdout.write(f"Meanwhile a process has opened the file that was there ({pids}). Restart it.")
        if store_status(using).is_ready:
            swap.note(done, backup, database=database, using=using, by=audit.SYSTEM)
        else:
            self.stdout.write("The store is not ready, so its audit log does not tell of this. `doctor` says why.")
        if done.kept is not None:
            self.stdout.write("The file that was there:")
            self.stdout.write(one_line(str(done.kept)))

    def _put_back(
        self, backup: backups.Backup, agents: list[str], tasks: list[str], sessions: list[str], *, yes: bool
    ) -> None:
        using = store_alias()
        if problems := backups.verify(backup):
            raise CommandError("\n".join(map(one_line, [*problems, "Nothing was changed. Use another backup."])))
        plans = [chosen.agent(backup, agent_id, using=using).plan for agent_id in agents]
        rows = [chosen.task(backup, task_id, using=using) for task_id in tasks]
        rows += [chosen.session(backup, session_id, using=using) for session_id in sessions]
        for plan in plans:
            self._show_plan(plan)
        for row in rows:
            self._show_row(row)
        if not yes:
            agreed("Put them back?")
        for plan in plans:
            if not plan.changes_nothing:
                done = restore.apply(plan, by=audit.SYSTEM)
                self.stdout.write(one_line(f"{plan.agent.agent_id} was restored. Undo: /restores/{done.pk}/"))
        for row in rows:
            if row.changes:
                chosen.put_back_row(row, by=audit.SYSTEM, using=using)
                self.stdout.write(one_line(f"{row.row._meta.verbose_name} {row.row.pk} was put back. Undo: /audit/"))

    def _show_plan(self, plan: restore.RestorePlan) -> None:
        name = one_line(readable(plan.agent.agent_id))
        if plan.changes_nothing:
            self.stdout.write(f"Agent {name} already has the state of {plan.label}.")
            return
        what = "would be created" if plan.agent.is_gone else f"{len(plan.agent.state_data):,} characters become"
        self.stdout.write(f"Agent {name}: {what} {len(plan.text):,}, the state of {plan.label}.")
        for caution in plan.warnings:
            self.stdout.write(one_line(f"  {caution.text}"))

    def _show_row(self, row: chosen.ChosenRow) -> None:
        name = one_line(f"{row.row._meta.verbose_name} {row.row.pk}".capitalize())
        if not row.changes:
            self.stdout.write(f"{name} is as in the backup.")
            return
        self.stdout.write(f"{name}{' does not exist, and would be created' if row.stored is None else ''}:")
        for column, (now, then) in row.changes.items():
            values = (str(value)[:_VALUE_CHARACTERS] for value in (now, then))
            self.stdout.write(one_line("  {}: {} → {}".format(column, *values)))
