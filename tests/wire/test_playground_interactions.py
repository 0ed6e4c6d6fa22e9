"""What people do with buttons, menus and modals reaches a real Bolt app, and its answers them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.slack import LocalSlack
from bot.playground.slack.screen import StillSubmitting
from bot.playground.slack.workspace import Change
from tests.wire.conftest import Clock

HASTY = (0.1, 0.0, 0.0, 0.0)  # seconds to wait for an ack, and pauses; Slack's are 3 s and minutes

Payload = dict[str, Any]


class Seen:
    """The payloads that the app's listeners were given."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    async def __call__(self, ack: AsyncAck, body: Payload) -> None:
        self.payloads.append(body)
        await ack()

    @property
    def action(self) -> Payload:
        (action,) = self.payloads[-1]["actions"]
        assert isinstance(action, dict)
        return action


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def app(slack: LocalSlack, client: AsyncWebClient, seen: Seen) -> AsyncIterator[AsyncApp]:
    app = AsyncApp(client=client, token=slack.bot_token)

    @app.command("/form")
    async def open_form(ack: AsyncAck, body: Payload) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form())

    app.action("act")(seen)
    app.shortcut("ask")(seen)
    app.event("app_home_opened")(seen)
    app.event("agent_session_stopped")(seen)
    handler = AsyncSocketModeHandler(app, slack.app_token, web_client=client)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.until(lambda: slack.connections)
    yield app
    await handler.close_async()  # type: ignore[no-untyped-call]


def plain(text: str) -> Payload:
    return {"type": "plain_text", "text": text}


def form(title: str = "Form", **more: Any) -> Payload:
    """A modal that asks for a name."""
    name = {"type": "plain_text_input", "action_id": "name", "initial_value": "Ana"}
    kind = {"type": "static_select", "action_id": "kind", "options": OPTIONS}
    return {
        "type": "modal",
        "callback_id": "form",
        "title": plain(title),
        "submit": plain("Save"),
        "private_metadata": "secret",
        "blocks": [
            {"type": "input", "block_id": "who", "label": plain("Name"), "element": name},
            {"type": "section", "block_id": "what", "text": plain("Kind"), "accessory": kind},
        ],
        **more,
    }


OPTIONS = [{"text": plain(name.title()), "value": name} for name in ("small", "large")]
NAMED = {"who": {"name": {"type": "plain_text_input", "value": "Ben"}}}


def titles(slack: LocalSlack, person: str = "U0ANA") -> list[str]:
    return [view["title"]["text"] for view in slack.workspace.modals.get(person, [])]


async def opened(slack: LocalSlack) -> str:
    """The id of a form that Ana opened with the app's slash command."""
    await slack.command("general", "Ana", "/form")
    await slack.until(lambda: titles(slack) == ["Form"])
    return str(slack.workspace.modals["U0ANA"][0]["id"])


async def post(client: AsyncWebClient, *elements: Payload) -> str:
    blocks = [
        {"type": "actions", "block_id": f"b{n}", "elements": [e]} for n, e in enumerate(elements)
    ]
    answer = await client.chat_postMessage(channel="C0GENERAL", text="x", blocks=blocks)
    return str(answer["ts"])


async def test_shortcut_hands_the_message_over_and_may_open_a_modal(
    slack: LocalSlack, app: AsyncApp, client: AsyncWebClient, seen: Seen
) -> None:
    channel = slack.add_channel("elsewhere", members=["Ana"], bot=False)
    ts = await slack.say(channel, "Ben", "Look.")

    await (await slack.shortcut(channel, "Ana", ts, "ask")).wait()

    (body,) = seen.payloads
    assert (body["type"], body["callback_id"]) == ("message_action", "ask")
    assert (body["user"]["id"], body["channel"]["id"]) == ("U0ANA", channel)
    assert (body["message"]["text"], body["message_ts"]) == ("Look.", ts)
    await client.views_open(trigger_id=body["trigger_id"], view=form())
    assert titles(slack) == ["Form"]
    with pytest.raises(KeyError):
        await slack.shortcut(channel, "Ana", "1.0", "ask")


# Elements of messages


