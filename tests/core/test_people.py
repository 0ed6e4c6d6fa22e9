"""Who is an admin, and for how long that is believed."""

import asyncio

import pytest

from bot.errors import AskerUnknown
from bot.people import KNOWN_FOR, People, Person


class Register:
    """Tells who somebody is, as somebody may change while the bot runs."""

    def __init__(self, **people: Person) -> None:
        self.people = people
        self.asked: list[str] = []

    async def person(self, user: str) -> Person:
        self.asked.append(user)
        await asyncio.sleep(0.1)
        if user not in self.people:
            raise AskerUnknown("users.info: missing_scope")
        return self.people[user]


async def test_workspace_s_admin_is_an_admin() -> None:
    people = People(Register(UADA=Person("UADA", is_admin=True), UANA=Person("UANA")))

    assert await people.is_admin("UADA")
    assert not await people.is_admin("UANA")


async def test_named_admin_needs_no_look_up() -> None:
    register = Register()
    people = People(register, admins=["UANA"])

    assert await people.is_admin("UANA")
    assert register.asked == []


async def test_person_is_looked_up_again_after_some_minutes() -> None:
    register = Register(UADA=Person("UADA", is_admin=True))
    people = People(register)
    await people.is_admin("UADA")
    register.people["UADA"] = Person("UADA")

    await asyncio.sleep(KNOWN_FOR / 2)
    assert await people.is_admin("UADA")
    await asyncio.sleep(KNOWN_FOR / 2 + 1)
    assert not await people.is_admin("UADA")
    assert register.asked == ["UADA", "UADA"]


async def test_those_who_ask_for_somebody_at_once_share_a_look_up() -> None:
    register = Register(UANA=Person("UANA"))
    people = People(register)

    await asyncio.gather(*(people.who("UANA") for _ in range(20)))

    assert register.asked == ["UANA"]


async def test_whoever_was_learned_of_needs_no_look_up() -> None:
    register = Register(UBEN=Person("UBEN"))
    people = People(register)

    people.learn([Person("UADA", is_admin=True), Person("UANA")])

    assert await people.is_admin("UADA")
    assert not await people.is_admin("UANA")
    assert not await people.is_admin("UBEN")
    assert register.asked == ["UBEN"]


async def test_failed_look_up_is_not_remembered() -> None:
    register = Register()
    people = People(register)
    with pytest.raises(AskerUnknown):
        await people.is_admin("UADA")
    register.people["UADA"] = Person("UADA", is_admin=True)

    assert await people.is_admin("UADA")
