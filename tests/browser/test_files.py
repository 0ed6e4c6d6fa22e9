"""People attach files on the page, and the real bot reads them."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests import sample_files
from tests.browser.conftest import Windows
from tests.browser.playground import Playground
from tests.browser.test_asking import assert_harmless
from tests.browser.window import Window

# A file dragged from the desktop, or pasted, as far as a page can tell.
DROP = """const carried = new DataTransfer();
carried.items.add(new File([arguments[1]], arguments[2], { type: "text/plain" }));
const [type, key] = arguments[3];
const event = new Event(type, { bubbles: true, cancelable: true });
event[key] = carried;
document.querySelector(arguments[0]).dispatchEvent(event);
return event.defaultPrevented;"""


@pytest.fixture
def ana(real: Playground, windows: Windows) -> Window:
    real.do("switch", model_rate=400, latency=0.0)
    window = windows.open(real.address)
    window.says("#bot-state", "is connected", within=30)
    window.look_at("Bot")
    return window


def choose(window: Window, *paths: Path, composer: str = "#composer") -> None:
    """Chooses files in the browser's own dialog."""
    field = window.driver.find_element(By.CSS_SELECTOR, f"{composer} input[type=file]")
    field.send_keys("\n".join(map(str, paths)))


def chips(window: Window) -> list[str]:
    return window.texts("#composer .attachment-chip")


def test_image_is_attached_shown_and_seen(ana: Window, real: Playground, tmp_path: Path) -> None:
    picture = tmp_path / "cat & dog.png"
    picture.write_bytes(sample_files.image(640, 480))

    choose(ana, picture)
    ana.says("#composer .attachments", "cat & dog.png")
    ana.write("What is this?")

    message = ana.message("What is this?")
    assert "File: cat & dog.png" in message.words
    ana.until(
        lambda: (
            ana.run(
                "return document.querySelector(arguments[0])?.naturalWidth", f"{message.css} img"
            )
            == 640
        )
    )
    assert chips(ana) == []
    ana.reply("image/png, 640 × 480 pixels", by="Bot")
    assert_harmless(ana, real.address)


def test_file_alone_can_be_sent_and_taken_away_before(ana: Window, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"[[say I read {name}.]]")
    choose(ana, tmp_path / "one.txt", tmp_path / "two.txt")
    ana.until(lambda: len(chips(ana)) == 2)

    ana.press("Remove one.txt", within="#composer")
    ana.until(lambda: chips(ana) == ["two.txt 23 bytes"])
    ana.press("Send", within="#composer")

    ana.reply("I read two.txt.", by="Bot")
    assert chips(ana) == []


@pytest.mark.parametrize(
    ("place", "event"),
    [("#messages", ["drop", "dataTransfer"]), ("#composer-text", ["paste", "clipboardData"])],
)
def test_file_can_be_dropped_and_pasted(ana: Window, place: str, event: list[str]) -> None:
    name = f"{event[0]}ped.txt"

    assert ana.run(DROP, place, f"[[say It came by {event[0]}.]]", name, event) is True
    ana.says("#composer .attachments", name)
    ana.press("Send", within="#composer")

    ana.reply(f"It came by {event[0]}.", by="Bot")


def test_files_wait_where_they_were_attached(ana: Window, tmp_path: Path) -> None:
    (tmp_path / "plan.txt").write_text("the plan")
    choose(ana, tmp_path / "plan.txt")
    ana.says("#composer .attachments", "plan.txt")

    ana.look_at("random")
    assert chips(ana) == []
    ana.look_at("Bot")
    assert chips(ana) == ["plan.txt 8 bytes"]

    ana.press("Remove plan.txt", within="#composer")
    ana.gone("#composer .attachments")


def test_too_large_a_file_is_said_and_not_lost(ana: Window, tmp_path: Path) -> None:
    (tmp_path / "huge.bin").write_bytes(bytes(33 * 1024 * 1024))
    choose(ana, tmp_path / "huge.bin")
    ana.draft("Look")
    ana.press("Send", within="#composer")

    ana.says("#toasts", "A file may have 32 MiB.")
    assert chips(ana) == ["huge.bin 34.6 MB"]
    assert ana.drafted() == "Look"

    ana.press("Remove huge.bin", within="#composer")
