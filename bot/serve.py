"""The running bot: its parts wired, from its first call to Slack to its last words."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from bot import server, socket_mode, watchdog, web_api
from bot.admission import Admission, Rules
from bot.app import Intake, bolt_app
from bot.budget_desk import BudgetDesk
from bot.budget_views import BUDGETS, REMOVE, WHOM, refused_modal
from bot.carryover import CarryOver
from bot.channel_desk import ChannelDesk
from bot.channel_settings import Offer
from bot.channel_views import OPEN, SETTINGS
from bot.channel_views import refused_modal as settings_refused
from bot.control_views import CONTINUE, MORE, RATE, REASON, RETRY, STOP, reason_notice
from bot.controls import Controls
from bot.desk import Desk, Form, Routes
from bot.downloads import downloading
from bot.errands import Errands
from bot.errors import BotError, CannotStart, SlackRefused, Transient
from bot.features import ASK
from bot.inquiry_desk import InquiryDesk
from bot.inquiry_views import notice_modal
from bot.logs import event, heard_by
from bot.messages import Identity, Turn, TurnKey
from bot.metrics import Metrics, Moment, shown
from bot.openai_model import OpenAIModel, OpenAIModels
from bot.pacing import Limits, Pacer
from bot.people import People
from bot.queue import Queue, Tell
from bot.reader import FileReader
from bot.responder import Responder
from bot.retries import until_reachable
from bot.sandbox import Sandbox
from bot.seal import Seal
from bot.settings import Settings
from bot.slack import SlackChat
from bot.store import Membership, Store, opened
from bot.stream import Streams
from bot.surfaces import Surfaces
from bot.titles import Titles
from bot.turnstile import Turnstile
from bot.usage_desk import UsageDesk
from bot.usage_views import PERIOD, SHEET
from bot.welcome import Welcome
from bot.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds that running answers get after SIGTERM, and those that the rest get to say so in their
# threads. Platforms kill after 30 (Heroku, Kubernetes).
DRAIN = 20.0
LAST_WORDS = 5.0

DAY = 86_400.0  # seconds


@dataclass
class Running:
    """The parts of a running bot that its end concerns; to the database, its `Crew`."""

    intake: Intake
    queue: Queue
    responder: Responder
    turnstile: Turnstile
    membership: Membership
    errands: Errands

    @property
    def keys(self) -> list[TurnKey]:
        return self.queue.keys

    def resume(self, turns: Iterable[Turn]) -> None:
        self.queue.resume(turns)

    def drop(self, keys: Iterable[TurnKey]) -> None:
        self.queue.drop(keys)

    def look_again(self, thread: tuple[str, str, str]) -> None:
        self.queue.look_again(thread)

    def look_up(self, key: TurnKey) -> None:
        self.queue.look_up(key)

    def pause(self) -> None:
        self.turnstile.pause()

    def go_on(self) -> None:
        self.turnstile.resume()


@dataclass
class View:
    """What ``/metrics`` shows of the moment, also before the bot runs."""

    door: server.Door
    queue: Queue | None = None

    async def look(self) -> Moment:
        health = await self.door.health()
        socket = self.door.socket
        return Moment(
            running=self.queue.running if self.queue else 0,
            waiting=self.queue.waiting if self.queue else 0,
            is_receiving=self.door.app is not None and (socket is None or socket.is_connected),
            is_database_ready=health["database"],
        )


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT.

    :raises CannotStart: Slack refuses a token, a port is taken, or another process serves on
        the same SQLite file.
    """
    stop, hurry = _stop_signals()
    async with AsyncExitStack() as stack:
        stack.enter_context(watchdog.watching())
        door = server.Door(over_http=not settings.uses_socket_mode)
        view = View(door)
        await _count(stack, settings, view)
        port = await _listen(stack, settings, door)
        starting = asyncio.create_task(_start(stack, settings, door, port))
        bot = await _unless_stopped(starting, stop)
        if bot is None:
            return
        view.queue = bot.queue
        await _unless_stopped(asyncio.create_task(bot.membership.ended()), stop)
        door.close()
        await _wind_down(bot, hurry)


