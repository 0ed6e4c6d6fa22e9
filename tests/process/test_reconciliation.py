"""The books against the model's own: what it sent, told or not, is what the ledger holds in the
end, after a run with faults of every kind, presses to stop and a kill."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from bot.playground.model import Request, Usage
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What is asked, by the directives that say how the model is to fail in it.
WHOLE = ("[[tokens 90]]", "[[say short]]", "[[think 40]] [[tokens 30]]", "[[empty]]")
REFUSED = ("[[fail 429 1]]", "[[fail 503 1]]", "[[fail 400]]", "[[fail quota]]")
BROKEN = (  # at a rate at which the bot reads all that is sent: a break loses what it has not
    "[[rate 25]] [[break 50 1]]",
    "[[rate 25]] [[cut 50 1]]",
    "[[rate 50]] [[end 50 1]]",
    "[[rate 50]] [[error 50 1]]",
    "[[rate 50]] [[stall 50 1]]",
    "[[rate 50]] [[break 50]]",  # in each of its tries
    "[[rate 25]] [[think 40]] [[break 60 1]]",
)
FILTERED = ("[[filter 20]]",)
STOPPED, KILLED = "is stopped", "is killed"

# Of what was never told: a quarter of the characters is what the local model counts for a prompt,
# the bot counts more carefully, and does not see what is thought or was still on its way.
NO_LESS, NO_MORE = 0.6, 1.5

PRICES = (
    "date = 2026-11-25\n[models]\nlocal-model = { input = 1.0, cached_input = 0.5, output = 2.0 }\n"
)


@dataclass(frozen=True)
class Row:
    attempt: int
    requests: int
    outcome: str
    is_estimate: bool
    is_resumed: bool
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cost: int | None


@dataclass(frozen=True)
class Books:
    """The model's and the bot's, by what was asked."""

    sent: dict[str, list[Request]]
    kept: dict[str, list[Row]]
    totals: Usage  # what the model has reported in all


ALL = (*WHOLE, *REFUSED, *BROKEN, *FILTERED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    folder = tmp_path_factory.mktemp("books")
    (folder / "prices.toml").write_text(PRICES)
    env = {
        "OPENAI_MODEL": "local-model",
        "OPENAI_TIMEOUT": "2",  # a stalled stream is noticed soon
        "PRICES_FILE": "prices.toml",
        "QUESTIONS_PER_MINUTE": "0",
    }
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=folder, **env) as first:
            stage = Stage(slack, model, first)
            asked = await ask_all(stage)
            asked[KILLED] = await ask_at_length(stage, KILLED, tokens=240)
            first.process.kill()
            await first.process.wait()
        async with running(slack, model.base_url, folder=folder, **env) as second:
            await stage.whole(asked[KILLED])
            await model.until(lambda: all(each.finished for each in model.requests))
            assert await second.stop() == 0
        return Books(
            {order: requests_of(stage, order) for order in asked},
            {order: rows_of(folder / "bot.db", ts) for order, ts in asked.items()},
            model.usage_sent.reported,
        )


async def ask_all(stage: Stage) -> dict[str, str]:
    """Everything but what is killed, answered to its end; the ts by what was asked."""
    asked = {order: await stage.ask(f"{order} please") for order in WHOLE}
    for ts in asked.values():  # the first answers of a process are slow: a break would overtake it
        await stage.whole(ts)
    asked |= {order: await stage.ask(f"{order} please") for order in ALL if order not in asked}
    stopped = asked[STOPPED] = await ask_at_length(stage, STOPPED, tokens=4_000)
    reply = stage.thread(stopped)[0]["ts"]
    await (await stage.slack.act(stage.places[stopped], "Ana", reply, "stop")).wait()
    for ts in asked.values():
        await stage.whole(ts)
    return asked


async def ask_at_length(stage: Stage, words: str, *, tokens: int) -> str:
    """Returns when some of the answer is on screen."""
    ts = await stage.ask(f"{words} please [[rate 40]] [[tokens {tokens}]]")
    await stage.slack.until(lambda: stage.replies(ts) and stage.replies(ts)[0])
    return ts


def requests_of(stage: Stage, order: str) -> list[Request]:
    return [each for each in stage.model.requests if f" {order} please" in each.question]


def rows_of(path: Path, ts: str) -> list[Row]:
    names = ", ".join(Row.__dataclass_fields__)
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(f"SELECT {names} FROM usage WHERE ts = ? ORDER BY id", (ts,))
        return [Row(*row) for row in found]


def summed(rows: Sequence[Row], name: str) -> int:
    return sum(getattr(row, name) or 0 for row in rows)


def told(requests: Sequence[Request]) -> Usage:
    return sum((each.usage or Usage() for each in requests), Usage())


def untold(requests: Sequence[Request]) -> Usage:
    """What was used by requests whose client never heard how much, though it got some words."""
    silent = [each for each in requests if each.usage is None and each.tokens_sent]
    return sum((each.generated for each in silent), Usage())


def exactly(rows: Sequence[Row]) -> tuple[int, ...]:
    names = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    return tuple(summed(rows, name) for name in names)


def reported(usage: Usage) -> tuple[int, ...]:
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    )


@pytest.mark.parametrize("order", [*WHOLE, *REFUSED, *FILTERED])
async def test_what_the_provider_told_is_in_the_books_to_the_token(
    books: Books, order: str
) -> None:
    rows, requests = books.kept[order], books.sent[order]

    assert exactly(rows) == reported(told(requests))
    assert summed(rows, "requests") == len(requests)
    assert not any(row.is_estimate for row in rows)


@pytest.mark.parametrize("order", [*BROKEN, STOPPED, KILLED])
async def test_what_it_never_told_is_estimated_and_marked_so(books: Books, order: str) -> None:
    rows, requests = books.kept[order], books.sent[order]
    known, unknown = told(requests), untold(requests)

    assert any(row.is_estimate for row in rows)
    assert summed(rows, "requests") == len(requests)
    estimated = summed(rows, "input_tokens") - known.prompt_tokens
    assert NO_LESS <= estimated / unknown.prompt_tokens <= NO_MORE
    words = unknown.completion_tokens - unknown.reasoning_tokens
    estimated = summed(rows, "output_tokens") - known.completion_tokens
    least = 0.0 if order == KILLED else NO_LESS  # of that only what was on screen
    assert least < estimated / words <= NO_MORE


async def test_killed_attempt_has_a_record_of_its_own(books: Books) -> None:
    killed, whole = books.kept[KILLED]

    assert (killed.attempt, killed.outcome, killed.is_estimate) == (1, "failed", True)
    assert (whole.attempt, whole.outcome, whole.is_estimate) == (2, "complete", False)
    assert (killed.is_resumed, whole.is_resumed) == (False, True)
    assert exactly([whole]) == reported(told(books.sent[KILLED]))


async def test_all_that_was_told_is_in_the_books_once(books: Books) -> None:
    """In sum: the books less what is estimated in them."""
    rows = [row for order in books.kept for row in books.kept[order]]
    estimates = sum(
        summed(books.kept[order], "output_tokens") - told(books.sent[order]).completion_tokens
        for order in (*BROKEN, STOPPED, KILLED)
    )

    assert summed(rows, "output_tokens") - estimates == books.totals.completion_tokens
    assert summed(rows, "requests") == sum(map(len, books.sent.values()))


async def test_costs_are_the_tokens_at_their_prices_exactly(books: Books) -> None:
    for row in (row for rows in books.kept.values() for row in rows if row.input_tokens):
        cached = row.cached_tokens or 0
        dollars = (
            Decimal(row.input_tokens or 0)
            - cached
            + cached * Decimal("0.5")
            + 2 * Decimal(row.output_tokens or 0)
        ) / 10**6

        assert row.cost == int(dollars * 10**12)
