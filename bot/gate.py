"""A Slack event becomes a `Question`, or None where the bot stays silent."""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from bot.files import files_of
from bot.messages import Identity, Question, Turn

# A message carries a subtype where something else happened than somebody saying something:
# an edit, a deletion, a join. These two are people talking all the same.
SPOKEN_SUBTYPES = (None, "file_share", "thread_broadcast")

_TS = re.compile(r"\d{1,12}\.\d{1,6}", re.ASCII)
_ID = re.compile(r"[A-Z0-9]{2,32}", re.ASCII)


def question_from(body: Mapping[str, Any], bot: Identity) -> Question | None:
    """The question that an Events API payload asks of ``bot``, if it asks one.

    A direct message always does; a message elsewhere does where it mentions the bot, which Slack
    reports as ``app_mention``. Its twin ``message`` event (same ``ts``, another event id), which
    comes where an app also subscribes to ``message.channels``, is passed over here.
    """
    event = body.get("event")
    if not isinstance(event, Mapping) or not _is_meant_for_bot(event):
        return None
    if not is_spoken_by_a_person(event, bot):
        return None
    channel, user, ts = event.get("channel"), event.get("user"), event.get("ts")
    thread_ts = event.get("thread_ts") or ts
    if not (is_id(channel) and is_id(user) and is_ts(ts) and is_ts(thread_ts)):
        return None
    return Question(
        # Not the body's team_id: in a channel shared with another organisation that can be theirs.
        team=bot.team,
        channel=channel,
        ts=ts,
        thread_ts=thread_ts,
        user=user,
        text=text_of(event),
        files=files_of(event),
    )


def question_in(message: Mapping[str, Any], turn: Turn) -> Question:
    """The question of a turn, from its message as the thread has it."""
    return Question(
        team=turn.key.team,
        channel=turn.key.channel,
        ts=turn.key.ts,
        thread_ts=turn.thread_ts,
        user=turn.user,
        text=text_of(message),
        files=files_of(message),
    )


def is_tombstone(message: Mapping[str, Any]) -> bool:
    """What Slack leaves in the place of a deleted message that has replies."""
    return message.get("subtype") == "tombstone"


def blank_question(turn: Turn) -> Question:
    """In place of one that cannot be read: enough to say so in its thread."""
    return question_in({}, turn)


def is_wordless(question: Question, bot: Identity) -> bool:
    """Nothing but a mention of the bot: there is nothing to ask the model."""
    words = re.sub(rf"<@{re.escape(bot.user)}(\|[^>]*)?>", "", question.text)
    # Slack's editor puts a no-break space behind a mention; \s matches that one too. A "?" alone
    # is a question: about what was said before.
    return not re.sub(r"[\s\u200b,.:;!]", "", words) and not question.files


def text_of(message: Mapping[str, Any]) -> str:
    """Its text and that of what it quotes: forwarded messages come as attachments."""
    text = message.get("text")
    quoted = message.get("attachments")
    texts = [text if isinstance(text, str) else ""]
    for attachment in quoted if isinstance(quoted, list) else []:
        lines = _attached(attachment).splitlines() if isinstance(attachment, Mapping) else []
        texts.append("\n".join(f"> {line}" for line in lines))
    return "\n\n".join(part for part in texts if part)


def _attached(attachment: Mapping[str, Any]) -> str:
    """Apps may put all they say into the fallback, a summary in plain text."""
    found = attachment.get("text") or attachment.get("fallback")
    return found if isinstance(found, str) else ""


def _is_meant_for_bot(event: Mapping[str, Any]) -> bool:
    match event.get("type"):
        case "app_mention":
            # In a DM the same words also come as `message`; that event is the one to answer.
            return not str(event.get("channel", "")).startswith("D")
        case "message":
            return event.get("channel_type") == "im" and not event.get("hidden")
        case _:
            return False


def is_spoken_by_a_person(event: Mapping[str, Any], bot: Identity) -> bool:
    return (
        event.get("subtype") in SPOKEN_SUBTYPES
        and not event.get("bot_id")
        and not event.get("bot_profile")
        and event.get("user") not in (bot.user, "USLACKBOT")
    )


def is_id(value: object) -> TypeGuard[str]:
    """Of a channel, a person: anything else would not be looked up."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_ts(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TS.fullmatch(value) is not None
