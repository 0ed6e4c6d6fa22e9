"""A message in a thread that may go on with the bot, though it does not mention it.

Slack sends such messages where the app subscribes to ``message.channels`` and its kin. Whether one
is a question, the record of turns and the channel's settings decide.
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.files import files_of
from bot.gate import is_id, is_spoken_by_a_person, is_ts, text_of
from bot.messages import Identity, Question

# What the app has to be subscribed to, beside what it needs for mentions.
CHANNEL_EVENTS = ("message.channels", "message.groups", "message.mpim")

# Of people, groups of them, and everybody (docs.slack.dev/messaging/formatting-message-text).
_SOMEBODY = r"<(?:@[UW][A-Z0-9]+|!subteam\^[A-Z0-9]+|!(?:here|channel|everyone))(?:\|[^>]*)?>"

# Somebody is called, perhaps after a word or two, or at the end: "<@UBEN> look", "thanks,
# <@UBEN>!", "what do you think, <@UBEN>?". Not where they are only spoken of: "what did <@UBEN>
# mean?", "is <@UBEN> right?", "invite <@UANA>, <@UBEN>".
_CALLS = re.compile(
    rf"\W*{_SOMEBODY}"
    rf"|\W*(?:\w+[\s,]+){{1,2}}{_SOMEBODY}\s*(?:[,;.!:]|\Z)"
    rf"|.*[^\s>],\s*{_SOMEBODY}\W*\Z",
    re.DOTALL,
)

_EMOJI = re.compile(r":[\w+'-]+:")


def follow_up_from(body: Mapping[str, Any], bot: Identity) -> Question | None:
    """The question that it would be; None for anything else, at no cost.

    A mention of the bot is none: Slack tells of it by ``app_mention`` as well. Nor is what calls
    somebody else, and what has no words.
    """
    event = body.get("event")
    if not isinstance(event, Mapping) or not _is_said_in_a_thread(event):
        return None
    if not is_spoken_by_a_person(event, bot):
        return None
    channel, user, ts, thread_ts = (
        event.get(name) for name in ("channel", "user", "ts", "thread_ts")
    )
    if not (is_id(channel) and is_id(user) and is_ts(ts) and is_ts(thread_ts)):
        return None
    files, said = files_of(event), event.get("text")
    words = said if isinstance(said, str) else ""
    if _mentions(words, bot) or _CALLS.match(words) or not (files or has_words(words)):
        return None
    text = text_of(event)
    return Question(bot.team, channel, ts, thread_ts, user, text, files, is_follow_up=True)


def has_words(text: str) -> bool:
    """Whether anything is said. A "?" alone says something; a thumb and a row of dots do not."""
    return re.search(r"[\w?]", _EMOJI.sub("", text)) is not None


def _is_said_in_a_thread(event: Mapping[str, Any]) -> bool:
    is_elsewhere = event.get("channel_type") in ("channel", "group", "mpim")
    is_reply = bool(event.get("thread_ts")) and event.get("thread_ts") != event.get("ts")
    return event.get("type") == "message" and is_elsewhere and is_reply and not event.get("hidden")


def _mentions(text: str, bot: Identity) -> bool:
    return re.search(rf"<@{re.escape(bot.user)}(\|[^>]*)?>", text) is not None
