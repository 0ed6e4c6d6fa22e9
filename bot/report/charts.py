"""Charts as HTML and SVG that stretch with the page, while their words keep their size.

Everything is also in a table below each chart, for those who cannot see it or want the numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bot.report.markup import Markup, Part, element, join
from bot.report.scale import round_up, ticks_to


@dataclass(frozen=True, slots=True)
class Unit:
    """How values are written: beside the axis, and where one looks closely."""

    short: Callable[[float], str]
    words: Callable[[float], str]


TICKS = 4  # of the value axis, about
LABELS = 6  # of the time axis, at most


@dataclass(frozen=True, slots=True)
class Slot:
    """One place on the time axis."""

    short: str  # under the axis
    name: str  # where it stands alone


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each slot; None where there is none. ``kind`` is a class of the style."""

    name: str
    kind: str
    values: Sequence[float | None]
    note: str = ""  # beside its name


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float | None
    words: str
    note: Part = ""
    kind: str = "c0"


def columns(title: str, slots: Sequence[Slot], series: Sequence[Series], unit: Unit) -> Markup:
    """A column for each slot, the series on top of each other, the first at the bottom."""
    sums = [sum(each.values[at] or 0.0 for each in series) for at in range(len(slots))]
    most = round_up(max(sums, default=0.0) or 1.0, TICKS)
    stacks = [
        element(
            "div",
            *(
                element("i", class_=each.kind, style=f"height:{(each.values[at] or 0) / most:.3%}")
                for each in reversed(series)
                if each.values[at]
            ),
            class_="stack",
        )
        for at in range(len(slots))
    ]
    plot = element("div", *stacks, class_="stacks")
    return _chart(title, slots, series, unit, most, plot, sums)


def lines(title: str, slots: Sequence[Slot], series: Sequence[Series], unit: Unit) -> Markup:
    """A line for each series; the space between the first two is filled."""
    values = [value for each in series for value in each.values if value is not None]
    most = round_up(max(values, default=0.0) or 1.0, TICKS)
    count = len(slots)
    paths = [
        element("path", class_=f"line {each.kind}", d=_path(each.values, most)) for each in series
    ]
    area = element("path", class_="area", d=_area(series[0].values, series[1].values, most))
    drawn = element(
        "svg", area, *paths, viewBox=f"0 0 {count} 100", preserveAspectRatio="none", class_="lines"
    )
    alone = [
        element(
            "i",
            class_=f"dot {each.kind}",
            style=f"left:{(at + 0.5) / count:.3%};bottom:{(each.values[at] or 0.0) / most:.3%}",
        )
        for each in series
        for at in _alone(each.values)
    ]
    return _chart(title, slots, series, unit, most, join([drawn, *alone]), None)


def bars(title: str, items: Sequence[Bar], *, most: float = 0.0) -> Markup:
    """As they come. A bar of the value ``most`` fills the width; 0: the longest does."""
    most = most or max((item.value or 0.0 for item in items), default=0.0) or 1.0
    rows = [
        element(
            "li",
            element("span", item.name, class_="name"),
            element("span", item.words, class_="value"),
            element("span", item.note, class_="note"),
            element(
                "span",
                element("i", class_=item.kind, style=f"width:{(item.value or 0.0) / most:.2%}"),
                class_="track",
                aria_hidden="true",
            ),
        )
        for item in items
    ]
    return element("ol", *rows, class_="bars", aria_label=title)


