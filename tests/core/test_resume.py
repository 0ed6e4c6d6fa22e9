"""Turns that another process began: what people see, and what is on record in the end.

Two kinds of tests: in some a thread holds what a dead process has left; in others processes are
killed in a `World`, at any step, and others go on.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot import errors, views
from bot.cut import join, until_seam
from bot.draft import Part
from bot.errors import (
    Interrupted,
    RateLimited,
    RefusedPrivately,
    SlackRefused,
    StreamBroken,
    Unavailable,
)
from bot.messages import (
    DELETED,
    ChatMessage,
    Delta,
    Outcome,
    Question,
    Turn,
    Usage,
    UsageRecord,
)
from bot.pacing import Lane, Limits
from bot.prompt import TokenEstimate
from bot.reply import LANDS_WITHIN
from bot.responder import Responder
from bot.standing import MOST_ATTEMPTS, OLDEST
from tests.conftest import VirtualTimeLoop
from tests.core.fakes import (
    LOST,
    USAGE,
    FakeAdmission,
    FakeChat,
    FakeModel,
    FakeTurns,
    Limit,
    question,
    turn_of,
    wired,
)

WORDS = "Because the moon pulls the sea. "
MORE = "It does so twice a day, and more when the sun helps. "
ASKED = question("why tides?", thread_ts="1600000000.000001")
SAID = {"type": "message", "ts": ASKED.ts, "user": ASKED.user, "text": ASKED.text}
RESTARTED = f"[{Interrupted.sentence}]"
DOWN = Unavailable("Slack", "HTTP 503")
AWAY = Unavailable("the database", "OperationalError")
NO_STATUS = SlackRefused("assistant.threads.setStatus", "feature_not_enabled")


def chat_with(*texts: str, is_last: bool = False, notice: str = "", **values: Any) -> FakeChat:
    """A thread in which the question stands, and these parts of a reply to it."""
    chat = FakeChat(latency=0.1, thread=[SAID], **values)
    for number, text in enumerate(texts):
        ends = number == len(texts) - 1
        part = Part(text, notice if ends else "", is_last=is_last and ends)
        put(chat, part, number)
    return chat


def put(chat: FakeChat, part: Part, number: int, *, ts: str = "") -> str:
    """A message as a process has left it."""
    ts = ts or f"1700000000.5{len(chat.messages):05}"
    chat.messages[ts] = views.reply_message(part, turn=ASKED.key, number=number)
    chat._turns[ts], chat._threads[ts] = str(ASKED.key), ASKED.thread_ts
    return ts


def with_status(chat: FakeChat) -> FakeChat:
    """The status line still says what the dead process did."""
    chat.statuses.append("is writing, 181 words so far...")
    return chat


def at(seconds: float, deed: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, deed)


def left(**values: Any) -> Turn:
    """The turn as the dead process has left it: begun once."""
    return turn_of(ASKED, **({"attempts": 1, "is_next": False, "is_resumed": True} | values))


def responder(
    model: FakeModel, chat: FakeChat, turns: FakeTurns, *, limits: Limits | None = None
) -> Responder:
    return wired(chat, model, turns, limits=limits)


async def resumed(
    model: FakeModel, chat: FakeChat, turns: FakeTurns | None = None, **values: Any
) -> FakeTurns:
    turns = turns or FakeTurns()
    await responder(model, chat, turns).answer(left(**values), None)
    return turns


def is_whole(chat: FakeChat) -> list[bool]:
    """What the metadata of each message says."""
    return [
        message["metadata"]["event_payload"]["is_last"]
        for message in chat.messages.values()
        if "metadata" in message
    ]


# -- found whole


async def test_whole_reply_is_left_as_it_is_and_the_turn_is_finished() -> None:
    chat = chat_with(WORDS, "It does.", is_last=True)
    model = FakeModel([MORE])

    turns = await resumed(model, chat)

    assert [call.method for call in chat.calls] == [
        "thread",
        "set_status",  # the dead process may have left one
        "find_reply",  # a late post might stand beside it
    ]
    assert model.asked == []
    assert turns.finished == {ASKED.key: "complete"}
    assert turns.records == turns.begun == []


async def test_reply_that_ended_with_a_sentence_is_finished_as_what_it_was() -> None:
    chat = chat_with()
    put(chat, Part(WORDS, "It broke.", is_last=True, is_final=True, outcome="failed"), 0)

    turns = await resumed(FakeModel([MORE]), chat)

    assert [call.method for call in chat.calls] == [
        "thread",
        "set_status",  # the dead process may have left one
        "find_reply",  # a late post might stand beside it
    ]
    assert turns.finished == {ASKED.key: "failed"}


async def test_whole_reply_is_left_as_it_is_however_old_and_however_often_begun() -> None:
    chat = chat_with(WORDS, is_last=True)
    turn = left(attempts=99)

    await resumed(FakeModel([MORE]), chat, attempts=99, accepted_at=turn.accepted_at - 2 * OLDEST)

    assert chat.screen == [WORDS]


async def test_what_was_left_of_a_longer_attempt_is_deleted_beside_a_whole_reply() -> None:
    chat = chat_with(WORDS, is_last=True)
    put(chat, Part("older, and longer"), 1)

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == [WORDS]
    assert chat.times("update") == []
    assert turns.finished == {ASKED.key: "complete"}


async def test_reaction_of_the_dead_process_goes_from_a_question_that_was_answered() -> None:
    chat = chat_with(WORDS, is_last=True)
    await chat.add_reaction(ASKED.channel, ASKED.ts, "eyes")

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.reactions == set()
    assert turns.finished == {ASKED.key: "complete"}


async def test_whole_reply_whose_surplus_cannot_be_deleted_is_finished_all_the_same() -> None:
    chat = chat_with(WORDS, is_last=True)
    put(chat, Part("older, and longer"), 1)
    chat.errors["delete"] = [SlackRefused("chat.delete", "cant_delete_message")]

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == [WORDS, f"[{views.SUPERSEDED}]"]
    assert turns.finished == {ASKED.key: "complete"}


@pytest.mark.parametrize("is_whole", [True, False])
async def test_thread_that_is_read_long_after_its_process_died_is_read_once(is_whole: bool) -> None:
    """While many are resumed at once, a reading comes late, and is dear."""
    chat = chat_with(WORDS, is_last=is_whole)
    await asyncio.sleep(60)
    began = asyncio.get_running_loop().time()

    turns = await resumed(FakeModel([WORDS, MORE]), chat, taken_at=began - 30)

    assert chat.times("find_reply") == []
    assert asyncio.get_running_loop().time() - began < LANDS_WITHIN
    assert turns.finished == {ASKED.key: "complete"}


async def test_edits_of_what_cannot_be_deleted_keep_to_the_budget() -> None:
    chat = chat_with(WORDS, is_last=True, limits={"update": Limit(2)})
    for number in range(1, 4):
        put(chat, Part("older, and longer"), number)
    chat.errors["delete"] = [SlackRefused("chat.delete", "cant_delete_message")] * 3

    await responder(FakeModel([MORE]), chat, FakeTurns(), limits=Limits(updates=2)).answer(
        left(), None
    )

    assert chat.screen == [WORDS, *[f"[{views.SUPERSEDED}]"] * 3]
    assert len(chat.times("update")) == 3  # none was refused


# -- found half


async def test_half_a_reply_is_adopted_and_becomes_the_whole_one() -> None:
    chat = chat_with(WORDS.rstrip())

    turns = await resumed(FakeModel([0.5, WORDS, 1.0, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]
    assert chat.times("post") == []
    assert is_whole(chat) == [True]
    assert turns.finished == {ASKED.key: "complete"}


async def test_same_words_again_still_mark_the_reply_as_finished() -> None:
    chat = chat_with(WORDS.rstrip())

    await resumed(FakeModel([WORDS, USAGE]), chat)

    assert chat.screen == [WORDS.rstrip()]
    assert is_whole(chat) == [True]
    assert len(chat.times("update")) == 1


async def test_text_that_people_see_stays_until_it_is_overtaken() -> None:
    chat = chat_with((WORDS + MORE).rstrip())
    words = [step for word in (MORE + WORDS + MORE).split() for step in (0.3, f"{word} ")]

    await resumed(FakeModel([*words, USAGE]), chat)

    assert all(len(text) >= len((WORDS + MORE).rstrip()) for text in chat.history)
    assert len(chat.history) > 2
    assert chat.screen == [(MORE + WORDS + MORE).rstrip()]


async def test_word_of_the_restart_goes() -> None:
    chat = chat_with(WORDS.rstrip(), notice=Interrupted.sentence)
    assert chat.screen == [f"{WORDS.rstrip()}\n{RESTARTED}"]

    await resumed(FakeModel([WORDS, 1.0, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]


async def test_message_that_only_told_of_the_restart_becomes_the_answer() -> None:
    chat = chat_with("", notice=Interrupted.sentence)

    await resumed(FakeModel([2.0, WORDS, USAGE]), chat)

    assert chat.screen == [WORDS.rstrip()]
    assert chat.times("post") == []


async def test_shorter_second_attempt_replaces_the_first_only_at_its_end() -> None:
    chat = chat_with((WORDS + MORE).rstrip())

    await resumed(FakeModel([0.5, "It is ", 2.0, "the moon.", USAGE]), chat)

    assert chat.history == ["It is the moon."]


async def test_parts_that_the_new_answer_does_not_need_are_deleted() -> None:
    chat = chat_with("One. " * 2000, "Two. " * 2000, "Three. " * 50)

    await resumed(FakeModel([1.0, WORDS, USAGE]), chat)

    assert chat.screen == [WORDS.rstrip()]
    assert is_whole(chat) == [True]


async def test_answer_of_several_parts_goes_on_in_its_last() -> None:
    paragraphs = [f"Paragraph {n}. " + "tide " * 190 + "\n\n" for n in range(30)]
    first = FakeChat(latency=0.1, thread=[SAID])
    await responder(FakeModel([*paragraphs[:20]]), first, FakeTurns()).answer(turn_of(ASKED), ASKED)
    chat = chat_with(*first.screen)

    await resumed(FakeModel([step for each in paragraphs for step in (0.1, each)]), chat)

    assert join(chat.screen).split() == "".join(paragraphs).split()
    assert list(chat.messages)[: len(first.screen)] == [
        ts for ts in chat.messages if ts.startswith("1700000000")
    ]
    assert is_whole(chat) == [False] * (len(chat.messages) - 1) + [True]


async def test_older_of_two_messages_for_one_part_is_deleted() -> None:
    chat = chat_with("older", "two")
    put(chat, Part(WORDS.rstrip()), 0)

    await resumed(FakeModel([WORDS, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]


async def test_what_stands_behind_a_gap_is_deleted() -> None:
    chat = chat_with(WORDS.rstrip())
    put(chat, Part("behind"), 2)

    await resumed(FakeModel([WORDS, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]


async def test_reply_that_others_forge_is_neither_adopted_nor_touched() -> None:
    forged = views.reply_message(Part("forged", is_last=True), turn=ASKED.key, number=0)
    chat = FakeChat(latency=0.1)
    chat._thread = [SAID, {"ts": "1700000000.600000", "user": "UEVE", "bot_id": "BEVE", **forged}]

    await resumed(FakeModel([WORDS, USAGE]), chat)

    assert chat.screen == [WORDS.rstrip()]
    assert len(chat.times("post")) == 1
    assert {call.ts for call in chat.calls if call.method in ("update", "delete")} <= {
        *chat.messages
    }


async def test_nothing_found_is_answered_as_if_it_were_new() -> None:
    chat = chat_with()
    model = FakeModel([WORDS, USAGE])

    turns = await resumed(model, chat, attempts=0)

    assert chat.screen == [WORDS.rstrip()]
    assert model.asked[0][-1].content == "Ana: why tides?"
    assert turns.finished == {ASKED.key: "complete"}


async def test_answer_in_progress_is_no_part_of_its_own_prompt() -> None:
    chat = chat_with("Half an answer")
    model = FakeModel([WORDS, USAGE])

    await resumed(model, chat)

    assert "Half an answer" not in str(model.asked)


async def test_edited_question_is_answered_as_it_reads_now() -> None:
    chat = chat_with()
    chat._thread = [SAID | {"text": "why waves?"}]
    model = FakeModel([WORDS])

    await resumed(model, chat)

    assert model.asked[0][-1].content == "Ana: why waves?"


async def test_mention_without_words_gets_its_line() -> None:
    chat = chat_with()
    chat._thread = [SAID | {"text": "<@UBOT>"}]

    turns = await resumed(FakeModel([WORDS]), chat, attempts=0)

    assert chat.screen == [f"[{views.wordless(ASKED)}]"]
    assert turns.finished == {ASKED.key: "complete"}


async def test_reaction_of_the_dead_process_goes_with_the_answer() -> None:
    chat = chat_with()
    chat.errors["set_status"] = [NO_STATUS]
    await chat.add_reaction(ASKED.channel, ASKED.ts, "eyes")
    seen: list[set[str]] = []

    await resumed(FakeModel([1.0, lambda: seen.append(set(chat.reactions)), WORDS]), chat)

    assert seen == [{"eyes"}]
    assert chat.reactions == set()


async def test_reaction_of_the_dead_process_goes_though_there_is_a_status_line_now() -> None:
    chat = chat_with()
    await chat.add_reaction(ASKED.channel, ASKED.ts, "eyes")

    await resumed(FakeModel([WORDS]), chat)

    assert chat.reactions == set()


async def test_reaction_of_the_dead_process_goes_and_so_does_the_status_of_this_one() -> None:
    chat = chat_with(WORDS.rstrip())
    await chat.add_reaction(ASKED.channel, ASKED.ts, "eyes")

    await resumed(FakeModel([1.0, WORDS, 1.0, MORE, USAGE]), chat)

    assert chat.reactions == set()
    assert chat.status == ""


# -- the status that a dead process has left


@pytest.mark.parametrize("ended_by", ["its words", "a stop", "a deleted question"])
async def test_status_goes_as_soon_as_the_end_of_a_resumed_answer_is_shown(ended_by: str) -> None:
    """Whatever else is to be done: a post that nobody heard of may land for a while."""
    chat = with_status(chat_with(WORDS.rstrip()))
    answering = responder(FakeModel([0.5, WORDS, 1.0, MORE, 1.0, USAGE]), chat, FakeTurns())
    by = {"a stop": "UANA", "a deleted question": DELETED}.get(ended_by)
    if by:
        at(1.0, lambda: answering.renew(left(stopped_by=by)))

    await answering.answer(left(), None)

    shown = [call.until for call in chat.calls if call.method == "update"][-1]
    cleared = [call.until for call in chat.calls if call.method == "set_status"][-1]
    assert chat.status == ""
    assert cleared - shown < 0.5


@pytest.mark.parametrize("is_stream", [True, False])
async def test_status_of_the_dead_process_goes_where_its_stopped_answer_grows_no_more(
    is_stream: bool,
) -> None:
    chat = with_status(chat_with(WORDS.rstrip()))
    if is_stream:
        ts = next(iter(chat.messages))
        chat.streams[ts] = asyncio.get_running_loop().time()
        chat.messages[ts] = {"blocks": [{"type": "markdown", "text": WORDS.rstrip()}]}
    answering: Responder = wired(chat, FakeModel([MORE]), FakeTurns(), lane="native")

    await answering.answer(left(stopped_by="UANA", messages=tuple(chat.messages)), None)

    assert chat.screen[0].startswith(WORDS.rstrip())
    assert "Stopped" in chat.screen[0]
    assert chat.status == ""
    assert chat.times("set_status")[-1] < chat.times("find_reply")[-1]  # and not after that


async def test_status_of_the_dead_process_goes_from_beneath_its_whole_answer_at_once() -> None:
    chat = with_status(chat_with(WORDS, is_last=True))

    await resumed(FakeModel([MORE]), chat)

    assert chat.status == ""
    assert chat.times("set_status")[-1] < chat.times("find_reply")[-1]


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("by", [DELETED, "UANA"])
async def test_status_of_the_dead_process_goes_where_nothing_stands_and_nothing_comes(
    by: str, attempts: int
) -> None:
    chat = with_status(chat_with())

    turns = await resumed(FakeModel([MORE]), chat, stopped_by=by, attempts=attempts)

    assert chat.screen == []
    assert chat.status == ""
    assert turns.finished == {ASKED.key: "stopped"}


async def test_status_of_the_dead_process_goes_where_the_answer_is_refused_privately() -> None:
    chat, turns = with_status(chat_with()), FakeTurns()
    refusing = FakeAdmission(RefusedPrivately("Not here."))

    await wired(chat, FakeModel([MORE]), turns, admission=refusing).answer(left(attempts=0), None)

    assert chat.screen == []
    assert chat.status == ""
    assert list(turns.finished) == [ASKED.key]


async def test_status_of_the_dead_process_goes_where_its_turn_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat, turns = with_status(chat_with(WORDS.rstrip())), FakeTurns()
    answering = responder(FakeModel([MORE]), chat, turns)
    monkeypatch.setattr(answering, "_take_up", None)

    await answering.answer(left(), None)

    assert chat.status == ""
    assert turns.finished == {ASKED.key: "failed"}


# -- posts that land late


async def test_post_that_lands_late_goes_where_nothing_else_stands_and_nothing_comes() -> None:
    chat = chat_with()
    asyncio.get_running_loop().call_later(4.0, put, chat, Part(WORDS.rstrip()), 0)

    turns = await resumed(FakeModel([MORE]), chat, stopped_by="UANA")
    await asyncio.sleep(LANDS_WITHIN)

    assert chat.screen == []
    assert turns.finished == {ASKED.key: "stopped"}


@pytest.mark.parametrize("after", [0.5, 2.0, 6.0])
async def test_last_post_of_the_dead_process_that_lands_late_does_not_stand_twice(
    after: float,
) -> None:
    chat = chat_with()
    words = [step for word in (WORDS + MORE).split() for step in (0.5, f"{word} ")]
    asyncio.get_running_loop().call_later(after, put, chat, Part(WORDS.rstrip()), 0)

    await resumed(FakeModel([*words, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]
    assert is_whole(chat) == [True]


async def test_continuation_of_the_dead_process_that_lands_late_goes() -> None:
    chat = chat_with(WORDS.rstrip())
    asyncio.get_running_loop().call_later(0.5, put, chat, Part("The second part"), 1)

    await resumed(FakeModel([1.0, WORDS, 2.0, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]


async def test_own_post_that_lands_after_it_was_given_up_goes_in_the_end() -> None:
    """Its answer was lost, it was looked for in vain, and posted again."""
    chat = chat_with()
    chat.errors["post"] = [DOWN]
    asyncio.get_running_loop().call_later(4.0, put, chat, Part(WORDS.rstrip()), 0)

    await responder(FakeModel([WORDS, 8.0, MORE, USAGE]), chat, FakeTurns()).answer(
        turn_of(ASKED), ASKED
    )

    assert chat.screen == [(WORDS + MORE).rstrip()]


# -- and people who ask for something else meanwhile


async def in_turn(answering: Responder, turn: Turn, asked: Question | None = None) -> None:
    """As the queue does it: also what is asked in its place."""
    again: tuple[Turn, Question | None] | None = (turn, asked)
    while again:
        again = await answering.answer(*again)


def asked_again(answering: Responder, turns: FakeTurns, **values: Any) -> Callable[[], None]:
    """Somebody presses a button beneath the answer: the record knows it, and the process."""

    def press() -> None:
        turns.now[ASKED.key] = left(asked=2, attempts_before=1, **values)
        answering.renew(turns.now[ASKED.key])

    return press


@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("is_continued", [True, False])
async def test_button_is_obeyed_at_once_though_a_post_of_the_dead_process_may_land_yet(
    is_last: bool, is_continued: bool
) -> None:
    """Right behind a stop that process was killed, before or after it had shown that."""
    turns = FakeTurns()
    chat = chat_with(WORDS.rstrip(), is_last=is_last, notice="Stopped." if is_last else "")
    model = FakeModel([MORE, USAGE])
    answering = responder(model, chat, turns)
    pressed = asyncio.get_running_loop().time() + 2
    at(2.0, asked_again(answering, turns, is_continued=is_continued))
    at(5.0, lambda: put(chat, Part("The second part"), 1))

    await in_turn(answering, left(stopped_by="UANA"))

    assert model.asked_at[0] - pressed < 1
    kept = until_seam(WORDS.rstrip()) if is_continued else ""
    assert chat.screen == [(kept + MORE).rstrip()]
    assert is_whole(chat) == [True]
    assert chat.status == ""
    assert turns.finished == {ASKED.key: "complete"}


async def test_own_post_that_lands_late_goes_though_something_else_is_asked_meanwhile() -> None:
    """Its answer was lost, it was looked for in vain, and posted again."""
    chat, turns = chat_with(), FakeTurns()
    chat.errors["post"] = [DOWN]
    model = FakeModel([WORDS, USAGE], [MORE, USAGE])
    answering = responder(model, chat, turns)
    at(5.0, asked_again(answering, turns))
    at(7.0, lambda: put(chat, Part(WORDS.rstrip()), 0))

    await in_turn(answering, turn_of(ASKED), ASKED)

    assert model.asked_at[1] - model.asked_at[0] < 6
    assert chat.screen == [MORE.rstrip()]


async def test_post_that_lands_late_goes_though_two_processes_died_meanwhile() -> None:
    """The second of them had shown an end, and something else was asked then."""
    chat = chat_with(WORDS.rstrip(), is_last=True)
    at(4.0, lambda: put(chat, Part("The second part"), 1))
    taken_at = asyncio.get_running_loop().time()

    await resumed(FakeModel([MORE]), chat, asked=2, attempts_before=1, taken_at=taken_at)

    assert chat.screen == [MORE.rstrip()]


# -- what cannot go on


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"attempts": MOST_ATTEMPTS}, errors.TriedTooOften),
        ({"is_old": True}, errors.TooLate),
    ],
)
@pytest.mark.parametrize("text", ["", WORDS.rstrip()])
async def test_turn_that_is_given_up_says_so_beneath_what_stands(
    values: dict[str, Any], error: type[errors.BotError], text: str
) -> None:
    chat = chat_with(*[text] if text else [])
    model = FakeModel([MORE])
    if values.pop("is_old", False):
        values["accepted_at"] = left().accepted_at - OLDEST - timedelta(seconds=5)

    turns = await resumed(model, chat, **values)

    assert chat.screen == [f"{text}\n[{error.sentence}]".lstrip()]
    assert is_whole(chat) == [True]
    assert model.asked == []
    assert turns.finished == {ASKED.key: "failed"}
    assert turns.begun == turns.records == []


async def test_turn_given_up_with_several_parts_keeps_them() -> None:
    parts = ["One. " * 2000, "Two. " * 2000, "Three."]
    chat = chat_with(*[part.rstrip() for part in parts])

    await resumed(FakeModel([MORE]), chat, attempts=MOST_ATTEMPTS)

    assert join(chat.screen).split() == [
        *"".join(parts).split(),
        *f"[{errors.TriedTooOften.sentence}]".split(),
    ]
    assert is_whole(chat)[-1]


async def test_deleted_question_ends_the_reply_that_stands() -> None:
    chat = chat_with(WORDS.rstrip())
    chat._thread = []

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == [f"{WORDS.rstrip()}\n[{errors.QuestionGone.sentence}]"]
    assert turns.finished == {ASKED.key: "stopped"}


async def test_deleted_question_without_a_reply_is_not_answered() -> None:
    chat = chat_with()
    chat._thread = []

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == []
    assert [call.method for call in chat.calls] == ["thread", "set_status", "find_reply"]
    assert turns.finished == {ASKED.key: "stopped"}


async def test_thread_that_is_gone_is_not_answered() -> None:
    chat = chat_with()
    chat.errors["thread"] = [SlackRefused("conversations.replies", "thread_not_found")]

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == []
    assert turns.finished == {ASKED.key: "stopped"}


@pytest.mark.parametrize("code", ["missing_scope", "not_in_channel"])
async def test_thread_that_may_not_be_read_is_said(code: str) -> None:
    chat = chat_with()
    refused = SlackRefused("conversations.replies", code)
    chat.errors["thread"], chat.errors["find_reply"] = [refused], [refused] * 9

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == [f"[{errors.ThreadUnreadable.sentence}]"]
    assert turns.finished == {ASKED.key: "failed"}


async def test_thread_that_breaks_its_reader_is_said_and_finished() -> None:
    chat = chat_with()
    chat.errors["thread"] = [KeyError("messages")]

    turns = await resumed(FakeModel([MORE]), chat)

    assert chat.screen == [f"[{errors.BotError.sentence}]"]
    assert turns.finished == {ASKED.key: "failed"}


async def test_slack_that_is_away_for_long_is_waited_for() -> None:
    chat = chat_with(WORDS.rstrip())
    chat.down_until = asyncio.get_running_loop().time() + 1200

    await resumed(FakeModel([WORDS, MORE, USAGE]), chat)

    assert chat.screen == [(WORDS + MORE).rstrip()]


# -- what it cost


async def test_second_attempt_has_a_record_of_its_own() -> None:
    turns = await resumed(FakeModel([WORDS, USAGE]), chat_with(WORDS.rstrip()), attempts=1)

    assert [record.attempt for record in turns.begun] == [2]
    (record,) = turns.records
    assert (record.attempt, record.outcome, record.usage) == (2, "complete", USAGE)


async def test_attempt_is_counted_before_what_is_in_the_thread_is_opened() -> None:
    """What its process may have died of may be in the thread."""
    chat, turns = chat_with(WORDS.rstrip()), FakeTurns()
    seen: list[int] = []
    names = chat.names

    async def names_of(users: Iterable[str]) -> dict[str, str]:
        seen.append(len(turns.taken_up))
        return await names(users)

    chat.names = names_of  # type: ignore[method-assign]
    await resumed(FakeModel([MORE]), chat, turns)

    assert seen == [1]


async def test_turn_that_was_never_begun_has_its_first_attempt() -> None:
    turns = await resumed(FakeModel([WORDS, USAGE]), chat_with(), attempts=0)

    assert [record.attempt for record in turns.records] == [1]


async def test_whole_reply_has_no_further_record() -> None:
    turns = await resumed(FakeModel([MORE]), chat_with(WORDS, is_last=True), attempts=1)

    assert turns.begun == turns.records == []


# -- interrupted, and gone on with


class Counted(FakeTurns):
    """A database that can be away, and knows how often each turn was begun."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False

    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        self._check()
        await super().begin(turn, record)

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> None:
        self._check()
        await super().finish(turn, outcome, record)

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        self._check()
        await super().suspend(turn, record)

    def _check(self) -> None:
        if self.is_away:
            raise AWAY


