"""Whom the bot has told what it is: on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.messages import Question
from bot.store import Store, opened


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as store:
        yield store


async def test_of_all_processes_one_greets_and_once(store: Store, url: str) -> None:
    async with opened(url) as other:
        greet = [each.greetings.greet("T1", "UANA") for each in (store, other) * 5]

        assert sorted(await asyncio.gather(*greet)) == [False] * 9 + [True]
        assert not await other.greetings.greet("T1", "UANA")


async def test_people_of_other_workspaces_are_others(store: Store) -> None:
    assert await store.greetings.greet("T1", "UANA")
    assert await store.greetings.greet("T2", "UANA")
    assert await store.greetings.greet("T1", "UBEN")


async def test_who_has_asked_before_knows_the_bot(store: Store) -> None:
    await store.turns.accept(Question("T1", "C1", "1.0", "1.0", "UANA", "Hi."))

    assert not await store.greetings.greet("T1", "UANA")
    assert not await store.greetings.greet("T1", "UANA")
    assert await store.greetings.greet("T1", "UBEN")


async def test_what_came_to_nothing_is_done_another_time(store: Store) -> None:
    assert await store.greetings.greet("T1", "UANA")
    await store.greetings.ungreet("T1", "UANA")

    assert await store.greetings.greet("T1", "UANA")


async def test_who_is_forgotten_is_a_stranger_again(store: Store) -> None:
    await store.greetings.greet("T1", "UANA")
    await store.greetings.greet("T1", "UBEN")

    await store.retention.forget("UANA")

    assert await store.greetings.greet("T1", "UANA")
    assert not await store.greetings.greet("T1", "UBEN")
