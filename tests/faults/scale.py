"""How much of everything: enough for each change in CI, more in `make faults`, a quarter in `make quick`."""

import os
import random

LONG = os.environ.get("FAULTS") == "long"
QUICK = os.environ.get("FAULTS") == "quick"


def chance() -> random.Random:
    """Return what chooses examples: the same ones each time, so that the gate tells of a change and not of its luck."""
    return random.Random() if LONG else random.Random(20261128)


def times(in_ci: int, long: int) -> int:
    """Return how often something is done in this run."""
    if LONG:
        return long
    return max(1, in_ci // 4) if QUICK else in_ci


def tell(what: str, *, failures: int, canary: str, **figures: object) -> None:
    """Print the one line that a fault test leaves behind."""
    words = ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in figures.items())
    print(f"FAULT {what}: {words}; failures {failures}; canary {canary}")