@pytest.mark.parametrize(
    ("element", "selected", "said"),
    [
        ({"type": "overflow", "options": OPTIONS}, "large", {"selected_option": OPTIONS[1]}),
        ({"type": "static_select", "options": OPTIONS}, "small", {"selected_option": OPTIONS[0]}),
        (
            {"type": "static_select", "option_groups": [{"options": OPTIONS}]},
            "large",
            {"selected_option": OPTIONS[1]},
        ),
        ({"type": "radio_buttons", "options": OPTIONS}, "large", {"selected_option": OPTIONS[1]}),
        (
            {"type": "multi_static_select", "options": OPTIONS},
            ["small", "large"],
            {"selected_options": OPTIONS},
        ),
        ({"type": "checkboxes", "options": OPTIONS}, [], {"selected_options": []}),
        ({"type": "users_select"}, "U0BEN", {"selected_user": "U0BEN"}),
        ({"type": "multi_users_select"}, ["U0BEN"], {"selected_users": ["U0BEN"]}),
        (
            {"type": "conversations_select"},
            "C0RANDOM",
            {"selected_conversation": "C0RANDOM"},
        ),
        ({"type": "channels_select"}, "C0RANDOM", {"selected_channel": "C0RANDOM"}),
        ({"type": "datepicker"}, "2026-01-31", {"selected_date": "2026-01-31"}),
        ({"type": "timepicker"}, "12:30", {"selected_time": "12:30"}),
    ],
)
async def test_what_is_chosen_reaches_the_app(
    slack: LocalSlack,
    client: AsyncWebClient,
    app: AsyncApp,
    seen: Seen,
    element: Payload,
    selected: str | list[str],
    said: Payload,
) -> None:
    ts = await post(client, {**element, "action_id": "act"})

    await (await slack.act("general", "Ana", ts, "act", selected=selected)).wait()

    assert seen.action.items() >= {"type": element["type"], "action_id": "act", **said}.items()
    assert seen.payloads[0]["user"]["id"] == "U0ANA"


async def test_each_feedback_button_says_its_own_value(
    slack: LocalSlack, client: AsyncWebClient, app: AsyncApp, seen: Seen
) -> None:
    thumbs = {
        "type": "feedback_buttons",
        "action_id": "act",
        "positive_button": {"text": plain("Good"), "value": "good"},
        "negative_button": {"text": plain("Bad"), "value": "bad"},
    }
    blocks = [{"type": "context_actions", "elements": [thumbs]}]
    answer = await client.chat_postMessage(channel="C0GENERAL", text="x", blocks=blocks)

    await (await slack.click("general", "Ana", answer["ts"], "act", value="bad")).wait()

    assert seen.action["type"] == "feedback_buttons"
    assert (seen.action["value"], seen.action["text"]) == ("bad", plain("Bad"))


async def test_block_id_decides_among_elements_of_one_action(
    slack: LocalSlack, client: AsyncWebClient, app: AsyncApp, seen: Seen
) -> None:
    buttons = [{"type": "button", "action_id": "act", "text": plain(text)} for text in "AB"]
    ts = await post(client, *buttons)

    await (await slack.act("general", "Ana", ts, "act", block_id="b1")).wait()

    assert (seen.action["block_id"], seen.action["text"]) == ("b1", plain("B"))


async def test_earlier_choices_in_a_message_come_with_the_click(
    slack: LocalSlack, client: AsyncWebClient, app: AsyncApp, seen: Seen
) -> None:
    menu = {"type": "static_select", "action_id": "act", "options": OPTIONS}
    ts = await post(client, menu, {"type": "button", "action_id": "act", "text": plain("Go")})

    await (await slack.act("general", "Ana", ts, "act", selected="large")).wait()
    await (await slack.act("general", "Ana", ts, "act", block_id="b1")).wait()
    await (await slack.act("general", "Ben", ts, "act", block_id="b1")).wait()

    hers, his = (payload["state"]["values"]["b0"]["act"] for payload in seen.payloads[1:])
    assert hers == {"type": "static_select", "selected_option": OPTIONS[1]}
    assert his == {"type": "static_select", "selected_option": None}


