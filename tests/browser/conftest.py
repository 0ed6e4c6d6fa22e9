"""A browser for each worker; a playground, and the windows at it, for each module."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.browser import chromium, playground, stage
from tests.browser.playground import Playground
from tests.browser.stage import Stage
from tests.browser.window import Window


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Fewer than for all other tests: each has a browser, which computes much."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    if missing := chromium.missing():
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium.running(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, browser: "Windows") -> Iterator[Playground]:
    """The whole playground, with the bot."""
    folder = tmp_path_factory.mktemp("playground")
    with playground.running(folder) as running, browser.visiting():
        yield running


@pytest.fixture(scope="module")
def kit(browser: "Windows") -> Iterator[Stage]:
    """The page with an app behind it that uses what today's bot does not."""
    with stage.running() as running, browser.visiting():
        yield running


# The page says it to the person; Chromium notes each answer of this kind as an error.
_REFUSED_DEED = re.compile(r"/(?:do/\w+|upload\S*) - Failed to load resource: .* status of 4\d\d")


@dataclass
class Windows:
    """The windows of a test. The next one finds them open and tidied up: to load takes long."""

    driver: WebDriver
    known: list[Window] = field(default_factory=list)
    opened: int = 0

    def open(self, address: str, *, speaker: str = "Ana", channel: str = "general") -> Window:
        if self.opened == len(self.known):
            self.known.append(Window(self.driver))
        window = self.known[self.opened]
        self.opened += 1
        if window.address != address:
            window.open(address)
        if window.speaker != speaker:
            window.speak_as(speaker)
        if window.place != channel:
            window.look_at(channel)
        return window

    def tidy(self) -> None:
        for window in self.known[: self.opened]:
            window.tidy()
        self.opened = 0

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """In the end no window looks at a playground that is no more."""
        try:
            yield
        finally:
            for window in self.known:
                window.leave()

    def complaints(self) -> list[str]:
        """The errors in the consoles since the last look, breaches of the CSP among them."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            entry["message"]
            for entry in log
            if entry["level"] == "SEVERE" and not _REFUSED_DEED.search(entry["message"])
        ]


@pytest.fixture(scope="session")
def browser(driver: WebDriver) -> Windows:
    return Windows(driver)


@pytest.fixture
def windows(browser: Windows) -> Iterator[Windows]:
    """None of their consoles may hold an error after the test."""
    yield browser
    complaints = browser.complaints()
    browser.tidy()
    assert complaints == []
