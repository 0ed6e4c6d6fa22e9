"""A request to the model, by the names and units of OpenTelemetry's conventions."""

from typing import Any

import pytest

from bot import genai
from bot.genai import DURATION, FIRST_CHUNK, TOKENS, Point, attributes, points


def asked(**fields: Any) -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "seconds": 3.5,
        "seconds_to_first_chunk": 0.4,
        "input_tokens": 100,
        "output_tokens": 30,
        "error": None,
        **fields,
    }


def test_a_request_is_its_duration_its_first_chunk_and_its_tokens() -> None:
    assert list(points(asked())) == [
        Point(DURATION, 3.5),
        Point(FIRST_CHUNK, 0.4),
        Point(TOKENS, 100, "input"),
        Point(TOKENS, 30, "output"),
    ]


def test_a_failed_request_has_its_error_and_nothing_that_did_not_come() -> None:
    failed = asked(
        error="RateLimited", seconds_to_first_chunk=None, input_tokens=None, output_tokens=None
    )

    assert list(points(failed)) == [Point(DURATION, 3.5, "RateLimited")]


def test_no_tokens_are_not_unknown_tokens() -> None:
    assert Point(TOKENS, 0, "output") in points(asked(output_tokens=0))


@pytest.mark.parametrize(
    ("url", "provider", "address", "port"),
    [
        ("https://api.openai.com/v1", "openai", "api.openai.com", 443),
        (
            "https://mine.openai.azure.com/openai/v1",
            "azure.ai.openai",
            "mine.openai.azure.com",
            443,
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "gcp.gemini",
            "generativelanguage.googleapis.com",
            443,
        ),
        ("https://api.x.ai/v1", "x_ai", "api.x.ai", 443),
        ("https://max.ai/v1", "openai", "max.ai", 443),
        ("http://localhost:11434/v1", "openai", "localhost", 11434),
        ("http://llm/v1", "openai", "llm", 80),
    ],
)
def test_the_server_s_address_tells_the_provider(
    url: str, provider: str, address: str, port: int
) -> None:
    assert attributes(url) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "server.address": address,
        "server.port": port,
    }


def test_buckets_are_those_that_the_conventions_advise() -> None:
    assert TOKENS.buckets[:4] == (1, 4, 16, 64)
    assert TOKENS.buckets[-1] == 67_108_864
    assert all(each.buckets == tuple(sorted(each.buckets)) for each in genai.HISTOGRAMS)
