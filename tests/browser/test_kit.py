"""Block Kit in the browser: what an app shows can be pressed, chosen, filled in, and is told."""

import pytest
from selenium.webdriver import Keys

from tests.browser.conftest import Windows
from tests.browser.stage import Stage, actions, form, options, plain, section
from tests.browser.window import Window

TO_ANA = {"channel": "C0GENERAL", "user": "U0ANA"}


@pytest.fixture
def ana(kit: Stage, windows: Windows) -> Window:
    return windows.open(kit.address)


def told(window: Window, words: str) -> None:
    """The app tells in #random what it was sent."""
    window.look_at("random")
    window.message(words)


def test_a_button_sends_its_value(kit: Stage, ana: Window) -> None:
    button = {"type": "button", "action_id": "go", "text": plain("Go on"), "value": "v1"}
    kit.post(section("Shall I?"), actions({**button, "style": "primary"}))

    ana.press("Go on")

    told(ana, "ana did go: v1")


def test_a_button_that_asks_first_does_nothing_until_one_agrees(kit: Stage, ana: Window) -> None:
    confirm = {
        "title": plain("Really?"),
        "text": plain("It cannot be undone."),
        "confirm": plain("Do it"),
        "deny": plain("Rather not"),
    }
    button = {"type": "button", "action_id": "drop", "text": plain("Drop"), "value": "all"}
    kit.post(actions({**button, "style": "danger", "confirm": confirm}))

    ana.press("Drop")
    ana.says("#confirm", "It cannot be undone.")
    ana.press("Rather not")
    ana.gone("#confirm")
    ana.open_drawer()
    assert "block_actions drop" not in ana.text("#log")

    ana.press("Drop")
    ana.press("Do it")

    told(ana, "ana did drop: all")


def test_an_overflow_menu_sends_what_was_taken(kit: Stage, ana: Window) -> None:
    menu = {"type": "overflow", "action_id": "more", "options": options("copy", "share")}
    kit.post(section("With a menu", accessory=menu))

    ana.press("More actions")
    ana.press("Share")

    told(ana, "ana did more: share")


def test_feedback_is_given_by_a_thumb(kit: Stage, ana: Window) -> None:
    thumbs = {
        "type": "feedback_buttons",
        "action_id": "feedback",
        "positive_button": {"text": plain("Good response"), "value": "good"},
        "negative_button": {"text": plain("Bad response"), "value": "bad"},
    }
    kit.post(section("An answer"), {"type": "context_actions", "elements": [thumbs]})

    ana.press("Bad response")

    told(ana, "ana did feedback: bad")


def test_what_is_chosen_in_a_list_is_sent_at_once(kit: Stage, ana: Window) -> None:
    sizes = {"type": "static_select", "action_id": "size", "options": options("small", "large")}
    people = {"type": "users_select", "action_id": "person"}
    boxes = {"type": "checkboxes", "action_id": "boxes", "options": options("one", "two")}
    kit.post(actions(sizes), actions(people), actions(boxes))

    ana.choose("select[data-action=size]", "Large")
    ana.choose("select[data-action=person]", "Ben")
    ana.find("input[data-action=boxes][value=two]").click()

    told(ana, "ana did size: large")
    told(ana, "ana did person: U0BEN")
    told(ana, "ana did boxes: two")


def test_a_form_is_opened_by_a_command_changed_by_the_app_and_taken(
    kit: Stage, ana: Window
) -> None:
    ana.write("/form A table")
    ana.says("#modal-title", "A table")
    ana.choose("#modal select", "Small")  # the app is told at once, and answers late
    ana.find("#modal input").send_keys("Zoe")
    view = ana.find("#modal-body").get_attribute("data-view")
    kit.call("views.update", view_id=view, view=form("A small table"))
    ana.says("#modal-title", "A small table")
    assert (ana.focus_name, ana.focus.get_property("value")) == ("Name", "Zoe")
    ana.press("Save")
    ana.gone("#modal")

    told(ana, "Zoe wants a small one")


def test_a_wrong_input_is_named_beside_it_and_can_be_put_right(ana: Window) -> None:
    ana.write("/form")
    ana.press("Save")
    ana.says("#modal", "Please fill out this field.")

    ana.choose("#modal select", "Small")
    ana.find("#modal input").send_keys("nobody", Keys.ENTER)

    ana.says("#modal .input .error", "That is no name.")
    wrong = ana.find("#modal input")
    assert wrong.get_attribute("aria-invalid") == "true"
    assert ana.text(f"#{wrong.get_attribute('aria-describedby')}") == "That is no name."
    assert (ana.focus, wrong.get_property("value")) == (wrong, "nobody")

    wrong.clear()
    wrong.send_keys("again", Keys.ENTER)
    ana.says("#modal-title", "Once more")
    ana.keys(Keys.ESCAPE)
    ana.gone("#modal")


