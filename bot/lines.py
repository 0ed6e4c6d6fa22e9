"""Markdown read line by line: as much of it as one must know to cut it well."""

import re
from dataclasses import dataclass, replace
from enum import Enum, auto

_OPENING = re.compile(
    r"(?P<indent>[ \t]*(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)?)"  # a fence may begin a list item
    r"(?:(?P<ticks>`{3,}+)(?P<word>[^`]*)|(?P<tildes>~{3,}+)(?P<words>.*))",
    re.DOTALL,
)
_MAX_FENCE = 40  # characters of indentation and marks; longer runs are ornaments
MAX_OPENING = 60  # characters; a longer info string is not repeated, every part would carry it


@dataclass(frozen=True, slots=True)
class Fence:
    """An open code fence: what it takes to close it and to open it again."""

    indent: str
    marks: str
    info: str

    @classmethod
    def opened_by(cls, line: str) -> "Fence | None":
        match = _OPENING.fullmatch(line) if "```" in line or "~~~" in line else None
        if match is None:
            return None
        marks = match["ticks"] or match["tildes"]
        if len(match["indent"]) + len(marks) > _MAX_FENCE:
            return None
        indent = re.sub(r"[^ \t]", " ", match["indent"])
        return cls(indent, marks, (match["word"] or match["words"] or "").rstrip())

    @property
    def closing(self) -> str:
        return self.indent + self.marks

    @property
    def opening(self) -> str:
        line = self.indent + self.marks + self.info
        return line if len(line) <= MAX_OPENING else self.closing

    def closed_by(self, line: str) -> bool:
        return self._has_only_marks(line) and len(line.strip()) >= len(self.marks)

    def may_be_closed_by(self, line: str) -> bool:
        """Whether the line is empty or the beginning of a closing fence."""
        return not line.strip() or self._has_only_marks(line)

    def _has_only_marks(self, line: str) -> bool:
        marks = line.strip()
        indent = len(line) - len(line.lstrip())
        # Three more spaces are allowed (CommonMark, "Fenced code blocks").
        return bool(marks) and not marks.strip(self.marks[0]) and indent <= len(self.indent) + 3


def open_fence(text: str) -> Fence | None:
    """The fence that is open at the end of the text."""
    fence: Fence | None = None
    for line in text.split("\n"):
        if "```" not in line and "~~~" not in line:
            continue
        if fence is None:
            fence = Fence.opened_by(line)
        elif fence.closed_by(line):
            fence = None
    return fence


class Kind(Enum):
    BLANK = auto()
    TEXT = auto()
    HEADING = auto()
    ITEM = auto()
    HEADER = auto()  # of a table, like the two that follow
    DELIMITER = auto()
    ROW = auto()
    OPENING = auto()  # of a fence, like the two that follow
    CODE = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and what one must know to read the next."""

    start: int
    text: str  # without its line break
    kind: Kind
    apart: bool = False  # a blank line stands before it
    listed: bool = False  # it belongs to a list
    fence: Fence | None = None  # the one it belongs to
    table: str = ""  # header and delimiter row, to be repeated before rows of a later part

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def blank(self) -> bool:
        return not self.text.strip()


_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
ITEM = re.compile(r"[ \t]*(?:[-*+]|[0-9]{1,9}[.)])[ \t]")


def read_lines(text: str) -> list[Line]:
    lines: list[Line] = []
    line = Line(0, "", Kind.TEXT)
    start = 0
    for raw in text.split("\n"):
        line = _next_line(line, start, raw.removesuffix("\r"))
        if line.kind is Kind.DELIMITER:
            lines[-1] = replace(lines[-1], kind=Kind.HEADER)
        lines.append(line)
        start += len(raw) + 1
    return lines


def _next_line(previous: Line, start: int, text: str) -> Line:
    inside = previous.kind in (Kind.OPENING, Kind.CODE)
    fence = previous.fence if inside else Fence.opened_by(text)
    if fence is None:
        kind = _kind(previous, text)
    elif inside:
        kind = Kind.CLOSING if fence.closed_by(text) else Kind.CODE
    else:
        kind = Kind.OPENING
    table = previous.table if kind is Kind.ROW else ""
    if kind is Kind.DELIMITER:
        table = f"{previous.text}\n{text}\n"
    apart = previous.kind is Kind.BLANK
    return Line(start, text, kind, apart, _is_listed(previous, kind, text), fence, table)


def _kind(previous: Line, text: str) -> Kind:
    if not text.strip():
        return Kind.BLANK
    if _HEADING.match(text):
        return Kind.HEADING
    if previous.kind is Kind.TEXT and "|" in previous.text and _is_delimiter_row(text):
        return Kind.DELIMITER
    if ITEM.match(text):
        return Kind.ITEM
    # A table ends at a blank line or where another block begins (GFM, "Tables").
    return Kind.ROW if previous.table else Kind.TEXT


def _is_delimiter_row(text: str) -> bool:
    return "|" in text and "-" in text and not text.strip("|:- \t")


def _is_listed(previous: Line, kind: Kind, text: str) -> bool:
    if kind is Kind.HEADING:
        return False
    if kind is Kind.ITEM or (kind is Kind.OPENING and ITEM.match(text)):
        return True
    if kind is Kind.OPENING or (kind is Kind.TEXT and previous.kind is Kind.BLANK):
        return previous.listed and text.startswith(("  ", "\t"))
    return previous.listed
