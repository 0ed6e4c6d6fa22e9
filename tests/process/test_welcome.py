"""What people find in their direct messages with the bot, and what is off without its scope."""

import asyncio
from pathlib import Path

import pytest

from bot.features import FEATURES
from bot.playground.slack import Fault, LocalSlack
from bot.welcome import GREETING, PROMPTS
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")


def said(slack: LocalSlack, user: str) -> list[str]:
    return slack.screen(slack.dm(user))


async def look(slack: LocalSlack, user: str) -> None:
    """Somebody opens their direct messages; returns when the bot has suggested what to ask."""
    before = slack.count("assistant.threads.setSuggestedPrompts")
    await slack.open_home(user, tab="messages")
    await slack.until(lambda: slack.count("assistant.threads.setSuggestedPrompts") > before)


async def test_who_opens_the_direct_messages_is_told_once_what_the_bot_does(
    tmp_path: Path,
) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path):
            await look(slack, "Ana")
            await slack.until(lambda: said(slack, "Ana"))
            await look(slack, "Ana")
        async with running(slack, model.base_url, folder=tmp_path):  # after a restart
            await look(slack, "Ana")
            await look(slack, "Ben")
            await slack.until(lambda: said(slack, "Ben"))

        assert said(slack, "Ana") == said(slack, "Ben") == [GREETING]
        titles = [prompt["title"] for prompt in slack.prompts(slack.dm("Ana"))]
        assert titles == list(PROMPTS)


async def test_who_has_asked_before_is_not_told(stage: Stage) -> None:
    dm = stage.slack.dm("Chloe")
    ts = await stage.say("[[say Hi.]] hello", user="Chloe", channel=dm)
    await stage.whole(ts)

    await look(stage.slack, "Chloe")
    await look(stage.slack, "Chloe")  # the first is seen to by then

    assert said(stage.slack, "Chloe") == ["[[say Hi.]] hello"]


async def test_guests_are_not_told_to_ask(stage: Stage) -> None:
    guest = stage.slack.add_person("Gus", is_guest=True)

    await look(stage.slack, guest)
    await look(stage.slack, guest)

    assert said(stage.slack, guest) == []


async def test_greeting_that_slack_had_no_room_for_comes_another_time(tmp_path: Path) -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=tmp_path),
    ):
        slack.faults.add("chat.postMessage", Fault.refuse())
        await look(slack, "Ana")
        await slack.until(lambda: slack.count("chat.postMessage", refused=True))
        async with asyncio.timeout(10):
            while not said(slack, "Ana"):
                await look(slack, "Ana")
        await look(slack, "Ana")

        assert said(slack, "Ana") == [GREETING]


async def test_session_is_named_after_its_first_question(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    question = "[[say Ok.]] *What* did <@U0BEN> mean by “the plan”, and why does it matter so much?"
    before = stage.slack.count("agents.sessions.rename")
    ts = await stage.say(question, channel=dm)
    await stage.whole(ts)
    await stage.slack.until(lambda: stage.slack.title(dm, ts))
    await stage.say("[[say Ok.]] and then?", in_thread=ts)
    await stage.whole(ts, count=2)

    assert (
        stage.slack.title(dm, ts) == "[[say Ok.]] What did @Ben mean by “the plan”, and why does…"
    )
    assert stage.slack.count("agents.sessions.rename") == before + 1


async def test_workspace_without_titles_and_prompts_gets_its_answers(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        slack.scopes.remove("assistant:write")
        slack.faults.add("agents.sessions.rename", Fault.error("feature_not_enabled"), times=None)
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            await look(slack, "Ana")
            await slack.until(lambda: said(slack, "Ana"))
            ts = await stage.say("[[say Here.]] there?", channel=slack.dm("Ana"))
            assert (await stage.whole(ts)).startswith("Here.")
            await stage.say("[[say Still.]] and now?", channel=slack.dm("Ana"))

            assert slack.count("agents.sessions.rename") == 1


async def test_bot_answers_without_all_that_is_optional(tmp_path: Path) -> None:
    optional = {scope for feature in FEATURES for scope in feature.scopes}
    async with local_servers() as (slack, model):
        for scope in (*optional, "assistant:write", "reactions:write", "commands"):
            slack.scopes.remove(scope)
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            ts = await stage.ask("[[say Fine.]] how are you?")
            file = await stage.ask("[[say Blind.]] and this?", files={"a.txt": b"x"})
            assert await stage.whole(ts) == "Fine."
            assert (await stage.whole(file)).startswith("Blind.")
