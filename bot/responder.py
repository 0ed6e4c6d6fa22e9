"""The whole path of a question: thread, prompt, model, reply, ledger."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from bot import history, views
from bot.cut import join
from bot.draft import Draft
from bot.errors import (
    BotError,
    EmptyAnswer,
    ImagesRefused,
    Interrupted,
    QuestionTooLong,
    RefusedPrivately,
    SlackRefused,
    ThreadUnreadable,
    Transient,
)
from bot.files import Attached, Reading
from bot.gate import blank_question, is_wordless
from bot.logs import broke, event
from bot.messages import (
    ChatMessage,
    Delta,
    File,
    Identity,
    Outcome,
    Question,
    Turn,
    TurnKey,
    Usage,
    UsageRecord,
)
from bot.meter import Meter
from bot.prices import Prices
from bot.prompt import Prompt, TokenEstimate, files_that_fit, fit, system_message
from bot.reply import Reply, ReplyChat
from bot.retries import OnWait, ask_again, read_again, until_it_lands, until_recorded
from bot.sign import Signs
from bot.standing import Standing, hopeless, is_too_old, standing
from bot.turnstile import Closed, Turnstile

log = logging.getLogger(__name__)

Thread = Sequence[Mapping[str, Any]]  # its messages as Slack gives them

# Seconds. A shorter wait is over before its reader has understood the sentence about it.
NOTICEABLE = 2.0


class Chat(ReplyChat, Protocol):
    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """All messages of a thread as Slack gives them, oldest first, with their metadata."""

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        """The display names of those whose name can be had. Raises nothing."""


class Model(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def sees(self) -> bool:
        """Whether it takes images, as far as that is known."""

    def stream(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[Delta | Usage, None]:
        """The answer as it is written; `Usage` at its end, where the server reports it.

        :raises Transient: it may work when asked again.
        :raises ModelError: it will not; `CutAtTokenLimit` and `ContentFiltered` after the text.
        """


class Files(Protocol):
    async def read(
        self, files: Sequence[File], on_reading: Callable[[str], None]
    ) -> Mapping[str, Reading]:
        """What is in each, by id, within a time limit. Raises nothing.

        ``on_reading`` hears which files one has to wait for.
        """


class Admission(Protocol):
    async def admit(self, turn: Turn) -> None:
        """Returns where the model may be asked.

        :raises RefusedPrivately: it may not, and the person has been told.
        :raises BotError: it may not, as the thread is to say.
        """


class Turns(Protocol):
    """The record of turns. Every call may raise `Transient`."""

    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        """Counts an attempt; the record is what it takes at least, should this process die."""

    async def note_messages(self, key: TurnKey, messages: Sequence[str]) -> None:
        """The ``ts`` of the reply's messages as they stand now."""

    async def finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> None:
        """The turn is over; None: the model was not asked."""

    async def suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        """Whoever takes the turn goes on with it."""


@dataclass(frozen=True, slots=True)
class _Material:
    """What a prompt is made of, before it is known how much of it fits."""

    question: Question
    system: ChatMessage
    thread: Thread
    names: dict[str, str]
    attached: Attached


