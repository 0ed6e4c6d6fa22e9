"""The page on a phone, in the dark, with the keyboard alone, and for screen readers."""

import pytest
from selenium.webdriver import Keys

from tests.browser.conftest import Windows
from tests.browser.stage import Stage, actions, options, plain, section
from tests.browser.window import Window

PHONE = (360, 740)


@pytest.fixture
def ana(kit: Stage, windows: Windows) -> Window:
    return windows.open(kit.address)


def fits(window: Window) -> bool:
    """Nothing is wider than the window."""
    return bool(
        window.run(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


def test_on_a_phone_the_side_bar_slides_over(kit: Stage, ana: Window) -> None:
    ana.resize(*PHONE)
    ana.gone("#sidebar")
    ana.press("Open the side bar")
    ana.until(
        lambda: ana.run("return document.querySelector('#sidebar').getBoundingClientRect().x") == 0
    )
    assert ana.focus_name == "general"
    ana.keys(Keys.ESCAPE)
    ana.gone("#sidebar")

    ana.press("Open the side bar")
    ana.look_at("random")

    ana.gone("#sidebar")
    assert ana.focus_name == "Open the side bar"


def test_on_a_phone_nothing_scrolls_sideways(kit: Stage, ana: Window) -> None:
    wide = "| one | two | three |\n|---|---|---|\n| " + " | ".join(["word " * 20] * 3) + " |"
    root = kit.say("Ana", "general", "W" * 200)
    kit.post({"type": "markdown", "text": f"{wide}\n\n```\n{'code ' * 60}\n```"}, thread_ts=root)
    ana.resize(*PHONE)

    assert fits(ana)
    ana.open_thread("WWW")
    assert len(ana.thread()) == 2
    assert fits(ana)
    ana.press("Close the thread")
    ana.open_drawer()
    assert fits(ana)


def test_it_is_dark_where_the_system_is_and_where_one_chooses(ana: Window) -> None:
    def lightness() -> int:
        colour = ana.run("return getComputedStyle(document.querySelector('#main')).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))

    ana.prefer("light")
    assert lightness() > 700
    ana.prefer("dark")
    assert lightness() < 150
    ana.find("#theme").click()
    assert lightness() > 700
    assert ana.find("#theme").accessible_name == "Theme: light. Change to dark"
    for _ in ("dark", "auto"):
        ana.find("#theme").click()


def test_all_that_the_keyboard_reaches_has_a_name(kit: Stage, ana: Window) -> None:
    menu = {"type": "overflow", "action_id": "more", "options": options("copy")}
    sizes = {"type": "static_select", "action_id": "size", "options": options("small")}
    link = {"type": "button", "action_id": "go", "text": plain("Go"), "url": "https://go.example/"}
    kit.post(section("Another", accessory=menu), actions(sizes, link))
    kit.post(section("Choose", accessory=menu), actions(sizes, link))
    kit.say("Ana", "general", "A thread, please")
    ana.open_thread("A thread, please")
    ana.run("arguments[0].focus()", ana.find(ana.message("Choose").css))
    ana.open_drawer()
    ana.run("document.activeElement.blur()")

    names: dict[str, str] = {}
    for _ in range(150):
        ana.keys(Keys.TAB)
        focused = ana.focus
        if focused.id in names:
            break
        if focused.tag_name == "body":  # between the last and the first
            continue
        names[focused.id] = focused.accessible_name or f"<{focused.tag_name}>"

    assert len(names) > 40
    assert [*names.values()].count("More actions") == 1  # of one message only
    assert [name for name in names.values() if not name or name.startswith("<")] == []


def test_escape_closes_the_thread_and_the_focus_goes_back(kit: Stage, ana: Window) -> None:
    kit.say("Ana", "general", "Open me")
    message = ana.message("Open me")
    ana.run("arguments[0].focus()", ana.find(message.css))

    ana.keys("t")
    ana.find("#thread")
    assert ana.focus_name == "Reply…"
    ana.keys(Keys.ESCAPE)

    ana.gone("#thread")
    assert ana.focus.get_attribute("data-ts") == message.ts


def test_a_message_is_edited_with_the_keyboard_alone(ana: Window) -> None:
    ana.write("Frist")
    ana.message("Frist")
    ana.keys(Keys.ARROW_UP)
    ana.find(".edit-text")
    ana.replace("First")
    ana.keys(Keys.ENTER)

    ana.until(lambda: ana.message("First").is_edited)

    ana.keys("e")
    ana.find(".edit-text")
    ana.replace(Keys.DELETE)
    ana.keys(Keys.ENTER)
    ana.says("#confirm", "Are you sure you want to delete this message?")
    ana.keys(Keys.ENTER)
    ana.until(lambda: "First" not in ana.messages())


def test_an_emoji_is_chosen_and_the_message_has_the_focus_again(ana: Window) -> None:
    ana.write("Well done")
    message = ana.message("Well done")
    message.react("tada")
    ana.until(lambda: message.reactions == {"🎉": 1})
    assert ana.focus.get_attribute("data-ts") == message.ts

    ana.keys("r")
    ana.find("#emoji")
    ana.keys(Keys.ARROW_LEFT, Keys.TAB)  # from the first to the last, and out
    ana.gone("#emoji")


def test_a_modal_keeps_the_focus_inside(ana: Window) -> None:
    ana.write("/form")
    ana.says("#modal-title", "Form")

    names = []
    for _ in range(8):
        names.append(ana.focus_name)
        ana.keys(Keys.TAB)

    assert {*names} <= {"Name", "Size", "Cancel", "Save", "Close", ""}
    assert names.count("Name") > 1
    ana.keys(Keys.ESCAPE)
    ana.gone("#modal")


def test_an_answer_is_announced_to_screen_readers(kit: Stage, ana: Window) -> None:
    kit.say("Ben", "general", "Can you hear me?")

    ana.until(
        lambda: (
            ana.run("return document.querySelector('#announcer').textContent")
            == "Ben: Can you hear me?"
        )
    )