def numbers(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """What a chart shows as a table that can be opened."""
    return element(
        "details",
        element("summary", "Numbers"),
        element("div", grid(heads, rows), class_="scroll"),
    )


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> Markup:
    """A table; the first columns are words, the others numbers."""
    head = element("tr", *(element("th", each, scope="col") for each in heads))
    body = [
        element(
            "tr",
            *(element("th", cell, scope="row", class_="words") for cell in row[:words]),
            *(element("td", cell) for cell in row[words:]),
        )
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", *body))


def _chart(
    title: str,
    slots: Sequence[Slot],
    series: Sequence[Series],
    unit: Unit,
    most: float,
    plot: Markup,
    sums: Sequence[float] | None,
) -> Markup:
    """The plot with its axes, its legend, what is told of each slot, and its table."""
    legend = [
        element("li", element("i", class_=each.kind), each.name, element("em", each.note))
        for each in series
    ]
    drawn = element(
        "div",
        element("div", *_value_axis(most, unit), class_="rules", aria_hidden="true"),
        element("div", plot, class_="plot", role="img", aria_label=title),
        element("div", *_tips(slots, series, unit, sums), class_="tips", aria_hidden="true"),
        element("div", *_time_axis(slots), class_="times", aria_hidden="true"),
        class_="chart",
    )
    heads = ["", *(each.name for each in series), *(["all"] if sums else [])]
    rows = [
        [
            slot.name,
            *(
                "-" if each.values[at] is None else unit.words(each.values[at] or 0.0)
                for each in series
            ),
            *([unit.words(sums[at])] if sums else []),
        ]
        for at, slot in enumerate(slots)
    ]
    return join([element("ul", *legend, class_="legend"), drawn, numbers(heads, rows)])


def _value_axis(most: float, unit: Unit) -> Iterator[Markup]:
    for tick in ticks_to(most, TICKS):
        yield element(
            "div",
            element("span", unit.short(tick)),
            style=f"bottom:{tick / most:.3%}",
            class_="rule",
        )


def _time_axis(slots: Sequence[Slot]) -> Iterator[Markup]:
    """A few labels; on a narrow screen every other of them."""
    every = max(1, -(-len(slots) // LABELS))
    for number, at in enumerate(range(0, len(slots), every)):
        yield element(
            "span",
            slots[at].short,
            style=f"left:{(at + 0.5) / len(slots):.3%}",
            class_="wide" if number % 2 else None,
        )


def _tips(
    slots: Sequence[Slot], series: Sequence[Series], unit: Unit, sums: Sequence[float] | None
) -> Iterator[Markup]:
    """What is told where one points at a slot."""
    for at, slot in enumerate(slots):
        told = [
            f"{each.name}  {unit.words(value)}"
            for each in reversed(series)
            if (value := each.values[at])
        ]
        head = slot.name if not sums else f"{slot.name}  {unit.words(sums[at])}"
        side = "left" if at < len(slots) / 3 else "right" if at > len(slots) * 2 / 3 else "middle"
        yield element("div", data_tip="\n".join([head, *told]), class_=side)


def _path(values: Sequence[float | None], most: float) -> str:
    """From slot to slot, with a gap where there is no value."""
    path, is_drawing = "", False
    for at, value in enumerate(values):
        if value is not None:
            path += f"{'L' if is_drawing else 'M'}{_point(at, value, most)}"
        is_drawing = value is not None
    return path


def _area(low: Sequence[float | None], high: Sequence[float | None], most: float) -> str:
    """Between two lines that have the same gaps."""
    path = ""
    for first, last in _runs(low):
        there = [_point(at, high[at] or 0.0, most) for at in range(first, last + 1)]
        back = [_point(at, low[at] or 0.0, most) for at in range(last, first - 1, -1)]
        path += "M" + "L".join([*there, *back]) + "Z"
    return path


def _runs(values: Sequence[float | None]) -> Iterator[tuple[int, int]]:
    """Where values follow each other without a gap: the first and the last of each run."""
    first = None
    for at, value in enumerate([*values, None]):
        if value is None and first is not None:
            yield first, at - 1
            first = None
        elif value is not None and first is None:
            first = at


def _alone(values: Sequence[float | None]) -> list[int]:
    """Slots with nothing on either side, which no line can show."""
    return [first for first, last in _runs(values) if first == last]


def _point(at: int, value: float, most: float) -> str:
    return f"{at + 0.5:g} {100 - value / most * 100:.2f}"
