"""Pages are compressed on their way; what scripts read, and what is streamed, is sent as it is."""

import gzip
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.conftest import script_of
from tests.builders import make_agent, make_event
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db

TAKES_GZIP: Any = {"HTTP_ACCEPT_ENCODING": "gzip, br"}


def test_a_page_is_compressed_for_a_browser_that_takes_it(viewer: Client):
    for number in range(20):
        make_agent(f"agent-{number}")
    plain, packed = viewer.get("/agents/"), viewer.get("/agents/", **TAKES_GZIP)
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    text = gzip.decompress(packed.content).decode()
    assert "agent-19" in text
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content) / 3


def test_its_size_tells_nothing_exactly(viewer: Client):
    """Against BREACH: by the exact size of many answers, an attacker could guess a form's token."""
    sizes = {len(viewer.get("/compare/", **TAKES_GZIP).content) for _ in range(8)}
    assert len(sizes) > 1, "each answer is as long as the others"


def test_an_answer_of_the_api_keeps_its_bytes_and_its_strong_etag(people: dict[str, User]):
    agent, script = make_agent("a1", state={"text": "x" * 10_000}), script_of(people["operator"])
    answer = script.get("/agents/a1", accept_encoding="gzip")
    assert "Content-Encoding" not in answer
    assert answer["ETag"] == f'"{agent.etag()}"', "a weak ETag, as of another encoding"
    assert script.get("/agents/a1", accept_encoding="gzip", if_none_match=answer["ETag"]).status_code == 304
    saved = script.put("/agents/a1", {"state": 2}, accept_encoding="gzip", if_match=answer["ETag"])
    assert saved.status_code == 200


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_an_export_is_streamed_as_it_is_made(viewer: Client, kind: str):
    make_event(content="x" * 1_000)
    answer: Any = viewer.get(f"/search/export/?q=&format={kind}", **TAKES_GZIP)
    assert answer.streaming
    assert "Content-Encoding" not in answer
    assert b"x" * 1_000 in b"".join(answer.streaming_content)


def test_a_download_of_a_state_is_the_stored_bytes(people: dict[str, User]):
    make_agent("a1", state='{"a":  ' + "1" * 1_000 + "}")
    client = signed_in(people["viewer"])
    answer = client.get("/agents/a1/state/", **TAKES_GZIP)
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert body.startswith(b'{"a":  1'), "the download is not the state"
