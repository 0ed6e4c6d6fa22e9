"""Who may stop, correct, repeat and judge answers, and what is written down before it is done."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot import control_views
from bot.controls import CORRECTED_WITHIN, LOOKED_WITHIN, Controls
from bot.draft import UNFINISHED, WHOLE, Part
from bot.errands import Errands
from bot.errors import AskedTooFast, AskerUnknown, SlackRefused, Unavailable
from bot.interactions import Press, Submission
from bot.messages import DELETED, Question, Turn, TurnKey
from bot.views import reply_message
from bot.wishes import Deletion, Edit, SessionStop
from tests.core.fakes import BOT, question, turn_of

ASKED = question("why tides?", channel="C1", thread_ts="1600000000.000001")
TURN = turn_of(ASKED, owner="me", attempts=1)
AWAY = Unavailable("the database", "away")
MESSAGE_TS = "1700000001.000001"


class Records:
    """Turns in memory. What is written is in `written`, in that order."""

    owner = "me"

    def __init__(self, *turns: Turn) -> None:
        self.turns = {turn.key: turn for turn in turns}
        self.written: list[tuple[str, Any]] = []
        self.is_away = False
        self.hasty: set[str] = set()  # who have asked as often as they may
        self.loses: list[str] = []  # the answers to the next calls, which take effect

    async def find(self, key: TurnKey) -> Turn | None:
        self._reach()
        return self.turns.get(key)

    async def unfinished(self, thread: tuple[str, str, str]) -> list[Turn]:
        self._reach()
        found = [turn for turn in self.turns.values() if turn.thread == thread]
        return [turn for turn in found if not turn.is_finished]

    async def stop(self, key: TurnKey, by: str) -> Turn | None:
        self._reach()
        self.written.append(("stop", by))
        self.turns[key] = replace(self.turns[key], stopped_by=by)
        return self.turns[key]

    async def ask_again(
        self, key: TurnKey, *, asked: int, is_continued: bool, by: str, most: int | None
    ) -> Turn | None:
        self._reach()
        self._pace(by, most)
        turn = self.turns[key]
        if turn.asked != asked:
            return None
        self.written.append(("ask", is_continued))
        turn = replace(turn, asked=asked + 1, is_continued=is_continued, is_finished=False)
        self.turns[key] = turn
        if "ask_again" in self.loses:
            self.loses.remove("ask_again")
            raise AWAY
        return turn

    async def correct(
        self, key: TurnKey, *, edited_ts: str, within: timedelta, most: int | None
    ) -> Turn | None:
        self._reach()
        assert within == CORRECTED_WITHIN
        if key not in self.turns:
            return None
        self._pace(self.turns[key].user, most)
        self.written.append(("correct", edited_ts))
        self.turns[key] = replace(self.turns[key], asked=self.turns[key].asked + 1)
        return self.turns[key]

    def _pace(self, by: str, most: int | None) -> None:
        if by in self.hasty:
            raise AskedTooFast(most or 0, datetime.now(UTC) - timedelta(seconds=40))

    def _reach(self) -> None:
        if self.is_away:
            raise AWAY


@dataclass
class Scene:
    """All that controls lean on; what they do is noted."""

    records: Records
    line: dict[TurnKey, Turn] = field(default_factory=dict)  # of this process
    renewed: list[Turn] = field(default_factory=list)
    asked: list[tuple[Turn, Question | None]] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    opinions: list[tuple[Any, ...]] = field(default_factory=list)
    modals: list[dict[str, Any]] = field(default_factory=list)
    admins: set[str] = field(default_factory=lambda: {"UCHLOE"})
    errors: dict[str, Exception] = field(default_factory=dict)
    errands: Errands = field(default_factory=Errands)
    refusal: str | None = None  # why an answer may not be given anew
    looks_for: float = 0.0  # seconds, for that

    def __post_init__(self) -> None:
        self.controls = Controls(
            BOT,
            records=self.records,
            opinions=self,
            line=self,
            admission=self,
            admins=self,
            teller=self,
            modals=self,
            errands=self.errands,
            per_minute=20,
        )

    def turn(self, key: TurnKey) -> Turn | None:
        return self.line.get(key)

    def turns_in(self, thread: tuple[str, str, str]) -> list[Turn]:
        return [turn for turn in self.line.values() if turn.thread == thread]

    def ask_again(self, turn: Turn, question: Question | None = None) -> None:
        self.line[turn.key] = turn
        self.asked.append((turn, question))

    def renew(self, turn: Turn, question: Question | None = None) -> None:
        self.renewed.append(turn)

    async def why_not_anew(self, turn: Turn) -> str | None:
        if error := self.errors.get("why_not_anew"):
            raise error
        await asyncio.sleep(self.looks_for)
        return self.refusal

    async def is_admin(self, user: str) -> bool:
        if error := self.errors.get("is_admin"):
            raise error
        return user in self.admins

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        self.told.append((user, sentence))
        if error := self.errors.get("whisper"):
            raise error

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str:
        if error := self.errors.get("open_modal"):
            raise error
        self.modals.append(view)
        return "V1"

    async def rate(self, key: TurnKey, *, attempt: int, user: str, is_good: bool) -> None:
        self.opinions.append((key, attempt, user, is_good))

    async def explain(self, key: TurnKey, *, user: str, reason: str) -> None:
        self.opinions.append((key, user, reason))

    async def press(self, deed: str, *, user: str = "UANA", asked: int = 1, **values: Any) -> None:
        await self.controls.press(press(deed, user=user, asked=asked, **values))
        await self.errands.finished(within=60)

    async def heed(self, wish: Any) -> None:
        await self.controls.heed(wish)
        await self.errands.finished(within=60)


def press(deed: str, *, user: str = "UANA", asked: int = 1, **values: Any) -> Press:
    """As it comes from one of the bot's own messages."""
    part = Part("Because.", is_last=True, is_final=True, offers=("stop", *UNFINISHED, *WHOLE))
    message = reply_message(part, turn=ASKED.key, number=0, asked=asked)
    message = {"ts": MESSAGE_TS, "user": BOT.user, "bot_id": BOT.bot_id, **message}
    action_id = {"up": "rate", "down": "rate", "regenerate": "more"}.get(deed, deed)
    value = f"{asked} {ASKED.key}" if action_id == deed else f"{deed} {asked} {ASKED.key}"
    made = Press(
        user,
        action_id,
        value,
        trigger_id="1.2",
        channel="C1",
        message_ts=MESSAGE_TS,
        message=message,
    )
    return replace(made, **values)


