"""A window of the page, and what a person sees and does in it. All of it waits; nothing sleeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 15.0  # seconds, on a machine under load
LOOKS_EVERY = 0.05  # seconds

NOWHERE = "about:blank"
VANISHED = (NoSuchElementException, StaleElementReferenceException)

# One question to the browser for all of them: each costs some milliseconds.
SHOWN = """[...document.querySelectorAll(arguments[0])]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))"""
# The ts, the writer and the words of each message in a pane.
READ = """return [...document.querySelectorAll(`${arguments[0]} .message`)].map((one) => [
  one.dataset.ts,
  one.querySelector(".name").textContent,
  one.querySelector(".message-body").innerText.replace(/\\s*\\(edited\\)$/, ""),
])"""

# Ends what a person has begun in a window.
TIDY = """for (const open of document.querySelectorAll('dialog[open]')) open.close();
for (const box of document.querySelectorAll('.composer-text')) {
  box.value = '';
  box.dispatchEvent(new Event('input'));
}
for (const id of ['thread', 'drawer']) {
  if (!document.getElementById(id).hidden) document.getElementById(`${id}-close`).click();
}
document.activeElement.blur();"""

Found = TypeVar("Found")


class Window:
    """One window; several of the same browser see the page at the same time."""

    def __init__(self, driver: WebDriver) -> None:
        self._driver = driver
        driver.switch_to.new_window("window")
        self._handle = driver.current_window_handle
        self._is_emulated = False
        self.address = NOWHERE

    @property
    def driver(self) -> WebDriver:
        """The browser, with this window in front."""
        self._driver.switch_to.window(self._handle)
        return self._driver

    def open(self, address: str) -> None:
        self.driver.get(address)
        self.address = address
        self.until(lambda: self.speaker)

    def tidy(self) -> None:
        """Back to a channel on the screen of a computer, with nothing begun."""
        self._forget_the_screen()
        self.run(TIDY)

    def leave(self) -> None:
        """Looks at nothing, and forgets."""
        self._forget_the_screen()
        if self.address != NOWHERE:
            self.run("sessionStorage.clear(); localStorage.clear()")
            self.driver.get(NOWHERE)
        self.address = NOWHERE

    def reload(self) -> None:
        self.driver.refresh()
        self.until(lambda: self.speaker)

    def resize(self, width: int, height: int) -> None:
        """The page gets exactly so many pixels, as on a screen of that size."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self._is_emulated = True

    def prefer(self, scheme: str) -> None:
        """What the person's system prefers: ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self._is_emulated = True

    def point_away(self) -> None:
        """The mouse points at nothing that reacts."""
        corner = {"type": "mouseMoved", "x": 1, "y": 1}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", corner)

    # Looking

    def until(self, seen: Callable[[], Found | None], *, within: float = PATIENCE) -> Found:
        """Waits until something is seen, and returns it."""
        wait = WebDriverWait(self.driver, within, LOOKS_EVERY, ignored_exceptions=VANISHED)
        found = wait.until(lambda _: seen(), f"In the window of {self.speaker}, in {self.place}.")
        assert found
        return found

    def all(self, css: str) -> list[WebElement]:
        """What is shown of it now."""
        return list(self.run(f"return {SHOWN}", css))

    def find(self, css: str) -> WebElement:
        """The first of it that is shown."""
        return self.until(lambda: next(iter(self.all(css)), None))

    def text(self, css: str) -> str:
        """The words that are shown there now; none when it is not there."""
        return " ".join(self.texts(css))

    def texts(self, css: str) -> list[str]:
        """The words of each that is shown, on one line."""
        words = "one.innerText.replaceAll(/\\s+/g, ' ').trim()"
        return list(self.run(f"return {SHOWN}.map((one) => {words})", css))

    def says(self, css: str, words: str, *, within: float = PATIENCE) -> None:
        """Waits for words."""
        self.until(lambda: words in self.text(css), within=within)

    def gone(self, css: str, *, within: float = PATIENCE) -> None:
        """Waits for the end of it."""
        self.until(lambda: not self.all(css), within=within)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def speaker(self) -> str:
        return self.text("#speak-as .speak-as-name").removeprefix("You speak as").strip()

    @property
    def place(self) -> str:
        """The channel that one looks at."""
        return self.text("#channel-name .pane-name")

    @property
    def focus(self) -> WebElement:
        return self.driver.switch_to.active_element

    @property
    def focus_name(self) -> str:
        return str(self.focus.accessible_name)

    # Doing

    def press(self, name: str, *, within: str = "body") -> None:
        """Presses the button of that name."""
        self._click(f"{within} :is(button, summary, a.button)", name)

    def keys(self, *keys: str) -> None:
        """Presses keys, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def replace(self, text: str) -> None:
        """Types over all that stands in the box with the focus."""
        actions = ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("a")
        actions.key_up(Keys.CONTROL).send_keys(text).perform()

    def choose(self, css: str, option: str) -> None:
        """Chooses in a list what reads so."""
        Select(self.find(css)).select_by_visible_text(option)

    def speak_as(self, name: str) -> None:
        self.find("#speak-as").click()
        self._click("#speak-as-menu .menu-name", name)
        self.until(lambda: self.speaker.startswith(name))

    def look_at(self, channel: str) -> None:
        """Opens a channel; the bot's name is that of the direct messages with it."""
        self._click("#sections .entry-name", channel)
        self.until(lambda: self.place == channel)

    def write(self, text: str, *, in_thread: bool = False) -> None:
        """Types a message and sends it."""
        self.draft(text, in_thread=in_thread)
        self.keys(Keys.ENTER)
        box = _box(in_thread=in_thread)
        self.until(lambda: not self.find(box).get_property("value"))

    def draft(self, text: str, *, in_thread: bool = False) -> None:
        """Types without sending it."""
        self.find(_box(in_thread=in_thread)).click()
        self.keys(text)

    def drafted(self, *, in_thread: bool = False) -> str:
        return str(self.find(_box(in_thread=in_thread)).get_property("value"))

    def open_thread(self, text: str) -> None:
        """Opens the thread of a message with such words."""
        self.message(text).act("Reply in thread")
        self.find("#thread")

    def open_drawer(self) -> None:
        self.find("#wire-toggle").click()
        self.find("#drawer")

    def _forget_the_screen(self) -> None:
        if self._is_emulated:
            for command in ("Emulation.clearDeviceMetricsOverride", "Emulation.setEmulatedMedia"):
                self.driver.execute_cdp_cmd(command, {})
        self._is_emulated = False

    # Messages

    def message(self, text: str, *, by: str = "") -> "Message":
        """The newest message of the channel with such words."""
        return self._message("#messages", text, by)

    def reply(self, text: str, *, by: str = "") -> "Message":
        """The newest message of the open thread with such words."""
        return self._message("#thread-messages", text, by)

    def messages(self) -> list[str]:
        """The words of the channel's messages."""
        return self._bodies("#messages")

    def thread(self) -> list[str]:
        """The words of the open thread's messages."""
        return self._bodies("#thread-messages")

    def _bodies(self, pane: str) -> list[str]:
        return [text.removesuffix(" (edited)") for text in self.texts(f"{pane} .message-body")]

    def _message(self, pane: str, text: str, by: str) -> "Message":
        def find() -> Message | None:
            found = [ts for ts, name, words in self.run(READ, pane) if text in words and by in name]
            return Message(self, pane, found[-1]) if found else None

        return self.until(find)

    def _click(self, css: str, name: str) -> None:
        """Clicks on what is called so: by its label for screen readers, or else by its words."""

        def click() -> bool:
            script = f"""return {SHOWN}.find((one) =>
              (one.ariaLabel ?? one.innerText).trim() === arguments[1])"""
            found = self.run(script, css, name)
            if found:
                found.click()
            return bool(found)

        self.until(click)


