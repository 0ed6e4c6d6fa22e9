"""Directives: how a person or a test steers the local model from within a message.

They stand in ``[[...]]`` in the **last user message** (unknown ones and unusable arguments are
ignored):

====================  ==========================================================================
``[[tokens 600]]``    that many tokens of varied Markdown
``[[say hello]]``     answers exactly that text (which cannot contain ``]]``)
``[[echo]]``          repeats the messages it was sent, with their roles
``[[seen]]``          says which images it was sent, with their sizes
``[[empty]]``         an answer without text
``[[rate 50]]``       tokens per second for this answer (``inf``: full speed)
``[[think 40]]``      that many tokens of ``reasoning_content`` before the answer
``[[fail 429]]``      an HTTP error: any status from 400 to 599, or one of ``quota, context,
                      filter``; ``[[fail 429 2]]`` fails this message twice, then answers
``[[slow 5]]``        the first byte comes that many seconds later
``[[break 50]]``      connection reset after 50 tokens; ``[[break 50 1]]``: once, then answers
``[[stall 50]]``      silent after 50 tokens, until the client closes
``[[cut 50]]``        connection closed after 50 tokens, inside the chunked body
``[[end 50]]``        the body ends properly after 50 tokens, without a finish_reason
``[[error 50]]``      ``data: {"error": ...}`` after 50 tokens, then the body ends
``[[filter 50]]``     finish_reason ``content_filter`` after 50 tokens
``[[garbage 50]]``    a line that is not JSON after 50 tokens, then the rest
====================  ==========================================================================

All of the second half take the optional number of times that ``fail`` and ``break`` show.

Where the last message asks to go on with an answer that broke off, the rest of the text follows
that the question of that answer ordered. Its pace and its faults are not ordered again.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.playground.model import answers
from bot.playground.model.completions import text_of
from bot.playground.model.faults import ModelFault
from bot.playground.model.images import in_words

_LONGEST = 200_000  # tokens; a slip of the finger should not fill the memory


def ordered_tokens(orders: Mapping[str, str], body: Mapping[str, Any]) -> Sequence[str] | None:
    """The text that a directive asks for; None if none does."""
    if "empty" in orders:
        return ()
    if "seen" in orders:
        return answers.tokens_of(in_words(body))
    if "say" in orders:
        return answers.tokens_of(orders["say"])
    if "echo" in orders:
        lines = [f"{each['role']}: {text_of(each.get('content'))}" for each in body["messages"]]
        return answers.tokens_of("\n\n".join(lines))
    count = number(orders.get("tokens", ""))
    return None if count is None else answers.prose(min(count, _LONGEST))


class OrderedFaults:
    """The faults that messages ask for, each as often as it asks."""

    def __init__(self) -> None:
        self._had: Counter[str] = Counter()  # by question

    def take(self, orders: Mapping[str, str], question: str) -> ModelFault | None:
        """The fault that the question orders, unless it already had it as often as it asked."""
        for name, make in ORDERED_FAULTS.items():
            argument, _, times = orders.get(name, "").partition(" ")
            fault = make(argument)
            if fault is None:
                continue
            self._had[question] += 1
            if self._had[question] <= (number(times) or math.inf):
                return fault
        return None


def number(text: str) -> int | None:
    """A whole number, or None."""
    return int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else None


def positive(text: str) -> float | None:
    """A number above zero, ``inf`` included, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value > 0 else None


def _ordered_failure(argument: str) -> ModelFault | None:
    """The fault of ``[[fail argument]]``."""
    if argument in _NAMED_FAILURES:
        return _NAMED_FAILURES[argument]()
    status = number(argument)
    return ModelFault.http(status) if status is not None and 400 <= status <= 599 else None


def _ordered_delay(argument: str) -> ModelFault | None:
    delay = positive(argument)
    return ModelFault.slow(delay) if delay is not None and delay < math.inf else None


def _ordered_after(make: Callable[[int], ModelFault]) -> Callable[[str], ModelFault | None]:
    def fault(argument: str) -> ModelFault | None:
        after = number(argument)
        return None if after is None else make(after)

    return fault


_NAMED_FAILURES: dict[str, Callable[[], ModelFault]] = {
    "quota": ModelFault.quota,
    "context": ModelFault.context,
    "filter": ModelFault.prompt_filtered,
}
ORDERED_FAULTS: dict[str, Callable[[str], ModelFault | None]] = {
    "fail": _ordered_failure,
    "slow": _ordered_delay,
    "break": _ordered_after(ModelFault.reset),
    "stall": _ordered_after(ModelFault.stall),
    "cut": _ordered_after(ModelFault.cut),
    "end": _ordered_after(ModelFault.end),
    "error": _ordered_after(ModelFault.error),
    "filter": _ordered_after(ModelFault.filter),
    "garbage": _ordered_after(ModelFault.garbage),
}