async def test_element_that_is_not_there_is_named(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ts = await post(client, {"type": "overflow", "action_id": "act", "options": OPTIONS})

    for act in (
        slack.act("general", "Ana", ts, "other"),
        slack.act("general", "Ana", ts, "act", block_id="b9"),
        slack.act("general", "Ana", ts, "act", selected="huge"),
        slack.act("general", "Ana", "1.000001", "act"),
    ):
        with pytest.raises(KeyError, match=r"no (element|option|message)"):
            await act
    assert slack.deliveries == []


# Ephemeral messages


@pytest.mark.parametrize(
    ("answer", "left"),
    [({"replace_original": True, "text": "done"}, ["done"]), ({"delete_original": True}, [])],
)
async def test_ephemeral_message_may_be_replaced_and_deleted(
    slack: LocalSlack,
    client: AsyncWebClient,
    app: AsyncApp,
    answer: Payload,
    left: list[str],
) -> None:
    @app.action("finish")
    async def finish(ack: AsyncAck, respond: AsyncRespond) -> None:
        await ack()
        await respond(**answer)

    button = {"type": "button", "action_id": "finish", "text": plain("Done")}
    blocks = [{"type": "actions", "elements": [button]}]
    await client.chat_postEphemeral(channel="C0GENERAL", user="U0ANA", text="psst", blocks=blocks)
    (whispered,) = slack.ephemerals("general", "Ana")

    with pytest.raises(KeyError, match="ben sees no message"):
        await slack.click("general", "Ben", whispered["ts"], "finish")
    delivery = await slack.click("general", "Ana", whispered["ts"], "finish")
    await slack.until(lambda: [each["text"] for each in slack.ephemerals("general", "Ana")] == left)

    assert delivery.payload["container"]["is_ephemeral"]
    assert not any("blocks" in each for each in slack.ephemerals("general", "Ana"))


# Opening modals


async def test_command_opens_a_modal_for_its_person_only(slack: LocalSlack, app: AsyncApp) -> None:
    view_id = await opened(slack)

    (view,) = slack.workspace.modals["U0ANA"]
    assert titles(slack, "U0BEN") == []
    assert (view["root_view_id"], view["previous_view_id"]) == (view_id, None)
    assert view["state"]["values"]["who"]["name"]["value"] == "Ana"
    assert view["state"]["values"]["what"]["kind"]["selected_option"] is None


async def test_trigger_opens_one_view_within_three_seconds(
    slack: LocalSlack, client: AsyncWebClient, clock: Clock
) -> None:
    first, second = [
        (await slack.command("general", "Ana", "/form")).payload["trigger_id"] for _ in range(2)
    ]

    async def error(trigger_id: str, method: str = "views.open") -> str | None:
        answer = await client.api_call(method, json={"trigger_id": trigger_id, "view": form()})
        return str(answer["error"])

    clock.now = 3.0
    await client.views_open(trigger_id=first, view=form())
    clock.now = 3.1
    for trigger_id, why in [
        (first, "exchanged_trigger_id"),
        (second, "expired_trigger_id"),
        ("1.2.x", "invalid_trigger_id"),
    ]:
        for method in ("views.open", "views.push"):
            with pytest.raises(SlackApiError) as refusal:
                await error(trigger_id, method)
            assert refusal.value.response["error"] == why


async def test_stack_holds_three_modals(slack: LocalSlack, client: AsyncWebClient) -> None:
    async def push(method: str, title: str) -> Payload:
        trigger_id = (await slack.command("general", "Ana", "/x")).payload["trigger_id"]
        arguments = {"trigger_id": trigger_id, "view": form(title)}
        answer = await client.api_call(method, json=arguments)
        return dict(answer["view"])

    with pytest.raises(SlackApiError, match="not_found"):
        await push("views.push", "Nowhere")
    first, second, third = [
        await push("views.push" if number else "views.open", str(number)) for number in range(3)
    ]
    with pytest.raises(SlackApiError, match="push_limit_reached"):
        await push("views.push", "Fourth")

    assert titles(slack) == ["0", "1", "2"]
    assert (third["root_view_id"], third["previous_view_id"]) == (first["id"], second["id"])

    await push("views.open", "Alone")

    assert titles(slack) == ["Alone"]


@pytest.mark.parametrize(
    ("view", "error"),
    [
        ({"type": "home"}, "invalid_arguments"),
        ({"title": None}, "invalid_arguments"),
        ({"title": plain("x" * 25)}, "invalid_arguments"),
        ({"submit": None}, "invalid_arguments"),
        ({"blocks": [{"type": "poem"}]}, "invalid_blocks"),
        ({"private_metadata": "x" * 250_000}, "view_too_large"),
        ({"external_id": "taken"}, "duplicate_external_id"),
    ],
)
async def test_wrong_view_is_refused_and_leaves_the_trigger(
    slack: LocalSlack, client: AsyncWebClient, view: Payload, error: str
) -> None:
    taken = (await slack.command("general", "Ben", "/x")).payload["trigger_id"]
    await client.views_open(trigger_id=taken, view=form(external_id="taken"))
    trigger_id = (await slack.command("general", "Ana", "/x")).payload["trigger_id"]

    with pytest.raises(SlackApiError, match=error):
        await client.views_open(trigger_id=trigger_id, view={**form(), **view})

    await client.views_open(trigger_id=trigger_id, view=form())
    assert titles(slack) == ["Form"]


async def test_update_keeps_the_id_and_what_was_typed(
    slack: LocalSlack, app: AsyncApp, client: AsyncWebClient
) -> None:
    view_id = await opened(slack)
    await slack.act_in_view("Ana", view_id, "kind", selected="large", state=NAMED)
    (shown,) = slack.workspace.modals["U0ANA"]

    answer = await client.views_update(view_id=view_id, hash=shown["hash"], view=form("New"))
    with pytest.raises(SlackApiError, match="hash_conflict"):
        await client.views_update(view_id=view_id, hash=shown["hash"], view=form("Late"))

    (view,) = slack.workspace.modals["U0ANA"]
    assert titles(slack) == ["New"]
    assert view == answer["view"]
    assert view["id"] == view_id
    assert view["state"]["values"] == {
        "who": {"name": {"type": "plain_text_input", "value": "Ben"}},
        "what": {"kind": {"type": "static_select", "selected_option": OPTIONS[1]}},
    }


# Submitting and closing


def saves(app: AsyncApp, **ack_with: Any) -> list[Payload]:
    """Let the app acknowledge submissions of the form like this; returns what it is sent."""
    saved: list[Payload] = []

    @app.view("form")
    async def save(ack: AsyncAck, body: Payload) -> None:
        saved.append(body)
        await ack(**ack_with)

    return saved


async def test_acknowledged_submission_closes_the_modal(slack: LocalSlack, app: AsyncApp) -> None:
    saved = saves(app)
    view_id = await opened(slack)

    await slack.submit("Ana", view_id, NAMED)
    await slack.until(lambda: titles(slack) == [])

    view = saved[0]["view"]
    assert view["state"]["values"]["who"]["name"]["value"] == "Ben"
    assert view["state"]["values"]["what"]["kind"]["selected_option"] is None
    assert (view["id"], view["private_metadata"]) == (view_id, "secret")


async def test_errors_keep_the_modal_until_the_next_try(slack: LocalSlack, app: AsyncApp) -> None:
    saves(app, response_action="errors", errors={"who": "Too short."})
    view_id = await opened(slack)

    await slack.submit("Ana", view_id, NAMED)
    errors = await slack.until(lambda: slack.workspace.view_errors.get(view_id))

    (view,) = slack.workspace.modals["U0ANA"]
    assert errors == {"who": "Too short."}
    assert view["state"]["values"]["who"]["name"]["value"] == "Ben"

    await slack.submit("Ana", view_id, NAMED)

    assert slack.workspace.view_errors == {}


@pytest.mark.parametrize(
    ("action", "left"),
    [
        ({"response_action": "update", "view": form("Next")}, ["Form", "Next"]),
        ({"response_action": "push", "view": form("Next")}, ["Form", "Second", "Next"]),
        ({"response_action": "clear"}, []),
        ({}, ["Form"]),
    ],
)
async def test_app_decides_what_follows_a_submission(
    slack: LocalSlack, app: AsyncApp, client: AsyncWebClient, action: Payload, left: list[str]
) -> None:
    saves(app, **action)
    await opened(slack)
    trigger_id = (await slack.command("general", "Ana", "/other")).payload["trigger_id"]
    second = await client.views_push(trigger_id=trigger_id, view=form("Second"))

    await (await slack.submit("Ana", second["view"]["id"], NAMED)).wait()

    assert titles(slack) == left


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": True},
        {"response_action": "errors", "errors": {"nowhere": "No such block."}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "update", "view": {"type": "home"}},
        {"response_action": "dance"},
        ["text"],
    ],
)
async def test_answer_that_slack_does_not_understand_is_trouble(
    slack: LocalSlack, client: AsyncWebClient, answer: Any
) -> None:
    trigger_id = (await slack.command("general", "Ana", "/form")).payload["trigger_id"]
    view_id = (await client.views_open(trigger_id=trigger_id, view=form()))["view"]["id"]
    opened_at = await client.apps_connections_open(app_token=slack.app_token)

    async with aiohttp.ClientSession() as session, session.ws_connect(opened_at["url"]) as ws:
        await slack.submit("Ana", view_id, NAMED)
        async for frame in ws:
            envelope = frame.json()
            if envelope["type"] == "interactive":
                ack = {"envelope_id": envelope["envelope_id"], "payload": answer}
                await ws.send_json(ack)
                break
        errors = await slack.until(lambda: slack.workspace.view_errors.get(view_id))

    assert errors == {"": "We had some trouble connecting. Try again?"}
    assert titles(slack) == ["Form"]


