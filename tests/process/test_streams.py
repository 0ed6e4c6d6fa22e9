"""Answers that grow as Slack's native streams, through the real process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.playground.model.answers import prose
from bot.playground.slack import Fault, streams
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

STREAM = ("chat.startStream", "chat.appendStream", "chat.stopStream")
GROWING = "[[rate 40]] [[tokens 200]]"


@asynccontextmanager
async def staged(folder: Path, *, lane: str = "native") -> AsyncIterator[Stage]:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=folder, SLACK_STREAMING=lane) as bot,
    ):
        yield Stage(slack, model, bot)
        assert bot.process.returncode is None, bot.log


def methods(stage: Stage, ts: str) -> list[str]:
    """The calls that showed the reply in a thread, in their order."""
    own = {message["ts"] for message in stage.thread(ts)}
    shows = ("chat.postMessage", "chat.update", "chat.delete", *STREAM)
    return [
        call.method.removeprefix("chat.")
        for call in stage.slack.calls
        if call.method in shows and (call.args.get("thread_ts") == ts or call.args.get("ts") in own)
    ]


async def growing(stage: Stage, ts: str, *, words: int = 20) -> dict[str, Any]:
    """The message of the reply once so many words stand there."""
    await stage.slack.until(lambda: len(" ".join(stage.replies(ts)).split()) >= words)
    [message] = [each for each in stage.thread(ts) if each["user"] == stage.slack.bot_user_id]
    return dict(message)


@pytest.fixture
def short_lived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack ends streams after two seconds, not five minutes."""
    monkeypatch.setattr(streams, "LONGEST_STREAM", 2.0)


