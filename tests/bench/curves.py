"""`make curves`: what pages and verbs cost on stores of 1,000 to 1,000,000 events and transitions, in bare pages.

One run measures all sizes, one after the other; a bare page beside each tells how fast the machine was just then.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.bench import figures

SIZES: Final = tuple(int(size) for size in os.environ.get("CURVE_SIZES", "1000,10000,100000,1000000").split(","))
_HEAVY: Final = 1_000
_NAME: Final = 52


def measured(size: int, folder: Path) -> dict[str, dict[str, float]]:
    """Return the figures of a store with so many events and transitions, and a tenth as many agents."""
    home, kept = folder / f"store-{size}", folder / f"figures-{size}.json"
    rows = {"AGENTS": max(1_000, size // 10), "TRANSITIONS": size, "EVENTS": max(10_200, size), "HEAVY": _HEAVY}
    given = {f"BENCH_{name}": str(number) for name, number in rows.items()}
    given |= {"BENCH_ONLY": "pages,verbs", "BENCH_HOME": str(home), "BENCH_FIGURES": str(kept), "CHECK": ""}
    subprocess.run([sys.executable, "-m", "tests.bench"], env={**os.environ, **given}, check=True, stdout=sys.stderr)
    return figures.load(kept)


def main() -> None:
    """Measure, and print a line for each page and verb, with a column for each size."""
    with tempfile.TemporaryDirectory(prefix="statestore-curves-") as folder:
        found = [measured(size, Path(folder)) for size in SIZES]
    print(f"{'':<{_NAME}}" + "".join(f"{size:>12,}" for size in SIZES))
    for line in found[0]:
        for figure, what in (("bare", "bare pages"), ("ratio", "times bare SQL")):
            if all(figure in each.get(line, {}) for each in found):
                print(f"{line:<{_NAME}}" + "".join(f"{each[line][figure]:12.1f}" for each in found) + f"  {what}")


if __name__ == "__main__":
    main()