@pytest.mark.parametrize("connected", [True, False])
async def test_unacknowledged_submission_keeps_the_modal(
    slack: LocalSlack, app: AsyncApp, connected: bool
) -> None:
    slack.redelivery_after = HASTY

    @app.view("form")
    async def forget() -> None:
        """Acknowledges nothing."""

    view_id = await opened(slack)
    if not connected:
        await slack.disconnect("link_disabled")
        slack.faults.refuse_sockets = True

    delivery = await slack.submit("Ana", view_id, NAMED)
    errors = await slack.until(lambda: slack.workspace.view_errors.get(view_id))

    assert errors == {"": "We had some trouble connecting. Try again?"}
    assert (titles(slack), delivery.gave_up) == (["Form"], True)


async def test_a_modal_is_submitted_once_at_a_time(slack: LocalSlack, app: AsyncApp) -> None:
    saved = saves(app, response_action="errors", errors={"who": "Too short."})
    view_id = await opened(slack)

    delivery = await slack.submit("Ana", view_id, NAMED)
    with pytest.raises(StillSubmitting):
        await slack.submit("Ana", view_id, NAMED)
    assert slack.is_submitting(view_id)
    await delivery.wait()

    assert not slack.is_submitting(view_id)
    assert len(saved) == 1
    await slack.submit("Ana", view_id, NAMED)


