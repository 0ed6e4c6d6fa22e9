"""What answers cost, as people read it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import TurnKey, Usage, UsageRecord
from bot.usage import Total, in_words, table, total_of
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
)


def total(channel: str = "C1", *, unreported: int = 0, usage: Usage | None = None) -> Total:
    return Total(channel, 3, 2, unreported, usage or Usage(1_200_000, 0, 80, None))


# -- the table


def test_table_has_a_line_for_each_channel_and_one_for_all() -> None:
    text = table([total("C1"), total("C0123456789", usage=Usage(10, None, 20, 5))])

    assert text.splitlines() == [
        "channel      answers  complete      input  cached  output  reasoning",
        "C1                 3         2  1,200,000       0      80          -",
        "C0123456789        3         2         10       -      20          5",
        "all                6         4  1,200,010       0     100          5",
    ]


def test_table_of_one_channel_needs_no_sum() -> None:
    lines = table([total()]).splitlines()

    assert [line.split()[0] for line in lines] == ["channel", "C1"]


def test_table_of_nothing_says_so() -> None:
    assert table([]) == "No answers are recorded yet."


@pytest.mark.parametrize(
    ("unreported", "sentence"),
    [
        (1, "The tokens of 1 answer were not reported and are not counted."),
        (2, "The tokens of 2 answers were not reported and are not counted."),
    ],
)
def test_table_says_what_it_could_not_count(unreported: int, sentence: str) -> None:
    text = table([total(), total("C2", unreported=unreported)])

    assert text.endswith(f"\n\n{sentence}")


def test_tokens_that_nobody_reported_stay_unknown_in_the_sum() -> None:
    unknown = Total("C1", 1, 0, 1, Usage())

    assert total_of([unknown, unknown]) == Total("all", 2, 0, 2, Usage())


# -- one record


def test_record_reads_as_lines_of_name_and_value() -> None:
    lines = [line.split() for line in in_words(RECORD).splitlines()]

    assert lines == [
        ["team", "T1"],
        ["channel", "C1"],
        ["ts", "1700000000.000100"],
        ["user", "UANA"],
        ["model", "gpt-4o-mini"],
        ["input_tokens", "1200"],
        ["cached_tokens", "0"],
        ["output_tokens", "80"],
        ["reasoning_tokens", "unknown"],
        ["seconds_to_first_delta", "0.41"],
        ["seconds", "2.50"],
        ["requests", "1"],
        ["outcome", "complete"],
    ]


def test_answer_without_a_first_delta_has_no_time_to_it() -> None:
    text = in_words(replace(RECORD, seconds_to_first_delta=None))

    assert "seconds_to_first_delta  unknown" in text


# -- sums

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
