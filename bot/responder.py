"""The whole path of a question: thread, prompt, model, reply, ledger."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from bot import history, views
from bot.draft import Draft
from bot.errors import (
    BotError,
    EmptyAnswer,
    Interrupted,
    QuestionTooLong,
    SlackRefused,
    ThreadUnreadable,
    Transient,
)
from bot.gate import is_wordless
from bot.logs import broke, event
from bot.messages import (
    ChatMessage,
    Delta,
    Identity,
    Outcome,
    Question,
    TurnKey,
    Usage,
    UsageRecord,
)
from bot.prompt import Prompt, TokenEstimate, fit, system_message
from bot.reply import Reply, ReplyChat
from bot.retries import OnWait, ask_again, read_again
from bot.sign import Signs
from bot.turnstile import Turnstile

log = logging.getLogger(__name__)

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

    def stream(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[Delta | Usage, None]:
        """The answer as it is written; `Usage` at its end, where the server reports it.

        :raises Transient: it may work when asked again.
        :raises ModelError: it will not; `CutAtTokenLimit` and `ContentFiltered` after the text.
        """


class Ledger(Protocol):
    async def record(self, record: UsageRecord) -> None: ...


@dataclass(slots=True)
class Meter:
    """What one answer takes, as it is measured."""

    started: float
    attempts: int = 0
    first_delta: float | None = None
    usage: Usage = field(default_factory=Usage)
    outcome: Outcome = "failed"
    is_over: bool = False  # the reply failed, whatever the model still writes

    def saw_delta(self) -> None:
        if self.first_delta is None:
            self.first_delta = _now()


class Responder:
    """Answers questions, each in its own task."""

    def __init__(
        self,
        *,
        bot: Identity,
        chat: Chat,
        model: Model,
        ledger: Ledger,
        turnstile: Turnstile,
        instructions: str,
        context_tokens: int,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._model = model
        self._ledger = ledger
        self._turnstile = turnstile
        self._instructions = instructions
        self._context_tokens = context_tokens
        self._estimate = TokenEstimate()
        self._signs = Signs()
        self._writing: dict[TurnKey, asyncio.Task[None]] = {}
        self._is_interrupted = False

    async def answer(self, question: Question) -> None:
        """From the question to its whole answer on screen and in the ledger. Raises nothing."""
        draft, meter = Draft(), Meter(_now())
        reply = Reply(question, self._chat, self._turnstile, self._signs)
        if is_wordless(question, self._bot):
            draft.end(views.wordless(question))
            await self._show(reply, draft, question, meter)
            return
        writing = asyncio.create_task(self._write(question, draft, reply, meter))
        self._writing[question.key] = writing
        writing.add_done_callback(lambda task: self._end(task, draft, reply, meter))
        if self._is_interrupted:
            writing.cancel()
        try:
            await self._show(reply, draft, question, meter)
        finally:
            del self._writing[question.key]
            writing.cancel()  # nobody sees what it would still write
            await asyncio.wait({writing})
            await self._record(question, meter, ended=reply.whole_at or _now())

    def interrupt(self) -> None:
        """Ends all answers where they are, also those to come; each says so in its thread."""
        self._is_interrupted = True
        for writing in self._writing.values():
            writing.cancel()

    # -- the model's side

    async def _write(self, question: Question, draft: Draft, reply: Reply, meter: Meter) -> None:
        def tell(error: Transient, seconds: float) -> None:
            if seconds >= NOTICEABLE:
                reply.tell(draft, f"{error.waiting}, next try in {int(seconds)} s")

        def tell_slow() -> None:
            if not draft.waiting:
                reply.tell(draft, "Slack is slow to show this thread")

        slow = asyncio.get_running_loop().call_later(NOTICEABLE, tell_slow)
        try:
            messages = await self._messages(question, tell)
        finally:
            slow.cancel()
        if draft.waiting:
            reply.tell(draft, "")
        prompt = self._fit(messages, self._context_tokens)
        try:
            await self._stream(prompt, draft, reply, meter, tell)
        except QuestionTooLong:  # for this model, or our estimate was too low
            prompt = self._fit(messages, prompt.tokens // 2)
            await self._stream(prompt, draft, reply, meter, tell)
        if draft.is_blank:
            raise EmptyAnswer

    async def _messages(self, question: Question, on_wait: OnWait) -> list[ChatMessage]:
        """The system prompt and the thread, the question last."""
        thread: list[dict[str, Any]] = []
        if not question.opens_thread:
            thread = await self._read_thread(question, on_wait)
        people = history.people(thread, question, self._bot)
        names = history.unique_names(await self._chat.names(people), self._bot)
        system = system_message(
            self._instructions,
            question,
            bot=self._bot.name,
            user=names.get(question.user, question.user),
            today=datetime.now(UTC).date(),
        )
        return [system, *history.chat_messages(thread, question, self._bot, names)]

    async def _read_thread(self, question: Question, on_wait: OnWait) -> list[dict[str, Any]]:
        try:
            return await read_again(
                lambda: self._chat.thread(question.channel, question.thread_ts), on_wait
            )
        except SlackRefused as error:
            if error.code == "thread_not_found":  # its root was deleted
                return []
            raise ThreadUnreadable(str(error)) from error

    def _fit(self, messages: list[ChatMessage], budget: int) -> Prompt:
        system, *spoken = messages
        return fit(system, spoken, budget=budget, estimate=self._estimate)

    async def _stream(
        self, prompt: Prompt, draft: Draft, reply: Reply, meter: Meter, on_wait: OnWait
    ) -> None:
        async def attempt() -> None:
            meter.attempts += 1
            if draft.waiting:
                reply.tell(draft, "")
            draft.restart()
            draft.notes = prompt.notes
            async with aclosing(self._model.stream(prompt.messages)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Delta):
                        meter.saw_delta()
                        draft.push(piece.text)
                        if draft.waiting:
                            reply.tell(draft, "")
                        reply.wake()
                    else:
                        self._learn(prompt, piece)
                        meter.usage = meter.usage + piece

        await ask_again(attempt, on_wait)

    def _learn(self, prompt: Prompt, usage: Usage) -> None:
        if usage.input_tokens is not None:
            self._estimate.learn(estimated=prompt.tokens, reported=usage.input_tokens)

    def _end(self, task: asyncio.Task[None], draft: Draft, reply: Reply, meter: Meter) -> None:
        """Whatever ended the writing, the draft ends, and says why if it is not whole."""
        error = Interrupted() if task.cancelled() else task.exception()
        if meter.is_over:
            return
        if error is None:
            meter.outcome = "complete"
            draft.end()
        else:
            known = error if isinstance(error, BotError) else BotError()
            meter.outcome = known.outcome
            _log_failure(error)
            draft.end(known.sentence)
        reply.hurry()

    # -- Slack's side

    async def _show(self, reply: Reply, draft: Draft, question: Question, meter: Meter) -> None:
        try:
            await reply.follow(draft)
        except asyncio.CancelledError:
            meter.outcome, meter.is_over = "stopped", True
            raise
        except BotError as error:
            meter.outcome, meter.is_over = error.outcome, True
            event(log, "reply.failed", level=logging.ERROR, channel=question.channel, reason=error)
        except Exception as error:
            meter.outcome, meter.is_over = "failed", True
            broke(log, "reply.broke", error, channel=question.channel)

    async def _record(self, question: Question, meter: Meter, *, ended: float) -> None:
        first = meter.first_delta
        record = UsageRecord(
            at=datetime.now(UTC),
            key=question.key,
            user=question.user,
            model=self._model.name,
            usage=meter.usage,
            seconds_to_first_delta=None if first is None else first - meter.started,
            seconds=ended - meter.started,
            requests=meter.attempts,
            outcome=meter.outcome,
        )
        event(log, "answer.finished", **record.fields())
        try:
            await self._ledger.record(record)
        except Exception as error:
            # The answer stands; the line above still holds its numbers.
            broke(log, "usage.not_recorded", error)


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
