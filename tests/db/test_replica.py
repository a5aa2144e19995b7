"""When a read replica is read, and what is written in a URL for it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLResolver, get_resolver

from descartes_site import database_urls
from descartes_site.environment import Environment
from statestore.db import replica
from statestore.middleware import FROM_PRIMARY

WRITTEN = 1_000


def test_a_replica_is_another_server_with_all_else_as_on_the_primary():
    database = database_urls.parsed("postgres://ada:secret@db:5433/agents?replica=standby&search_path=team&pool_max=3")
    copy = database_urls.replica_of(database)

    assert copy is not None
    assert (copy["HOST"], copy["PORT"], copy["NAME"], copy["USER"]) == ("standby", "", "agents", "ada")
    assert (copy["SEARCH_PATH"], copy["POOL"], copy["OPTIONS"]) == ("team", {"max_size": 3}, {})
    assert "replica" not in database["OPTIONS"], "libpq would refuse it"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("standby:5433", "standby", "5433"), ("[::1]:5433", "::1", "5433"), ("a,b", "a,b", ""),
        ("%2Frun%2Fpg:5433", "/run/pg", "5433"),
    ],
)  # fmt: skip
def test_a_replica_is_named_by_its_host_and_port(text: str, host: str, port: str):
    copy = database_urls.replica_of(database_urls.parsed(f"postgres://db/agents?replica={text}"))
    assert copy is not None
    assert (copy["HOST"], copy["PORT"]) == (host, port)


def test_a_store_without_a_replica_has_none():
    assert database_urls.replica_of(database_urls.parsed("postgres://db/agents")) is None
    assert database_urls.replica_of(database_urls.parsed("sqlite:////srv/agents.db")) is None


@pytest.mark.parametrize("text", ["postgres://standby/agents", "standby:x", "standby:70000"])
def test_another_form_is_refused_with_the_one_to_write(text: str):
    with pytest.raises(ValueError, match="replica is the host of a replica"):
        database_urls.parsed(f"postgres://db/agents?replica={text}")


def test_the_dashboards_own_database_has_no_replica(tmp_path: Any):
    env = Environment({"DATABASE_URL": "postgres://db/dashboard?replica=standby"})
    env.own_database("DATABASE_URL", tmp_path)
    with pytest.raises(ImproperlyConfigured, match="only stores have one"):
        env.verify()


@pytest.mark.parametrize(
    ("is_replica", "replayed", "age_seconds", "fault"),
    [
        (True, WRITTEN, 0.1, ""),
        (True, WRITTEN, 9_999.0, ""),  # Nothing was committed for hours.
        (True, WRITTEN - 1, 29.0, ""),
        (True, WRITTEN - 1, 31.0, "The replica is 31 s behind, more than REPLICA_MAX_LAG_SECONDS=30 allows."),
        (False, WRITTEN + 1, 0.0, "it was promoted"),
    ],
)
def test_a_replica_that_is_too_far_behind_or_was_promoted_is_not_read(
    settings: Any, is_replica: bool, replayed: int, age_seconds: float, fault: str
):
    settings.REPLICA_MAX_LAG_SECONDS = 30
    standing = replica.standing_between(WRITTEN, is_replica, replayed, age_seconds)

    assert fault in standing.fault
    assert bool(standing.fault) == bool(fault)
    assert ("Pages read the primary" in standing.note) == bool(fault)


def test_what_is_read_from_the_primary_is_named_as_in_the_site_map():
    def names(resolver: URLResolver) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLResolver):
                yield from names(pattern)
            else:
                yield str(pattern.name)

    assert set(names(get_resolver())) >= FROM_PRIMARY
