"""The model's Markdown made unable to ping anyone, and undone again for its history."""

import re

_BREAK = "\u200b"  # zero width space: nothing to see, and no longer Slack's syntax

# What follows the "<" of a sequence that notifies or links (docs.slack.dev, "Formatting message
# text"). Ids are upper case; those with a digit are met in any case, to be sure. Real ones have
# a dozen characters; the bound keeps within `draft.LOOKAHEAD` what decides whether one is one.
_SEQUENCE = (
    r"(?:(?i:!(?:here|channel|everyone)(?![\w-])|!subteam\^)"
    r"|@[UWB][A-Z0-9]{1,40}+(?!\w)|#C[A-Z0-9]{1,40}+(?!\w)"
    r"|(?i:@[uwb][a-z]{0,40}[0-9]|\#c[a-z]{0,40}[0-9]))"
)
# What follows a bare "@": a broadcast that is not the beginning of a longer word. The
# underscores of "_@here_" are emphasis, that of "@channel_list" is not.
_BROADCAST = r"(?i:(?:here|channel|everyone)(?!_*[a-z0-9]))"
_NOT_IN_A_WORD = r"(?<![A-Za-z0-9])"  # ASCII: text without spaces (Chinese) may touch a mention

_PING = re.compile(rf"<(?={_SEQUENCE})|{_NOT_IN_A_WORD}@(?={_BROADCAST})", re.ASCII)
_BROKEN_PING = re.compile(
    rf"<{_BREAK}(?={_SEQUENCE})|{_NOT_IN_A_WORD}@{_BREAK}(?={_BROADCAST})", re.ASCII
)


def neutralise(text: str) -> str:
    """The text with a zero width space inside of whatever could ping or link somebody.

    Line by line: ``neutralise(a + "\\n" + b) == neutralise(a) + "\\n" + neutralise(b)``. Applied
    twice it changes nothing more. Escaped forms (``&lt;!channel&gt;``) stay as they are: they
    are Slack's own way to write such a sequence literally. So does a full-width ``＠here``,
    which Slack does not know as a mention, and ``<!date^...>``, which notifies nobody.
    """
    return _PING.sub(rf"\g<0>{_BREAK}", text)


def undo_neutralise(text: str) -> str:
    """The text as the model wrote it: ``undo_neutralise(neutralise(text)) == text``."""
    return _BROKEN_PING.sub(lambda match: match[0][0], text)
