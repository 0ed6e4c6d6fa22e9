"""Tests a set-up and says in words what is wrong: ``python -m bot check``."""

import asyncio
import itertools
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import SQLAlchemyError

from bot import history, views, web_api
from bot.draft import UNFINISHED, WHOLE, Part
from bot.errors import BotError, CutAtTokenLimit, SlackRefused, Transient, Unavailable
from bot.features import DISPENSABLE, SCOPES, switched_off
from bot.files import Unreadable
from bot.follow_ups import CHANNEL_EVENTS
from bot.messages import ChatMessage, Delta, Identity, Question, TurnKey, Usage
from bot.openai_model import OpenAIModel, names_a_seeing_model
from bot.pings import neutralise
from bot.sandbox import Sandbox
from bot.serve import models_of
from bot.settings import Settings
from bot.slack import SlackChat
from bot.store import is_postgres, opened, sqlite_path

Verdict = Literal["ok", "WRONG", "note"]

# Variables that platforms set whose disks do not outlive a restart.
THROW_AWAY_DISKS: Mapping[str, str] = {
    "DYNO": "Heroku",
    "K_SERVICE": "Cloud Run",
    "RENDER": "Render",
    "RAILWAY_ENVIRONMENT": "Railway",
    "FLY_APP_NAME": "Fly.io",
    "CONTAINER_APP_NAME": "Azure Container Apps",
}

# A GIF of one dot.
DOT = b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")

# Seconds in which Slack unfurls a link, if it does.
UNFURLS_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    words: str

    def __str__(self) -> str:
        return f"{self.verdict:<5}  {self.words}"


Findings = AsyncIterator[Finding]


async def check(settings: Settings, env: Mapping[str, str], *, live: str | None) -> Findings:
    """Everything that can be known without asking a person; with ``live``, in a channel too."""
    mode = "Socket Mode" if settings.uses_socket_mode else f"HTTP on port {settings.port}"
    yield Finding("ok", f"Settings: complete; events come over {mode}")
    async with web_api.connected(
        settings.slack_bot_token, api_url=settings.slack_api_url
    ) as client:
        bot, findings = await _check_bot_token(client)
        for finding in findings:
            yield finding
        if settings.slack_app_token:
            yield await _check_app_token(client, settings.slack_app_token)
        async for finding in _check_models(settings):
            yield finding
        yield await _check_files(settings)
        async for finding in _check_database(settings, env):
            yield finding
        if live and bot:
            async for finding in _check_live(client, bot, live):
                yield finding


async def _check_bot_token(client: AsyncWebClient) -> tuple[Identity | None, list[Finding]]:
    try:
        bot, granted = await web_api.identify_with_scopes(client)
    except BotError as error:
        return None, [Finding("WRONG", f"SLACK_BOT_TOKEN: {_in_words(error)}")]
    missing = [
        Finding(
            "note" if scope in DISPENSABLE else "WRONG",
            f"Scope {scope} is missing, so the bot cannot {SCOPES[scope]}. Add it on the app's "
            "OAuth & Permissions page and reinstall the app.",
        )
        for scope in sorted(set(SCOPES) - granted)
    ]
    without = [Finding("note", sentence) for sentence in switched_off(granted)]
    token = Finding("ok", f"SLACK_BOT_TOKEN: @{bot.name} in workspace {bot.team}")
    granted_all = Finding("ok", f"Scopes: all {len(SCOPES)} that it needs are granted")
    return bot, [token, *(missing or [granted_all]), *without]


async def _check_app_token(client: AsyncWebClient, app_token: str) -> Finding:
    try:
        await web_api.socket_url(client, app_token)
    except BotError as error:
        return Finding(
            "WRONG",
            f"SLACK_APP_TOKEN: {_in_words(error)}"
            + (
                " It must have the scope connections:write, and Socket Mode must be on."
                if isinstance(error, SlackRefused)
                else ""
            ),
        )
    return Finding("ok", "SLACK_APP_TOKEN: Slack gives Socket Mode connections")


