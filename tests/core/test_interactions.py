"""What people do besides writing, from what Slack sends to our own values."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.interactions import (
    LONGEST,
    Command,
    Interaction,
    Opening,
    Press,
    Submission,
    Visit,
    interaction_from,
)

USER = {"id": "UANA", "team_id": "T1"}
COMMAND = {
    "command": "/llm",
    "user_id": "UANA",
    "channel_id": "C1",
    "text": "usage 7d",
    "trigger_id": "1.2.x",
    "response_url": "https://hooks.slack.com/commands/1",
}
PRESS: dict[str, Any] = {
    "type": "block_actions",
    "user": USER,
    "channel": {"id": "C1"},
    "trigger_id": "1.2.x",
    "response_url": "https://hooks.slack.com/actions/1",
    "actions": [{"type": "button", "action_id": "usage_sheet", "value": "7d"}],
}
STATE = {
    "values": {
        "whom": {"whom": {"type": "static_select", "selected_option": {"value": "person"}}},
        "who": {"who": {"type": "users_select", "selected_user": "UBEN"}},
        "amount": {"amount": {"type": "plain_text_input", "value": "20"}},
        "empty": {"empty": {"type": "plain_text_input", "value": None}},
    }
}


def test_command_is_read() -> None:
    assert interaction_from(COMMAND) == Command(
        "UANA", "C1", "usage 7d", "1.2.x", "https://hooks.slack.com/commands/1"
    )


def test_press_in_a_message_is_read() -> None:
    assert interaction_from(PRESS) == Press(
        user="UANA",
        action_id="usage_sheet",
        value="7d",
        trigger_id="1.2.x",
        channel="C1",
        response_url="https://hooks.slack.com/actions/1",
    )


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ({"type": "static_select", "selected_option": {"value": "7d"}}, "7d"),
        ({"type": "overflow", "selected_option": {"value": "remove"}}, "remove"),
        ({"type": "users_select", "selected_user": "UBEN"}, "UBEN"),
        ({"type": "conversations_select", "selected_conversation": "C2"}, "C2"),
        ({"type": "channels_select", "selected_channel": "C2"}, "C2"),
        ({"type": "static_select", "selected_option": None}, ""),
        ({"type": "button"}, ""),
    ],
)
def test_what_is_chosen_is_the_value(element: dict[str, Any], value: str) -> None:
    press = interaction_from({**PRESS, "actions": [{"action_id": "a", **element}]})

    assert isinstance(press, Press)
    assert press.value == value


def test_press_in_a_modal_comes_with_what_the_form_holds() -> None:
    view = {"id": "V1", "type": "modal", "state": STATE}

    press = interaction_from({**PRESS, "view": view, "channel": None, "response_url": None})

    assert isinstance(press, Press)
    assert (press.view_id, press.is_home, press.channel) == ("V1", False, "")
    assert press.entered == {"whom": "person", "who": "UBEN", "amount": "20"}


def test_form_is_read() -> None:
    view = {"id": "V1", "callback_id": "budgets", "state": STATE, "private_metadata": "about"}

    submission = interaction_from({"type": "view_submission", "user": USER, "view": view})

    entered = {"whom": "person", "who": "UBEN", "amount": "20"}
    assert submission == Submission("UANA", "budgets", "V1", entered, "about")


def test_look_at_the_app_home_is_read() -> None:
    event = {"type": "app_home_opened", "user": "UANA", "tab": "home", "channel": "D1"}

    assert interaction_from({"type": "event_callback", "event": event}) == Visit("UANA")
    other = {**event, "tab": "messages"}
    assert interaction_from({"type": "event_callback", "event": other}) == Opening("UANA", "D1")
    away = {**event, "tab": "about"}
    assert interaction_from({"type": "event_callback", "event": away}) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "view_closed", "user": USER},
        {**COMMAND, "user_id": None},
        {**COMMAND, "user_id": "<@UEVE>"},
        {**PRESS, "user": None},
        {**PRESS, "user": {"id": ["UANA"]}},
        {**PRESS, "actions": []},
        {**PRESS, "actions": ["x"]},
        {**PRESS, "actions": [{"type": "button"}]},
        {"type": "view_submission", "user": USER, "view": None},
        {"type": "view_submission", "user": USER, "view": {"callback_id": 7}},
        {"type": "event_callback", "event": None},
    ],
)
def test_what_cannot_be_read_is_nothing(body: Mapping[str, Any]) -> None:
    assert interaction_from(body) is None


def test_values_are_cut_to_a_bound() -> None:
    command = interaction_from({**COMMAND, "text": "x" * 100_000})

    assert isinstance(command, Command)
    assert len(command.text) == LONGEST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "user", "view", "state", "values", "actions", "action_id", "value", "a"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, JSON, st.sampled_from(["block_actions", "view_submission", "event_callback"]))
def test_no_payload_is_too_odd(user: Any, actions: Any, view: Any, kind: str) -> None:
    body = {"type": kind, "user": user, "actions": actions, "view": view, "event": view}

    found = interaction_from(body)

    assert found is None or isinstance(found, Interaction)
