"""A site that takes very many wrong tokens from one address, each refused as usual."""

from django.apps import AppConfig


class Patient(AppConfig):
    name = "tests.faults.fuzzed"
    label = "fuzzed"
    path = "tests/faults"

    def ready(self) -> None:
        from statestore.api import auth

        auth.WRONG_TOKENS = 1_000_000  # type: ignore[misc]
