"""One run of a plan: its servers, its processes, what is done to them, and what was seen."""

import asyncio
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bot.playground.model import LocalModel, Request
from bot.playground.slack import Call, Delivery, Limits, LocalSlack
from tests.chaos import records
from tests.chaos.evidence import Asked, Evidence, gather, number_in
from tests.chaos.fleet import Fleet, fleet
from tests.chaos.mischief import LATENCY, Mischief
from tests.chaos.plan import CHANNELS, PEOPLE, Plan, Question
from tests.postgres import postgres_server

# Seconds: Slack waits so long for an ack, then sends the event again after these pauses. The real
# ones are 0, 60 and 300; a run does not last so long.
REDELIVERY_AFTER = (3.0, 0.0, 10.0, 30.0)

STARTS_WITHIN = 30.0  # seconds
SETTLES_WITHIN = 240.0  # seconds after the load, for all that waits for Slack's limits
AFTERMATH = 3.0  # seconds in which nothing may happen any more

# What all processes are told. Prompts and answers are never shortened here, a model that falls
# silent is given up soon, and answers wait for each other now and then.
SETTINGS = {
    "OPENAI_MAX_TOKENS": "0",
    "OPENAI_CONTEXT_TOKENS": "1000000",
    "OPENAI_TIMEOUT": "5",
    "MAX_CONCURRENT_ANSWERS": "12",
    "QUESTIONS_PER_MINUTE": "0",
}


@dataclass(frozen=True)
class Run:
    """What became of a plan."""

    plan: Plan
    evidence: Evidence
    deliveries: list[Delivery]  # of the questions
    calls: list[Call]
    requests: int  # to the model
    done: Counter[str]  # to the bot
    ends: Counter[int]  # exit statuses of its processes
    stragglers: list[int]  # processes that did not end when told so
    lines: list[str]  # what they logged
    settled_in: float | None  # seconds after the load until all was quiet; None: never


async def play(plan: Plan) -> Run:
    async with _scene(plan) as scene:
        await scene.slack.until(
            lambda: scene.slack.connections == plan.replicas, timeout=STARTS_WITHIN
        )
        _say(f"{plan.title}: {len(plan.questions)} questions in {plan.seconds:.0f} s ...")
        await scene.load()
        _say(f"{plan.title}: the load is over; all waits for the last answers ...")
        settled_in = await scene.settle()
        await asyncio.sleep(AFTERMATH)
        await scene.fleet.stop()
        books = await records.read(scene.database_url)
        return Run(
            plan=plan,
            evidence=gather(scene.slack, scene.model.requests, scene.asked, books),
            deliveries=[delivery for _, delivery in scene.asked],
            calls=scene.slack.calls,
            requests=len(scene.model.requests),
            done=scene.mischief.done,
            ends=scene.fleet.ends,
            stragglers=scene.fleet.stragglers,
            lines=scene.fleet.lines,
            settled_in=settled_in,
        )


@dataclass
class _Scene:
    plan: Plan
    slack: LocalSlack
    model: LocalModel
    fleet: Fleet
    database_url: str  # as `records` reads it
    mischief: Mischief
    asked: list[tuple[Asked, Delivery]] = field(default_factory=list)

    async def load(self) -> None:
        """All questions and deeds, each at its time."""
        began = _now()
        acts = sorted([*self.plan.questions, *self.plan.deeds], key=lambda act: act.at)
        async with asyncio.TaskGroup() as tasks:
            for act in acts:
                await asyncio.sleep(began + act.at - _now())
                if isinstance(act, Question):
                    await self._ask(act)
                else:
                    tasks.create_task(self.mischief.do(act))
            await asyncio.sleep(began + self.plan.seconds - _now())

    async def settle(self) -> float | None:
        """The faults end; seconds until every event was dealt with and no turn is under way."""
        self.mischief.calm()
        began = _now()
        while _now() < began + SETTLES_WITHIN:
            if await self._is_quiet():
                return _now() - began
            await asyncio.sleep(0.5)
        return None

    async def _ask(self, question: Question) -> None:
        opening = question.root == question.number
        root = None if opening else self.asked[question.root][0]
        channel = root.channel if root else self._channel(question)
        mention = "" if question.channel is None else f"<@{self.slack.bot_user_id}> "
        at = self.slack.clock()
        ts = await self.slack.say(
            channel,
            question.person,
            f"{mention}{question.text}",
            thread_ts=root.ts if root else None,
        )
        delivery = self.slack.deliveries[-1]
        self.asked.append((Asked(question, channel, ts, root.ts if root else ts, at), delivery))
        self.mischief.sent.append(delivery)

    def _channel(self, question: Question) -> str:
        if question.channel is None:
            return self.slack.dm(question.person)
        return self.slack.workspace.channel(f"place-{question.channel}").id

    async def _is_quiet(self) -> bool:
        if not all(delivery.done.is_set() for delivery in self.slack.deliveries):
            return False
        try:
            return await records.unfinished(self.database_url) == 0
        except (OSError, sqlite3.Error, asyncpg.PostgresError):
            return False


@asynccontextmanager
async def _scene(plan: Plan) -> AsyncIterator[_Scene]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        postgres = None
        database_url = f"sqlite:///{folder / 'bot.db'}"
        if plan.database == "postgres":
            postgres = stack.enter_context(postgres_server())
            database_url = await stack.enter_async_context(postgres.database())
        slack, model = await servers(stack, plan)
        env = environment(slack, model, database_url) | {"SLACK_STREAMING": plan.streaming}
        processes = await stack.enter_async_context(fleet([env] * plan.replicas, folder))
        mischief = Mischief(slack, model, processes, database_url, postgres)
        yield _Scene(plan, slack, model, processes, database_url, mischief)


async def servers(stack: AsyncExitStack, plan: Plan) -> tuple[LocalSlack, LocalModel]:
    """A Slack with its real limits, and a model that knows the answers of the plan."""

    def answer(request: Request) -> str:
        number = number_in(request.question)
        return plan.questions[number].answer if number is not None else "What?"

    slack = await stack.enter_async_context(
        LocalSlack(
            limits=Limits.real(),
            latency=LATENCY,
            redelivery_after=REDELIVERY_AFTER,
            calls_kept=1_000_000,
        )
    )
    for person in PEOPLE:
        with suppress(KeyError):
            slack.person(person)
            continue
        slack.add_person(person)
    for number in range(CHANNELS):
        slack.add_channel(f"place-{number}")
    model = await stack.enter_async_context(LocalModel(answer=answer, first_token_after=0.3))
    return slack, model


def environment(slack: LocalSlack, model: LocalModel, database_url: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_BASE_URL": model.base_url,
        "DATABASE_URL": database_url,
        **SETTINGS,
    }


def _say(sentence: str) -> None:
    """For whoever waits; the report comes at the end."""
    print(sentence, file=sys.stderr, flush=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
