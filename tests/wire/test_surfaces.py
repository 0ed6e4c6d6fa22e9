"""Modals, the App Home, private answers and files, through the real SDK to a local Slack."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks import home, modal, section
from bot.errors import AskerUnknown, RateLimited, SlackRefused, Unavailable
from bot.messages import Identity
from bot.people import Person
from bot.playground.slack import Fault, LocalSlack
from bot.playground.slack.blocks import visible_text
from bot.slack import SlackChat
from bot.surfaces import Surfaces
from bot.views import notice_message
from bot.web_api import connected

BOT = Identity(team="T0LOCAL", user="U0BOT", bot_id="B0BOT", name="bot")
HELLO = notice_message("Hello.")


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as slack:
        yield slack


@pytest.fixture
async def client(slack: LocalSlack) -> AsyncIterator[AsyncWebClient]:
    async with connected(slack.bot_token, api_url=slack.api_url) as client:
        yield client


@pytest.fixture
def surfaces(client: AsyncWebClient) -> Surfaces:
    return Surfaces(client)


@pytest.fixture
async def chat(client: AsyncWebClient) -> AsyncIterator[SlackChat]:
    chat = SlackChat(client, BOT)
    yield chat
    await chat.close()


async def command(slack: LocalSlack, *, channel: str = "general") -> dict[str, Any]:
    return (await slack.command(channel, "Ana", "/llm")).payload


# -- views


async def test_modal_is_opened_and_changed(slack: LocalSlack, surfaces: Surfaces) -> None:
    trigger_id = (await command(slack))["trigger_id"]

    view_id = await surfaces.open_modal(
        trigger_id, modal("Limits", [section("old")], callback_id="x")
    )
    await surfaces.update_modal(view_id, modal("Limits", [section("new")], callback_id="x"))

    (view,) = slack.workspace.modals["U0ANA"]
    assert visible_text(view) == "new"


async def test_modal_of_another_time_is_refused(surfaces: Surfaces) -> None:
    with pytest.raises(SlackRefused, match="invalid_trigger_id"):
        await surfaces.open_modal("1.2.x", modal("Limits", [section("x")], callback_id="x"))


async def test_home_is_published_for_its_person(slack: LocalSlack, surfaces: Surfaces) -> None:
    await surfaces.show_home("U0ANA", home([section("yours")]))

    assert visible_text(slack.workspace.homes["U0ANA"]) == "yours"
    assert "U0BEN" not in slack.workspace.homes


# -- private answers


async def test_command_is_answered_to_its_person_also_where_the_bot_is_not(
    slack: LocalSlack, surfaces: Surfaces
) -> None:
    place = slack.add_channel("secret", kind="private", members=["Ana", "Ben"], bot=False)
    url = (await command(slack, channel=place))["response_url"]

    await surfaces.respond(url, HELLO)

    assert [visible_text(each) for each in slack.ephemerals(place, "Ana")] == ["Hello."]
    assert slack.ephemerals(place, "Ben") == []
    assert slack.screen(place) == []


async def test_answer_is_replaced_by_the_next(slack: LocalSlack, surfaces: Surfaces) -> None:
    button = {"type": "button", "action_id": "x", "text": {"type": "plain_text", "text": "X"}}
    first = HELLO | {"blocks": [{"type": "actions", "elements": [button]}]}
    await surfaces.respond((await command(slack))["response_url"], first)
    (shown,) = slack.ephemerals("general", "Ana")
    press = await slack.click("general", "Ana", shown["ts"], "x")

    await surfaces.respond(press.payload["response_url"], HELLO, replaces=True)

    assert [visible_text(each) for each in slack.ephemerals("general", "Ana")] == ["Hello."]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://127.0.0.1:9/x",
        "https://example.com/x",
        "http://hooks.slack.com/x",
        "https://slack.com.example.com/x",
        "https://evilslack.com/x",
        "https://hooks.slack.com@example.com/x",
        "file:///etc/passwd",
    ],
)
async def test_nothing_is_answered_elsewhere(surfaces: Surfaces, url: str) -> None:
    with pytest.raises(SlackRefused, match="another host"):
        await surfaces.respond(url, HELLO)


async def test_address_that_is_used_up_is_a_refusal(slack: LocalSlack, surfaces: Surfaces) -> None:
    url = (await command(slack))["response_url"]

    with pytest.raises(SlackRefused, match="HTTP 404"):
        await surfaces.respond(f"{url}x", HELLO)


# -- direct messages and files


async def test_direct_message_needs_no_scope_to_open_one(
    slack: LocalSlack, surfaces: Surfaces, chat: SlackChat
) -> None:
    assert "im:write" not in slack.scopes

    channel, ts = await surfaces.direct("U0ANA", HELLO)
    await surfaces.reply(channel, ts, HELLO)
    await chat.tell("U0ANA", "Something else.")

    assert slack.screen(slack.dm("Ana")) == ["Hello.", "Something else."]
    assert slack.screen(channel, ts) == ["Hello."]


async def test_file_is_uploaded_into_its_thread(slack: LocalSlack, surfaces: Surfaces) -> None:
    channel, ts = await surfaces.direct("U0ANA", HELLO)

    await surfaces.upload(channel, ts, name="usage.csv", content="day,äöü\r\n".encode())

    (message,) = slack.thread(channel, ts)
    (file,) = message["files"]
    assert (file["name"], file["size"]) == ("usage.csv", 12)
    assert slack.workspace.uploads[file["id"]].content == "day,äöü\r\n".encode()


async def test_file_without_the_scope_is_refused(slack: LocalSlack, surfaces: Surfaces) -> None:
    channel, ts = await surfaces.direct("U0ANA", HELLO)
    slack.scopes.remove("files:write")

    with pytest.raises(SlackRefused, match="missing_scope"):
        await surfaces.upload(channel, ts, name="usage.csv", content=b"x")


@pytest.mark.parametrize(
    ("method", "fault", "error"),
    [
        ("views.publish", Fault.unavailable(), Unavailable),
        ("views.publish", Fault.rate_limited(), RateLimited),
        ("views.publish", Fault.lost_answer(), Unavailable),
    ],
)
async def test_slack_s_troubles_are_ours(
    slack: LocalSlack, surfaces: Surfaces, method: str, fault: Fault, error: type[Exception]
) -> None:
    slack.faults.add(method, fault)

    with pytest.raises(error):
        await surfaces.show_home("U0ANA", home([section("x")]))


# -- people


async def test_slack_tells_who_somebody_is(slack: LocalSlack, chat: SlackChat) -> None:
    assert await chat.person("U0ANA") == Person("U0ANA")
    assert await chat.person("U0CHLOE") == Person("U0CHLOE", is_admin=True)
    assert await chat.person("U0DAN") == Person("U0DAN", is_guest=True)


async def test_admin_of_another_organisation_is_a_stranger(
    slack: LocalSlack, chat: SlackChat
) -> None:
    eve = slack.add_person("Eve", team="T0OTHER", is_admin=True)

    assert await chat.person(eve) == Person(eve, is_external=True)


async def test_member_of_the_same_organisation_s_other_workspace_is_none(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    """As Slack tells of those in an Enterprise Grid."""
    from bot.slack import _person

    grid = Identity(team="T1", user="UBOT", bot_id="B1", name="bot", enterprise="E1")
    ours = {"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}
    theirs = {"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}

    assert not _person("U1", ours, grid).is_external
    assert _person("U1", theirs, grid).is_external
    assert _person("U1", ours, BOT).is_external
    assert _person("U1", {}, BOT).is_external


async def test_whoever_the_bot_may_not_see_is_a_stranger(chat: SlackChat) -> None:
    assert await chat.person("U0NOBODY") == Person("U0NOBODY", is_external=True)


async def test_without_the_scope_nobody_is_known(slack: LocalSlack, chat: SlackChat) -> None:
    slack.scopes.remove("users:read")

    with pytest.raises(AskerUnknown):
        await chat.person("U0ANA")


async def test_look_up_of_a_person_brings_the_name_along(
    slack: LocalSlack, chat: SlackChat
) -> None:
    await chat.person("U0ANA")

    assert await chat.names(["U0ANA"]) == {"U0ANA": "Ana"}
    assert slack.count("users.info") == 1


async def test_members_are_known_with_their_names(slack: LocalSlack, chat: SlackChat) -> None:
    slack.add_person("Eve", team="T0OTHER")

    members = await chat.members()

    assert members == [
        Person("U0ANA"),
        Person("U0BEN"),
        Person("U0CHLOE", is_admin=True),
        Person("U0DAN", is_guest=True),
    ]
    assert await chat.names(["U0ANA", "U0DAN"]) == {"U0ANA": "Ana", "U0DAN": "Dan"}
    assert slack.count("users.info") == 0


async def test_admins_are_found_on_all_pages(
    slack: LocalSlack, chat: SlackChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.MEMBERS_PAGE", 2)
    slack.add_person("Eve", team="T0OTHER", is_admin=True)
    zoe = slack.add_person("Zoe", is_admin=True)

    assert await chat.admins() == ["U0CHLOE", zoe]
    assert slack.count("users.list") == 3


# -- messages that are asked about, and direct messages


async def test_message_is_looked_at_where_the_bot_is_a_member(
    slack: LocalSlack, chat: SlackChat
) -> None:
    ts = await slack.say("general", "Ana", "Hi.")
    closed = slack.add_channel("closed", kind="private", members=["Ana"], bot=False)
    open_to_all = slack.add_channel("open", members=["Ana"], bot=False)

    await chat.look_at("C0GENERAL", ts)
    for channel, code in ((closed, "channel_not_found"), (open_to_all, "not_in_channel")):
        hidden = await slack.say(channel, "Ana", "Hi.")
        with pytest.raises(SlackRefused, match=code):
            await chat.look_at(channel, hidden)


async def test_message_has_a_link(slack: LocalSlack, chat: SlackChat) -> None:
    root = await slack.say("general", "Ana", "Hi.")
    reply = await slack.say("general", "Ben", "Ho.", thread_ts=root)

    link = await chat.permalink("C0GENERAL", reply)

    assert link == (
        f"https://local.slack.com/archives/C0GENERAL/p{reply.replace('.', '')}"
        f"?thread_ts={root}&cid=C0GENERAL"
    )
    with pytest.raises(SlackRefused, match="message_not_found"):
        await chat.permalink("C0GENERAL", "1.0")


async def test_questions_are_suggested_outside_of_threads(
    slack: LocalSlack, surfaces: Surfaces
) -> None:
    prompts = [{"title": "Explain", "message": "Explain it."}]

    await surfaces.suggest(slack.dm("Ana"), prompts)

    assert slack.prompts(slack.dm("Ana")) == prompts
    slack.scopes.remove("assistant:write")
    with pytest.raises(SlackRefused, match="missing_scope"):
        await surfaces.suggest(slack.dm("Ana"), prompts)


async def test_session_gets_its_title(slack: LocalSlack, surfaces: Surfaces) -> None:
    ts = await slack.say(slack.dm("Ana"), "Ana", "Why?")

    await surfaces.entitle(slack.dm("Ana"), ts, "Why?")

    assert slack.title(slack.dm("Ana"), ts) == "Why?"


async def test_what_a_form_carries_has_an_end(slack: LocalSlack, surfaces: Surfaces) -> None:
    view = modal("Limits", [section("x")], callback_id="x")

    await surfaces.open_modal(
        (await command(slack))["trigger_id"], view | {"private_metadata": "x" * 3_000}
    )
    with pytest.raises(SlackRefused, match="invalid_arguments"):
        await surfaces.open_modal(
            (await command(slack))["trigger_id"], view | {"private_metadata": "x" * 3_001}
        )


# -- who made a channel


async def test_who_made_a_channel_is_known(slack: LocalSlack, surfaces: Surfaces) -> None:
    places = {
        slack.add_channel("open", creator="Ben"): "U0BEN",
        slack.add_channel("secret", kind="private", creator="Ana"): "U0ANA",
        slack.add_channel("group", kind="mpim", creator="Ana"): "U0ANA",
        slack.add_channel("old"): None,
    }

    assert {place: await surfaces.creator(place) for place in places} == places


@pytest.mark.parametrize(
    ("kind", "scope"),
    [("channel", "channels:read"), ("private", "groups:read"), ("mpim", "mpim:read")],
)
async def test_who_made_a_channel_needs_a_scope(
    slack: LocalSlack, surfaces: Surfaces, kind: Any, scope: str
) -> None:
    place = slack.add_channel("some", kind=kind, creator="Ben")
    slack.scopes.remove(scope)

    with pytest.raises(SlackRefused) as caught:
        await surfaces.creator(place)

    assert caught.value.code == "missing_scope"


async def test_private_channel_without_the_bot_is_not_shown(
    slack: LocalSlack, surfaces: Surfaces
) -> None:
    place = slack.add_channel("secret", kind="private", creator="Ana", bot=False)

    with pytest.raises(SlackRefused) as caught:
        await surfaces.creator(place)

    assert caught.value.code == "channel_not_found"
