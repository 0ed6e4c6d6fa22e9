"""The days that a report is about, as a time zone has them, and the time before to compare with."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = timedelta(days=1)

Day = tuple[date, datetime, datetime]  # with its beginning and its end, in UTC

MOST_BINS = 62  # columns that a chart can show beside each other: two months of days

_SPAN = re.compile(r"(\d{1,4})\s*(d|days?|w|weeks?|months?|y|years?)")
_MONTHS = {"m": 1, "y": 12}
_DAYS = {"d": 1, "w": 7}

_FORMS = "write a date (2026-11-01), a month (2026-11), or a time to go back (7d, 2w, 1month, 1y)"


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, ``first`` and ``last`` both in it; without a ``first``, all there is till then.

    A day is from one midnight of ``zone`` to the next, so that where clocks change it has 23 or 25
    hours.
    """

    first: date | None
    last: date
    zone: tzinfo = UTC
    months: int = 0  # so many it was given in; 0: in days

    @property
    def since(self) -> datetime | None:
        """In UTC."""
        return None if self.first is None else _midnight(self.first, self.zone)

    @property
    def until(self) -> datetime:
        """In UTC; no longer in it."""
        return _midnight(self.last + DAY, self.zone)

    def before(self, now: datetime) -> tuple[datetime, datetime] | None:
        """As much time just before, in UTC; None where this has no beginning.

        Months are compared with months, days with as many days. Where the period is not over, with
        that part of the earlier one that is as old: this month until today with the last until
        the same day and time of it.
        """
        if self.first is None or self.since is None:
            return None
        end = min(now, self.until).astimezone(self.zone).replace(tzinfo=None)
        since = datetime.combine(self._back(self.first), time(), self.zone)
        until = datetime.combine(self._back(end.date()), end.time(), self.zone)
        return since.astimezone(UTC), min(until.astimezone(UTC), self.since)

    def days(self) -> list[date]:
        if self.first is None:
            return []
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]

    @property
    def in_words(self) -> str:
        """``26 Oct to 25 Nov 2026 (UTC)``."""
        if self.first is None:
            return f"until {_day(self.last)} ({self.zone})"
        if self.first == self.last:
            return f"{_day(self.last)} ({self.zone})"
        is_of_one_year = self.first.year == self.last.year
        first = short_day(self.first) if is_of_one_year else _day(self.first)
        return f"{first} to {_day(self.last)} ({self.zone})"

    @property
    def before_in_words(self) -> str:
        """What `before` is, to be read after "compared with"."""
        count, unit = (self.months, "month") if self.months else (len(self.days()), "day")
        return f"the {unit} before" if count == 1 else f"the {count} {unit}s before"

    def _back(self, day: date) -> date:
        return months_back(day, self.months) if self.months else day - len(self.days()) * DAY


def period(
    since: str | None, until: str | None, *, now: datetime, zone: tzinfo = UTC, default: str
) -> Period:
    """The days that a person means.

    ``7d`` are seven days, the last of them ``until`` or else today. ``1month`` before a day that
    the earlier month does not have begins on that month's last day. A month alone is all of it,
    as far as it is over.

    :raises ValueError: saying what is wrong.
    """
    today = now.astimezone(zone).date()
    last = min(_last(until, today), today) if until else today
    since = (since or default).strip().lower()
    if since == "all":
        return Period(None, last, zone)
    first, months = _first(since, last, today)
    if first > last:
        raise ValueError(f"the period would begin on {first} and end on {last}: turn them around")
    return Period(first, last, zone, months or _whole_months(first, last))


