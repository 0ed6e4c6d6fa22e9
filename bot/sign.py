"""The first sign that an answer is coming, and what it waits for, until words stand there."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Protocol

from bot.errors import BotError, SlackRefused, Unavailable
from bot.logs import broke, event
from bot.messages import Question
from bot.retries import until_it_lands
from bot.standing import REACTION

log = logging.getLogger(__name__)

THINKING = "is thinking..."

# Seconds between two words on how far the answer is, and how many such calls a minute all running
# answers may make: a part of Slack's 600, so that the rest can come and go at once.
PROGRESS = 3.0
PROGRESS_A_MINUTE = 400

# Refusals that concern one thread; any other means that the workspace has no status line.
OF_ONE_THREAD = frozenset(
    {"channel_not_found", "invalid_thread_ts", "is_archived", "not_in_channel", "thread_not_found"}
)

# Seconds. Slack drops a status after two minutes
# (docs.slack.dev/reference/methods/assistant.threads.setStatus).
REFRESH = 90.0


class SignChat(Protocol):
    """What a sign needs of Slack. Every call may raise `Transient` or `SlackRefused`."""

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        """Shows "<the bot's name> <status>" beneath the thread; "" clears it."""

    async def add_reaction(self, channel: str, ts: str, name: str) -> None: ...

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None: ...


@dataclass(slots=True)
class Signs:
    """Which signs and buttons this workspace allows: learned from refusals, shared by replies."""

    status_line: bool = True
    reaction: bool = True
    buttons: bool = True  # beneath answers
    standing: int = 0  # how many replies have one up

    @property
    def pause(self) -> float:
        """Seconds between two status lines of one reply."""
        return min(max(PROGRESS, self.standing * 60 / PROGRESS_A_MINUTE), REFRESH)


class Sign:
    """A status line beneath the thread or, where the workspace refuses that, a reaction."""

    def __init__(self, question: Question, chat: SignChat, signs: Signs) -> None:
        self._question = question
        self._chat = chat
        self._signs = signs
        self._waiting = ""
        self._reading = ""
        self._shown, self._shown_at = "", -inf
        self._news = asyncio.Event()
        self._has_reacted = False
        self._is_refused_here = False  # the status line, in this thread
        self._is_over = False
        self._is_late = False  # Slack may have shown the post before what was put up last
        self._is_post_expected = False
        self._is_posted = False

    @property
    def speaks(self) -> bool:
        """The person reads here what the answer waits for, so no message has to say it."""
        return self._has_status_line and not self._is_over

    @property
    def _has_status_line(self) -> bool:
        return self._signs.status_line and not self._is_refused_here

    def tell(self, waiting: str) -> None:
        """What the answer waits for; "" when it goes on."""
        if waiting != self._waiting:
            self._waiting = waiting
            self._news.set()

    def tell_reading(self, what: str) -> None:
        """Which file is being read; "" when that is over."""
        self._reading = what
        self._news.set()

    def adopt_reaction(self) -> None:
        """One of another process stands on the question: it is this sign's to remove."""
        self._has_reacted = True

    def expect_post(self, *, is_expected: bool = True) -> None:
        """Words are on their way: what is set from now on may come after them, and stay.

        So nobody is told how far the answer is, except where Slack refused the post.
        """
        self._is_post_expected = is_expected

    def take_down(self, *, is_posted: bool) -> None:
        """Words stand in the thread that this process posted, or the answer is over."""
        self._is_posted = self._is_posted or is_posted
        self._is_over = True
        self._news.set()

    async def keep(self, words: Callable[[], int]) -> None:
        """Keeps the sign true until it is taken down. Raises nothing: no answer fails for it.

        ``words`` says how many the answer has so far.
        """
        self._signs.standing += 1
        try:
            with suppress(BotError):
                await self._stand(words)
                await self._remove()
        except Exception as error:
            broke(log, "sign.failed", error)
        finally:
            self._signs.standing -= 1

    async def _stand(self, words: Callable[[], int]) -> None:
        while not self._is_over:
            self._news.clear()
            await self._put_up(self._status(words))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._signs.pause):
                    await self._news.wait()

    def _status(self, words: Callable[[], int]) -> str:
        if self._waiting:
            return f"is waiting: {self._waiting}..."
        if self._reading:
            return f"is reading {self._reading}..."
        if self._is_post_expected:
            return self._shown or THINKING
        count = words()
        return f"is writing, {count} words so far..." if count > 1 else THINKING

    async def _put_up(self, status: str) -> None:
        with suppress(BotError):
            if self._has_status_line:
                await self._set_status(status)
            if not self._has_status_line and self._signs.reaction and not self._has_reacted:
                await self._react()

    async def _set_status(self, status: str) -> None:
        question = self._question
        next_look = _now() + self._signs.pause
        if status == self._shown and next_look <= self._shown_at + REFRESH:
            return
        try:
            await self._chat.set_status(question.channel, question.thread_ts, status)
            self._shown, self._shown_at = status, _now()
        except SlackRefused as error:
            event(log, "status.refused", level=logging.WARNING, code=error.code)
            self._is_refused_here = True
            self._signs.status_line = error.code in OF_ONE_THREAD
        finally:
            self._is_late = self._is_over or self._is_post_expected

    async def _react(self) -> None:
        question = self._question
        try:
            await self._chat.add_reaction(question.channel, question.ts, REACTION)
            self._has_reacted = True
        except Unavailable:
            self._has_reacted = True  # perhaps: only the answer may have been lost
        except SlackRefused as error:
            if error.code == "already_reacted":  # before a restart
                self._has_reacted = True
                return
            event(log, "reaction.refused", level=logging.WARNING, code=error.code)
            self._signs.reaction = error.code != "missing_scope"

    async def _remove(self) -> None:
        """Both signs: a dead process may have put up the one, and this one the other."""
        question = self._question
        if self._has_status_line and (self._is_late or not self._is_posted):
            # Slack clears the status when the reply is posted, but not when it is edited, nor one
            # that comes after.
            with suppress(BotError):
                await self._chat.set_status(question.channel, question.thread_ts, "")
        if self._has_reacted:
            remove = self._chat.remove_reaction
            await until_it_lands(partial(remove, question.channel, question.ts, REACTION))


def _now() -> float:
    return asyncio.get_running_loop().time()
