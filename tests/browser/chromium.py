"""The headless Chromium of this machine, driven with selenium."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-proxy-server",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # All windows are watched, though only one can be in front.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--lang=en-US",
    "--window-size=1280,800",
)


def missing() -> str:
    """What a browser test needs and this machine lacks, as a sentence; empty when all is there."""
    if not _browser():
        return f"There is no browser: none of {', '.join(BROWSERS)}."
    return "" if shutil.which("chromedriver") else "There is no chromedriver."


@contextmanager
def running(profile: Path) -> Iterator[WebDriver]:
    """A browser that knows nothing yet; it keeps what it learns in the folder ``profile``."""
    options = webdriver.ChromeOptions()
    options.binary_location = _browser() or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    service = Service(shutil.which("chromedriver"), log_output=subprocess.DEVNULL)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)
