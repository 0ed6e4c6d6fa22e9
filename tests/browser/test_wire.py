"""The drawer: what goes over the wire, what is left of the budgets, and all that can go wrong."""

import json

import pytest

from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.window import Window

FAST = {"model_rate": 300, "latency": 0.0}


@pytest.fixture
def ana(real: Playground, windows: Windows) -> Window:
    real.do("switch", **FAST)
    window = windows.open(real.address)
    window.says("#bot-state", "is connected", within=30)
    window.open_drawer()
    return window


def fault(window: Window, key: str) -> str:
    return window.text(f'.fault[data-key="{key}"]')


def test_a_question_is_followed_over_the_wire_with_all_that_was_sent(ana: Window) -> None:
    ana.write("@Bot [[say In full.]]")
    ana.reply("In full.", by="Bot")

    ana.says('.line[data-kind="event"]', "app_mention #general, Ana")
    ana.says('.line[data-kind="event"]', "acked in")
    ana.says('.line[data-kind="call"]', "chat.postMessage #general 200 in")
    ana.says('.line[data-kind="model"]', "complete,")
    ana.says('.budget[data-method="chat.postMessage"]', "of")
    ana.all('.line[data-kind="model"] summary')[-1].click()

    ana.says(".line-details h4", "Request Usage")
    request = json.loads(ana.texts(".line-details pre")[0])
    assert "[[say In full.]]" in request["messages"][-1]["content"]
    assert "xoxb" not in ana.text(".line-details")
    ana.all('.line[data-kind="model"] summary')[-1].click()


def test_a_kind_of_row_can_be_left_out(ana: Window) -> None:
    ana.find(".line[data-kind=socket]")

    ana.press("Socket")

    ana.gone(".line[data-kind=socket]")
    assert ana.find(".kind[data-kind=socket]").get_attribute("aria-pressed") == "false"
    ana.press("Socket")
    ana.find(".line[data-kind=socket]")


def test_a_refused_edit_is_armed_met_and_made_up_for(ana: Window) -> None:
    ana.press("429 on an edit: arm")
    ana.until(lambda: fault(ana, "refused_edit") == "Armed: 1")

    ana.write("@Bot compare two of them in a table [[rate 150]]")
    ana.until(lambda: fault(ana, "refused_edit") == "Arm")
    ana.says('.line[data-tone="bad"]', "429, Retry-After 5")

    ana.reply("is the place to start.", by="Bot")


def test_a_broken_stream_is_armed_and_met(ana: Window) -> None:
    ana.press("Broken stream: arm")
    ana.until(lambda: fault(ana, "model_reset") == "Armed: 1")

    ana.write("@Bot [[tokens 100]]")

    ana.until(lambda: fault(ana, "model_reset") == "Arm")
    ana.says('.line[data-kind="model"]', "after 40 tokens")


def test_switches_are_turned_in_all_windows(
    real: Playground, ana: Window, windows: Windows
) -> None:
    other = windows.open(real.address, speaker="Ben")
    other.open_drawer()

    ana.choose("#switch-limits", "Off")
    other.says("#budgets", "The limits are off.")
    ana.choose("#switch-limits", "As Slack's")
    other.says("#budgets", "No method has been called yet.")
    ana.choose("#switch-form", "Token bucket")
    other.until(lambda: other.find("#switch-form").get_property("value") == "bucket")


def test_many_people_ask_at_once_and_all_are_answered(real: Playground, ana: Window) -> None:
    real.do("crowd", number=6)  # the button asks for 20

    ana.says("#crowd-summary", "6 of 6 answered", within=40)
    assert "0 calls refused" in ana.text("#crowd-summary")
    ana.until(lambda: ana.find("#crowd-button").is_enabled())


def test_a_bot_that_died_is_told_and_started_again(real: Playground, ana: Window) -> None:
    real.kill_the_bot()
    ana.says("#banner", "Bot has ended.")

    ana.press("Restart the bot")

    ana.gone("#banner")
    ana.says("#bot-state", "is connected", within=30)
