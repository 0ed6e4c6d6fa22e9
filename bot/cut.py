"""A long answer as several parts, each complete Markdown, and the parts as one answer again."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, auto
from itertools import pairwise

from bot.lines import ITEM, MAX_OPENING, Kind, Line, open_fence, read_lines


class Rank(IntEnum):
    """Where to cut, the best place first."""

    PARAGRAPH = auto()
    BLOCK = auto()  # a block begins or ends without a blank line
    ITEM = auto()  # of a list, at its top level
    LINE = auto()
    ROW = auto()
    CODE = auto()
    SPACE = auto()
    INTRODUCTION = auto()  # right after a heading or a line that ends in a colon
    CHARACTER = auto()
    LIMIT = auto()


@dataclass(frozen=True, slots=True)
class Seam:
    """A place to cut: the head ends at ``end``, the rest begins at ``start``."""

    rank: Rank
    end: int
    start: int
    tail: str = ""  # what completes the head
    lead: str = ""  # what the rest needs in order to go on


def cut(text: str, *, limit: int, least: int = 0) -> tuple[str, str]:
    """Cut a text that is longer than ``limit`` characters (at least 200) into a head and a rest.

    The first ``least`` characters are shown already and stay in the head.

    The head is complete Markdown of at most ``limit`` characters. The rest goes on where the
    head ends, with a fence opened again or a table's header repeated.

    Everything is decided by ``text[:limit + 1]``: whatever ``more`` is, ``cut(text + more)`` has
    the head of ``cut(text)``, and its rest is that of ``cut(text)`` plus ``more``. So parts do
    not depend on how a text arrived. (Blank lines at the cut are trimmed as far as seen there.)

    A head that ends in a fence or table of its own keeps a line break; one that was completed
    has none. By that ``join`` tells a cut fence from two that look alike.
    """
    window = text[: limit + 1]
    seam = min(_seams(window, limit, least), key=lambda seam: (seam.rank, -seam.end))
    head = window[: seam.end].lstrip("\r\n").rstrip()
    return (head + seam.tail) or window[: seam.end], seam.lead + text[seam.start :]


def rest_after(text: str, end: int) -> str | None:
    """What follows the first ``end`` characters, with what it needs in order to go on.

    For a text of which the beginning, closed by ``close`` and without white space at its end,
    stands on screen and cannot be changed any more. None where that end is no place to part:
    within a word, a link or bold words, or a line of code or of a table; where nothing follows;
    and where ``join`` could not tell two fences or tables that look alike from one.
    """
    rest = _rest(text, end)
    if rest is None:
        return None
    joined = join([close(text[:end]).rstrip(), rest])
    return rest if joined.split() == text.split() else None


def _rest(text: str, end: int) -> str | None:
    full = [line for line in read_lines(text) if not line.blank]
    shown = [line for line in full if line.start < end]
    if not shown or not text[end:].strip():
        return None
    before = shown[-1]
    if before.end <= end:
        after = full[len(shown)]
        rank = _rank(before, after)
        lead = _repair(before, 2 * len(text))[1] if rank in (Rank.ROW, Rank.CODE) else ""
        return None if rank is None else lead + text[after.start :]
    if before.kind not in (Kind.TEXT, Kind.ITEM) or not _is_between_words(text, end):
        return None
    rest = text[end:].lstrip(" ")
    begins_block = rest[:1] in _BLOCK_STARTS or ITEM.match(rest)
    return None if begins_block or _is_within_markup(text[before.start : end]) else rest


def _is_between_words(text: str, at: int) -> bool:
    return text[at - 1].isspace() or text[at].isspace()


def _is_within_markup(line: str) -> bool:
    """Whether what began on this line belongs with what follows: an item, bold words, a link."""
    is_open = any(line.count(mark) % 2 for mark in _PAIRED) or _OPEN_LINK.search(line)
    return bool(is_open or _MARKUP.fullmatch(line))


def _seams(window: str, limit: int, least: int) -> Iterator[Seam]:
    """All places to cut but those so early that the head would be less than a third full."""
    lines = read_lines(window)
    least = max(least, limit // 3)
    for seams in _between_lines(lines, limit), _in_lines(lines, limit):
        fitting = [seam for seam in seams if least < seam.end <= limit - len(seam.tail)]
        yield from fitting
        if any(seam.rank < Rank.SPACE for seam in fitting):
            return  # nothing within a line is better
    yield _at_limit(lines, window, limit)


def _between_lines(lines: list[Line], limit: int) -> Iterator[Seam]:
    full = [line for line in lines if not line.blank]
    if lines[-1].kind is Kind.BLANK:  # what follows the window is not known yet
        full.append(replace(lines[-1], kind=Kind.TEXT))
    for before, after in pairwise(full):
        rank = _rank(before, after)
        if rank is None:
            continue
        tail, lead = _repair(before, limit) if rank in (Rank.ROW, Rank.CODE) else ("", "")
        if before.kind in (Kind.CLOSING, Kind.ROW) and not lead:
            tail = "\n"
        yield Seam(rank, before.end, after.start, tail, lead)


def _rank(before: Line, after: Line) -> Rank | None:
    if after.kind is Kind.CODE:
        return _rank_of_code(before, after)
    if after.kind is Kind.ROW:
        return Rank.ROW if before.kind is Kind.ROW else None
    if after.kind in (Kind.CLOSING, Kind.DELIMITER) or _may_be_header(before, after):
        return None
    if before.kind is Kind.HEADING or _introduces(before):
        return Rank.INTRODUCTION
    if before.listed and after.listed:
        nested = after.kind is not Kind.ITEM or after.text[0].isspace()
        return Rank.LINE if nested else Rank.ITEM
    if after.apart:
        return Rank.PARAGRAPH
    return Rank.BLOCK if _is_block_boundary(before, after) else Rank.LINE


def _rank_of_code(before: Line, after: Line) -> Rank | None:
    """None where the head, or possibly the rest, would get a fence with nothing in it."""
    empty = after.fence is None or after.fence.may_be_closed_by(after.text)
    return None if empty or before.kind is not Kind.CODE else Rank.CODE


def _is_block_boundary(before: Line, after: Line) -> bool:
    begins = after.kind in (Kind.HEADING, Kind.ITEM, Kind.HEADER, Kind.OPENING)
    return begins or before.kind in (Kind.CLOSING, Kind.ROW)


def _may_be_header(before: Line, after: Line) -> bool:
    """Whether a table may begin here, as far as the window shows it."""
    if after.apart or after.text.strip("|:- \t"):
        return False
    return before.kind in (Kind.DELIMITER, Kind.ROW) or "|" in before.text


def _introduces(line: Line) -> bool:
    """Ends in a colon, or is all bold, as models write headings between the others."""
    if line.kind not in (Kind.TEXT, Kind.ITEM):
        return False
    return line.text.rstrip(" \t*_").endswith((":", "：")) or bool(_ALL_BOLD.fullmatch(line.text))


def _repair(line: Line, limit: int) -> tuple[str, str]:
    """What completes a head that ends in this line, and what the rest needs in order to go on."""
    if line.fence is not None and line.kind is Kind.CODE:
        return f"\n{line.fence.closing}", f"{line.fence.opening}\n"
    if line.fence is not None and line.kind is Kind.OPENING:
        return f"\n{line.fence.closing}", f"{line.fence.closing}\n"
    repeated = line.kind is Kind.ROW and len(line.table) <= limit // 2
    return "", line.table if repeated else ""


LONGEST_WORD = 60  # characters

_PAIRED = ("`", "**", "__", "~~")
_OPEN_LINK = re.compile(r"\[[^\]]*$|\]\([^)]*$")
_ALL_BOLD = re.compile(r"[ \t]*\*\*[^*]+\*\*[ \t]*")
_MARKUP = re.compile(r"[ \t>|]*(?:#{1,6}|[-*+]|[0-9]{1,9}[.)])?[ \t]*")
_BLOCK_STARTS = frozenset(" \t`~#>|=-+*")  # a rest must not begin with these: they mean something
_CODE_STARTS = frozenset(" \t`~")
_ROW_STARTS = frozenset(" \t`~#>-+*")


def _in_lines(lines: list[Line], limit: int) -> Iterator[Seam]:
    """In each line the last space, and the last character, at which it can be split."""
    for line in lines:
        tail, lead = _repair(line, limit)
        least = _least_split(line, limit)
        text = line.text.rstrip()
        most = min(len(text) - 1, limit - len(tail) - line.start)
        if least is None or least >= most:
            continue
        space = _last_space(text, least, most, kind=line.kind)
        if space is not None:
            at = line.start + space
            yield Seam(Rank.SPACE, at, at + 1, tail, lead)
        at = _whole_character(text, most)
        if at > least:
            yield Seam(Rank.CHARACTER, line.start + at, line.start + at, tail, lead)


def _least_split(line: Line, limit: int) -> int | None:
    """After how many characters a line may be split; None: never."""
    if line.kind in (Kind.BLANK, Kind.HEADER, Kind.DELIMITER, Kind.CLOSING):
        return None
    if line.kind is Kind.OPENING:
        return max(limit // 3, MAX_OPENING)  # its info string must be absurdly long
    text = line.text.lstrip()
    if line.kind is Kind.CODE:
        return len(line.text) - len(text)
    if text.startswith("```"):
        return None  # a code span: its beginning alone would open a fence
    markup = _MARKUP.match(line.text)
    return markup.end() if markup else 0


def _last_space(text: str, least: int, most: int, *, kind: Kind) -> int | None:
    avoided = {Kind.CODE: _CODE_STARTS, Kind.ROW: _ROW_STARTS}.get(kind, _BLOCK_STARTS)
    at = text.rfind(" ", least + 1, most + 1)
    while at >= 0 and text[at + 1] in avoided:
        at = text.rfind(" ", least + 1, at)
    return at if at >= 0 else None


def _at_limit(lines: list[Line], window: str, limit: int) -> Seam:
    """Where nothing else is possible: among blank lines, for one."""
    for line in reversed(lines):
        tail, lead = _repair(line, limit)
        end = limit - len(tail)
        if line.kind is Kind.OPENING and line.start:
            return Seam(Rank.LIMIT, line.start, line.start)
        if line.start <= end:
            break
    end = _whole_character(window, end)
    return Seam(Rank.LIMIT, end, end, tail, lead)


_LONGEST_CHARACTER = 32  # code points of what a person sees as one character; families have 11


def _whole_character(text: str, end: int) -> int:
    """The last position up to ``end`` that splits nothing that belongs together."""
    for at in range(end, max(end - _LONGEST_CHARACTER, 0), -1):
        if not _belong_together(text[at - 1], text[at]):
            return at
    return end


def _belong_together(left: str, right: str) -> bool:
    if unicodedata.category(right).startswith("M") or "\u200d" in (left, right):
        return True  # an accent, or parts of an emoji
    if "\U0001f3fb" <= right <= "\U0001f3ff":  # the skin tone of an emoji
        return True
    if right in "`~" or (left, right) == ("\r", "\n"):
        return True
    flag = "\U0001f1e6" <= left <= "\U0001f1ff" and "\U0001f1e6" <= right <= "\U0001f1ff"
    return flag or ("\ud800" <= left <= "\udbff" and "\udc00" <= right <= "\udfff")


def close(text: str) -> str:
    """A text that still grows, made complete for display: an open fence gets its closing line.

    A closing fence of which only the beginning has arrived is completed.
    """
    fence = open_fence(text)
    if fence is None:
        return text
    body, newline, last = text.rpartition("\n")
    half_closed = last.strip() and fence.may_be_closed_by(last)
    if half_closed and len(last.strip()) < len(fence.marks):
        return body + newline + fence.closing
    return text + ("" if text.endswith("\n") else "\n") + fence.closing


def join(parts: Sequence[str]) -> str:
    """The parts of one answer as one text: what ``cut`` added is removed.

    The result differs from the original in white space at the seams at most.
    """
    text = before = ""
    for part in parts:
        if part.strip():
            text = _mend(text, before, part) if before else part
            before = part
    return text


def until_seam(text: str) -> str:
    """An answer that broke off, up to where another text can go on as if it never had.

    That is its last white space, or in code its last whole line, as the word or line behind it
    may be half a one; a fence that was closed for display is open again. Where no white space is
    near, as in scripts that write none, it is the end.
    """
    text = text.rstrip()
    body, _, last = text.rpartition("\n")
    fence = open_fence(body)
    if fence is not None and fence.may_be_closed_by(last):
        head, newline, _ = body.rpartition("\n")
        return head + newline
    near = text[-LONGEST_WORD:]
    last_word = near.split()[-1] if near else ""
    return text.removesuffix(last_word) if last_word != near else text


def _mend(text: str, before: str, part: str) -> str:
    """The text, which ends in the part ``before``, with the next part."""
    if not before.endswith("\n"):
        body, _, last = before.rpartition("\n")
        first, _, others = part.partition("\n")
        fence = open_fence(body)
        if fence is not None and last == fence.closing and first.rstrip() == fence.opening:
            return f"{text.removesuffix(last)}{others}"
        table = read_lines(before)[-1].table
        if table and part.startswith(table):
            return f"{text}\n{part.removeprefix(table)}"
    return text.rstrip() + _white_space(before, part) + part.lstrip("\r\n")


def _white_space(before: str, part: str) -> str:
    """What most likely stood between two parts, which are trimmed."""
    if ITEM.match(part):
        return "\n"
    return " " if part[:1].islower() and before[-1:].isalnum() else "\n\n"
