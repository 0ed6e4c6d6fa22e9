"""The whole path of a question: thread, prompt, model, reply, ledger."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from bot import views
from bot.control_views import stopped
from bot.cut import join, until_seam
from bot.draft import JUDGED, UNFINISHED, WHOLE
from bot.errands import Errands
from bot.errors import (
    BotError,
    Interrupted,
    NothingAsked,
    QuestionGone,
    RefusedPrivately,
    SlackRefused,
    Stopped,
    ThreadUnreadable,
    Transient,
)
from bot.gate import blank_question, is_wordless
from bot.logs import broke, event
from bot.messages import (
    DELETED,
    Identity,
    Outcome,
    Question,
    Turn,
    TurnKey,
    UsageRecord,
    plain_name,
)
from bot.meter import Meter
from bot.prices import Prices
from bot.reply import LANDS_WITHIN, Reply
from bot.retries import until_it_lands, until_recorded
from bot.sign import Signs
from bot.standing import Standing, StandingMessage, hopeless, is_too_old, standing
from bot.stream import Streams
from bot.threads import Thread, Threads
from bot.turnstile import Closed, Turnstile
from bot.writer import Admission, Answer, Asked, Begun, Chat, Writer

log = logging.getLogger(__name__)

# Seconds that a thread which was read is old at most.
READ_WITHIN = 15.0


class Turns(Begun, Protocol):
    """The record of turns. Every call may raise `Transient`."""

    async def take_up(self, turn: Turn) -> None:
        """Counts an attempt before anything of its thread is opened: a process may have died of
        that."""

    async def lost(self, turn: Turn) -> UsageRecord | None:
        """What is kept of its latest attempt where the process died in it: nothing of what was
        written."""

    async def note_messages(self, key: TurnKey, messages: Sequence[str]) -> None:
        """The ``ts`` of the reply's messages as they stand now."""

    async def record(self, record: UsageRecord) -> None:
        """What an attempt used that was given up, because something else is asked now."""

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> Turn | None:
        """The turn is over; without a record the model was not asked.

        Except where it was asked for again meanwhile: then as what.
        """

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        """Whoever takes the turn goes on with it."""


