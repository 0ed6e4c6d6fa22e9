"""The person in control: answers are stopped, corrected, continued, given anew, and judged.

Who may do what is decided here, by whom Slack says it was. What is wanted is written down before
it is acknowledged, so it survives this process; whichever process answers the turn hears of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from bot import control_views
from bot.admission import MINUTE, Asking, too_fast
from bot.blocks import Json
from bot.errands import Errands
from bot.errors import AskedTooFast, BotError, Unavailable
from bot.gate import is_ts
from bot.interactions import Press, Submission
from bot.logs import event
from bot.messages import DELETED, Identity, Question, Turn, TurnKey
from bot.queue import ACKNOWLEDGED_WITHIN
from bot.retries import until_recorded
from bot.wishes import Aim, Deletion, Edit, SessionStop, Wish, aim_of, turn_named

log = logging.getLogger(__name__)

# After this long an edited question is not answered anew by itself.
CORRECTED_WITHIN = timedelta(minutes=1)

# Seconds, of those in which a press has to be acknowledged.
LOOKED_WITHIN = 1.0


class Records(Protocol):
    """What is recorded of turns. Every call may raise `Transient`."""

    owner: str  # the name of this process there

    async def find(self, key: TurnKey) -> Turn | None: ...

    async def unfinished(self, thread: tuple[str, str, str]) -> list[Turn]: ...

    async def stop(self, key: TurnKey, by: str) -> Turn | None:
        """None where it is over, or was stopped before."""

    async def ask_again(
        self, key: TurnKey, *, asked: int, is_continued: bool, by: str, most: int | None
    ) -> Turn | None:
        """None where it was asked for again since it had been ``asked`` for so often.

        :raises AskedTooFast: the person has asked ``most`` times within a minute.
        """

    async def correct(
        self, key: TurnKey, *, edited_ts: str, within: timedelta, most: int | None
    ) -> Turn | None:
        """None where there is no such turn, it ended longer ago, or the edit is known.

        :raises AskedTooFast: as above.
        """


class Opinions(Protocol):
    """Every call may raise `Transient`."""

    async def rate(self, key: TurnKey, *, attempt: int, user: str, is_good: bool) -> None: ...

    async def explain(self, key: TurnKey, *, user: str, reason: str) -> None: ...


class Line(Protocol):
    """The turns of this process."""

    def turn(self, key: TurnKey) -> Turn | None: ...

    def turns_in(self, thread: tuple[str, str, str]) -> list[Turn]: ...

    def ask_again(self, turn: Turn, question: Question | None = None) -> None: ...

    def renew(self, turn: Turn, question: Question | None = None) -> None: ...


class Admins(Protocol):
    async def is_admin(self, user: str) -> bool:
        """:raises BotError: it cannot be known."""


class Admission(Protocol):
    async def why_not_anew(self, turn: Turn) -> str | None:
        """What would be said if that turn were asked for again now. May raise `BotError`."""


class Teller(Protocol):
    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        """Says something that only one person sees. May raise `BotError`."""


class Modals(Protocol):
    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str:
        """May raise `BotError`."""


class Controls:
    def __init__(
        self,
        bot: Identity,
        *,
        records: Records,
        opinions: Opinions,
        line: Line,
        admission: Admission,
        admins: Admins,
        teller: Teller,
        modals: Modals,
        errands: Errands,
        per_minute: int | None = None,
    ) -> None:
        """``per_minute`` is how often one person may ask, or ask again; None: as often as they
        like."""
        self._bot = bot
        self._records = records
        self._opinions = opinions
        self._line = line
        self._admission = admission
        self._admins = admins
        self._teller = teller
        self._modals = modals
        self._errands = errands
        self._per_minute = per_minute

    async def heed(self, wish: Wish) -> None:
        """Returns when the event may be acknowledged.

        :raises Transient: it could not be written down in the time for that, so Slack is to send
            it again. It is still tried.
        """
        await self._in_time(self._heed(wish))

    async def press(self, press: Press) -> None:
        """The same for a button beneath an answer, of which Slack tells but once."""
        await self._in_time(self._press(press))

    async def _heed(self, wish: Wish) -> None:
        match wish:
            case Edit():
                await self._correct(wish)
            case Deletion():
                turn = await self._turn(wish.key)
                if turn and not turn.is_finished:  # Slack lets the author and admins delete it
                    await self._stop(turn, DELETED)
            case SessionStop():
                await self._stop_session(wish)

    async def _press(self, press: Press) -> None:
        aim = aim_of(press, self._bot)
        turn = await self._pressed(press, aim) if aim else None
        if aim is None:
            return
        if turn is None:
            thread_ts = press.message.get("thread_ts")
            thread_ts = thread_ts if is_ts(thread_ts) else None
            self._tell(press.channel, thread_ts, press.user, control_views.GONE)
        elif aim.deed in ("up", "down"):
            await self._rate(turn, press, is_good=aim.deed == "up")
        elif press.user == turn.user:
            await self._do(turn, aim, press.user)
        else:
            work = partial(self._do, turn, aim, press.user)
            self._errands.run(self._as_admin(press.user, work, turn.key.channel, turn.thread_ts))

    async def explain(self, submission: Submission) -> Json:
        """What a person says was wrong; kept where they have said that something was."""
        turn = turn_named(submission.about)
        words = submission.entered.get(control_views.REASON, "").strip()
        if turn and words:
            reason = words[: control_views.LONGEST_REASON]
            await until_recorded(
                lambda: self._opinions.explain(turn, user=submission.user, reason=reason)
            )
        return control_views.reason_notice(control_views.THANKS_FOR_THE_REASON)

    # -- what is done to answers

    async def _do(self, turn: Turn, aim: Aim, user: str) -> None:
        if aim.deed == "stop":
            await self._stop(turn, user)
        else:
            await self._ask_again(turn, aim, user)

    async def _as_admin(
        self,
        user: str,
        work: Callable[[], Awaitable[None]],
        channel: str,
        thread_ts: str | None,
    ) -> None:
        """Who that is may have to be asked first, so it is acknowledged already."""
        try:
            if await self._admins.is_admin(user):
                await until_recorded(work)
            else:
                self._tell(channel, thread_ts, user, control_views.ADMINS_TOO)
        except BotError as error:
            event(log, "press.failed", level=logging.WARNING, reason=error)
            self._tell(channel, thread_ts, user, error.sentence)

    async def _stop(self, turn: Turn, by: str) -> None:
        if turn.is_finished:
            if by != DELETED:
                self._tell(turn.key.channel, turn.thread_ts, by, control_views.OVER)
            return
        event(log, "turn.stopped", channel=turn.key.channel, ts=turn.key.ts, by=by)
        # At once, however long the database takes.
        self._line.renew(replace(turn, stopped_by=by))
        stopped = await until_recorded(lambda: self._records.stop(turn.key, by))
        if stopped:
            self._line.renew(stopped)

    async def _stop_session(self, wish: SessionStop) -> None:
        """The person's own questions in that thread, also those that wait there; where there is
        none, an admin's press is for all."""
        for turn in self._line.turns_in(wish.thread):
            if turn.user == wish.user:  # at once, however long the database takes
                self._line.renew(replace(turn, stopped_by=wish.user))
        turns = await until_recorded(lambda: self._records.unfinished(wish.thread))
        own = [turn for turn in turns if turn.user == wish.user]
        if own or not turns:
            await self._stop_all(own, wish.user)
        else:
            work = partial(self._stop_all, turns, wish.user)
            told_in = turns[0].private_thread_ts  # no answer may stand in the thread yet
            self._errands.run(self._as_admin(wish.user, work, turns[0].key.channel, told_in))

    async def _stop_all(self, turns: Sequence[Turn], by: str) -> None:
        for turn in turns:
            await self._stop(self._line.turn(turn.key) or turn, by)

    async def _ask_again(self, turn: Turn, aim: Aim, user: str) -> None:
        if reason := await self._why_not_anew(turn):
            sentence = reason if user == turn.user else control_views.OTHERS.format(reason=reason)
            self._refuse(turn, user, sentence)
            return
        try:
            again = await until_recorded(
                lambda: self._records.ask_again(
                    turn.key,
                    asked=aim.asked,
                    is_continued=aim.deed == "continue",
                    by=user,
                    most=self._per_minute,
                )
            )
        except AskedTooFast as error:
            self._refuse(turn, user, _too_fast(error, "press"))
            return
        if again:
            event(log, "turn.asked_again", channel=turn.key.channel, ts=turn.key.ts, deed=aim.deed)
        self._go_on(again or await self._forgotten(turn.key))

    async def _why_not_anew(self, turn: Turn) -> str | None:
        """Looked at before anything changes. Where that takes long it is left to the answer, which
        looks again."""
        try:
            return await asyncio.wait_for(self._admission.why_not_anew(turn), LOOKED_WITHIN)
        except (BotError, TimeoutError):
            return None

    async def _correct(self, edit: Edit) -> None:
        question = edit.question
        try:
            corrected = await until_recorded(
                lambda: self._records.correct(
                    question.key,
                    edited_ts=edit.edited_ts,
                    within=CORRECTED_WITHIN,
                    most=self._per_minute,
                )
            )
        except AskedTooFast as error:
            if turn := await self._recorded(question.key):
                self._refuse(turn, question.user, _too_fast(error, "edit"))
            return
        if corrected:
            event(log, "turn.corrected", channel=question.channel, ts=question.ts)
        self._go_on(corrected or await self._forgotten(question.key), question)

    def _refuse(self, turn: Turn, user: str, sentence: str) -> None:
        event(log, "wish.refused", channel=turn.key.channel, ts=turn.key.ts, user=user)
        self._tell(turn.key.channel, turn.private_thread_ts, user, sentence)

    def _go_on(self, turn: Turn | None, question: Question | None = None) -> None:
        """Another process is told by the database where the turn is its own."""
        if turn and turn.owner == self._records.owner:
            self._line.ask_again(turn, question)

    async def _forgotten(self, key: TurnKey) -> Turn | None:
        """One that is this process's, and that it does not answer: an earlier try has written down
        what is wanted, and only the answer to that was lost."""
        turn = await self._recorded(key)
        is_lying = turn and not turn.is_finished and self._line.turn(key) is None
        return turn if is_lying else None

    # -- what people think

    async def _rate(self, turn: Turn, press: Press, *, is_good: bool) -> None:
        await until_recorded(
            lambda: self._opinions.rate(
                turn.key, attempt=turn.attempts, user=press.user, is_good=is_good
            )
        )
        event(log, "answer.rated", channel=turn.key.channel, ts=turn.key.ts, is_good=is_good)
        if is_good:
            self._tell(turn.key.channel, turn.thread_ts, press.user, control_views.THANKS)
        else:
            self._errands.run(self._ask_why(turn, press))

    async def _ask_why(self, turn: Turn, press: Press) -> None:
        try:
            view = control_views.reason_modal(str(turn.key))
            await self._modals.open_modal(press.trigger_id, view)
        except BotError as error:  # the opinion is kept all the same
            event(log, "modal.refused", level=logging.WARNING, reason=error)
            self._tell(turn.key.channel, turn.thread_ts, press.user, control_views.THANKS)

    # -- the rest

    async def _in_time(self, work: Coroutine[Any, Any, None]) -> None:
        writing = self._errands.run(work)
        done, _ = await asyncio.wait({writing}, timeout=ACKNOWLEDGED_WITHIN)
        if not done:
            raise Unavailable("the database", "not written down in time")
        await writing

    async def _turn(self, key: TurnKey) -> Turn | None:
        """As this process knows it, or as it is recorded."""
        return self._line.turn(key) or await self._recorded(key)

    async def _recorded(self, key: TurnKey) -> Turn | None:
        found: Turn | None = await until_recorded(lambda: self._records.find(key))
        return found

    async def _pressed(self, press: Press, aim: Aim) -> Turn | None:
        """The turn that a pressed button is of, if that is sure."""
        if aim.is_proven and aim.deed == "stop":
            return await self._turn(aim.turn)
        turn = await self._recorded(aim.turn)
        return turn if turn and (aim.is_proven or press.message_ts in turn.messages) else None

    def _tell(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        """In a thread that has replies; None: in the channel."""

        async def tell() -> None:
            with suppress(BotError):  # a courtesy
                await self._teller.whisper(channel, thread_ts, user, sentence)

        self._errands.run(tell())


def _too_fast(error: AskedTooFast, asking: Asking) -> str:
    wait = error.first_at + MINUTE - datetime.now(UTC)
    return too_fast(error.most, wait=wait, asking=asking)
