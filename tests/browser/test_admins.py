"""What admins, members and guests see and do on the page, with the bot itself behind it."""

import pytest

from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.window import Window


@pytest.fixture
def chloe(real: Playground, windows: Windows) -> Window:
    """The admin."""
    real.do("switch", model_rate=400, latency=0.0)
    window = windows.open(real.address, speaker="Chloe")
    window.says("#bot-state", "is connected", within=30)
    return window


def field(name: str) -> str:
    return f"#modal [data-action=budget_{name}]"


def test_an_admin_sets_a_limit_with_the_form_and_whoever_asks_reads_of_it(
    real: Playground, chloe: Window, windows: Windows
) -> None:
    real.say("U0ANA", "C0RANDOM", "@Bot [[say It works.]]")
    ana = windows.open(real.address, channel="random")
    ana.until(lambda: ana.texts("#messages .replies-button"))

    chloe.write("/llm budget")
    chloe.find("#modal")
    chloe.choose(field("whom"), "One channel")
    chloe.choose(field("channel"), "random")
    chloe.find(field("amount")).send_keys("10")
    chloe.choose(field("unit"), "tokens")
    chloe.press("Set this limit")
    chloe.says("#modal", "✅ #random: 10 tokens a month.")
    chloe.press("Close", within="#modal")
    chloe.gone("#modal")

    ana.write("@Bot and now?")
    ana.reply("This channel has used up its budget of 10 tokens a month", by="Bot")

    chloe.write("/llm budget")
    chloe.says("#modal", "@Chloe: #random, none → 10 tokens a month")
    chloe.press("Remove", within="#modal")
    chloe.press("Remove", within="#confirm")
    chloe.says("#modal", "✅ #random: no limit any more.")
    chloe.press("Close", within="#modal")


def test_an_admin_and_a_member_read_what_is_theirs_to_read(
    real: Playground, chloe: Window, windows: Windows
) -> None:
    real.say("U0ANA", "C0GENERAL", "@Bot [[say It works here.]]")
    ana = windows.open(real.address)
    ana.until(lambda: ana.texts("#messages .replies-button"))

    ana.write("/llm usage")
    chloe.write("/llm usage")

    assert "@Ana" not in ana.message("What you use", by="Bot").words
    assert "@Ana" in chloe.message("Usage of this workspace", by="Bot").words
    assert not any("Usage of this workspace" in words for words in ana.messages())

    chloe.choose(f"{chloe.message('Usage of this workspace').css} select", "Last month")
    chloe.message("Nobody has asked me anything in this time.")


def test_the_csv_comes_by_direct_message(chloe: Window) -> None:
    chloe.write("/llm usage today")
    chloe.message("Usage of this workspace")
    chloe.press("Send me the CSV")

    chloe.look_at("Bot")
    chloe.open_thread("Usage as CSV")
    chloe.reply("File: usage-", by="Bot")


def test_the_home_of_each_is_their_own(real: Playground, chloe: Window, windows: Windows) -> None:
    ben = windows.open(real.address, speaker="Ben", channel="Bot")
    ben.press("Home")
    ben.says("#home-panel", "Your month")
    chloe.look_at("Bot")
    chloe.press("Home")
    chloe.says("#home-panel", "This month in this workspace")

    assert "workspace" not in ben.text("#home-panel")
    chloe.press("Set limits")
    chloe.says("#modal-title", "Limits")
    chloe.press("Close", within="#modal")


def test_a_guest_reads_privately_that_there_is_no_answer(
    real: Playground, chloe: Window, windows: Windows
) -> None:
    dan = windows.open(real.address, speaker="Dan")
    dan.write("@Bot may I ask?")

    dan.message("I do not answer guests here.", by="Bot")
    chloe.message("may I ask?", by="Dan")
    assert not any("guests" in words for words in chloe.messages())
