"""Many people who ask within a few seconds, and how far their answers are."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

from bot.playground.demo import IsFinished
from bot.playground.page.scene import TOMBSTONE
from bot.playground.slack import LocalSlack
from bot.playground.slack.workspace import BOT_USER_ID

logger = logging.getLogger(__name__)

WITHIN = 3.0  # seconds in which all of them ask
PATIENCE = 120.0  # seconds; later answers, such as of a bot that was killed, are not waited for
CHANNELS = ("general", "random")
LARGEST = 100

FIRST_NAMES = (
    *("Emma", "Noah", "Mia", "Leo", "Lina", "Omar", "Zoe", "Ivan", "Nora", "Hugo", "Aya", "Tom"),
    *("Sara", "Jan", "Ines", "Paul", "Yuki", "Max", "Lea", "Amir", "Elif", "Finn", "Rosa", "Kai"),
    "Vera",
)
SURNAMES = ("Berg", "Costa", "Novak", "Silva")
QUESTIONS = (
    "Compare three ways to keep the state of a small service, in a table.",
    "Write a Python function that removes duplicates from a list and keeps the order.",
    "Summarize what makes a good incident report.",
    "How do I plan a move from one database to another without downtime?",
    "Explain what a token bucket is, please.",
    "What is the difference between a queue and a topic?",
    "Write a shell script that shows the ten largest files of a folder.",
    "Can you make a plan for the first week of a new colleague?",
    "Why is my service slow after each deploy?",
    "Which is better for a cache: a short or a long expiry? Compare them.",
)


class Crowd:
    """``people`` holds the ids of all who ever belonged to it."""

    def __init__(
        self, slack: LocalSlack, *, is_finished: IsFinished, changed: Callable[[], None]
    ) -> None:
        self.people: list[str] = []
        self._slack = slack
        self._is_finished = is_finished
        self._changed = changed
        self._number = 0
        self._began = 0.0
        self._took: float | None = None  # seconds until the last answer
        self._asked = 0
        self._answered = 0
        self._open: set[tuple[str, str]] = set()  # channel and root of those to be answered
        self._refused = 0
        self._asking: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        waits = bool(self._number) and self._took is None
        return waits and self._slack.clock() - self._began < PATIENCE

    def shown(self) -> dict[str, Any] | None:
        """As the page's frames say it; None before the first time."""
        if not self._number:
            return None
        seconds = self._took
        if seconds is None:
            seconds = min(self._slack.clock() - self._began, PATIENCE)
        return {
            "asked": self._asked,
            "answered": self._answered,
            "refused": self._refused,
            "seconds": round(seconds, 1),
            "running": self.running,
        }

    def gather(self, number: int) -> None:
        """So many people are there at least; each is added once."""
        pairs = itertools.product(SURNAMES, FIRST_NAMES)
        names = (f"{first_name} {surname}" for surname, first_name in pairs)
        for name in itertools.islice(names, len(self.people), number):
            person = self._slack.add_person(name)
            self.people.append(person)
            for channel in CHANNELS:
                self._slack.workspace.channel(channel).members.add(person)

    async def ask(self, number: int) -> None:
        """``number`` people ask, each in a thread of their own; those before are forgotten."""
        await self.close()
        self._number = number
        self._began = self._slack.clock()
        self._took = None
        self._asked = self._answered = self._refused = 0
        self._open.clear()
        self._asking = asyncio.create_task(self._ask(self.people[:number]))

    def look(self, channel: str, root: str) -> None:
        """A thread changed: is its answer whole, or its question gone?"""
        if (channel, root) not in self._open:
            return
        answered = any(map(self._is_finished, self._slack.thread(channel, root)))
        if not answered and not self._is_gone(channel, root):
            return
        self._open.remove((channel, root))
        self._answered += answered
        if self._asked == self._number and not self._open:
            self._took = self._slack.clock() - self._began
        self._changed()

    def refused(self) -> None:
        """Slack refused a call."""
        if self.running:
            self._refused += 1
            self._changed()

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, people: list[str]) -> None:
        try:
            await self._take_turns(people)
        except Exception:  # nobody awaits this task
            logger.exception("playground.crowd_failed")

    async def _take_turns(self, people: list[str]) -> None:
        turns = zip(people, itertools.cycle(CHANNELS), itertools.cycle(QUESTIONS), strict=False)
        for person, channel, question in turns:
            ts = await self._slack.say(channel, person, f"<@{BOT_USER_ID}> {question}")
            self._open.add((self._slack.workspace.channel(channel).id, ts))
            self._asked += 1
            self._changed()
            await asyncio.sleep(WITHIN / len(people))

    def _is_gone(self, channel: str, root: str) -> bool:
        message = self._slack.workspace.channels[channel].messages.get(root)
        return message is None or message.get("subtype") == TOMBSTONE
