"""Run the measurements on a store in a temporary directory, or in BENCH_HOME, where it is kept for the next run."""

import os
import shutil
import tempfile
from pathlib import Path

import django

KEPT = os.environ.get("BENCH_HOME")


def main() -> None:
    """Point both databases at the directory, then measure."""
    home = Path(KEPT or tempfile.mkdtemp(prefix="statestore-bench-"))
    home.mkdir(exist_ok=True)
    os.environ["DJANGO_SETTINGS_MODULE"] = "descartes_site.settings"
    os.environ["STORE_URL"] = f"sqlite:///{home / 'store.db'}"
    os.environ["DATABASE_URL"] = f"sqlite:///{home / 'dashboard.db'}"
    django.setup()
    from tests.bench import run

    try:
        run.main(home)
    finally:
        if not KEPT:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
