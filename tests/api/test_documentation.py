"""The page that documents the API: each call is there, and its curl line is a request that the API takes."""

import json
import re
import shlex
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from statestore.api import docs
from statestore.api.site import site
from tests.api.conftest import script_of
from tests.api.test_access import TABLE, ids  # noqa: F401 (a fixture)
from tests.conftest import signed_in, undone
from tests.views.test_json_links import link

pytestmark = pytest.mark.django_db

DOCS = "/api/v1/docs"


def page(client: Client, query: str = "", **headers: Any) -> str:
    answer = client.get(f"{DOCS}{query}", **headers)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def lines(text: str) -> list[str]:
    """Return the curl lines that a page offers to copy."""
    return [json.loads(unescape(line)) for line in re.findall(r'data-copy="(&quot;curl [^"]+)"', text)]


def sent(line: str, variables: dict[str, str]) -> tuple[str, str, dict[str, str], str, dict[str, str]]:
    """Return what a curl line sends: method, address, headers, body, query."""
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    words = iter(shlex.split(line))
    assert next(words) == "curl"
    method, url, body = "GET", "", ""
    headers, query = {}, {}
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d" | "--data-binary":
                body = next(words)
            case "--data-urlencode":
                name, _, value = next(words).partition("=")
                query[name] = value
            case "-G":
                pass
            case _:
                url = word
    return method, url, headers, body, query


def test_each_call_is_there_once_with_its_curl_line(viewer: Client):
    text = page(viewer)
    calls = docs.document_of(site, "/api/v1/").calls
    assert len(calls) == len(TABLE), "a call is missing"
    assert len(lines(text)) == len(calls), "a call has no curl line"
    for call in calls:
        assert text.count(f'id="{call.name}"') == 1, f"{call.name} is not there once"


def test_each_curl_line_is_a_request_that_its_call_takes(people: dict[str, User], ids: dict[str, str]):  # noqa: F811
    secret = script_of(people["administrator"]).secret
    client = Client()
    variables = {"TOKEN": secret, **{name.upper(): value for name, value in ids.items()}}
    for line in lines(page(signed_in(people["administrator"]))):
        method, url, headers, body, query = sent(line, variables)
        assert url.startswith("http://testserver/api/v1/"), line
        assert "$" not in url, f"an unknown variable: {line}"
        assert headers["Authorization"] == f"Bearer {secret}"
        with undone():
            answer = client.generic(
                method,
                url.removeprefix("http://testserver"),
                b"" if body.startswith("@") else body.encode(),
                content_type=headers.get("Content-Type", "application/json"),
                query_params=query,
                HTTP_AUTHORIZATION=headers["Authorization"],
            )
            if answer.streaming:
                b"".join(answer.streaming_content)
        is_wrong = answer.status_code in {400, 401, 405, 411, 415, 422} and not body.startswith("@")
        said = b"" if answer.streaming else answer.content
        assert not is_wrong, f"{line}: {answer.status_code} {said[:300]!r}"
        assert answer.status_code < 500, line


def test_each_json_body_has_an_example_and_each_required_parameter(description: dict[str, Any]):
    for call in docs.document_of(site, "/api/v1/").calls:
        if call.media.startswith("application/json"):
            assert call.body, f"{call.name} has no example of its body"
        assert all(value for _, value in call.query), f"{call.name} has no example of {call.query}"


def test_it_says_types_defaults_and_problem_types(viewer: Client):
    text = " ".join(page(viewer, "?q=list_agents").split())
    assert "query, integer, 1 to 1,000, default 100" in text
    assert '<a href="/api/v1/problems/invalid">invalid</a>' in text
    text = " ".join(page(viewer, "?q=create_restore").split())
    assert 'list of <a href="#schema-EditIn">EditIn</a>' in text
    assert 'id="schema-EditIn"' in text
    assert "text up to 500 characters, required" in text


def test_each_schema_that_is_linked_to_is_there(viewer: Client):
    text = page(viewer)
    for name in set(re.findall(r'href="#(schema-[^"]+)"', text)):
        assert f'id="{name}"' in text, f"{name} is linked to and not there"


def test_a_filter_keeps_the_calls_that_have_its_words(viewer: Client):
    text = page(viewer, "?q=BISECT")
    assert "1 call with “BISECT”" in text
    assert len(lines(text)) == 1
    assert re.search(r"<details[^>]*\sopen", text), "the only call is folded"
    assert "<html" not in page(viewer, "?q=bisect", HTTP_HX_REQUEST="true")
    assert "No call has these words" in page(viewer, "?q=nothing-like-it")
    assert "&lt;script&gt;" in page(viewer, "?q=<script>")


def test_it_is_a_page_of_the_dashboard_with_a_way_back_and_the_raw_document(viewer: Client):
    text = page(viewer)
    assert '<a href="/tokens/">Tokens</a> / JSON API' in text
    assert f'href="{reverse("api:openapi")}"' in text
    assert "swagger" not in text.lower()
    assert viewer.post(DOCS).status_code == 405
    assert "ninja" not in settings.INSTALLED_APPS, "its assets are collected, which nothing uses"


def test_the_base_of_the_lines_is_the_address_that_one_asked_at(viewer: Client):
    secure = page(viewer, "?q=get_me", secure=True, HTTP_HOST="localhost")
    assert lines(secure) == ['curl -H "Authorization: Bearer $TOKEN" "https://localhost/api/v1/me"']


def test_the_line_of_a_new_token_is_whole(viewer: Client):
    answer = viewer.post("/tokens/", {"name": "mine", "scopes": ["read"], "days": 1})
    (line,) = [line for line in lines(answer.content.decode()) if "$TOKEN" not in line]
    method, url, headers, _, _ = sent(line, {})
    assert (method, url) == ("GET", "http://testserver/api/v1/agents")
    answer = Client().get("/api/v1/agents", HTTP_AUTHORIZATION=headers["Authorization"])
    assert answer.status_code == 200, "the line does not work as it is"


@pytest.mark.parametrize("address", ["/agents/?q=%24(id)%60%22&status=", "/events/?q=%22a+b%22+%24HOME"])
def test_the_line_of_a_page_sends_what_its_link_does(viewer: Client, address: str):
    text = viewer.get(address).content.decode()
    (line,) = [line for line in lines(text) if "api/v1" in line]
    _, url, _, _, _ = sent(line, {})
    assert url == f"http://testserver{link(viewer, address)}"
    assert not re.search(r"[$`]", line.replace("$TOKEN", "")), f"a shell would expand a part of {line}"
