"""Carries out the policies that are on, again and again, until it is killed: `python -m tests.retention.victim`."""

import django

django.setup()

from statestore import models, retention  # noqa: E402
from statestore.access.audit import SYSTEM  # noqa: E402
from statestore.db.routers import store_alias  # noqa: E402
from statestore.models import RetentionPolicy  # noqa: E402

if __name__ == "__main__":
    print("ready", flush=True)
    for policy in RetentionPolicy.objects.switched_on().in_order():
        retention.carry_out(policy, store_alias(), by=SYSTEM, now=models.now())
    print("done", flush=True)
