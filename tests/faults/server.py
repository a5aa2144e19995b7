"""The real server on a free port of this machine, and somebody who uses it over HTTP after signing in."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from tests.faults.sites import NAME, PASSWORD, ROOT, Site
from tests.waiting import HANG_SECONDS, wait_for

HOST = "127.0.0.1"
CONNECTION_LOST = (ConnectionError, http.client.HTTPException, socket.timeout)


@dataclass(frozen=True)
class Answer:
    """What a request got: its status, headers, text, and how long it took."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    text: str
    seconds: float

    @property
    def is_honest(self) -> bool:
        """Whether it is no failure, or one that says when to come back."""
        return self.status < 500 or (self.status == 503 and "retry-after" in self.headers)

    def __str__(self) -> str:
        words = " ".join(re.sub(r"<[^>]+>", " ", self.text).split())[:300]
        return f"{self.method} {self.path} {self.status} in {self.seconds:.2f} s: {words}"


@dataclass
class Server:
    """A running server. `kill` is what a crash does, `stop` what Ctrl-C does."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: str
    started_seconds: float = 0.0

    def kill(self) -> None:
        """End all its processes at once; they are a session of their own, led by the one started here."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def workers(self) -> set[int]:
        """Return the process ids of the processes that answer requests, of which there is one at most times."""
        return {pid for pid in _children(self.process.pid) if "descartes_site.server" in _command(pid)}

    def stop(self) -> None:
        """End it in good order, or by force where that takes too long."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=HANG_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def wait_for_log(self, words: str) -> None:
        """Return once it has printed certain words."""
        wait_for(lambda: words in self.log(), words, is_alive=lambda: self.process.poll() is None)

    def log(self) -> str:
        """Return what it has printed."""
        with open(self.log_path) as file:
            return file.read()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(
    site: Site,
    *options: str,
    checkout: Path = ROOT,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ahead: Sequence[str] = (),
) -> Iterator[Server]:
    """Yield the site's server, which answers already; `ahead` are words that its command is run by."""
    port = free_port()
    command = [
        *ahead,
        sys.executable,
        str(checkout / "manage.py"),
        "serve",
        "--host",
        HOST,
        "--port",
        str(port),
        *options,
    ]
    with tempfile.NamedTemporaryFile("w", prefix="server-", suffix=".log") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd or checkout, env=environment or site.environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True,
        )  # fmt: skip
        server = Server(process, port, log.name)
        try:
            _await_answer(server, began)
            yield server
        finally:
            server.stop()


def _await_answer(server: Server, began: float) -> None:
    def answers() -> bool:
        try:
            with Visitor(server.port) as visitor:
                visitor.get("/healthz")
        except CONNECTION_LOST:
            return False
        return True

    try:
        wait_for(answers, "the server's first answer", is_alive=lambda: server.process.poll() is None)
    except AssertionError as error:
        raise RuntimeError(f"{error}: {server.log()}") from None
    server.started_seconds = time.monotonic() - began


@dataclass
class Visitor:
    """Somebody at a browser: one connection, cookies, forms with their token. Keeps every answer."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(HOST, self.port, timeout=HANG_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def sign_in(self) -> Self:
        """Sign in by the form."""
        self.get("/login/")
        answer = self.post("/login/", username=NAME, password=PASSWORD)
        assert answer.status == 302, answer
        return self

    def another(self) -> "Visitor":
        """Return the same person in a second window."""
        return Visitor(self.port, dict(self.cookies))

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, /, **fields: str) -> Answer:
        fields["csrfmiddlewaretoken"] = self.cookies.get("csrftoken", "")
        return self._ask("POST", path, urlencode(fields))

    def preview(self, agent_id: str, snapshot_id: str) -> Answer:
        """Look at what a restore would do."""
        return self.get(f"/agents/{agent_id}/restore/?{urlencode({'moment': f'snapshot:{snapshot_id}'})}")

    def restore(self, agent_id: str, snapshot_id: str, *, reason: str = "") -> Answer:
        """Look at the preview and confirm it; where there is no preview, return what came instead."""
        preview = self.preview(agent_id, snapshot_id)
        if preview.status != 200:
            return preview
        return self.restore_seen(agent_id, snapshot_id, hidden(preview, "etag"), reason=reason)

    def restore_seen(self, agent_id: str, snapshot_id: str, etag: str, *, reason: str = "") -> Answer:
        """Confirm a preview that was looked at before."""
        return self.post(
            f"/agents/{agent_id}/restore/", moment=f"snapshot:{snapshot_id}", etag=etag, confirmed="1", reason=reason
        )

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except CONNECTION_LOST:
            self.connection.close()
            raise
        for header in response.headers.get_all("Set-Cookie") or []:
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
        got = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(method, path, response.status, got, text, time.perf_counter() - began)
        self.answers.append(answer)
        return answer


def hidden(answer: Answer, name: str) -> str:
    """Return the value of a page's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.text)
    assert found, f"no field {name}: {answer}"
    return found[1]


def restore_id(answer: Answer) -> str | None:
    """Return the id of the restore that an answer acknowledges, or None where it acknowledges none."""
    found = re.fullmatch(r"/restores/([^/]+)/", answer.headers.get("location", ""))
    return found[1] if answer.status == 302 and found else None
