"""What happens, counted for Prometheus: ``/metrics`` on an address of its own.

Fed by the events of `bot.logs`. No label names a channel or a person: the ledger knows those.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.aiohttp import make_aiohttp_handler

from bot import genai
from bot.messages import Outcome

METRICS_PATH = "/metrics"

# Seconds until the first words, which are felt; of whole answers; and of calls to Slack, which
# answers most in a tenth of one and is given up after 15 or 60 (`bot.web_api`).
FIRST_WORDS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60)
WHOLE = (1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 180, 300, 600)
SLACK = (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 15, 60)

# The services of `bot.errors.Transient`, as labels.
SERVICES = {"Slack": "slack", "the model": "model", "the database": "database"}

Hear = Callable[[Mapping[str, Any]], None]

# Those would be a second line beside each counter, which no query asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stand when they are looked at."""

    running: int  # answers
    waiting: int
    is_receiving: bool  # over HTTP, or a socket that is connected
    is_database_ready: bool


Look = Callable[[], Awaitable[Moment]]


@asynccontextmanager
async def shown(metrics: "Metrics", look: Look, *, host: str, port: int) -> AsyncIterator[int]:
    """Serves them while the context lasts; yields the port.

    :raises OSError: the port cannot be had.
    """
    render: Handler = make_aiohttp_handler(metrics.registry, disable_compression=True)

    async def scrape(request: web.Request) -> web.StreamResponse:
        metrics.show(await look())
        return await render(request)

    site = web.Application()
    site.router.add_get(METRICS_PATH, scrape)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class Metrics:
    """The numbers since the start of this process.

    `hear` is called in the midst of what happens: it takes some microseconds. Names and labels
    are what operators' dashboards are made of: they stay.
    """

    def __init__(self, base_url: str) -> None:
        """``base_url`` is the address of the model's server."""
        self.registry = CollectorRegistry()
        self._answers = _Answers(self.registry)
        self._requests = _Requests(self.registry, genai.attributes(base_url))
        self._slack = _SlackCalls(self.registry)
        self._retries = _Retries(self.registry)
        self._events = Counter(
            "llmbot_events_total",
            "All other events of the log, by their name.",
            ["event"],
            registry=self.registry,
        )
        self._hears: dict[str, Hear] = {
            "answer.finished": self._answers.hear,
            genai.EVENT: self._requests.hear,
            "slack.called": self._slack.hear,
            "call.retried": self._retries.hear,
            "database.away": self._retries.hear,
            "slack.unreachable": self._retries.hear,
        }
        self._gauges = _Gauges(self.registry)
        ProcessCollector(registry=self.registry)

    def hear(self, name: str, fields: Mapping[str, Any]) -> None:
        """Counts an event. Fits `bot.logs.Listener`."""
        hear = self._hears.get(name)
        if hear:
            hear(fields)
        else:
            self._events.labels(name).inc()

    def show(self, moment: Moment) -> None:
        self._gauges.show(moment)


