"""Trigger ids: what lets an app open a modal for a person who has just done something."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bot.playground.slack.errors import ApiError

TRIGGER_SECONDS = 3.0  # docs.slack.dev/surfaces/modals
_KEPT = 1_000  # trigger ids; an older one is as if it had never been


@dataclass(slots=True)
class _Trigger:
    person: str
    issued: float
    exchanged: bool = False


class Triggers:
    """Each is good for one view, and for three seconds of ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._triggers: dict[str, _Trigger] = {}  # oldest first

    def issue(self, person: str) -> str:
        """A new trigger id for what this person did, in Slack's form of three parts."""
        if len(self._triggers) >= _KEPT:
            del self._triggers[next(iter(self._triggers))]
        trigger_id = f"{next(self._numbers)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = _Trigger(person, self._clock())
        return trigger_id

    def exchange(self, trigger_id: str) -> str:
        """Use it up; returns the person. The errors are those of views.open."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.exchanged:
            raise ApiError("exchanged_trigger_id")
        if self._clock() - trigger.issued > TRIGGER_SECONDS:
            raise ApiError("expired_trigger_id")
        trigger.exchanged = True
        return trigger.person