@pytest.fixture
async def running() -> Scene:
    """An answer that this process writes."""
    return Scene(Records(TURN), line={ASKED.key: TURN})


@pytest.fixture
async def over() -> Scene:
    """An answer that has ended."""
    return Scene(Records(replace(TURN, is_finished=True, messages=(MESSAGE_TS,))))


# -- stop


async def test_asker_stops_their_answer(running: Scene) -> None:
    await running.press("stop")

    assert running.renewed[0] == replace(TURN, stopped_by="UANA")
    assert running.records.written == [("stop", "UANA")]


async def test_it_is_stopped_here_before_it_is_written_down(running: Scene) -> None:
    """However long the database is away; then it is not acknowledged, but still tried."""
    running.records.is_away = True

    with pytest.raises(Unavailable):
        await running.controls.press(press("stop"))

    assert [turn.stopped_by for turn in running.renewed] == ["UANA"]
    running.records.is_away = False
    await running.errands.finished(within=60)
    assert running.records.written == [("stop", "UANA")]


async def test_answer_of_another_process_is_stopped_through_the_database() -> None:
    scene = Scene(Records(replace(TURN, owner="other")))

    await scene.press("stop")

    assert scene.records.written == [("stop", "UANA")]
    assert scene.asked == []


async def test_admin_stops_anybody_s_and_nobody_else_does(running: Scene) -> None:
    await running.press("stop", user="UBEN")
    before = list(running.renewed)
    await running.press("stop", user="UCHLOE")

    assert before == []
    assert running.told == [("UBEN", control_views.ADMINS_TOO)]
    assert running.records.written == [("stop", "UCHLOE")]


async def test_who_may_be_an_admin_is_told_where_that_is_not_known(running: Scene) -> None:
    running.errors["is_admin"] = AskerUnknown("users.info: missing_scope")

    await running.press("stop", user="UCHLOE")

    assert running.told == [("UCHLOE", AskerUnknown.sentence)]
    assert running.records.written == []


async def test_press_of_somebody_else_does_not_wait_for_slack_to_say_who_that_is(
    running: Scene,
) -> None:
    asked = asyncio.Event()

    async def slowly(user: str) -> bool:
        await asyncio.sleep(30)
        asked.set()
        return True

    running.is_admin = slowly  # type: ignore[method-assign]

    await asyncio.wait_for(running.controls.press(press("stop", user="UCHLOE")), 0.1)

    assert not asked.is_set()
    await running.errands.finished(within=60)
    assert running.records.written == [("stop", "UCHLOE")]


async def test_stop_of_an_answer_that_has_ended_says_so(over: Scene) -> None:
    await over.press("stop")

    assert over.told == [("UANA", control_views.OVER)]
    assert over.records.written == []


async def test_deleted_question_stops_its_answer_whoever_deleted_it(running: Scene) -> None:
    await running.heed(Deletion(ASKED.key))

    assert running.records.written == [("stop", DELETED)]


