"""The colours of code can be read in the light and in the dark, and are there in time."""

import re
import time
from pathlib import Path

import pytest

from bot.playground.page import code

SHEET = Path(__file__).parents[2] / "bot/playground/page/assets/highlight.css"


def colours(part: str) -> list[str]:
    return re.findall(r"--code-\w+: #(\w{6});", part)


def luminance(colour: str) -> float:
    """After WCAG 2.2, "relative luminance"."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(("place", "ground"), [(0, "f8f8f8"), (1, "1f2124"), (2, "1f2124")])
def test_each_colour_stands_out_from_its_ground(place: int, ground: str) -> None:
    part = re.split(r"@media|\n:root\[data-theme=\"dark\"\]", SHEET.read_text("utf-8"))[place]

    assert len(colours(part)) == 9
    assert min(contrast(colour, ground) for colour in colours(part)) >= 4.5


@pytest.mark.parametrize(
    ("written", "language"),
    [
        *(("a\n" * 6_000, "csharp"), ("\n " * 6_000, "c"), ("a" * 12_000, "basemake")),
        *(("{" + "a" * 12_000, "css"), ("{" + "a" * 12_000, "lilypond"), ("\n" * 12_000, "matlab")),
    ],
)
def test_what_takes_long_to_colour_has_no_colours(written: str, language: str) -> None:
    start = time.monotonic()
    html = code.block(written, language)

    assert time.monotonic() - start < 2.0
    assert "<span" not in html
    assert code.block(written, language) is html