async def test_a_mention_is_answered_by_a_stream_that_grows_for_everybody(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.ask(GROWING)
        message = await growing(stage, ts)
        text = await stage.whole(ts)

        assert "metadata" not in message
        assert text.split() == "".join(prose(200)).split()
        called = methods(stage, ts)
        assert called[0] == "startStream"
        assert called[-1] == "stopStream"
        assert called.count("appendStream") == len(called) - 2 >= 3
        [start] = [call for call in stage.slack.calls if call.method == "chat.startStream"]
        assert start.args["recipient_user_id"] == stage.slack.person("Ana").id


async def test_a_direct_message_is_answered_by_a_stream(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.say(GROWING, channel=stage.slack.dm("Ana"))
        text = await stage.whole(ts)

        assert methods(stage, ts)[0] == "startStream"
        assert "".join(prose(200)).split() == text.split()[: len("".join(prose(200)).split())]


async def test_a_stream_that_slack_ends_goes_on_in_the_same_message(
    tmp_path: Path, short_lived: None
) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.ask(GROWING)
        text = await stage.whole(ts)

        assert text.split() == "".join(prose(200)).split()
        assert len(stage.replies(ts)) == 1
        assert methods(stage, ts)[-1] == "update"
        assert not stage.slack.workspace.streams


async def test_a_long_answer_goes_on_in_the_next_stream(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.ask("[[rate 2000]] [[tokens 4000]]")
        text = await stage.whole(ts)

        assert text.split() == "".join(prose(4000)).split()
        assert len(stage.replies(ts)) > 1
        assert "msg_too_long" not in str([call.answer for call in stage.slack.calls])


async def test_slacks_own_control_stops_a_stream(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.ask("[[rate 20]] [[tokens 600]]")
        await growing(stage, ts)
        await stage.slack.stop_session(stage.places[ts], "Ana", ts)
        text = await stage.whole(ts)

        assert "stopped" in text.lower()
        assert len(text.split()) < 200
        assert not stage.slack.workspace.streams
        assert [request.finished for request in stage.model.requests] != ["complete"]


async def test_a_stop_of_which_no_event_tells_stops_it_too(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        ts = await stage.ask("[[rate 20]] [[tokens 600]]")
        message = await growing(stage, ts)
        stage.slack.workspace.streams[stage.places[ts], message["ts"]].is_stopped = True
        text = await stage.whole(ts)

        assert "stopped" in text.lower()
        assert len(text.split()) < 200


async def test_a_workspace_without_streams_gets_edits_from_then_on(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.slack.faults.add("chat.startStream", Fault.error("feature_not_enabled"), times=None)
        first, second = await stage.ask(GROWING), await stage.ask(GROWING)
        texts = [await stage.whole(ts) for ts in (first, second)]
        third = await stage.ask(GROWING)
        texts.append(await stage.whole(third))

        assert [text.split() for text in texts] == ["".join(prose(200)).split()] * 3
        assert "startStream" not in methods(stage, third)
        assert methods(stage, third).count("update") >= 3
        assert stage.bot.events("streams.lacking")


async def test_an_edited_question_is_answered_in_the_message_that_was_a_stream(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        dm = stage.slack.dm("Ana")
        ts = await stage.say("[[rate 20]] [[tokens 600]]", channel=dm)
        message = await growing(stage, ts)
        await stage.slack.edit(dm, ts, "[[say Waves come from the wind, and from nothing else.]]")
        await stage.whole(ts)

        assert [each["ts"] for each in stage.thread(ts)] == [message["ts"]]
        assert "Waves come from the wind, and from nothing else." in stage.replies(ts)[0]
        assert not stage.slack.workspace.streams


async def test_a_process_that_is_killed_while_it_streams_goes_on_in_the_same_message(
    tmp_path: Path,
) -> None:
    async with local_servers() as (slack, model):
        places: dict[str, str] = {}
        async with running(slack, model.base_url, folder=tmp_path, SLACK_STREAMING="native") as bot:
            stage = Stage(slack, model, bot, places)
            ts = await stage.ask("[[rate 40]] [[tokens 300]]")
            message = await growing(stage, ts)
            bot.process.kill()
            await bot.process.wait()
        assert slack.workspace.streams
        async with running(slack, model.base_url, folder=tmp_path, SLACK_STREAMING="native") as bot:
            stage = Stage(slack, model, bot, places)
            text = await stage.whole(ts)

            assert text.split() == "".join(prose(300)).split()
            assert [each["ts"] for each in stage.thread(ts)] == [message["ts"]]
            assert not slack.workspace.streams


@pytest.mark.parametrize("lane", ["edit", "native"])
async def test_stop_after_a_kill_takes_the_status_away_with_the_end_of_the_answer(
    tmp_path: Path, lane: str
) -> None:
    async with local_servers() as (slack, model):
        places: dict[str, str] = {}
        async with running(slack, model.base_url, folder=tmp_path, SLACK_STREAMING=lane) as bot:
            stage = Stage(slack, model, bot, places)
            ts = await stage.ask("[[rate 40]] [[tokens 4000]]")
            await slack.until(lambda: stage.replies(ts) and stage.replies(ts)[0])
            bot.process.kill()
            await bot.process.wait()
        async with running(slack, model.base_url, folder=tmp_path, SLACK_STREAMING=lane) as bot:
            stage = Stage(slack, model, bot, places)
            await slack.until(lambda: stage.status(ts))
            await slack.stop_session(stage.places[ts], "Ana", ts)
            text = await stage.whole(ts)
            await slack.until(lambda: not stage.status(ts))

            methods = [call.method for call in slack.calls]
            since_its_end = methods[-methods[::-1].index("chat.update") :]
            assert text.endswith("\nStopped by Ana.")
            assert "conversations.replies" not in since_its_end  # nothing was waited for before


async def test_many_at_once_use_both_lanes_and_all_end_whole(tmp_path: Path) -> None:
    async with staged(tmp_path, lane="auto") as stage:
        asked = [await stage.ask(GROWING) for _ in range(8)]
        texts = await asyncio.gather(*(stage.whole(ts) for ts in asked))

        assert [text.split() for text in texts] == ["".join(prose(200)).split()] * 8
        assert {methods(stage, ts)[0] for ts in asked} == {"startStream", "postMessage"}
        assert not stage.slack.workspace.streams