async def test_interrupted_answer_says_so_is_not_finished_and_is_left_to_others() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(FakeModel([WORDS, 3600.0]), chat, turns)
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(5)

    answering.interrupt()
    await task

    assert chat.screen == [f"{WORDS.rstrip()}\n{RESTARTED}"]
    assert is_whole(chat) == [False]
    assert (turns.finished, turns.suspended) == ({}, [ASKED.key])
    assert [(record.attempt, record.outcome) for record in turns.records] == [(1, "stopped")]


async def test_interrupted_answer_goes_on_in_the_next_process() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(FakeModel([WORDS, 3600.0]), chat, turns)
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(5)
    answering.interrupt()
    await task

    await resumed(FakeModel([WORDS, 1.0, MORE, USAGE]), chat, turns)

    assert chat.screen == [(WORDS + MORE).rstrip()]
    assert len(chat.times("post")) == 1
    found = [(record.attempt, record.is_resumed) for record in turns.records]
    assert found == [(1, False), (2, True)]
    assert turns.finished == {ASKED.key: "complete"}


@pytest.mark.parametrize("is_last", [False, True])  # killed in it, or before it was written down
async def test_what_a_killed_process_had_shown_is_counted(is_last: bool) -> None:
    chat, turns = chat_with(WORDS, is_last=is_last), FakeTurns()
    turns.begun.append(foreboding())

    await resumed(FakeModel([WORDS, MORE, USAGE]), chat, turns, attempts=1)

    lost = turns.records[0]
    assert (lost.attempt, lost.outcome, lost.is_estimate) == (1, "failed", True)
    assert lost.usage == Usage(input_tokens=50, output_tokens=TokenEstimate().of(WORDS.rstrip()))


