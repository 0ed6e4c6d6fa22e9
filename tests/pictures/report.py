"""The page of a report, with what a workspace might have used, for pictures of it."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from selenium.webdriver.chrome.webdriver import WebDriver

from bot.messages import Outcome, TurnKey, Usage, UsageRecord
from bot.playground.process import inherited
from bot.playground.slack import LocalSlack
from bot.prices import known_prices
from bot.settings import database_url
from bot.store import opened

DAYS = 62

# How much is asked where, by whom, and of which model.
CHANNELS = {
    "engineering": 40,
    "general": 30,
    "customer-support": 25,
    "random": 14,
    "sales": 10,
    "design": 8,
    "data-science": 7,
    "incidents": 5,
    "": 24,  # direct messages
}
PEOPLE = {
    "Ana Lima": 12,
    "Ben Okafor": 9,
    "Chloé Martin": 7,
    "Dan Novák": 5,
    "Eva Horváth": 4,
    "Greta Lindqvist": 3,
    "Hugo Silva": 2,
    "Ida Krüger": 2,
    "Kim Lee": 1,
    "Mia Tanaka": 1,
}
MODELS = {"gpt-5.4-mini": 50, "claude-sonnet-5.5": 14, "gpt-4o-mini": 35, "llama-3.3-70b": 1}
OUTCOMES: dict[Outcome, int] = {"complete": 93, "cut": 2, "stopped": 2, "failed": 3}

JUDGED, GOOD = 0.04, 0.87  # shares of the answers, and of those

# Of the pictures: a name, the screen and what the person's system prefers.
TAKES = (("report-light", (1120, 1330), "light"), ("report-phone", (390, 844), "dark"))


def take(driver: WebDriver, folder: Path, pictures: Path) -> None:
    page = asyncio.run(_written(folder))
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    for name, (width, height), scheme in TAKES:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        driver.get(page.as_uri())
        path = pictures / f"{name}.png"
        driver.save_screenshot(str(path))
        print(path.name, f"{path.stat().st_size // 1024} KB")


async def _written(folder: Path) -> Path:
    """By the command itself, with names from a local Slack."""
    page, database = folder / "usage.html", database_url(str(folder / "report.db"))
    async with LocalSlack() as slack:
        channels = {name: name and slack.workspace.add_channel(name) for name in CHANNELS}
        people = {name: slack.workspace.add_person(name) for name in PEOPLE}
        opinions = random.Random(7)
        async with opened(database) as store:
            for record in _records(channels, people):
                await store.ledger.record(known_prices().priced(record))
                if opinions.random() < JUDGED:
                    is_good = opinions.random() < GOOD
                    await store.feedback.rate(
                        record.key, attempt=1, user=record.user, is_good=is_good
                    )
        env = {
            "DATABASE_URL": database,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_API_URL": slack.api_url,
        }
        words = ("usage", "--format", "html", "--output", str(page))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", *words), env=inherited(os.environ) | env, cwd=folder
        )
        assert await process.wait() == 0
    return page


def _records(channels: dict[str, str], people: dict[str, str]) -> list[UsageRecord]:
    """The same each time, up to now; more from week to week, and little on Sundays."""
    chance, now = random.Random(7), datetime.now(UTC)
    records: list[UsageRecord] = []
    for day in range(DAYS):
        at = now - timedelta(days=DAYS - 1 - day)
        rush = (1 + day / DAYS) * (0.12 if at.weekday() > 4 else 1) * chance.uniform(0.7, 1.3)
        for _ in range(int(60 * rush)):
            ts = f"{1_600_000_000 + len(records)}.000100"
            (who,) = chance.choices(list(PEOPLE), list(PEOPLE.values()))
            (where,) = chance.choices(list(CHANNELS), list(CHANNELS.values()))
            key = TurnKey("T0LOCAL", channels[where] or f"D{people[who][1:]}", ts)
            records.append(_record(chance, at, key, people[who], wait=1 + day / DAYS / 4))
    return records


def _record(
    chance: random.Random, at: datetime, key: TurnKey, user: str, *, wait: float
) -> UsageRecord:
    (model,) = chance.choices(list(MODELS), list(MODELS.values()))
    (outcome,) = chance.choices(list(OUTCOMES), list(OUTCOMES.values()))
    sent = int(chance.lognormvariate(7.6, 0.8))
    is_broken = outcome in ("stopped", "failed") and chance.random() < 0.7
    return UsageRecord(
        at=at,
        key=key,
        user=user,
        model=model,
        usage=Usage(sent, sent // 3, int(chance.lognormvariate(5.6, 0.7)), 0),
        seconds_to_first_delta=None if is_broken else wait * chance.lognormvariate(-0.3, 0.45),
        seconds=chance.uniform(2, 20),
        requests=1,
        outcome=outcome,
        is_estimate=is_broken,
    )
