"""The last line of a case: the SHA-256 of all that stands before it. Plain Python.

It tells a file that was cut or changed by accident, not one for which a new hash was made: so note it elsewhere.
`head -n -1 FILE | sha256sum` gives the same.
"""

import hashlib
import json
import re
from typing import Final

_SEALS: Final = {
    "html": re.compile(rb"<!-- SHA-256 of all lines before this one: ([0-9a-f]{64}) -->\n?"),
    "ndjson": re.compile(rb'\{"kind": "end", "sha256": "([0-9a-f]{64})"\}\n?'),
}


def sealed(content: bytes, kind: str) -> bytes:
    """Return whole lines of a file with the line that ends it."""
    digest = hashlib.sha256(content).hexdigest()
    last = (
        f"<!-- SHA-256 of all lines before this one: {digest} -->" if kind == "html"
        else json.dumps({"kind": "end", "sha256": digest})
    )  # fmt: skip
    return content + last.encode() + b"\n"


def verified(content: bytes) -> tuple[str, str]:
    """Return the hash that a file's last line names, "" if it names none, and what is wrong, "" if nothing is."""
    before, _, last = content.removesuffix(b"\n").rpartition(b"\n")
    found = next((match for seal in _SEALS.values() if (match := seal.fullmatch(last))), None)
    if found is None:
        return "", "The last line has no hash. The file is not a case, or its end is missing."
    noted = found[1].decode()
    if hashlib.sha256(before + b"\n").hexdigest() != noted:
        return noted, "The file is not as it was exported: the hash of its lines is another."
    return noted, ""
