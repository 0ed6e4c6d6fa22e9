"""What is set for a channel, and what follows from it for an answer there.

Nothing here knows a database or Slack. Direct messages have no settings.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

# Characters. Enough for a page; they are paid for in every question of the channel.
LONGEST_INSTRUCTIONS = 2_000

# Tokens. Fewer leave no room for an answer, and models that think need some for that.
LEAST_TOKENS = 100
MOST_TOKENS = 1_000_000
MOST_TEMPERATURE = 2.0

_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Where a value is None, or there are no instructions, it is as everywhere."""

    is_allowed: bool = True  # questions are answered there
    follows_up: bool = False  # also without a mention, in threads in which the bot has answered
    instructions: str = ""
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None  # of an answer

    def as_json(self) -> dict[str, Any]:
        """Without what is as everywhere."""
        return {name: value for name, value in asdict(self).items() if value != _UNSET[name]}

    @property
    def digest(self) -> str:
        """Tells these settings from others, wherever they are compared."""
        said = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ChannelSettings":
        """Names that are no more are passed over."""
        return cls(**{name: value for name, value in values.items() if name in _UNSET})


AS_EVERYWHERE = ChannelSettings()
_UNSET: Mapping[str, Any] = asdict(AS_EVERYWHERE)


@dataclass(frozen=True, slots=True)
class Change:
    """Who set what for a channel, and when."""

    at: datetime  # UTC
    by: str  # a person's id
    channel: str
    before: ChannelSettings
    after: ChannelSettings


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer is to be written."""

    model: str
    temperature: float | None = None  # None: as it is set up
    max_tokens: int | None = None
    instructions: str = ""  # of the channel, beside those for everybody


@dataclass(frozen=True, slots=True)
class Offer:
    """What the operator lets channels choose from, and what holds where they have not."""

    models: tuple[str, ...]  # the first answers where nothing is chosen
    temperature: float | None = None
    max_tokens: int | None = None  # also the most that a channel may choose

    @property
    def most_tokens(self) -> int:
        return self.max_tokens or MOST_TOKENS

    def model(self, settings: ChannelSettings) -> str:
        """The one that answers; the operator may offer the chosen one no more."""
        return settings.model if settings.model in self.models else self.models[0]

    def as_shown(self, settings: ChannelSettings) -> ChannelSettings:
        """As a form begins with them: a model that cannot be chosen there is as everywhere."""
        return settings if settings.model in self.models[1:] else replace(settings, model=None)

    def manner(self, settings: ChannelSettings) -> Manner:
        cap = settings.max_tokens
        return Manner(
            self.model(settings),
            settings.temperature,
            None if cap is None else min(cap, self.most_tokens),
            settings.instructions,
        )


@dataclass(frozen=True, slots=True)
class Merge:
    """What somebody entered, together with what others have set while the form was open."""

    settings: ChannelSettings
    taken: frozenset[str] = frozenset()  # names of fields that have the others' values
    contested: frozenset[str] = frozenset()  # in which something else is set by now: as entered


def merged(shown: ChannelSettings | None, entered: ChannelSettings, now: ChannelSettings) -> Merge:
    """A field left as the form showed it takes what is set ``now``; any other stays as entered.

    Where it is not known what the form ``shown`` was, every difference is contested.
    """
    mine, theirs = asdict(entered), asdict(now)
    differing = {name for name in mine if mine[name] != theirs[name]}
    if shown is None:
        return Merge(entered, contested=frozenset(differing))
    before = asdict(shown)
    taken = frozenset(name for name in differing if mine[name] == before[name])
    contested = frozenset(name for name in differing - taken if theirs[name] != before[name])
    together = replace(entered, **{name: theirs[name] for name in taken})
    return Merge(together, taken, contested)


def models_chosen(channels: Mapping[str, ChannelSettings]) -> dict[str, str]:
    """By channel, where one was chosen."""
    return {channel: found.model for channel, found in channels.items() if found.model}


def is_channel(id: str) -> bool:
    """Whether it may have settings: a channel, or a group message."""
    return _CHANNEL.fullmatch(id) is not None
