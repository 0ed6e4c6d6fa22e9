"""What people wrote in Slack, in its mrkdwn, as plain Markdown for the model."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

_MENTION = re.compile(r"<@([UWB][A-Z0-9]+)(?:\|[^<>]*)?>")

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}  # Slack escapes these and nothing else
_ENTITY = re.compile("|".join(_ENTITIES))

_TICKS = re.compile("`{3,}")
_MARGIN = re.compile(r"(?:[ \t>]|&gt;)*")  # what may stand before a fence on its line
_AFTER = re.compile(r"[ \t]*(\r?\n|\Z)?")  # what may follow one
_INFO = re.compile(r"[\w+#.-]*")  # one word, a language

_REFERENCE = re.compile(r"<[^<>]+>")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")

# What bold and strike must not look into stands as a NUL meanwhile, the text's own NULs too.
_KEPT = "\0"
_KEEP = re.compile(rf"`[^`\n]+`|{_REFERENCE.pattern}|{_KEPT}")


def _span(mark: str) -> re.Pattern[str]:
    """Slack's marks count at the edges of words: not in 2*3*4, nor next to white space inside.

    Different marks may touch (*_both_*); doubled ones (**so**) are Markdown already.
    """
    opening = rf"(?<![^\W_])(?<!{mark}){mark}(?![\s{mark}])"
    closing = rf"(?<!\s){mark}(?![^\W_]|{mark})"
    return re.compile(rf"{opening}([^{mark}\n]++){closing}")


_BOLD = _span(r"\*")
_STRIKE = _span("~")


def mentioned(text: str) -> set[str]:
    """The user ids that a message refers to, so that their names can be looked up."""
    return set(_MENTION.findall(text))


def from_mrkdwn(text: str, *, names: Mapping[str, str]) -> str:
    """The ``text`` of a message, as it comes on the wire, in plain Markdown.

    ``names`` maps user ids to display names. Slack's format (docs.slack.dev, "Formatting message
    text") escapes every literal ``<``: what stands in angle brackets is a link, a mention or a
    special sequence. In code these become what Slack shows there, and nothing else changes.
    """
    pieces: list[str] = []
    at = 0
    for opening, closing in _fences(text):
        prose = _from_prose(text[at : opening.start()], names)
        glued = not _MARGIN.fullmatch(prose.rpartition("\n")[2])
        pieces += (prose.rstrip(" "), "\n") if glued else (prose,)
        pieces.append(_from_fence(text[opening.end() : closing.start()], opening[0], names))
        at = closing.end()
        after = _AFTER.match(text, at)
        if after is not None and after[1] is None:
            pieces.append("\n")
            at = after.end()
    return "".join((*pieces, _from_prose(text[at:], names)))


def as_shown(text: str, *, names: Mapping[str, str]) -> str:
    """The same with Slack's own marks left as they are: links, mentions and entities read as Slack
    shows them, and are links and mentions no more."""
    pieces: list[str] = []
    at = 0
    for match in _REFERENCE.finditer(text):
        pieces += _unescape(text[at : match.start()]), _shown(match[0], names)
        at = match.end()
    return "".join((*pieces, _unescape(text[at:])))


def _fences(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Where fences open and close; one that is never closed is none."""
    opening: re.Match[str] | None = None
    for run in _TICKS.finditer(text):
        if opening is None:
            opening = run
        elif len(run[0]) >= len(opening[0]):
            yield opening, run
            opening = None


def _from_fence(code: str, ticks: str, names: Mapping[str, str]) -> str:
    """A fence on lines of its own; Slack's may begin and end within a line.

    In Slack the first line is code. But who puts the closing fence on a line of its own writes
    Markdown, where a word after the opening one names the language.
    """
    first, _, others = code.partition("\n")
    _, newline, last = code.rpartition("\n")
    ends_apart = bool(newline) and _MARGIN.fullmatch(last) is not None
    info = ""
    if not first.strip():
        code = others
    elif ends_apart and others.strip() and _INFO.fullmatch(first.rstrip()):
        info, code = first.rstrip(), others
    end = "" if ends_apart else "\n"
    return f"{ticks}{info}\n{as_shown(code, names=names)}{end}{ticks}"


def _from_prose(text: str, names: Mapping[str, str]) -> str:
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found = match[0]
        if found.startswith("`"):
            kept.append(as_shown(found, names=names))
        else:
            kept.append(_from_reference(found, names) if len(found) > 1 else found)
        return _KEPT

    text = _unescape(_KEEP.sub(keep, text))
    text = _STRIKE.sub(r"~~\1~~", _BOLD.sub(r"**\1**", text))
    first, *others = text.split(_KEPT)
    return first + "".join(chain.from_iterable(zip(kept, others, strict=True)))


def _from_reference(found: str, names: Mapping[str, str]) -> str:
    """A link or a mention in angle brackets, as Markdown."""
    url, _, label = found[1:-1].partition("|")
    if not _URL.match(url) or label in ("", url):
        return _shown(found, names)
    if url in (f"mailto:{label}", f"tel:{label}"):
        return _unescape(label)
    label = re.sub(r"[\[\]]", r"\\\g<0>", " ".join(label.split()))
    return _unescape(f"[{label}]({url})")


def _shown(found: str, names: Mapping[str, str]) -> str:
    """What Slack shows for a link, a mention or a special sequence."""
    target, _, label = found[1:-1].partition("|")
    sign, name = target[:1], target[1:]
    if sign == "@":
        return "@" + (names.get(name) or _unescape(label or name))
    if sign == "#":
        return "#" + _unescape(label or name)
    if sign == "!":
        return _unescape(_special(name, label) or found)
    return _unescape(label or target) if _URL.match(target) else _unescape(found)


def _special(name: str, label: str) -> str:
    if name in ("here", "channel", "everyone"):
        return f"@{name}"
    if name.startswith("subteam^"):
        return label or "@" + name.removeprefix("subteam^")
    return label  # of a date: what to show where it cannot be formatted


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)
