"""The environment's variables: taken literally, in this one place; what is wrong is refused in one line for each.

Not django-environ: it takes `$NAME` for the value of another variable and `+` in a path for a space, cuts passwords and
paths at `#`, and lets a wrong number end in a traceback.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured

from descartes_site import database_urls, stores

Number = TypeVar("Number", int, float)

_SHOWN_CHARACTERS: Final = 80
_TRUE: Final = {"1", "true", "yes", "on"}
_FALSE: Final = {"0", "false", "no", "off"}
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_RATE: Final = re.compile(r"([1-9][0-9]{0,11})/(second|minute|hour)")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600}
# A name, one with all that end in it (.example.org), an IPv6 address in brackets, or any (*).
_HOST: Final = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")


class Environment:
    """Reads variables. A wrong one is noted and its default taken, so that `verify` can name all that are wrong."""

    def __init__(self, variables: Mapping[str, str], base: Path = Path("/")) -> None:
        self._variables = variables
        self._base = base
        self._faults: list[str] = []

    def refuse(self, fault: str) -> None:
        """Note in one line what is wrong: variable, value, and what to write."""
        self._faults.append("".join(c if c.isprintable() else ascii(c)[1:-1] for c in fault))

    def verify(self) -> None:
        """Raise ImproperlyConfigured, with a line for each variable that is wrong."""
        if self._faults:
            raise ImproperlyConfigured("\n".join(self._faults))

    def literal(self, name: str) -> str:
        """Return a value as it is, or "": a key may begin or end with a space."""
        return self._variables.get(name, "")

    def text(self, name: str, default: str = "") -> str:
        """Return a text without spaces around it; an empty variable counts as one that is not set."""
        return self._variables.get(name, "").strip() or default

    def boolean(self, name: str, default: bool) -> bool:
        """Return whether something is on."""
        text = self.text(name, str(int(default))).lower()
        if text not in _TRUE | _FALSE:
            self._refuse_value(name, "use 1 or 0")
        return text in _TRUE

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        return self._number(name, default, int, f"use a whole number from {least} to {most}", least, most)

    def decimal(self, name: str, default: float, *, above: float, most: float) -> float:
        """Return a number within bounds."""
        least = math.nextafter(above, math.inf)
        return self._number(name, default, float, f"use a number above {above:g}, at most {most:g}", least, most)

    def words(self, name: str, default: list[str] | None = None) -> list[str]:
        """Return a list that is separated by commas, without the spaces around them."""
        found = [word.strip() for word in self.text(name).split(",") if word.strip()]
        return found or list(default or [])

    def patterns(self, name: str) -> list[str]:
        """Return regular expressions that are separated by spaces; none of them matches the empty text."""
        found = self.text(name).split()
        for text in found:
            try:
                is_usable = re.compile(text).match("") is None
            except re.error:
                is_usable = False
            if not is_usable:
                self._refuse_value(name, r"use regular expressions, separated by spaces: \b\d{16}\b CUST-[0-9]+")
        return found

    def hosts(self, name: str, default: list[str]) -> list[str]:
        """Return names of hosts, which a request's Host header is compared with."""
        found = self.words(name, default)
        if not all(map(_HOST.fullmatch, found)):
            self._refuse_value(
                name, "use host names without scheme, port or path, separated by commas: dash.example.org, [::1]"
            )
        return found

    def level(self, name: str, default: str) -> str:
        """Return a level of logging."""
        text = self.text(name, default).upper()
        if text in _LEVELS:
            return text
        self._refuse_value(name, f"use {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}")
        return default

    def choice(self, name: str, default: str, among: Sequence[str]) -> str:
        """Return one of a few words."""
        text = self.text(name, default).lower()
        if text in among:
            return text
        self._refuse_value(name, f"use {' or '.join(among)}")
        return default

    def rate(self, name: str, default: str) -> tuple[int, int]:
        """Return a rate, such as 600/minute, as a number and a number of seconds."""
        match = _RATE.fullmatch(self.text(name, default))
        if match is None:
            self._refuse_value(name, "use a number and a unit, such as 600/minute")
            return 1, 1
        return int(match[1]), _SECONDS[match[2]]

    def commit_url(self, name: str) -> str:
        """Return the link to a commit, which has a place for it, or ""."""
        text = self.text(name)
        if text and not (text.startswith(("https://", "http://")) and "{commit}" in text):
            self._refuse_value(name, "use a web address with {commit}: https://git.example.org/repo/commit/{commit}")
        return text

    def path(self, name: str, default: Path) -> Path:
        """Return an absolute path. In a checkout a relative one begins there, wherever a command is run."""
        text = self.text(name)
        if "\0" in text or not text:
            return default
        try:
            return self._base / Path(text).expanduser()
        except RuntimeError:  # The home of a user who does not exist.
            self._refuse_value(name, "use an absolute path")
            return default

    def directories(self, name: str) -> list[str]:
        """Return absolute directories; a relative one would be another one for each command."""
        found = self.words(name)
        if any("\0" in text or not Path(text).is_absolute() for text in found):
            self._refuse_value(name, "use absolute paths, separated by commas, such as /srv/agents")
            return []
        return found

    def database(self, name: str, default: Path) -> dict[str, Any]:
        """Return the place of a database that a URL names, as Django's settings name it."""
        text = self.text(name)
        if not text:
            return {"ENGINE": "sqlite", "NAME": str(default)}
        try:
            return database_urls.parsed(text)
        except ValueError as error:
            self.refuse(f"{name} is “{_shortened(database_urls.without_credentials(text))}”; {error}.")
            return {"ENGINE": "sqlite", "NAME": f"/nonexistent/{name}"}

    def own_database(self, name: str, default: Path) -> dict[str, Any]:
        """Return the place of the dashboard's own database, all of which is read after it was written."""
        database = self.database(name, default)
        if database.get("REPLICA"):
            self.refuse(f"{name} has a replica; only stores have one. Write ?replica= in STORE_URL or STORES alone.")
        return database

    def stores(self, own: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the databases of STORES by name, none if it is not set."""
        text = self.text("STORES")
        if not text:
            return {}
        if self.text("STORE_URL"):
            self.refuse("STORES and STORE_URL are both set; name all stores in STORES.")
        found = stores.parsed(text, self._base, self.refuse)
        for name, store in found.items():
            if database_urls.is_one_place(own, store) or database_urls.shared_schemas(own, store):
                self.refuse(f"STORES: {name} is the database of DATABASE_URL; logins must not lie in a store.")
        return found

    def is_one_database(self, own: dict[str, Any], store: dict[str, Any]) -> bool:
        """Return whether STORE_URL and DATABASE_URL name one PostgreSQL database, which then serves as both."""
        is_one = database_urls.is_one_place(own, store)
        if is_one and own["ENGINE"] == "sqlite":
            self.refuse("STORE_URL and DATABASE_URL name the same SQLite file; logins must not lie in the store.")
        elif is_one and _without_address(own) != _without_address(store):
            self.refuse(
                "STORE_URL and DATABASE_URL name the same database with another user, password or option; write both"
                " alike, or give each a schema: ?search_path=agents."
            )
        elif not is_one and (shared := database_urls.shared_schemas(own, store)):
            self.refuse(
                f"STORE_URL and DATABASE_URL name the same database and both look into its schema {min(shared)}; give"
                " each a schema of its own: ?search_path=dashboard and ?search_path=agents."
            )
        return is_one

    def _number(
        self, name: str, default: Number, kind: Callable[[str], Number], advice: str, least: Number, most: Number
    ) -> Number:
        text = self.text(name)
        if not text:
            return default
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:  # NaN is within no bounds.
            self._refuse_value(name, advice)
            return default
        return value

    def _refuse_value(self, name: str, advice: str) -> None:
        self.refuse(f"{name} is “{_shortened(self.text(name))}”; {advice}.")


def _without_address(database: dict[str, Any]) -> dict[str, Any]:
    """Return a database's settings without the server's address, which can be spelled in several ways."""
    return {name: value for name, value in database.items() if name not in {"HOST", "PORT"}}


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