async def _check_models(settings: Settings) -> Findings:
    """A tiny call to each that may answer."""
    models = models_of(replace(settings, openai_max_tokens=32))
    try:
        for name in settings.models:
            async for finding in _check_model(models.named(name), settings):
                yield finding
    finally:
        await models.close()


async def _check_model(model: OpenAIModel, settings: Settings) -> Findings:
    """The key, the name, streaming, and whether usage is reported."""
    began = time.monotonic()
    pieces: list[Delta | Usage] = []
    try:
        with suppress(CutAtTokenLimit):
            async for piece in model.stream([ChatMessage("user", "Say: ready")]):
                pieces.append(piece)
    except BotError as error:
        address = _address(settings.openai_base_url)
        yield Finding("WRONG", f"Model {model.name} at {address}: {_in_words(error)}")
        return
    seconds = time.monotonic() - began
    yield Finding("ok", f"Model {model.name}: streams; it answered within {seconds:.1f} s")
    reported = [piece for piece in pieces if isinstance(piece, Usage)]
    if reported and reported[-1].input_tokens is not None:
        used = reported[-1]
        yield Finding(
            "ok", f"Usage: reported ({used.input_tokens} tokens in, {used.output_tokens} out)"
        )
    else:
        yield Finding("note", "Usage: this server reports none, so tokens are recorded as unknown")


async def _check_files(settings: Settings) -> Finding:
    """That the process which opens them starts, and what becomes of images."""
    try:
        await Sandbox().parse("image", DOT)
    except (Unreadable, OSError) as error:
        reason = f"the process that opens them does not work here ({error})"
        return Finding("WRONG", f"Files: none but plain text can be read: {reason}")
    named = names_a_seeing_model(settings.openai_model)
    sees = named if settings.openai_vision is None else settings.openai_vision
    images = "go to the model" if sees else "do not go to the model, see OPENAI_VISION"
    return Finding("ok", f"Files: can be opened; images {images}")


async def _check_database(settings: Settings, env: Mapping[str, str]) -> Findings:
    is_shared = is_postgres(settings.database_url)
    parts = urlsplit(settings.database_url)
    path = f"{parts.hostname}{parts.path}" if is_shared else sqlite_path(settings.database_url)
    try:
        async with opened(settings.database_url) as store:
            answers = (await store.ledger.whole()).answers
            follow_ups = await store.channels.with_follow_ups()
    except (SQLAlchemyError, Unavailable) as error:
        reason = getattr(error, "orig", None) or error
        yield Finding("WRONG", f"DATABASE_URL: {path} cannot be used: {reason}")
        return
    yield Finding("ok", f"Database: {path} holds {answers:,} answers")
    if follow_ups:
        where = "1 channel is" if follow_ups == 1 else f"{follow_ups:,} channels are"
        yield Finding(
            "note",
            f"Follow-ups: {where} answered without a mention, which needs the events "
            f"{', '.join(CHANNEL_EVENTS)}. Slack does not tell which ones the app is sent: look at "
            "its Event Subscriptions page.",
        )
    platform = next((name for mark, name in THROW_AWAY_DISKS.items() if mark in env), None)
    if platform and not is_shared:
        yield Finding(
            "note",
            f"Database: a SQLite database on {platform} is lost at each restart, and with it the "
            "usage log and the memory of what was answered. Put the file on a disk that stays.",
        )


# -- in a real workspace


async def _check_live(client: AsyncWebClient, bot: Identity, channel: str) -> Findings:
    """What no local test can prove. Whatever it posts, it deletes."""
    trial = _Trial(SlackChat(client, bot), bot, channel)
    try:
        await trial.begin()
    except BotError as error:
        yield Finding("WRONG", f"Live: cannot post in {channel}: {_in_words(error)}")
        if isinstance(error, Unavailable):
            yield Finding("note", f"Live: a trial message may be left in {channel}; please look")
        return
    steps: list[tuple[str, Callable[[], Awaitable[Finding]]]] = [
        ("status line", trial.status_line),
        ("markdown block", trial.markdown_block),
        ("metadata", trial.metadata),
        ("buttons", trial.buttons),
        ("pings", trial.pings),
        ("unfurls", trial.unfurls),
        ("native stream", trial.native_stream),
    ]
    try:
        for name, step in steps:
            try:
                yield await step()
            except BotError as error:
                yield Finding("WRONG", f"Live, {name}: {_in_words(error)}")
    finally:
        left = await trial.clean_up()
    if left:
        yield Finding("note", f"Live: {left} trial messages may be left in {channel}; please look")
    else:
        yield Finding("ok", "Live: the trial messages are deleted")


