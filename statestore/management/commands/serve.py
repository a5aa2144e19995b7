"""Serve the dashboard with the production server."""

import errno
import fcntl
import hashlib
import os
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from descartes_site import locations
from descartes_site.locations import COMMAND
from statestore import children
from statestore.adoption.status import store_status
from statestore.db.routers import is_chosen
from statestore.management import embedded_store
from statestore.operations import announcement, whole_requests

STAMP = "fingerprint"
MANIFEST = "staticfiles.json"
LAST_PORT = 65_535
MOST_AT_ONCE = 128
# Comparing two states of 50 MB takes half of it.
USUAL_MEMORY_MB = 1024


class Command(BaseCommand):
    help = "Serve the dashboard on one address, with its static files collected and its own database up to date."
    # All checks would load every page, which the server process does once more.
    requires_system_checks = (Tags.security,)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=port_number, default=8000)
        parser.add_argument("--demo", action="store_true", help="load the demo data first if there is no store yet")
        parser.add_argument(
            "--threads", type=int, default=whole_requests.USUAL_PLACES, help="requests worked on at the same time"
        )
        parser.add_argument(
            "--workers", type=int, default=1, help="processes that share the work (default: 1); each has its --threads"
        )
        parser.add_argument(
            "--max-memory-mb", type=int, default=USUAL_MEMORY_MB,
            help="a server process that holds more is replaced by a fresh one, without a pause (default: 1024)",
        )  # fmt: skip

    def handle(
        self, *, host: str, port: int, demo: bool, threads: int, workers: int, max_memory_mb: int, **options: object
    ) -> None:
        for option, number in {"--threads": threads, "--workers": workers}.items():
            if not 1 <= number <= MOST_AT_ONCE:
                raise CommandError(f"{option} is {number}; use a number from 1 to {MOST_AT_ONCE}.")
        host = host.strip("[]")
        refuse_if_taken(host, port)
        if demo:
            call_command("demo", if_new=True, stdout=self.stdout)
        elif settings.STORE_IS_EMBEDDED:
            self._make_store()
        call_command("migrate", database="default", verbosity=0)
        collect_if_changed()
        self._say_what_is_missing()
        self.stdout.flush()
        announcement.prepare(host, port)
        os.environ[whole_requests.VARIABLE] = str(threads)
        os.chdir(locations.base())  # In a checkout, the server imports the site from where it is started.
        os.environ[children.VARIABLE] = "1"  # The search index is updated while a server runs, and the house kept.
        os.execv(  # noqa: S606 (the server takes this process's place, so that Ctrl-C and SIGTERM reach it)
            sys.executable,
            [
                sys.executable, "-m", "descartes_site.server", "--host", host, "--port", str(port),
                "--max-memory-mb", str(max_memory_mb), "--workers", str(workers),
            ],
        )  # fmt: skip

    def _make_store(self) -> None:
        """Make the embedded store where there is none, so that one command is enough to begin."""
        if embedded_store.prepare() and (login := embedded_store.login()):
            self.stdout.write(f"Made an empty store: {embedded_store.store_path()}\n{login}")

    def _say_what_is_missing(self) -> None:
        # Of several stores some may take long to answer, and their list says how each is.
        status = store_status() if is_chosen() else None
        if status is not None and not status.is_ready:
            self.stderr.write(f"{status.found} {status.remedy}")
        if not get_user_model().objects.exists():
            self.stdout.write(f"There are no users yet. Run `{COMMAND} createsuperuser`.")
        if settings.HTTPS and not settings.TRUSTED_PROXIES_ARE_NAMED:
            self.stdout.write("HTTPS is on: a proxy on this machine is trusted. For another one, set TRUSTED_PROXIES.")
        if is_root() and not is_container():
            self.stderr.write("Running as root. Run the dashboard as a user of its own, who may read the store.")


def refuse_if_taken(host: str, port: int) -> None:
    """Raise CommandError if the dashboard cannot listen there.

    The server's own processes share a port, so the system would also let a second dashboard have it. Of two, each would
    get some of a browser's requests.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        number = error.errno or 0
        # The name of a host has errors of its own, with negative numbers.
        reason = os.strerror(number) if number > 0 else error.strerror
        advice = f"{reason}. Choose another address or port with --host and --port"
        if number == errno.EADDRINUSE:
            advice = f"another program uses the port. Stop it, or choose another one: --port {port % LAST_PORT + 1}"
        raise CommandError(f"Cannot serve on {announcement.url_of(host, port)}: {advice}.") from None


def port_number(text: str) -> int:
    """Return a TCP port. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= LAST_PORT):
        raise ArgumentTypeError(f"{text} is not a number from 1 to {LAST_PORT}")
    return int(text)


def is_root() -> bool:
    """Return whether this process may do everything on its machine."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def is_container() -> bool:
    """Return whether this is a container, whose root is a matter of its image."""
    return "container" in os.environ or any(Path(path).exists() for path in ("/.dockerenv", "/run/.containerenv"))


def collect_if_changed() -> None:
    """Collect the static files unless those of the last time are the same; saves seconds at each start.

    Two servers that start at once take turns: one would delete what the other is writing.
    """
    root, wanted = Path(settings.STATIC_ROOT), _fingerprint()
    if _is_collected(root, wanted) or _is_sealed(root):
        return
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with root.with_name(f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_collected(root, wanted):
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
            (root / STAMP).write_text(wanted)


def _is_collected(root: Path, wanted: str) -> bool:
    stamp = root / STAMP
    return stamp.exists() and stamp.read_text() == wanted


def _is_sealed(root: Path) -> bool:
    """Return whether files were collected into a folder that this process cannot write, as in an image."""
    return (root / MANIFEST).exists() and not os.access(root, os.W_OK)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