async def _keep_no_longer(store: Store, days: int | None) -> None:
    """Once a day, and after each start, removes what is older than the operator wants it kept."""
    while True:
        now = datetime.now(UTC)
        before = now - timedelta(days=days) if days else None
        try:
            removed = await store.retention.prune(before, now=now)
            event(log, "store.pruned", records=removed.records, turns=removed.turns)
        except Transient as error:  # there is another day
            event(log, "store.not_pruned", level=logging.WARNING, reason=error)
        await asyncio.sleep(DAY)


def models_of(settings: Settings) -> OpenAIModels:
    return OpenAIModels(model_of(settings), settings.openai_models)


def offer_of(settings: Settings) -> Offer:
    return Offer(settings.models, settings.openai_temperature, settings.openai_max_tokens)


def model_of(settings: Settings) -> OpenAIModel:
    return OpenAIModel(
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        model=settings.openai_model,
        temperature=settings.openai_temperature,
        max_tokens=settings.openai_max_tokens,
        timeout=settings.openai_timeout,
        sees=settings.openai_vision,
    )


def rules_of(settings: Settings) -> Rules:
    return Rules(
        guests=settings.allow_guests,
        strangers=settings.allow_external,
        per_minute=settings.questions_per_minute,
        channels=frozenset(settings.allow_channels),
        # Those whom the operator names as admins are meant too.
        users=frozenset({*settings.allow_users, *settings.admin_users})
        if settings.allow_users
        else frozenset(),
    )


async def _listen(stack: AsyncExitStack, settings: Settings, door: server.Door) -> int | None:
    """Opens the port before all else: a platform ends a bot that shows none while Slack is away."""
    port = settings.port
    if port is None:
        return None
    try:
        return await stack.enter_async_context(server.http(door, host=settings.host, port=port))
    except OSError as error:
        raise CannotStart(
            f"PORT {port} cannot be had on HOST {settings.host}: {error.strerror}."
        ) from error


async def _count(stack: AsyncExitStack, settings: Settings, view: View) -> None:
    """From the start, so that a bot that waits for Slack can be seen to."""
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        return
    metrics = Metrics(settings.openai_base_url)
    stack.enter_context(heard_by(metrics.hear))
    try:
        port = await stack.enter_async_context(shown(metrics, view.look, host=host, port=port))
    except OSError as error:
        raise CannotStart(
            f"METRICS_PORT {port} cannot be had on METRICS_HOST {host}: {error.strerror}."
        ) from error
    event(log, "metrics.shown", host=host, port=port)


