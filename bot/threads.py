"""A thread as it is read for an answer: what people said in it, and what it is about elsewhere."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.errors import AskerUnknown, SlackRefused
from bot.history import moment
from bot.inquiry import Inquiry, inquiry_in, spoken
from bot.logs import event
from bot.messages import Identity

log = logging.getLogger(__name__)

Thread = Sequence[Mapping[str, Any]]  # its messages as Slack gives them
WhyNot = Callable[[str, str, str], Awaitable[str | None]]


class Chat(Protocol):
    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """All messages of a thread as Slack gives them, oldest first, with their metadata.

        May raise `Transient` or `SlackRefused`.
        """


class Threads:
    """Reads threads. Every call may raise `Transient` or `SlackRefused`."""

    def __init__(self, bot: Identity, chat: Chat, why_not_there: WhyNot) -> None:
        """``why_not_there`` tells, of team, person and channel, why nothing that is said there may
        be asked about."""
        self._bot = bot
        self._chat = chat
        self._why_not_there = why_not_there

    async def read(self, channel: str, thread_ts: str) -> Thread:
        """All its messages, oldest first. Where its first one is a question about a message
        elsewhere, that message's thread comes before, as it was when the question was asked."""
        thread = await self._chat.thread(channel, thread_ts)
        root: Mapping[str, Any] = thread[0] if thread else {}
        inquiry = inquiry_in(root, self._bot)
        if inquiry is None or inquiry.about.thread == (channel, thread_ts):
            return spoken(thread, self._bot)
        earlier = await self._earlier(inquiry, until=str(root.get("ts")))
        said = spoken(thread, self._bot, is_alone=earlier is None)
        return [*(earlier or ()), *said]

    async def _earlier(self, inquiry: Inquiry, *, until: str) -> Thread | None:
        """What the person could read there when they asked, and nothing that was written or
        reworded later: they may not be in that channel any more. None where the bot cannot read
        it, or they may ask there no more."""
        place = inquiry.about
        if inquiry.is_alone:
            return None
        try:
            if await self._why_not_there(self._bot.team, inquiry.asker, place.channel):
                event(log, "inquiry.closed", channel=place.channel, user=inquiry.asker)
                return None
            thread = await self._chat.thread(*place.thread)
        except (SlackRefused, AskerUnknown) as error:
            event(log, "inquiry.alone", channel=place.channel, reason=error)
            return None
        return spoken([each for each in thread if _written(each) < moment(until)], self._bot)


def _written(message: Mapping[str, Any]) -> tuple[int, int]:
    """When it got its present words."""
    edited = message.get("edited")
    at = edited.get("ts") if isinstance(edited, Mapping) else message.get("ts")
    return moment(str(at))
