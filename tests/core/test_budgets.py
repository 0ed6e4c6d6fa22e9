"""How much may be used: what is near, what is spent, and what people read of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets import (
    EACH,
    Limit,
    Span,
    Subject,
    Use,
    covering,
    near,
    parse_limit,
    parse_subject,
    period_of,
    refusal,
    resets_at,
    spent,
    warning,
    why_not,
    why_not_model,
    why_not_there,
)
from bot.prices import Prices, known_prices

NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)
DOLLAR = 10**12

WORKSPACE = Subject("workspace", "T1")
CHANNEL = Subject("channel", "C1")
PERSON = Subject("person", "U1")


def use(used: int, limit: Limit | None = None, *, is_told: bool = False) -> Use:
    limit = limit or Limit(PERSON, 1_000, "tokens", "day")
    return Use(limit, limit.subject.who, used, is_told=is_told)


# -- fine, near, spent


@pytest.mark.parametrize(
    ("used", "state"),
    [(0, "fine"), (799, "fine"), (800, "near"), (999, "near"), (1_000, "spent"), (5_000, "spent")],
)
def test_a_limit_is_near_at_80_percent_and_spent_at_all_of_it(used: int, state: str) -> None:
    assert use(used).state == state


def test_a_limit_of_nothing_is_spent_from_the_beginning() -> None:
    assert use(0, Limit(CHANNEL, 0, "tokens", "day")).state == "spent"


@given(amount=st.integers(1, 10**18), used=st.integers(0, 10**18))
def test_shares_are_exact(amount: int, used: int) -> None:
    held = use(used, Limit(PERSON, amount, "dollars", "month"))

    assert (held.state == "spent") == (used >= amount)
    assert (held.state == "fine") == (used * 5 < amount * 4)


def test_of_several_spent_limits_the_one_that_holds_longest_is_told() -> None:
    day = use(1_000)
    month = use(9_000, Limit(CHANNEL, 9_000, "tokens", "month"))
    wide = use(9_000, Limit(WORKSPACE, 9_000, "tokens", "month"))

    assert spent([day, month, wide]) == wide
    assert spent([day, month]) == month
    assert spent([use(999), day]) == day
    assert spent([use(999)]) is None
    assert spent([]) is None


def test_people_are_told_once_that_little_is_left() -> None:
    assert near([use(850), use(850, is_told=True), use(100), use(1_000)]) == [use(850)]


# -- days and months


@pytest.mark.parametrize(
    ("every", "now", "resets"),
    [
        ("day", "2026-11-25 20:30", "2026-11-26 00:00"),
        ("day", "2026-12-31 23:59", "2027-01-01 00:00"),
        ("month", "2026-11-25 20:30", "2026-12-01 00:00"),
        ("month", "2026-12-31 23:59", "2027-01-01 00:00"),
        ("month", "2027-01-31 00:00", "2027-02-01 00:00"),
        ("month", "2024-02-29 12:00", "2024-03-01 00:00"),
    ],
)
def test_limits_reset_when_the_next_day_or_month_begins(every: Span, now: str, resets: str) -> None:
    at = datetime.fromisoformat(f"{now}+00:00")

    assert f"{resets_at(every, at):%Y-%m-%d %H:%M}" == resets
    assert period_of(every, at) != period_of(every, resets_at(every, at))
    assert period_of(every, at) == period_of(every, resets_at(every, at) - timedelta(seconds=1))


def test_days_are_those_of_utc_wherever_the_clock_is() -> None:
    there = datetime.fromisoformat("2026-12-01T01:00:00+02:00")

    assert (period_of("day", there), period_of("month", there)) == ("2026-11-30", "2026-11")


# -- what people read


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (
            Limit(PERSON, DOLLAR, "dollars", "day"),
            "You have used up your budget of $1.00 a day, so I cannot answer this. It resets at "
            "00:00 UTC, in less than 4 hours. An admin can raise it.",
        ),
        (
            Limit(CHANNEL, 200_000, "tokens", "month"),
            "This channel has used up its budget of 200,000 tokens a month, so I cannot answer "
            "this. It resets on 2026-12-01 at 00:00 UTC. An admin can raise it.",
        ),
        (
            Limit(CHANNEL, 0, "tokens", "day"),
            "This channel has no budget for my answers. An admin can give one.",
        ),
    ],
)
def test_a_refusal_names_the_limit_and_when_it_resets(limit: Limit, sentence: str) -> None:
    assert refusal(use(limit.amount, limit), NOW) == sentence


def test_a_warning_names_what_is_used_of_what() -> None:
    limit = Limit(WORKSPACE, 50 * DOLLAR, "dollars", "month")

    assert warning(use(41 * DOLLAR, limit), NOW) == (
        "This workspace has used 82 % of its budget of $50.00 a month: $41.00. It resets on "
        "2026-12-01 at 00:00 UTC."
    )


def test_the_last_hour_is_told_in_minutes() -> None:
    late = datetime(2026, 11, 25, 23, 50, 30, tzinfo=UTC)

    assert "in less than 10 minutes" in refusal(use(1_000), late)


def test_a_budget_in_dollars_needs_a_price() -> None:
    limit = Limit(WORKSPACE, DOLLAR, "dollars", "month")

    assert why_not(limit, "gpt-4o-mini", known_prices()) is None
    assert why_not(Limit(WORKSPACE, 9, "tokens", "day"), "local-model", known_prices()) is None
    assert why_not(limit, "local-model", known_prices()) == (
        "A budget in dollars cannot be kept: the model local-model has no known price. Give it "
        "one in PRICES_FILE, or set the budget in tokens."
    )


# -- what people write


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$5 a day", "$5.00 a day"),
        ("5 dollars a day", "$5.00 a day"),
        ("5$/day", "$5.00 a day"),
        ("0.05 USD per day", "$0.0500 a day"),
        ("1,000.50 dollars monthly", "$1,000.50 a month"),
        ("1 dollar every month", "$1.00 a month"),
        ("$2k a month", "$2,000.00 a month"),
        ("200,000 tokens a month", "200,000 tokens a month"),
        ("200k tokens per month", "200,000 tokens a month"),
        ("1.5M tokens/month", "1,500,000 tokens a month"),
        ("1 token a day", "1 token a day"),
        ("0 tokens a day", "0 tokens a day"),
        ("  2_000 Tokens  daily ", "2,000 tokens a day"),
    ],
)
def test_budgets_are_read_as_people_write_them(text: str, words: str) -> None:
    assert parse_limit(text, PERSON).in_words == words


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no budget: write one like"),
        ("5", "is no budget"),
        ("5 dollars", "is no budget"),
        ("5 dollars a week", "is no budget"),
        ("-5 dollars a day", "is no budget"),
        ("5 euros a day", "is no budget"),
        ("1e9 dollars a day", "is no budget"),
        ("1,5 dollars a day", "is no budget"),  # fifteen, or one and a half?
        ("1.000,50 dollars a day", "is no budget"),
        ("20,00 dollars a month", "is no budget"),
        ("0 a month", "dollars or tokens?"),  # what a shell makes of $50 a month
        ("$5 tokens a day", "dollars or tokens?"),
        ("1.5 tokens a day", "there are no parts of tokens"),
        ("1000001 dollars a day", "is more than anybody could use"),
        ("5 dollars a day or so", "is no budget"),
    ],
)
def test_what_is_no_budget_is_refused_in_words(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("?", r"\?")):
        parse_limit(text, PERSON)


@given(cents=st.integers(0, 10**8), every=st.sampled_from(["day", "month"]))
def test_what_is_shown_can_be_written(cents: int, every: str) -> None:
    limit = parse_limit(f"{Decimal(cents) / 100} dollars a {every}", PERSON)

    if cents >= 10:
        assert parse_limit(limit.in_words, PERSON) == limit
    assert limit.amount == cents * DOLLAR // 100


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("workspace", WORKSPACE),
        ("Workspace", WORKSPACE),
        ("each-channel", Subject("channel", EACH)),
        ("each person", Subject("person", EACH)),
        ("C1ABC", Subject("channel", "C1ABC")),
        ("<#C1ABC|general>", Subject("channel", "C1ABC")),
        ("D024BE91L", Subject("channel", "D024BE91L")),
        ("U1ABC", Subject("person", "U1ABC")),
        ("<@W1ABC>", Subject("person", "W1ABC")),
        ("<@U1ABC|ana>", Subject("person", "U1ABC")),
    ],
)
def test_subjects_are_read_as_slack_and_people_write_them(text: str, subject: Subject) -> None:
    assert parse_subject(text, "T1") == subject


@pytest.mark.parametrize("text", ["", "general", "#general", "*", "T1ABC", "C1", "U1ABC U2ABC"])
def test_other_subjects_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is none of: workspace, each-channel"):
        parse_subject(text, "T1")


# -- models that channels choose

UNKNOWN = Prices(())
EACH_CHANNEL = Subject("channel", EACH)


def dollars(subject: Subject, every: Span = "month", amount: int = DOLLAR) -> Limit:
    return Limit(subject, amount, "dollars", every)


def tokens(subject: Subject, every: Span = "month") -> Limit:
    return Limit(subject, 1_000, "tokens", every)


@pytest.mark.parametrize(
    ("limits", "held"),
    [
        ([dollars(WORKSPACE)], True),
        ([dollars(CHANNEL)], True),
        ([dollars(EACH_CHANNEL)], True),
        ([dollars(Subject("person", EACH))], True),
        ([dollars(Subject("channel", "C2"))], False),
        ([tokens(WORKSPACE)], False),
        ([dollars(WORKSPACE, amount=0)], False),
        ([dollars(EACH_CHANNEL), tokens(CHANNEL)], False),
        ([dollars(EACH_CHANNEL, "day"), tokens(CHANNEL, "month")], True),
    ],
)
def test_budgets_in_dollars_cover_channels(limits: list[Limit], held: bool) -> None:
    assert bool(covering(limits, "C1")) is held
    assert bool(why_not_model(limits, "C1", "a model", UNKNOWN)) is held


@pytest.mark.parametrize(
    ("limit", "chosen", "is_refused"),
    [
        (dollars(WORKSPACE), {"C1": "a model"}, True),
        (dollars(WORKSPACE), {}, False),
        (dollars(CHANNEL), {"C2": "a model"}, False),
        (tokens(CHANNEL), {"C1": "a model"}, False),
        (dollars(EACH_CHANNEL), {"C1": "a model"}, False),  # which has one of its own
        (dollars(EACH_CHANNEL), {"C2": "a model"}, True),
        (dollars(CHANNEL), {"C1": "a model"}, True),  # in the place of that
    ],
)
def test_budget_in_dollars_is_refused_beside_a_model_without_a_price(
    limit: Limit, chosen: dict[str, str], is_refused: bool
) -> None:
    set_already = [tokens(CHANNEL)]

    assert bool(why_not_there(limit, set_already, chosen, UNKNOWN)) is is_refused
