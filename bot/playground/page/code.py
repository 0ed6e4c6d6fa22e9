"""Code in colours, by the short class names of Pygments (``assets/highlight.css``)."""

import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, _TokenType
from pygments.util import ClassNotFound

from bot.playground.page.html import Html, join, tag, text

LONGEST = 0.2  # seconds; what takes longer to colour has no colours, for everybody waits meanwhile

_Token = tuple[_TokenType, str]

# Some lexers need the square of such a run's length for a single token.
_LONG_RUN = re.compile(r"\s{1000}|\S{1000}")


# While an answer is written, the blocks above its last lines stay what they are.
@lru_cache(maxsize=256)
def block(code: str, language: str = "") -> Html:
    """A block of code; of a language that nobody knows it has no colours."""
    code = code.removesuffix("\n") + "\n"  # some lexers lose a last line without an end
    lexer = _lexer(language.lower()) if language else None
    inside = text(code) if lexer is None else _coloured(code, lexer)
    return tag("pre", tag("code", inside, class_="highlight"))


@lru_cache(maxsize=256)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


def _coloured(code: str, lexer: Lexer) -> Html:
    # There are 500 lexers, written for code that makes sense: some lose text, some break, and some
    # need minutes for a message.
    if _LONG_RUN.search(code):
        return text(code)
    try:
        tokens = list(_in_time(lexer.get_tokens(code)))
    except Exception:
        return text(code)
    words = "".join([value for _, value in tokens])
    return join(_spans(tokens)) if words == code else text(code)


def _in_time(tokens: Iterable[_Token]) -> Iterator[_Token]:
    deadline = time.monotonic() + LONGEST
    for token in tokens:
        if time.monotonic() > deadline:
            raise TimeoutError
        yield token


def _spans(tokens: Iterable[_Token]) -> Iterator[Html]:
    for class_, run in groupby(tokens, lambda token: _class(token[0])):
        words = "".join([value for _, value in run])
        yield tag("span", words, class_=class_) if class_ else text(words)


@lru_cache(maxsize=1024)
def _class(kind: _TokenType) -> str:
    while kind not in STANDARD_TYPES and kind.parent is not None:
        kind = kind.parent
    return STANDARD_TYPES.get(kind, "")
