"""Measures what the README claims: ``make bench``. A program, not timed tests.

The bot runs in a process of its own, against a local Slack and a local model in this one. Machines
differ and are noisy: compare figures of one run, not of two machines.
"""

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from bot.playground.model import LocalModel
from bot.playground.model.answers import prose
from bot.playground.slack import Delivery, Limits, LocalSlack
from tests import bot_process

LATENCY = 0.08  # seconds that a call to the real Slack takes, about


@dataclass(frozen=True)
class Figure:
    what: str
    measured: str
    target: str
    is_met: bool


@dataclass
class Bench:
    slack: LocalSlack
    model: LocalModel
    bot: psutil.Process

    async def ask(self, channel: str, text: str) -> tuple[str, Delivery]:
        """Asks as Ana; the message's ts, and how its event was delivered."""
        ts = await self.slack.say(channel, "Ana", f"<@{self.slack.bot_user_id}> {text}")
        delivery = self.slack.deliveries[-1]
        return ts, delivery

    def cpu(self) -> float:
        """Seconds of CPU that the bot has used so far."""
        times = self.bot.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def running(*, limits: Limits | None = None, latency: float = 0.0) -> AsyncIterator[Bench]:
    async with (
        LocalSlack(limits=limits, latency=latency) as slack,
        LocalModel() as model,
        bot_process.running(slack, model.base_url, LOG_LEVEL="WARNING") as bot,
    ):
        yield Bench(slack, model, psutil.Process(bot.process.pid))


async def event_to_model() -> list[Figure]:
    """From an event to the request to the model, for a question that needs no history."""
    seconds = []
    async with running() as bench:
        for _ in range(30):
            asked = asyncio.get_running_loop().time()
            await bench.ask("general", "[[say fine, thank you]]")
            await bench.slack.until(lambda: _finished(bench.slack))
            seconds.append(bench.model.requests[-1].received_at - asked)
    median = statistics.median(seconds[1:])  # the first also looks up a name and connects
    return [Figure("event → model request", _ms(median), "20 ms", median < 0.02)]


async def acks_under_load() -> list[Figure]:
    """Acknowledgements while 50 answers stream."""
    acks = []
    async with running() as bench:
        for number in range(50):
            bench.slack.add_channel(f"load-{number}")
            await bench.ask(f"load-{number}", "[[rate 40]] [[tokens 600]]")
        await bench.model.until(
            lambda: sum(request.tokens_sent > 0 for request in bench.model.requests) >= 50,
            timeout=20,
        )
        for _ in range(40):
            _, delivery = await bench.ask("random", "[[say yes]]")
            await delivery.wait()
            acks.append(delivery.ack_seconds or 0.0)
            await asyncio.sleep(0.1)
    median = statistics.median(acks)
    worst = max(acks)
    return [
        Figure("ack, 50 answers streaming: median", _ms(median), "50 ms", median < 0.05),
        Figure("ack, 50 answers streaming: longest", _ms(worst), "3,000 ms", worst < 3.0),
    ]


async def crowd() -> list[Figure]:
    """20 people ask within 3 seconds, in 20 channels of one workspace, at Slack's limits."""
    async with running(limits=Limits.real(), latency=LATENCY) as bench:
        asked = []
        for number in range(20):
            bench.slack.add_channel(f"crowd-{number}")
            channel = f"crowd-{number}"
            ts, _ = await bench.ask(channel, f"[[rate 40]] [[tokens 300]] {channel}.")
            asked.append((channel, ts))
            await asyncio.sleep(3 / 20)
        await bench.slack.until(lambda: _finished(bench.slack, 20), timeout=90)
        written = _words("".join(prose(300)))
        complete = sum(
            _words("".join(bench.slack.screen(channel, ts))) == written for channel, ts in asked
        )
        refused = sum(call.refused for call in bench.slack.calls)
        lag = sorted(_end_to_whole(bench, channel) for channel, _ in asked)
    p50, p95 = statistics.median(lag), lag[int(len(lag) * 0.95)]
    return [
        Figure("20 in 3 s: complete", f"{complete} of 20", "20", complete == 20),
        Figure("20 in 3 s: calls refused", str(refused), "0", refused == 0),
        Figure("20 in 3 s: model's end → whole text, median", _ms(p50), "-", True),
        Figure("20 in 3 s: model's end → whole text, p95", _ms(p95), "-", True),
    ]


async def cpu_per_token() -> list[Figure]:
    """CPU of the whole process for 10,000 tokens as fast as they come."""
    async with running() as bench:
        await bench.ask("general", "[[say warm]]")
        await bench.slack.until(lambda: _finished(bench.slack))
        before = bench.cpu()
        for _ in range(10):
            await bench.ask("general", "[[rate 100000]] [[tokens 1000]]")
        await bench.slack.until(lambda: _finished(bench.slack, 11), timeout=60)
        used = bench.cpu() - before
    return [Figure("CPU for 10,000 tokens in 10 answers", _ms(used), "300 ms", used < 0.3)]


def _finished(slack: LocalSlack, answers: int = 0) -> bool:
    """So many answers (0: all that were asked) have had their last edit."""
    asked = [d for d in slack.deliveries if d.payload["event"]["type"] == "app_mention"]
    done = sum(
        call.ok and bool(_payload(call.args).get("is_last"))
        for call in slack.calls
        if call.method in ("chat.postMessage", "chat.update") and call.answered is not None
    )
    return done >= (answers or len(asked))


def _payload(args: Any) -> dict[str, Any]:
    return dict((args.get("metadata") or {}).get("event_payload") or {})


def _end_to_whole(bench: Bench, channel: str) -> float:
    """Seconds from the end of the model's stream to the moment when Slack has the last edit."""
    ended = [
        request.closed_at for request in bench.model.requests if f"{channel}." in request.question
    ]
    place = bench.slack.workspace.channel(channel).id
    shown = [
        call.answered
        for call in bench.slack.calls
        if _payload(call.args).get("is_last") and call.args["channel"] == place
    ]
    return (shown[-1] or 0.0) - (ended[-1] or 0.0)


def _words(text: str) -> list[str]:
    return text.split()


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


async def main() -> int:
    figures: list[Figure] = []
    for bench in (event_to_model, acks_under_load, crowd, cpu_per_token):
        figures += await bench()
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        verdict = "" if figure.is_met else "  MISSED"
        print(f"{figure.what:<{width}}  {figure.measured:>12}  target {figure.target}{verdict}")
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
