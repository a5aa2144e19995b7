"""The line that says where the dashboard is served."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest

from statestore.operations import announcement
from tests.waiting import HANG_SECONDS


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000"), ("::", "http://[::]:8000"),
        ("dash.example.org", "http://dash.example.org:8000"),
    ],
)  # fmt: skip
def test_ipv6_addresses_are_in_brackets(host: str, url: str):
    assert announcement.url_of(host, 8000) == url


def test_the_line_is_printed_once_and_when_connections_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(announcement.VARIABLE, "")

    async def main() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, start_serving=False)
        port = int(server.sockets[0].getsockname()[1])
        announcement.prepare("127.0.0.1", port)
        path = os.environ[announcement.VARIABLE]
        first = asyncio.create_task(announcement.announce())
        await asyncio.sleep(0)
        assert capsys.readouterr().out == ""
        await server.start_serving()
        await asyncio.wait_for(first, HANG_SECONDS)
        assert capsys.readouterr().out == f"Serving on http://127.0.0.1:{port} (Ctrl-C stops it)\n"
        os.environ[announcement.VARIABLE] = path  # As a process that replaces the first one has it.
        await announcement.announce()
        assert capsys.readouterr().out == ""
        server.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_written_the_line_is_printed_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    announcement.prepare("::1", 8000)
    assert capsys.readouterr().out == "Serving on http://[::1]:8000 (Ctrl-C stops it)\n"
