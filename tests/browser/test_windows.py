"""What people write is seen in all windows, by those who may see it, and outlives a reload."""

import pytest
from selenium.webdriver import Keys

from tests.browser.conftest import Windows
from tests.browser.stage import Stage
from tests.browser.window import Window


@pytest.fixture
def ana(kit: Stage, windows: Windows) -> Window:
    return windows.open(kit.address)


@pytest.fixture
def ben(kit: Stage, windows: Windows) -> Window:
    return windows.open(kit.address, speaker="Ben")


def test_a_message_written_in_one_window_appears_in_the_other(ana: Window, ben: Window) -> None:
    ana.write("Good morning, *everybody*!")
    ben.write("Good morning, Ana.")

    ana.message("Good morning, Ana.", by="Ben")
    ben.message("Good morning, everybody!", by="Ana")
    assert ana.messages() == ben.messages()


def test_a_reaction_is_given_by_two_and_taken_back_by_one(ana: Window, ben: Window) -> None:
    ana.write("Shall we?")
    hers, his = ana.message("Shall we?"), ben.message("Shall we?")

    hers.react("tada")
    ben.until(lambda: his.reactions == {"🎉": 1})
    ben.find(f"{his.css} .reaction").click()
    ana.until(lambda: hers.reactions == {"🎉": 2})
    ana.find(f"{hers.css} .reaction").click()

    ben.until(lambda: his.reactions == {"🎉": 1})
    assert ben.find(f"{his.css} .reaction").get_attribute("aria-pressed") == "true"


def test_one_changes_ones_own_messages_only(ana: Window, ben: Window) -> None:
    ana.write("Mine")

    assert ana.find(f"{ana.message('Mine').css}").find_elements("css selector", ".toolbar button")
    tools = f"{ben.message('Mine').css} .toolbar button"
    names = ben.run(
        "return [...document.querySelectorAll(arguments[0])].map((b) => b.title)", tools
    )
    assert names == ["Add a reaction", "Reply in thread"]


def test_an_edit_and_its_mark_are_seen_by_others(ana: Window, ben: Window) -> None:
    ana.write("Tomorow")
    ana.message("Tomorow").edit("Tomorrow")

    ben.until(lambda: ben.message("Tomorrow").is_edited)


def test_a_reload_loses_nothing(kit: Stage, ben: Window) -> None:
    kit.say("Ana", "random", "Where were we?")
    ben.look_at("random")
    ben.open_thread("Where were we?")
    ben.write("In the middle.", in_thread=True)
    ben.reply("In the middle.")
    ben.draft("To be continued", in_thread=True)
    ben.draft("And something else")

    ben.reload()

    assert (ben.speaker, ben.place) == ("Ben", "random")
    assert ben.messages()[-1] == "Where were we?"
    assert ben.thread() == ["Where were we?", "In the middle."]
    assert ben.drafted() == "And something else"
    assert ben.drafted(in_thread=True) == "To be continued"


def test_a_lost_connection_loses_nothing_that_one_writes(kit: Stage, ana: Window) -> None:
    ana.write("Half of it")
    ana.message("Half of it").act("Edit message")
    ana.find(".edit-text")
    ana.replace("Nearly all of it")

    kit.drop_the_windows()
    ana.says("#bot-state", "The playground is away")
    kit.say("Ben", "general", "Are you back?")
    ana.message("Are you back?")

    assert ana.focus_name == "Edit the message"
    assert ana.focus.get_property("value") == "Nearly all of it"
    ana.keys(Keys.ENTER)
    ana.until(lambda: ana.message("Nearly all of it").is_edited)


def test_a_lost_connection_leaves_the_rows_of_the_log_open(kit: Stage, ana: Window) -> None:
    ana.open_drawer()
    ana.find(".line summary").click()
    ana.find(".line-details h4")

    kit.drop_the_windows()
    ana.says("#bot-state", "The playground is away")
    ana.says("#bot-state", "The bot is connected")

    ana.find(".line-details h4")


def test_a_channel_with_news_is_bold_and_counts_what_is_for_oneself(
    kit: Stage, ana: Window
) -> None:
    random = '.entry[data-channel="C0RANDOM"]'
    ana.look_at("general")
    kit.say("Ben", "random", "To nobody")
    ana.find(f"{random}.unread")
    assert ana.text(f"{random} .count") == ""

    kit.say("Ben", "random", "<@U0ANA> to you")
    ana.says(f"{random} .count", "1")
    ana.look_at("random")
    ana.gone(f"{random}.unread")


def test_a_guest_and_an_admin_are_known_by_their_badge(kit: Stage, ana: Window) -> None:
    for name in ("Chloe", "Dan", "Ben"):
        kit.say(name, "general", f"It is {name}.")

    badges = {
        name: ana.text(f"{ana.message(f'It is {name}.').css} .badge")
        for name in ("Chloe", "Dan", "Ben")
    }
    assert badges == {"Chloe": "Admin", "Dan": "Guest", "Ben": ""}


def test_one_speaks_as_another_and_sees_what_that_person_sees(ana: Window) -> None:
    ana.look_at("Ben, Chloe, Bot")
    ana.speak_as("Dan")

    assert ana.speaker.startswith("Dan")
    assert ana.texts("#sections .entry-name") == ["general", "random", "Bot"]
    ana.look_at("general")
    ana.write("A guest speaks")
    ana.message("A guest speaks", by="Dan")


TRICKS = (
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<style>body { display: none }</style>",
    "<https://good.example/|x> <javascript:window.pwned=1|press>",
    "[press](javascript:window.pwned=1)",
)


def test_what_people_write_is_shown_as_they_wrote_it(ana: Window, ben: Window) -> None:
    for trick in TRICKS:
        ana.write(f"Look: {trick} Done.")

    for window in (ana, ben):
        for trick in TRICKS:
            assert window.message(trick).words == f"Look: {trick} Done."
        assert window.run("return window.pwned") is None
        links = window.run("return [...document.links].map(({ protocol }) => protocol)")
        assert {*links} <= {"http:", "https:"}
