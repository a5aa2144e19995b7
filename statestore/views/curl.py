"""curl lines, each a whole command for a shell: what pages offer to copy."""

import re
import shlex
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

_IN_PATH: Final = re.compile(r"{(\w+)}")
# Inside double quotes a shell expands these.
_EXPANDED: Final = re.compile(r'([\\"`])')


def with_variables(path: str) -> str:
    """Return a path with its parameters as shell variables: `/agents/$AGENT_ID`."""
    return _IN_PATH.sub(lambda match: f"${match[1].upper()}", path)


def line(
    url: str,
    *,
    method: str = "GET",
    secret: str = "",
    query: Sequence[tuple[str, str]] = (),
    body: str = "",
    file: str = "",
) -> str:
    """Return the command that sends a request. `body` is JSON; `file` is one that is sent instead, as it is.

    Without a secret the shell's variable TOKEN is sent.
    """
    words = ["curl"]
    words += ["-X", method] if method != "GET" else []
    words += ["-H", _quoted(f"Authorization: Bearer {secret or '$TOKEN'}")]
    words += ["-H", _quoted("Content-Type: application/json"), "-d", shlex.quote(body)] if body else []
    if file:
        media = "application/x-ndjson" if file.endswith(".ndjson") else "application/octet-stream"
        words += ["-H", _quoted(f"Content-Type: {media}"), "--data-binary", f"@{file}"]
        # With -G, curl would send the file in the address too.
        url, query = f"{url}?{urlencode(query)}" if query else url, ()
    for name, value in query:
        words += ["--data-urlencode", shlex.quote(f"{name}={value}")]
    words += ["-G"] if query else []
    return " ".join([*words, _quoted(url)])


def _quoted(text: str) -> str:
    """Return a text in double quotes, in which variables are expanded."""
    return f'"{_EXPANDED.sub(_ESCAPED, text)}"'


_ESCAPED: Final = r"\\\1"
