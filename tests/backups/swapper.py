"""Puts two backups in a file's place by turns, until it is killed: `python -m tests.backups.swapper FILE ONE OTHER`."""

import itertools
import sys
from pathlib import Path

import django

django.setup()

from statestore import backups  # noqa: E402
from statestore.backups import swap  # noqa: E402

if __name__ == "__main__":
    target, *paths = map(Path, sys.argv[1:])
    print("ready", flush=True)
    for path in itertools.cycle(paths):
        done = swap.swap(backups.at(path), target)
        assert done.kept is not None
        done.kept.unlink()
