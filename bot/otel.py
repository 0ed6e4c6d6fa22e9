"""Requests to the model, measured for OpenTelemetry and sent over OTLP where the usual ``OTEL_``
variables say so. Its SDK is an optional extra, and reads those variables itself."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bot import genai
from bot.logs import Listener, broke, event, heard_by

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")

SPOKEN = "http/protobuf"

PACKAGES = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"  # the extra `otel`

SERVICE = {"service.name": "slack-llm-bot"}

# Seconds that the last numbers get at the end, when answers have had theirs (`bot.serve`).
LAST_EXPORT_WITHIN = 2.0


@contextmanager
def exporting(env: Mapping[str, str], base_url: str) -> Iterator[None]:
    """Sends what is measured while the context lasts, every minute unless the variables differ.

    ``base_url`` is the address of the model's server. Where nothing can be sent, the log says why
    and the bot runs without.
    """
    provider = _provider(env) if is_wanted(env) else None
    if provider is None:
        yield
        return
    event(log, "otel.exporting")
    try:
        with heard_by(_listener(provider, genai.attributes(base_url))):
            yield
    finally:
        with suppress(Exception):  # the collector does not answer, as the SDK has said
            provider.shutdown(timeout_millis=LAST_EXPORT_WITHIN * 1000)


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether the variables name a collector, and none turns this off."""
    exporters = env.get("OTEL_METRICS_EXPORTER") or "otlp"
    is_disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(_first(env, ENDPOINTS)) and "otlp" in exporters and not is_disabled


def secrets(env: Mapping[str, str]) -> set[str]:
    """The values of headers, which the SDK quotes where it cannot read them."""
    texts = [env[name] for name in HEADERS if env.get(name)]
    values = [pair.partition("=")[2].strip() for text in texts for pair in text.split(",")]
    return {each for value in [*texts, *values] for each in (value, unquote(value)) if each}


def _provider(env: Mapping[str, str]) -> "MeterProvider | None":
    protocol = _first(env, PROTOCOLS) or SPOKEN
    if protocol != SPOKEN:
        _off(f"OTEL_EXPORTER_OTLP_PROTOCOL must be {SPOKEN}")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        _off(f"its packages are missing: pip install {PACKAGES}")
        return None
    try:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        resource = Resource.create(None if _names_service(env) else SERVICE)
        return MeterProvider([reader], resource, shutdown_on_exit=False)
    except Exception as error:  # a variable that the SDK cannot use
        broke(log, "otel.off", error)
        return None


def _names_service(env: Mapping[str, str]) -> bool:
    attributes = env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    is_among_them = any(pair.partition("=")[0].strip() in SERVICE for pair in attributes)
    return is_among_them or bool(env.get("OTEL_SERVICE_NAME"))


def _listener(provider: "MeterProvider", attributes: genai.Attributes) -> Listener:
    meter = provider.get_meter("bot")
    instruments = {
        each.name: meter.create_histogram(
            each.name,
            each.unit,
            each.description,
            explicit_bucket_boundaries_advisory=each.buckets,
        )
        for each in genai.HISTOGRAMS
    }

    def hear(name: str, fields: Mapping[str, Any]) -> None:
        if name != genai.EVENT:
            return
        common = {**attributes, genai.MODEL: fields["model"]}
        for histogram, value, attribute in genai.points(fields):
            own = {histogram.attribute: attribute} if attribute else {}
            instruments[histogram.name].record(value, common | own)

    return hear


def _off(reason: str) -> None:
    event(log, "otel.off", level=logging.WARNING, reason=reason)


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((env[name].strip() for name in names if env.get(name, "").strip()), "")
