"""Answers that are stopped, corrected, continued and given anew, in virtual time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from bot.errors import Interrupted, ModelNotFound, RateLimited, RefusedPrivately, StreamBroken
from bot.messages import DELETED, Question, Turn
from bot.pacing import Limits
from bot.responder import Responder
from bot.standing import OLDEST
from bot.views import ANEW, EARLIER, ENDS_HERE, MAY_BE_WRONG
from tests.core.fakes import (
    USAGE,
    FakeAdmission,
    FakeChat,
    FakeModel,
    FakeTurns,
    Step,
    buttons,
    question,
    turn_of,
)
from tests.core.test_responder import _nothing_is_left_behind, in_brackets, responder

__all__ = ["_nothing_is_left_behind"]  # for each test

WORDS = "Because the moon pulls the sea. "
STALLED = 3600.0  # seconds of silence
STOPPED = "[Stopped by Ana.]"


class Room(FakeChat):
    """A thread that can be read back, with the question as it is now."""

    def __init__(self, asked: Question, **values: Any) -> None:
        super().__init__(**values)
        self.asked: Question | None = asked

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        own = await super().thread(channel, thread_ts)
        if self.asked is None:
            return own
        return [{"ts": self.asked.ts, "user": self.asked.user, "text": self.asked.text}, *own]


class Stage:
    """One question and its answer, with somebody who changes their mind."""

    def __init__(
        self,
        *scripts: Sequence[Step],
        asked: Question | None = None,
        chat: Room | None = None,
        latency: float = 0.1,
        limits: Limits | None = None,
        admission: FakeAdmission | None = None,
    ) -> None:
        self.asked = asked or question("why tides?", channel="C1")
        self.turn = turn_of(self.asked)
        self.chat = chat or Room(self.asked, latency=latency)
        self.model = FakeModel(*scripts)
        self.turns = FakeTurns()
        self.responder: Responder = responder(
            self.model, self.chat, self.turns, limits=limits, admission=admission
        )
        self.again: list[tuple[Turn, Question | None]] = []

    async def answer(self) -> None:
        """As the queue does it: also what is asked in its place meanwhile."""
        asked: tuple[Turn, Question | None] | None = (self.turn, self.asked)
        while asked:
            asked = await self.responder.answer(*asked)
            self.again += [asked] if asked else []

    async def retry(self, turn: Turn | None = None, asked: Question | None = None) -> None:
        """A turn that was over is asked for again: it goes on from what stands in the thread."""
        self.turn = turn or self.now_asked(is_resumed=True, attempts=len(self.turns.records))
        self.turns.now[self.turn.key] = self.turn
        await self.responder.answer(self.turn, asked)

    def stop(self, by: str = "UANA") -> None:
        self.responder.renew(replace(self.latest, stopped_by=by))

    def correct(self, text: str, *, is_told: bool = True) -> None:
        """The record has another wording now; the process that answers is told of it, or not."""
        self.asked = replace(self.asked, text=text)
        self.chat.asked = self.asked
        self.turns.now[self.turn.key] = self.now_asked(is_resumed=True)
        if is_told:
            self.responder.renew(self.latest, self.asked)

    def now_asked(self, **values: Any) -> Turn:
        latest = self.latest
        values = {"asked": latest.asked + 1, "stopped_by": None, "is_continued": False} | values
        return replace(latest, attempts_before=values.get("attempts", latest.attempts), **values)

    @property
    def latest(self) -> Turn:
        return self.turns.now.get(self.turn.key, self.turn)

    @property
    def offered(self) -> list[str]:
        return buttons(list(self.chat.messages.values())[-1])


def at(seconds: float, deed: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, deed)


# -- stop


@pytest.mark.parametrize("after", [0.5, 1.05, 2.0, 4.15])
async def test_stop_closes_the_stream_and_marks_the_text_so_far(after: float) -> None:
    stage = Stage([WORDS, 4.0, "More. ", STALLED])
    at(after, stage.stop)

    await stage.answer()

    assert stage.chat.screen[0].startswith(WORDS.rstrip())
    assert stage.chat.screen[0].endswith(f"\n{STOPPED}")
    assert stage.offered == ["continue", "retry"]
    assert stage.model.closed == 1
    record = stage.turns.records[0]
    assert (record.outcome, record.is_estimate) == ("stopped", True)
    assert stage.turns.finished == {stage.turn.key: "stopped"}
    assert stage.chat.status == ""


async def test_stream_is_closed_in_the_moment_of_the_press() -> None:
    stage = Stage([WORDS, STALLED], latency=2.0)
    closed: list[int] = []
    at(7.0, stage.stop)
    at(7.0001, lambda: closed.append(stage.model.closed))

    await stage.answer()

    assert closed == [1]


async def test_while_an_answer_grows_it_can_be_stopped_and_nothing_else() -> None:
    stage = Stage([WORDS, 2.0, "More. ", 2.0, "And more.", USAGE])
    seen: list[list[str]] = []
    for seconds in (1.0, 3.0):
        at(seconds, lambda: seen.append(stage.offered))

    await stage.answer()

    assert seen == [["stop"], ["stop"]]
    assert stage.offered == ["rate", "more"]


async def test_stop_before_the_first_post_says_so_and_costs_nothing_more() -> None:
    stage = Stage([STALLED])
    at(5.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [STOPPED]
    assert stage.offered == ["retry"]
    assert stage.chat.status == ""


async def test_stop_before_the_answer_was_begun_shows_nothing() -> None:
    stage = Stage([WORDS])
    stage.turn = replace(stage.turn, stopped_by="UANA")

    await stage.answer()

    assert stage.chat.calls == []
    assert stage.model.asked == []
    assert stage.turns.finished == {stage.turn.key: "stopped"}


async def test_stop_while_the_post_is_under_way_marks_it_when_it_stands_there() -> None:
    stage = Stage([WORDS, STALLED], latency=2.0)
    at(3.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]
    assert len(stage.chat.times("post")) == 1


async def test_stop_while_an_edit_is_under_way_is_the_last_edit_after_it() -> None:
    stage = Stage([WORDS, 3.0, "More. ", STALLED], latency=1.0)
    at(5.5, stage.stop)

    await stage.answer()

    assert stage.chat.history[-1] == f"{WORDS}More.\n{STOPPED}"
    updates = [call for call in stage.chat.calls if call.method == "update"]
    assert all(one.until <= two.at for one, two in pairwise(updates))


async def test_stop_while_the_last_edit_is_under_way_comes_too_late() -> None:
    stage = Stage([WORDS, 2.0, USAGE])
    stage.chat.latencies["update"] = [5.0]
    at(4.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [WORDS.rstrip()]
    assert stage.turns.finished == {stage.turn.key: "complete"}


async def test_stop_while_the_edits_are_held_is_shown_before_those_of_others() -> None:
    stage = Stage([WORDS, 4.0, "More. ", 2.0, "And more. ", STALLED], limits=Limits(updates=2))
    at(10.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS}More. And more.\n{STOPPED}"]
    assert stage.turns.records[0].seconds < 11


async def test_stop_of_an_answer_that_is_not_posted_yet_posts_what_there_is() -> None:
    stage = Stage([WORDS, STALLED], limits=Limits(updates=0))
    at(10.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]


async def test_stop_while_it_waits_to_ask_the_model_again() -> None:
    stage = Stage([WORDS, 1.0, RateLimited("the model", 40.0)])
    at(10.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]
    assert len(stage.model.asked) == 1


async def test_stop_while_the_thread_is_read() -> None:
    stage = Stage([WORDS], asked=question(thread_ts="1600000000.000001"))
    stage.chat.latencies["thread"] = [10.0]
    at(3.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [STOPPED]
    assert stage.model.asked == []


async def test_stop_twice_is_once() -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, stage.stop)
    at(5.01, lambda: stage.stop("UBEN"))
    at(5.15, lambda: stage.stop("UBEN"))

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]


@pytest.mark.parametrize(
    ("by", "notice"), [("UBEN", "Stopped by Ben."), ("UCHLOE", "Stopped by an admin.")]
)
async def test_admin_who_stopped_it_is_named_if_known(by: str, notice: str) -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, lambda: stage.stop(by))

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n[{notice}]"]


async def test_deleted_question_ends_its_answer_and_offers_nothing() -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, lambda: stage.stop(DELETED))

    await stage.answer()

    sentence = "The question was deleted, so this answer ends here."
    assert stage.chat.screen == [f"{WORDS.rstrip()}\n[{sentence}]"]
    assert stage.offered == []


async def test_question_deleted_before_the_first_words_leaves_no_trace() -> None:
    stage = Stage([STALLED])
    at(5.0, lambda: stage.stop(DELETED))

    await stage.answer()

    assert stage.chat.screen == []
    assert stage.chat.status == ""
    assert stage.turns.finished == {stage.turn.key: "stopped"}


async def test_stop_after_a_shutdown_has_begun_is_left_to_the_next_process() -> None:
    stage = Stage([WORDS, STALLED], latency=1.0)
    at(5.0, stage.responder.interrupt)
    at(5.5, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{in_brackets(Interrupted)}"]
    assert stage.turns.suspended == [stage.turn.key]


async def test_stopped_turn_that_another_process_began_is_ended_and_not_begun_again() -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, stage.responder.interrupt)
    await stage.answer()
    after = Stage(["Anew."], chat=stage.chat)

    stopped = replace(stage.turn, stopped_by="UANA", is_resumed=True)
    await after.responder.answer(stopped, None)

    assert after.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]
    assert after.model.asked == []
    assert after.turns.finished == {stage.turn.key: "stopped"}


async def test_stopped_turn_of_which_nothing_stands_is_ended_without_a_word() -> None:
    stage = Stage([WORDS])

    await stage.responder.answer(replace(stage.turn, stopped_by="UANA", is_resumed=True), None)

    assert stage.chat.screen == []
    assert stage.turns.finished == {stage.turn.key: "stopped"}


async def test_stop_while_what_stands_is_being_found() -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, stage.responder.interrupt)
    await stage.answer()
    after = Stage(["Anew."], chat=stage.chat)
    stage.chat.latencies["thread"] = [4.0]
    at(2.0, after.stop)

    await after.responder.answer(replace(stage.turn, is_resumed=True), None)

    assert after.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]
    assert after.model.asked == []


# -- correct


@pytest.mark.parametrize("after", [0.15, 0.25, 2.0, 4.15])
async def test_new_wording_is_answered_in_the_same_message(after: float) -> None:
    stage = Stage([WORDS, 4.0, "More. ", STALLED], ["Short.", USAGE])
    at(after, lambda: stage.correct("who made the tides?"))

    await stage.answer()

    assert stage.chat.screen == ["Short."]
    assert len(stage.chat.times("post")) == 1
    assert "who made the tides?" in stage.model.asked[-1][-1].content
    assert stage.offered == ["rate", "more"]
    assert stage.turns.finished == {stage.turn.key: "complete"}
    assert [record.attempt for record in stage.turns.records] == list(
        range(1, len(stage.turns.records) + 1)
    )


async def test_edit_before_the_model_was_asked_costs_nothing_more() -> None:
    stage = Stage(["Short.", USAGE])
    at(0.05, lambda: stage.correct("who made the tides?"))

    await stage.answer()

    assert stage.chat.screen == ["Short."]
    assert len(stage.model.asked) == 1
    assert "who made the tides?" in stage.model.asked[0][-1].content
    assert [record.attempt for record in stage.turns.records] == [1]


async def test_what_people_see_gives_way_to_the_first_words_of_the_new_answer() -> None:
    long = "A long answer to the old words. " * 20
    stage = Stage([long, STALLED], [1.0, "Something else comes ", 1.0, "now.", USAGE])
    at(5.0, lambda: stage.correct("what else?"))

    await stage.answer()

    seen = list(dict.fromkeys(stage.chat.history))
    assert seen == [long.rstrip(), "Something else comes", "Something else comes now."]


async def test_attempt_at_the_old_wording_is_paid_for_and_recorded() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE])
    at(5.0, lambda: stage.correct("what else?"))

    await stage.answer()

    first, second = sorted(stage.turns.records, key=lambda record: record.attempt)
    assert (first.attempt, first.outcome, first.is_estimate) == (1, "stopped", True)
    assert (second.attempt, second.outcome, second.usage) == (2, "complete", USAGE)
    assert [record.attempt for record in stage.turns.begun] == [1, 2]
    assert not any(record.is_resumed for record in stage.turns.records)


async def test_edit_that_another_process_was_told_of_is_read_in_the_thread() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE])

    def edited_elsewhere() -> None:
        stage.correct("what else?", is_told=False)
        stage.responder.renew(stage.latest)

    at(5.0, edited_elsewhere)

    await stage.answer()

    assert stage.chat.screen == ["Short."]
    assert "what else?" in stage.model.asked[-1][-1].content


async def test_edit_that_this_process_never_heard_of_is_answered_after_all() -> None:
    stage = Stage([WORDS, 2.0, "That is all.", USAGE], ["Short.", USAGE])
    at(1.0, lambda: stage.correct("what else?", is_told=False))

    await stage.answer()

    assert stage.chat.screen == ["Short."]
    assert [turn.asked for turn, _ in stage.again] == [2]
    assert len(stage.chat.times("post")) == 1


async def test_edit_while_the_last_edit_is_under_way_is_answered_after_it() -> None:
    stage = Stage([WORDS, 2.0, USAGE], ["Short.", USAGE])
    stage.chat.latencies["update"] = [5.0]
    at(4.0, lambda: stage.correct("what else?"))

    await stage.answer()

    assert list(dict.fromkeys(stage.chat.history)) == [WORDS.rstrip(), "Short."]
    assert [turn.asked for turn, _ in stage.again] == [2]
    assert len(stage.chat.messages) == 1


async def test_two_edits_are_answered_as_the_last_one_says() -> None:
    stage = Stage([WORDS, STALLED], [STALLED], ["Short.", USAGE])
    at(5.0, lambda: stage.correct("what else?"))
    at(5.0, lambda: stage.correct("what else, then?"))
    at(6.0, lambda: stage.correct("what is it, then?"))

    await stage.answer()

    assert stage.chat.screen == ["Short."]
    assert "what is it, then?" in stage.model.asked[-1][-1].content


async def test_edit_and_stop_together_end_it() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE])
    at(5.0, lambda: stage.correct("what else?"))
    at(5.0, stage.stop)

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n{STOPPED}"]
    assert len(stage.model.asked) == 1


async def test_stop_and_then_edit_is_answered_anew() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE], latency=1.0)
    at(8.0, stage.stop)
    at(8.5, lambda: stage.correct("what else?"))

    await stage.answer()

    assert stage.chat.screen == ["Short."]


async def test_edit_and_deletion_together_end_it() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE])
    at(5.0, lambda: stage.correct("what else?"))
    at(5.0, lambda: stage.stop(DELETED))

    await stage.answer()

    assert len(stage.chat.screen) == 1
    assert stage.chat.screen[0].endswith("[The question was deleted, so this answer ends here.]")


async def test_question_edited_until_no_words_are_left_is_told_so() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE])
    at(5.0, lambda: stage.correct("<@UBOT>"))

    await stage.answer()

    assert "without a question" in stage.chat.screen[0]
    assert stage.offered == []
    assert len(stage.model.asked) == 1


async def test_new_wording_is_admitted_anew_and_a_private_refusal_says_no_reason() -> None:
    admission = FakeAdmission(None, RefusedPrivately("Too fast."))
    stage = Stage([WORDS, STALLED], ["Short.", USAGE], admission=admission)
    at(5.0, lambda: stage.correct("what else?"))

    await stage.answer()

    assert stage.chat.screen == [f"{WORDS.rstrip()}\n[{ENDS_HERE}]"]
    assert len(stage.model.asked) == 1
    assert stage.turns.finished == {stage.turn.key: "refused"}


async def test_edit_after_a_shutdown_has_begun_is_left_to_the_next_process() -> None:
    stage = Stage([WORDS, STALLED], ["Short.", USAGE], latency=1.0)
    at(5.0, stage.responder.interrupt)
    at(5.5, lambda: stage.correct("what else?"))

    await stage.answer()

    assert stage.turns.suspended == [stage.turn.key]
    assert stage.again == []


# -- retry, regenerate


async def test_failed_answer_is_given_anew_in_its_message() -> None:
    broken: list[Step] = [WORDS, StreamBroken("reset")]
    stage = Stage(*[broken] * 5, ["Whole.", USAGE])
    await stage.answer()
    before, offered = stage.chat.screen, stage.offered

    await stage.retry()

    assert before[0].startswith(WORDS.rstrip())
    assert offered == ["continue", "retry"]
    assert stage.chat.screen == ["Whole."]
    assert stage.offered == ["rate", "more"]
    assert [record.attempt for record in stage.turns.records] == [1, 2]


async def test_pressed_button_gives_way_to_stop_at_once() -> None:
    stage = Stage(["Whole.", USAGE], [5.0, "Anew.", USAGE])
    await stage.answer()
    seen: list[tuple[list[str], list[str]]] = []
    at(2.0, lambda: seen.append((stage.chat.screen, stage.offered)))

    await stage.retry()

    assert seen == [(["Whole."], ["stop"])]
    assert stage.chat.screen == ["Anew."]


async def test_answer_that_comes_out_shorter_leaves_nothing_of_the_longer_one() -> None:
    paragraphs = "\n\n".join("word " * 400 for _ in range(12))
    stage = Stage([paragraphs, USAGE], ["Short.", USAGE])
    await stage.answer()
    count = len(stage.chat.screen)

    await stage.retry()

    assert count > 1
    assert stage.chat.screen == ["Short."]


@pytest.mark.parametrize(
    "attempt",
    [
        [ModelNotFound("gone")],  # before its first words
        [WORDS, ModelNotFound("gone")],  # after they have taken the place of the earlier answer
        [WORDS * 400, ModelNotFound("gone")],  # and of more messages
    ],
)
async def test_whole_answer_stands_again_where_the_new_one_fails(attempt: list[Step]) -> None:
    stage = Stage(["Whole, and good.", USAGE], attempt)
    await stage.answer()

    await stage.retry()

    (text,) = stage.chat.screen
    assert text.startswith(f"Whole, and good.\n[{EARLIER} The model")
    assert stage.offered == ["rate", "more"]
    assert stage.turns.finished == {stage.turn.key: "failed"}


async def test_it_says_so_once_however_often_that_fails_and_nothing_after_one_that_is_whole() -> (
    None
):
    gone: list[Step] = [ModelNotFound("gone")]
    stage = Stage(["Whole, and good.", USAGE], gone, gone, ["Anew.", USAGE])
    await stage.answer()
    await stage.retry()
    await stage.retry()
    failed_twice = stage.chat.screen

    await stage.retry()

    assert failed_twice[0].count(EARLIER) == 1
    assert stage.chat.screen == ["Anew."]


@pytest.mark.parametrize(
    ("after", "screen"),
    [
        (1.0, f"Whole, and good.\n[{EARLIER} Stopped by Ana.]"),
        (6.0, f"{WORDS.rstrip()}\n{STOPPED}"),
    ],
)
async def test_stop_keeps_what_is_to_be_read_at_that_moment(after: float, screen: str) -> None:
    stage = Stage(["Whole, and good.", USAGE], [4.0, WORDS, STALLED])
    await stage.answer()
    at(after, stage.stop)

    await stage.retry()

    assert stage.chat.screen == [screen]


async def test_whole_answer_to_a_question_that_was_deleted_stays_and_is_not_offered_anew() -> None:
    stage = Stage(["Whole, and good.", USAGE])
    await stage.answer()
    stage.chat.asked = None

    await stage.retry()

    assert stage.chat.screen[0].startswith(f"Whole, and good.\n[{EARLIER} The question was deleted")
    assert stage.offered == ["rate"]


async def test_failure_without_words_gives_way_to_a_word_and_stop_at_once() -> None:
    stage = Stage([ModelNotFound("gone")], [5.0, "Anew.", USAGE])
    await stage.answer()
    seen: list[tuple[list[str], list[str]]] = []
    at(2.0, lambda: seen.append((stage.chat.screen, stage.offered)))

    await stage.retry()

    assert seen == [([f"[{ANEW}]"], ["stop"])]
    assert stage.chat.screen == ["Anew."]


async def test_whole_answer_that_may_not_be_given_anew_is_as_whole_as_it_was() -> None:
    admission = FakeAdmission(None, RefusedPrivately("Switched off here."))
    stage = Stage(["Whole.", USAGE], admission=admission)
    await stage.answer()

    await stage.retry()

    assert stage.chat.screen == ["Whole."]
    assert stage.offered == ["rate", "more"]
    assert len(stage.model.asked) == 1


@pytest.mark.parametrize("words", [WORDS, ""])
async def test_failed_answer_that_may_not_be_given_anew_says_what_it_said(words: str) -> None:
    admission = FakeAdmission(None, RefusedPrivately("Switched off here."))
    broken: list[Step] = [words, StreamBroken("reset")]
    stage = Stage(*[broken] * 5, admission=admission)
    await stage.answer()
    before, offered = stage.chat.screen, stage.offered

    await stage.retry()

    assert "[The connection" in before[0]
    assert stage.chat.screen == before
    assert stage.offered == offered


@pytest.mark.parametrize("lost", [0, 1])  # attempts at what is asked now, whose process died
@pytest.mark.parametrize("is_continued", [False, True])
async def test_only_what_a_process_left_is_recorded_as_begun_again(
    is_continued: bool, lost: int
) -> None:
    broken: list[Step] = [WORDS, StreamBroken("reset")]
    stage = Stage(*[broken] * 5, ["Whole.", USAGE])
    await stage.answer()
    again = stage.now_asked(is_resumed=True, attempts=1, is_continued=is_continued)

    await stage.retry(replace(again, attempts=1 + lost))

    assert stage.turns.records[0].is_resumed is False
    assert stage.turns.records[-1].attempt == 2 + lost
    assert stage.turns.records[-1].is_resumed is bool(lost)


async def test_regenerated_answer_survives_a_crash_before_its_first_words() -> None:
    """What stands there is whole, but it is what was asked before."""
    stage = Stage(["Whole.", USAGE], ["Anew.", USAGE])
    await stage.answer()
    again = stage.now_asked(is_resumed=True, attempts=2)  # begun, and its process died

    await stage.retry(again)

    assert stage.chat.screen == ["Anew."]


async def test_whole_answer_whose_process_died_is_not_given_anew() -> None:
    stage = Stage(["Whole.", USAGE], ["Anew.", USAGE])
    await stage.answer()

    await stage.responder.answer(replace(stage.turn, is_resumed=True, attempts=1), None)

    assert stage.chat.screen == ["Whole."]
    assert len(stage.model.asked) == 1


async def test_many_attempts_before_do_not_count_against_a_new_wish() -> None:
    stage = Stage(["Whole.", USAGE])
    again = stage.now_asked(is_resumed=True, attempts=9)

    await stage.retry(replace(again, attempts_before=9))

    assert stage.chat.screen == ["Whole."]


async def test_old_question_that_is_asked_for_again_is_not_too_old() -> None:
    stage = Stage(["Whole.", USAGE])
    now = datetime.now(UTC)
    again = stage.now_asked(is_resumed=True, accepted_at=now - 2 * OLDEST, asked_at=now)

    await stage.retry(again)

    assert stage.chat.screen == ["Whole."]


async def test_retry_of_an_answer_whose_question_was_deleted_says_so() -> None:
    stage = Stage([WORDS, STALLED])
    at(5.0, stage.stop)
    await stage.answer()
    stage.chat.asked = None

    await stage.retry()

    assert "The question was deleted" in stage.chat.screen[0]
    assert stage.offered == []


# -- continue


async def continued(first: Sequence[Step], *then: Sequence[Step]) -> Stage:
    stage = Stage(first, *then)
    at(5.0, stage.stop)
    await stage.answer()
    again = stage.now_asked(is_resumed=True, is_continued=True, attempts=1)
    await stage.retry(again)
    return stage


async def test_answer_goes_on_after_its_text_as_one_text() -> None:
    stage = await continued(["The moon pulls the se", STALLED], ["sea, twice a day.", USAGE])

    assert stage.chat.screen == ["The moon pulls the sea, twice a day."]
    assert stage.offered == ["rate", "more"]


async def test_model_is_given_its_own_text_and_told_to_go_on() -> None:
    stage = await continued(["The moon pulls the se", STALLED], ["sea.", USAGE])

    *_, asked, written, told = stage.model.asked[-1]
    assert (asked.role, "why tides?" in asked.content) == ("user", True)
    assert (written.role, written.content) == ("assistant", "The moon pulls the")
    assert told.role == "user"
    assert "Go on exactly where it ends" in told.content


async def test_space_that_the_model_begins_with_is_not_doubled() -> None:
    stage = await continued(["The moon pulls the se", STALLED], [" ", " sea.", USAGE])

    assert stage.chat.screen == ["The moon pulls the sea."]


async def test_code_goes_on_within_its_fence() -> None:
    stage = await continued(
        ["So:\n\n```python\nprint(1)\nprin", STALLED], ["print(2)\n```\nDone.", USAGE]
    )

    assert stage.chat.screen == ["So:\n\n```python\nprint(1)\nprint(2)\n```\nDone."]


async def test_stream_that_breaks_while_it_goes_on_begins_again_after_the_same_text() -> None:
    stage = await continued(
        ["The moon pulls the se", STALLED],
        ["sea, twice ", StreamBroken("reset")],
        ["sea, day and night.", USAGE],
    )

    assert stage.chat.screen == ["The moon pulls the sea, day and night."]


async def test_model_that_has_nothing_to_add_loses_no_word() -> None:
    stage = await continued(["The moon pulls the sea.", STALLED], [USAGE])

    assert stage.chat.screen[0].startswith("The moon pulls the sea.\n[The model answered with")


async def test_tokens_of_the_text_that_stood_there_are_not_counted_twice() -> None:
    stage = await continued(["word " * 400, STALLED], ["more.", 1.0, StreamBroken("reset")])

    assert (stage.turns.records[-1].usage.output_tokens or 0) < 100


# -- what is said once


async def test_that_answers_may_be_wrong_is_said_beneath_the_first_of_a_dm() -> None:
    stage = Stage(["Whole.", USAGE], asked=question(channel="D1"))
    stage.turn = replace(stage.turn, is_first=True)

    await stage.answer()

    assert stage.chat.screen == [f"Whole.\n[{MAY_BE_WRONG}]"]


async def test_it_is_not_said_in_channels_nor_beneath_later_answers() -> None:
    in_channel = Stage(["Whole.", USAGE])
    in_channel.turn = replace(in_channel.turn, is_first=True)
    later = Stage(["Whole.", USAGE], asked=question(channel="D1"))

    await in_channel.answer()
    await later.answer()

    assert in_channel.chat.screen == later.chat.screen == ["Whole."]
