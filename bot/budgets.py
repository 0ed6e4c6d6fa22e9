"""How much may be used: limits for the workspace, its channels and its people, day or month.

Days and months are those of UTC, whatever the clocks of the people. Nothing here knows a database
or Slack: the store says what was used, and this what follows from it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from bot import money
from bot.prices import Prices

Scope = Literal["workspace", "channel", "person"]
Unit = Literal["dollars", "tokens"]
Span = Literal["day", "month"]
State = Literal["fine", "near", "spent"]

SCOPES: tuple[Scope, ...] = ("workspace", "channel", "person")
SPANS: tuple[Span, ...] = ("day", "month")

# In the place of an id: each channel or person without a limit of its own for the same span.
EACH = "*"

NEAR = Decimal("0.8")  # the share of a limit from which on those concerned are told, once

_SUBJECT = re.compile(r"<?[@#]?([CGDUW][A-Z0-9]{2,})(?:\|[^>]*)?>?")
_AMOUNT = re.compile(
    # A comma parts thousands: "1,5" may be one and a half, so it is nothing here.
    r"(?P<dollar>\$)?\s*(?P<number>\d+(?:[,_]\d{3})*(?:\.\d+)?)\s*(?P<size>k|m|million)?\s*"
    r"(?P<unit>\$|usd|dollars?|tokens?)?\s*"
    r"(?:a|per|every|each|/)?\s*(?P<span>day|month|daily|monthly)",
    re.IGNORECASE,
)
_SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "million": 1_000_000}
MOST = 10**18  # in either unit: a million dollars, as `bot.money.UNIT` has them


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What a limit is for. ``who`` is the id of the team, the channel or the person, or `EACH`."""

    scope: Scope
    who: str

    @property
    def in_words(self) -> str:
        if self.scope == "workspace":
            return "the workspace"
        return f"each {self.scope}" if self.who == EACH else f"{self.scope} {self.who}"


@dataclass(frozen=True, slots=True)
class Limit:
    """So much and no more; what runs already may end."""

    subject: Subject
    amount: int  # tokens, input and output together, or `bot.money.UNIT`s of a dollar
    unit: Unit
    every: Span

    @property
    def in_words(self) -> str:
        """``$5.00 a day``, ``200,000 tokens a month``."""
        return f"{self.of(self.amount)} a {self.every}"

    def of(self, amount: int) -> str:
        """An amount in the unit of this limit."""
        if self.unit == "dollars":
            return money.in_words(money.dollars_of(amount))
        return "1 token" if amount == 1 else f"{amount:,} tokens"


@dataclass(frozen=True, slots=True)
class Use:
    """A limit that holds for somebody, and what was used of it in its day or month.

    A limit of money does not see what has no price: ``unpriced`` counts those records.
    """

    limit: Limit
    who: str  # the id of whom it holds for, also where the limit is for each
    used: int  # in the unit of the limit
    unpriced: int = 0
    is_told: bool = False  # that it is near, in this day or month

    @property
    def share(self) -> Decimal:
        """Of the limit, 1 for all of it."""
        return Decimal(self.used) / self.limit.amount if self.limit.amount else Decimal(1)

    @property
    def state(self) -> State:
        if self.share >= 1:
            return "spent"
        return "near" if self.share >= NEAR else "fine"


@dataclass(frozen=True, slots=True)
class Change:
    """Who set or removed a limit, and when."""

    at: datetime  # UTC
    by: str  # a person's id, or "command line"
    subject: Subject
    every: Span
    before: Limit | None
    after: Limit | None


def spent(uses: Sequence[Use]) -> Use | None:
    """Of the limits that are used up, the one that holds longest; None: an answer may begin."""
    over = [use for use in uses if use.state == "spent"]
    # A month outlasts its days; among equals the widest explains most.
    return max(over, key=lambda use: (use.limit.every == "month", -_width(use)), default=None)


def near(uses: Sequence[Use]) -> list[Use]:
    """Those of which people should be told now that little is left."""
    return [use for use in uses if use.state == "near" and not use.is_told]


def period_of(every: Span, now: datetime) -> str:
    """The day or the month as YYYY-MM-DD or YYYY-MM."""
    return f"{now.astimezone(UTC):{'%Y-%m-%d' if every == 'day' else '%Y-%m'}}"


