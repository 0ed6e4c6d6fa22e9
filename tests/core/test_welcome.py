"""What people find in their direct messages before they have asked anything."""

from typing import Any

import pytest

from bot.errors import AskerUnknown, BotError, RateLimited, SlackRefused, Unavailable
from bot.interactions import Opening
from bot.welcome import GREETING, PROMPTS, Welcome

ANA = Opening("UANA", "D1")


class House:
    """Records and Slack in one; the next call of a kind meets its error."""

    def __init__(self, **errors: BotError) -> None:
        self.errors = errors
        self.greeted: set[str] = set()
        self.asked = 0
        self.told: list[str] = []
        self.prompts: list[str] = []

    async def may_ask(self, user: str) -> bool:
        self._meet("may_ask")
        return not user.startswith("UGUEST")

    async def greet(self, team: str, user: str) -> bool:
        self.asked += 1
        self._meet("greet")
        is_new = user not in self.greeted
        self.greeted.add(user)
        return is_new

    async def ungreet(self, team: str, user: str) -> None:
        self.greeted.discard(user)

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        self._meet("direct")
        self.told.append(message["blocks"][0]["text"]["text"])
        return "D1", "1.0"

    async def suggest(self, channel: str, prompts: list[dict[str, str]]) -> None:
        self._meet("suggest")
        self.prompts.append(channel)

    def _meet(self, call: str) -> None:
        if error := self.errors.pop(call, None):
            raise error


def welcome(house: House) -> Welcome:
    return Welcome("T1", records=house, surfaces=house, may_ask=house.may_ask)


async def test_who_comes_first_is_told_once_and_finds_questions_each_time() -> None:
    house = House()
    door = welcome(house)

    for _ in range(3):
        await door.open(ANA)

    assert house.told == [GREETING]
    assert house.prompts == ["D1"] * 3
    assert house.asked == 1  # the database is not asked again


async def test_another_process_tells_nobody_again() -> None:
    house = House()

    await welcome(house).open(ANA)
    await welcome(house).open(ANA)

    assert house.told == [GREETING]


async def test_who_may_not_ask_is_told_nothing_and_is_told_once_they_may() -> None:
    house = House()
    door = welcome(house)

    await door.open(Opening("UGUEST", "D2"))

    assert (house.told, house.greeted) == ([], set())


async def test_where_that_is_not_known_it_is_another_time() -> None:
    house = House(may_ask=AskerUnknown("users.info: down"))
    door = welcome(house)

    with pytest.raises(AskerUnknown):
        await door.open(ANA)
    await door.open(ANA)

    assert house.told == [GREETING]


async def test_greeting_that_was_surely_not_posted_is_posted_later() -> None:
    house = House(direct=RateLimited("Slack", 1.0))
    door = welcome(house)

    await door.open(ANA)
    await door.open(ANA)

    assert house.told == [GREETING]


async def test_greeting_that_may_stand_there_is_not_posted_again() -> None:
    house = House(direct=Unavailable("Slack", "timeout"))
    door = welcome(house)

    with pytest.raises(Unavailable):
        await door.open(ANA)
    await door.open(ANA)

    assert house.told == []


async def test_workspace_without_suggestions_is_not_asked_again() -> None:
    house = House(suggest=SlackRefused("assistant.threads.setSuggestedPrompts", "missing_scope"))
    door = welcome(house)

    await door.open(ANA)
    await door.open(ANA)

    assert house.prompts == []
    assert house.told == [GREETING]


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("Slack", "down"),
        SlackRefused("assistant.threads.setSuggestedPrompts", "not_in_channel"),
    ],
)
async def test_suggestions_that_were_lost_come_the_next_time(error: BotError) -> None:
    house = House(suggest=error)
    door = welcome(house)

    await door.open(ANA)
    await door.open(ANA)

    assert house.prompts == ["D1"]


def test_suggestions_are_as_many_as_slack_takes() -> None:
    assert 0 < len(PROMPTS) <= 4
