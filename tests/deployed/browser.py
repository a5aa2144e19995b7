"""A client with the manners of a browser: cookies by path and scheme, the Origin header, forms with their token.

It checks what browsers demand of cookies with special names, and throws such a cookie away as they do.
"""

import gzip
import http.client
import re
import ssl
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from html import unescape
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

from tests.faults.sites import NAME, PASSWORD
from tests.waiting import HANG_SECONDS


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    url: str
    status: int
    headers: Message
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def media(self) -> str:
        return self.headers.get_content_type()

    def hidden(self, name: str) -> str:
        """Return the value of a page's hidden field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name}: {self}"
        return unescape(found[1])

    def __str__(self) -> str:
        words = " ".join(re.sub(r"<[^>]+>", " ", self.text).split())[:400]
        return f"{self.url} {self.status}: {words}"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Let redirects be seen."""


@dataclass
class Browser:
    """One user's browser, which knows the dashboard's address: scheme, host, port, prefix."""

    root: str
    context: ssl.SSLContext | None = None
    cookies: CookieJar = field(default_factory=CookieJar)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies), _Stay(),
        ]  # fmt: skip
        if self.context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.context))
        self.opener = urllib.request.build_opener(*handlers)

    def open(
        self,
        address: str,
        body: bytes | None = None,
        *,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to one request; an address is below the root, or whole."""
        url = address if "://" in address else urljoin(f"{self.root}/", address.lstrip("/"))
        request = urllib.request.Request(url, body, headers or {}, method=method)
        try:
            response: Any = self.opener.open(request, timeout=HANG_SECONDS)
        except HTTPError as error:
            response = error
        with response:
            content = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        self._look_at_cookies(url, response.headers)
        return Answer(url, response.status, response.headers, content)

    def _look_at_cookies(self, url: str, headers: http.client.HTTPMessage) -> None:
        for text in headers.get_all("Set-Cookie") or []:
            name, path = text.partition("=")[0], re.search(r"(?i);\s*path=([^;]*)", text)
            is_secure = url.startswith("https:") and re.search(r"(?i);\s*secure(;|$)", text) is not None
            is_wrong = (name.startswith("__") and not is_secure) or (
                name.startswith("__Host-") and (path is None or path[1] != "/" or "domain=" in text.lower())
            )
            if is_wrong:
                self.refused.append(text)
                for cookie in [one for one in self.cookies if one.name == name]:
                    self.cookies.clear(cookie.domain, cookie.path, cookie.name)

    def post(self, address: str, fields: dict[str, str], *, origin: str | None = None) -> Answer:
        """Send a form as a browser does."""
        parts = urlsplit(self.root)
        sent = {"Origin": origin or f"{parts.scheme}://{parts.netloc}", "Referer": f"{self.root}/"}
        return self.open(address, urlencode(fields).encode(), headers=sent)

    def sign_in(self, next_page: str = "") -> Answer:
        """Sign in by the form."""
        page = self.open(f"login/?{urlencode({'next': next_page})}" if next_page else "login/")
        assert page.status == 200, page
        fields = {"username": NAME, "password": PASSWORD, "csrfmiddlewaretoken": page.hidden("csrfmiddlewaretoken")}
        return self.post("login/", {**fields, "next": next_page})