async def _start(
    stack: AsyncExitStack, settings: Settings, door: server.Door, port: int | None
) -> Running:
    """Waits for database and Slack, takes up what was left unfinished, then opens the door."""
    store = await stack.enter_async_context(opened(settings.database_url, is_awaited=True))
    door.is_database_ready = store.is_ready
    stack.callback(setattr, door, "is_database_ready", server.never)
    client = await stack.enter_async_context(
        web_api.connected(settings.slack_bot_token, api_url=settings.slack_api_url)
    )
    identity = await _accepted(until_reachable(lambda: web_api.identify(client)), "SLACK_BOT_TOKEN")
    models, offer = models_of(settings), offer_of(settings)
    stack.push_async_callback(models.close)
    shares = store.shares(identity.team)
    chat = SlackChat(client, identity, shares=shares)
    stack.push_async_callback(chat.close)
    pacer = Pacer(Limits(burst=settings.slack_burst))
    if calls_left := store.calls_left(identity.team):
        carryover = CarryOver(chat.budgets | pacer.budgets, calls_left)
        await stack.enter_async_context(carryover.kept())
    turnstile = Turnstile(pacer, shares)
    errands, people = Errands(), People(chat, admins=settings.admin_users)
    stack.push_async_callback(errands.abandon)
    admission = Admission(
        rules_of(settings),
        people=people,
        asked=store.turns,
        budgets=store.limits,
        channels=store.channels,
        offer=offer,
        prices=settings.prices,
        teller=chat,
        errands=errands,
    )
    downloads = await stack.enter_async_context(
        downloading(client, token=settings.slack_bot_token, api_url=settings.slack_api_url)
    )
    files = FileReader(downloads.fetch, Sandbox().parse)
    stack.push_async_callback(files.close)
    writer = Writer(
        bot=identity,
        chat=chat,
        models=models,
        channels=store.channels,
        offer=offer,
        files=files,
        turns=store.turns,
        admission=admission,
        instructions=settings.system_prompt,
        context_tokens=settings.openai_context_tokens,
    )
    responder = Responder(
        bot=identity,
        chat=chat,
        writer=writer,
        turns=store.turns,
        admission=admission,
        turnstile=turnstile,
        prices=settings.prices,
        errands=errands,
        streams=Streams(settings.slack_streaming),
    )
    queue = Queue(store.turns, responder, _whisper(chat), at_once=settings.max_concurrent_answers)
    surfaces = Surfaces(client)
    controls = Controls(
        identity,
        records=store.turns,
        opinions=store.feedback,
        line=queue,
        admission=admission,
        admins=people,
        teller=chat,
        modals=surfaces,
        errands=errands,
        per_minute=settings.questions_per_minute,
    )
    titles = Titles(queue.accept, sessions=surfaces, known_name=chat.known_name, errands=errands)
    inquiries = InquiryDesk(
        identity,
        chat=chat,
        surfaces=surfaces,
        seal=Seal(settings.slack_bot_token),
        accept=titles.accept,
        why_not=admission.why_not_there,
        why_not_now=admission.why_not_now,
    )
    desk = _desk(settings, identity, store, chat, surfaces, people, errands, controls, inquiries)
    intake = Intake(
        identity,
        accept=titles.accept,
        goes_on=store.channels.goes_on,
        heed=controls.heed,
        desk=desk,
    )
    bot = Running(intake, queue, responder, turnstile, store.member, errands)
    stack.push_async_callback(store.member.leave)
    await store.member.join(bot)
    tidying = asyncio.create_task(_keep_no_longer(store, settings.retention_days))
    stack.callback(tidying.cancel)
    await _receive(stack, settings, identity, bot.intake, door)
    mode = "Socket Mode" if settings.uses_socket_mode else "HTTP"
    event(log, "bot.started", mode=mode, port=port, bot=identity.name, team=identity.team)
    errands.run(_learn(people, chat))
    return bot


async def _learn(people: People, chat: SlackChat) -> None:
    """Who is who, in a few calls instead of one for each person who asks."""
    try:
        people.learn(await chat.members())
    except BotError as error:  # then each is looked up
        event(log, "members.unknown", level=logging.WARNING, reason=error)


def _whisper(chat: SlackChat) -> Tell:
    async def whisper(turn: Turn, sentence: str) -> None:
        with suppress(BotError):  # a courtesy: the answer comes all the same
            await chat.whisper(turn.key.channel, turn.private_thread_ts, turn.user, sentence)

    return whisper


def _may_ask(rules: Rules, people: People) -> Callable[[str], Awaitable[bool]]:
    async def may_ask(user: str) -> bool:
        return rules.welcome(user, await people.who(user))

    return may_ask


