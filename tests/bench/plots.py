"""Line charts as SVG: steps against time, each named where it ends, on light and dark ground."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from bot.report.scale import ticks_to

Point = tuple[float, float]

WIDTH, HEIGHT = 820, 430
LEFT, RIGHT, TOP, BOTTOM = 66, 214, 66, 58  # margins; the names of the lines stand on the right
LABEL_GAP = 40  # between two names, which have two lines each

STYLE = """
svg { --ground: #ffffff; --ink: #1f2328; --soft: #59636e; --rule: #d8dee4;
  --ours: #0969da; --timer: #bc4c00; --stream: #8250df; --model: #59636e; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --ink: #f0f6fc; --soft: #a3adb8; --rule: #30363d;
    --ours: #4493f8; --timer: #f0883e; --stream: #bc8cff; --model: #a3adb8; }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--ink); }
.title { font-size: 17px; font-weight: 600; }
.soft { fill: var(--soft); }
.ground { fill: var(--ground); }
.rule { stroke: var(--rule); stroke-width: 1; shape-rendering: crispEdges; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.link { fill: none; stroke-width: 1; opacity: 0.5; }
.name { font-weight: 600; }
.ours { stroke: var(--ours); } .ours.line { stroke-width: 3; }
.timer { stroke: var(--timer); } .timer.line { stroke-dasharray: 9 3; }
.stream { stroke: var(--stream); } .stream.line { stroke-dasharray: 3 2; }
.model { stroke: var(--model); } .model.line { stroke-width: 1.2; }
text.ours, text.timer, text.stream, text.model { stroke: none; }
text.ours { fill: var(--ours); } text.timer { fill: var(--timer); }
text.stream { fill: var(--stream); } text.model { fill: var(--model); }
"""


@dataclass(frozen=True)
class Line:
    """Each point holds until the next; ``kind`` is a class of the style."""

    kind: str
    name: str
    note: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    title: str
    subtitle: str
    x_axis: str
    y_axis: str
    x_most: float
    y_most: float
    lines: Sequence[Line]

    def svg(self) -> str:
        """The whole file."""
        said = ". ".join(f"{line.name}: {line.note}" for line in self.lines)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="desc">{escape(f"{self.subtitle}. {said}.")}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
            _text(LEFT, 28, self.title, kind="title"),
            _text(LEFT, 48, self.subtitle, kind="soft"),
            *self._x_ticks(),
            *self._y_ticks(),
            *(self._path(line) for line in reversed(self.lines)),
            *self._names(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _x(self, value: float) -> float:
        return LEFT + min(value, self.x_most) / self.x_most * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.y_most * (HEIGHT - TOP - BOTTOM)

    def _x_ticks(self) -> list[str]:
        bottom = HEIGHT - BOTTOM
        ticks = [
            _text(self._x(at), bottom + 20, f"{at:g}", kind="soft", anchor="middle")
            for at in ticks_to(self.x_most)
        ]
        middle = (LEFT + WIDTH - RIGHT) / 2
        return [*ticks, _text(middle, HEIGHT - 14, self.x_axis, anchor="middle")]

    def _y_ticks(self) -> list[str]:
        parts = []
        for at in ticks_to(self.y_most):
            y = self._y(at)
            parts.append(
                f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(_text(LEFT - 8, y + 4.5, f"{at:,g}", kind="soft", anchor="end"))
        middle = (TOP + HEIGHT - BOTTOM) / 2
        turned = f'transform="rotate(-90 16 {middle:g})"'
        return [*parts, _text(16, middle, self.y_axis, anchor="middle", more=turned)]

    def _path(self, line: Line) -> str:
        """Level from point to point, and on to the right margin."""
        steps = [(x, y) for x, y in line.points if x <= self.x_most]
        path = f"M{self._x(0):.1f} {self._y(0):.1f}"
        path += "".join(f"H{self._x(x):.1f}V{self._y(y):.1f}" for x, y in steps)
        return f'<path class="line {line.kind}" d="{path}H{self._x(self.x_most):.1f}"/>'

    def _names(self) -> list[str]:
        """Beside the ends of the lines, and apart from each other."""
        right = WIDTH - RIGHT
        ends = [self._y(self._end(line)) for line in self.lines]
        parts = []
        places = spread(ends, gap=LABEL_GAP, most=HEIGHT - BOTTOM)
        for line, end, y in zip(self.lines, ends, places, strict=True):
            link = f"M{right + 2} {end:.1f}L{right + 14} {y:.1f}"
            parts.append(f'<path class="link {line.kind}" d="{link}"/>')
            parts.append(_text(right + 18, y, line.name, kind=f"name {line.kind}"))
            parts.append(_text(right + 18, y + 16, line.note, kind="soft"))
        return parts

    def _end(self, line: Line) -> float:
        shown = [y for x, y in line.points if x <= self.x_most]
        return shown[-1] if shown else 0.0


def _text(
    x: float, y: float, words: str, *, kind: str = "", anchor: str = "start", more: str = ""
) -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}" {more}'
    return f"<text {attributes.rstrip()}>{escape(words)}</text>"


def spread(wanted: Sequence[float], *, gap: float, most: float) -> list[float]:
    """Positions up to ``most`` near the wanted ones, at least ``gap`` apart, in the same order."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    found = list(wanted)
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + gap)
    highest = most
    for number in reversed(order):
        found[number] = min(found[number], highest)
        highest = found[number] - gap
    return found


def steps(values: Sequence[Point]) -> list[Point]:
    """Only the points at which the value changes."""
    kept: list[Point] = []
    for at, value in values:
        if not kept or kept[-1][1] != value:
            kept.append((at, value))
    return kept
