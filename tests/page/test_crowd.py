"""How long a crowd is waited for."""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from bot.playground.page.crowd import PATIENCE, Crowd
from bot.playground.slack import LocalSlack
from bot.playground.slack.workspace import Change


@dataclass
class Scene:
    slack: LocalSlack
    crowd: Crowd
    now: float = 0.0

    async def asks(self) -> str:
        """One person asks; the ``ts`` of the question."""
        self.crowd.gather(1)
        await self.crowd.ask(1)
        await self.slack.until(lambda: self.slack.screen("general"))
        return next(iter(self.slack.workspace.channel("general").messages))

    def told(self) -> tuple[int, int, bool]:
        shown = self.crowd.shown()
        assert shown is not None
        return shown["asked"], shown["answered"], shown["running"]


def _is_finished(message: Mapping[str, Any]) -> bool:
    return "done" in message["text"]


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with LocalSlack(clock=lambda: place.now) as slack:
        crowd = Crowd(slack, is_finished=_is_finished, changed=lambda: None)

        def look(entry: object) -> None:
            if isinstance(entry, Change):
                crowd.look(entry.channel, entry.thread_ts or entry.ts)

        slack.listeners.append(look)
        place = Scene(slack, crowd)
        yield place
        await crowd.close()


async def test_an_answered_question_ends_it(scene: Scene) -> None:
    ts = await scene.asks()
    before = scene.told()
    await scene.slack.say("general", "Bot", "done", thread_ts=ts)

    assert (before, scene.told()) == ((1, 0, True), (1, 1, False))


async def test_nobody_waits_for_the_answer_to_a_deleted_question(scene: Scene) -> None:
    await scene.slack.delete("general", await scene.asks())

    assert scene.told() == (1, 0, False)


async def test_nor_if_its_thread_goes_on(scene: Scene) -> None:
    ts = await scene.asks()
    await scene.slack.say("general", "Bot", "let me see", thread_ts=ts)
    await scene.slack.delete("general", ts)

    assert scene.told() == (1, 0, False)


async def test_what_is_not_answered_in_time_is_not_waited_for(scene: Scene) -> None:
    await scene.asks()
    scene.now = PATIENCE - 1
    before = scene.told()
    scene.now = PATIENCE + 30

    assert (before, scene.told()) == ((1, 0, True), (1, 0, False))
    assert (scene.crowd.shown() or {})["seconds"] == PATIENCE


async def test_what_goes_wrong_while_they_ask_is_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.slack, "say", None)
    scene.crowd.gather(1)
    with caplog.at_level(logging.ERROR):
        await scene.crowd.ask(1)
        assert scene.crowd._asking is not None
        await scene.crowd._asking

    assert "playground.crowd_failed" in caplog.text
