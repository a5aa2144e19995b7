"""A site with variables of its own, and its server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.faults.sites import Site, copy_of, fill_template
from tests.templates import Templates


@dataclass(frozen=True)
class DeployedSite(Site):
    """An installation that is configured by more variables."""

    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}


def deployed(templates: Templates, directory: Path, **variables: str) -> DeployedSite:
    """Return a fresh installation in a directory, in write-ahead logging."""
    made = copy_of(templates.get("site-wal", partial(fill_template, journal_mode="wal")), directory)
    return DeployedSite(made.store, made.dashboard, made.settings, variables)
