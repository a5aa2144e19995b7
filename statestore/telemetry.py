"""Traces and metrics by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

Nothing that agents wrote is in them: a request goes by its route, a statement by its text without its values, and an
error by its kind.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

SERVICE: Final = "descartes-statestore"
_MISSING: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT names a collector, and the packages that send to it are missing. Install them:"
    " pip install 'descartes-statestore[otel]'. Or unset the variable."
)
# The library's instruments, None where nothing is sent: it is imported for those alone who use it.
_tracer: "Tracer | None" = None
_durations: "Histogram | None" = None


def start() -> None:
    """Send traces and metrics from this process, to where the variables OTEL_… say. Raises ImproperlyConfigured."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ImproperlyConfigured(_MISSING) from error
    about = Resource.create({"service.name": SERVICE}).merge(Resource.create())
    traces = TracerProvider(resource=about)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(traces, MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=about))


def use(traces: "TracerProvider", metrics: "MeterProvider") -> None:
    """Make spans and measurements by these providers of the library."""
    global _tracer, _durations
    _tracer = traces.get_tracer(SERVICE)
    _durations = metrics.get_meter(SERVICE).create_histogram(
        "http.server.request.duration", unit="s", description="How long requests took."
    )


def stop() -> None:
    """Make no spans and measurements any more."""
    global _tracer, _durations
    _tracer = _durations = None


def is_on() -> bool:
    """Return whether spans are made."""
    return _tracer is not None


@contextmanager
def request(method: str, headers: Mapping[str, str]) -> Iterator[dict[str, str | int]]:
    """Make a span of the block, which answers a request; the block fills in what is known of it then.

    With the sender's `traceparent`, the span belongs to the sender's trace.
    """
    facts: dict[str, str | int] = {"http.request.method": method}
    if _tracer is None or _durations is None:
        yield facts
        return
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, Status, StatusCode

    began = time.perf_counter()
    sent = {name.lower(): value for name, value in headers.items()}
    with _tracer.start_as_current_span(
        method, context=extract(sent), kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        yield facts
        span.update_name(f"{method} {facts.get('http.route', '')}".strip())
        span.set_attributes(facts)
        if int(facts.get("http.response.status_code", 0)) >= 500:
            span.set_status(Status(StatusCode.ERROR))
    measured = ("http.request.method", "http.route", "http.response.status_code", "store")
    _durations.record(time.perf_counter() - began, {name: facts[name] for name in measured if name in facts})


def statement(
    execute: Callable[..., object], sql: str, params: object, many: bool, context: Mapping[str, object]
) -> object:
    """Run a statement within a span of its own, without its values."""
    if _tracer is None:
        return execute(sql, params, many, context)
    from opentelemetry.trace import SpanKind, Status, StatusCode

    connection = context["connection"]
    facts = {
        "db.system.name": str(getattr(connection, "vendor", "")),
        "db.namespace": str(getattr(connection, "alias", "")),
        "db.query.text": str(sql),
    }
    with _tracer.start_as_current_span(
        str(sql).split(maxsplit=1)[0].upper() if str(sql).strip() else "statement", kind=SpanKind.CLIENT,
        attributes=facts, record_exception=False, set_status_on_exception=False,
    ) as span:  # fmt: skip
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
