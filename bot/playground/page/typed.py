"""What a person types, as Slack puts it on the wire, and back for the box to edit it in.

The wire's form is Slack's (docs.slack.dev/messaging/formatting-message-text): ``&``, ``<`` and
``>`` are escaped; mentions, channels and addresses stand in angle brackets.
"""

import html
import re
from collections.abc import Iterable, Mapping

_CODE = r"(?P<code>```.*?```|`[^`\n]+`)"
# An address ends before the full stop or bracket of the sentence it stands in; a pair of brackets
# is part of it, as in the addresses of Wikipedia, but not in [https://a.example](https://b.example).
_PAIR = r"\([^\s<>|`()\[\]:]*\)"
_ADDRESS = (
    rf"(?P<address>\bhttps?://(?:[^\s<>|`()\[\]]|{_PAIR})*"
    rf"(?:[^\s<>|`()\[\].,;:!?'\"]|{_PAIR}))"
)
_BROADCAST = r"(?<!\w)@(?P<broadcast>here|channel|everyone)(?!\w)"
_REFERENCE = re.compile(r"<(?P<sign>[@#!]?)(?P<target>[^<>|]*)(?:\|(?P<label>[^<>]*))?>")


def to_wire(text: str, *, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """``@Ana``, ``#general``, ``@here`` and addresses become references, except in code.

    ``people`` and ``channels`` are names by id. Of two names the longer one is meant; capitals
    make no difference.
    """
    person_ids = {name.casefold(): id for id, name in people.items()}
    channel_ids = {name.casefold(): id for id, name in channels.items()}

    def reference(match: re.Match[str]) -> str:
        found = match.group()
        escaped = html.escape(found, quote=False)
        match match.lastgroup:
            case "address":
                return f"<{escaped}>"
            case "broadcast":
                return f"<!{found[1:].lower()}>"
            case "person" if id := person_ids.get(found[1:].casefold()):
                return f"<@{id}>"
            case "channel" if id := channel_ids.get(found[1:].casefold()):
                return f"<#{id}|{channels[id]}>"
        return escaped

    pattern = "|".join(
        [
            _CODE,
            _ADDRESS,
            _name("@", "person", people.values()),
            _BROADCAST,
            _name("#", "channel", channels.values()),
            "(?P<plain>[&<>])",
        ]
    )
    return re.sub(pattern, reference, text, flags=re.IGNORECASE | re.DOTALL)


def to_typed(text: str, *, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """The way back: what the person would have to type for this ``text`` of the wire."""

    def words(match: re.Match[str]) -> str:
        sign, target, label = match.group("sign", "target", "label")
        match sign:
            case "@":
                return f"@{people.get(target, label or target)}"
            case "#":
                return f"#{channels.get(target, label or target)}"
            case "!":
                return f"@{target}"
        return target

    return html.unescape(_REFERENCE.sub(words, text)) if "<" in text else html.unescape(text)


def _name(sign: str, group: str, names: Iterable[str]) -> str:
    longest_first = sorted(filter(None, names), key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first)) or r"[^\s\S]"
    return rf"(?<!\w){sign}(?P<{group}>{alternatives})(?!\w)"
