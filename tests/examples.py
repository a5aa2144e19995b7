"""How many examples a property is tried with."""

import os

from hypothesis import settings

# What is pure Python means the same on either database: there only the queries are new.
_MANY = 200 if os.environ.get("STORE_URL", "").startswith("postgres") else 2_000
thoroughly = settings(max_examples=_MANY)
