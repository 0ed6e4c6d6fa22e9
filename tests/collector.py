"""A collector on loopback: what OpenTelemetry's exporter sends, by its own protocol buffers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)


@dataclass
class Collector:
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    exports: list[ExportMetricsServiceRequest] = field(default_factory=list)

    @property
    def resource(self) -> dict[str, Any]:
        return _attributes(self.exports[-1].resource_metrics[0].resource.attributes)

    def metrics(self) -> dict[str, Any]:
        """Those of the last export, by name."""
        scopes = self.exports[-1].resource_metrics[0].scope_metrics
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> list[tuple[dict[str, Any], int, float]]:
        """Attributes, count and sum of each point of a histogram."""
        found = self.metrics()[name].histogram.data_points
        return [(_attributes(point.attributes), point.count, point.sum) for point in found]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()

    async def export(request: web.Request) -> web.Response:
        collector.headers.append({name.lower(): text for name, text in request.headers.items()})
        collector.exports.append(ExportMetricsServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/metrics", export)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
