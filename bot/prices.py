"""What models cost: a dated table in the package, and over it the operator's own.

How the price of a model is found: first in the operator's table, then in the package's, and in
each by the name

1. as it is, but for capitals, and with ``.`` and ``-`` taken for the same (``claude-opus-4-5``);
2. less the date at its end (``gpt-4o-mini-2024-07-18``, ``claude-opus-4-5-20251101``);
3. less what stands before a slash, one part after the other (``openrouter/openai/gpt-4o-mini``),
   each as in 1 and 2.

Other endings (``:free``, ``-latest``) may change the price, so they are part of the name.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from bot.messages import Usage, UsageRecord

TOKENS = 1_000_000  # to which the prices of the lists are for

# More dollars for a million tokens are a slip of the pen.
MOST = 100_000
DECIMALS = 6  # of a price; beyond them `bot.money.UNIT` would have to round

_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})\Z")
_KEYS = ("input", "cached_input", "output")


class PricesError(ValueError):
    """What is wrong with a table of prices: where, which model, what."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and the date of the table that says so."""

    input: Decimal
    cached_input: Decimal
    output: Decimal
    date: str  # as YYYY-MM-DD

    def cost(self, usage: Usage) -> Decimal | None:
        """Exactly; None where the provider did not report input or output.

        Cached tokens are part of the input and reasoning part of the output. Where nobody said how
        much was cached, all input is charged in full.
        """
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        return (
            (usage.input_tokens - cached) * self.input
            + cached * self.cached_input
            + usage.output_tokens * self.output
        ) / TOKENS


@dataclass(frozen=True, slots=True)
class Prices:
    """Tables of prices by model; the first that knows a model decides."""

    tables: tuple[Mapping[str, Price], ...] = field(repr=False)

    def of(self, model: str) -> Price | None:
        for table in self.tables:
            for name in _names(model):
                if name in table:
                    return table[name]
        return None

    def cost(self, model: str, usage: Usage) -> Decimal | None:
        """US dollars; None where the model has no known price, or its tokens are not known."""
        price = self.of(model)
        return price.cost(usage) if price else None

    def priced(self, record: UsageRecord) -> UsageRecord:
        """The record with its cost, and the date of the price. Neither where one is unknown.

        An estimate that has no output costs its input, at least.
        """
        usage = record.usage
        if record.is_estimate and usage.output_tokens is None:
            usage = replace(usage, output_tokens=0)
        price = self.of(record.model)
        cost = price.cost(usage) if price else None
        dated = price.date if price and cost is not None else None
        return replace(record, cost=cost, priced_on=dated)

    def under(self, text: str, source: str) -> "Prices":
        """These, where the table in ``text`` says nothing else. ``source`` names it in errors.

        :raises PricesError: saying what is wrong with it.
        """
        return Prices((_parsed(text, source), *self.tables))


@cache
def known_prices() -> Prices:
    """The package's own table."""
    name = "prices.toml"
    return Prices(()).under(files("bot").joinpath(name).read_text(encoding="utf-8"), name)


def _names(model: str) -> Iterator[str]:
    """Under which a model may be found, in this order."""
    name = _plain(model)
    while name:
        yield name
        if dated := _DATE.search(name):
            yield name[: dated.start()]
        name = name.partition("/")[2]


def _plain(model: str) -> str:
    return model.strip().lower().replace(".", "-")


def _parsed(text: str, source: str) -> dict[str, Price]:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PricesError(f"{source} is not valid TOML: {error}") from error
    for name in document:
        if name not in ("date", "models"):
            raise PricesError(f"{source}: {name!r} is neither date nor models")
    dated = document.get("date")
    if not isinstance(dated, date) or isinstance(dated, datetime):
        raise PricesError(f"{source}: it needs the date of its prices, as in: date = 2026-11-25")
    models = document.get("models")
    if not isinstance(models, dict):
        raise PricesError(f"{source}: it needs a table [models]")
    prices: dict[str, Price] = {}
    for model, entry in models.items():
        if _plain(model) in prices:
            raise PricesError(f"{source}: model {model!r} is there twice")
        prices[_plain(model)] = _price(entry, dated.isoformat(), f"{source}: model {model!r}")
    return prices


def _price(entry: Any, dated: str, where: str) -> Price:
    if not isinstance(entry, dict):
        raise PricesError(f"{where} must be written as {{ input = 0.15, output = 0.60 }}")
    for key in entry:
        if key not in _KEYS:
            raise PricesError(f"{where} has {key!r}, which is none of {', '.join(_KEYS)}")
    for key in ("input", "output"):
        if key not in entry:
            raise PricesError(f"{where} lacks the price of its {key}")
    prices = {key: _dollars(value, f"{where}: {key}") for key, value in entry.items()}
    return Price(
        prices["input"], prices.get("cached_input", prices["input"]), prices["output"], dated
    )


def _dollars(value: Any, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PricesError(f"{where} must be a number of dollars for a million tokens")
    price = Decimal(value)
    if not (price.is_finite() and 0 <= price <= MOST):
        raise PricesError(f"{where} must be from 0 to {MOST:,} dollars for a million tokens")
    if price != price.quantize(Decimal(1).scaleb(-DECIMALS)):
        raise PricesError(f"{where} has more than {DECIMALS} decimals")
    return price
