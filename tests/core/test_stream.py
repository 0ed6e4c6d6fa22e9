"""Replies that grow as Slack's native streams: what people see, and what becomes of it."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cut import join
from bot.draft import FIRST_WORDS, STREAM_LIMIT, Draft
from bot.errors import LACKING, RateLimited, SlackRefused, StreamBroken, Unavailable
from bot.messages import Question, Turn
from bot.pacing import Lane
from bot.pings import neutralise
from bot.responder import Responder
from tests.core.fakes import (
    LOST,
    USAGE,
    FakeChat,
    FakeModel,
    FakeTurns,
    buttons,
    question,
    slack_limits,
    turn_of,
    wired,
)

ASKED = question("why tides?", thread_ts="1600000000.000001")
SAID = {"type": "message", "ts": ASKED.ts, "user": ASKED.user, "text": ASKED.text}
WORDS = "Because the moon pulls the sea. "
MORE = "It does so twice a day, and more when the sun helps. "
WHOLE = (WORDS + MORE + MORE).rstrip()
USUAL: list[Any] = [0.3, WORDS, 1.0, MORE, 1.0, MORE, 0.5, USAGE]
DOWN = Unavailable("Slack", "HTTP 503")


def slack(**values: Any) -> FakeChat:
    defaults: dict[str, Any] = {"latency": 0.1, "thread": [SAID]}
    return FakeChat(**(defaults | values))


def responder(
    chat: FakeChat, *script: Any, lane: Lane = "native", turns: FakeTurns | None = None
) -> Responder:
    return wired(chat, FakeModel(list(script or USUAL)), turns or FakeTurns(), lane=lane)


async def answered(
    chat: FakeChat, *script: Any, lane: Lane = "native", turn: Turn | None = None
) -> FakeTurns:
    turns = FakeTurns()
    asked: Question | None = ASKED if turn is None else None
    await responder(chat, *script, lane=lane, turns=turns).answer(turn or turn_of(ASKED), asked)
    return turns


def left(*messages: str) -> Turn:
    """A turn that another process has begun, and what it recorded of its reply."""
    return turn_of(ASKED, attempts=1, is_next=False, is_resumed=True, messages=messages)


def methods(chat: FakeChat) -> list[str]:
    shows = ("post", "update", "delete", "start", "append", "stop")
    return [call.method for call in chat.calls if call.method in shows]


def tags(chat: FakeChat) -> list[dict[str, Any]]:
    return [message["metadata"]["event_payload"] for message in chat.messages.values()]


def is_ended(chat: FakeChat) -> bool:
    """Each message says which part it is, and one that it is the last."""
    parts = [tag["part"] for tag in tags(chat)]
    lasts = [tag["is_last"] for tag in tags(chat)]
    return not chat.streams and parts == [*range(len(parts))] and lasts[-1] and sum(lasts) == 1


# -- an answer that grows


async def test_answer_is_begun_added_to_and_ended_as_one_stream() -> None:
    chat = slack()

    turns = await answered(chat)

    assert methods(chat) == ["start", "append", "append", "stop"]
    assert chat.screen == [WHOLE]
    assert is_ended(chat)
    assert "regenerate" in str(chat.messages)
    assert turns.finished == {ASKED.key: "complete"}


async def test_each_text_that_stood_there_begins_the_next_one() -> None:
    chat = slack()

    await answered(chat)

    for shorter, longer in pairwise(chat.history):
        assert longer.startswith(shorter)


async def test_no_button_stands_beneath_a_stream_before_it_ends() -> None:
    chat = slack()
    seen: list[list[str]] = []

    def look() -> None:
        seen.extend(buttons(message) for message in chat.messages.values())

    await answered(chat, WORDS, 2.0, look, MORE, USAGE)

    assert seen == [[]]
    assert buttons(next(iter(chat.messages.values()))) != []


async def test_id_of_the_message_is_recorded_before_anything_is_added() -> None:
    chat, turns = slack(), FakeTurns()
    recorded: list[list[str]] = []
    append = chat.append_stream

    async def look(channel: str, ts: str, text: str) -> None:
        recorded.append(turns.messages[ASKED.key])
        await append(channel, ts, text)

    chat.append_stream = look  # type: ignore[method-assign]
    await responder(chat, turns=turns).answer(turn_of(ASKED), ASKED)

    assert recorded == [[*chat.messages]] * 2


async def test_answer_that_is_short_is_posted_whole() -> None:
    chat = slack()

    await answered(chat, "Yes.", USAGE)

    assert methods(chat) == ["post"]


@pytest.mark.parametrize("word", ["<@U012AB3CD>", "<!channel>", "@here", "@channel"])
async def test_ping_that_comes_in_pieces_never_stands_there(word: str) -> None:
    chat = slack()
    pieces = [step for letter in f"{WORDS}{word} and {MORE}" for step in (0.6, letter)]

    await answered(chat, *pieces, USAGE)

    assert len(methods(chat)) > 10
    assert all(neutralise(text) == text for text in chat.history)
    assert chat.screen == [neutralise(f"{WORDS}{word} and {MORE}".rstrip())]


async def test_address_that_only_begins_like_a_ping_stands_as_it_was_written() -> None:
    chat = slack()
    text = "Write to @hereford about it, or to @channel_list, whichever you like best of all."

    await answered(chat, *[step for letter in text for step in (0.6, letter)], USAGE)

    assert chat.screen == [text]
    assert methods(chat).count("update") == 0


@given(
    text=st.lists(
        st.sampled_from(
            ["@here", "@channel_", "<@U1234", ">", "<!", "word ", "\n", "```", "`", "é", "海", " "]
        ),
        max_size=60,
    ).map("".join),
    size=st.integers(1, 9),
)
@settings(max_examples=300, deadline=None)
def test_what_is_settled_stays_however_the_text_goes_on(text: str, size: int) -> None:
    draft = Draft()
    draft.narrow()
    given_away = [""]
    for at in range(0, len(text), size):
        draft.push(text[at : at + size])
        draft.parts()
        given_away.append(draft.settled())

    for shorter, longer in pairwise(given_away):
        assert longer.startswith(shorter)
        assert neutralise(longer) == longer
    whole = Draft()
    whole.push(text + "\n")
    assert "".join(part.text for part in whole.parts()).startswith(given_away[-1])


# -- long answers

PARAGRAPHS = [f"Paragraph {n}. " + "tide " * 90 + "\n\n" for n in range(60)]


async def test_long_answer_goes_on_in_a_new_message_before_slack_refuses_the_size() -> None:
    chat = slack()

    await answered(chat, *[step for each in PARAGRAPHS for step in (0.3, each)], USAGE)

    assert join(chat.screen).split() == "".join(PARAGRAPHS).split()
    assert len(chat.screen) > 2
    assert all(len(text.encode()) <= STREAM_LIMIT for text in chat.screen)
    assert methods(chat).count("update") == 0
    assert methods(chat).count("start") == len(chat.screen)
    assert is_ended(chat)


async def test_size_is_counted_in_bytes() -> None:
    chat = slack()
    sentences = ["海は月に引かれて満ち干きする。" * 8 + "\n\n" for _ in range(60)]

    await answered(chat, *[step for each in sentences for step in (0.3, each)], USAGE)

    assert join(chat.screen).split() == "".join(sentences).split()
    assert len(chat.screen) > 2
    assert all(len(text.encode()) <= STREAM_LIMIT for text in chat.screen)


async def test_code_goes_on_in_the_next_message_within_a_fence_of_its_own() -> None:
    chat = slack()
    lines = [f"total = total + {n}  # one more\n" for n in range(600)]

    await answered(chat, "```python\n", *[s for line in lines for s in (0.1, line)], "```\n", USAGE)

    assert len(chat.screen) > 1
    assert all(text.startswith("```python\n") and text.endswith("```") for text in chat.screen)
    assert join(chat.screen).split() == ("```python\n" + "".join(lines) + "```").split()


async def test_stream_that_slack_finds_too_long_sooner_goes_on_by_edits() -> None:
    chat = slack()
    chat.stream_size = 1_000

    await answered(chat, *[step for each in PARAGRAPHS[:8] for step in (0.6, each)], USAGE)

    assert join(chat.screen).split() == "".join(PARAGRAPHS[:8]).split()
    assert is_ended(chat)


# -- streams that end too soon


async def test_stream_that_slack_ends_by_itself_goes_on_by_edits_in_the_same_message() -> None:
    chat = slack()
    chat.stream_life = 3.0
    words = [step for _ in range(20) for step in (0.6, MORE)]

    await answered(chat, *words, USAGE)

    assert chat.screen == [(MORE * 20).rstrip()]
    assert methods(chat)[0] == "start"
    assert methods(chat)[-1] == "update"
    assert is_ended(chat)


async def test_stream_that_ends_before_its_stop_is_ended_by_an_edit() -> None:
    chat = slack()
    chat.stream_life = 30.0

    await answered(chat, WORDS, 1.0, MORE, 60.0, MORE, USAGE)

    assert chat.screen == [WHOLE]
    assert is_ended(chat)


async def test_dead_stream_that_slack_does_not_let_be_edited_is_posted_anew() -> None:
    chat = slack()
    chat.stream_life = 3.0
    chat.closed_streams = {"1700000001.000001"}

    await answered(chat, *[step for _ in range(20) for step in (0.6, MORE)], USAGE)

    assert chat.screen == [(MORE * 20).rstrip()]
    assert "1700000001.000001" not in chat.messages
    assert is_ended(chat)


async def test_person_who_stops_it_in_slack_stops_the_answer() -> None:
    chat = slack()

    def press() -> None:
        chat.stopped_streams.update(chat.streams)

    turns = await answered(chat, WORDS, 2.0, press, MORE, 2.0, MORE, USAGE)

    assert len(chat.screen) == 1
    assert chat.screen[0].startswith(WORDS.rstrip())
    assert "stopped" in chat.screen[0].lower()
    assert MORE + MORE not in chat.screen[0]
    assert turns.finished == {ASKED.key: "stopped"}
    assert is_ended(chat)


async def test_deleted_stream_is_not_wanted_and_stays_deleted() -> None:
    chat = slack()

    turns = await answered(chat, WORDS, 2.0, chat.messages.clear, MORE, 2.0, MORE, USAGE)

    assert chat.messages == {}
    assert turns.finished == {ASKED.key: "stopped"}


# -- text that must be replaced


async def test_other_words_after_a_broken_model_stream_take_the_place_of_the_first() -> None:
    chat, turns = slack(), FakeTurns()
    first: list[Any] = [WORDS, 1.0, StreamBroken("reset")]
    model = FakeModel(first, ["It is the moon, ", 1.0, MORE, 1.0, MORE, USAGE])

    await wired(chat, model, turns, lane="native").answer(turn_of(ASKED), ASKED)

    assert chat.screen == [f"It is the moon, {MORE}{MORE}".rstrip()]
    assert methods(chat)[:2] == ["start", "stop"]
    assert methods(chat)[-1] == "update"
    assert is_ended(chat)


async def test_what_the_answer_waits_for_is_said_beneath_it() -> None:
    chat, turns = slack(), FakeTurns()
    model = FakeModel([WORDS, 1.0, RateLimited("the model", 20.0)], [WORDS, MORE, USAGE])

    await wired(chat, model, turns, lane="native").answer(turn_of(ASKED), ASKED)

    assert any("Waiting: the model is limiting requests" in text for text in chat.history)
    assert chat.screen == [(WORDS + MORE).rstrip()]
    assert is_ended(chat)


async def test_question_that_is_edited_is_answered_in_the_same_message() -> None:
    chat, turns = slack(), FakeTurns()
    model = FakeModel(
        [WORDS, 5.0, MORE, USAGE], [0.5, "Waves are made by ", 1.0, "the wind.", USAGE]
    )
    answering: Responder = wired(chat, model, turns, lane="native")
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(3)

    answering.renew(
        replace(turn_of(ASKED), asked=2), question("why waves?", thread_ts=ASKED.thread_ts)
    )
    await task

    assert chat.screen == ["Waves are made by the wind."]
    assert [tag["asked"] for tag in tags(chat)] == [2]
    assert methods(chat).count("post") == 0
    assert is_ended(chat)


# -- streams that cannot be begun


@pytest.mark.parametrize("code", sorted(LACKING))
async def test_workspace_without_streams_gets_edits_and_is_not_asked_again(code: str) -> None:
    chat = slack()
    chat.errors["start"] = [SlackRefused("chat.startStream", code)]
    answering = responder(chat)

    await answering.answer(turn_of(ASKED), ASKED)
    second = question("and waves?", ts="1700000000.700000", thread_ts=ASKED.thread_ts)
    await answering.answer(turn_of(second), second)

    assert chat.screen == [WHOLE, WHOLE]
    assert len(chat.times("start")) == 1
    assert methods(chat)[1] == "post"


@pytest.mark.parametrize(
    "error",
    [
        SlackRefused("chat.startStream", "missing_recipient_user_id"),
        SlackRefused("chat.startStream", "user_not_found"),
        SlackRefused("chat.startStream", "something_new"),
        RateLimited("Slack", 30.0),
    ],
    ids=str,
)
async def test_stream_that_is_refused_once_is_posted_at_once(error: Exception) -> None:
    chat = slack()
    chat.errors["start"] = [error]
    answering = responder(chat)

    await answering.answer(turn_of(ASKED), ASKED)

    assert chat.screen == [WHOLE]
    assert methods(chat)[:2] == ["start", "post"]
    started, posted = chat.times("start")[0], chat.times("post")[0]
    assert posted - started < 1.0


async def test_start_whose_answer_is_lost_is_found_and_goes_on() -> None:
    chat = slack()
    chat.errors["start"] = [LOST]

    await answered(chat)

    assert chat.screen == [WHOLE]
    assert methods(chat).count("start") == 1
    assert is_ended(chat)


async def test_start_that_was_never_made_is_a_post() -> None:
    chat = slack()
    chat.errors["start"] = [DOWN]

    await answered(chat)

    assert chat.screen == [WHOLE]
    assert methods(chat)[:2] == ["start", "post"]
    assert is_ended(chat)


@pytest.mark.parametrize("error", [LOST, DOWN], ids=["made", "not made"])
@pytest.mark.parametrize("method", ["append", "stop"])
async def test_call_of_whose_effect_nobody_knows_leaves_the_text_once(
    method: str, error: Exception
) -> None:
    chat = slack()
    chat.errors[method] = [error]

    await answered(chat)

    assert chat.screen == [WHOLE]
    assert is_ended(chat)


async def test_last_words_stand_there_though_the_stop_is_refused_for_long() -> None:
    chat = slack()
    chat.errors["stop"] = [RateLimited("Slack", 30.0)]
    answering = asyncio.create_task(responder(chat).answer(turn_of(ASKED), ASKED))

    await asyncio.sleep(5)

    assert chat.screen == [WHOLE]
    await answering
    assert is_ended(chat)


# -- what another process has left


async def stream_left(chat: FakeChat, text: str) -> str:
    return await chat.start_stream(ASKED, text)


async def test_recorded_stream_of_a_dead_process_becomes_the_whole_answer() -> None:
    chat = slack()
    ts = await stream_left(chat, WORDS)

    await answered(chat, 1.0, WORDS, 1.0, MORE, MORE, USAGE, turn=left(ts))

    assert [*chat.messages] == [ts]
    assert chat.screen == [WHOLE]
    assert is_ended(chat)


async def test_recorded_stream_is_found_by_a_process_that_does_not_stream() -> None:
    chat = slack()
    ts = await stream_left(chat, WORDS)

    await answered(chat, 1.0, WORDS, 1.0, MORE, MORE, USAGE, turn=left(ts), lane="edit")

    assert [*chat.messages] == [ts]
    assert chat.screen == [WHOLE]
    assert is_ended(chat)


async def test_stream_of_which_nothing_is_recorded_is_found_in_its_thread() -> None:
    chat = slack()
    ts = await stream_left(chat, WORDS)

    await answered(chat, 1.0, WORDS, 1.0, MORE, MORE, USAGE, turn=left())

    assert [*chat.messages] == [ts]
    assert chat.screen == [WHOLE]


async def test_of_two_streams_that_nobody_recorded_one_is_deleted() -> None:
    chat = slack()
    await stream_left(chat, WORDS)
    ts = await stream_left(chat, WORDS)

    await answered(chat, 1.0, WORDS, 1.0, MORE, MORE, USAGE, turn=left())

    assert [*chat.messages] == [ts]
    assert chat.screen == [WHOLE]


async def test_stream_that_slack_ended_after_its_process_died_becomes_the_answer() -> None:
    chat = slack()
    ts = await stream_left(chat, WORDS)
    await asyncio.sleep(400)

    await answered(chat, 1.0, WORDS, 1.0, MORE, MORE, USAGE, turn=left(ts))

    assert [*chat.messages] == [ts]
    assert chat.screen == [WHOLE]


async def test_words_of_others_before_and_after_are_never_taken_for_a_stream() -> None:
    blocks = [{"type": "markdown", "text": "Not the bot's."}]
    stranger = {"ts": "1700000000.600000", "user": "UEVE", "bot_id": "BEVE", "blocks": blocks}
    earlier = {"ts": "1650000000.000000", "user": "UBOT", "bot_id": "B1", "blocks": blocks}
    chat = slack(thread=[earlier, SAID, stranger])

    await answered(chat, turn=left())

    assert chat.screen == [WHOLE]
    touched = {call.ts for call in chat.calls if call.method in ("update", "delete", "stop")}
    assert touched <= {*chat.messages}


# -- many at once


async def crowd(lane: Lane, count: int, *, within: float, channels: int = 60) -> FakeChat:
    chat = FakeChat(latency=0.1, limits=slack_limits())
    script = [step for n in range(75) for step in (0.1, f"word{n} and so on, ")]
    answering: Responder = wired(chat, FakeModel([*script, USAGE]), FakeTurns(), lane=lane)

    async def ask(number: int) -> None:
        await asyncio.sleep(number * within / count)
        asked = question(
            f"q{number}", ts=f"17000000{number:02}.000100", channel=f"C{number % channels}"
        )
        await answering.answer(turn_of(asked), asked)

    await asyncio.gather(*(ask(number) for number in range(count)))
    return chat


def looks(chat: FakeChat) -> int:
    """How often anybody saw an answer grow."""
    return sum(len(chat.times(method)) for method in ("update", "append"))


@pytest.mark.parametrize("count", [1, 20, 60])
@pytest.mark.parametrize("lane", ["native", "auto"])
async def test_crowd_is_answered_whole_and_nothing_is_refused(lane: Lane, count: int) -> None:
    chat = await crowd(lane, count, within=3.0)

    whole = " ".join(f"word{n} and so on," for n in range(75))
    assert chat.refused == []
    assert chat.screen == [whole] * count
    assert chat.streams == {}


async def test_crowd_sees_more_of_its_answers_in_two_lanes_than_in_one() -> None:
    edits = await crowd("edit", 20, within=3.0)
    both = await crowd("auto", 20, within=3.0)

    assert looks(both) > 1.7 * looks(edits)
    assert len(both.times("start")) > 0
    assert len(both.times("post")) > 0


async def test_alone_an_answer_is_streamed_as_that_shows_it_sooner() -> None:
    chat = await crowd("auto", 1, within=3.0)

    appended = chat.times("append")
    assert len(chat.times("start")) == 1
    assert min(later - earlier for earlier, later in pairwise(appended)) < 0.5


def test_first_words_of_a_stream_are_as_many_as_those_of_a_post() -> None:
    draft = Draft()
    draft.push("x" * FIRST_WORDS)

    assert draft.settled() == "x" * FIRST_WORDS
