"""The arithmetic of the bench: what was visible of an answer, and how far that was behind.

Times are seconds of one clock. Nothing here knows a server or a process.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import ceil, inf
from statistics import median


class Text:
    """What a model writes, to find out how much of it a person sees.

    What is shown may hold more than the model wrote (a fence closed at a cut, a placeholder) and
    other white space; the text counts as visible as far as both agree in all other characters.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = len(tokens)
        self.words = "".join(tokens).split()
        self._letters = "".join(self.words)
        self._token_ends = list(accumulate(len(_letters(token)) for token in tokens))
        self._word_ends = list(accumulate(map(len, self.words)))

    def tokens_in(self, shown: str) -> int:
        """How many tokens, from the first, are visible."""
        return bisect_right(self._token_ends, self._agree(shown))

    def words_in(self, shown: str) -> int:
        """How many words, from the first, are visible to their end."""
        return bisect_right(self._word_ends, self._agree(shown))

    def words_of(self, tokens: int) -> int:
        """How many words the first so many tokens hold to their end."""
        letters = self._token_ends[tokens - 1] if tokens else 0
        return bisect_right(self._word_ends, letters)

    def is_whole(self, shown: str) -> bool:
        return shown.split() == self.words

    def _agree(self, shown: str) -> int:
        """How many characters both begin with in common."""
        letters = _letters(shown)
        if self._letters.startswith(letters):
            return len(letters)
        pairs = zip(self._letters, letters, strict=False)
        differing = (at for at, (written, seen) in enumerate(pairs) if written != seen)
        return next(differing, min(len(self._letters), len(letters)))


def _letters(text: str) -> str:
    return "".join(text.split())


@dataclass(frozen=True, slots=True)
class Show:
    """What stood on the screen from some moment on."""

    at: float
    tokens: int
    words: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: when each token was written, and what was shown of it when."""

    asked: float
    written: Sequence[float] = ()
    ended: float | None = None  # when the model had sent everything
    shows: Sequence[Show] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return bool(self.shows) and self.shows[-1].is_whole

    @property
    def whole_at(self) -> float:
        """From when on the whole text stood there; infinite if it never did."""
        at = inf
        for show in reversed(self.shows):
            if not show.is_whole:
                break
            at = show.at
        return at

    @property
    def end_to_whole(self) -> float:
        """Seconds from the model's end to the whole text."""
        return inf if self.ended is None else self.whole_at - self.ended

    @property
    def behind(self) -> float:
        return seconds_behind(self.written, [(show.at, show.tokens) for show in self.shows])

    @property
    def stream(self) -> float:
        """Seconds from the first token to the last."""
        return self.written[-1] - self.written[0] if self.written else 0.0


def seconds_behind(written: Sequence[float], shown: Iterable[tuple[float, int]]) -> float:
    """The age of the oldest token that is not visible yet, averaged over the model's stream.

    ``written`` is when each token was written; ``shown`` is from when on how many were visible.
    Where all that is written is visible, the age is zero. An answer posted whole after its end is
    behind by half the length of its stream.
    """
    if not written or written[-1] <= written[0]:
        return 0.0
    start, end = written[0], written[-1]
    steps = [(start, 0), *shown, (end, 0)]
    total = 0.0
    for (begins, tokens), (ends, _) in pairwise(steps):
        if tokens < len(written):
            total += _aged(written[tokens], max(begins, start), min(ends, end))
    return total / (end - start)


def _aged(since: float, begins: float, ends: float) -> float:
    """The integral of the age of a token over a span of time; it is none before it is written."""
    oldest, youngest = max(ends - since, 0.0), max(begins - since, 0.0)
    return (oldest**2 - youngest**2) / 2 if ends > begins else 0.0


def queue_delays(ends: Iterable[float], *, every: float) -> list[float]:
    """How long each would wait in a queue that lets one through in so many seconds."""
    delays = []
    free_at = -inf
    for end in sorted(ends):
        turn = max(end, free_at)
        delays.append(turn - end)
        free_at = turn + every
    return delays


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that is at least as great as so many percent of them."""
    ordered = sorted(values)
    return ordered[ceil(len(ordered) * percent / 100) - 1] if ordered else inf


def middle(values: Iterable[float]) -> float:
    """The median; infinite of nothing."""
    found = list(values)
    return median(found) if found else inf
