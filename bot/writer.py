"""The model's side of an answer: thread, prompt and stream, into the draft."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from bot import history, views
from bot.channel_settings import AS_EVERYWHERE, ChannelSettings, Manner, Offer
from bot.draft import Draft
from bot.errors import (
    EmptyAnswer,
    ImagesRefused,
    NothingAsked,
    QuestionGone,
    QuestionTooLong,
    SlackRefused,
    ThreadUnreadable,
    Transient,
)
from bot.files import Attached, Reading
from bot.gate import SPOKEN_SUBTYPES, blank_question, is_wordless, question_in
from bot.messages import (
    ChatMessage,
    Delta,
    File,
    Identity,
    Question,
    Turn,
    TurnKey,
    Usage,
    UsageRecord,
)
from bot.meter import Meter
from bot.prompt import Prompt, TokenEstimate, files_that_fit, fit, system_message, together
from bot.reply import Reply, ReplyChat
from bot.retries import OnWait, ask_again, read_again, until_recorded
from bot.standing import StandingMessage
from bot.threads import Thread, Threads

# Seconds. A shorter wait is over before its reader has understood the sentence about it.
NOTICEABLE = 2.0

Asked = tuple[Turn, Question | None]


class Chat(ReplyChat, Protocol):
    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """All messages of a thread as Slack gives them, oldest first, with their metadata."""

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        """The display names of those whose name can be had. Raises nothing."""

    def known_name(self, user: str) -> str | None:
        """The display name, if it was looked up already."""


class Model(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def sees(self) -> bool:
        """Whether it takes images, as far as that is known."""

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> AsyncGenerator[Delta | Usage, None]:
        """The answer as it is written; `Usage` at its end, where the server reports it.

        Without ``temperature`` or ``max_tokens`` they are as the model is set up.

        :raises Transient: it may work when asked again.
        :raises ModelError: it will not; `CutAtTokenLimit` and `ContentFiltered` after the text.
        """


class Models(Protocol):
    def named(self, name: str) -> Model:
        """One of those that the operator offers."""


class Channels(Protocol):
    async def of(self, team: str, channel: str) -> ChannelSettings:
        """What is set for a channel now.

        :raises Transient: the database is away.
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

    async def why_not_there(self, team: str, user: str, channel: str) -> str | None:
        """Why that person may not ask about what is said in a channel."""


class Begun(Protocol):
    async def begin(self, turn: Turn, record: UsageRecord) -> None:
        """Counts an attempt; the record is what it takes at least, should this process die.

        :raises Transient: the database is away.
        """


@dataclass(eq=False, slots=True)
class Answer:
    """An answer under way: what it is to, what there is of it, and what it takes."""

    turn: Turn
    question: Question | None  # None: it has to be read in the thread
    meter: Meter
    reply: Reply
    draft: Draft = field(default_factory=Draft)
    thread: Thread | None = None  # None: it has to be read
    writing: asyncio.Task[None] | None = None
    is_admitted: bool = False  # the model may be asked
    is_settled: bool = False  # nothing that a dead process posted can come to stand there any more
    stood: StandingMessage | None = None  # the end of the answer to what was asked before
    again: Asked | None = None  # what is asked in its place

    @property
    def key(self) -> TurnKey:
        return self.turn.key


