"""Values → what Slack shows: Block Kit, the fallback text, and a message's metadata."""

import re
from typing import Any

from bot.blocks import context, escape
from bot.control_views import controls
from bot.draft import Part
from bot.history import REPLY_EVENT
from bot.messages import Question, TurnKey
from bot.pings import neutralise

# chat.update refuses a longer `text` (docs.slack.dev/reference/methods/chat.update, msg_too_long).
TEXT_LIMIT = 4_000
# An interim edit's `text` is seen by nobody for long; it need not travel with each of them.
INTERIM_TEXT_LIMIT = 150

# Characters of a section's text (docs.slack.dev/reference/block-kit/blocks/section-block).
SECTION_LIMIT = 3_000


SUPERSEDED = "This message is no longer part of the answer."
ANEW = "I am trying again..."
EARLIER = "This is still the earlier answer, as the new one came to nothing."
ENDS_HERE = "Other words were asked meanwhile, so this answer ends here."
MAY_BE_WRONG = "I am a language model: what I write may be wrong, so check what matters."


def wordless(question: Question) -> str:
    """A short, helpful line for a message in which nothing is asked."""
    if question.is_dm:
        return "There are no words in your message. Write what you would like to know."
    return (
        "You mentioned me without a question. Write it in the same message, or ask me in a direct "
        "message. In a thread I read what was said before."
    )


def reply_message(
    part: Part, *, turn: TurnKey, number: int, asked: int = 1, rank: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """The arguments of ``chat.postMessage`` and ``chat.update`` for one part of an answer.

    The answer stands alone in the markdown block, so that it can be read back from there; what
    the bot itself has to say stands in a context block beneath, and then what people can do.
    ``asked`` is `Turn.asked`; of two messages that stand there as one part, that of the higher
    ``rank`` counts: which process of those that answered it, and which of its posts.
    """
    payload = {"turn": str(turn), "part": number, "is_last": part.is_last, "asked": asked}
    payload |= {"life": rank[0], "post": rank[1]}
    if part.is_last:  # for the books, should the process end before it has written there
        payload["outcome"] = part.outcome
    blocks: list[dict[str, Any]] = []
    if part.text:
        blocks.append({"type": "markdown", "text": part.text})
    if part.notice or not part.text:
        blocks.append(_notice(part.notice or "..."))
    blocks += controls(part.offers, f"{asked} {turn}")
    return {
        "blocks": blocks,
        "text": _fallback(part),
        "metadata": {"event_type": REPLY_EVENT, "event_payload": payload},
    }


def stream_end(message: dict[str, Any], rest: str) -> dict[str, Any]:
    """The arguments of ``chat.stopStream`` that make of a stream, with the ``rest`` of its text,
    what that ``message`` of an answer is. Blocks come to stand beneath the text."""
    beneath = [block for block in message["blocks"] if block["type"] != "markdown"]
    end = {"metadata": message["metadata"]}
    return (
        end | ({"markdown_text": rest} if rest else {}) | ({"blocks": beneath} if beneath else {})
    )


def plain_message(
    part: Part, *, turn: TurnKey, number: int, asked: int = 1, rank: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """The same where Slack does not take the Markdown: as the model wrote it, not rendered."""
    pieces = [part.text[at : at + SECTION_LIMIT] for at in range(0, len(part.text), SECTION_LIMIT)]
    sections = [
        {"type": "section", "text": {"type": "plain_text", "text": piece}} for piece in pieces
    ]
    message = reply_message(part, turn=turn, number=number, asked=asked, rank=rank)
    others = [block for block in message["blocks"] if block["type"] != "markdown"]
    return message | {"blocks": [*sections, *others]}


def notice_message(sentence: str) -> dict[str, Any]:
    """A message in which the bot speaks for itself; history leaves it out."""
    return {"blocks": [_notice(sentence)], "text": escape(sentence)}


def _fallback(part: Part) -> str:
    """For notifications and screen readers, which read ``text`` and never the blocks."""
    said = "\n\n".join(text for text in (part.text, part.notice) if text)
    limit = TEXT_LIMIT if part.is_final else INTERIM_TEXT_LIMIT
    escaped = escape(said)
    if len(escaped) <= limit:
        return escaped
    # Neither half an escape at the end nor, where `@channel_list` is cut, a ping: room for both.
    head = re.sub(r"&[a-z]*\Z", "", escaped[: limit - 2])
    return neutralise(head) + "…"


def _notice(sentence: str) -> dict[str, Any]:
    return context(escape(sentence))
