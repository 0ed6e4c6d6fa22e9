"""What answers cost, as people read it."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import TurnKey, Usage, UsageRecord
from bot.usage import WAIT_STEPS, Total, grouped, in_words, total_of, wait_within
from tests.core.fakes import question

RECORD = UsageRecord(
    at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    key=TurnKey("T1", "C1", "1700000000.000100"),
    user="UANA",
    model="gpt-4o-mini",
    usage=Usage(1_200, 0, 80, None),
    seconds_to_first_delta=0.41234,
    seconds=2.5,
    requests=1,
    outcome="complete",
    cost=Decimal("0.000228"),
    priced_on="2026-11-25",
)


# -- sums


def test_sums_of_groups_are_those_of_their_records() -> None:
    """2 + 3 answers, 1.25 + 0.75 dollars, and what one of them does not know."""
    general = Total(
        ("C1", "2026-11-01"),
        answers=2,
        complete=2,
        usage=Usage(100, None, 20, 5),
        cost=Decimal("1.25"),
        waits=2,
        seconds_waited=1.5,
    )
    other = Total(
        ("C2", "2026-11-01"),
        answers=3,
        complete=1,
        cut=1,
        failed=1,
        unpriced=1,
        usage=Usage(50, 10, 4, None),
        cost=Decimal("0.75"),
        waits=2,
        seconds_waited=0.5,
    )
    both = Total(
        answers=5,
        complete=3,
        cut=1,
        failed=1,
        unpriced=1,
        usage=Usage(150, 10, 24, 5),
        cost=Decimal(2),
        waits=4,
        seconds_waited=2.0,
    )

    assert total_of([general, other]) == both
    assert both.tokens == 174
    assert both.seconds_to_first_words == 0.5
    assert grouped([general, other], 1) == [replace(both, group=("2026-11-01",))]
    assert grouped([general, other], 0) == [
        replace(general, group=("C1",)),
        replace(other, group=("C2",)),
    ]


def test_a_cost_that_nobody_knows_is_not_nought() -> None:
    unknown, free = Total(answers=1, unpriced=1), Total(answers=1, cost=Decimal(0))

    assert (unknown + unknown).cost is None
    assert (unknown + free).cost == 0
    assert total_of([]) == Total()
    assert Total().seconds_to_first_words is None


# -- waiting


def test_half_of_the_answers_are_within_the_median() -> None:
    waits = Counter({3: 10, 7: 10})  # ten in 0.3 to 0.4 s, ten in 0.7 to 0.8 s

    assert wait_within(waits, 0.5) == pytest.approx(0.4)
    assert wait_within(waits, 0.25) == pytest.approx(0.35)
    assert wait_within(waits, 1.0) == pytest.approx(0.8)


def test_a_wait_without_an_end_counts_as_the_longest_that_is_told() -> None:
    starts = (0, *(end for _, end in WAIT_STEPS))
    last = sum(
        (end - start) // width for start, (width, end) in zip(starts, WAIT_STEPS, strict=False)
    )

    assert wait_within(Counter({last: 1}), 0.5) == 120.0
    assert wait_within(Counter(), 0.5) is None


@given(waits=st.dictionaries(st.integers(0, 58), st.integers(1, 100), min_size=1))
def test_more_of_the_answers_take_longer(waits: dict[int, int]) -> None:
    shares = [wait_within(Counter(waits), share / 20) or 0.0 for share in range(1, 21)]

    assert shares == sorted(shares)


# -- one record


def test_record_reads_as_lines_of_name_and_value() -> None:
    lines = [line.split() for line in in_words(RECORD).splitlines()]

    assert lines == [
        ["team", "T1"],
        ["channel", "C1"],
        ["ts", "1700000000.000100"],
        ["attempt", "1"],
        ["is_resumed", "no"],
        ["purpose", "answer"],
        ["user", "UANA"],
        ["model", "gpt-4o-mini"],
        ["input_tokens", "1200"],
        ["cached_tokens", "0"],
        ["output_tokens", "80"],
        ["reasoning_tokens", "unknown"],
        ["is_estimate", "no"],
        ["cost", "$0.000228"],
        ["priced_on", "2026-11-25"],
        ["seconds_to_first_delta", "0.41"],
        ["seconds", "2.50"],
        ["requests", "1"],
        ["outcome", "complete"],
    ]


def test_answer_without_a_first_delta_has_no_time_to_it() -> None:
    text = in_words(replace(RECORD, seconds_to_first_delta=None))

    assert "seconds_to_first_delta  unknown" in text


# -- tokens

COUNTS = st.none() | st.integers(0, 10_000)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS)


@given(a=USAGES, b=USAGES, c=USAGES)
def test_usage_adds_up_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a


def test_unknown_is_not_zero() -> None:
    assert Usage(1, None, 2, None) + Usage(3, 4, None, None) == Usage(4, 4, 2, None)


# -- the values themselves


def test_turn_is_named_by_team_channel_and_ts() -> None:
    asked = question("why?")

    assert str(asked.key) == "T1:C1:1700000000.000100"
    assert asked.key == question("how?").key


def test_question_in_a_thread_does_not_open_it() -> None:
    assert question("why?").opens_thread
    assert not question("why?", thread_ts="1690000000.000001").opens_thread


def test_direct_messages_are_known_by_their_channel() -> None:
    assert question("why?", channel="D1").is_dm
    assert not question("why?", channel="G1").is_dm
