"""Questions about messages: the form is opened, what is entered becomes a message of the bot's,
and that a question like any other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol

from bot import inquiry, inquiry_views
from bot.blocks import Json, escape
from bot.errors import BotError, SlackRefused, Transient, Unavailable
from bot.gate import text_of
from bot.inquiry import Place, Subject
from bot.inquiry_views import Wish
from bot.interactions import Shortcut, Submission, Unfit
from bot.logs import event
from bot.messages import Identity, Question
from bot.mrkdwn import mentioned
from bot.seal import Seal
from bot.threads import WhyNot

log = logging.getLogger(__name__)

# Seconds for looking at the message before the form is opened; Slack gives 3 for both.
LOOKED_WITHIN = 1.2

# Forms that were sent, and of which Slack may tell again.
REMEMBERED_FORMS = 1_000

# In place of the channel of somebody's direct messages, before it is known.
DIRECT = "D"


class Chat(Protocol):
    """But for `known_name` every call may raise `Transient` or `SlackRefused`."""

    async def look_at(self, channel: str, ts: str) -> None:
        """Returns where the bot can read that message."""

    async def permalink(self, channel: str, ts: str) -> str: ...

    async def post(self, channel: str, thread_ts: str, message: dict[str, Any]) -> str:
        """Returns the message's ``ts``."""

    def known_name(self, user: str) -> str | None:
        """The display name, if it was looked up already."""


class Surfaces(Protocol):
    """Every call may raise `Transient` or `SlackRefused`."""

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str: ...

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        """The channel of the direct messages, and the message's ``ts``."""


