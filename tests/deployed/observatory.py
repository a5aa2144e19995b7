"""The score that Mozilla's HTTP Observatory would give, by its public table of tests and modifiers.

Only the results that this product could have. Penalties are taken off 100; bonuses count if 90 are left.
https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring
"""

import re
from dataclasses import dataclass
from email.message import Message
from http.cookies import SimpleCookie

SIX_MONTHS = 15_768_000
PRIVATE_REFERRERS = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}


@dataclass(frozen=True)
class Scan:
    """One page over HTTPS, and where the same page by plain HTTP leads."""

    headers: Message
    html: str
    redirect: str


def score(scan: Scan) -> dict[str, int]:
    """Return the modifier of each test."""
    policy = _policy(scan.headers.get("Content-Security-Policy", ""))
    return {
        "content security policy": _content_security(policy),
        "cookies": _cookies(scan.headers.get_all("Set-Cookie") or []),
        "cross-origin resource sharing": -50 if scan.headers.get("Access-Control-Allow-Origin") == "*" else 0,
        "redirection": 0 if scan.redirect.startswith("https://") else -20,
        "referrer policy": 5 if scan.headers.get("Referrer-Policy") in PRIVATE_REFERRERS else 0,
        "strict transport security": _transport(scan.headers.get("Strict-Transport-Security", "")),
        "subresource integrity": _scripts(scan.html),
        "content type options": 0 if scan.headers.get("X-Content-Type-Options") == "nosniff" else -5,
        "frame options": _frames(policy, scan.headers.get("X-Frame-Options", "")),
        "cross-origin resource policy": 10 if scan.headers.get("Cross-Origin-Resource-Policy") == "same-origin" else 0,
    }


def _policy(text: str) -> dict[str, set[str]]:
    directives = [directive.split() for directive in text.split(";") if directive.strip()]
    return {name: set(sources) for name, *sources in directives}


def _content_security(policy: dict[str, set[str]]) -> int:
    if not policy:
        return -25
    default = policy.get("default-src", {"*"})
    scripts, styles = policy.get("script-src", default), policy.get("style-src", default)
    objects = policy.get("object-src", default)
    broad = {"*", "https:", "http:", "data:", "'unsafe-inline'"}
    if scripts & broad or objects & broad:
        return -20
    if "'unsafe-eval'" in scripts | styles:
        return -10
    if styles & broad:
        return 0
    is_strict = default == {"'none'"} and policy.get("form-action", {"*"}) <= {"'self'", "'none'"}
    return 10 if is_strict else 5


def _cookies(lines: list[str]) -> int:
    modifiers = [_cookie(line) for line in lines]
    return min(modifiers, default=0)


def _cookie(line: str) -> int:
    ((name, cookie),) = SimpleCookie(line).items()
    is_session = "sess" in name.lower()
    if not cookie["secure"]:
        return -40 if is_session else -20
    if is_session and not cookie["httponly"]:
        return -30
    if cookie["samesite"] in {"Lax", "Strict"}:
        return 5
    return -20 if cookie["samesite"] or "csrf" in name.lower() else 0


def _transport(header: str) -> int:
    age = re.search(r"max-age=(\d+)", header)
    if age is None:
        return -20
    return 0 if int(age[1]) >= SIX_MONTHS else -10


def _scripts(html: str) -> int:
    sources = re.findall(r"<script\b[^>]*\ssrc=\"([^\"]*)\"", html)
    return -50 if any(re.match(r"(https?:)?//", source) for source in sources) else 0


def _frames(policy: dict[str, set[str]], header: str) -> int:
    if "frame-ancestors" in policy:
        return 5
    return 0 if header in {"DENY", "SAMEORIGIN"} else -20
