"""What people can press beneath an answer, as Slack takes it."""

from typing import Any

import pytest

from bot.control_views import LONGEST_REASON, controls, reason_modal, reason_notice, stopped
from bot.draft import UNFINISHED, WHOLE, Offer, Part
from bot.history import answer_text
from bot.messages import TurnKey
from bot.playground.slack.blocks import check
from bot.views import plain_message, reply_message
from tests.core.fakes import buttons

TURN = TurnKey("T1", "C1", "1700000000.000100")
ABOUT = f"1 {TURN}"


def labels(blocks: list[dict[str, Any]]) -> list[str]:
    elements = [element for block in blocks for element in block["elements"]]
    return [element["text"]["text"] for element in elements if "text" in element]


def test_growing_answer_can_be_stopped() -> None:
    blocks = controls(("stop",), ABOUT)

    assert [block["type"] for block in blocks] == ["actions"]
    assert labels(blocks) == ["Stop"]
    assert blocks[0]["elements"][0]["value"] == ABOUT


def test_answer_that_is_not_whole_can_go_on_or_be_given_anew() -> None:
    assert labels(controls(UNFINISHED, ABOUT)) == ["Continue", "Retry"]


def test_whole_answer_has_thumbs_and_a_menu() -> None:
    thumbs, menu = controls(WHOLE, ABOUT)

    assert thumbs["type"] == "context_actions"
    assert [element["type"] for element in thumbs["elements"]] == ["feedback_buttons"]
    assert menu["elements"][0]["type"] == "overflow"
    (option,) = menu["elements"][0]["options"]
    assert option["text"]["text"] == "Regenerate"
    assert len(option["value"]) <= 150  # as many as Slack takes


def test_nothing_to_press_takes_no_block() -> None:
    assert controls((), ABOUT) == []


@pytest.mark.parametrize("offers", [("stop",), UNFINISHED, WHOLE, ()])
def test_slack_takes_the_blocks_and_the_answer_is_read_back_without_them(
    offers: tuple[Offer, ...],
) -> None:
    part = Part("**So** it is.", "A note.", is_last=True, is_final=True, offers=offers)
    message = reply_message(part, turn=TURN, number=0, asked=2)

    check(message["blocks"])
    assert answer_text(message) == "**So** it is."
    assert message["metadata"]["event_payload"]["asked"] == 2
    assert buttons(plain_message(part, turn=TURN, number=0)) == buttons(message)


def test_form_asks_for_a_reason_of_bounded_length_and_says_who_reads_it() -> None:
    view = reason_modal("T1:C1:1.1")
    (field,) = view["blocks"]

    assert view["private_metadata"] == "T1:C1:1.1"
    assert len(view["title"]["text"]) <= 24
    assert field["optional"] is True
    assert field["element"]["max_length"] == LONGEST_REASON
    assert "with your name" in field["hint"]["text"]


def test_form_gives_way_to_a_word_of_thanks() -> None:
    view = reason_notice("Thank you.")

    assert "submit" not in view
    assert "Thank you." in str(view["blocks"])


@pytest.mark.parametrize(
    ("name", "is_asker", "expected"),
    [
        ("Ana", True, "Stopped by Ana."),
        ("Chloe", False, "Stopped by Chloe."),
        (None, True, "Stopped by the person who asked."),
        (None, False, "Stopped by an admin."),
    ],
)
def test_it_is_said_who_stopped_it(name: str | None, is_asker: bool, expected: str) -> None:
    assert stopped(name, is_asker=is_asker) == expected
