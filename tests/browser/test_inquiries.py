"""Asking about a message on the page, and what one finds in the direct messages."""

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


def test_a_message_is_asked_about_in_its_thread(ana: Window) -> None:
    ana.write("We take the blue one.")
    ana.message("We take the blue one.").act("Ask about this message")
    ana.says("#modal", "What do you want to know?")
    ana.find("#modal textarea").send_keys("[[say It is calmer.]] Why blue?")
    ana.find("#modal input[value='thread']").click()
    ana.press("Ask", within="#modal")
    ana.gone("#modal")

    ana.message("We take the blue one.").act("Reply in thread")

    ana.reply("Why blue?", by="Bot")
    ana.reply("It is calmer.", by="Bot")
    ana.says("#thread-messages", "@Ana asks me about a message above")


def test_a_message_is_asked_about_privately(ana: Window) -> None:
    ana.write("We take the red one.")
    ana.message("We take the red one.").act("Ask about this message")
    ana.find("#modal textarea").send_keys("[[say It is loud.]] Why red?")
    ana.press("Ask", within="#modal")
    ana.says("#modal", "I answer in our direct messages")
    ana.press("Close", within="#modal .dialog-footer")

    ana.look_at("Bot")

    ana.message("Why red?", by="Bot").act("Reply in thread")
    ana.reply("It is loud.", by="Bot")
    ana.says("#thread-title", "Why red?")


def test_direct_messages_greet_and_suggest(ana: Window) -> None:
    ana.speak_as("Ben")
    ana.look_at("Bot")

    ana.message("I am a language model in Slack.", by="Bot")
    ana.press("Draft a message", within="#channel-prompts")

    assert ana.drafted().startswith("Help me write a message")