@pytest.mark.parametrize(
    "left_so",
    [
        {"attempts": 2},  # whose of its attempts the words are nobody knows
        {"attempts": 1, "is_continued": True},  # they may be of the answer before
    ],
)
async def test_words_that_may_be_of_another_attempt_are_not_counted(
    left_so: dict[str, Any],
) -> None:
    chat, turns = chat_with(WORDS), FakeTurns()
    turns.begun.append(replace(foreboding(), attempt=left_so["attempts"]))

    await resumed(FakeModel([WORDS, MORE, USAGE]), chat, turns, **left_so)

    assert [record.attempt for record in turns.records] == [left_so["attempts"] + 1]


def foreboding() -> UsageRecord:
    """What is written when an attempt begins."""
    return UsageRecord(
        at=datetime.now(UTC),
        key=ASKED.key,
        user=ASKED.user,
        model="fake",
        usage=Usage(input_tokens=50),
        seconds_to_first_delta=None,
        seconds=0.0,
        requests=1,
        outcome="failed",
        is_estimate=True,
    )


async def test_interrupted_where_edits_are_spent_posts_nothing_only_to_say_so() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(
        FakeModel([WORDS, 2.0, MORE, 3600.0]), chat, turns, limits=Limits(updates=2)
    )
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(20)
    before = len(chat.calls)
    answering._turnstile._pacer._updates._answered.extend([asyncio.get_running_loop().time()] * 5)

    answering.interrupt()
    await asyncio.sleep(5)
    task.cancel()  # as the process does that ends
    await asyncio.wait({task})

    assert [call.method for call in chat.calls[before:]] == []
    assert len(chat.messages) == 1
    assert turns.suspended == [ASKED.key]


