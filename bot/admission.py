"""Whether a question may be answered: by whom it is, how fast they ask, what is used up."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Literal, NoReturn, Protocol

from bot import budgets
from bot.budgets import Use
from bot.channel_settings import ChannelSettings, Offer
from bot.errands import Errands
from bot.errors import BotError, Refused, RefusedPrivately
from bot.logs import event
from bot.messages import Turn
from bot.people import People, Person
from bot.prices import Prices
from bot.retries import read_again, until_recorded

log = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)

NO_GUESTS = "I do not answer guests here. An admin of this workspace can ask whoever runs me."
NO_STRANGERS = (
    "I answer only people of the workspace that I belong to. Please ask somebody from there."
)
NOT_YOU = "I answer only some people here, and you are not among them. An admin can tell you more."
NOT_HERE = "I do not answer in this channel. You can ask me in a direct message."
SWITCHED_OFF = (
    "I am switched off in this channel. Its settings (`/llm settings`) are for admins and whoever "
    "made the channel; you can ask me in a direct message."
)


Asking = Literal["question", "press", "edit"]

_LEFT: Mapping[Asking, str] = {
    "question": "left this one unanswered. Please ask it again",
    "press": "did nothing now: to ask for an answer again counts as well. Please press it again",
    "edit": "stay with your earlier words: to change them counts as well. Please change them again",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows."""

    guests: bool = False
    strangers: bool = False  # people of other organisations, in channels that both share
    per_minute: int | None = None  # questions of one person; None: any number
    channels: frozenset[str] = frozenset()  # and no others; empty: all
    users: frozenset[str] = frozenset()  # the same for people

    def why_not(self, user: str, channel: str) -> str | None:
        """By whom and where it is asked alone. Direct messages are no channels."""
        if self.users and user not in self.users:
            return NOT_YOU
        is_direct = channel.startswith("D")
        return None if is_direct or not self.channels or channel in self.channels else NOT_HERE

    def welcome(self, user: str, person: Person) -> bool:
        """Whether somebody who is that may ask at all."""
        is_listed = not self.users or user in self.users
        is_barred = (person.is_guest and not self.guests) or (
            person.is_external and not self.strangers
        )
        return is_listed and not is_barred


class Asked(Protocol):
    async def asked_before(self, turn: Turn, *, within: timedelta, most: int) -> list[datetime]:
        """When the person asked just before this question, the newest first."""

    async def asked_lately(
        self, team: str, user: str, *, since: datetime, most: int
    ) -> list[datetime]:
        """When somebody asked since then, the newest first."""


class Budgets(Protocol):
    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]:
        """The limits that hold for a question, and how much of each was used."""

    async def first_to_tell(self, team: str, use: Use, *, now: datetime) -> bool:
        """Whether nobody was told yet that little is left; of several that ask, one is told so."""


class Channels(Protocol):
    async def of(self, team: str, channel: str) -> ChannelSettings:
        """What is set for a channel now."""


