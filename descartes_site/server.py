"""The production server, started by `manage.py serve`: Granian, whose processes share one listening socket."""

import socket
from argparse import ArgumentParser

from granian._granian import ListenerSpec
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from descartes_site import locations

STOP_SECONDS = 10
OVERLAP_SECONDS = 2
MEMORY_SAMPLE_SECONDS = 5


class SharedSocketServer(MPServer):
    """A server whose listening socket outlives the processes that accept from it.

    On Linux, Granian lets each process listen by itself. While nothing listens, because the next process is slow to
    start, connections are refused, and those that a killed process had not accepted yet are reset. With one socket for
    all, as Granian has on other systems, both wait for the next process.
    """

    def _init_shared_socket(self) -> None:
        self._ssp = None
        holder = ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()
        self._shd = holder  # type: ignore[assignment]
        self._sso = socket.socket(fileno=holder.get_fd())
        self._sso.set_inheritable(True)


def main() -> None:
    """Serve until a signal ends it."""
    parser = ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--max-memory-mb", required=True, type=int)
    parser.add_argument("--workers", default=1, type=int)
    options = parser.parse_args()
    SharedSocketServer(
        "descartes_site.rsgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        workers=options.workers,
        http=HTTPModes.http1,
        websockets=False,
        working_dir=locations.base(),
        log_level=LogLevels.error,
        workers_kill_timeout=STOP_SECONDS,
        # A process that died, or holds too much memory, is replaced by a fresh one.
        respawn_failed_workers=True,
        respawn_interval=OVERLAP_SECONDS,
        workers_max_rss=options.max_memory_mb,
        rss_sample_interval=MEMORY_SAMPLE_SECONDS,
    ).serve()


if __name__ == "__main__":
    main()
