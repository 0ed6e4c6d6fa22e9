"""The growing text of an answer, as complete parts within Slack's limits."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from bot.cut import close, cut, rest_after
from bot.messages import Outcome
from bot.pings import neutralise, undo_neutralise

# Characters of one part. A markdown block takes 12,000 (docs.slack.dev, "Markdown block"); the
# rest is room for a closing fence and for text that is about to be cut.
PART_LIMIT = 11_000

# What stands within this many characters of a text's growing end may still read differently
# (`@her` becomes `@here`), so text is cut only where it has grown that far beyond the limit.
LOOKAHEAD = 64

# So many pushed texts become one: each alone takes ten times the room of its letters.
LOOSE = 64

# Bytes of a streamed message in UTF-8. Slack refuses more at an undocumented size; people met that
# at 10,600 and more (openclaw/openclaw#143882, CopilotKit/CopilotKit#6063).
STREAM_LIMIT = 9_000

# Bytes before that limit which wait until it is known where the part ends.
HELD_BACK = 600

# What one can see: neither white space nor characters that only join, mark or direct others.
_VISIBLE = re.compile(r"[^\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")


# Characters. What takes the place of another text is shown when it has so many: fewer say nothing.
FIRST_WORDS = 16

# What people may do to an answer, by buttons beneath it.
Offer = Literal["stop", "continue", "retry", "rate", "regenerate"]
WHOLE: tuple[Offer, ...] = ("rate", "regenerate")
JUDGED: tuple[Offer, ...] = ("rate",)
UNFINISHED: tuple[Offer, ...] = ("continue", "retry")


@dataclass(frozen=True, slots=True)
class Part:
    """One Slack message of an answer: complete Markdown, and what the bot says beneath it."""

    text: str
    notice: str = ""
    is_last: bool = False  # of a finished answer
    is_final: bool = False  # it will not change any more
    outcome: Outcome = "complete"  # of a finished answer; on its last part
    offers: tuple[Offer, ...] = ()
    # Characters of the piece that it shows; `text` may hold more, a fence's closing line.
    length: int = field(default=0, compare=False)

    def looks_like(self, other: "Part | None") -> bool:
        """Whether the same words stand there. Buttons are no words."""
        return other is not None and (self.text, self.notice) == (other.text, other.notice)


class Draft:
    """The answer so far. The model's side pushes, Slack's side shows whatever is there.

    Pushing costs next to nothing; the parts are worked out when somebody wants to show them.
    Of one attempt's parts only the last changes as the text grows. When the model's stream breaks
    and starts again, what people see stays until the new attempt has overtaken it; where something
    else is asked, until its first words.
    """

    def __init__(self, *, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._is_narrow = False  # its parts are streamed
        self._text = self._new_text()
        self._again: _Text | None = None
        # What stands, or most of it, where the model is to go on after that. To white space at its
        # end none that the model begins with is added.
        self.kept = ""
        self._is_at_seam = False  # nothing has been written after it
        self.is_outdated = False  # what stands answers something else
        self._before: _Text | None = None  # what did, until new words took its place
        self.opening = ""  # what a message says that stands there before there are words for it
        self.notes: list[str] = []  # what the person should know, shown beneath the answer
        self.waiting = ""  # what the answer waits for, shown while it does
        self.ended = False
        self.outcome: Outcome = "complete"  # once it has ended
        self.is_paused = False  # it has ended, but only for this process
        self._offers: tuple[Offer, ...] = ()  # at its end
        self.is_dropped = False  # nothing of it is to be shown

    def push(self, text: str) -> None:
        if self._is_at_seam:
            text = text.lstrip("\n" if self.kept.endswith("\n") else None)
            self._is_at_seam = not text
        if self._again is None:
            self._text.push(text)
            return
        self._again.push(text)
        enough = min(self._text.length, FIRST_WORDS) if self.is_outdated else self._text.length
        if self._again.length >= enough and not self._again.is_blank:
            self._take_over(self._again)

    def restart(self) -> None:
        """The model begins anew; what was written stays until it has been written again."""
        anew = self._new_text()
        if self.kept:
            anew.push(self.kept)
            self._is_at_seam = self.kept[-1].isspace()
        if self._text.length:
            self._again = anew
        else:
            self._text = anew

    def outdate(self) -> None:
        """Something else is asked: what stands gives way to the first words about that."""
        self._again, self.is_outdated = None, True
        self.kept, self._is_at_seam = "", False
        self.notes, self.waiting = [], ""

    def end(
        self,
        note: str = "",
        offers: Collection[Offer] = (),
        *,
        outcome: Outcome = "complete",
    ) -> None:
        """No more text comes. With a note, something ended it early, and the longest text stays."""
        if self._again is not None and not note:
            self._take_over(self._again)
        self._again = None
        if note:
            self.notes = [*self.notes, note]
        self.waiting = ""
        self.ended, self.outcome = True, outcome
        has_words = self._text.length > 0 and not self._text.is_blank
        self._offers = tuple(offer for offer in offers if has_words or offer != "continue")

    def drop(self) -> None:
        self.end()
        self.is_dropped = True

    def go_back(self) -> None:
        """What stood when something else was asked stands again, without what came since."""
        self._again, self.notes = None, []
        if self._before is not None:
            self._text, self._before, self.is_outdated = self._before, None, True

    def _take_over(self, text: "_Text") -> None:
        if self.is_outdated and self._before is None:
            self._before = self._text
        self._text, self._again, self.is_outdated = text, None, False

    def pause(self, note: str) -> None:
        """No more text comes from this process; another, or the next one, begins anew."""
        self.end(note)
        self.is_paused = True

    def narrow(self) -> None:
        """From now on no part gets larger than a message that Slack streams may be."""
        self._is_narrow = True
        for text in (self._text, *([self._again] if self._again else [])):
            text.is_narrow = True

    def settled(self) -> str:
        """The beginning of the growing part that stays as it is, however the text goes on; unable
        to ping, and not longer than a streamed message may be. For a stream, which cannot take
        anything back."""
        return "" if self.ended else self._text.settled()

    def keep(self, length: int) -> None:
        """So many characters of the growing part were streamed: it is cut behind them only."""
        self._text.streamed = length

    def _new_text(self) -> "_Text":
        text = _Text(self._limit)
        text.is_narrow = self._is_narrow
        return text

    @property
    def length(self) -> int:
        """Characters that stand to be shown."""
        return self._text.length

    @property
    def words(self) -> int:
        """How many stand to be shown; counted anew each time."""
        return len(self._text.text.split())

    @property
    def newest(self) -> str:
        """What the newest attempt has written; put together anew each time."""
        return (self._again or self._text).text[len(self.kept) :]

    @property
    def is_blank(self) -> bool:
        """The newest attempt wrote nothing that one could read."""
        newest = self._again or self._text
        return newest.is_blank or (bool(self.kept) and newest.length <= len(self.kept))

    def seal(self, number: int, shown: Part) -> bool:
        """Lets a part stay as it is shown, and the rest of it be the next part.

        False where that is not possible: the text reads differently now, or what is shown ends
        within a word, or something stands beneath it.
        """
        return not shown.notice and self._text.seal(number, shown)

    def parts(self) -> tuple[Part, ...]:
        if self.is_dropped:
            return ()
        *sealed, last = self._text.pieces(ended=self.ended) or [""]
        notice = "\n".join([*self.notes, *([self.waiting] if self.waiting else [])])
        if not (last or notice or self.ended):
            notice = self.opening
        if not (last or notice or self.ended):
            return ()
        earlier = (Part(text, is_final=True) for text in sealed)
        length = self._text.growing_length
        is_last = self.ended and not self.is_paused
        offers = self._offers if is_last else ("stop",)
        growing = Part(last, notice, is_last, self.ended, self.outcome, offers, length)
        return (*earlier, growing)


class _Text:
    """One attempt's text, cut into pieces as it grows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.is_narrow = False  # its pieces are no larger than a streamed message may be
        self.streamed = 0  # characters of the growing piece that stay in it
        self._sealed: list[str] = []
        self._safe = ""  # whole lines of the growing piece, already unable to ping
        self._raw: list[str] = []  # what came since, the last line perhaps half a one
        self._loose = 0  # how many of these came one by one
        self.length = 0  # characters, as pushed
        self.growing_length = 0  # characters of the growing piece when it was last asked for
        self.is_blank = True

    def push(self, text: str) -> None:
        self._raw.append(text)
        self._loose += 1
        if self._loose == LOOSE:
            self._raw[-LOOSE:] = ["".join(self._raw[-LOOSE:])]
            self._loose = 0
        self.length += len(text)
        if self.is_blank and _VISIBLE.search(text):
            self.is_blank = False

    @property
    def text(self) -> str:
        return "".join([*self._sealed, self._safe, *self._raw])

    def pieces(self, *, ended: bool) -> list[str]:
        """Complete pieces, none of them blank; all but the last are as they will stay."""
        growing = self._growing()
        slack = 0 if ended else LOOKAHEAD
        while len(growing) > (limit := self._room(growing)) + slack:
            head, rest = cut(growing, limit=limit, least=min(self.streamed, limit))
            if _VISIBLE.search(head):
                # Again, because a cut through `@channel_list` leaves `@channel`.
                self._sealed.append(neutralise(head))
            # The rest's last line may still read differently, so it goes back as it came.
            self._begin_with(rest)
            growing = self._growing()
        self.growing_length = len(growing)
        return [*self._sealed, *([close(growing).rstrip()] if growing else [])]

    def settled(self) -> str:
        """See `Draft.settled`."""
        growing = self._growing()
        undecided = max(growing.rfind("\n") + 1, len(growing) - LOOKAHEAD)
        begins = [at for mark in "<@" if (at := growing.find(mark, undecided)) >= 0]
        text = _first_bytes(growing[: min(begins, default=None)], STREAM_LIMIT - HELD_BACK)
        line = text.rfind("\n") + 1
        while neutralise(text[line:]) != text[line:]:  # only the beginning of its last word pings
            text = text[: max(text.rfind("<"), text.rfind("@"))]
        return text.rstrip()

    def _room(self, growing: str) -> int:
        """How many characters of a growing text make a piece."""
        if not self.is_narrow:
            return self._limit
        first = _first_bytes(growing, STREAM_LIMIT)
        return self._limit if first == growing else len(first)

    def seal(self, number: int, shown: Part) -> bool:
        is_growing = number == len(self._sealed)
        piece = self._growing() if is_growing else self._sealed[number]
        rest = rest_after(piece, shown.length)
        if rest is None or close(piece[: shown.length]).rstrip() != shown.text:
            return False
        if is_growing:
            self._sealed.append(shown.text)
            self._begin_with(rest)
        else:
            self._sealed[number : number + 1] = [shown.text, rest]
        return True

    def _begin_with(self, rest: str) -> None:
        self._safe, self._raw, self._loose = "", [undo_neutralise(rest)], 0
        self.streamed = 0

    def _growing(self) -> str:
        # Nothing that pings spans two lines, so whole lines need to be looked at only once.
        lines, newline, half = "".join(self._raw).rpartition("\n")
        self._safe = (self._safe + neutralise(lines) + newline).lstrip("\r\n")
        self._raw, self._loose = [half], 0
        growing = self._safe + neutralise(half)
        return growing if _VISIBLE.search(growing) else ""


def _first_bytes(text: str, most: int) -> str:
    """As much of its beginning as fits into so many bytes of UTF-8."""
    if 4 * len(text) <= most:
        return text
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= most:
        return text
    while data[most] & 0xC0 == 0x80:  # within a character
        most -= 1
    return data[:most].decode("utf-8", "surrogatepass")
