"""Makes the pictures of the README: ``python -m tests.pictures``.

They show the real playground in the Chromium of this machine, always in the same size.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.browser import chromium, playground
from tests.browser.playground import Playground
from tests.browser.window import Window
from tests.pictures import history, report

FOLDER = Path(__file__).parent
SCREEN = (1280, 800)
PHONE = (390, 844)
TALL = (1280, 1000)

# The last message of a channel is longer than the screen.
TO_ITS_BEGINNING = """
document.querySelector("#messages .message:last-child").scrollIntoView({block: "start"})
"""

QUESTION = "@Bot where should we keep the state of our service? Compare, please, in a table."


def main() -> int:
    if missing := chromium.missing():
        print(missing, file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as profile,
        playground.running(Path(folder)) as place,
        chromium.running(Path(profile)) as driver,
    ):
        window = Window(driver)
        window.open(place.address)
        window.says("#bot-state", "is connected", within=30)
        _talk(place)
        for take in (_light, _dark, _phone):
            _take(take, window, place)
        asyncio.run(history.write(place))
        for take in (_budget, _settings, _usage, _home, _wire, _inquiry):
            _take(take, window, place)
        report.take(driver, Path(folder), FOLDER)
    return 0


def _take(scene: Callable[[Window, Playground], None], window: Window, place: Playground) -> None:
    """One picture, named as the scene."""
    window.leave()
    window.open(place.address)
    window.resize(*SCREEN)
    scene(window, place)
    window.point_away()
    path = FOLDER / f"playground-{scene.__name__.strip('_')}.png"
    window.driver.save_screenshot(str(path))
    print(path.name, f"{path.stat().st_size // 1024} KB")


def _talk(place: Playground) -> None:
    """Some people talk in #general, and the bot has answered two of them."""
    place.do("switch", model_rate=400)
    place.say("U0CHLOE", "C0GENERAL", "Morning all! The new release goes out at *14:00*. :rocket:")
    code = place.say("U0ANA", "C0GENERAL", "@Bot write a Python function that cuts a list up")
    state = place.say("U0BEN", "C0GENERAL", QUESTION)
    for user in ("U0ANA", "U0BEN", "U0CHLOE"):
        place.do("react", user=user, channel="C0GENERAL", ts=code, name="raised_hands")
    for user in ("U0ANA", "U0DAN"):
        place.do("react", user=user, channel="C0GENERAL", ts=state, name="eyes")
    place.do("react", user="U0ANA", channel="C0GENERAL", ts=state, name="bulb")


def _light(window: Window, _: Playground) -> None:
    window.prefer("light")
    window.look_at("general")
    window.open_thread("cuts a list up")
    window.reply("python batches.py", by="Bot")
    window.until(lambda: window.texts("#messages .replies-button")[1:])
    window.gone("#messages .replies-status")
    window.run("document.querySelector('#thread-scroller').scrollTop = 0")


def _dark(window: Window, place: Playground) -> None:
    """An answer that is being written."""
    window.prefer("dark")
    window.look_at("general")
    window.open_thread("where should we keep")
    window.reply("is the place to start.", by="Bot")
    place.do("switch", model_rate=60)
    window.write("@Bot and if there are several replicas? Compare once more.", in_thread=True)
    window.until(lambda: window.all("#thread-messages .message:last-child tbody tr:nth-child(2)"))


def _phone(window: Window, _: Playground) -> None:
    window.resize(*PHONE)
    window.prefer("light")
    window.press("Open the side bar")
    window.look_at("general")
    window.open_thread("where should we keep")
    window.reply("is the place to start.", by="Bot")
    window.run("document.querySelector('#thread-scroller').scrollTop = 0")


def _wire(window: Window, place: Playground) -> None:
    """Twenty people have asked, and half of them are answered."""
    window.prefer("light")
    place.do("switch", model_rate=100)
    window.look_at("general")
    window.open_drawer()
    window.press("20 people ask at once")
    window.until(lambda: int(window.text("#crowd-summary").partition(" ")[0] or 0) >= 10, within=60)


def _inquiry(window: Window, _: Playground) -> None:
    """Somebody asks about a message of somebody else."""
    window.prefer("light")
    window.speak_as("Ana")
    window.look_at("general")
    window.message("The new release goes out at").act("Ask about this message")
    words = "What should I have ready by then? I look after the documentation."
    window.find("#modal textarea").send_keys(words)


def _budget(window: Window, place: Playground) -> None:
    """The admin has set some limits, and is about to set another."""
    window.resize(*TALL)
    window.prefer("light")
    window.speak_as("Chloe")
    window.look_at("random")
    window.write("/llm budget")
    _limit(window, "Everybody together", "40")
    _limit(window, "Each person who has no limit of their own", "15")
    window.choose(_field("whom"), "One channel")
    window.choose(_field("channel"), "general")
    window.find(_field("amount")).clear()


def _settings(window: Window, place: Playground) -> None:
    """Whoever made #random has set how the bot answers there."""
    window.resize(*TALL)
    window.prefer("light")
    window.speak_as("Ben")
    window.look_at("random")
    window.write("/llm settings")
    window.find(_setting("instructions")).send_keys(
        "This channel is for the release. Answer in three sentences at most, and link our handbook."
    )
    window.choose(_setting("model"), "local-model-large")
    window.find(_setting("temperature")).send_keys("0.2")
    window.press("Save")
    window.says("#modal-title", "Saved")
    window.press("Change again")
    window.says("#modal-title", "Channel settings")


def _usage(window: Window, place: Playground) -> None:
    """What the admin is shown."""
    window.resize(*TALL)
    window.prefer("light")
    window.speak_as("Chloe")
    window.press("Close", within="#modal")
    window.look_at("random")
    window.write("/llm usage")
    window.message("Usage of this workspace")
    window.run(TO_ITS_BEGINNING)


def _home(window: Window, place: Playground) -> None:
    window.resize(*TALL)
    window.prefer("dark")
    window.speak_as("Chloe")
    window.look_at("Bot")
    window.press("Home")
    window.says("#home-panel", "This month in this workspace")


def _limit(window: Window, whom: str, dollars: str) -> None:
    window.find("#modal")
    window.choose(_field("whom"), whom)
    amount = window.find(_field("amount"))
    amount.clear()
    amount.send_keys(dollars)
    window.press("Set this limit")
    window.until(lambda: f"${dollars}.00 a month." in window.text("#modal"))


def _setting(name: str) -> str:
    return f"#modal [data-action=channel_{name}]"


def _field(name: str) -> str:
    return f"#modal [data-action=budget_{name}]"


if __name__ == "__main__":
    sys.exit(main())
