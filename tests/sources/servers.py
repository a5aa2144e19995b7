"""Databases of frameworks on a PostgreSQL server of the tests' own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from statestore.sources.contract import Value
from tests.postgres import Cluster
from tests.sources.conftest import FILES

Row = tuple[Value, ...]


@dataclass
class Server:
    """A server that runs, on which each test has databases of its own."""

    cluster: Cluster
    _numbers: Iterator[int] = field(default_factory=count)

    def made(self, dump: str = "") -> "Database":
        """Return a new database with what a dump among the tests' files holds."""
        name = f"agents{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        if dump:
            self.load(name, FILES / dump)
        return Database(self, name)

    def load(self, database: str, dump: Path) -> None:
        """Run the statements of a dump."""
        words = ["psql", "-q", "-h", self.cluster.home, "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1"]
        with dump.open("rb") as statements:
            subprocess.run(list(map(str, words)), stdin=statements, stdout=subprocess.DEVNULL, check=True)

    def execute(self, database: str, sql: str) -> None:
        """Run a statement as the superuser."""
        with self.connected(database) as connection:
            connection.execute(sql)

    @contextmanager
    def connected(self, database: str) -> Iterator["psycopg.Connection[Any]"]:
        """Give a connection of the superuser's."""
        with psycopg.connect(host=str(self.cluster.home), user="postgres", dbname=database, autocommit=True) as made:
            yield made


@dataclass
class Database:
    """A database on the server."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        """Its URL, with a password that the server does not ask for."""
        socket = str(self.server.cluster.home).replace("/", "%2F")
        return f"postgresql://postgres:geheim@{socket}/{self.name}"

    def execute(self, sql: str) -> None:
        """Run a statement as the superuser."""
        self.server.execute(self.name, sql)

    def rows(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        with self.server.connected(self.name) as connection:
            return connection.execute(sql).fetchall()
