"""What the playground's people might have used in the weeks before, for pictures of it."""

import random
from datetime import UTC, datetime, timedelta
from itertools import cycle

import psutil

from bot.__main__ import LOCAL_PRICES
from bot.messages import TurnKey, Usage, UsageRecord
from bot.prices import Prices
from bot.store import Store, opened
from tests.browser.playground import Playground

DAYS = 60

# How much each of them asks, and where.
PEOPLE = {"U0ANA": 5, "U0BEN": 3, "U0CHLOE": 2}
REASONS = cycle(
    (
        "The table has the columns of last year.",
        "It took the old policy from the thread, not the new one.",
        "Right, but far too long.",
        "The function does not run: `size` is never set.",
    )
)

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
                if chance.random() < 0.15:
                    await _judge(store, record.key, chance)


async def _judge(store: Store, key: TurnKey, chance: random.Random) -> None:
    """Somebody finds the answer good or bad, today; of the bad ones some say why."""
    user, is_good = chance.choice(list(PEOPLE)), chance.random() < 0.85
    await store.feedback.rate(key, attempt=1, user=user, is_good=is_good)
    if not is_good and chance.random() < 0.4:
        await store.feedback.explain(key, user=user, reason=next(REASONS))


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