@dataclass(frozen=True)
class Message:
    """A message in a pane of a window, wherever it stands after a change."""

    window: Window
    pane: str
    ts: str

    @property
    def css(self) -> str:
        return f'{self.pane} .message[data-ts="{self.ts}"]'

    @property
    def words(self) -> str:
        return self.window.text(f"{self.css} .message-body").removesuffix(" (edited)")

    @property
    def is_edited(self) -> bool:
        return self.window.text(f"{self.css} .edited") == "(edited)"

    @property
    def reactions(self) -> dict[str, int]:
        """How many people reacted, by the character."""
        pills = self.window.texts(f"{self.css} .reaction")
        return {sign: int(count) for sign, count in map(str.split, pills)}

    def act(self, action: str) -> None:
        """Presses one of the buttons that come when one points at the message."""
        element = self.window.find(self.css)
        row = element.find_element(By.CLASS_NAME, "message-row")
        ActionChains(self.window.driver).move_to_element(row).perform()
        self.window.press(action, within=f"{self.css} .toolbar")

    def edit(self, text: str) -> None:
        self.act("Edit message")
        self.window.find(f"{self.css} .edit-text")
        self.window.replace(text)
        self.window.keys(Keys.ENTER)
        self.window.gone(f"{self.css} .edit-text")

    def delete(self) -> None:
        self.act("Delete message")
        self.window.press("Delete", within="#confirm")
        self.window.gone("#confirm")

    def react(self, name: str) -> None:
        """Takes an emoji of the list."""
        self.act("Add a reaction")
        self.window.press(f":{name}:", within="#emoji")


def _box(*, in_thread: bool) -> str:
    return "#thread-text" if in_thread else "#composer-text"
