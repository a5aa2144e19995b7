"""Carries out the policies until it is killed; asks before each chunk: `python -m tests.retention.victim`."""

import sys

import django

django.setup()

from statestore import models, retention  # noqa: E402
from statestore.access.audit import SYSTEM  # noqa: E402
from statestore.db.routers import store_alias  # noqa: E402
from statestore.models import RetentionPolicy  # noqa: E402


def go_on() -> bool:
    """Wait for a line, and return that the next chunk may go."""
    print("chunk", flush=True)
    return bool(sys.stdin.readline())


if __name__ == "__main__":
    for policy in RetentionPolicy.objects.switched_on().in_order():
        retention.carry_out(policy, store_alias(), by=SYSTEM, now=models.now(), go_on=go_on)
    print("done", flush=True)
