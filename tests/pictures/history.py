"""What the playground's people might have used in the weeks before, for pictures of it."""

import random
from datetime import UTC, datetime, timedelta

import psutil

from bot.__main__ import LOCAL_PRICES
from bot.messages import TurnKey, Usage, UsageRecord
from bot.prices import Prices
from bot.store import opened
from tests.browser.playground import Playground

DAYS = 60

# How much each of them asks, and where.
PEOPLE = {"U0ANA": 5, "U0BEN": 3, "U0CHLOE": 2}
CHANNELS = {"C0GENERAL": 6, "C0RANDOM": 3, "": 2}  # "": direct messages


async def write(place: Playground) -> None:
    """Into the database of the bot that runs, the same each time."""
    (bot,) = psutil.Process(place.process.pid).children()
    prices = Prices(()).under(LOCAL_PRICES, "LOCAL_PRICES")
    chance, now = random.Random(7), datetime.now(UTC)
    async with opened(bot.environ()["DATABASE_URL"]) as store:
        for days_ago in range(DAYS):
            at = now - timedelta(days=days_ago, minutes=5)
            count = chance.randint(12, 24) if at.weekday() < 5 else chance.randint(0, 3)
            for number in range(count):
                record = _record(chance, at, f"{1_600_000_000 + days_ago}.{number:06}")
                await store.ledger.record(prices.priced(record))


def _record(chance: random.Random, at: datetime, ts: str) -> UsageRecord:
    (user,) = chance.choices(list(PEOPLE), list(PEOPLE.values()))
    (channel,) = chance.choices(list(CHANNELS), list(CHANNELS.values()))
    return UsageRecord(
        at=at,
        key=TurnKey("T0LOCAL", channel or f"D{user[1:]}", ts),
        user=user,
        model="local-model",
        usage=Usage(chance.randint(800, 9_000), 0, chance.randint(100, 900), 0),
        seconds_to_first_delta=chance.uniform(0.4, 1.4),
        seconds=chance.uniform(3, 9),
        requests=1,
        outcome="failed" if chance.random() < 0.02 else "complete",
    )