class Teller(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        """Says something that only one person sees."""

    async def tell(self, user: str, sentence: str) -> None:
        """Says it in the direct messages with that person."""

    async def admins(self) -> list[str]:
        """The workspace's admins and owners."""


class Admission:
    """Asked for each question, before the model is.

    What was used is read from the database each time, and an answer that runs is in it from its
    first token on, and whole when it ends. So once a limit is reached, no answer begins, in
    whichever process: beyond the limit comes only what ran already at that moment.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        people: People,
        asked: Asked,
        budgets: Budgets,
        channels: Channels,
        offer: Offer,
        prices: Prices,
        teller: Teller,
        errands: Errands,
    ) -> None:
        self._rules = rules
        self._people = people
        self._asked = asked
        self._budgets = budgets
        self._channels = channels
        self._offer = offer
        self._prices = prices
        self._teller = teller
        self._errands = errands

    async def admit(self, turn: Turn) -> None:
        """Returns where the question may be answered.

        :raises RefusedPrivately: it may not, and the person has been told.
        :raises Refused: it may not, which the thread is to say.
        :raises BotError: that cannot be known.
        """
        settings = await self._settings(turn.key.team, turn.key.channel)
        if reason := await self._unwelcome(turn, settings):
            # Who did not speak to the bot need not hear from it that it does not answer.
            await self._refuse(turn, reason, is_told=not turn.is_follow_up)
        if reason := await self._too_fast(turn):
            await self._refuse(turn, reason)
        uses = await self._check_budgets(turn)
        await self._check_price(turn, settings, uses)

    async def why_not_there(self, team: str, user: str, channel: str) -> str | None:
        """Why that person may not ask about what is said in a channel, wherever it is answered."""
        settings = await self._settings(team, channel)
        return self._unwelcome_there(user, channel, settings) or await self._stranger(user)

    async def why_not_now(self, team: str, user: str, channel: str) -> str | None:
        """What would be said to a question of that person, answered in that channel, if it came
        now: whether they ask too fast, or a limit is reached. Nothing is counted by it."""
        now = datetime.now(UTC)
        if most := self._rules.per_minute:
            lately = await until_recorded(
                lambda: self._asked.asked_lately(team, user, since=now - MINUTE, most=most)
            )
            if refusal := _too_often(lately, most, now):
                return refusal
        return await self._used_up(team, channel, user, now)

    async def why_not_anew(self, turn: Turn) -> str | None:
        """What would be said if that turn were asked for again now, but for how often that is."""
        key = turn.key
        reason = await self.why_not_there(key.team, turn.user, key.channel)
        return reason or await self._used_up(key.team, key.channel, turn.user, datetime.now(UTC))

    async def _used_up(self, team: str, channel: str, user: str, now: datetime) -> str | None:
        over = budgets.spent(await self._uses(team, channel, user, now))
        return budgets.refusal(over, now) if over else None

    async def _uses(self, team: str, channel: str, user: str, now: datetime) -> list[Use]:
        return await until_recorded(lambda: self._budgets.uses(team, channel, user, now=now))

    async def _settings(self, team: str, channel: str) -> ChannelSettings:
        """As they are now, not as they were when the question came."""
        if channel.startswith("D"):
            return ChannelSettings()
        return await until_recorded(lambda: self._channels.of(team, channel))

    async def _refuse(self, turn: Turn, reason: str, *, is_told: bool = True) -> NoReturn:
        event(log, "question.refused", channel=turn.key.channel, ts=turn.key.ts, user=turn.user)
        if is_told:
            await self._whisper(turn, reason)
        raise RefusedPrivately(reason)

    async def _unwelcome(self, turn: Turn, settings: ChannelSettings) -> str | None:
        reason = self._unwelcome_there(turn.user, turn.key.channel, settings)
        return reason or await self._stranger(turn.user)

    def _unwelcome_there(self, user: str, channel: str, settings: ChannelSettings) -> str | None:
        if reason := self._rules.why_not(user, channel):
            return reason
        return None if settings.is_allowed else SWITCHED_OFF

    async def _stranger(self, user: str) -> str | None:
        if self._rules.guests and self._rules.strangers:
            return None
        try:
            person = await read_again(lambda: self._people.who(user), lambda *_: None)
        except BotError as error:
            event(log, "asker.unknown", level=logging.WARNING, user=user, reason=error)
            raise
        if person.is_external and not self._rules.strangers:
            return NO_STRANGERS
        if person.is_guest and not self._rules.guests:
            return NO_GUESTS
        return None

    async def _too_fast(self, turn: Turn) -> str | None:
        """Refused, not delayed: the questions of a thread are answered in order, so one that
        waits would hold up those of others, and would be paid for when nobody needs it any more.
        """
        most = self._rules.per_minute
        if most is None or turn.asked > 1:  # then it was counted when it was asked for
            return None
        before = await until_recorded(
            lambda: self._asked.asked_before(turn, within=MINUTE, most=most)
        )
        return _too_often(before, most, datetime.now(UTC))

    async def _check_budgets(self, turn: Turn) -> list[Use]:
        now, key = datetime.now(UTC), turn.key
        uses = await self._uses(key.team, key.channel, turn.user, now)
        for use in uses:
            if is_to_be_told(use):
                self._errands.run(self._warn(turn, use, now))
        if over := budgets.spent(uses):
            scope, sentence = over.limit.subject.scope, budgets.refusal(over, now)
            event(log, "budget.spent", scope=scope, who=over.who, channel=key.channel, ts=key.ts)
            is_private = scope == "person" and not key.channel.startswith("D")
            await self._say_no(turn, sentence, is_private=is_private)  # nobody else's business
        return uses

    async def _check_price(self, turn: Turn, settings: ChannelSettings, uses: list[Use]) -> None:
        """A model that a channel has chosen is not to evade a budget in dollars.

        Choosing it is refused, and so is the budget where it is chosen; but prices may change, and
        so may limits that stood in the way of others.
        """
        model = self._offer.model(settings)
        is_counted = any(use.limit.unit == "dollars" and use.limit.amount for use in uses)
        if settings.model == model and is_counted and self._prices.of(model) is None:
            channel, ts = turn.key.channel, turn.key.ts
            event(log, "model.unpriced", level=logging.WARNING, channel=channel, ts=ts, model=model)
            await self._say_no(turn, budgets.no_price(model), is_private=False)

    async def _say_no(self, turn: Turn, sentence: str, *, is_private: bool) -> NoReturn:
        """In the thread; to the person alone where they did not mention the bot, or where an answer
        to what they asked before may stand there."""
        if is_private or turn.is_follow_up or turn.asked > 1:
            await self._whisper(turn, sentence)
            raise RefusedPrivately(sentence)
        raise Refused(sentence)

    async def _warn(self, turn: Turn, use: Use, now: datetime) -> None:
        """Once for each limit and its day or month, whoever asks in whichever process."""
        first = partial(self._budgets.first_to_tell, turn.key.team, use, now=now)
        if not await until_recorded(first):
            return
        event(log, "budget.near", scope=use.limit.subject.scope, who=use.who, share=use.share)
        sentence = budgets.warning(use, now)
        if use.limit.subject.scope == "workspace":
            await self._tell_admins(sentence)
        else:
            await self._whisper(turn, sentence)

    async def _tell_admins(self, sentence: str) -> None:
        with suppress(BotError):
            admins = self._people.named or await self._teller.admins()
            await asyncio.gather(*(self._tell(admin, sentence) for admin in admins))

    async def _tell(self, user: str, sentence: str) -> None:
        try:
            await read_again(lambda: self._teller.tell(user, sentence), lambda *_: None)
        except BotError as error:
            event(log, "admin.not_told", level=logging.WARNING, user=user, reason=error)

    async def _whisper(self, turn: Turn, sentence: str) -> None:
        try:
            await read_again(
                lambda: self._teller.whisper(
                    turn.key.channel, turn.private_thread_ts, turn.user, sentence
                ),
                lambda *_: None,
            )
        except BotError as error:
            event(log, "person.not_told", level=logging.WARNING, user=turn.user, reason=error)


def _too_often(asked: Sequence[datetime], most: int, now: datetime) -> str | None:
    """Whether one more is too much after those of the last minute, the newest first."""
    return None if len(asked) < most else too_fast(most, wait=asked[-1] + MINUTE - now)


def too_fast(most: int, *, wait: timedelta, asking: Asking = "question") -> str:
    """For somebody who asks too often, or asks again too often."""
    seconds = ceil(wait.total_seconds())
    when = f"in {seconds} seconds" if seconds > 1 else "now"
    questions = "one question" if most == 1 else f"{most} questions"
    return (
        f"I take {questions} a minute from one person, so that there is room for everybody, and "
        f"{_LEFT[asking]} {when}."
    )


def is_to_be_told(use: Use) -> bool:
    """Admins are told of the workspace's limit also where it was used up at one stroke; others
    read of theirs in the refusal."""
    if use.is_told or use.state == "fine":
        return False
    return use.state == "near" or use.limit.subject.scope == "workspace"