async def test_closed_turnstile_leaves_the_turn_to_others_at_once_and_shows_nothing() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(FakeModel([WORDS, 2.0, MORE, 1.0, MORE, 3600.0]), chat, turns)
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(2.5)

    answering._turnstile.close()
    answering.interrupt()
    await asyncio.wait_for(task, 1.0)

    assert RESTARTED not in str(chat.history)
    assert (turns.finished, turns.suspended) == ({}, [ASKED.key])


async def test_closed_turnstile_leaves_a_turn_that_has_only_a_sentence_to_others() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(FakeModel([WORDS]), chat, turns)
    answering._turnstile.close()

    await answering.answer(left(attempts=MOST_ATTEMPTS), None)

    assert (turns.finished, turns.suspended) == ({}, [ASKED.key])


async def test_interrupted_before_its_thread_was_read_a_resumed_turn_says_so() -> None:
    chat, turns = chat_with(WORDS.rstrip()), FakeTurns()
    chat.latencies["thread"] = [3.0]
    answering = responder(FakeModel([MORE]), chat, turns)
    task = asyncio.create_task(answering.answer(left(), None))
    await asyncio.sleep(1)

    answering.interrupt()
    await task

    assert chat.screen == [f"{WORDS.rstrip()}\n{RESTARTED}"]
    assert turns.suspended == [ASKED.key]


