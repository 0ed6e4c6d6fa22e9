"""Text streaming in the local Slack, seen through the real Slack SDK and its ``chat_stream``."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import DividerBlock
from slack_sdk.models.messages.chunk import (
    BlocksChunk,
    MarkdownTextChunk,
    PlanUpdateChunk,
    TaskUpdateChunk,
)
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.slack import LocalSlack
from bot.playground.slack.limits import Limits
from bot.playground.slack.streams import LONGEST_STREAM
from tests.wire.conftest import Clock

TO_ANA: dict[str, Any] = {"recipient_team_id": "T0LOCAL", "recipient_user_id": "U0ANA"}


async def start(client: AsyncWebClient, thread_ts: str, markdown_text: str | None = None) -> str:
    """Starts a stream for Ana in #general; its ts."""
    answer = await client.chat_startStream(
        channel="C0GENERAL", thread_ts=thread_ts, markdown_text=markdown_text, **TO_ANA
    )
    return str(answer["ts"])


async def test_sdk_helper_shows_the_text_as_it_grows(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    question = await slack.say("general", "Ana", "question")
    stream = await client.chat_stream(
        buffer_size=4, channel="C0GENERAL", thread_ts=question, **TO_ANA
    )

    seen = []
    for text in ("**One", "** t", "wo"):
        await stream.append(markdown_text=text)
        seen.append(slack.screen("general", question))
    await stream.stop(markdown_text=" three")

    assert seen == [["**One"], ["**One** t"], ["**One** t"]]
    assert slack.screen("general", question) == ["**One** two three"]
    methods = [call.method for call in slack.calls]
    assert methods == ["chat.startStream", "chat.appendStream", "chat.stopStream"]


async def test_helper_stops_a_stream_without_text(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    question = await slack.say("general", "Ana", "question")
    stream = await client.chat_stream(channel="C0GENERAL", thread_ts=question, **TO_ANA)

    await stream.stop()

    assert slack.screen("general", question) == [""]


async def test_stop_adds_text_blocks_and_metadata(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    question = await slack.say("general", "Ana", "question")
    ts = await start(client, question, "text")

    await client.chat_stopStream(
        channel="C0GENERAL",
        ts=ts,
        markdown_text=" and more",
        blocks=[DividerBlock()],
        metadata={"event_type": "answer", "event_payload": {"done": True}},
    )

    message = slack.message("general", ts)
    assert [block["type"] for block in message["blocks"]] == ["markdown", "divider"]
    assert message["text"] == "text and more"
    assert message["metadata"]["event_payload"] == {"done": True}


async def test_chunks_of_all_kinds(slack: LocalSlack, client: AsyncWebClient) -> None:
    question = await slack.say("general", "Ana", "question")
    answer = await client.chat_startStream(
        channel="C0GENERAL",
        thread_ts=question,
        chunks=[
            PlanUpdateChunk(title="Plan"),
            TaskUpdateChunk(id="1", title="Look", status="in_progress"),
        ],
        **TO_ANA,
    )
    await client.chat_appendStream(
        channel="C0GENERAL",
        ts=answer["ts"],
        chunks=[
            TaskUpdateChunk(id="1", title="Look", status="complete"),
            MarkdownTextChunk(text="Seen."),
            BlocksChunk(blocks=[{"type": "divider"}]),
            MarkdownTextChunk(text="More."),
        ],
    )

    blocks = slack.message("general", answer["ts"])["blocks"]
    kinds = ["plan", "task_card", "markdown", "divider", "markdown"]
    assert [block["type"] for block in blocks] == kinds
    assert blocks[1]["status"] == "complete"


async def test_a_session_is_busy_while_it_streams(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    question = await slack.say("general", "Ana", "question")
    ts = await start(client, question)
    busy = dict(slack.workspace.sessions)
    await client.chat_stopStream(channel="C0GENERAL", ts=ts, markdown_text="text")

    assert busy == {("C0GENERAL", question): "processing"}
    assert slack.workspace.sessions == {("C0GENERAL", question): "active"}


async def test_start_takes_the_status_away(slack: LocalSlack, client: AsyncWebClient) -> None:
    question = await slack.say("general", "Ana", "question")
    await client.assistant_threads_setStatus(
        channel_id="C0GENERAL", thread_ts=question, status="is thinking..."
    )

    await start(client, question, "text")

    assert slack.status("general", question) == ""


async def test_a_direct_message_needs_no_recipient(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    question = await slack.say("U0ANA", "Ana", "question")

    answer = await client.chat_startStream(
        channel="D0ANA", thread_ts=question, markdown_text="text"
    )

    assert answer["ok"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "missing_recipient_team_id"),
        ({"recipient_team_id": "T0LOCAL"}, "missing_recipient_user_id"),
        ({"recipient_team_id": "T0LOCAL", "recipient_user_id": "U0NOBODY"}, "user_not_found"),
    ],
)
async def test_a_channel_needs_to_know_the_recipient(
    slack: LocalSlack, client: AsyncWebClient, given: dict[str, Any], error: str
) -> None:
    question = await slack.say("general", "Ana", "question")

    with pytest.raises(SlackApiError, match=error):
        await client.chat_startStream(channel="C0GENERAL", thread_ts=question, **given)


async def test_a_running_stream_cannot_be_edited(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await start(client, await slack.say("general", "Ana", "question"), "text")

    with pytest.raises(SlackApiError, match="streaming_state_conflict"):
        await client.chat_update(channel="C0GENERAL", ts=ts, text="another")
    await client.chat_stopStream(channel="C0GENERAL", ts=ts)
    await client.chat_update(channel="C0GENERAL", ts=ts, markdown_text="another")

    assert slack.message("general", ts)["text"] == "another"


async def test_what_is_not_streaming_cannot_grow(slack: LocalSlack, client: AsyncWebClient) -> None:
    question = await slack.say("general", "Ana", "question")
    post = await client.chat_postMessage(channel="C0GENERAL", text="whole")
    stopped = await start(client, question, "text")
    await client.chat_stopStream(channel="C0GENERAL", ts=stopped)

    for ts in (post["ts"], stopped):
        with pytest.raises(SlackApiError, match="message_not_in_streaming_state"):
            await client.chat_appendStream(channel="C0GENERAL", ts=ts, markdown_text="more")
    with pytest.raises(SlackApiError, match="message_not_owned_by_app"):
        await client.chat_appendStream(channel="C0GENERAL", ts=question, markdown_text="more")
    with pytest.raises(SlackApiError, match="message_not_found"):
        await client.chat_stopStream(channel="C0GENERAL", ts="1.000001")


async def test_slack_ends_a_long_stream(
    slack: LocalSlack, client: AsyncWebClient, clock: Clock
) -> None:
    ts = await start(client, await slack.say("general", "Ana", "question"), "text")

    clock.now += LONGEST_STREAM

    for method in (client.chat_appendStream, client.chat_stopStream):
        with pytest.raises(SlackApiError, match="message_not_in_streaming_state"):
            await method(channel="C0GENERAL", ts=ts, markdown_text="more")
    assert slack.message("general", ts)["text"] == "text"


async def test_a_stream_keeps_to_its_mode(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await start(client, await slack.say("general", "Ana", "question"), "text")

    with pytest.raises(SlackApiError, match="streaming_mode_mismatch"):
        await client.chat_appendStream(
            channel="C0GENERAL", ts=ts, chunks=[MarkdownTextChunk(text="more")]
        )


async def test_a_stream_has_an_end(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await start(client, await slack.say("general", "Ana", "question"), "a" * 12_000)

    with pytest.raises(SlackApiError, match="msg_too_long"):
        await client.chat_appendStream(channel="C0GENERAL", ts=ts, markdown_text="b")
    assert slack.message("general", ts)["text"] == "a" * 12_000


async def test_append_says_something(slack: LocalSlack, client: AsyncWebClient) -> None:
    ts = await start(client, await slack.say("general", "Ana", "question"))

    with pytest.raises(SlackApiError, match="no_text"):
        await client.chat_appendStream(channel="C0GENERAL", ts=ts)
    with pytest.raises(SlackApiError, match="invalid_chunks"):
        await client.chat_appendStream(channel="C0GENERAL", ts=ts, chunks=[{"type": "song"}])


async def test_streaming_needs_the_scope_to_write(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.scopes.remove("chat:write")

    with pytest.raises(SlackApiError, match="missing_scope"):
        await start(client, await slack.say("general", "Ana", "question"))


async def test_twenty_streams_a_minute(
    slack: LocalSlack, client: AsyncWebClient, clock: Clock
) -> None:
    slack.limits = Limits.real()
    question = await slack.say("general", "Ana", "question")
    for _ in range(20):
        await start(client, question, "text")

    with pytest.raises(SlackApiError, match="ratelimited"):
        await start(client, question, "text")
    clock.now += 60.0

    assert await start(client, question, "text")


async def test_a_hundred_appends_a_minute(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.limits = Limits.real()
    ts = await start(client, await slack.say("general", "Ana", "question"), "a")
    for _ in range(100):
        await client.chat_appendStream(channel="C0GENERAL", ts=ts, markdown_text="b")

    with pytest.raises(SlackApiError, match="ratelimited"):
        await client.chat_appendStream(channel="C0GENERAL", ts=ts, markdown_text="c")
