"""OpenTelemetry: spans of requests and statements, by the official packages, with nothing that agents wrote in them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from statestore import telemetry
from statestore.db.routers import store_alias
from tests.builders import make_agent
from tests.conftest import signed_in
from tests.deployed.sites import deployed
from tests.faults.server import Visitor, serving
from tests.templates import Templates
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db
needs_packages = "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http are missing: CI installs them"


@pytest.fixture
def spans() -> Iterator[Any]:
    """Return what keeps the spans of this test, and of the store's statements."""
    pytest.importorskip("opentelemetry.sdk", reason=needs_packages)
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, measured = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(kept))
    telemetry.use(traces, MeterProvider([measured]))
    kept.measured = measured
    with connections[store_alias()].execute_wrapper(telemetry.statement):
        yield kept
    telemetry.stop()


def test_a_request_is_a_span_by_its_route_with_its_user_and_its_statements(people: dict[str, User], spans: Any):
    make_agent("agent-with-a-name", name="secret name")
    spans.clear()
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    signed_in(people["viewer"]).get("/agents/agent-with-a-name/?q=s3cret", headers={"traceparent": sent})
    found = spans.get_finished_spans()
    (request,) = [span for span in found if span.kind.name == "SERVER"]
    assert request.name == "GET agents/<anyid:agent_id>/"
    assert request.attributes["user.id"] == str(people["viewer"].pk)
    assert request.attributes["http.response.status_code"] == 200
    assert format(request.context.trace_id, "x") == "af7651916cd43dd8448eb211c80319c", "the sender's trace goes on"
    statements = [span for span in found if span.kind.name == "CLIENT"]
    assert statements
    assert all(span.parent.span_id == request.context.span_id for span in statements)
    assert any("agent_states" in span.attributes["db.query.text"] for span in statements)
    told = "".join(span.to_json() for span in found)
    for word in ("agent-with-a-name", "s3cret", "secret name"):
        assert word not in told, word


def test_durations_are_measured_by_route_and_status(people: dict[str, User], spans: Any):
    signed_in(people["viewer"]).get("/agents/")
    metrics = spans.measured.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (durations,) = [each for each in metrics if each.name == "http.server.request.duration"]
    (point,) = durations.data.data_points
    attributes = dict(point.attributes)
    attributes.pop("store", None)  # Named where there are several.
    assert attributes == {
        "http.request.method": "GET", "http.route": "agents/", "http.response.status_code": 200,
    }  # fmt: skip
    assert point.count == 1


def test_a_failure_is_told_by_its_kind_alone(spans: Any):
    with pytest.raises(Exception, match=r"no such table|does not exist"), connections[store_alias()].cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere WHERE x = %s", ["s3cret"])
    (span,) = [each for each in spans.get_finished_spans() if "nowhere" in each.attributes["db.query.text"]]
    assert span.status.status_code.name == "ERROR"
    assert "s3cret" not in span.to_json()


def test_without_a_collector_nothing_is_made(people: dict[str, User]):
    assert not telemetry.is_on()
    assert signed_in(people["viewer"]).get("/agents/").status_code == 200
    assert telemetry.statement not in connections[store_alias()].execute_wrappers


def test_without_the_packages_the_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(ImproperlyConfigured, match="descartes-statestore\\[otel\\]"):
        telemetry.start()


class Collector(BaseHTTPRequestHandler):
    """A collector that keeps what it is sent."""

    got: list[tuple[str, bytes]] = []

    def do_POST(self) -> None:
        self.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.mark.faults
@pytest.mark.sqlite
def test_a_server_sends_its_spans_to_the_collector(templates: Templates, tmp_path: Path):
    pytest.importorskip("opentelemetry.sdk", reason=needs_packages)
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{collector.server_port}"
        site = deployed(templates, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_BSP_SCHEDULE_DELAY="100")
        with serving(site) as server, Visitor(server.port) as ada:
            ada.sign_in()
            ada.get("/agents/")
            wait_for(lambda: any(b"GET agents/" in body for _, body in Collector.got), "the span of a page")
        paths = {path for path, _ in Collector.got}
        assert "/v1/traces" in paths
        assert any(b"descartes-statestore" in body for _, body in Collector.got)
        assert any(b"agent_states" in body for _, body in Collector.got), "no statement has a span"
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