class _Trial:
    """A thread of the bot's own in a real channel."""

    MARKDOWN = (
        "# Trial\n\nSome **bold** text and a list:\n\n- one\n- two\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```"
    )

    GROWN = "A stream that begins, that grows"

    def __init__(self, chat: SlackChat, bot: Identity, channel: str) -> None:
        self._chat = chat
        self._bot = bot
        self._channel = channel
        self._posted: list[str] = []
        self._lost: list[int] = []  # the numbers of those that may have been posted
        self._numbers = itertools.count(1)

    async def begin(self) -> None:
        sentence = "I am trying out what this workspace lets me do; this goes away in a moment."
        message = views.notice_message(sentence)
        self._posted.append(await self._chat.post(self._channel, None, message))

    async def status_line(self) -> Finding:
        try:
            await self._chat.set_status(self._channel, self._root, "is trying its status line...")
            await self._chat.set_status(self._channel, self._root, "")
        except SlackRefused as error:
            return Finding(
                "note",
                f"Live, status line: refused ({error.code}); the bot will react with :eyes: "
                "to the question instead",
            )
        return Finding("ok", "Live, status line: accepted")

    async def markdown_block(self) -> Finding:
        message = await self._read_back(await self._post(self.MARKDOWN))
        kinds = ", ".join(str(block.get("type")) for block in message.get("blocks") or [])
        if history.answer_text(message).strip() == self.MARKDOWN:
            return Finding("ok", f"Live, markdown block: reads back word for word (as {kinds})")
        return Finding(
            "note", f"Live, markdown block: reads back as {kinds or 'nothing'}, with other marks"
        )

    async def metadata(self) -> Finding:
        number = next(self._numbers)
        ts = await self._post("Metadata.", number)
        found = await self._find(number)
        if found == ts:
            return Finding("ok", "Live, metadata: reads back, so a reply is found again")
        return Finding(
            "WRONG", "Live, metadata: does not read back; after a lost answer a reply could repeat"
        )

    async def buttons(self) -> Finding:
        part = Part("Buttons.", is_last=True, is_final=True, offers=(*UNFINISHED, *WHOLE))
        try:
            await self._post_part(part, next(self._numbers))
        except SlackRefused as error:
            return Finding(
                "note", f"Live, buttons: refused ({error.code}); answers will come without"
            )
        return Finding("ok", "Live, buttons: accepted (whether they act, one has to press)")

    async def pings(self) -> Finding:
        text = neutralise(f"Pings? <!here> <!channel> <@{self._bot.user}> @here @everyone")
        message = await self._read_back(await self._post(text))
        kinds = {element for block in message.get("blocks") or [] for element in _kinds(block)}
        if kinds & {"broadcast", "user", "usergroup"}:
            return Finding("WRONG", "Live, pings: Slack made a mention of neutralised text")
        return Finding("ok", "Live, pings: none was made (look whether the channel was notified)")

    async def unfurls(self) -> Finding:
        ts = await self._post("A link comes.")
        part = Part("A link: https://docs.slack.dev/", is_final=True)
        message = views.reply_message(part, turn=self._turn, number=next(self._numbers))
        await self._chat.update(self._channel, ts, message)
        await asyncio.sleep(UNFURLS_WITHIN)
        shown = await self._read_back(ts)
        if shown.get("attachments"):
            return Finding("WRONG", "Live, unfurls: Slack unfurled a link that came by an edit")
        return Finding("ok", "Live, unfurls: none from a link that came by an edit")

    async def native_stream(self) -> Finding:
        """Begins, grows and ends one, and then changes it as a message like any other."""
        name = "Live, native stream"
        try:
            ts = await self._start_stream("A stream that begins")
        except SlackRefused as error:
            return Finding("note", f"{name}: refused ({error.code}), so replies are edited")
        await self._chat.append_stream(self._channel, ts, ", that grows")
        number = next(self._numbers)
        part = Part("A stream that begins, that grows, and ends.", is_final=True, offers=WHOLE)
        message = views.reply_message(part, turn=self._turn, number=number)
        await self._chat.stop_stream(
            self._channel, ts, views.stream_end(message, part.text.removeprefix(self.GROWN))
        )
        faults = [fault async for fault in self._stream_faults(ts, part, number)]
        if faults:
            return Finding("note", f"{name}: {'; '.join(faults)}; SLACK_STREAMING=edit fits best")
        return Finding("ok", f"{name}: begins, grows, ends, is found and edited; auto fits too")

    async def _stream_faults(self, ts: str, part: Part, number: int) -> AsyncIterator[str]:
        if history.answer_text(await self._read_back(ts)).strip() != part.text:
            yield "reads back with other words"
        if await self._find(number) != ts:
            yield "its metadata does not read back"
        changed = views.reply_message(
            replace(part, text="Changed after its end."), turn=self._turn, number=number
        )
        try:
            await self._chat.update(self._channel, ts, changed)
        except SlackRefused as error:
            yield f"cannot be edited after its end ({error.code}), so some answers are posted anew"

    async def _start_stream(self, text: str) -> str:
        people = [] if self._channel.startswith("D") else await self._chat.members()
        reader = people[0].user if people else self._bot.user
        question = Question(
            self._bot.team, self._channel, self._root, self._root, user=reader, text=""
        )
        ts = await self._chat.start_stream(question, text)
        self._posted.append(ts)
        return ts

    async def clean_up(self) -> int:
        """Deletes what was posted; how many messages are left."""
        left = 0
        for number in self._lost:
            try:
                found = await self._find(number)
            except BotError:
                left += 1
            else:
                self._posted += [found] if found else []
        for ts in reversed(self._posted):
            try:
                await self._chat.delete(self._channel, ts)
            except BotError:
                left += 1
        return left

    @property
    def _root(self) -> str:
        return self._posted[0]

    @property
    def _turn(self) -> TurnKey:
        return TurnKey(self._bot.team, self._channel, self._root)

    async def _post(self, text: str, number: int | None = None) -> str:
        return await self._post_part(Part(text, is_final=True), number or next(self._numbers))

    async def _post_part(self, part: Part, number: int) -> str:
        message = views.reply_message(part, turn=self._turn, number=number)
        try:
            ts = await self._chat.post(self._channel, self._root, message)
        except Unavailable:
            self._lost.append(number)
            raise
        self._posted.append(ts)
        return ts

    async def _find(self, number: int) -> str | None:
        standing = await self._chat.find_reply(self._channel, self._root, self._turn)
        return next((ts for ts, part in standing.items() if part == number), None)

    async def _read_back(self, ts: str) -> Mapping[str, Any]:
        for message in await self._chat.thread(self._channel, self._root):
            if message.get("ts") == ts:
                return message
        return {}


def _kinds(node: object) -> set[str]:
    """The types of all elements in a block, however deep."""
    if isinstance(node, Mapping):
        kind = node.get("type")
        below = [_kinds(value) for value in node.values()]
        return set().union(*below, {kind} if isinstance(kind, str) else set())
    if isinstance(node, list):
        return set().union(*map(_kinds, node))
    return set()


def _in_words(error: BotError) -> str:
    """For the operator: the reason, which a person in Slack would not be told."""
    if isinstance(error, SlackRefused):
        return f"Slack refuses it: {error.code}."
    if isinstance(error, Transient):
        return f"{error.waiting[0].upper()}{error.waiting[1:]}: {error.reason}."
    return f"{error.sentence} ({error})" if str(error) else error.sentence


def _address(url: str) -> str:
    """Where the model is, without what may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