class _Answers:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "llmbot_answers_total",
            "Answers by outcome; those stopped include what the next process goes on with.",
            ["outcome"],
            registry=registry,
        )
        for outcome in get_args(Outcome):  # a rate needs a 0 to begin with
            self._ended.labels(outcome)
        self._first_words = Histogram(
            "llmbot_first_words_seconds",
            "Seconds from a question to the first words of the model's answer.",
            buckets=FIRST_WORDS,
            registry=registry,
        )
        self._whole = Histogram(
            "llmbot_answer_seconds",
            "Seconds from a question until the end of its answer was on screen.",
            buckets=WHOLE,
            registry=registry,
        )
        told = {
            "input_tokens": "Tokens of prompts, cached or not; of broken streams an estimate.",
            "cached_tokens": "Those of the input tokens that the provider had cached.",
            "output_tokens": "Tokens of answers, with those of the reasoning before them.",
            "reasoning_tokens": "Those of the output tokens that nobody reads.",
        }
        self._tokens = {
            kind: Counter(f"llmbot_{kind}_total", text, ["model"], registry=registry)
            for kind, text in told.items()
        }
        self._cost = Counter(
            "llmbot_cost_usd_total",
            "US dollars, where the model has a price.",
            ["model"],
            registry=registry,
        )
        self._unpriced = Counter(
            "llmbot_unpriced_total",
            "Answers and other calls that used tokens of a model without a price.",
            ["model"],
            registry=registry,
        )

    def hear(self, record: Mapping[str, Any]) -> None:
        """The fields of a `bot.messages.UsageRecord`."""
        self._count_use(record)
        if record["purpose"] != "answer":
            return
        self._ended.labels(record["outcome"]).inc()
        self._whole.observe(record["seconds"])
        if record["seconds_to_first_delta"] is not None:
            self._first_words.observe(record["seconds_to_first_delta"])

    def _count_use(self, record: Mapping[str, Any]) -> None:
        model: str = record["model"]
        for kind, counter in self._tokens.items():
            if record[kind] is not None:
                counter.labels(model).inc(record[kind])
        cost: Decimal | None = record["cost"]
        if cost is not None:
            self._cost.labels(model).inc(float(cost))
        elif record["input_tokens"] is not None:
            self._unpriced.labels(model).inc()


class _Requests:
    """Requests to the model, under OpenTelemetry's names as Prometheus spells them."""

    def __init__(self, registry: CollectorRegistry, attributes: genai.Attributes) -> None:
        self._labels = [str(value) for value in attributes.values()]
        names = [*attributes, genai.MODEL]
        self._histograms = {
            each.name: Histogram(
                _spelt(each.name) + ("_seconds" if each.unit == "s" else ""),
                each.description,
                [_spelt(name) for name in [*names, each.attribute] if name],
                buckets=each.buckets,
                registry=registry,
            )
            for each in genai.HISTOGRAMS
        }

    def hear(self, asked: Mapping[str, Any]) -> None:
        for histogram, value, attribute in genai.points(asked):
            own = [attribute] if histogram.attribute else []
            labels = [*self._labels, asked["model"], *own]
            self._histograms[histogram.name].labels(*labels).observe(value)


class _SlackCalls:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "llmbot_slack_call_seconds",
            "Seconds that Slack took for a call, without the wait for the call's turn.",
            ["method"],
            buckets=SLACK,
            registry=registry,
        )
        self._errors = Counter(
            "llmbot_slack_errors_total",
            "Calls that Slack refused or did not answer.",
            ["method", "error"],
            registry=registry,
        )

    def hear(self, called: Mapping[str, Any]) -> None:
        self._seconds.labels(called["method"]).observe(called["seconds"])
        if called["error"]:
            self._errors.labels(called["method"], called["error"]).inc()


class _Retries:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._retries = Counter(
            "llmbot_retries_total",
            "Tries that failed and are made again.",
            ["service"],
            registry=registry,
        )
        for service in SERVICES.values():
            self._retries.labels(service)

    def hear(self, retry: Mapping[str, Any]) -> None:
        self._retries.labels(SERVICES[retry["service"]]).inc()


class _Gauges:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = Gauge(
            "llmbot_answers_running", "Answers that are being written.", registry=registry
        )
        self._waiting = Gauge(
            "llmbot_answers_waiting", "Questions that wait in line.", registry=registry
        )
        self._receiving = Gauge(
            "llmbot_receiving",
            "1 while events can come in: over HTTP, or as Socket Mode is connected.",
            registry=registry,
        )
        self._database = Gauge(
            "llmbot_database_ready",
            "1 while what happens can be written down.",
            registry=registry,
        )

    def show(self, moment: Moment) -> None:
        self._running.set(moment.running)
        self._waiting.set(moment.waiting)
        self._receiving.set(moment.is_receiving)
        self._database.set(moment.is_database_ready)


def _spelt(name: str) -> str:
    return name.replace(".", "_")