def resets_at(every: Span, now: datetime) -> datetime:
    """When the next day or month begins, in UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if every == "day":
        return midnight + timedelta(days=1)
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


# -- sentences


def refusal(use: Use, now: datetime) -> str:
    """What whoever asks reads in the place of an answer."""
    limit = use.limit
    whose, possessive, have = _PEOPLE[limit.subject.scope]
    if not limit.amount:
        return f"{whose} {have} no budget for my answers. An admin can give one."
    return (
        f"{whose} {have} used up {possessive} budget of {limit.in_words}, so I cannot answer this. "
        f"It resets {_reset(limit, now)}. An admin can raise it."
    )


def warning(use: Use, now: datetime) -> str:
    """What those concerned read once, when little is left."""
    limit = use.limit
    whose, possessive, have = _PEOPLE[limit.subject.scope]
    return (
        f"{whose} {have} used {use.share * 100:.0f} % of {possessive} budget of {limit.in_words}: "
        f"{limit.of(use.used)}. It resets {_reset(limit, now)}."
    )


def why_not(limit: Limit, model: str, prices: Prices) -> str | None:
    """The reason for which a limit cannot be kept; None where it can."""
    if limit.unit == "dollars" and limit.amount and prices.of(model) is None:
        return (
            f"A budget in dollars cannot be kept: the model {model} has no known price. Give it "
            "one in PRICES_FILE, or set the budget in tokens."
        )
    return None


def covering(limits: Sequence[Limit], channel: str) -> list[Limit]:
    """The limits in dollars that may hold for a question in that channel, whoever asks it.

    A limit of 0 needs no price; one for each channel gives way to one of the channel's own.
    """
    own = {limit.every for limit in limits if limit.subject == Subject("channel", channel)}
    return [
        limit
        for limit in limits
        if limit.unit == "dollars" and limit.amount and _may_cover(limit, channel, own)
    ]


def _may_cover(limit: Limit, channel: str, own: Collection[Span]) -> bool:
    if limit.subject.scope != "channel":
        return True
    if limit.subject.who == EACH:
        return limit.every not in own
    return limit.subject.who == channel


def why_not_model(limits: Iterable[Limit], channel: str, model: str, prices: Prices) -> str | None:
    """The reason for which a channel may not answer with that model; None where it may.

    It names no limit: who chooses a model need not know what others may spend.
    """
    if prices.of(model) is not None or not covering(list(limits), channel):
        return None
    return (
        f"{model} has no known price, so a budget in dollars that holds here could not be kept. "
        "Choose another model, have it given a price in PRICES_FILE, or the budget set in tokens."
    )


def why_not_there(
    limit: Limit, limits: Iterable[Limit], chosen: Mapping[str, str], prices: Prices
) -> str | None:
    """The reason for which a limit, in the place of one of those that are set, cannot be kept with
    the models that channels have chosen."""
    place = limit.subject, limit.every
    others = [each for each in limits if (each.subject, each.every) != place]
    for channel, model in chosen.items():
        if prices.of(model) is None and limit in covering([*others, limit], channel):
            return (
                f"A budget in dollars cannot be kept: channel {channel} answers with the model "
                f"{model}, which has no known price. Give it one in PRICES_FILE, choose another "
                "there (/llm settings), or set the budget in tokens."
            )
    return None


def no_price(model: str) -> str:
    """What whoever asks reads where it came to that all the same."""
    return (
        f"This channel is set to the model {model}, whose price I do not know, and a budget in "
        "dollars holds here: I could not keep it, so I do not answer. An admin can choose another "
        "model with /llm settings."
    )


# -- what people write


def parse_subject(text: str, team: str) -> Subject:
    """``workspace``, ``each-channel``, ``each-person``, an id, or an id as Slack escapes it.

    :raises ValueError: saying what it may be.
    """
    word = text.strip()
    if word.lower() in ("workspace", "all"):
        return Subject("workspace", team)
    for scope in ("channel", "person"):
        if word.lower().replace("-", " ") == f"each {scope}":
            return Subject(scope, EACH)
    if not (found := _SUBJECT.fullmatch(word)):
        raise ValueError(
            f"{text!r} is none of: workspace, each-channel, each-person, the id of a channel "
            "(C...) or of a person (U...)"
        )
    return Subject("person" if found[1][0] in "UW" else "channel", found[1])


def parse_limit(text: str, subject: Subject) -> Limit:
    """``$5 a day``, ``5 dollars a day``, ``200k tokens per month``.

    :raises ValueError: saying what is wrong.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"{text!r} is no budget: write one like 5 dollars a day, or 200,000 tokens a month"
        )
    is_money = bool(found["dollar"]) or (found["unit"] or "").lower().startswith(("$", "usd", "d"))
    if not is_money and not found["unit"]:
        raise ValueError(f"{text!r}: dollars or tokens?")
    if found["dollar"] and (found["unit"] or "").lower().startswith("token"):
        raise ValueError(f"{text!r}: dollars or tokens?")
    number = Decimal(re.sub("[,_]", "", found["number"])) * _SIZES[(found["size"] or "").lower()]
    amount = money.units_of(number) if is_money else int(number)
    if not is_money and amount != number:
        raise ValueError(f"{text!r}: there are no parts of tokens")
    if amount > MOST:
        raise ValueError(f"{text!r} is more than anybody could use")
    every: Span = "day" if found["span"].lower().startswith("da") else "month"
    return Limit(subject, amount, "dollars" if is_money else "tokens", every)


_PEOPLE: dict[Scope, tuple[str, str, str]] = {
    "workspace": ("This workspace", "its", "has"),
    "channel": ("This channel", "its", "has"),
    "person": ("You", "your", "have"),
}


def _width(use: Use) -> int:
    """Fewer for those that hold for more people."""
    return SCOPES.index(use.limit.subject.scope)


def _reset(limit: Limit, now: datetime) -> str:
    at = resets_at(limit.every, now)
    if limit.every == "month":
        return f"on {at:%Y-%m-%d} at 00:00 UTC"
    minutes = int((at - now).total_seconds() // 60)
    left = f"{minutes // 60 + 1} hours" if minutes >= 60 else f"{minutes + 1} minutes"
    return f"at 00:00 UTC, in less than {left}"
