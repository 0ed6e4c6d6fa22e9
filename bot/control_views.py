"""What people can press beneath an answer, and what they read when they have."""

from collections.abc import Callable, Mapping, Sequence

from bot.blocks import Json, actions, button, modal, plain
from bot.draft import Offer

# What the app is told when somebody presses a button (docs.slack.dev/reference/block-kit).
STOP, CONTINUE, RETRY, MORE, RATE = "stop", "continue", "retry", "more", "rate"
REASON = "reason"  # the modal, its block and its input

# Characters. Enough for a paragraph; Slack takes 3,000 in an input.
LONGEST_REASON = 500

DROPPED = "Your question still waited in line and was stopped there, so I do not answer it."
ADMINS_TOO = "Only the person who asked and admins can do that."
GONE = "I do not find the question of this answer any more, so there is nothing that I can do."
OVER = "This answer has ended already."
OTHERS = "Whoever asked would read: “{reason}”"
THANKS = "Thank you. Whoever runs me can see what you think of this answer."
THANKS_FOR_THE_REASON = "Thank you. Whoever runs me can read this."


def stopped(name: str | None, *, is_asker: bool) -> str:
    """Beneath an answer that a person stopped, whose name may not be known."""
    return f"Stopped by {name or ('the person who asked' if is_asker else 'an admin')}."


def controls(offers: Sequence[Offer], about: str) -> list[Json]:
    """The blocks with the buttons; ``about`` comes back with each press."""
    blocks: list[Json] = []
    if "rate" in offers:
        blocks.append({"type": "context_actions", "elements": [_thumbs(about)]})
    elements = [_ELEMENTS[offer](about) for offer in offers if offer in _ELEMENTS]
    return [*blocks, actions(*elements)] if elements else blocks


def reason_modal(about: str) -> Json:
    """Asks a person what was wrong with an answer; ``about`` comes back with what they say."""
    field = {
        "type": "input",
        "block_id": REASON,
        "optional": True,
        "label": plain("In your words"),
        "hint": plain("It is kept, with your name, for whoever runs me."),
        "element": {
            "type": "plain_text_input",
            "action_id": REASON,
            "multiline": True,
            "max_length": LONGEST_REASON,
        },
    }
    form = modal("What was wrong?", [field], callback_id=REASON, submit="Send")
    return form | {"private_metadata": about}


def reason_notice(sentence: str) -> Json:
    """In the place of the form."""
    words = {"type": "section", "text": plain(sentence)}
    return modal("What was wrong?", [words], callback_id=REASON)


def _more(about: str) -> Json:
    option = {"text": plain("Regenerate"), "value": f"regenerate {about}"}
    return {"type": "overflow", "action_id": MORE, "options": [option]}


def _thumbs(about: str) -> Json:
    """docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element."""
    return {
        "type": "feedback_buttons",
        "action_id": RATE,
        "positive_button": {"text": plain("Good answer"), "value": f"up {about}"},
        "negative_button": {"text": plain("Bad answer"), "value": f"down {about}"},
    }


_ELEMENTS: Mapping[Offer, Callable[[str], Json]] = {
    "stop": lambda about: button(STOP, "Stop", value=about),
    "continue": lambda about: button(CONTINUE, "Continue", value=about),
    "retry": lambda about: button(RETRY, "Retry", value=about),
    "regenerate": _more,
}