async def test_other_deleted_messages_and_those_of_answers_that_ended_change_nothing(
    over: Scene,
) -> None:
    await over.heed(Deletion(TurnKey("T1", "C1", "1700000009.000001")))
    await over.heed(Deletion(ASKED.key))

    assert over.records.written == []
    assert over.told == []


async def test_slack_s_control_stops_the_person_s_own_questions_of_the_thread() -> None:
    other = turn_of(question(ts="1700000002.000001", thread_ts=ASKED.thread_ts, user="UBEN"))
    waiting = turn_of(question(ts="1700000003.000001", thread_ts=ASKED.thread_ts))
    scene = Scene(Records(TURN, other, waiting))

    await scene.heed(SessionStop(TURN.thread, "UANA"))

    assert [turn.key for turn in scene.renewed if turn.stopped_by == "UANA"][::2] == [
        TURN.key,
        waiting.key,
    ]
    assert scene.records.turns[other.key].stopped_by is None


async def test_slack_s_control_stops_at_once_however_long_the_database_takes(
    running: Scene,
) -> None:
    running.records.is_away = True

    with pytest.raises(Unavailable):
        await running.controls.heed(SessionStop(TURN.thread, "UANA"))

    assert [turn.stopped_by for turn in running.renewed] == ["UANA"]
    running.records.is_away = False
    await running.errands.finished(within=60)


async def test_slack_s_control_in_the_hand_of_an_admin_stops_all(running: Scene) -> None:
    await running.heed(SessionStop(TURN.thread, "UCHLOE"))

    assert running.records.written == [("stop", "UCHLOE")]


async def test_slack_s_control_in_other_hands_stops_nothing(running: Scene) -> None:
    await running.heed(SessionStop(TURN.thread, "UBEN"))

    assert running.records.written == []
    assert running.told == [("UBEN", control_views.ADMINS_TOO)]


async def test_slack_s_control_where_nothing_runs_says_nothing(over: Scene) -> None:
    await over.heed(SessionStop(TURN.thread, "UBEN"))

    assert (over.records.written, over.told) == ([], [])


# -- correct


async def test_edit_is_written_down_and_answered_here(running: Scene) -> None:
    other = replace(ASKED, text="why moons?")

    await running.heed(Edit(other, "1700000050.000000"))

    assert running.records.written == [("correct", "1700000050.000000")]
    assert [(turn.asked, said) for turn, said in running.asked] == [(2, other)]


async def test_edit_of_a_turn_of_another_process_is_left_to_that() -> None:
    scene = Scene(Records(replace(TURN, owner="other")))

    await scene.heed(Edit(ASKED, "1700000050.000000"))

    assert scene.records.written == [("correct", "1700000050.000000")]
    assert scene.asked == []


async def test_edit_of_what_was_never_asked_is_nothing() -> None:
    scene = Scene(Records())

    await scene.heed(Edit(ASKED, "1700000050.000000"))

    assert scene.asked == []


# -- retry, continue, regenerate


@pytest.mark.parametrize(
    ("deed", "is_continued"), [("retry", False), ("continue", True), ("regenerate", False)]
)
async def test_asker_asks_for_their_answer_again(
    over: Scene, deed: str, is_continued: bool
) -> None:
    await over.press(deed)

    assert over.records.written == [("ask", is_continued)]
    assert [turn.asked for turn, _ in over.asked] == [2]


async def test_wish_whose_answer_was_lost_on_the_way_back_is_fulfilled(over: Scene) -> None:
    """It is written down: tried once more, it looks like the second press of two."""
    over.records.loses.append("ask_again")

    await over.press("retry")

    assert over.records.written == [("ask", False)]
    assert [turn.asked for turn, _ in over.asked] == [2]


async def test_two_presses_are_one(over: Scene) -> None:
    await over.press("retry")
    await over.press("retry")

    assert len(over.asked) == 1


async def test_button_of_an_earlier_answer_does_nothing(over: Scene) -> None:
    over.records.turns[ASKED.key] = replace(TURN, is_finished=True, asked=3)

    await over.press("regenerate", asked=2)

    assert over.asked == []


async def test_nobody_else_asks_for_it_again_but_an_admin(over: Scene) -> None:
    await over.press("regenerate", user="UBEN")
    before = list(over.asked)
    await over.press("regenerate", user="UCHLOE")

    assert before == []
    assert over.told == [("UBEN", control_views.ADMINS_TOO)]
    assert len(over.asked) == 1


@pytest.mark.parametrize("deed", ["retry", "regenerate", "continue"])
@pytest.mark.parametrize("user", ["UANA", "UCHLOE"])
async def test_whoever_presses_too_often_is_told_privately(
    over: Scene, deed: str, user: str
) -> None:
    over.records.hasty.add(user)

    await over.press(deed, user=user)

    assert (over.records.written, over.asked) == ([], [])
    ((who, sentence),) = over.told
    assert who == user
    assert sentence.startswith("I take 20 questions a minute from one person")
    assert sentence.endswith("counts as well. Please press it again in 20 seconds.")