class Responder:
    """Answers questions, each in its own task."""

    def __init__(
        self,
        *,
        bot: Identity,
        chat: Chat,
        writer: Writer,
        turns: Turns,
        admission: Admission,
        turnstile: Turnstile,
        prices: Prices,
        errands: Errands,
        streams: Streams | None = None,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._threads = Threads(bot, chat, admission.why_not_there)
        self._writer = writer
        self._turns = turns
        self._admission = admission
        self._turnstile = turnstile
        self._prices = prices
        self._errands = errands
        self._signs = Signs()
        self._streams = streams or Streams()
        self._answers: dict[TurnKey, Answer] = {}
        self._strays: dict[TurnKey, float] = {}  # `Reply.strays_land_until`, of those that gave way
        self._is_interrupted = False

    async def answer(self, turn: Turn, question: Question | None) -> Asked | None:
        """From the question to its whole answer on screen and in the ledger. Raises nothing.

        A turn that is resumed was begun by another process, or this one before a restart, or it
        is asked for again: what stands of it in its thread is read, and the answer takes its
        place. Returns what is asked in its place, where that came too late for this answer.
        """
        answer = self._answers[turn.key] = self._new(turn, question)
        try:
            if turn.is_resumed:
                await self._resume(answer)
            elif turn.is_stopped:  # before anything of it was begun
                await self._finish(answer, "stopped", None)
            else:
                await self._answer(answer)
        except Exception as error:  # the next questions of the thread are not to wait for ever
            broke(log, "answer.broke", error, channel=turn.key.channel)
            await answer.reply.take_sign_down()
            await self._finish(answer, "failed", None)
        finally:
            del self._answers[turn.key]
        if answer.meter.is_handed_over or not answer.again:
            return None
        if answer.reply.strays_land_until is not None:
            self._strays[turn.key] = answer.reply.strays_land_until
        return answer.again

    def renew(self, turn: Turn, question: Question | None = None) -> None:
        """People want something else: that no more is written, or an answer to other words."""
        answer = self._answers.get(turn.key)
        if answer is None or not turn.is_newer(answer.again[0] if answer.again else answer.turn):
            return
        if turn.asked == answer.turn.asked:
            answer.turn = turn
        else:
            answer.again = turn, question
        if answer.writing and not answer.draft.ended:
            answer.writing.cancel()
        else:
            answer.reply.wake()

    def _is_asked_again(self, key: TurnKey) -> bool:
        answer = self._answers.get(key)
        return answer is not None and answer.again is not None

    def _stop_in_slack(self, key: TurnKey) -> None:
        """Slack says that a person stopped the stream, and not who: it shows its control to the
        one who asked. Where that is told by an event too, the first to come counts."""
        answer = self._answers.get(key)
        if answer and not answer.turn.is_stopped:
            event(log, "turn.stopped", channel=key.channel, ts=key.ts, by=answer.turn.user)
            self.renew(replace(answer.turn, stopped_by=answer.turn.user))

    def interrupt(self) -> None:
        """Ends all answers where they are, also those to come; each says so in its thread."""
        self._is_interrupted = True
        for answer in self._answers.values():
            if answer.writing:
                answer.writing.cancel()

    def _new(self, turn: Turn, question: Question | None) -> Answer:
        reply = Reply(
            question or blank_question(turn),
            self._chat,
            self._turnstile,
            self._signs,
            asked=turn.asked,
            # One that was resumed and not begun is no first life either.
            life=turn.attempts + 1 + turn.is_resumed,
            streams=self._streams,
            on_messages=lambda messages: self._note(turn.key, messages),
            on_stopped=lambda: self._stop_in_slack(turn.key),
            gives_way=lambda: self._is_asked_again(turn.key),
            strays_land_until=self._strays.pop(turn.key, None),
        )
        asked = None if question and question.is_posted else question
        return Answer(turn, asked, self._meter(turn), reply)

    def _meter(self, turn: Turn) -> Meter:
        return Meter(turn, self._writer.model, self._prices, _now())

    async def _answer(self, answer: Answer) -> None:
        draft, question = answer.draft, answer.question
        if not draft.ended and question and is_wordless(question, self._bot):
            draft.end(views.wordless(question))
            answer.meter.outcome = "complete"
        if not draft.ended and (refusal := await self._refusal(answer)):
            self._end_early(answer, refusal)
        if draft.ended:
            # Also where there is nothing to show, what a dead process put up has to go.
            if not draft.is_dropped or answer.turn.is_resumed:
                await self._show(answer.reply.follow(draft), answer)
            await self._close(answer, None)
            return
        if answer.turn.is_resumed:
            await until_recorded(lambda: self._turns.take_up(answer.turn))
        draft.restart()
        writing = self._begin_writing(answer)
        try:
            await self._show(answer.reply.follow(draft), answer)
        finally:
            writing = answer.writing or writing
            writing.cancel()  # nobody sees what it would still write
            await asyncio.wait({writing})
            ended = answer.reply.whole_at or _now()
            await self._close(answer, answer.meter.record(ended=ended))

    async def _refusal(self, answer: Answer) -> BotError | None:
        """Why the model is not to be asked; None where it is. What has begun may end."""
        turn = answer.turn
        if not (answer.is_admitted or turn.attempts_now):
            try:
                await self._admission.admit(turn)
            except BotError as error:
                return error
        answer.is_admitted = True
        return None

    # -- a turn that was begun before

    async def _resume(self, answer: Answer) -> None:
        turn = answer.turn
        event(log, "turn.resumed", channel=turn.key.channel, ts=turn.key.ts, begun=turn.attempts)
        found, error = await self._find(answer)
        await self._count_lost(turn, found)
        is_to_come = found.reply or (not answer.turn.is_stopped and (found.question or error))
        if is_to_come and not found.is_whole:
            self._take_up(answer, found, error)
            await self._answer(answer)
            return
        answer.meter.outcome = found.outcome if found.is_whole else "stopped"
        is_settled = answer.is_settled or not (found.is_whole or turn.attempts)
        await self._show(answer.reply.tidy(found, is_settled=is_settled), answer)
        await self._close(answer, None)

    async def _find(self, answer: Answer) -> tuple[Standing, BotError | None]:
        """What stands of it; and why there is no point in going on, if there is none."""
        turn = answer.turn
        try:
            thread = await self._thread_of(turn)
            found = standing(thread, turn, self._bot, with_streams=self._streams.may_stand)
            answer.is_settled = _is_settled(turn)
        except SlackRefused as refused:
            gone = refused.code == "thread_not_found"
            return Standing(None), None if gone else ThreadUnreadable(str(refused))
        except Transient as error:
            return Standing(None), error
        except Exception as error:
            broke(log, "thread.broke", error, channel=turn.key.channel)
            return Standing(None), BotError()
        if answer.turn.is_stopped and not found.is_whole:
            return found, self._stopping(answer.turn)
        return found, hopeless(found, turn, datetime.now(UTC))

    async def _count_lost(self, turn: Turn, found: Standing) -> None:
        """What a process had shown before it died in its attempt was written, and is paid for.

        Of later attempts nobody knows what of it is theirs.
        """
        if turn.attempts_now != 1 or turn.is_continued or found.is_outdated or not found.reply:
            return
        text = join([message.text for message in found.reply])
        try:
            lost = await until_recorded(lambda: self._turns.lost(turn))
            if lost:
                tokens = self._writer.estimate_of(lost.model).of(text)
                usage = replace(lost.usage, output_tokens=tokens)
                record = self._prices.priced(replace(lost, usage=usage))
                await until_recorded(lambda: self._turns.record(record))
        except Exception as error:
            broke(log, "turn.not_recorded", error)

    async def _thread_of(self, turn: Turn) -> Thread:
        """However long Slack is away, as long as the answer matters."""
        while True:
            try:
                return await until_it_lands(
                    lambda: self._threads.read(turn.key.channel, turn.thread_ts)
                )
            except Transient:
                if is_too_old(turn, datetime.now(UTC)):
                    raise

    def _take_up(self, answer: Answer, found: Standing, error: BotError | None) -> None:
        """What people already see is what the draft begins with."""
        draft, text = answer.draft, join([message.text for message in found.reply])
        answer.question, answer.thread = answer.question or found.question, found.thread
        answer.is_admitted = bool(found.reply) and not found.is_outdated
        draft.push(text)
        if found.is_outdated and not answer.turn.is_continued:
            draft.outdate()
            draft.opening = views.ANEW
        has_ended = any(message.is_last for message in found.reply)
        answer.stood = found.reply[-1] if has_ended else None
        # Of what this process has shown to its end no other post is under way any more.
        may_land = answer.turn.attempts > 0 and (not has_ended or answer.turn.taken_at is not None)
        answer.reply.adopt(found, draft, expects_strays=may_land and not answer.is_settled)
        if error:
            self._end_early(answer, error)
        elif answer.turn.is_continued:
            draft.kept = until_seam(text)

    # -- the model's side

    def _begin_writing(self, answer: Answer) -> asyncio.Task[None]:
        writing = answer.writing = asyncio.create_task(self._writer.write(answer))
        writing.add_done_callback(lambda task: self._end(task, answer))
        if self._is_interrupted or answer.turn.is_stopped or answer.again:
            writing.cancel()
        return writing

    def _end(self, task: asyncio.Task[None], answer: Answer) -> None:
        """Whatever ended the writing, the draft ends, and says why if it is not whole; except
        where it only gives way to another."""
        error = None if task.cancelled() else task.exception()
        if answer.meter.is_over:
            return
        if answer.again and not self._is_interrupted:
            self._begin_anew(answer, *answer.again)
            return
        if error:
            _log_failure(error)
            self._end_early(answer, error if isinstance(error, BotError) else BotError())
        elif not task.cancelled():
            self._end_whole(answer)
        elif answer.turn.is_stopped:
            self._end_early(answer, self._stopping(answer.turn))
        else:
            answer.meter.outcome, answer.meter.is_handed_over = Interrupted.outcome, True
            answer.draft.pause(Interrupted.sentence)
        answer.reply.hurry()

    def _end_whole(self, answer: Answer) -> None:
        draft = answer.draft
        answer.meter.outcome = "complete"
        if answer.turn.is_first and answer.key.channel.startswith("D"):  # once to each person
            draft.notes = [*draft.notes, views.MAY_BE_WRONG]
        draft.end(offers=WHOLE)

    def _end_early(self, answer: Answer, error: BotError) -> None:
        draft, stood = answer.draft, answer.stood
        answer.meter.outcome = error.outcome
        is_private = isinstance(error, RefusedPrivately)
        if (is_private or isinstance(error, QuestionGone)) and not answer.reply.stands:
            draft.drop()
        elif stood and is_private:  # it is as it was
            draft.go_back()
            offers = WHOLE if stood.outcome == "complete" else UNFINISHED
            draft.end(stood.notice, offers, outcome=stood.outcome)
        elif stood and self._stays(stood, answer, error):
            draft.go_back()
            said = [line for line in stood.notice.splitlines() if views.EARLIER not in line]
            note = "\n".join([*said, f"{views.EARLIER} {error.sentence}"])
            draft.end(note, WHOLE if error.may_retry else JUDGED, outcome=stood.outcome)
        else:
            note = views.ENDS_HERE if is_private else error.sentence
            draft.end(note, UNFINISHED if error.may_retry else (), outcome=error.outcome)

    def _stays(self, stood: StandingMessage, answer: Answer, error: BotError) -> bool:
        """A whole answer that was to be given anew outlasts an attempt that failed; one that a
        person stopped only where nothing of the new one was to be read."""
        if stood.outcome != "complete" or isinstance(error, NothingAsked):
            return False
        return answer.draft.is_outdated or not isinstance(error, Stopped | QuestionGone)

    def _begin_anew(self, answer: Answer, turn: Turn, question: Question | None) -> None:
        """An answer to other words, in the same reply, whose messages stand as they are."""
        meter, answer.again = answer.meter, None
        if meter.requests:
            meter.outcome = "stopped"
            self._errands.run(self._record_given_up(meter.record(ended=_now())))
        begun = meter.attempt if meter.requests else answer.turn.attempts
        turn = replace(turn, attempts=begun, attempts_before=begun)  # none of them was for this
        answer.turn, answer.question, answer.thread = turn, question, None
        answer.meter, answer.is_admitted = self._meter(turn), False
        answer.reply.asked = turn.asked
        answer.reply.tell(answer.draft, "")
        answer.draft.outdate()
        self._begin_writing(answer)

    def _stopping(self, turn: Turn) -> BotError:
        """Why it ends, for those who read what there is of it."""
        if not turn.stopped_by or turn.stopped_by == DELETED:
            return QuestionGone()
        name = self._chat.known_name(turn.stopped_by)
        is_asker = turn.stopped_by == turn.user
        return Stopped(stopped(plain_name(name) if name else None, is_asker=is_asker))

    # -- Slack's side

    async def _show(self, showing: Awaitable[None], answer: Answer) -> None:
        channel = answer.key.channel
        try:
            await showing
        except (asyncio.CancelledError, Closed) as error:
            answer.meter.is_handed_over = True
            answer.meter.ended("stopped")
            if isinstance(error, asyncio.CancelledError):
                raise
        except BotError as error:
            answer.meter.ended(error.outcome)
            event(log, "reply.failed", level=logging.ERROR, channel=channel, reason=error)
        except Exception as error:
            answer.meter.ended("failed")
            broke(log, "reply.broke", error, channel=channel)

    # -- the record

    def _note(self, key: TurnKey, messages: list[str]) -> Awaitable[None]:
        """Beside the answer: should it be lost, the messages are found by their metadata; streams,
        which have none, as what they look like."""

        async def note() -> None:
            try:
                await self._turns.note_messages(key, messages)
            except Transient as error:
                event(log, "turn.not_noted", level=logging.WARNING, reason=error)

        return self._errands.run(note())

    async def _record_given_up(self, record: UsageRecord) -> None:
        event(log, "answer.finished", **record.fields())
        try:
            await until_recorded(lambda: self._turns.record(record))
        except Exception as error:
            broke(log, "turn.not_recorded", error)

    async def _close(self, answer: Answer, record: UsageRecord | None) -> None:
        if record:
            event(log, "answer.finished", **record.fields())
        if answer.meter.is_handed_over:
            await self._suspend(answer.turn, record)
            return
        if answer.reply.has_idle_buttons(answer.draft):
            self._errands.run(answer.reply.take_buttons_away(answer.draft))
        await self._finish(answer, answer.meter.outcome, record)

    async def _finish(self, answer: Answer, outcome: Outcome, record: UsageRecord | None) -> None:
        """Not lost with the database: until it is back, the turn is not over."""
        try:
            again = await until_recorded(lambda: self._turns.finish(answer.turn, outcome, record))
        except Exception as error:
            broke(log, "turn.not_recorded", error)
            if record:  # the line in the log holds its numbers; the thread's next are not to wait
                await self._finish(answer, outcome, None)
            return
        if again and not (answer.again and not again.is_newer(answer.again[0])):
            answer.again = again, None

    async def _suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        try:
            await self._turns.suspend(turn, record)
        except Exception as error:  # whoever finds this process gone takes the turn all the same
            broke(log, "turn.not_recorded", error)


def _is_settled(turn: Turn) -> bool:
    """Whether what was read just now was read long after the turn's process had died."""
    return turn.taken_at is not None and _now() - READ_WITHIN >= turn.taken_at + LANDS_WITHIN


def _log_failure(error: BaseException) -> None:
    """Our own errors by their words; others by type and place, as theirs may quote people."""
    if isinstance(error, BotError):
        event(
            log,
            "answer.failed",
            level=logging.WARNING,
            type=type(error).__name__,
            reason=str(error),
        )
    else:
        broke(log, "answer.broke", error)


def _now() -> float:
    return asyncio.get_running_loop().time()
