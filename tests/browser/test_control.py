"""The person in control, on the page: stop, correct, go on, judge."""

import pytest

from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.window import Window


@pytest.fixture
def ana(real: Playground, windows: Windows) -> Window:
    real.do("switch", model_rate=200, latency=0.0)
    window = windows.open(real.address)
    window.says("#bot-state", "is connected", within=30)
    return window


def test_a_growing_answer_is_stopped_and_goes_on(ana: Window) -> None:
    ana.write("@Bot tell me all [[rate 40]] [[tokens 400]]")
    ana.press("Stop", within="#thread-messages")
    ana.says("#thread-messages", "Stopped by Ana.")

    ana.press("Continue", within="#thread-messages")

    ana.find("#thread-messages .feedback")
    assert "Stopped by Ana." not in ana.text("#thread-messages")


def test_slack_s_own_control_stops_an_answer_that_has_not_begun(ana: Window) -> None:
    ana.write("@Bot think hard [[slow 60]]")
    ana.says("#status-line", "Bot is thinking")

    ana.press("Stop", within="#status-line")

    ana.says("#thread-messages", "Stopped by Ana.")
    ana.gone("#status-line")


def test_an_edited_question_is_answered_anew_in_the_same_message(ana: Window) -> None:
    ana.write("@Bot [[say The first words.]]")
    ana.reply("The first words.", by="Bot")

    question = ana.message("[[say The first words.]]")
    question.act("Edit message")
    ana.replace("@Bot [[say The other words.]]")
    ana.press("Save")

    ana.reply("The other words.", by="Bot")
    assert "The first words." not in ana.text("#thread-messages .message:last-child .message-body")


def test_what_one_person_sees_is_no_reply(ana: Window) -> None:
    ana.write("@Bot [[say It depends.]]")
    ana.reply("It depends.", by="Bot")

    ana.press("Good answer", within="#thread-messages")

    ana.reply("Thank you", by="Bot")
    ana.says("#thread-messages .day:not([hidden])", "1 reply")


def test_a_bad_answer_is_judged_with_a_reason(ana: Window) -> None:
    ana.write("@Bot [[say It depends.]]")
    ana.reply("It depends.", by="Bot")

    ana.press("Bad answer", within="#thread-messages")
    ana.says("#modal", "What was wrong?")
    ana.find("#modal textarea").send_keys("It does not.")
    ana.press("Send", within="#modal")

    ana.says("#modal", "Thank you.")
    ana.press("Close", within="#modal .dialog-footer")
    ana.gone("#modal")


def test_a_whole_answer_is_given_anew(ana: Window) -> None:
    ana.write("@Bot surprise me [[tokens 20]]")
    ana.find("#thread-messages .feedback")
    before = len(ana.all("#thread-messages .message"))

    ana.press("More actions", within="#thread-messages")
    ana.press("Regenerate", within="#thread-messages")

    ana.gone("#thread-messages .feedback")
    ana.find("#thread-messages .feedback")
    assert len(ana.all("#thread-messages .message")) == before
