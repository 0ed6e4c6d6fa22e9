"""Who somebody is: a member, a guest, somebody of another organisation, an admin of the bot."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakValueDictionary

# Seconds for which a person stays what they were: so long may somebody still act as the admin
# that they are no more.
KNOWN_FOR = 300.0

REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class Person:
    user: str
    is_admin: bool = False  # of this workspace, or its owner
    is_guest: bool = False
    is_external: bool = False  # of another organisation, met in a channel that both share


class Directory(Protocol):
    async def person(self, user: str) -> Person:
        """Who that is, asked now.

        :raises Transient: it may be known later.
        :raises AskerUnknown: Slack does not tell.
        """


class People:
    """Remembers for some minutes who is who. ``admins`` are those that the operator named."""

    def __init__(self, directory: Directory, *, admins: Collection[str] = ()) -> None:
        self._directory = directory
        self._admins = frozenset(admins)
        self._known: OrderedDict[str, tuple[float, Person]] = OrderedDict()
        self._doors: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def named(self) -> frozenset[str]:
        """The admins that the operator named."""
        return self._admins

    async def who(self, user: str) -> Person:
        """:raises BotError: as `Directory.person`."""
        # Those who ask for the same person at once share one look-up.
        async with self._doors.setdefault(user, asyncio.Lock()):
            at, person = self._known.get(user, (-KNOWN_FOR, Person(user)))
            now = asyncio.get_running_loop().time()
            if now - at < KNOWN_FOR:
                return person
            person = await self._directory.person(user)
            self.learn([person])
            return person

    def learn(self, people: Iterable[Person]) -> None:
        """They are so now: nobody needs to look them up."""
        now = asyncio.get_running_loop().time()
        for person in people:
            self._known[person.user] = (now, person)
            self._known.move_to_end(person.user)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    async def is_admin(self, user: str) -> bool:
        """Whether they may see and set what concerns everybody.

        :raises BotError: as `Directory.person`.
        """
        return user in self._admins or (await self.who(user)).is_admin
