"""A request to the model as OpenTelemetry's GenAI conventions measure it: names, units, values.

They are those of opentelemetry-semantic-conventions 0.66b2
(github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-metrics.md): still in
development, but what dashboards know. Counters that are to replace ``gen_ai.client.token.usage``
are planned there and not released.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Attributes = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Histogram:
    name: str
    unit: str  # UCUM
    description: str
    buckets: tuple[float, ...]  # as the conventions advise
    attribute: str = ""  # one of its own, beside those that all have


class Point(NamedTuple):
    """One value. ``attribute`` is that of the histogram's own attribute; "" for none."""

    histogram: Histogram
    value: float
    attribute: str = ""


SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

DURATION = Histogram(
    "gen_ai.client.operation.duration",
    "s",
    "Seconds that a request to the model took, from its start to the end of its stream.",
    SECONDS,
    "error.type",
)
FIRST_CHUNK = Histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Seconds from a request to the model to the first chunk of its stream.",
    SECONDS,
)
TOKENS = Histogram(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of a request to the model, where its server reported them.",
    tuple(float(4**power) for power in range(14)),
    "gen_ai.token.type",
)
HISTOGRAMS = (DURATION, FIRST_CHUNK, TOKENS)

MODEL = "gen_ai.request.model"

# The event that says how a request went.
EVENT = "model.asked"

# Well-known values of gen_ai.provider.name, by the end of the host's name.
PROVIDERS = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "anthropic.com": "anthropic",
    "deepseek.com": "deepseek",
    "googleapis.com": "gcp.gen_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "moonshot.ai": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
}


def attributes(base_url: str) -> Attributes:
    """What is the same for all requests to the server at this URL."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(host),
        "server.address": host,
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }


def points(asked: Mapping[str, Any]) -> Iterator[Point]:
    """The values in its fields.

    Tokens that the server did not report are not guessed: the conventions forbid it.
    """
    yield Point(DURATION, asked["seconds"], asked["error"] or "")
    if asked["seconds_to_first_chunk"] is not None:
        yield Point(FIRST_CHUNK, asked["seconds_to_first_chunk"])
    for kind in ("input", "output"):
        if asked[f"{kind}_tokens"] is not None:
            yield Point(TOKENS, asked[f"{kind}_tokens"], kind)


def _provider(host: str) -> str:
    """Of servers that nobody knows, the one whose requests they understand."""
    labels = host.split(".")
    ends = (".".join(labels[start:]) for start in range(len(labels)))
    return next((PROVIDERS[end] for end in ends if end in PROVIDERS), "openai")