class Responder:
    """Answers questions, each in its own task."""

    def __init__(
        self,
        *,
        bot: Identity,
        chat: Chat,
        model: Model,
        files: Files,
        turns: Turns,
        admission: Admission,
        turnstile: Turnstile,
        prices: Prices,
        instructions: str,
        context_tokens: int,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._model = model
        self._files = files
        self._turns = turns
        self._admission = admission
        self._turnstile = turnstile
        self._prices = prices
        self._instructions = instructions
        self._context_tokens = context_tokens
        self._estimate = TokenEstimate()
        self._signs = Signs()
        self._writing: dict[TurnKey, asyncio.Task[None]] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._is_interrupted = False

    async def answer(self, turn: Turn, question: Question | None) -> None:
        """From the question to its whole answer on screen and in the ledger. Raises nothing.

        Without a question the turn was another process's, or this one's before a restart: what
        stands of it in its thread is read, and the answer takes its place.
        """
        try:
            await (self._answer(turn, question) if question else self._resume(turn))
        except Exception as error:  # the next questions of the thread are not to wait for ever
            broke(log, "answer.broke", error, channel=turn.key.channel)
            await self._finish(turn, "failed", None)

    async def _resume(self, turn: Turn) -> None:
        event(log, "turn.resumed", channel=turn.key.channel, ts=turn.key.ts)
        found, error = await self._find(turn)
        question = found.question or blank_question(turn)
        if found.is_whole:
            meter = Meter(turn, self._model.name, self._prices, _now(), outcome=found.outcome)
            await self._show(self._reply(turn, question).tidy(found), meter)
            await self._close(meter, None)
        elif found.question or found.reply or error:
            await self._answer(turn, question, found, error)
        else:  # it was deleted, and nothing stands there
            await self._finish(turn, "stopped", None)

    async def _answer(
        self,
        turn: Turn,
        question: Question,
        found: Standing | None = None,
        error: BotError | None = None,
    ) -> None:
        """``found`` is what people already see; with an ``error`` it only ends, and says why."""
        meter, draft = Meter(turn, self._model.name, self._prices, _now()), Draft()
        reply = self._reply(turn, question)
        if found:
            draft.push(join([message.text for message in found.reply]))
            reply.adopt(found, draft, was_begun=turn.attempts > 0)
        is_blank = is_wordless(question, self._bot)
        has_begun = turn.attempts or (found and found.reply)
        if not (error or is_blank or has_begun):  # what has begun may end
            error = await self._refusal(turn)
        if isinstance(error, RefusedPrivately):
            await self._finish(turn, error.outcome, None)
            return
        if error or is_blank:
            meter.outcome = error.outcome if error else "complete"
            sentence = error.sentence if error else views.wordless(question)
            draft.end(sentence, outcome=meter.outcome)
            await self._show(reply.follow(draft), meter)
            await self._close(meter, None)
            return
        draft.restart()
        thread = found.thread if found else None
        writing = asyncio.create_task(self._write(question, thread, draft, reply, meter))
        self._writing[question.key] = writing
        writing.add_done_callback(lambda task: self._end(task, draft, reply, meter))
        if self._is_interrupted:
            writing.cancel()
        try:
            await self._show(reply.follow(draft), meter)
        finally:
            del self._writing[question.key]
            writing.cancel()  # nobody sees what it would still write
            await asyncio.wait({writing})
            await self._close(meter, meter.record(ended=reply.whole_at or _now()))

    def _reply(self, turn: Turn, question: Question) -> Reply:
        return Reply(
            question,
            self._chat,
            self._turnstile,
            self._signs,
            on_messages=lambda messages: self._note(turn, messages),
        )

    def interrupt(self) -> None:
        """Ends all answers where they are, also those to come; each says so in its thread."""
        self._is_interrupted = True
        for writing in self._writing.values():
            writing.cancel()

    async def _refusal(self, turn: Turn) -> BotError | None:
        """Why the model is not to be asked; None where it is."""
        try:
            await self._admission.admit(turn)
        except BotError as error:
            return error
        return None

    # -- a turn that was begun before

    async def _find(self, turn: Turn) -> tuple[Standing, BotError | None]:
        """What stands of it; and why there is no point in going on, if there is none."""
        try:
            found = standing(await self._thread_of(turn), turn, self._bot)
        except SlackRefused as refused:
            gone = refused.code == "thread_not_found"
            return Standing(None), None if gone else ThreadUnreadable(str(refused))
        except Transient as error:
            return Standing(None), error
        except Exception as error:
            broke(log, "thread.broke", error, channel=turn.key.channel)
            return Standing(None), BotError()
        return found, hopeless(found, turn, datetime.now(UTC))

    async def _thread_of(self, turn: Turn) -> Thread:
        """However long Slack is away, as long as the answer matters."""
        while True:
            try:
                return await until_it_lands(
                    lambda: self._chat.thread(turn.key.channel, turn.thread_ts)
                )
            except Transient:
                if is_too_old(turn, datetime.now(UTC)):
                    raise

    # -- the model's side

    async def _write(
        self,
        question: Question,
        thread: Thread | None,
        draft: Draft,
        reply: Reply,
        meter: Meter,
    ) -> None:
        def tell(error: Transient, seconds: float) -> None:
            if seconds >= NOTICEABLE:
                reply.tell(draft, f"{error.waiting}, next try in {int(seconds)} s")

        def tell_slow() -> None:
            if not draft.waiting:
                reply.tell(draft, "Slack is slow to show this thread")

        slow = asyncio.get_running_loop().call_later(NOTICEABLE, tell_slow)
        try:
            thread = await self._thread(question, thread, tell)
        finally:
            slow.cancel()
        if draft.waiting:
            reply.tell(draft, "")
        material = await self._material(question, thread, reply)
        prompt = self._fit(material, self._context_tokens)
        begun = asyncio.create_task(self._begin(meter, prompt))
        try:
            try:
                await self._stream(prompt, draft, reply, meter, tell, begun)
            except ImagesRefused:
                material = replace(material, attached=material.attached.unseen())
                prompt = self._fit(material, self._context_tokens)
                await self._stream(prompt, draft, reply, meter, tell, begun)
        except QuestionTooLong:  # for this model, or our estimate was too low
            prompt = self._fit(material, prompt.tokens // 2)
            await self._stream(prompt, draft, reply, meter, tell, begun)
        finally:
            begun.cancel()  # where nothing came; the end says all that it would
            await asyncio.gather(begun, return_exceptions=True)
        if draft.is_blank:
            raise EmptyAnswer

    async def _begin(self, meter: Meter, prompt: Prompt) -> None:
        record = meter.foreboding(prompt.tokens)
        await until_recorded(lambda: self._turns.begin(meter.turn, record))

    async def _thread(self, question: Question, thread: Thread | None, on_wait: OnWait) -> Thread:
        if question.opens_thread:
            return []
        return await self._read_thread(question, on_wait) if thread is None else thread

    async def _material(self, question: Question, thread: Thread, reply: Reply) -> _Material:
        """What is said and attached in the thread, with the names of those who speak."""
        people = history.people(thread, question, self._bot)
        found, attached = await asyncio.gather(
            self._chat.names(people),
            self._read_files(history.files_in(thread, question, self._bot), reply),
        )
        names = history.unique_names(found, self._bot)
        system = system_message(
            self._instructions,
            question,
            bot=self._bot.name,
            user=names.get(question.user, question.user),
            today=datetime.now(UTC).date(),
        )
        return _Material(question, system, thread, names, attached)

    async def _read_files(self, attached: Attached, reply: Reply) -> Attached:
        if not attached.wanted:
            return attached
        readings = await self._files.read(attached.wanted, reply.tell_reading)
        reply.tell_reading("")
        return attached.with_readings(readings)

    async def _read_thread(self, question: Question, on_wait: OnWait) -> Thread:
        try:
            return await read_again(
                lambda: self._chat.thread(question.channel, question.thread_ts), on_wait
            )
        except SlackRefused as error:
            if error.code == "thread_not_found":  # its root was deleted
                return []
            raise ThreadUnreadable(str(error)) from error

    def _fit(self, material: _Material, budget: int) -> Prompt:
        """The system prompt and the thread, the question last, within so many tokens."""
        attached = material.attached if self._model.sees else material.attached.unseen()
        attached = files_that_fit(attached, budget=budget, estimate=self._estimate)
        spoken = history.chat_messages(
            material.thread, material.question, self._bot, material.names, attached
        )
        prompt = fit(material.system, spoken, budget=budget, estimate=self._estimate)
        return replace(prompt, about_files=tuple(attached.notes))

    async def _stream(
        self,
        prompt: Prompt,
        draft: Draft,
        reply: Reply,
        meter: Meter,
        on_wait: OnWait,
        begun: asyncio.Task[None],
    ) -> None:
        async def attempt() -> None:
            meter.requests += 1
            if draft.waiting:
                reply.tell(draft, "")
            draft.restart()
            draft.notes = prompt.notes
            is_reported = True  # as far as there is anything to report
            try:
                async with aclosing(self._model.stream(prompt.messages)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, Delta):
                            await begun
                            meter.saw_delta()
                            is_reported = False
                            draft.push(piece.text)
                            if draft.waiting:
                                reply.tell(draft, "")
                            reply.wake()
                        else:
                            is_reported = True
                            self._learn(prompt, piece)
                            meter.add(piece)
            finally:
                if not is_reported:
                    tokens = self._estimate.of(draft.newest)
                    meter.estimate(input_tokens=prompt.tokens, output_tokens=tokens)

        await ask_again(attempt, on_wait)

    def _learn(self, prompt: Prompt, usage: Usage) -> None:
        if usage.input_tokens is not None and not prompt.has_images:
            self._estimate.learn(estimated=prompt.tokens, reported=usage.input_tokens)

    def _end(self, task: asyncio.Task[None], draft: Draft, reply: Reply, meter: Meter) -> None:
        """Whatever ended the writing, the draft ends, and says why if it is not whole."""
        error = None if task.cancelled() else task.exception()
        if meter.is_over:
            return
        if task.cancelled():
            meter.outcome, meter.is_handed_over = Interrupted.outcome, True
            draft.pause(Interrupted.sentence)
        elif error is None:
            meter.outcome = "complete"
            draft.end()
        else:
            known = error if isinstance(error, BotError) else BotError()
            meter.outcome = known.outcome
            _log_failure(error)
            draft.end(known.sentence, outcome=known.outcome)
        reply.hurry()

    # -- Slack's side

    async def _show(self, showing: Awaitable[None], meter: Meter) -> None:
        channel = meter.turn.key.channel
        try:
            await showing
        except (asyncio.CancelledError, Closed) as error:
            meter.is_handed_over = True
            meter.ended("stopped")
            if isinstance(error, asyncio.CancelledError):
                raise
        except BotError as error:
            meter.ended(error.outcome)
            event(log, "reply.failed", level=logging.ERROR, channel=channel, reason=error)
        except Exception as error:
            meter.ended("failed")
            broke(log, "reply.broke", error, channel=channel)

    # -- the record

    def _note(self, turn: Turn, messages: list[str]) -> None:
        """Beside the answer: should it be lost, the messages are found by their metadata."""

        async def note() -> None:
            try:
                await self._turns.note_messages(turn.key, messages)
            except Transient as error:
                event(log, "turn.not_noted", level=logging.WARNING, reason=error)

        task = asyncio.create_task(note())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _close(self, meter: Meter, record: UsageRecord | None) -> None:
        if record:
            event(log, "answer.finished", **record.fields())
        if meter.is_handed_over:
            await self._suspend(meter.turn, record)
        else:
            await self._finish(meter.turn, meter.outcome, record)

    async def _finish(self, turn: Turn, outcome: Outcome, record: UsageRecord | None) -> None:
        """Not lost with the database: until it is back, the turn is not over."""
        try:
            await until_recorded(lambda: self._turns.finish(turn, outcome, record))
        except Exception as error:
            broke(log, "turn.not_recorded", error)
            if record:  # the line in the log holds its numbers; the thread's next are not to wait
                await self._finish(turn, outcome, None)

    async def _suspend(self, turn: Turn, record: UsageRecord | None) -> None:
        try:
            await self._turns.suspend(turn, record)
        except Exception as error:  # whoever finds this process gone takes the turn all the same
            broke(log, "turn.not_recorded", error)


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
