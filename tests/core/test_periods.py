"""Which days a report is about, where clocks change and months end."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.periods import Period, days_between, months_back, offsets, period, zone_named

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def days(since: str | None = None, until: str | None = None, now: datetime = NOW) -> str:
    found = period(since, until, now=now, default="30d")
    return f"{found.first}..{found.last}"


def before(found: Period, now: datetime = NOW) -> str:
    span = found.before(now)
    assert span
    return "..".join(f"{at:%Y-%m-%d %H:%M}" for at in span)


# -- what a person writes


@pytest.mark.parametrize(
    ("since", "until", "meant"),
    [
        (None, None, "2026-10-27..2026-11-25"),
        ("7d", None, "2026-11-19..2026-11-25"),
        ("1d", None, "2026-11-25..2026-11-25"),
        ("2 weeks", None, "2026-11-12..2026-11-25"),
        ("1month", None, "2026-10-26..2026-11-25"),
        ("3months", "2026-09-30", "2026-07-01..2026-09-30"),
        ("1y", None, "2025-11-26..2026-11-25"),
        ("today", None, "2026-11-25..2026-11-25"),
        ("yesterday", "yesterday", "2026-11-24..2026-11-24"),
        ("2026-11-01", None, "2026-11-01..2026-11-25"),
        ("2026-10", "2026-10", "2026-10-01..2026-10-31"),
        ("2026-02", "2026-02", "2026-02-01..2026-02-28"),
        ("2024-02", "2024-02", "2024-02-01..2024-02-29"),
        ("2026-11", None, "2026-11-01..2026-11-25"),
        ("2026-11", "2026-11", "2026-11-01..2026-11-25"),
        ("2w", "7d", "2026-11-05..2026-11-18"),
        ("1month", "2026-03-30", "2026-02-28..2026-03-30"),
        ("1month", "2026-03-31", "2026-03-01..2026-03-31"),
        ("all", None, "None..2026-11-25"),
    ],
)
def test_period_is_the_days_that_are_meant(since: str, until: str, meant: str) -> None:
    assert days(since, until) == meant


@pytest.mark.parametrize(
    ("since", "until", "problem"),
    [
        ("last week", None, "'last week' is no date: write a date"),
        ("2026-13-01", None, "'2026-13-01' is no date"),
        ("2026-02-30", None, "'2026-02-30' is no date"),
        ("0d", None, "'0d' is no time at all"),
        ("9999y", None, "too long ago"),
        ("2026-11-20", "2026-11-10", "begin on 2026-11-20 and end on 2026-11-10"),
        ("", "soon", "'soon' is no date"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(since: str, until: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        days(since, until)


def test_today_is_the_zone_s() -> None:
    late = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)

    assert period("today", None, now=late, zone=BERLIN, default="30d").last == date(2026, 11, 26)


def test_a_zone_is_known_by_its_name() -> None:
    assert zone_named("utc") is UTC
    assert zone_named("Europe/Berlin") == BERLIN
    for name in ("Mars/Olympus", "../etc/passwd", "Europe"):
        with pytest.raises(ValueError, match="there is no time zone"):
            zone_named(name)


# -- where days begin and end


def test_days_begin_at_the_zone_s_midnight() -> None:
    found = Period(date(2026, 11, 1), date(2026, 11, 30), BERLIN)

    assert found.since == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert found.until == datetime(2026, 11, 30, 23, tzinfo=UTC)


def test_a_day_on_which_clocks_change_has_23_or_25_hours() -> None:
    spring = Period(date(2026, 3, 29), date(2026, 3, 29), BERLIN)
    autumn = Period(date(2026, 10, 25), date(2026, 10, 25), BERLIN)

    assert spring.since
    assert spring.until - spring.since == timedelta(hours=23)
    assert autumn.since
    assert autumn.until - autumn.since == timedelta(hours=25)


def test_a_day_without_a_midnight_begins_when_the_clocks_skip_it() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # at 0:00 on 24 April 2026 it is 1:00

    day = Period(date(2026, 4, 24), date(2026, 4, 24), cairo)

    assert day.since == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert day.until - day.since == timedelta(hours=23)


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Africa/Cairo", "Pacific/Apia"]),
    since=st.datetimes(datetime(2011, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    length=st.timedeltas(timedelta(), timedelta(days=40)),
)
def test_days_between_two_times_leave_no_gap(zone: str, since: datetime, length: timedelta) -> None:
    there, until = ZoneInfo(zone), since + length

    days = days_between(since, until, there, most=50)

    ends = [since, *(end for _, _, end in days)]
    assert ends[-1] == until
    assert [start for _, start, _ in days] == ends[:-1]
    assert all(day == start.astimezone(there).date() for day, start, _ in days)
    assert len({day for day, _, _ in days}) == len(days)


def test_too_many_days_are_none() -> None:
    year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    assert days_between(*year, UTC, most=100) == []
    assert len(days_between(*year, UTC, most=365)) == 365


def test_offsets_change_when_the_clocks_do() -> None:
    year = offsets(BERLIN, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    assert year == [
        (datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)),
        (datetime(2026, 3, 29, 1, tzinfo=UTC), timedelta(hours=2)),
        (datetime(2026, 10, 25, 1, tzinfo=UTC), timedelta(hours=1)),
    ]


@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Cairo"]),
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_offsets_tell_the_day_of_any_moment(zone: str, at: datetime) -> None:
    there = ZoneInfo(zone)
    known = offsets(there, datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    offset = [ahead for since, ahead in known if since <= at][-1]

    assert (at + offset).date() == at.astimezone(there).date()


# -- the time before


def test_days_are_compared_with_as_many_days() -> None:
    over = Period(date(2026, 11, 11), date(2026, 11, 20))

    assert before(over) == "2026-11-01 00:00..2026-11-11 00:00"
    assert over.before_in_words == "the 10 days before"


def test_a_period_that_is_not_over_is_compared_with_what_is_as_old() -> None:
    found = period("7d", None, now=NOW, default="30d")

    assert before(found) == "2026-11-12 00:00..2026-11-18 12:30"


@pytest.mark.parametrize(
    ("since", "until", "earlier", "words"),
    [
        ("2026-10", "2026-10", "2026-09-01 00:00..2026-10-01 00:00", "the month before"),
        ("2026-03", "2026-03", "2026-02-01 00:00..2026-03-01 00:00", "the month before"),
        ("2026-07-01", "2026-09-30", "2026-04-01 00:00..2026-07-01 00:00", "the 3 months before"),
        ("2026-11", None, "2026-10-01 00:00..2026-10-25 12:30", "the month before"),
        ("1month", None, "2026-09-26 00:00..2026-10-25 12:30", "the month before"),
        ("1y", "2026-10-31", "2024-11-01 00:00..2025-11-01 00:00", "the 12 months before"),
    ],
)
def test_months_are_compared_with_months(since: str, until: str, earlier: str, words: str) -> None:
    found = period(since, until, now=NOW, default="30d")

    assert (before(found), found.before_in_words) == (earlier, words)


def test_the_end_of_a_long_month_is_compared_with_the_end_of_a_short_one() -> None:
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    march = period("2026-03", None, now=now, default="30d")

    assert before(march, now) == "2026-02-01 00:00..2026-02-28 12:00"


def test_all_there_is_has_nothing_before_it() -> None:
    assert period("all", None, now=NOW, default="30d").before(NOW) is None


@given(
    first=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    length=st.integers(1, 800),
    months=st.integers(0, 24),
)
def test_the_time_before_ends_where_the_period_begins(
    first: date, length: int, months: int
) -> None:
    length = max(length, 28 * months)  # so long is what is compared with months, at least
    found = Period(first, first + timedelta(days=length - 1), BERLIN, months)
    after = datetime(2040, 1, 1, tzinfo=UTC)

    span = found.before(after)

    assert span
    assert found.since
    assert span[0] < span[1] <= found.since
    if not months:
        assert span[1] == found.since


@given(day=st.dates(date(1990, 1, 1), date(2090, 1, 1)), count=st.integers(0, 500))
def test_months_back_keeps_the_day_where_the_month_has_it(day: date, count: int) -> None:
    earlier = months_back(day, count)

    assert (day.year - earlier.year) * 12 + day.month - earlier.month == count
    assert earlier.day == day.day or (earlier + timedelta(days=1)).day == 1


# -- in words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Period(date(2026, 10, 27), date(2026, 11, 25)), "27 Oct to 25 Nov 2026 (UTC)"),
        (Period(date(2025, 12, 1), date(2026, 1, 31)), "1 Dec 2025 to 31 Jan 2026 (UTC)"),
        (Period(date(2026, 11, 25), date(2026, 11, 25), BERLIN), "25 Nov 2026 (Europe/Berlin)"),
        (Period(None, date(2026, 11, 25)), "until 25 Nov 2026 (UTC)"),
    ],
)
def test_period_is_read_as_its_days(found: Period, words: str) -> None:
    assert found.in_words == words