def _desk(
    settings: Settings,
    bot: Identity,
    store: Store,
    chat: SlackChat,
    surfaces: Surfaces,
    people: People,
    errands: Errands,
    controls: Controls,
    inquiries: InquiryDesk,
) -> Desk:
    channels = ChannelDesk(
        bot.team,
        people=people,
        channels=store.channels,
        limits=store.limits,
        surfaces=surfaces,
        offer=offer_of(settings),
        prices=settings.prices,
        listed=settings.allow_channels,
    )
    usage = UsageDesk(
        bot.team,
        people=people,
        ledger=store.ledger,
        feedback=store.feedback,
        budgets=store.limits,
        surfaces=surfaces,
        names=chat,
        url=bot.url,
        channels=channels,
    )
    budgets = BudgetDesk(
        bot.team,
        people=people,
        limits=store.limits,
        channels=store.channels,
        surfaces=surfaces,
        model=settings.openai_model,
        prices=settings.prices,
    )
    welcome = Welcome(
        bot.team,
        records=store.greetings,
        surfaces=surfaces,
        may_ask=_may_ask(rules_of(settings), people),
    )
    routes = Routes(
        help=usage.help,
        commands={
            "usage": usage.answer,
            "budget": budgets.answer,
            "settings": channels.answer,
        },
        presses={
            PERIOD: usage.choose,
            SHEET: usage.send_sheet,
            BUDGETS: budgets.open,
            WHOM: budgets.choose,
            REMOVE: budgets.remove,
            OPEN: channels.open,
        },
        written=dict.fromkeys((STOP, CONTINUE, RETRY, MORE, RATE), controls.press),
        forms={
            BUDGETS: Form(budgets.submit, refused_modal),
            REASON: Form(controls.explain, reason_notice),
            ASK: Form(inquiries.submit, notice_modal),
            SETTINGS: Form(channels.submit, settings_refused),
        },
        shortcuts={ASK: inquiries.open},
        visit=usage.visit,
        opening=welcome.open,
    )
    return Desk(routes, surfaces, errands)


async def _receive(
    stack: AsyncExitStack, settings: Settings, bot: Identity, intake: Intake, door: server.Door
) -> None:
    """Opens the way in for events; it closes with the stack."""
    # Bolt's own client: without the bot token, so that Bolt makes no calls of its own.
    client = await stack.enter_async_context(
        web_api.connected(None, api_url=settings.slack_api_url)
    )
    app = bolt_app(intake, bot, client, signing_secret=settings.slack_signing_secret)
    if settings.slack_app_token:
        address = partial(web_api.socket_url, client, settings.slack_app_token)
        socket = socket_mode.receiving(address, app.async_dispatch, saw_event=door.saw_event)
        door.socket = await _accepted(stack.enter_async_context(socket), "SLACK_APP_TOKEN")
    door.app = app


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """The first SIGTERM or SIGINT sets the first event, another the second."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: (hurry if stop.is_set() else stop).set()
        )
    return stop, hurry


async def _wind_down(bot: Running, hurry: asyncio.Event) -> None:
    """Lets running answers finish, unless told to hurry. The others go to the other processes,
    or wait for the next start and say so."""
    bot.intake.close()
    event(log, "bot.stopping")
    await bot.membership.take_nothing_more()
    await bot.queue.close()
    if not await _unless_stopped(asyncio.create_task(bot.queue.finished(within=DRAIN)), hurry):
        if await bot.membership.others():  # they go on at once; nobody needs to read of it
            bot.turnstile.close()
        bot.responder.interrupt()
        await bot.queue.finished(within=LAST_WORDS)
    await bot.queue.abandon()
    await bot.errands.finished(within=LAST_WORDS)
    await bot.errands.abandon()
    event(log, "bot.stopped")


async def _accepted(call: Awaitable[T], token_name: str) -> T:
    """What Slack gives for a token that it accepts."""
    try:
        return await call
    except SlackRefused as error:
        raise CannotStart(
            f"{token_name}: Slack does not accept it ({error.code}). "
            "Copy it again from the app's pages, or reinstall the app."
        ) from error


async def _unless_stopped(task: asyncio.Task[T], stop: asyncio.Event) -> T | None:
    """The task's result, or None where the operator stops the bot before."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for waiting in (task, stopped):
            waiting.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)  # each cleans up behind itself