def bins(first: date, last: date) -> list[tuple[date, date]]:
    """The days of a chart: one by one where they are few, else by weeks or by months."""
    days = (last - first).days + 1
    if days <= MOST_BINS:
        return [(first + number * DAY, first + number * DAY) for number in range(days)]
    if days <= MOST_BINS * 7:
        monday = first - first.weekday() * DAY
        starts = [monday + number * 7 * DAY for number in range((last - monday).days // 7 + 1)]
    else:
        count = (last.year - first.year) * 12 + last.month - first.month
        starts = [months_back(last.replace(day=1), number) for number in range(count, -1, -1)]
    ends = [start - DAY for start in starts[1:]] + [last]
    return [(max(start, first), end) for start, end in zip(starts, ends, strict=True)]


def days_between(since: datetime, until: datetime, zone: tzinfo, *, most: int) -> list[Day]:
    """The days of a zone, as far as they are between the two; none where they are more."""
    first, last = (at.astimezone(zone).date() for at in (since, until))
    if (last - first).days > most:
        return []
    days = [first + number * DAY for number in range((last - first).days + 1)]
    bounds = [
        (day, max(since, _midnight(day, zone)), min(until, _midnight(day + DAY, zone)))
        for day in days
    ]
    return [(day, start, end) for day, start, end in bounds if start < end]


def zone_named(name: str) -> tzinfo:
    """:raises ValueError: there is no such time zone here."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}: write one like Europe/Berlin") from error


def months_back(day: date, count: int) -> date:
    """The same day of an earlier month, or that month's last."""
    number = day.year * 12 + day.month - 1 - count
    if number < 12:
        raise ValueError("that is too long ago")
    year, month = divmod(number, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def offsets(zone: tzinfo, since: datetime, until: datetime) -> list[tuple[datetime, timedelta]]:
    """By how much the zone's clocks are ahead of UTC between two times, and from when on each."""
    found = [(since, _offset(zone, since))]
    at = since
    while at < until:
        later = min(at + DAY, until)
        if _offset(zone, later) != found[-1][1]:
            at = _change(zone, at, later)
            found.append((at, _offset(zone, at)))
        else:
            at = later
    return found


def _change(zone: tzinfo, early: datetime, late: datetime) -> datetime:
    """The second between the two from which on the clocks of the zone are changed."""
    before = _offset(zone, early)
    early, late = early.replace(microsecond=0), late.replace(microsecond=0)
    while (gap := int((late - early).total_seconds())) > 1:
        middle = early + timedelta(seconds=gap // 2)
        if _offset(zone, middle) == before:
            early = middle
        else:
            late = middle
    return late


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _midnight(day: date, zone: tzinfo) -> datetime:
    """With which the day begins, in UTC. Where clocks skip it, the moment at which they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _first(text: str, last: date, today: date) -> tuple[date, int]:
    """The first day, and how many months were meant; 0: days."""
    if span := _SPAN.fullmatch(text):
        count, unit = int(span[1]), span[2][0]
        if not count:
            raise ValueError(f"{text!r} is no time at all")
        if unit in _MONTHS:
            return months_back(last + DAY, count * _MONTHS[unit]), count * _MONTHS[unit]
        return last - (count * _DAYS[unit] - 1) * DAY, 0
    days = list(_day_or_month(text, today))
    months = (last.year - days[0].year) * 12 + last.month - days[0].month + 1
    return days[0], months if len(days) > 1 else 0


def _last(text: str, today: date) -> date:
    text = text.strip().lower()
    if span := _SPAN.fullmatch(text):
        count, unit = int(span[1]), span[2][0]
        if unit in _MONTHS:
            return months_back(today, count * _MONTHS[unit])
        return today - count * _DAYS[unit] * DAY
    return list(_day_or_month(text, today))[-1]


def _day_or_month(text: str, today: date) -> Iterator[date]:
    """The day, or the first and the last of the month."""
    if text in ("today", "yesterday"):
        yield today if text == "today" else today - DAY
        return
    try:
        if re.fullmatch(r"\d{4}-\d{2}", text):
            first = date.fromisoformat(f"{text}-01")
            yield first
            yield first.replace(day=monthrange(first.year, first.month)[1])
        elif re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            yield date.fromisoformat(text)
        else:
            raise ValueError(f"{text!r} is no date: {_FORMS}")
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {_FORMS}") from error


def _whole_months(first: date, last: date) -> int:
    """How many months the two make, from the first day of one to the last of another; else 0."""
    if first.day == 1 and (last + DAY).day == 1:
        return (last.year - first.year) * 12 + last.month - first.month + 1
    return 0


def short_day(day: date) -> str:
    """``26 Oct``."""
    return f"{day.day} {_NAMES[day.month - 1]}"


def _day(day: date) -> str:
    return f"{short_day(day)} {day.year}"


# Not strftime: its names depend on the operator's locale.
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
