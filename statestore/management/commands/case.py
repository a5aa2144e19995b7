"""`manage.py case AGENT`: an agent as one file for a ticket, its secrets masked; `--verify` reads such a file."""

import os
import sys
from pathlib import Path

from django.core.management.base import CommandError, CommandParser

from statestore import cases, history
from statestore.access.scope import Scope
from statestore.cases import limits
from statestore.errors import StateStoreError
from statestore.management.store_command import StoreCommand
from statestore.management.terminal import in_words


class Command(StoreCommand):
    help = "Write an agent with its state, conversation and newest transitions as one file, secrets masked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", nargs="?", help="the agent's id")
        parser.add_argument("--to", metavar="FILE", default="-", help="the file to write; - for standard output")
        parser.add_argument("--format", choices=list(cases.FORMATS), help="by default as the file's name ends, or html")
        parser.add_argument(
            "--transitions", type=int, default=limits.TRANSITIONS, help="how many of the newest (default: %(default)s)"
        )
        parser.add_argument("--events", type=int, default=0, help="how many of the newest of its sessions")
        parser.add_argument("--verify", metavar="FILE", help="tell whether a file is as it was exported")

    def handle(
        self,
        *,
        agent: str | None,
        verify: str | None,
        to: str,
        format: str | None,
        transitions: int,
        events: int,
        **options: object,
    ) -> None:
        try:
            if verify is not None:
                self._verify(Path(verify))
            elif agent is None:
                raise CommandError("Name an agent, or a file to --verify.")
            else:
                wanted = cases.Wanted(transitions=transitions, events=events)
                self._write(agent, wanted, to, format or ("ndjson" if to.endswith(".ndjson") else "html"))
        except (StateStoreError, OSError) as error:
            raise CommandError(in_words(error)) from error

    def _verify(self, path: Path) -> None:
        digest, fault = cases.verified(path.read_bytes())
        if fault:
            raise CommandError(fault)
        self.stdout.write(self.style.SUCCESS(f"The file is as it was exported. SHA-256 of its lines: {digest}"))

    def _write(self, agent_id: str, wanted: cases.Wanted, to: str, kind: str) -> None:
        if not (0 <= wanted.transitions <= limits.MOST_TRANSITIONS and 0 <= wanted.events <= limits.MOST_EVENTS):
            raise CommandError(
                f"Use at most {limits.MOST_TRANSITIONS:,} transitions and {limits.MOST_EVENTS:,} events."
            )
        agent = history.find_agent(agent_id)
        if agent is None:
            raise CommandError(in_words(ValueError(f"Agent “{agent_id[:80]}” not found. Nothing was written.")))
        content = cases.agent_case(agent, wanted, Scope(), kind)
        if to == "-":
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        # Complete or not there, and only for the owner: masking can miss a secret.
        unfinished = Path(f"{to}.part")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        unfinished.replace(to)
        self.stdout.write(f"{to}: SHA-256 of its lines {cases.verified(content)[0]}")
