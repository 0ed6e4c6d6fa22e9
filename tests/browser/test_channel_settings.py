"""The settings of a channel on the page, with the bot itself behind it."""

import pytest

from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.window import Window


@pytest.fixture
def ben(real: Playground, windows: Windows) -> Window:
    """Who made #random, and is no admin."""
    real.do("switch", model_rate=400, latency=0.0)
    window = windows.open(real.address, speaker="Ben", channel="random")
    window.says("#bot-state", "is connected", within=30)
    return window


def field(name: str) -> str:
    return f"#modal [data-action=channel_{name}]"


def test_whoever_made_a_channel_sets_it_and_the_thread_goes_on_without_a_mention(
    real: Playground, ben: Window, windows: Windows
) -> None:
    ana = windows.open(real.address, channel="random")

    ben.write("/llm settings")
    ben.says("#modal-title", "Channel settings")
    ben.find(field("instructions")).send_keys("Answer like a sailor.")
    ben.choose(field("model"), "local-model-large")
    ben.choose(field("follows"), "Also without a mention, in threads in which I have answered")
    ben.find(field("temperature")).send_keys("0.5")
    ben.press("Save")
    ben.says("#modal-title", "Saved")
    ben.says("#modal", "✅ Saved. It counts from the next answer on.")
    ben.says("#modal", "In #random I answer with the model local-model-large")
    ben.says("#modal", "I also answer messages that do not mention me.")
    ben.press("Change again")
    ben.says(
        "#modal", "@Ben wrote instructions (21 characters), set the model to local-model-large"
    )
    ben.press("Close", within="#modal")

    ana.write("/llm")
    shown = ana.message("What I am told here", by="Bot").words
    assert "Answer like a sailor." in shown
    assert "I answer with the model local-model-large at a temperature of 0.5." in shown
    assert not any("sailor" in words for words in ben.messages())

    ana.write("@Bot the first? [[say One.]]")
    ana.open_thread("the first?")
    ana.reply("One.", by="Bot")
    ana.write("and the second? [[say Two.]]", in_thread=True)
    ana.reply("Two.", by="Bot")


def test_what_is_wrong_is_said_at_its_field(ben: Window) -> None:
    ben.write("/llm settings")
    ben.find("#modal")
    box = ben.find(field("max_tokens"))
    box.clear()
    box.send_keys("150.5")  # which the page's field takes
    ben.press("Save")

    ben.says("#modal", "Write a whole number from 100 to 4,000")
    ben.press("Close", within="#modal")


def test_who_changes_another_field_than_somebody_else_meanwhile_saves_both(
    real: Playground, ben: Window, windows: Windows
) -> None:
    chloe = windows.open(real.address, speaker="Chloe", channel="random")
    chloe.write("/llm settings")
    chloe.says("#modal-title", "Channel settings")
    ben.write("/llm settings")
    box = ben.find(field("instructions"))
    box.clear()
    box.send_keys("Answer like a pirate.")
    ben.press("Save")
    ben.says("#modal-title", "Saved")
    ben.press("Close", within="#modal")

    box = chloe.find(field("temperature"))
    box.clear()
    box.send_keys("1,1")  # a comma is taken for a point
    chloe.press("Save")
    chloe.says("#modal-title", "Not saved yet")
    chloe.says("#modal", "You had left this alone, so your form has it too.")
    assert chloe.find(field("instructions")).get_property("value") == "Answer like a pirate."
    assert chloe.find(field("temperature")).get_property("value") == "1.1"
    chloe.press("Save both")

    chloe.says("#modal", "at a temperature of 1.1")
    chloe.says("#modal", "Answer like a pirate.")
    chloe.press("Close", within="#modal")


def test_others_read_what_is_set_and_who_may_change_it(real: Playground, windows: Windows) -> None:
    ana = windows.open(real.address)

    ana.write("/llm settings")

    ana.message("Only admins and whoever made this channel may change its settings.", by="Bot")
    assert ana.all("#modal") == []


def test_an_admin_finds_them_in_the_app_home(real: Playground, windows: Windows) -> None:
    chloe = windows.open(real.address, speaker="Chloe", channel="Bot")
    chloe.press("Home")
    chloe.says("#home-panel", "Settings of a channel")
    chloe.choose("#home-panel [data-action=channel_chosen]", "general")
    chloe.press("Open its settings")

    chloe.says("#modal-title", "Channel settings")
    chloe.says("#modal", "#general")
    chloe.choose(field("allowed"), "I answer nobody here")
    chloe.press("Save")
    chloe.says("#modal", "✅ Saved.")
    chloe.says("#modal", "In #general I answer nobody.")
    chloe.press("Close", within="#modal")

    ana = windows.open(real.address)
    ana.write("@Bot are you there?")
    ana.message("I am switched off in this channel.", by="Bot")
