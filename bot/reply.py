"""The bot's messages for one question: they follow the draft until all of it is on screen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from bot import views
from bot.draft import FIRST_WORDS, UNFINISHED, Draft, Offer, Part
from bot.errors import LACKING, BotError, RateLimited, ReplyGone, SlackRefused, Transient
from bot.logs import event
from bot.messages import Question, TurnKey
from bot.pacing import Call, Claim, Lane
from bot.retries import until_it_lands
from bot.sign import Sign, SignChat, Signs
from bot.standing import UNMARKED, Standing
from bot.stream import OVER, STOPPED, Move, Stream, Streams
from bot.turnstile import Closed, Late, Turnstile

log = logging.getLogger(__name__)

# Slack's words for blocks that it does not take (docs.slack.dev/reference/methods/chat.update).
MISMATCH = "block_mismatch"
UNFIT_BLOCKS = frozenset(
    {
        MISMATCH,
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "msg_blocks_too_many",
        "msg_too_long",
        "only_one_table_allowed",
    }
)

# Those of them that may be about the buttons: an answer is better without than not at all.
UNFIT_BUTTONS = frozenset({"invalid_blocks", "invalid_blocks_format"})

# Seconds to wait for an edit that takes a button away, before it is left where it is.
TIDY_WITHIN = 60.0

# Seconds. So late may a post come to stand in its thread whose process died or lost its answer.
LANDS_WITHIN = 10.0

# Slack's words for "that message is not there any more".
GONE = frozenset({"message_not_found", "thread_not_found"})


class ReplyChat(SignChat, Protocol):
    """What a reply needs of Slack. Every call may raise `Transient` or `SlackRefused`."""

    async def post(self, channel: str, thread_ts: str, message: dict[str, Any]) -> str:
        """Posts into the thread and returns the message's ``ts``.

        :raises Unavailable: it is unknown whether the message stands there.
        """

    async def update(self, channel: str, ts: str, message: dict[str, Any]) -> None: ...

    async def start_stream(self, question: Question, text: str) -> str:
        """Begins a message in the question's thread that can only be added to; its ``ts``.

        :raises Unavailable: it is unknown whether the message stands there.
        """

    async def append_stream(self, channel: str, ts: str, text: str) -> None: ...

    async def stop_stream(self, channel: str, ts: str, end: dict[str, Any]) -> None:
        """``end`` as `views.stream_end` has it. Then it is a message like any other."""

    async def delete(self, channel: str, ts: str) -> None: ...

    async def find_reply(
        self, channel: str, thread_ts: str, turn: TurnKey, *, with_streams: bool = False
    ) -> dict[str, int]:
        """All messages of that turn's reply that stand in the thread: by ``ts``, which part.

        ``with_streams``, also those which may be and do not say so, as `UNMARKED`.
        """


@dataclass(slots=True)
class _Message:
    """A message of the reply and what it shows. Without a ``ts``, it may stand there or not."""

    ts: str | None = None
    part: Part | None = None  # None also where that is uncertain
    posted: Part | None = None  # what it shows if it stands there, as far as that is known
    post: int = 0  # which of this process's posts; 0: another's
    stream: Stream | None = None  # while Slack streams it
    was_streamed: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """A part that is not on screen as it is, and the call that mends it."""

    number: int
    part: Part
    ts: str | None
    move: Move | None = None  # of a stream

    @property
    def call(self) -> Call:
        if self.move:
            return self.move.call
        return "chat.update" if self.ts else "chat.postMessage"

    @property
    def must(self) -> bool:
        """It is not superseded by a later one."""
        return self.part.is_final or self.call == "chat.stopStream"


class Reply:
    """Shows one draft in one thread.

    One call is under way at a time. An edit carries the text of the moment in which it may be
    made, so nothing queues up while Slack's limits make the reply wait.
    """

    def __init__(
        self,
        question: Question,
        chat: ReplyChat,
        turnstile: Turnstile,
        signs: Signs,
        *,
        asked: int = 1,
        life: int = 1,
        streams: Streams | None = None,
        on_messages: Callable[[list[str]], Awaitable[None] | None] = lambda _: None,
        on_stopped: Callable[[], None] = lambda: None,
        gives_way: Callable[[], bool] = lambda: False,
        strays_land_until: float | None = None,
    ) -> None:
        """``life`` grows with each process that answers the question; ``on_messages`` hears the
        ``ts`` of the reply's messages when they change, and returns what ends when they are
        written down; ``on_stopped`` hears that a person stopped a stream in Slack; ``gives_way``
        tells whether another reply is wanted in its place."""
        self.asked = asked  # `Turn.asked`: what is shown answers that
        self._life = life
        self._posts = 0  # that were tried
        self._question = question
        self._chat = chat
        self._turnstile = turnstile
        self._signs = signs
        self._sign = Sign(question, chat, signs)
        self._streams = streams or Streams()
        self._claim = Claim(question.channel, lane=self._streams.lane)
        self._messages: list[_Message] = []
        self._news = asyncio.Event()
        self.whole_at: float | None = None  # when its end was on screen, by the loop's clock
        self._is_bare = False  # it has no buttons, because Slack may not take them
        self._is_plain = False  # Slack did not take this answer's Markdown
        self._is_stranded = False  # an edit could not be made: the text goes into new messages
        self._given_up: list[str] = []  # of the reply no more, and to be deleted
        # Posts that nobody heard of, by the loop's clock; None: there are none.
        self.strays_land_until = strays_land_until
        self._on_messages = on_messages
        self._on_stopped = on_stopped
        self._gives_way = gives_way
        self._told: list[str] = []
        self._noting: Awaitable[None] | None = None
        self._may_stream = True  # but for what the workspace allows
        self._loose_streams: set[str] = set()  # that are of the reply no more, and not stopped

    def adopt(self, standing: Standing, draft: Draft, *, expects_strays: bool) -> None:
        """Goes on with what another process left, whose text the draft holds, and that alone.

        ``expects_strays``: the last post of that process may land yet.
        """
        parts = draft.parts()
        for number, found in enumerate(standing.reply):
            part = parts[number] if number < len(parts) else None
            # What stands beneath the end of an answer does not belong there any more.
            is_shown = part is not None and part.text == found.text
            is_shown = is_shown and (draft.ended or not found.is_last)
            stream = Stream(found.text, is_left=True) if found.is_streamed else None
            shown = part if is_shown and not stream else None
            self._messages.append(_Message(found.ts, shown, stream=stream))
        if expects_strays:
            self._expect_strays()
        self._adopt_surplus(standing)
        self._note_messages()

    def _adopt_surplus(self, standing: Standing) -> None:
        self._given_up += standing.surplus
        self._loose_streams |= standing.streams.intersection(standing.surplus)
        if standing.has_reaction:
            self._sign.adopt_reaction()

    @property
    def stands(self) -> bool:
        """Whether there is something of it in the thread, or on its way there."""
        return bool(self._messages)

    def wake(self) -> None:
        """The draft grew, or something else is wanted. Called for each delta, so it costs next to
        nothing."""
        self._news.set()

    def hurry(self) -> None:
        """The draft has ended: an edit that waits its turn is the last and comes first."""
        self._turnstile.ended(self._claim)
        self.wake()

    def tell(self, draft: Draft, waiting: str) -> None:
        """Tells the person what the answer waits for; "" when it goes on."""
        draft.waiting = waiting and f"Waiting: {waiting}."
        self._sign.tell(waiting)
        self.wake()

    def tell_reading(self, what: str) -> None:
        """Tells the person which file is being read, where there is a status line for it."""
        self._sign.tell_reading(what)

    async def follow(self, draft: Draft) -> None:
        """Shows the draft as it grows, and returns when its end is on screen.

        :raises ReplyGone: somebody deleted the reply.
        :raises SlackRefused: Slack does not let the bot write here.
        :raises Transient: Slack could not be reached for half an hour.
        """
        self._turnstile.join(self._claim)
        sign = asyncio.create_task(self._sign.keep(lambda: draft.words))
        try:
            await self._show_to_the_end(draft)
            self.whole_at = asyncio.get_running_loop().time()
            self._sign.take_down(is_posted=False)  # now: what is surplus may take its time
            await self._delete_surplus(draft)
        except asyncio.CancelledError:
            sign.cancel()  # there is no time for it
            raise
        finally:
            self._turnstile.leave(self._claim)
            self._sign.take_down(is_posted=False)
            await sign

    async def tidy(self, standing: Standing, *, is_settled: bool) -> None:
        """Removes what another process left beside its whole answer, or where there is to be none:
        at once what says that one is coming.

        :raises Transient: Slack could not be reached for minutes.
        """
        self._messages = [_Message(found.ts) for found in standing.reply]
        if not is_settled:
            self._expect_strays()
        self._adopt_surplus(standing)
        await self.take_sign_down()
        await self._give_up_strays()
        await self._delete_given_up()

    async def take_sign_down(self) -> None:
        """Also that of a dead process. Raises nothing."""
        self._sign.take_down(is_posted=False)
        await self._sign.keep(lambda: 0)

    def has_idle_buttons(self, draft: Draft) -> bool:
        return self.whole_at is not None and not draft.is_paused and bool(self._idle_buttons(draft))

    async def take_buttons_away(self, draft: Draft) -> None:
        """Takes a Stop away from earlier parts that became parts as they stood there.

        It is worth an edit that is to spare, and no other; pressed, it does nothing any more.
        """
        claim = Claim(self._question.channel, since=asyncio.get_running_loop().time())
        self._turnstile.stay(claim)
        try:
            for number, part in self._idle_buttons(draft).items():
                ts, message = self._messages[number].ts, self._view(part, number)
                async with asyncio.timeout(TIDY_WITHIN) as waiting:
                    async with self._turnstile.passing(claim, "chat.update"):
                        waiting.reschedule(None)  # a call that is made is waited for
                        await self._update(ts or "", message)
        except (TimeoutError, BotError, Closed) as error:
            event(log, "buttons.left", channel=self._question.channel, reason=type(error).__name__)
        finally:
            self._turnstile.leave(claim)

    def _idle_buttons(self, draft: Draft) -> dict[int, Part]:
        """The earlier parts that stand there with other buttons than theirs, by number."""
        pairs = zip(self._messages, draft.parts()[:-1], strict=False)
        return {
            number: part
            for number, (message, part) in enumerate(pairs)
            if message.ts and message.part != part and part.looks_like(message.part)
        }

    async def _show_to_the_end(self, draft: Draft) -> None:
        while not draft.ended or self._next_step(draft):
            step = self._next_step(draft)
            if step is None:
                self._news.clear()
                await self._news.wait()
                self._claim.since = asyncio.get_running_loop().time()
                self._claim.began = min(self._claim.began, self._claim.since)
            elif step.must or step.ts is None:
                await until_it_lands(partial(self._show_next, draft))
            else:
                with suppress(Transient):  # the next edit carries this text too
                    await self._show_next(draft)

    def _next_step(self, draft: Draft) -> _Step | None:
        if not (draft.ended or self._may_begin(draft)):
            return None
        parts = draft.parts()
        for number, part in enumerate(parts):
            standing = self._messages[number] if number < len(self._messages) else _Message()
            is_earlier = number + 1 < len(parts)  # its buttons can wait, the words behind it not
            if standing.stream:
                is_waiting = bool(draft.waiting)
                move = standing.stream.move(part, draft.settled(), is_waiting=is_waiting)
                if move or not is_earlier:
                    return _Step(number, part, standing.ts, move) if move else None
            elif standing.part != part and not (is_earlier and part.looks_like(standing.part)):
                return _Step(number, part, standing.ts)
        return None

    def _may_begin(self, draft: Draft) -> bool:
        """With the first words; or what the answer waits for, where no status line says it.

        Where Slack refused an edit, not before the end: then the answer is posted whole.
        """
        if self._messages or self._is_stranded:
            return not self._is_stranded
        return draft.length >= FIRST_WORDS or (bool(draft.waiting) and not self._sign.speaks)

    async def _show_next(self, draft: Draft) -> None:
        """Makes the next call as soon as the turnstile lets it through."""
        await self._find_lost_post()
        step = self._next_step(draft)
        if step is None:
            return
        if step.call == "chat.appendStream" and self._noting:
            # Else nobody might find it, should this process die.
            await asyncio.shield(self._noting)
        self._claim.must = step.must
        self._claim.can_but_wait = self._shows_all(step) or draft.is_paused
        self._claim.lane = self._lane(step, draft)
        call = step.call
        try:
            async with self._turnstile.passing(self._claim, step.call) as call:
                now = self._next_step(draft)  # the draft has grown while this waited
                if now and call == "chat.startStream":
                    await self._start_stream(now, draft)
                elif now and now.call == call:
                    self._keep(now, draft)
                    await self._show(now)
        except Late:
            self._go_another_way(draft)
        except RateLimited:  # the turnstile holds all edits; there may be another way
            if call == "chat.postMessage":
                raise
        except SlackRefused:
            if call != "chat.startStream":  # a post takes its place
                raise

    def _lane(self, step: _Step, draft: Draft) -> Lane:
        """That of a message which is to be posted: a stream needs words that grow, and stay."""
        grows = step.ts is None and not step.part.is_final and not draft.waiting
        lane = self._streams.lane if grows and self._may_stream else "edit"
        return lane if lane == "edit" or draft.settled() else "edit"

    def _go_another_way(self, draft: Draft) -> None:
        """A last edit cannot be made in time: what it would have added is posted.

        What is visible stays as the part that it is, if it ends where a part can end; otherwise
        the part is posted anew, and the old message deleted when that stands there.
        """
        step = self._next_step(draft)
        if step is None or step.ts is None or self._shows_all(step):
            return
        standing = self._messages[step.number].part
        event(log, "edit.late", channel=self._question.channel)
        if stream := self._messages[step.number].stream:
            stream.is_late = True
        elif not (standing and draft.seal(step.number, standing)):
            self._strand(step.number)
        self._note_messages()

    def _shows_all(self, step: _Step) -> bool:
        """Whether the edit would change nothing that one can see; or the stop, no words."""
        if step.move:
            return not step.move.text
        return step.ts is not None and step.part.looks_like(self._messages[step.number].part)

    def _strand(self, number: int) -> None:
        """Gives these messages up: they are deleted when all stands elsewhere."""
        self._is_stranded = True
        while len(self._messages) > number:
            self._give_up(self._messages.pop())

    def _give_up(self, message: _Message) -> None:
        if message.ts:
            self._given_up.append(message.ts)
            self._loose_streams |= {message.ts} if message.stream else set()

    async def _show(self, step: _Step) -> None:
        # What comes from now on is not in this call.
        unseen_since, self._claim.since = self._claim.since, asyncio.get_running_loop().time()
        try:
            if step.move:
                await self._move(step, step.move)
            elif step.ts is None:
                await self._post(step.part, step.number)
            else:
                await self._update(step.ts, self._view(step.part, step.number))
            self._note_shown(step)
        except Transient as error:
            self._claim.since = unseen_since
            if step.ts and not isinstance(error, RateLimited):
                self._note_uncertain(step)
            raise
        except SlackRefused as error:
            if step.move:
                self._cope_with_stream(error, step, step.move)
            else:
                await self._cope_with(error, step)
        finally:
            self._note_messages()

    def _note_shown(self, step: _Step) -> None:
        message = self._messages[step.number]
        if message.stream and step.call == "chat.appendStream":
            message.stream.sent += step.move.text if step.move else ""
            return
        message.was_streamed = message.was_streamed or message.stream is not None
        message.stream = None
        message.part = None if step.move and step.move.leaves else step.part
        self._learn_of_buttons()

    def _note_uncertain(self, step: _Step) -> None:
        """It shows this text, or the one before."""
        message = self._messages[step.number]
        if message.stream is None:
            message.part = None
        elif step.call == "chat.appendStream":
            message.stream.is_certain = False

    # -- streams

    async def _start_stream(self, step: _Step, draft: Draft) -> None:
        """In place of a post. If it cannot be, the reply grows by edits.

        :raises RateLimited, SlackRefused: it cannot.
        :raises Transient: it is unknown whether it stands there.
        """
        text = draft.settled()
        if step.ts or step.part.is_final or not text or draft.waiting:
            return
        draft.narrow()
        draft.keep(len(text))
        self._posts += 1
        started = _Message(post=self._posts, stream=Stream(text))
        self._messages.append(started)
        self._sign.expect_post()
        unseen_since, self._claim.since = self._claim.since, asyncio.get_running_loop().time()
        try:
            started.ts = await self._chat.start_stream(self._question, text)
        except (RateLimited, SlackRefused) as error:
            self._messages.remove(started)  # certainly not there
            self._sign.expect_post(is_expected=False)
            self._claim.since = unseen_since
            self._fall_back(error)
            raise
        else:
            self._sign.take_down(is_posted=True)
        finally:
            self._note_messages()

    def _keep(self, step: _Step, draft: Draft) -> None:
        """What is about to be added cannot be cut away any more."""
        stream = self._messages[step.number].stream if step.move else None
        if stream and step.move and not step.part.is_final:
            draft.keep(len(stream.sent) + len(step.move.text))

    def _fall_back(self, error: BotError) -> None:
        self._may_stream = False
        code = error.code if isinstance(error, SlackRefused) else type(error).__name__
        event(log, "stream.refused", level=logging.WARNING, code=code)
        if code in LACKING and not self._streams.is_lacking:
            event(log, "streams.lacking", level=logging.WARNING, code=code)
            self._streams.is_lacking = True

    async def _move(self, step: _Step, move: Move) -> None:
        channel, ts = self._question.channel, step.ts or ""
        if move.call == "chat.appendStream":
            await self._chat.append_stream(channel, ts, move.text)
            return
        part = step.part
        if move.leaves:  # an edit follows: what stands there is no end, whatever is to come
            self._may_stream = False
            part = replace(part, is_last=False, offers=(), notice="")
        end = views.stream_end(self._view(part, step.number), move.text)
        if move.leaves:
            end.pop("blocks", None)
        await self._chat.stop_stream(channel, ts, end)

    def _cope_with_stream(self, error: SlackRefused, step: _Step, move: Move) -> None:
        """What is not shown yet is shown in another way: at last, by edits of the message.

        :raises ReplyGone: somebody deleted it.
        """
        message = self._messages[step.number]
        event(log, "stream.refused", level=logging.WARNING, method=error.method, code=error.code)
        if error.code in GONE:
            raise ReplyGone(str(error)) from error
        if message.stream is None:
            return
        if error.code == STOPPED:
            message.stream.is_halted = True
            self._on_stopped()
        elif error.code in UNFIT_BUTTONS and not move.leaves and self._offers(step.part):
            self._is_bare = True
        elif error.code == OVER or move.leaves:
            self._may_stream = False
            message.stream, message.part, message.was_streamed = None, None, True
        else:
            message.stream.is_left = True

    async def _stop_loose(self, ts: str) -> None:
        """Before it is deleted. If Slack does not stop it, it is none any more."""
        self._loose_streams.discard(ts)
        since = asyncio.get_running_loop().time()
        claim = Claim(self._question.channel, must=True, can_but_wait=True, since=since)
        self._turnstile.stay(claim)
        try:
            async with self._turnstile.passing(claim, "chat.stopStream"):
                await self._chat.stop_stream(self._question.channel, ts, {})
        except SlackRefused as error:
            event(log, "stream.refused", method=error.method, code=error.code)
        finally:
            self._turnstile.leave(claim)

    async def _cope_with(self, error: SlackRefused, step: _Step) -> None:
        """The part is stale still, so it is shown again, in another way.

        :raises SlackRefused: there is none left.
        """
        event(log, "text.refused", level=logging.WARNING, method=error.method, code=error.code)
        if error.code in UNFIT_BUTTONS and self._offers(step.part):
            self._is_bare = True
        elif error.code == MISMATCH and self._messages[step.number].was_streamed:
            self._strand(0)  # what was a stream may not take other blocks, whichever they are
        elif error.code in UNFIT_BLOCKS and not self._is_plain:
            self._is_plain = True
        elif step.ts is not None and not self._is_stranded:
            self._strand(0)
        else:
            await self._end_where_it_is(error)
            raise error

    async def _end_where_it_is(self, error: SlackRefused) -> None:
        """Slack takes no further part: the last one that stands there says so."""
        standing = self._messages[-1] if self._messages else _Message()
        if standing.ts and standing.part:
            part = replace(
                standing.part,
                notice=error.sentence,
                is_last=True,
                is_final=True,
                outcome=error.outcome,
                offers=UNFINISHED,
            )
            message = self._view(part, len(self._messages) - 1)
            with suppress(BotError):
                await self._edit_beside(standing.ts, message)

    def _view(self, part: Part, number: int) -> dict[str, Any]:
        view = views.plain_message if self._is_plain else views.reply_message
        part = replace(part, offers=self._offers(part))
        rank = (self._life, self._messages[number].post)
        return view(part, turn=self._question.key, number=number, asked=self.asked, rank=rank)

    def _offers(self, part: Part) -> tuple[Offer, ...]:
        """As far as Slack takes buttons."""
        return part.offers if self._signs.buttons and not self._is_bare else ()

    def _learn_of_buttons(self) -> None:
        """What stood only without them stands: no other reply has to try."""
        if self._is_bare and not self._is_plain and self._signs.buttons:
            event(log, "buttons.refused", level=logging.WARNING)
            self._signs.buttons = False

    async def _post(self, part: Part, number: int) -> None:
        self._posts += 1
        posted = _Message(posted=part, post=self._posts)
        self._messages.append(posted)
        self._sign.expect_post()
        try:
            posted.ts = await self._chat.post(
                self._question.channel, self._question.thread_ts, self._view(part, number)
            )
        except (RateLimited, SlackRefused):
            self._messages.remove(posted)  # certainly not there
            self._sign.expect_post(is_expected=False)
            raise
        self._sign.take_down(is_posted=True)

    async def _edit_beside(self, ts: str, message: dict[str, Any]) -> None:
        """A last edit that shows something else than the draft."""
        since = asyncio.get_running_loop().time()
        claim = Claim(self._question.channel, must=True, can_but_wait=True, since=since)
        self._turnstile.stay(claim)
        try:
            async with self._turnstile.passing(claim, "chat.update"):
                await self._chat.update(self._question.channel, ts, message)
        finally:
            self._turnstile.leave(claim)

    async def _update(self, ts: str, message: dict[str, Any]) -> None:
        try:
            await self._chat.update(self._question.channel, ts, message)
        except SlackRefused as error:
            if error.code in GONE:
                raise ReplyGone(str(error)) from error
            raise

    async def _find_lost_post(self) -> None:
        """After a post whose answer was lost: it may stand there, and must not stand twice."""
        if not self._messages or self._messages[-1].ts:
            return
        number = len(self._messages) - 1
        strays, found = await self._strays(), self._messages[-1]
        wanted = UNMARKED if found.stream else number
        ts = next((ts for ts, part in strays.items() if part == wanted), None)
        if ts is None:
            self._messages.pop()
            self._may_stream = self._may_stream and found.stream is None
            self._expect_strays()
        else:
            found.ts, found.part = ts, found.posted
            self._sign.take_down(is_posted=True)
        self._note_messages()

    def _expect_strays(self) -> None:
        """A post of which nobody heard may come to stand there yet."""
        self.strays_land_until = asyncio.get_running_loop().time() + LANDS_WITHIN

    async def _give_up_strays(self) -> None:
        """Also those that land late; nobody waits for that but the next question here. The reply
        in place of this one is not to wait: it gives up what lands while it stands there."""
        if self.strays_land_until is not None and await self._have_landed(self.strays_land_until):
            strays = await until_it_lands(self._strays)
            self._given_up += strays
            self._loose_streams |= {ts for ts, part in strays.items() if part == UNMARKED}
            self.strays_land_until = None

    async def _have_landed(self, at: float) -> bool:
        """Waits until then; False: it gave way before."""
        while (wait := at - asyncio.get_running_loop().time()) > 0:
            if self._gives_way():
                return False
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()
        return True

    async def _strays(self) -> dict[str, int]:
        """What stands there of this turn and is not known: by ``ts``, as which part."""
        known = {message.ts for message in self._messages} | {*self._given_up}
        try:
            standing = await self._chat.find_reply(
                self._question.channel,
                self._question.thread_ts,
                self._question.key,
                with_streams=self._streams.may_stand,
            )
        except SlackRefused as error:  # better twice than never
            event(log, "reply.unfindable", level=logging.WARNING, code=error.code)
            return {}
        return {ts: part for ts, part in standing.items() if ts not in known}

    def _note_messages(self) -> None:
        """One that stands there, or may, needs another edit until it shows a final part."""
        shown = (message.part for message in self._messages if message.stream is None)
        self._claim.has_open_message = any(part is None or not part.is_final for part in shown)
        self._claim.has_open_stream = any(message.stream for message in self._messages)
        standing = [message.ts for message in self._messages if message.ts]
        if standing != self._told:
            self._told = standing
            self._noting = self._on_messages(standing)

    async def _delete_surplus(self, draft: Draft) -> None:
        """What stands there and is not of the answer: a second attempt may have come out
        shorter than the first, what could not be edited was posted anew, and the last post of a
        process that died may have landed after all."""
        await until_it_lands(self._find_lost_post)
        while len(self._messages) > len(draft.parts()):
            self._give_up(self._messages.pop())
        await self._give_up_strays()
        await self._delete_given_up()

    async def _delete_given_up(self) -> None:
        for ts in self._given_up:
            await until_it_lands(partial(self._delete, ts))

    async def _delete(self, ts: str) -> None:
        if ts in self._loose_streams:
            await self._stop_loose(ts)
        try:
            await self._chat.delete(self._question.channel, ts)
        except SlackRefused as error:
            if error.code in GONE:  # by somebody, or by a call whose answer was lost
                return
            event(log, "delete.refused", level=logging.WARNING, code=error.code)
            with suppress(SlackRefused):
                await self._edit_beside(ts, views.notice_message(views.SUPERSEDED))
