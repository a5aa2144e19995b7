"""Archives all that it may, puts it back, and begins again, until it is killed: `python -m tests.archive.victim`."""

import django

django.setup()

from statestore import archive, models  # noqa: E402
from statestore.access.audit import SYSTEM  # noqa: E402
from statestore.db.routers import store_alias  # noqa: E402

if __name__ == "__main__":
    print("ready", flush=True)
    while True:
        for _ in archive.archive_before(store_alias(), models.now() + 10**9, by=SYSTEM):
            pass
        archive.put_back(store_alias(), by=SYSTEM)
