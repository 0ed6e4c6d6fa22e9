"""Slack's threads: what is said in them, by whom, and what the bot says."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot import views
from bot.errors import AskerUnknown, BotError, SlackRefused
from bot.messages import Identity, Question, TurnKey
from bot.people import Person
from bot.standing import UNMARKED, is_unmarked, part_of
from bot.turnstile import Budget, Shares
from bot.web_api import call, name_of_person
from bot.window import Window

# Calls a minute and workspace, less a margin (docs.slack.dev/apis/web-api/rate-limits).
# The pacer schedules posts and edits; these are what else the bot calls in mass.
BUDGETS: Mapping[str, int] = {
    "conversations.replies": 48,
    "users.info": 96,
    "users.list": 18,
    "reactions.add": 48,
    "reactions.remove": 18,
    "chat.delete": 48,
    "chat.postEphemeral": 96,
    "assistant.threads.setStatus": 580,
}

# The most that Slack gives at once (docs.slack.dev/reference/methods/conversations.replies).
PAGE = 1000

# As many as Slack recommends for users.list, and a minute's worth of calls at its Tier 2.
MEMBERS_PAGE = 200
MEMBER_PAGES = 18

# Slack's words for people who share nothing with the bot but a channel, or no longer that.
INVISIBLE = frozenset({"user_not_found", "user_not_visible"})

REMEMBERED_NAMES = 5_000
LOOKUPS_PER_QUESTION = 40
NAMES_WITHIN = 2.0  # seconds; a name is not worth a longer wait for the answer


class SlackChat:
    """Fits the protocols `bot.writer.Chat` and `bot.reply.ReplyChat`."""

    def __init__(
        self, client: AsyncWebClient, bot: Identity, *, shares: Shares | None = None
    ) -> None:
        self._client = client
        self._bot = bot
        self._budgets = {method: Budget(method, limit, shares) for method, limit in BUDGETS.items()}
        self._names: OrderedDict[str, str] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[None]] = {}

    @property
    def budgets(self) -> dict[str, Window]:
        """What is left of them, by method."""
        return {method: budget.window for method, budget in self._budgets.items()}

    async def close(self) -> None:
        """Ends look-ups under way."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def post(self, channel: str, thread_ts: str | None, message: dict[str, Any]) -> str:
        answer = await self._call(
            "chat.postMessage",
            channel=channel,
            thread_ts=thread_ts,
            unfurl_links=False,
            unfurl_media=False,
            **message,
        )
        return str(answer["ts"])

    async def update(self, channel: str, ts: str, message: dict[str, Any]) -> None:
        # parse: its default here is "client", which would make pings of bare names.
        await self._call("chat.update", channel=channel, ts=ts, parse="none", **message)

    async def start_stream(self, question: Question, text: str) -> str:
        # "Required when streaming to channels" (docs.slack.dev/reference/methods/chat.startStream).
        answer = await self._call(
            "chat.startStream",
            channel=question.channel,
            thread_ts=question.thread_ts,
            recipient_user_id=question.user,
            recipient_team_id=question.team,
            markdown_text=text,
        )
        return str(answer["ts"])

    async def append_stream(self, channel: str, ts: str, text: str) -> None:
        await self._call("chat.appendStream", channel=channel, ts=ts, markdown_text=text)

    async def stop_stream(self, channel: str, ts: str, end: dict[str, Any]) -> None:
        await self._call("chat.stopStream", channel=channel, ts=ts, **end)

    async def delete(self, channel: str, ts: str) -> None:
        await self._call("chat.delete", channel=channel, ts=ts)

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        """Says something that only one person sees; Slack does not keep it."""
        await self._call(
            "chat.postEphemeral",
            channel=channel,
            thread_ts=thread_ts,
            user=user,
            **views.notice_message(sentence),
        )

    async def tell(self, user: str, sentence: str) -> None:
        """Says something in the direct messages with that person."""
        # A person's id is the channel of their direct messages, without a scope to open them
        # (docs.slack.dev/reference/methods/chat.postMessage).
        await self.post(user, None, views.notice_message(sentence))

    async def set_status(self, channel: str, thread_ts: str, status: str) -> None:
        await self._call(
            "assistant.threads.setStatus", channel_id=channel, thread_ts=thread_ts, status=status
        )

    async def add_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("reactions.add", channel=channel, timestamp=ts, name=name)

    async def remove_reaction(self, channel: str, ts: str, name: str) -> None:
        await self._call("reactions.remove", channel=channel, timestamp=ts, name=name)

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        """All pages of a thread, oldest message first, with metadata."""
        return await self._thread(channel, thread_ts)

    async def _thread(
        self, channel: str, thread_ts: str, *, ends: bool = False
    ) -> list[dict[str, Any]]:
        messages: dict[str, dict[str, Any]] = {}  # by ts, as further pages may repeat the root
        cursor = ""
        while True:
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            answer = await self._call(
                "conversations.replies",
                ends=ends,
                channel=channel,
                ts=thread_ts,
                limit=PAGE,
                include_all_metadata=True,
                **more,
            )
            known = len(messages)
            messages |= {str(message.get("ts")): message for message in answer["messages"]}
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor or len(messages) == known:  # the latter would go on for ever
                return list(messages.values())

    async def look_at(self, channel: str, ts: str) -> None:
        """Returns where the bot can read that message."""
        await self._call("conversations.replies", channel=channel, ts=ts, limit=1)

    async def permalink(self, channel: str, ts: str) -> str:
        answer = await self._call("chat.getPermalink", channel=channel, message_ts=ts)
        return str(answer.get("permalink") or "")

    async def find_reply(
        self, channel: str, thread_ts: str, turn: TurnKey, *, with_streams: bool = False
    ) -> dict[str, int]:
        """All messages of that turn's reply that stand in the thread: by ``ts``, which part."""
        thread = await self._thread(channel, thread_ts, ends=True)
        found: dict[str, int] = {}
        for message in thread:
            part = part_of(message, turn, self._bot)
            if part is None and with_streams and is_unmarked(message, turn, self._bot):
                part = UNMARKED
            if part is not None:
                found[str(message.get("ts"))] = part
        return found

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        """The display names of those whose name can be had; looked up once, then remembered."""
        wanted = set(users)
        unknown = sorted(user for user in wanted if user not in self._names)
        lookups = [self._lookup(user) for user in unknown[:LOOKUPS_PER_QUESTION]]
        if lookups:  # those that take longer go on, for the next question
            await asyncio.wait(lookups, timeout=NAMES_WITHIN)
        return {user: self._names[user] for user in wanted if user in self._names}

    def known_name(self, user: str) -> str | None:
        return self._names.get(user)

    def _lookup(self, user: str) -> asyncio.Task[None]:
        """The look-up under way, or a new one."""
        if user not in self._lookups:
            lookup = asyncio.create_task(self._look_up(user))
            self._lookups[user] = lookup
            lookup.add_done_callback(lambda _: self._lookups.pop(user))
        return self._lookups[user]

    async def _look_up(self, user: str) -> None:
        try:
            answer = await self._call("users.info", user=user)
        except BotError:  # an id in its place does no harm
            return
        self._remember_name(user, answer)

    def _remember_name(self, user: str, answer: Mapping[str, Any]) -> None:
        if name := name_of_person(answer):
            self._names[user] = name
            if len(self._names) > REMEMBERED_NAMES:
                self._names.popitem(last=False)

    async def person(self, user: str) -> Person:
        """Fits `bot.people.Directory`."""
        try:
            answer = await self._call("users.info", user=user)
        except SlackRefused as error:
            if error.code in INVISIBLE:
                return Person(user, is_external=True)
            raise AskerUnknown(str(error)) from error
        self._remember_name(user, answer)
        return _person(user, answer.get("user") or {}, self._bot)

    async def admins(self) -> list[str]:
        """The workspace's admins and owners, as far as they are among its first members."""
        return [person.user for person in await self.members() if person.is_admin]

    async def members(self) -> list[Person]:
        """The workspace's first members, in as few calls as Slack recommends; with their names."""
        found: list[Person] = []
        cursor = ""
        for _ in range(MEMBER_PAGES):
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            answer = await self._call("users.list", limit=MEMBERS_PAGE, **more)
            for member in answer.get("members") or []:
                if not (member.get("deleted") or member.get("is_bot")):
                    user = str(member.get("id"))
                    self._remember_name(user, {"user": member})
                    found.append(_person(user, member, self._bot))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found

    async def _call(
        self, method: str, *, ends: bool = False, **arguments: Any
    ) -> Mapping[str, Any]:
        """See `bot.web_api.call`. Where the method's budget is spent, it waits its turn."""
        budget = self._budgets.get(method)
        if budget is None:
            return await call(self._client, method, arguments)
        async with budget.turn(ends=ends):
            return await call(self._client, method, arguments)


def _person(user: str, found: Mapping[str, Any], bot: Identity) -> Person:
    """From the user object (docs.slack.dev/reference/objects/user-object).

    Somebody of another organisation may be an admin there, which is nothing here.
    """
    enterprise = (found.get("enterprise_user") or {}).get("enterprise_id")
    is_ours = found.get("team_id") == bot.team or bool(
        bot.enterprise and enterprise == bot.enterprise
    )
    is_external = not is_ours or found.get("is_stranger") is True
    is_guest = bool(found.get("is_restricted") or found.get("is_ultra_restricted"))
    return Person(
        user,
        is_admin=bool(found.get("is_admin") or found.get("is_owner"))
        and not (is_external or is_guest),
        is_guest=is_guest and not is_external,
        is_external=is_external,
    )