def test_a_command_is_suggested_and_an_unknown_one_is_refused(ana: Window) -> None:
    ana.draft("/fo")
    ana.says("#composer .suggestions", "Opens a form")
    ana.keys(Keys.TAB)
    assert ana.drafted() == "/form "

    ana.replace("/nothing")
    ana.keys(Keys.ENTER)

    ana.says("#toasts", "/nothing is not a valid command.")
    assert ana.drafted() == "/nothing"


def test_an_ephemeral_message_is_seen_by_its_reader_only(
    kit: Stage, ana: Window, windows: Windows
) -> None:
    ben = windows.open(kit.address, speaker="Ben")
    ana.write("/whisper")
    kit.call("chat.postEphemeral", **TO_ANA, text="For her eyes only")
    kit.post(section("For all"))

    ana.message("Between us.")
    ana.message("For her eyes only")
    ben.message("For all")

    assert "Only visible to you" in ana.text("#messages .ephemeral .note")
    assert not any("eyes" in words or "us." in words for words in ben.messages())


def test_the_home_of_the_app_is_published_and_acted_on(ana: Window) -> None:
    ana.look_at("Bot")
    ana.press("Home")
    ana.says("#home-panel", "Welcome home")
    ana.press("Press me")

    told(ana, "ana did home: home")


def test_the_home_is_asked_for_again_after_a_reload(kit: Stage, ana: Window) -> None:
    ana.look_at("Bot")
    ana.press("Home")
    ana.says("#home-panel", "Welcome home")
    old = {"type": "home", "blocks": [section("Of yesterday")]}
    kit.call("views.publish", user_id="U0ANA", view=old)
    ana.says("#home-panel", "Of yesterday")

    ana.reload()

    ana.says("#home-panel", "Welcome home")


def test_a_suggested_prompt_fills_the_message_box(kit: Stage, ana: Window) -> None:
    root = kit.say("Ana", "D0ANA", "What can you do?")
    prompts = [{"title": "Sum up", "message": "Please sum this up."}]
    thread = {"channel_id": "D0ANA", "thread_ts": root}
    kit.call("assistant.threads.setSuggestedPrompts", **thread, title="Try", prompts=prompts)
    ana.look_at("Bot")
    ana.open_thread("What can you do?")

    ana.press("Sum up")

    assert ana.drafted(in_thread=True) == "Please sum this up."


def test_a_status_line_comes_with_its_words_and_goes(kit: Stage, ana: Window) -> None:
    root = kit.say("Ana", "general", "Are you there?")
    thread = {"channel_id": "C0GENERAL", "thread_ts": root}
    ana.open_thread("Are you there?")

    words = ["Reading the files"]
    kit.call(
        "assistant.threads.setStatus", **thread, status="is thinking...", loading_messages=words
    )
    ana.says("#status-line", "Bot is thinking")
    ana.says("#status-line", "Reading the files")

    kit.call("assistant.threads.setStatus", **thread, status="")
    ana.gone("#status-line")


def test_a_stream_grows_before_ones_eyes_and_slack_s_control_stops_it(
    kit: Stage, ana: Window
) -> None:
    root = kit.say("Ana", "general", "Tell me of the sea.")
    where = {"channel": "C0GENERAL", "thread_ts": root}
    reader = {"recipient_user_id": "U0ANA", "recipient_team_id": "T0LOCAL"}
    ts = kit.call("chat.startStream", **where, **reader, markdown_text="It is ")["ts"]
    ana.message("Tell me of the sea.").act("Reply in thread")
    ana.says("#status-line", "is streaming its answer")

    kit.call("chat.appendStream", channel="C0GENERAL", ts=ts, markdown_text="**salty**")
    ana.says("#thread-messages .streaming", "It is salty")
    ana.press("Stop", within="#status-line")
    kit.run(kit.slack.until(lambda: kit.slack.workspace.streams["C0GENERAL", ts].is_stopped))
    kit.call("chat.stopStream", channel="C0GENERAL", ts=ts, markdown_text=" and wide.")

    ana.says("#thread-messages", "It is salty and wide.")
    ana.gone("#thread-messages .streaming")
    ana.gone("#status-line")
