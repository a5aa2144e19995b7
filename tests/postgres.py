"""Run a command against a PostgreSQL cluster made for it: `python -m tests.postgres pytest`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from descartes_site.postgres_cluster import Cluster, binaries, throw_away
from tests.commands import manage

__all__ = ["Cluster", "binaries", "empty_cluster", "running_cluster"]


def empty_cluster() -> AbstractContextManager[Cluster]:
    """Return a cluster of its own that runs, without any database of ours; it is gone after the block."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed."
    return throw_away(programs)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Yield a cluster of its own that runs and has both databases; it is gone afterwards."""
    with empty_cluster() as cluster:
        cluster.create_databases()
        manage(cluster.urls, ["migrate"], ["migrate", "--database", "store"])
        yield cluster


def main() -> int:
    """Run the command with both databases on a cluster of its own, and return the command's status."""
    # Each process of the tests copies these two as templates, instead of migrating anew.
    with running_cluster() as cluster:
        return subprocess.run(sys.argv[1:], env={**os.environ, **cluster.urls}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