class InquiryDesk:
    """What a form carries is believed because it is sealed for the person whom Slack names: they
    opened it from that message, so they could see it."""

    def __init__(
        self,
        bot: Identity,
        *,
        chat: Chat,
        surfaces: Surfaces,
        seal: Seal,
        accept: Callable[[Question], Awaitable[bool]],
        why_not: WhyNot,
        why_not_now: WhyNot,
    ) -> None:
        """Both tell of team, person and channel: ``why_not`` why nothing there may be asked about,
        ``why_not_now`` why nothing is to be answered there at this moment."""
        self._bot = bot
        self._chat = chat
        self._surfaces = surfaces
        self._seal = seal
        self._accept = accept
        self._why_not = why_not
        self._why_not_now = why_not_now
        self._sent: dict[str, None] = {}  # views of forms, oldest first

    async def open(self, shortcut: Shortcut) -> None:
        """:raises BotError: the form could not be shown."""
        place = inquiry.place_of(shortcut)
        if place is None:
            return
        if reason := await self._why_not(self._bot.team, shortcut.user, place.channel):
            refusal = inquiry_views.notice_modal(reason)
            await self._surfaces.open_modal(shortcut.trigger_id, refusal)
            return
        link, is_alone = await self._look_at(place)
        quote = inquiry.quote_of(shortcut.message, self._bot, self._names(shortcut))
        subject = Subject(place, quote, link, is_alone=is_alone)
        about = self._seal.close(inquiry_views.in_text(subject), shortcut.user)
        view = inquiry_views.ask_modal(subject, about)
        await self._surfaces.open_modal(shortcut.trigger_id, view)

    def submit(self, submission: Submission) -> Coroutine[Any, Any, Json | None]:
        """:raises Unfit: saying what is missing or wrong."""
        text = self._seal.open(submission.about, submission.user)
        subject = inquiry_views.subject_from(text) if text else None
        if subject is None:
            event(log, "inquiry.forged", level=logging.WARNING, user=submission.user)
            raise Unfit(inquiry_views.QUESTION, inquiry_views.NOT_OURS)
        wish = inquiry_views.wish_from(submission.entered, subject)
        return self._ask(submission, wish, subject)

    async def _ask(self, form: Submission, wish: Wish, subject: Subject) -> Json | None:
        """Returns when the question is written down: Slack tells of it but once."""
        if self._is_sent_again(form):
            return None
        user = form.user
        if reason := await self._refusal(user, wish, subject.place.channel):
            return inquiry_views.notice_modal(reason)
        if wish.where == "thread" and await self._is_gone(subject.place):
            return inquiry_views.notice_modal(inquiry_views.GONE)
        try:
            question = await self._posted(user, wish, subject)
        except SlackRefused as error:
            event(log, "inquiry.refused", level=logging.WARNING, code=error.code)
            return inquiry_views.notice_modal(inquiry_views.NOT_POSTED)
        except Unavailable:
            return inquiry_views.notice_modal(inquiry_views.MAY_BE_POSTED)
        try:
            await self._accept(question)
        except Transient:
            return inquiry_views.notice_modal(inquiry_views.MAY_BE_LATE)
        if wish.where == "thread":
            return None
        link = await self._link(question.channel, question.ts)
        return inquiry_views.notice_modal(inquiry_views.IN_DIRECT_MESSAGES, link)

    def _is_sent_again(self, form: Submission) -> bool:
        """As by a second press. Every answer to the first takes the place of its fields."""
        if form.view_id in self._sent:
            return True
        self._sent[form.view_id] = None
        if len(self._sent) > REMEMBERED_FORMS:
            del self._sent[next(iter(self._sent))]
        return False

    async def _refusal(self, user: str, wish: Wish, channel: str) -> str | None:
        """Why there will be no answer: known before anything is posted in the person's place."""
        answered_in = channel if wish.where == "thread" else DIRECT
        return await self._why_not(self._bot.team, user, channel) or await self._why_not_now(
            self._bot.team, user, answered_in
        )

    async def _posted(self, user: str, wish: Wish, subject: Subject) -> Question:
        if wish.where == "thread":
            channel, thread_ts = subject.place.thread
            message = inquiry.public_message(user, wish.words, subject)
            ts = await self._chat.post(channel, thread_ts, message)
        else:
            message = inquiry.private_message(user, wish.words, subject)
            channel, ts = await self._surfaces.direct(user, message)
            thread_ts = ts
        words = escape(wish.words)
        return Question(self._bot.team, channel, ts, thread_ts, user, words, is_posted=True)

    async def _look_at(self, place: Place) -> tuple[str, bool]:
        """Its link, where it is to be had in time; and whether the bot cannot read the thread."""
        looking = asyncio.create_task(self._is_closed(place))
        linking = asyncio.create_task(self._link(place.channel, place.ts))
        await asyncio.wait({looking, linking}, timeout=LOOKED_WITHIN)
        found = (linking.result() if linking.done() else "", looking.done() and looking.result())
        for task in (looking, linking):
            task.cancel()
        return found

    async def _is_gone(self, place: Place) -> bool:
        """Whether it was deleted since. Its link tells, of which Slack gives far more a minute than
        readings; Slack that is slow is not waited for."""
        try:
            await asyncio.wait_for(self._chat.permalink(place.channel, place.ts), LOOKED_WITHIN)
        except SlackRefused as error:
            return error.code == "message_not_found"
        except (Transient, TimeoutError):
            return False
        return False

    async def _is_closed(self, place: Place) -> bool:
        try:
            await self._chat.look_at(place.channel, place.ts)
        except SlackRefused as error:
            event(log, "inquiry.alone", channel=place.channel, code=error.code)
            return True
        except Transient:  # it will be read when it is answered
            return False
        return False

    async def _link(self, channel: str, ts: str) -> str:
        try:
            return await self._chat.permalink(channel, ts)
        except BotError:  # a courtesy
            return ""

    def _names(self, shortcut: Shortcut) -> dict[str, str]:
        return dict(_known(mentioned(text_of(shortcut.message)), self._chat))


def _known(users: Iterable[str], chat: Chat) -> Iterable[tuple[str, str]]:
    for user in users:
        if name := chat.known_name(user):
            yield user, name
