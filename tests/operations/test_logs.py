"""Logs: lines of JSON that name the request, and nothing that agents wrote."""

import json
import logging
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from statestore import logs
from statestore.db.routers import store_alias
from tests.api.conftest import script_of
from tests.builders import make_agent
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the lines of JSON that the middleware logs, which grow."""
    found: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = logs.JsonFormatter().format(record)
            assert "\n" not in text
            found.append(json.loads(text))

    logger, handler = logging.getLogger("statestore"), Keep()
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()
    return found


def test_each_request_ends_with_a_line_by_its_route(people: dict[str, User], lines: list[dict[str, Any]]):
    make_agent("<secret>\n{}")
    response = signed_in(people["viewer"]).get("/agents/?q=s3cret")
    (line,) = lines
    assert (line["method"], line["route"], line["status"]) == ("GET", "agents/", 200)
    assert line["user"] == "viewer"
    assert line["request_id"] == response["X-Request-ID"]
    assert line["ms"] > 0
    assert "s3cret" not in json.dumps(line)


def test_a_call_names_the_user_of_its_token(people: dict[str, User], lines: list[dict[str, Any]]):
    script_of(people["operator"]).get("/agents")
    assert lines[-1]["user"] == "operator"
    assert lines[-1]["route"] == "api/v1/agents"


def test_the_path_of_an_agent_is_not_logged(people: dict[str, User], lines: list[dict[str, Any]]):
    make_agent("agent-with-a-name")
    signed_in(people["viewer"]).get("/agents/agent-with-a-name/")
    assert "agent-with-a-name" not in json.dumps(lines)


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("b3c1-0f.trace_9", True), ("short", False), ("with space in it", False), ("x" * 65, False), ("näme-näme", False)],
)
def test_the_id_that_a_proxy_sends_is_taken_over_if_it_is_one(sent: str, is_kept: bool):
    answered = Client().get("/healthz", headers={"X-Request-ID": sent})["X-Request-ID"]
    assert (answered == sent) is is_kept
    assert re.fullmatch(r"[\w.-]{8,64}", answered)


def test_a_page_that_is_not_there_is_named_by_its_route(people: dict[str, User], caplog: pytest.LogCaptureFixture):
    with caplog.at_level("WARNING", "django.request"):
        signed_in(people["viewer"]).get("/agents/s3cret/")
    (record,) = [record for record in caplog.records if record.name == "django.request"]
    assert "s3cret" in record.getMessage(), "Django names the path no more"
    message = json.loads(logs.JsonFormatter().format(record))["message"]
    assert message == "Not Found: agents/<anyid:agent_id>/"


def test_a_failure_is_one_line_with_its_traceback():
    try:
        raise ValueError("line\nbreak")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed: %s", ("a\nb",), (ValueError, error, None))
    text = logs.JsonFormatter().format(record)
    assert "\n" not in text
    assert json.loads(text)["message"] == "it failed: a\nb"
    assert "ValueError" in json.loads(text)["exception"]


def test_a_slow_statement_is_logged_without_its_values(caplog: pytest.LogCaptureFixture):
    connection = connections[store_alias()]
    with caplog.at_level("WARNING", "statestore.logs"):
        with connection.execute_wrapper(logs.slow_queries(10**6)), connection.cursor() as cursor:
            cursor.execute("SELECT %s", ["s3cret"])
        assert not caplog.records, "a quick statement was logged"
        with connection.execute_wrapper(logs.slow_queries(0)), connection.cursor() as cursor:
            cursor.execute("SELECT %s", ["s3cret"])
    (record,) = caplog.records
    assert "SELECT %s" in record.getMessage()
    assert "s3cret" not in record.getMessage()
    assert record.fields["database"] == store_alias()