async def test_press_that_would_be_refused_changes_nothing_and_is_told(over: Scene) -> None:
    over.refusal = "I am switched off here."

    await over.press("regenerate")

    assert (over.records.written, over.asked) == ([], [])
    assert over.told == [("UANA", "I am switched off here.")]


async def test_admin_reads_what_whoever_asked_would_be_told(over: Scene) -> None:
    over.refusal = "You have used up your budget."

    await over.press("regenerate", user="UCHLOE")

    assert over.asked == []
    assert over.told == [("UCHLOE", "Whoever asked would read: “You have used up your budget.”")]


async def test_refusal_that_is_not_known_in_time_is_left_to_the_answer(over: Scene) -> None:
    over.refusal, over.looks_for = "Too late.", LOOKED_WITHIN + 60

    await over.press("retry")

    assert len(over.asked) == 1
    assert over.told == []


async def test_whoever_edits_too_often_is_told_that_the_earlier_words_are_answered(
    running: Scene,
) -> None:
    running.records.hasty.add("UANA")

    await running.heed(Edit(ASKED, "1700000050.000000"))

    assert (running.records.written, running.asked) == ([], [])
    ((who, sentence),) = running.told
    assert who == "UANA"
    assert "stay with your earlier words" in sentence


async def test_wish_that_cannot_be_written_down_is_not_acknowledged(over: Scene) -> None:
    over.records.is_away = True

    with pytest.raises(Unavailable):
        await over.controls.press(press("retry"))

    assert over.asked == []
    over.records.is_away = False
    await over.errands.finished(within=60)
    assert len(over.asked) == 1


# -- what the press is of


async def test_button_alone_counts_where_the_turn_s_record_names_the_message(over: Scene) -> None:
    await over.press("retry", message={})

    assert len(over.asked) == 1


async def test_button_alone_does_not_count_for_another_message(over: Scene) -> None:
    await over.press("retry", message={}, message_ts="1700000001.000009")

    assert over.asked == []
    assert over.told == [("UANA", control_views.GONE)]


async def test_turn_that_is_not_known_any_more_is_said() -> None:
    scene = Scene(Records())

    await scene.press("retry")

    assert scene.told == [("UANA", control_views.GONE)]


async def test_press_that_is_none_of_ours_is_nothing(over: Scene) -> None:
    await over.press("retry", value="T1:C1")

    assert (over.told, over.asked) == ([], [])


# -- what people think


async def test_anybody_may_find_an_answer_good(over: Scene) -> None:
    await over.press("up", user="UBEN")

    assert over.opinions == [(ASKED.key, 1, "UBEN", True)]
    assert over.told == [("UBEN", control_views.THANKS)]
    assert over.modals == []


async def test_whoever_finds_it_bad_is_asked_why(over: Scene) -> None:
    await over.press("down", user="UBEN")

    assert over.opinions == [(ASKED.key, 1, "UBEN", False)]
    assert over.modals[0]["private_metadata"] == str(ASKED.key)
    assert over.told == []


async def test_opinion_is_kept_where_slack_opens_no_modal(over: Scene) -> None:
    over.errors["open_modal"] = SlackRefused("views.open", "expired_trigger_id")

    await over.press("down")

    assert over.opinions == [(ASKED.key, 1, "UANA", False)]
    assert over.told == [("UANA", control_views.THANKS)]


async def test_reason_is_kept_with_bounded_length(over: Scene) -> None:
    words = "x" * (control_views.LONGEST_REASON + 100)

    view = await over.controls.explain(
        Submission("UBEN", "reason", "V1", {"reason": f"  {words}"}, str(ASKED.key))
    )

    assert over.opinions == [(ASKED.key, "UBEN", "x" * control_views.LONGEST_REASON)]
    assert control_views.THANKS_FOR_THE_REASON in str(view)


@pytest.mark.parametrize("about", ["", "T1:C1", "evil"])
async def test_reason_about_nothing_is_not_kept(over: Scene, about: str) -> None:
    await over.controls.explain(Submission("UBEN", "reason", "V1", {"reason": "bad"}, about))

    assert over.opinions == []


async def test_empty_reason_is_none(over: Scene) -> None:
    await over.controls.explain(Submission("UBEN", "reason", "V1", {}, str(ASKED.key)))

    assert over.opinions == []


async def test_word_that_cannot_be_told_harms_nothing(over: Scene) -> None:
    over.errors["whisper"] = SlackRefused("chat.postEphemeral", "user_not_in_channel")

    await over.press("up")

    assert len(over.opinions) == 1
