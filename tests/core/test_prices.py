"""What answers cost, to the last picodollar."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import TurnKey, Usage, UsageRecord
from bot.money import dollars_of, in_words, units_of
from bot.prices import Prices, PricesError, known_prices

OWN = """
date = 2026-11-01
[models]
"acme/writer" = { input = 1, cached_input = 0.25, output = 3.5 }
"llama3:8b" = { input = 0, output = 0 }
"gpt-4o" = { input = 2, output = 8 }
"""

MILLION = 1_000_000

RECORD = UsageRecord(
    at=datetime(2026, 11, 22, tzinfo=UTC),
    key=TurnKey("T1", "C1", "1.1"),
    user="U1",
    model="gpt-4o",
    usage=Usage(MILLION, 0, MILLION, 0),
    seconds_to_first_delta=0.5,
    seconds=2.5,
    requests=1,
    outcome="complete",
)


def own(text: str = OWN) -> Prices:
    return known_prices().under(text, "prices.toml of ours")


# -- the arithmetic


def test_cost_is_exact() -> None:
    usage = Usage(input_tokens=1_234, cached_tokens=1_000, output_tokens=77, reasoning_tokens=50)

    cost = known_prices().cost("gpt-4o-mini", usage)

    # 234 at 0.15, 1000 at 0.075, 77 at 0.60 dollars a million; reasoning is in the output
    assert cost == Decimal("0.0000351") + Decimal("0.000075") + Decimal("0.0000462")
    assert cost == Decimal("0.0001563")


def test_a_million_answers_cost_a_million_times_as_much() -> None:
    cost = known_prices().cost("gpt-4o-mini", Usage(7, 3, 11, 0))

    assert cost is not None
    assert sum([cost] * MILLION) == cost * MILLION == Decimal("7.425")


def test_cached_input_costs_as_other_input_where_the_list_has_no_price_for_it() -> None:
    assert own().cost("gpt-4o", Usage(MILLION, MILLION, 0, 0)) == 2


def test_input_costs_in_full_where_nobody_said_how_much_was_cached() -> None:
    assert own().cost("acme/writer", Usage(MILLION, None, 0, None)) == 1


def test_more_cached_than_sent_is_taken_for_all_of_it() -> None:
    assert own().cost("acme/writer", Usage(100, 200, 0, 0)) == own().cost(
        "acme/writer", Usage(100, 100, 0, 0)
    )


@pytest.mark.parametrize("usage", [Usage(), Usage(None, 0, 20, 0), Usage(100, 0, None, 0)])
def test_unknown_tokens_have_an_unknown_cost(usage: Usage) -> None:
    assert known_prices().cost("gpt-4o-mini", usage) is None


def test_model_without_a_price_costs_nobody_knows_what() -> None:
    assert known_prices().cost("local-model", Usage(100, 0, 20, 0)) is None


def test_model_that_is_said_to_be_free_costs_nothing() -> None:
    assert own().cost("llama3:8b", Usage(100, 0, 20, 0)) == 0


@given(
    tokens=st.integers(0, 10**9),
    price=st.decimals(0, 100_000, places=6),
)
def test_no_cost_is_lost_between_dollars_and_what_is_stored(tokens: int, price: Decimal) -> None:
    text = f"date = 2026-11-01\n[models]\nm = {{ input = {price:f}, output = {price:f} }}\n"

    cost = own(text).cost("m", Usage(tokens, 0, tokens, 0))

    assert cost is not None
    assert dollars_of(units_of(cost)) == cost


# -- finding a model


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openrouter/openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("GPT-4o-mini", "gpt-4o-mini"),
        ("claude-opus-4-5-20251101", "claude-opus-4.5"),
        ("anthropic/claude-opus-4.5", "claude-opus-4.5"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
    ],
)
def test_model_is_found_by_its_name(model: str, same: str) -> None:
    price = known_prices().of(model)

    assert price is not None
    assert price == known_prices().of(same)


@pytest.mark.parametrize(
    "model", ["gpt-4o-mini:free", "gpt-4o-minimal", "my-gpt-4o-mini", "gpt", "", "/", "2024-07-18"]
)
def test_another_name_is_another_model(model: str) -> None:
    assert known_prices().of(model) is None


def test_a_version_with_a_price_of_its_own_is_found_before_its_model() -> None:
    assert known_prices().of("gpt-4o-2024-05-13") != known_prices().of("gpt-4o-2024-08-06")


def test_own_prices_come_before_those_of_the_package() -> None:
    assert own().cost("gpt-4o", Usage(MILLION, 0, 0, 0)) == 2
    assert own().cost("openai/gpt-4o-2024-05-13", Usage(MILLION, 0, 0, 0)) == 2
    assert own().cost("gpt-4o-mini", Usage(MILLION, 0, 0, 0)) == Decimal("0.15")


def test_a_price_has_the_date_of_its_table() -> None:
    unknown = replace(RECORD, model="local-model")

    assert own().priced(RECORD) == replace(RECORD, cost=Decimal(10), priced_on="2026-11-01")
    assert own().priced(replace(RECORD, model="gpt-4o-mini")).priced_on == "2026-11-25"
    assert own().priced(unknown) == unknown
    assert own().priced(replace(RECORD, usage=Usage())).priced_on is None


def test_an_estimate_without_output_costs_its_input() -> None:
    begun = replace(RECORD, model="gpt-4o-mini", usage=Usage(input_tokens=MILLION))

    assert own().priced(begun).cost is None
    assert own().priced(replace(begun, is_estimate=True)).cost == Decimal("0.15")


# -- the tables


def test_each_model_of_the_package_is_found_under_its_own_name() -> None:
    document = tomllib.loads(files("bot").joinpath("prices.toml").read_text())

    for name, price in document["models"].items():
        found = known_prices().of(name)
        assert found is not None
        assert float(found.input) == price["input"]
        assert found.cached_input <= found.input <= found.output
        assert found.date == document["date"].isoformat()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("date = 2026-11-01\n[models\n", "is not valid TOML: .*line 2"),
        ("[models]\n", "needs the date of its prices"),
        ('date = "yesterday"\n[models]\n', "needs the date of its prices"),
        ("date = 2026-11-01T10:00:00\n[models]\n", "needs the date of its prices"),
        ("date = 2026-11-01\n", r"needs a table \[models\]"),
        ("date = 2026-11-01\nmodels = 3\n", r"needs a table \[models\]"),
        ("date = 2026-11-01\nmodel = 3\n[models]\n", "'model' is neither date nor models"),
        ("date = 2026-11-01\n[models]\nm = 3\n", "model 'm' must be written as"),
        (
            "date = 2026-11-01\n[models]\nm = { input = 3 }\n",
            "model 'm' lacks the price of its outp",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { output = 3 }\n",
            "model 'm' lacks the price of its inp",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = 3, output = 3, cached = 1 }\n",
            "model 'm' has 'cached', which is none of input, cached_input, output",
        ),
        (
            'date = 2026-11-01\n[models]\nm = { input = "3", output = 3 }\n',
            "model 'm': input must be a number of dollars",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = true, output = 3 }\n",
            "model 'm': input must be a number of dollars",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = -1, output = 3 }\n",
            "model 'm': input must be from 0 to 100,000",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = nan, output = 3 }\n",
            "model 'm': input must be from 0 to 100,000",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = 1, output = 100_000.01 }\n",
            "model 'm': output must be from 0 to 100,000",
        ),
        (
            "date = 2026-11-01\n[models]\nm = { input = 0.0000001, output = 3 }\n",
            "model 'm': input has more than 6 decimals",
        ),
        (
            "date = 2026-11-01\n[models]\n"
            '"m.1" = { input = 1, output = 3 }\n"M-1" = { input = 1, output = 4 }\n',
            "model 'M-1' is there twice",
        ),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_words(text: str, problem: str) -> None:
    with pytest.raises(PricesError, match=f"^prices.toml of ours:? .*{problem}"):
        own(text)


# -- in words


@pytest.mark.parametrize(
    ("dollars", "words"),
    [
        ("0", "$0.00"),
        ("1234.5", "$1,234.50"),
        ("0.1", "$0.10"),
        ("0.0156", "$0.0156"),
        ("0.00012", "$0.0001"),
        ("0.00004", "<$0.0001"),
        ("-3", "-$3.00"),
        ("0.125", "$0.12"),
        ("1000000.005", "$1,000,000.00"),
    ],
)
def test_money_is_read_with_the_decimals_that_matter(dollars: str, words: str) -> None:
    assert in_words(Decimal(dollars)) == words