async def test_cancelled_answer_is_suspended_and_leaves_what_stands() -> None:
    chat, turns = chat_with(), FakeTurns()
    answering = responder(FakeModel([WORDS, 3600.0]), chat, turns)
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(5)

    task.cancel()
    await asyncio.wait({task})

    assert chat.screen == [WORDS.rstrip()]
    assert (turns.finished, turns.suspended) == ({}, [ASKED.key])


# -- a database that is away


async def test_first_words_wait_for_the_database_and_then_come() -> None:
    chat, turns = chat_with(), Counted()
    turns.is_away = True
    task = asyncio.create_task(
        responder(FakeModel([WORDS, USAGE]), chat, turns).answer(turn_of(ASKED), ASKED)
    )
    await asyncio.sleep(60)
    assert chat.messages == {}

    turns.is_away = False
    await task

    assert chat.screen == [WORDS.rstrip()]
    assert [record.attempt for record in turns.begun] == [1]


async def test_models_error_is_said_at_once_though_the_database_is_away() -> None:
    chat, turns = chat_with(), Counted()
    turns.is_away = True
    task = asyncio.create_task(
        responder(FakeModel([errors.KeyRejected()]), chat, turns).answer(turn_of(ASKED), ASKED)
    )

    await asyncio.sleep(5)

    assert chat.screen == [f"[{errors.KeyRejected.sentence}]"]
    turns.is_away = False
    await task
    assert turns.finished == {ASKED.key: "failed"}