@pytest.mark.parametrize(
    "ack_with",
    [
        {},
        {"response_action": "clear"},
        {"response_action": "update", "view": form("Next")},
        {"response_action": "errors", "errors": {"who": "Too short."}},
        {"response_action": "nonsense"},
    ],
)
async def test_end_of_a_submission_is_told(
    slack: LocalSlack, app: AsyncApp, ack_with: Payload
) -> None:
    saves(app, **ack_with)
    view_id = await opened(slack)
    told = views_told(slack, view_id)
    delivery = await slack.submit("Ana", view_id, NAMED)
    await delivery.wait()

    assert True in told
    assert told[-1] is False


async def test_end_of_a_covered_modals_submission_is_told(slack: LocalSlack, app: AsyncApp) -> None:
    @app.view("form")
    async def cover(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await client.views_push(trigger_id=body["trigger_id"], view=form("More"))
        told.clear()
        await ack()

    view_id = await opened(slack)
    told = views_told(slack, view_id)
    delivery = await slack.submit("Ana", view_id, NAMED)
    await delivery.wait()

    assert (titles(slack), told) == (["Form", "More"], [False])


def views_told(slack: LocalSlack, view_id: str) -> list[bool]:
    """Whether the modal waits for an ack, whenever it is told that Ana's views changed."""
    told: list[bool] = []

    def listen(entry: object) -> None:
        if isinstance(entry, Change) and (entry.kind, entry.user) == ("view", "U0ANA"):
            told.append(slack.is_submitting(view_id))

    slack.listeners.append(listen)
    return told


async def test_late_ack_finds_a_closed_modal_closed(slack: LocalSlack, app: AsyncApp) -> None:
    saves(app, response_action="errors", errors={"who": "Too short."})
    view_id = await opened(slack)

    delivery = await slack.submit("Ana", view_id, NAMED)
    await slack.close_view("Ana", view_id)
    await delivery.wait()

    assert (titles(slack), slack.workspace.view_errors) == ([], {})


async def test_app_hears_of_a_closed_modal_only_if_it_wants(
    slack: LocalSlack, app: AsyncApp, client: AsyncWebClient, seen: Seen
) -> None:
    app.view_closed("form")(seen)
    quiet = await opened(slack)

    assert await slack.close_view("Ana", quiet) is None

    for title in ("One", "Two"):
        trigger_id = (await slack.command("general", "Ana", "/x")).payload["trigger_id"]
        opening = client.views_push if title == "Two" else client.views_open
        view = form(title, notify_on_close=True, clear_on_close=title == "Two")
        answer = await opening(trigger_id=trigger_id, view=view)
    closed = await slack.close_view("Ana", answer["view"]["id"])
    assert closed is not None
    await closed.wait()

    assert titles(slack) == []
    assert (seen.payloads[0]["type"], seen.payloads[0]["is_cleared"]) == ("view_closed", True)


async def test_modal_that_is_not_in_front_cannot_be_used(slack: LocalSlack, app: AsyncApp) -> None:
    view_id = await opened(slack)

    with pytest.raises(KeyError, match="ben has no modal"):
        await slack.submit("Ben", view_id, {})
    with pytest.raises(KeyError, match="ana has no modal V0"):
        await slack.close_view("Ana", "V0")
    with pytest.raises(ValueError, match="Expected `object`"):
        await slack.submit("Ana", view_id, {"who": []})  # type: ignore[dict-item]
    assert titles(slack) == ["Form"]


# App Home


async def test_home_is_acted_on_with_its_state(
    slack: LocalSlack, app: AsyncApp, client: AsyncWebClient, seen: Seen
) -> None:
    button = {"type": "button", "action_id": "act", "text": plain("Go"), "value": "v"}
    blocks = [*form()["blocks"], {"type": "actions", "elements": [button]}]
    before = await slack.open_home("Ana")
    answer = await client.views_publish(user_id="U0ANA", view={"type": "home", "blocks": blocks})
    after = await slack.open_home("Ana")
    view_id = answer["view"]["id"]

    await (await slack.act_in_view("Ana", view_id, "act", state=NAMED)).wait()

    assert "view" not in before.payload["event"]
    assert after.payload["event"]["view"]["id"] == view_id
    payload = seen.payloads[-1]
    assert payload["container"] == {"type": "view", "view_id": view_id}
    assert payload["view"]["state"]["values"]["who"] == NAMED["who"]
    assert seen.action["value"] == "v"

    again = await client.views_publish(user_id="U0ANA", view={"type": "home", "blocks": blocks})

    assert again["view"]["id"] == view_id
    assert slack.workspace.homes["U0ANA"]["state"]["values"]["who"] == NAMED["who"]


async def test_click_in_a_modal_may_push_another(slack: LocalSlack, app: AsyncApp) -> None:
    @app.action("kind")
    async def more(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await ack()
        await client.views_push(trigger_id=body["trigger_id"], view=form("More"))

    view_id = await opened(slack)

    await slack.act_in_view("Ana", view_id, "kind", selected="small")

    await slack.until(lambda: titles(slack) == ["Form", "More"])


# -- Slack's own stop control


async def test_app_hears_of_a_session_that_a_person_stops(
    slack: LocalSlack, client: AsyncWebClient, app: AsyncApp, seen: Seen
) -> None:
    dm = slack.dm("Ana")
    root = await slack.say(dm, "Ana", "why?")
    stream = await client.chat_startStream(channel=dm, thread_ts=root, markdown_text="Because")

    delivery = await slack.stop_session(dm, "Ana", root)
    await delivery.wait()

    event = seen.payloads[-1]["event"]
    assert event.pop("event_ts")
    assert event == {
        "type": "agent_session_stopped",
        "channel": dm,
        "thread_ts": root,
        "user": "U0ANA",
        "streaming_message_ts": [stream["ts"]],
    }
