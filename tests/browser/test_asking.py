"""People ask the real bot on the page, and watch it answer."""

import pytest
from selenium.webdriver import Keys

from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.window import Window

LAST_WORDS = {"table": "is the place to start.", "code": "python batches.py"}


@pytest.fixture
def ana(real: Playground, windows: Windows) -> Window:
    real.do("switch", model_rate=200, latency=0.0)
    window = windows.open(real.address)
    window.says("#bot-state", "is connected", within=30)
    return window


def growth(window: Window, *, last: str) -> list[int]:
    """The lengths that the thread had while the answer was written, up to its last words."""
    lengths: list[int] = []

    def is_whole() -> bool:
        text = window.text("#thread-messages .message-body")
        lengths.append(len(text))
        return last in text

    window.until(is_whole)
    return sorted(set(lengths))


def test_a_question_is_asked_with_the_keyboard_alone_and_answered_with_a_table(ana: Window) -> None:
    while ana.focus_name != "Message #general":
        ana.keys(Keys.F6)
    ana.keys("@bo")
    ana.says("#composer .suggestions", "Bot")
    ana.keys(Keys.ENTER, "compare three of them in a table [[slow 1]]", Keys.ENTER)

    ana.says("#status-line", "Bot is")
    lengths = growth(ana, last=LAST_WORDS["table"])

    assert len(lengths) > 2
    ana.gone("#status-line")
    assert ana.focus_name == "Message #general"
    assert ana.texts("#thread-messages th") == ["Choice", "Good at", "Costs", "Fits when"]
    assert len(ana.all("#thread-messages tbody tr")) == 3


def test_code_is_shown_in_colours(ana: Window) -> None:
    ana.write("@Bot write a Python function")
    growth(ana, last=LAST_WORDS["code"])

    inks = "return new Set([...document.querySelectorAll('.highlight span')].map("
    colours = ana.run(f"{inks}(one) => getComputedStyle(one).color)).size")
    assert colours > 3
    assert ana.texts("#thread-messages pre")[0].startswith("from collections.abc import Iterable")


def test_a_direct_message_needs_no_mention_and_its_thread_goes_on(ana: Window) -> None:
    ana.look_at("Bot")
    ana.write("[[say The first.]]")
    ana.reply("The first.", by="Bot")

    ana.write("[[say The second.]]", in_thread=True)
    ana.reply("The second.", by="Bot")

    first, second = ana.thread()[1::2]  # with the buttons beneath them
    assert first.startswith("The first.")
    assert second.startswith("The second.")


def test_a_mention_that_is_edited_in_is_answered(ana: Window) -> None:
    ana.write("Well? [[say Here I am.]]")
    message = ana.message("Well?")
    message.edit("@Bot well? [[say Here I am.]]")

    ana.until(lambda: message.is_edited)
    assert ana.texts(f"{message.css} .mention") == ["@Bot"]
    ana.says(f"{message.css} .replies", "1 reply")
    ana.open_thread("@Bot well?")
    ana.reply("Here I am.", by="Bot")


def test_a_message_with_an_answer_leaves_a_tombstone_and_another_nothing(ana: Window) -> None:
    ana.write("@Bot [[say It stays.]]")
    ana.reply("It stays.", by="Bot")
    ana.message("[[say It stays.]]").delete()
    ana.write("A slip of the finger")
    ana.message("A slip of the finger").delete()

    ana.message("This message was deleted.")
    ana.until(lambda: "A slip of the finger" not in ana.messages())
    ana.reply("It stays.", by="Bot")


TRICKS = (
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<style>body { display: none }</style>",
    "<iframe src='javascript:top.pwned = 1'></iframe>",
    "[a link](javascript:window.pwned=1)",
    "![a picture](http://pictures.invalid/pwned.png)",
)


def test_what_the_model_writes_is_never_run(ana: Window, real: Playground) -> None:
    ana.look_at("Bot")
    for number, trick in enumerate(TRICKS):
        ana.write(f"[[say Look: {trick} Done {number}.]]", in_thread=number > 0)
        answer = ana.reply(f"Done {number}.", by="Bot")

        assert_harmless(ana, real.address)
        assert ("display: none" if "display" in trick else "pwned") in answer.words


def assert_harmless(window: Window, address: str) -> None:
    """Nothing ran, nothing was loaded from elsewhere, and no link leads to a script."""
    assert window.run("return window.pwned") is None
    loaded = window.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert [name for name in loaded if not name.startswith((address, "data:"))] == []
    links = window.run("return [...document.links].map(({ protocol }) => protocol)")
    assert {*links} <= {"http:", "https:", "mailto:"}
    assert window.all("body, #composer-text")
