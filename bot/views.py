"""Values → what Slack shows: Block Kit, the fallback text, and a message's metadata."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.draft import Offer, Part
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
MAY_BE_WRONG = "I am a language model: what I write may be wrong, so check what matters."

# What the app is told when somebody presses a button (docs.slack.dev/reference/block-kit).
STOP, CONTINUE, RETRY, MORE, RATE = "stop", "continue", "retry", "more", "rate"
ACTIONS = (STOP, CONTINUE, RETRY, MORE, RATE)
REASON = "reason"  # the modal, its block and its input

# Characters. Enough for a paragraph; Slack takes 3,000 in an input.
LONGEST_REASON = 500


def wordless(question: Question) -> str:
    """A short, helpful line for a message in which nothing is asked."""
    if question.is_dm:
        return "There are no words in your message. Write what you would like to know."
    return (
        "You mentioned me without a question. Write it in the same message, or ask me in a direct "
        "message. In a thread I read what was said before."
    )


def stopped(name: str | None, *, is_asker: bool) -> str:
    """Beneath an answer that a person stopped, whose name may not be known."""
    return f"Stopped by {name or ('the person who asked' if is_asker else 'an admin')}."


def reply_message(part: Part, *, turn: TurnKey, number: int, asked: int = 1) -> dict[str, Any]:
    """The arguments of ``chat.postMessage`` and ``chat.update`` for one part of an answer.

    The answer stands alone in the markdown block, so that it can be read back from there; what
    the bot itself has to say stands in a context block beneath, and then what people can do.
    ``asked`` is `Turn.asked`.
    """
    blocks: list[dict[str, Any]] = []
    if part.text:
        blocks.append({"type": "markdown", "text": part.text})
    if part.notice or not part.text:
        blocks.append(_notice(part.notice or "..."))
    blocks += _controls(part.offers, f"{asked} {turn}")
    return {
        "blocks": blocks,
        "text": _fallback(part),
        "metadata": {
            "event_type": REPLY_EVENT,
            "event_payload": {
                "turn": str(turn),
                "part": number,
                "is_last": part.is_last,
                "asked": asked,
            },
        },
    }


def plain_message(part: Part, *, turn: TurnKey, number: int, asked: int = 1) -> dict[str, Any]:
    """The same where Slack does not take the Markdown: as the model wrote it, not rendered."""
    pieces = [part.text[at : at + SECTION_LIMIT] for at in range(0, len(part.text), SECTION_LIMIT)]
    sections = [
        {"type": "section", "text": {"type": "plain_text", "text": piece}} for piece in pieces
    ]
    message = reply_message(part, turn=turn, number=number, asked=asked)
    others = [block for block in message["blocks"] if block["type"] != "markdown"]
    return message | {"blocks": [*sections, *others]}


def notice_message(sentence: str) -> dict[str, Any]:
    """A message in which the bot speaks for itself; history leaves it out."""
    return {"blocks": [_notice(sentence)], "text": escape(sentence)}


def reason_modal(about: str) -> dict[str, Any]:
    """Asks a person what was wrong with an answer; ``about`` comes back with what they say."""
    return {
        "type": "modal",
        "callback_id": REASON,
        "private_metadata": about,
        "title": _plain("What was wrong?"),
        "submit": _plain("Send"),
        "close": _plain("Skip"),
        "blocks": [
            {
                "type": "input",
                "block_id": REASON,
                "optional": True,
                "label": _plain("In your words"),
                "hint": _plain("It is kept, with your name, for those who run me."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": LONGEST_REASON,
                },
            }
        ],
    }


def escape(text: str) -> str:
    """For Slack's own mrkdwn (docs.slack.dev/messaging/formatting-message-text#escaping)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _controls(offers: Sequence[Offer], about: str) -> list[dict[str, Any]]:
    """``about`` comes back with each press."""
    blocks: list[dict[str, Any]] = []
    if "rate" in offers:
        blocks.append({"type": "context_actions", "elements": [_thumbs(about)]})
    elements = [_ELEMENTS[offer](about) for offer in offers if offer in _ELEMENTS]
    if elements:
        blocks.append({"type": "actions", "elements": elements})
    return blocks


def _button(action_id: str, label: str) -> Callable[[str], dict[str, Any]]:
    return lambda about: {
        "type": "button",
        "action_id": action_id,
        "text": _plain(label),
        "value": about,
    }


def _more(about: str) -> dict[str, Any]:
    option = {"text": _plain("Regenerate"), "value": f"regenerate {about}"}
    return {"type": "overflow", "action_id": MORE, "options": [option]}


def _thumbs(about: str) -> dict[str, Any]:
    """docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element."""
    return {
        "type": "feedback_buttons",
        "action_id": RATE,
        "positive_button": {"text": _plain("Good answer"), "value": f"up {about}"},
        "negative_button": {"text": _plain("Bad answer"), "value": f"down {about}"},
    }


_ELEMENTS: Mapping[Offer, Callable[[str], dict[str, Any]]] = {
    "stop": _button(STOP, "Stop"),
    "continue": _button(CONTINUE, "Continue"),
    "retry": _button(RETRY, "Retry"),
    "regenerate": _more,
}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


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
    # verbatim: Slack would otherwise make pings of what looks like one.
    element = {"type": "mrkdwn", "text": escape(sentence), "verbatim": True}
    return {"type": "context", "elements": [element]}