@dataclass(frozen=True, slots=True)
class _Voice:
    """Who answers, and how, in one channel."""

    model: Model
    manner: Manner
    estimate: TokenEstimate

    def stream(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[Delta | Usage, None]:
        manner = self.manner
        return self.model.stream(
            messages, temperature=manner.temperature, max_tokens=manner.max_tokens
        )

    def learn(self, prompt: Prompt, usage: Usage) -> None:
        if usage.input_tokens is not None and not prompt.has_images:
            self.estimate.learn(estimated=prompt.tokens, reported=usage.input_tokens)


@dataclass(frozen=True, slots=True)
class _Material:
    """What a prompt is made of, before it is known how much of it fits."""

    voice: _Voice
    question: Question
    system: ChatMessage
    thread: Thread
    names: dict[str, str]
    attached: Attached


class Writer:
    """Asks the model, and puts what it writes into the draft."""

    def __init__(
        self,
        *,
        bot: Identity,
        chat: Chat,
        models: Models,
        channels: Channels,
        offer: Offer,
        files: Files,
        turns: Begun,
        admission: Admission,
        instructions: str,
        context_tokens: int,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._threads = Threads(bot, chat, admission.why_not_there)
        self._models = models
        self._channels = channels
        self._offer = offer
        self._files = files
        self._turns = turns
        self._admission = admission
        self._instructions = instructions
        self._context_tokens = context_tokens
        self._estimates: dict[str, TokenEstimate] = defaultdict(TokenEstimate)  # by model

    @property
    def model(self) -> str:
        """The name of the one that answers where a channel has chosen none."""
        return self._offer.models[0]

    def estimate_of(self, model: str) -> TokenEstimate:
        return self._estimates[model]

    async def write(self, answer: Answer) -> None:
        """Until all of it is in the draft.

        :raises BotError: it is not whole, and why.
        """
        draft, reply = answer.draft, answer.reply

        def tell(error: Transient, seconds: float) -> None:
            if seconds >= NOTICEABLE:
                reply.tell(draft, f"{error.waiting}, next try in {int(seconds)} s")

        def tell_slow() -> None:
            if not draft.waiting:
                reply.tell(draft, "Slack is slow to show this thread")

        slow = asyncio.get_running_loop().call_later(NOTICEABLE, tell_slow)
        try:
            question = await self._question(answer, tell)
            voice = await self._voice(answer)
            thread = await self._thread(question, answer.thread, tell)
        finally:
            slow.cancel()
        if draft.waiting:
            reply.tell(draft, "")
        material = await self._material(voice, question, thread, reply)
        prompt = self._fit(material, self._context_tokens, draft.kept)
        begun = asyncio.create_task(self._begin(answer.meter, prompt))
        try:
            try:
                await self._stream(voice, prompt, answer, tell, begun)
            except ImagesRefused:
                material = replace(material, attached=material.attached.unseen())
                prompt = self._fit(material, self._context_tokens, draft.kept)
                await self._stream(voice, prompt, answer, tell, begun)
        except QuestionTooLong:  # for this model, or our estimate was too low
            prompt = self._fit(material, prompt.tokens // 2, draft.kept)
            await self._stream(voice, prompt, answer, tell, begun)
        finally:
            begun.cancel()  # where nothing came; the end says all that it would
            await asyncio.gather(begun, return_exceptions=True)
        if draft.is_blank:
            raise EmptyAnswer

    async def _begin(self, meter: Meter, prompt: Prompt) -> None:
        record = meter.foreboding(prompt.tokens)
        await until_recorded(lambda: self._turns.begin(meter.turn, record))

    async def _question(self, answer: Answer, on_wait: OnWait) -> Question:
        """What is asked, if it may be: another process may have been told of other words."""
        question = answer.question
        if question is None:
            answer.thread = await self._read_thread(blank_question(answer.turn), on_wait)
            question = _wording(answer.thread, answer.turn)
        if is_wordless(question, self._bot):
            raise NothingAsked(views.wordless(question))
        if not answer.is_admitted:
            await self._admission.admit(answer.turn)
        return question

    async def _voice(self, answer: Answer) -> _Voice:
        """As the channel has it now; what the attempt takes is that model's from here on."""
        key = answer.key
        settings = AS_EVERYWHERE
        if not key.channel.startswith("D"):
            settings = await until_recorded(lambda: self._channels.of(key.team, key.channel))
        manner = self._offer.manner(settings)
        answer.meter.model = manner.model
        return _Voice(self._models.named(manner.model), manner, self.estimate_of(manner.model))

    async def _thread(self, question: Question, thread: Thread | None, on_wait: OnWait) -> Thread:
        if thread is not None:
            return thread
        return [] if question.opens_thread else await self._read_thread(question, on_wait)

    async def _material(
        self, voice: _Voice, question: Question, thread: Thread, reply: Reply
    ) -> _Material:
        """What is said and attached in the thread, with the names of those who speak."""
        people = history.people(thread, question, self._bot)
        found, attached = await asyncio.gather(
            self._chat.names(people),
            self._read_files(history.files_in(thread, question, self._bot), reply),
        )
        names = history.unique_names(found, self._bot)
        system = system_message(
            together(self._instructions, voice.manner.instructions),
            question,
            bot=self._bot.name,
            user=names.get(question.user, question.user),
            today=datetime.now(UTC).date(),
        )
        return _Material(voice, question, system, thread, names, attached)

    async def _read_files(self, attached: Attached, reply: Reply) -> Attached:
        if not attached.wanted:
            return attached
        readings = await self._files.read(attached.wanted, reply.tell_reading)
        reply.tell_reading("")
        return attached.with_readings(readings)

    async def _read_thread(self, question: Question, on_wait: OnWait) -> Thread:
        try:
            return await read_again(
                lambda: self._threads.read(question.channel, question.thread_ts), on_wait
            )
        except SlackRefused as error:
            if error.code == "thread_not_found":  # its root was deleted
                return []
            raise ThreadUnreadable(str(error)) from error

    def _fit(self, material: _Material, budget: int, written: str) -> Prompt:
        """The system prompt and the thread, the question last, within so many tokens.

        What is ``written`` of the answer, if it is to go on, is in them.
        """
        estimate, sees = material.voice.estimate, material.voice.model.sees
        attached = material.attached if sees else material.attached.unseen()
        attached = files_that_fit(attached, budget=budget, estimate=estimate)
        spoken = history.chat_messages(
            material.thread, material.question, self._bot, material.names, attached
        )
        prompt = fit(material.system, spoken, budget=budget, estimate=estimate, written=written)
        return replace(prompt, about_files=tuple(attached.notes))

    async def _stream(
        self,
        voice: _Voice,
        prompt: Prompt,
        answer: Answer,
        on_wait: OnWait,
        begun: asyncio.Task[None],
    ) -> None:
        draft, reply, meter = answer.draft, answer.reply, answer.meter

        async def attempt() -> None:
            meter.requests += 1
            if draft.waiting:
                reply.tell(draft, "")
            draft.restart()
            draft.notes = prompt.notes
            is_reported = True  # as far as there is anything to report
            try:
                async with aclosing(voice.stream(prompt.messages)) as pieces:
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
                            voice.learn(prompt, piece)
                            meter.add(piece)
            finally:
                if not is_reported:
                    tokens = voice.estimate.of(draft.newest)
                    meter.estimate(input_tokens=prompt.tokens, output_tokens=tokens)

        await ask_again(attempt, on_wait)


def _wording(thread: Thread, turn: Turn) -> Question:
    """What the question of a turn says now."""
    for message in thread:
        is_spoken = message.get("subtype") in SPOKEN_SUBTYPES
        if str(message.get("ts")) == turn.key.ts and is_spoken:
            return question_in(message, turn)
    raise QuestionGone
