"""A question about somebody's message, asked by Slack's menu of that message.

No message of a person holds it, so the bot posts one, for all to see or for the person alone, and
answers that. Whatever process answers reads there who asks, what, and about which message: only
messages of this bot count, as other apps can write the same metadata.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.blocks import Json, context, escape, message, mrkdwn
from bot.gate import is_id, is_tombstone, is_ts, text_of
from bot.history import SlackMessage, answer_text, is_own
from bot.interactions import Shortcut
from bot.messages import Identity
from bot.mrkdwn import as_shown

# Marks them in Slack's message metadata.
INQUIRY_EVENT = "llm_inquiry"

# The blocks that hold words.
WORDS, QUOTE = "words", "quote"

# Characters of a question, and of what is shown of the message. Escaped, each must fit a section.
LONGEST_WORDS = 2_000
LONGEST_QUOTE = 1_500
SECTION_LIMIT = 3_000

# Characters of the question in a notification.
NOTIFIED = 150

CUT = " […]"
_QUOTE_MARK = re.compile("^&gt; ?", re.MULTILINE)

ALONE = "(I can show you only this message, not the thread that it stands in.)"


@dataclass(frozen=True, slots=True)
class Place:
    """A message, and the thread that it is in or would begin."""

    channel: str
    ts: str
    thread_ts: str

    @property
    def thread(self) -> tuple[str, str]:
        return (self.channel, self.thread_ts)


@dataclass(frozen=True, slots=True)
class Subject:
    """The message that is asked about."""

    place: Place
    quote: str  # what it says, perhaps cut
    link: str = ""
    is_alone: bool = False  # the bot cannot read where it stands


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What such a message of the bot says."""

    asker: str
    words: str  # as on Slack's wire: mrkdwn, escaped
    quote: str  # ditto; "" where the message stands in the same thread
    about: Place
    is_alone: bool = False


# -- what is asked about


def place_of(shortcut: Shortcut) -> Place | None:
    """Where the message stands of which somebody opened the menu, as Slack says."""
    ts = shortcut.message.get("ts")
    thread_ts = shortcut.message.get("thread_ts") or ts
    if not (shortcut.channel and is_ts(ts) and is_ts(thread_ts)) or is_tombstone(shortcut.message):
        return None
    return Place(shortcut.channel, ts, thread_ts)


def quote_of(found: SlackMessage, bot: Identity, names: Mapping[str, str]) -> str:
    """What a message says, as Slack shows it, so much of it as is quoted."""
    words = answer_text(found) if is_own(found, bot) else ""
    words = (words or as_shown(text_of(found), names=names)).strip()
    # Escaped, a character takes up to five.
    fits = words[:LONGEST_QUOTE]
    while len(_quoted(fits + CUT)) > SECTION_LIMIT:
        fits = fits[: len(fits) * 3 // 4]
    return words if fits == words else fits + CUT


# -- the bot's message


def public_message(asker: str, words: str, subject: Subject) -> Json:
    """Stands in the thread of what is asked about, before the answer, for everybody to read.

    The mention makes the person follow the thread, so that they are told of the answer.
    """
    this = _linked("a message above", subject.link)
    blocks = [context(f"<@{asker}> asks me about {this}:"), _block(WORDS, escape(words))]
    return _message(blocks, asker, words, subject)


def private_message(asker: str, words: str, subject: Subject) -> Json:
    """Begins a thread of the direct messages with whoever asks, who reads along there alone."""
    where = "" if subject.place.channel.startswith("D") else f" in <#{subject.place.channel}>"
    blocks = [
        _block(WORDS, escape(words)),
        context(f"You ask about {_linked('a message', subject.link)}{where}:"),
    ]
    if subject.quote:
        blocks.append(_block(QUOTE, _quoted(subject.quote)))
    if subject.is_alone:
        blocks.append(context("I cannot read that channel, so I know this message alone."))
    return _message(blocks, asker, words, subject)


def fits(words: str) -> bool:
    return len(escape(words)) <= SECTION_LIMIT


def _message(blocks: list[Json], asker: str, words: str, subject: Subject) -> Json:
    place = subject.place
    about = {"channel": place.channel, "ts": place.ts, "thread_ts": place.thread_ts}
    payload = {"asker": asker, "is_alone": subject.is_alone, **about}
    shown = message(blocks, text=escape(words[:NOTIFIED]))
    return shown | {"metadata": {"event_type": INQUIRY_EVENT, "event_payload": payload}}


def _block(block_id: str, text: str) -> Json:
    return {"type": "section", "block_id": block_id, "text": mrkdwn(text)}


def _linked(words: str, link: str) -> str:
    return f"<{link}|{words}>" if link else words


def _quoted(text: str) -> str:
    return "\n".join(f"&gt; {line}" for line in escape(text).splitlines())


# -- read back


def inquiry_in(found: SlackMessage, bot: Identity) -> Inquiry | None:
    """What a message asks in somebody's place; None for all but this bot's own of that kind."""
    metadata = found.get("metadata")
    if not is_own(found, bot) or not isinstance(metadata, Mapping):
        return None
    payload = metadata.get("event_payload")
    if metadata.get("event_type") != INQUIRY_EVENT or not isinstance(payload, Mapping):
        return None
    asker, channel = payload.get("asker"), payload.get("channel")
    ts, thread_ts = payload.get("ts"), payload.get("thread_ts")
    if not (is_id(asker) and is_id(channel) and is_ts(ts) and is_ts(thread_ts)):
        return None
    return Inquiry(
        asker,
        _words(found, WORDS),
        _QUOTE_MARK.sub("", _words(found, QUOTE)),
        Place(channel, ts, thread_ts),
        is_alone=payload.get("is_alone") is True,
    )


def spoken(
    thread: Iterable[SlackMessage], bot: Identity, *, is_alone: bool = False
) -> list[SlackMessage]:
    """A thread in which inquiries are what the person said, with the message as a quote.

    With ``is_alone`` nothing but the quote is known of what they are about.
    """
    found = list(thread)
    by_ts = {str(each.get("ts")): each for each in found}
    asked = ((each, inquiry_in(each, bot)) for each in found)
    return [
        _as_said(each, inquiry, by_ts.get(inquiry.about.ts, {}), bot, is_alone) if inquiry else each
        for each, inquiry in asked
    ]


def _as_said(
    found: SlackMessage, inquiry: Inquiry, about: SlackMessage, bot: Identity, is_alone: bool
) -> dict[str, Any]:
    quote = inquiry.quote or escape(quote_of(about, bot, {}))
    said = {name: found[name] for name in ("ts", "thread_ts", "reactions") if name in found}
    words = f"{inquiry.words}\n\n{ALONE}" if is_alone or inquiry.is_alone else inquiry.words
    quoted = {"attachments": [{"text": quote}]} if quote else {}
    return {"type": "message", "user": inquiry.asker, "text": words, **said, **quoted}


def _words(found: SlackMessage, block_id: str) -> str:
    blocks = found.get("blocks")
    for block in blocks if isinstance(blocks, list) else ():
        if isinstance(block, Mapping) and block.get("block_id") == block_id:
            text = block.get("text")
            words = text.get("text") if isinstance(text, Mapping) else None
            return words if isinstance(words, str) else ""
    return ""
