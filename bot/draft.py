"""The growing text of an answer, as complete parts within Slack's limits."""

import re
from dataclasses import dataclass, field

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

# What one can see: neither white space nor characters that only join, mark or direct others.
_VISIBLE = re.compile(r"[^\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")


@dataclass(frozen=True, slots=True)
class Part:
    """One Slack message of an answer: complete Markdown, and what the bot says beneath it."""

    text: str
    notice: str = ""
    is_last: bool = False  # of a finished answer
    is_final: bool = False  # it will not change any more
    outcome: Outcome = "complete"  # of a finished answer; on its last part
    # Characters of the piece that it shows; `text` may hold more, a fence's closing line.
    length: int = field(default=0, compare=False)


class Draft:
    """The answer so far. The model's side pushes, Slack's side shows whatever is there.

    Pushing costs next to nothing; the parts are worked out when somebody wants to show them.
    Of one attempt's parts only the last changes as the text grows. When the model's stream breaks
    and starts again, what people see stays until the new attempt has overtaken it.
    """

    def __init__(self, *, limit: int = PART_LIMIT) -> None:
        self._limit = limit
        self._text = _Text(limit)
        self._again: _Text | None = None
        self.notes: list[str] = []  # what the person should know, shown beneath the answer
        self.waiting = ""  # what the answer waits for, shown while it does
        self.ended = False
        self.outcome: Outcome = "complete"  # once it has ended
        self.is_paused = False  # it has ended, but only for this process

    def push(self, text: str) -> None:
        if self._again is None:
            self._text.push(text)
            return
        self._again.push(text)
        if self._again.length >= self._text.length and not self._again.is_blank:
            self._text, self._again = self._again, None

    def restart(self) -> None:
        """The model begins anew; what was written stays until it has been written again."""
        self._again = _Text(self._limit) if self._text.length else None
        if self._again is None:
            self._text = _Text(self._limit)

    def end(self, note: str = "", *, outcome: Outcome = "complete") -> None:
        """No more text comes. With a note, something ended it early, and the longest text stays."""
        if self._again is not None and not note:
            self._text = self._again
        self._again = None
        if note:
            self.notes = [*self.notes, note]
        self.waiting = ""
        self.ended, self.outcome = True, outcome

    def pause(self, note: str) -> None:
        """No more text comes from this process; another, or the next one, begins anew."""
        self.end(note)
        self.is_paused = True

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
        return (self._again or self._text).text

    @property
    def is_blank(self) -> bool:
        """The newest attempt wrote nothing that one could read."""
        return (self._again or self._text).is_blank

    def seal(self, number: int, shown: Part) -> bool:
        """Lets a part stay as it is shown, and the rest of it be the next part.

        False where that is not possible: the text reads differently now, or what is shown ends
        within a word, or something stands beneath it.
        """
        return not shown.notice and self._text.seal(number, shown)

    def parts(self) -> tuple[Part, ...]:
        *sealed, last = self._text.pieces(ended=self.ended) or [""]
        notice = "\n".join([*self.notes, *([self.waiting] if self.waiting else [])])
        if not (last or notice or self.ended):
            return ()
        earlier = (Part(text, is_final=True) for text in sealed)
        length = self._text.growing_length
        is_last = self.ended and not self.is_paused
        return (*earlier, Part(last, notice, is_last, self.ended, self.outcome, length))


class _Text:
    """One attempt's text, cut into pieces as it grows."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
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
        while len(growing) > self._limit + slack:
            head, rest = cut(growing, limit=self._limit)
            if _VISIBLE.search(head):
                # Again, because a cut through `@channel_list` leaves `@channel`.
                self._sealed.append(neutralise(head))
            # The rest's last line may still read differently, so it goes back as it came.
            self._begin_with(rest)
            growing = self._growing()
        self.growing_length = len(growing)
        return [*self._sealed, *([close(growing).rstrip()] if growing else [])]

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

    def _growing(self) -> str:
        # Nothing that pings spans two lines, so whole lines need to be looked at only once.
        lines, newline, half = "".join(self._raw).rpartition("\n")
        self._safe = (self._safe + neutralise(lines) + newline).lstrip("\r\n")
        self._raw, self._loose = [half], 0
        growing = self._safe + neutralise(half)
        return growing if _VISIBLE.search(growing) else ""
