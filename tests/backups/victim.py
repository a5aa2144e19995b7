"""Takes backups into a directory without pause, until it is killed: `python -m tests.backups.victim DIRECTORY`."""

import sys
from pathlib import Path

import django

django.setup()

from statestore import backups  # noqa: E402

if __name__ == "__main__":
    print("ready", flush=True)
    while True:
        print(backups.take(Path(sys.argv[1]), pack=True).name, flush=True)
