"""Where a source is: a file, or a database on a server. What the rest asks of either."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from statestore.sources import files, servers
from statestore.sources.contract import Reader, Rows


class Location(Protocol):
    """A source's place. Each verb raises an error of ours, in words, for what fails."""

    # In sentences: the name of a file, or of a database.
    name: str
    # What its agents' namespace is called, if nothing else is chosen.
    title: str

    @property
    def database(self) -> str:
        """The name of what holds it: SQLite, JSON, PostgreSQL."""
        ...

    def is_being_written(self) -> bool:
        """Return whether it was changed within the last seconds, as far as that can be told."""
        ...

    def stamp(self) -> str:
        """Return what differs once anything may have changed; "" if that is not known."""
        ...

    def opened(self) -> AbstractContextManager[Rows]:
        """Open it for reading."""
        ...

    def readers(self, rows: Rows) -> Mapping[str, Reader]:
        """Return the readers that know it, by their keys. Raises ValidationError, with what it is, if none does."""
        ...

    def writing(self, tables: Sequence[str]) -> AbstractContextManager[Rows]:
        """Open it for one transaction, in which no other program writes to some tables."""
        ...


def of(path: str) -> Location:
    """Return the location that a source's path names."""
    return _Server(path) if servers.is_address(path) else _File(Path(path))


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self.title = path.stem

    @property
    def database(self) -> str:
        return files.kind_of(self._path)

    def is_being_written(self) -> bool:
        return files.is_being_written(self._path)

    def stamp(self) -> str:
        return files.stamp(self._path) if self._path.exists() else ""

    def opened(self) -> AbstractContextManager[Rows]:
        return files.opened(self._path)

    def readers(self, rows: Rows) -> Mapping[str, Reader]:
        return files.readers_of(rows, self._path)

    def writing(self, tables: Sequence[str]) -> AbstractContextManager[Rows]:
        """Open it for one transaction; SQLite locks the whole file."""
        return files.writing(self._path)


class _Server:
    database = "PostgreSQL"

    def __init__(self, address: str) -> None:
        self._address = address
        self.title = servers.short_name(address)
        self.name = f"the database {self.title}"

    def is_being_written(self) -> bool:
        """Return nothing: a server keeps no time of a table's last change."""
        return False

    def stamp(self) -> str:
        return servers.stamp(self._address)

    def opened(self) -> AbstractContextManager[Rows]:
        return servers.opened(self._address)

    def readers(self, rows: Rows) -> Mapping[str, Reader]:
        return servers.readers_of(rows, self._address)

    def writing(self, tables: Sequence[str]) -> AbstractContextManager[Rows]:
        return servers.writing(self._address, tables)