async def test_interrupted_while_the_database_is_away_it_says_so_at_once() -> None:
    chat, turns = chat_with(), Counted()
    turns.is_away = True
    answering = responder(FakeModel([WORDS, USAGE]), chat, turns)
    task = asyncio.create_task(answering.answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(5)

    answering.interrupt()
    await task

    assert chat.screen == [RESTARTED]
    assert turns.begun == []
    assert turns.suspended == []  # it is taken over from a process that is no more


async def test_whole_answer_is_finished_when_the_database_is_back() -> None:
    chat, turns = chat_with(), Counted()
    model = FakeModel([WORDS, lambda: setattr(turns, "is_away", True), USAGE])
    task = asyncio.create_task(responder(model, chat, turns).answer(turn_of(ASKED), ASKED))
    await asyncio.sleep(600)
    assert chat.screen == [WORDS.rstrip()]
    assert turns.finished == {}

    turns.is_away = False
    await task

    assert turns.finished == {ASKED.key: "complete"}


async def test_record_that_the_database_does_not_take_is_left_out_so_that_the_turn_ends() -> None:
    """Or the next questions of its thread would wait for ever."""
    turns = FakeTurns(ValueError("out of range"))

    await responder(FakeModel([WORDS, USAGE]), chat_with(), turns).answer(turn_of(ASKED), ASKED)

    assert turns.finished == {ASKED.key: "complete"}
    assert turns.records == []


# -- killed at any step

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone: nothing of it runs any further, nor cleans up."""


@dataclass
class Process:
    """Dies at a step: before it sends a call, or before it hears the answer to one."""

    dies_at: int | None
    steps: int = 0
    is_dead: bool = False
    death: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self) -> None:
        if not self.is_dead:
            self.steps += 1
        if self.steps == self.dies_at:
            self.is_dead = True
            self.death.set()
        if self.is_dead:
            raise Killed


class Wire:
    """What a process calls. What it has sent takes its effect, whoever still waits for that."""

    def __init__(self, world: "World", process: Process, server: object) -> None:
        self._world = world
        self._process = process
        self._server = server

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._server, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            self._process.step()
            sent = asyncio.create_task(method(*arguments, **named))
            self._world.sent.add(sent)
            sent.add_done_callback(lambda _: sent.cancelled() or sent.exception())
            answer = await asyncio.shield(sent)
            self._process.step()
            return answer

        return call


class WiredModel:
    name = "fake-model"
    sees = True

    def __init__(self, process: Process, model: FakeModel) -> None:
        self._process = process
        self._model = model

    async def stream(
        self, messages: Sequence[ChatMessage], **_: Any
    ) -> AsyncGenerator[Delta | Usage, None]:
        self._process.step()
        async for piece in self._model.stream(messages):
            self._process.step()
            yield piece
            self._process.step()


class World:
    """A Slack, a model and a table that outlive the processes between them."""

    def __init__(
        self, *scripts: Sequence[Any], has_status_line: bool = True, lane: Lane = "edit"
    ) -> None:
        self.lane = lane
        self.chat = FakeChat(latency=0.1, thread=[SAID])
        if not has_status_line:
            self.chat.errors["set_status"] = [NO_STATUS] * 20
        self.model = FakeModel(*scripts)
        self.turns = FakeTurns()
        self.sent: set[asyncio.Task[Any]] = set()
        self.texts = [
            "".join(step for step in script if isinstance(step, str)) for script in scripts
        ]

    async def live(self, dies_at: int | None, *, dropped_after: float = inf) -> int:
        """One process, until the turn is finished, or it dies or drops the turn; its steps."""
        attempts = max((record.attempt for record in self.turns.begun), default=0)
        is_fresh = not self.sent
        process = Process(dies_at)
        responder: Responder = wired(
            Wire(self, process, self.chat),
            WiredModel(process, self.model),
            Wire(self, process, self.turns),
            lane=self.lane,
        )
        before = tasks_under_way()
        recorded = tuple(self.turns.messages.get(ASKED.key, ()))
        turn = turn_of(ASKED) if is_fresh else left(attempts=attempts, messages=recorded)
        task = asyncio.create_task(responder.answer(turn, ASKED if is_fresh else None))
        death = asyncio.create_task(process.death.wait())
        within = None if dropped_after == inf else dropped_after
        await asyncio.wait({task, death}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if process.is_dead:
            await self._bury(before)
        elif task.done():
            await task
        else:
            task.cancel()
            await asyncio.wait({task})
        return process.steps

    async def _bury(self, before: set[asyncio.Task[Any]]) -> None:
        while remains := tasks_under_way() - before - self.sent:
            for task in remains:
                task.cancel()
            await asyncio.gather(*remains, return_exceptions=True)

    async def check(self) -> None:
        await asyncio.gather(*self.sent, return_exceptions=True)
        assert self.chat.streams == {}
        tags = [message["metadata"]["event_payload"] for message in self.chat.messages.values()]
        assert join(self.chat.screen).split() in [text.split() for text in self.texts]
        assert sorted(tag["part"] for tag in tags) == list(range(len(tags)))
        assert [tag["part"] for tag in tags if tag["is_last"]] == [len(tags) - 1]
        assert self.chat.reactions == set()
        assert self.turns.finished == {ASKED.key: "complete"}
        attempts = [record.attempt for record in self.turns.records]
        assert attempts == sorted(attempts)


def tasks_under_way() -> set[asyncio.Task[Any]]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.tasks


async def play(world: World, deaths: Sequence[int], pauses: Sequence[float]) -> None:
    """As many processes as deaths, one after the other, and one more that lives."""
    for dies_at, pause in zip(deaths, pauses, strict=True):
        if not world.turns.finished:
            await world.live(dies_at)
            await asyncio.sleep(pause)
    if not world.turns.finished:
        await world.live(None)
    await world.check()


SHORT = ["Yes.", USAGE]
USUAL = [0.4, "Because the moon ", 0.7, "pulls ", 0.6, "the sea. ", 1.0, MORE, USAGE]
OTHER = [0.4, "It is ", 1.0, "the moon, and the sun. ", 2.0, MORE, MORE, USAGE]
BROKEN = ["Because the moon ", 1.0, StreamBroken("reset")]
LONG: list[Any] = [
    step for n in range(24) for step in (0.2, f"Paragraph {n}. " + "tide " * 190 + "\n\n")
]
SCRIPTS: dict[str, list[list[Any]]] = {
    "short": [SHORT],
    "usual": [USUAL],
    "other words": [USUAL, OTHER, USUAL],
    "shorter again": [OTHER, SHORT],
    "broken": [BROKEN, USUAL],
    "long": [LONG],
    "long, then short": [LONG, USUAL],
}


def in_virtual_time(playing: Callable[[], Awaitable[T]]) -> T:
    loop = VirtualTimeLoop()
    loop.set_exception_handler(lambda *_: None)  # of the dead nothing but good

    async def to_the_end() -> T:
        try:
            return await playing()
        finally:  # what a process does beside its answers ends with it
            left = tasks_under_way() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    try:
        return loop.run_until_complete(to_the_end())
    finally:
        loop.close()


@pytest.mark.parametrize("has_status_line", [True, False], ids=["status", "reaction"])
@pytest.mark.parametrize("lane", ["edit", "native"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_process_that_is_killed_at_any_step_leaves_one_whole_answer(
    name: str, lane: Lane, has_status_line: bool
) -> None:
    def world() -> World:
        return World(*SCRIPTS[name], has_status_line=has_status_line, lane=lane)

    async def lives() -> int:
        return await world().live(None)

    async def dies(at: int) -> None:
        await play(world(), [at], [1.0])

    steps = in_virtual_time(lives)
    assert steps > 10
    for at in range(1, steps + 1):
        in_virtual_time(lambda at=at: dies(at))  # type: ignore[misc]


@given(
    name=st.sampled_from(sorted(SCRIPTS)),
    has_status_line=st.booleans(),
    lane=st.sampled_from(["edit", "native"]),
    after=st.lists(st.floats(0.0, 7.0), min_size=1, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_turn_that_is_taken_from_one_process_after_the_other_stands_once(
    name: str, has_status_line: bool, lane: Lane, after: list[float]
) -> None:
    """Each is told to drop it, in the middle of whatever it does: in its last edit, say."""

    async def playing() -> None:
        world = World(*SCRIPTS[name], has_status_line=has_status_line, lane=lane)
        for seconds in after:
            if not world.turns.finished:
                await world.live(None, dropped_after=seconds)
        await play(world, [], [])

    in_virtual_time(playing)


@given(
    name=st.sampled_from(sorted(SCRIPTS)),
    has_status_line=st.booleans(),
    lane=st.sampled_from(["edit", "native"]),
    deaths=st.lists(
        st.tuples(st.integers(1, 90), st.sampled_from([0.3, 1.0, 3.0])),
        min_size=2,
        max_size=MOST_ATTEMPTS - 1,
    ),
    faults=st.lists(
        st.tuples(
            st.sampled_from(
                ["post", "update", "delete", "find_reply", "thread", "start", "append", "stop"]
            ),
            st.sampled_from([DOWN, LOST, RateLimited("Slack", 3.0), None]),
        ),
        max_size=4,
    ),
    slow_posts=st.lists(st.sampled_from([0.1, 2.0, 6.0]), max_size=3),
)
@example(  # the first one's post lands behind the second one's
    name="long, then short",
    has_status_line=False,
    lane="edit",
    deaths=[(14, 0.3), (29, 0.3)],
    faults=[("update", RateLimited("Slack", 3.0))],
    slow_posts=[6.0],
)
@example(  # a stream is stopped to be edited, and its process dies before the edit
    name="long",
    has_status_line=False,
    lane="native",
    deaths=[(72, 0.3), (76, 0.3)],
    faults=[],
    slow_posts=[2.0],
)
@example(  # the first one's stream lands late, before those of the second
    name="long",
    has_status_line=False,
    lane="native",
    deaths=[(16, 0.3), (52, 0.3)],
    faults=[],
    slow_posts=[2.0],
)
@example(  # a stream too much cannot be stopped, and is deleted as it grows
    name="long, then short",
    has_status_line=False,
    lane="native",
    deaths=[(1, 0.3), (48, 0.3)],
    faults=[("stop", None), ("stop", DOWN)],
    slow_posts=[],
)
@example(  # all parts are posted anew, and the process that does it dies after the first
    name="long",
    has_status_line=True,
    lane="edit",
    deaths=[(68, 0.3), (70, 0.3)],
    faults=[("update", RateLimited("Slack", 3.0)), ("update", RateLimited("Slack", 3.0))],
    slow_posts=[2.0],
)
@settings(max_examples=300, deadline=None)
def test_processes_that_are_killed_one_after_the_other_leave_one_whole_answer(
    name: str,
    has_status_line: bool,
    lane: Lane,
    deaths: list[tuple[int, float]],
    faults: list[tuple[str, Exception | None]],
    slow_posts: list[float],
) -> None:
    async def playing() -> None:
        world = World(*SCRIPTS[name], has_status_line=has_status_line, lane=lane)
        world.chat.latencies["post"] = slow_posts
        world.chat.latencies["start"] = list(slow_posts)
        for method, error in faults:
            world.chat.errors.setdefault(method, []).append(error)
        await play(world, [at for at, _ in deaths], [pause for _, pause in deaths])

    in_virtual_time(playing)
