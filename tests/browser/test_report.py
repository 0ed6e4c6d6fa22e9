"""The page of a report as people look at it: on a phone, in the dark, without a network."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Keys

from bot.messages import Usage
from bot.periods import Period
from bot.report import Report
from bot.report.page import Overview, page
from bot.usage import Total
from tests.browser.conftest import Windows
from tests.browser.window import Window

PHONE = (360, 740)
LONG = "a-channel-with-a-name-of-eighty-letters-" * 2

GROUND = "return getComputedStyle(document.body).backgroundColor"


def total(*group: str, **values: Any) -> Total:
    known: dict[str, Any] = {
        "answers": 1_000,
        "complete": 900,
        "failed": 100,
        "usage": Usage(10**9, 10**8, 10**7, 10**6),
        "cost": Decimal("12345.67"),
    }
    return Total(group, **known | values)


@pytest.fixture
def window(windows: Windows, tmp_path: Path) -> Iterator[Window]:
    """It shows a page with long names and large numbers."""
    days = [f"2026-11-{day:02}" for day in range(1, 26)]
    by_day = [total(day, f"C{number}") for day in days for number in range(8)]
    channels = [total(f"C{number}") for number in range(8)]
    period = Period(date(2026, 11, 1), date(2026, 11, 25))
    names = {f"C{number}": LONG for number in range(8)} | {"U1": "W" * 80}
    now = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
    report = Report(period, ("channel",), channels, channels, names, now)
    people = [total("U1"), total("U2")]
    path = tmp_path / "usage.html"
    path.write_text(page(Overview(report, by_day, people, [total("gpt-4o-mini")], {})), "utf-8")
    window = Window(windows.driver)
    window.driver.get(path.as_uri())
    window.address = path.as_uri()
    yield window
    window.leave()


def test_on_a_phone_nothing_scrolls_sideways(window: Window) -> None:
    window.resize(*PHONE)

    assert window.run(
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_in_the_dark_the_page_is_dark(window: Window) -> None:
    window.prefer("light")
    light = window.run(GROUND)

    window.prefer("dark")

    assert light != window.run(GROUND)


def test_columns_stand_on_the_axis_and_fill_it(window: Window) -> None:
    """Nothing of what has the same value differs in height, and none is higher than the plot."""
    heights = window.run(
        "return [...document.querySelectorAll('.stack')].slice(0, 25).map((stack) =>"
        " [...stack.children].reduce((sum, one) => sum + one.getBoundingClientRect().height, 0)"
        " / stack.getBoundingClientRect().height)"
    )

    assert len(heights) == 25
    assert max(heights) - min(heights) < 0.01
    assert 0.5 < max(heights) <= 1


def test_numbers_of_a_chart_can_be_opened_with_the_keyboard(window: Window) -> None:
    window.run("document.querySelector('summary').focus()")
    window.keys(Keys.ENTER)

    assert "Sun 1 Nov" in window.text("details[open] table")
