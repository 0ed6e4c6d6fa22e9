"""The usage log, limits and retention: the same on a SQLite file and on PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.budgets import EACH, Limit, Subject, Use
from bot.messages import Outcome, Question, TurnKey, Usage, UsageRecord
from bot.store import Store, opened
from bot.usage import By, Selection, Total

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DOLLAR = 10**12

RECORD = UsageRecord(
    at=NOON,
    key=TurnKey("T1", "C1", "1700000000.000100"),
    user="U1",
    model="gpt-4o-mini",
    usage=Usage(100, 40, 20, 5),
    seconds_to_first_delta=0.5,
    seconds=2.25,
    requests=1,
    outcome="complete",
    cost=Decimal("0.25"),
    priced_on="2026-11-25",
)


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url) as store:
        yield store


def engine_of(store: Store) -> AsyncEngine:
    return store.ledger._engine


class Scribe:
    """Writes records, each of a question of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    async def note(
        self, at: datetime | str = NOON, channel: str = "C1", **values: Any
    ) -> UsageRecord:
        self.count += 1
        at = datetime.fromisoformat(f"{at}+00:00") if isinstance(at, str) else at
        key = TurnKey("T1", channel, f"17000{self.count:05}.000100")
        record = replace(RECORD, **{"at": at, "key": key, **values})
        await self.store.ledger.record(record)
        return record


@pytest.fixture
def scribe(store: Store) -> Scribe:
    return Scribe(store)


def by_group(totals: list[Total]) -> dict[tuple[str, ...], Total]:
    return {total.group: replace(total, group=()) for total in totals}


# ---- records


async def test_record_is_read_back_as_it_was(store: Store, scribe: Scribe) -> None:
    await scribe.note(channel="C9")
    record = await scribe.note(
        cost=Decimal("0.000000000001"), is_estimate=True, attempt=2, is_resumed=True
    )

    assert await store.ledger.newest() == record


async def test_unknown_stays_unknown(store: Store, scribe: Scribe) -> None:
    unknown = await scribe.note(
        usage=Usage(), seconds_to_first_delta=None, outcome="failed", cost=None, priced_on=None
    )

    assert await store.ledger.newest() == unknown


async def test_a_record_takes_the_place_of_the_estimate_of_its_attempt(store: Store) -> None:
    estimate = replace(RECORD, usage=Usage(90), is_estimate=True, outcome="failed", cost=None)
    final = replace(RECORD, at=NOON + timedelta(minutes=1))

    for record in (estimate, final, final):
        await store.ledger.record(record)
    await store.ledger.record(replace(final, attempt=2, is_resumed=True))
    await store.ledger.record(replace(final, purpose="title"))

    whole = await store.ledger.whole()
    assert (whole.answers, whole.resumed, whole.others, whole.estimated) == (2, 1, 1, 0)
    assert whole.cost == Decimal("0.75")


async def test_what_was_asked_for_anew_is_not_counted_as_begun_again(store: Store) -> None:
    await store.ledger.record(RECORD)
    await store.ledger.record(replace(RECORD, attempt=2))

    whole = await store.ledger.whole()
    assert (whole.answers, whole.resumed) == (2, 0)


async def test_empty_ledger_has_nothing_to_tell(store: Store) -> None:
    assert await store.ledger.newest() is None
    assert await store.ledger.span() is None
    assert await store.ledger.teams() == []
    assert await store.ledger.totals(("channel", "day")) == []
    assert await store.ledger.whole() == Total()
    assert await store.ledger.waits() == {}


async def test_the_ledger_knows_its_workspaces_and_its_span(store: Store, scribe: Scribe) -> None:
    for team in ("T2", "T1", "T3", "T1"):
        record = await scribe.note("2026-11-01 00:00")
        await store.ledger.record(replace(record, key=record.key._replace(team=team)))
    await scribe.note("2026-11-30 23:59:59.999999")

    assert await store.ledger.teams() == ["T1", "T2", "T3"]
    assert await store.ledger.span() == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    )


# ---- sums


async def three_days(scribe: Scribe) -> None:
    """Five answers and a title, of two people in two channels, by two models."""
    await scribe.note("2026-10-31 23:59:59.999999", "C1", cost=Decimal("1"))
    await scribe.note("2026-11-01 00:00", "C1", cost=Decimal("2.5"), user="U2")
    await scribe.note("2026-11-01 10:00", "C2", cost=Decimal("0.125"), outcome="cut")
    await scribe.note(
        "2026-11-02 10:00",
        "C2",
        model="big",
        usage=Usage(1_000, None, 200, None),
        seconds_to_first_delta=1.5,
        cost=None,
        outcome="stopped",
        is_estimate=True,
    )
    await scribe.note(
        "2026-11-02 11:00",
        "C2",
        usage=Usage(),
        seconds_to_first_delta=None,
        cost=None,
        outcome="failed",
    )
    await scribe.note("2026-11-02 12:00", "C1", cost=Decimal("0.001"), purpose="title")


async def test_all_is_summed(store: Store, scribe: Scribe) -> None:
    await three_days(scribe)

    assert await store.ledger.whole() == Total(
        answers=5,
        complete=2,
        cut=1,
        stopped=1,
        failed=1,
        others=1,
        unreported=1,
        estimated=1,
        unpriced=1,
        usage=Usage(1_400, 160, 280, 20),
        cost=Decimal("3.626"),
        waits=4,
        seconds_waited=3.0,
    )


async def test_groups_are_summed_by_each_thing(store: Store, scribe: Scribe) -> None:
    await three_days(scribe)

    async def costs(*by: Any) -> dict[tuple[str, ...], tuple[int, Decimal | None]]:
        totals = by_group(await store.ledger.totals(by))
        return {group: (total.answers, total.cost) for group, total in totals.items()}

    assert await costs("channel") == {
        ("C1",): (2, Decimal("3.501")),
        ("C2",): (3, Decimal("0.125")),
    }
    assert await costs("user") == {("U1",): (4, Decimal("1.126")), ("U2",): (1, Decimal("2.5"))}
    assert await costs("model") == {
        ("gpt-4o-mini",): (4, Decimal("3.626")),
        ("big",): (1, None),
    }
    assert await costs("outcome") == {
        ("complete",): (2, Decimal("3.501")),
        ("cut",): (1, Decimal("0.125")),
        ("stopped",): (1, None),
        ("failed",): (1, None),
    }
    assert await costs("day") == {
        ("2026-10-31",): (1, Decimal(1)),
        ("2026-11-01",): (2, Decimal("2.625")),
        ("2026-11-02",): (2, Decimal("0.001")),
    }
    assert await costs("day", "channel") == {
        ("2026-10-31", "C1"): (1, Decimal(1)),
        ("2026-11-01", "C1"): (1, Decimal("2.5")),
        ("2026-11-01", "C2"): (1, Decimal("0.125")),
        ("2026-11-02", "C1"): (0, Decimal("0.001")),
        ("2026-11-02", "C2"): (2, None),
    }


@pytest.mark.parametrize(
    ("selection", "cost"),
    [
        (Selection(since=datetime(2026, 11, 1, tzinfo=UTC)), "2.626"),
        (Selection(until=datetime(2026, 11, 1, tzinfo=UTC)), "1"),
        (
            Selection(
                since=datetime(2026, 11, 1, tzinfo=UTC), until=datetime(2026, 11, 2, tzinfo=UTC)
            ),
            "2.625",
        ),
        (Selection(channels=("C1",)), "3.501"),
        (Selection(channels=("C1", "C2")), "3.626"),
        (Selection(channels=("C2",), users=("U1",)), "0.125"),
        (Selection(users=("U2",)), "2.5"),
        (Selection(models=("gpt-4o-mini",), team="T1"), "3.626"),
        (Selection(team="T2"), None),
        (Selection(users=("' OR 1=1 --",)), None),
    ],
)
async def test_what_is_asked_for_is_summed(
    store: Store, scribe: Scribe, selection: Selection, cost: str | None
) -> None:
    await three_days(scribe)

    whole = await store.ledger.whole(selection)

    assert whole.cost == (None if cost is None else Decimal(cost))


async def test_a_day_is_that_of_the_zone(store: Store, scribe: Scribe) -> None:
    """In Berlin clocks are put back at 1:00 UTC on 25 October 2026, to one hour ahead of UTC."""
    for at in (
        "2026-10-24 21:59:59.999999",  # 23:59 on the 24th
        "2026-10-24 22:00",  # midnight
        "2026-10-25 00:59:59",  # 2:59, for the first time
        "2026-10-25 01:00",  # 2:00, for the second
        "2026-10-25 22:59:59.999999",  # 23:59 on the 25th
        "2026-10-25 23:00",  # midnight
    ):
        await scribe.note(at)
    berlin = Selection(zone=ZoneInfo("Europe/Berlin"))

    totals = by_group(await store.ledger.totals(("day",), berlin))

    answers = {group[0]: total.answers for group, total in totals.items()}
    assert answers == {"2026-10-24": 1, "2026-10-25": 4, "2026-10-26": 1}


@pytest.mark.parametrize("days", [10, 200])  # few are summed one by one, many in one go
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Africa/Cairo", "Asia/Kathmandu"])
async def test_days_of_a_period_are_the_same_however_long_it_is(
    store: Store, scribe: Scribe, zone: str, days: int
) -> None:
    """Over a night in which clocks are changed, in the zones in which they are."""
    there, first = ZoneInfo(zone), datetime(2026, 10, 24, 10, 17, 3, 999_999, tzinfo=UTC)
    since, until = first + timedelta(hours=5), first + timedelta(days=days)
    times = [first + timedelta(hours=hours) for hours in range(0, 240, 5)]
    times += [since - timedelta(microseconds=1), until, until - timedelta(microseconds=1)]
    for at in times:
        await scribe.note(at, cost=Decimal("0.1"), user="U2" if at.hour % 2 else "U1")
    period = Selection(since, until, users=("U1",), zone=there)

    totals = by_group(await store.ledger.totals(("day",), period))

    own = [at for at in times if since <= at < until and not at.hour % 2]
    expected = Counter((f"{at.astimezone(there):%Y-%m-%d}",) for at in own)
    assert {group: total.answers for group, total in totals.items()} == expected
    assert {group: total.cost for group, total in totals.items()} == {
        group: count * Decimal("0.1") for group, count in expected.items()
    }


@pytest.mark.parametrize("by", [(), ("channel",), ("day", "user")])
async def test_little_detail_is_the_same_but_for_what_is_not_counted(
    store: Store, scribe: Scribe, by: tuple[By, ...]
) -> None:
    await three_days(scribe)

    whole = by_group(await store.ledger.totals(by, detail="waited"))
    ended = by_group(await store.ledger.totals(by, detail="ended"))
    used = by_group(await store.ledger.totals(by, detail="used"))

    for group, total in whole.items():
        assert ended[group] == replace(total, waits=0, seconds_waited=0)
        assert used[group] == Total(
            answers=total.answers,
            others=total.others,
            unreported=total.unreported,
            unpriced=total.unpriced,
            usage=Usage(total.usage.input_tokens, None, total.usage.output_tokens, None),
            cost=total.cost,
        )


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
async def test_days_of_odd_zones_are_theirs(store: Store, scribe: Scribe, zone: str) -> None:
    there = ZoneInfo(zone)
    times = [NOON + timedelta(hours=hours) for hours in range(-40, 40, 3)]
    for at in times:
        await scribe.note(at)

    totals = await store.ledger.totals(("day",), Selection(zone=there))

    expected = Counter(f"{at.astimezone(there):%Y-%m-%d}" for at in times)
    assert {total.group[0]: total.answers for total in totals} == dict(expected)


async def test_no_money_is_lost_in_sums(store: Store, scribe: Scribe) -> None:
    """One third of the smallest amount too little, and more dollars than 64 bits hold."""
    amounts = ["0.000000000001", "0.333333333333", "9000000", "9000000.999999999999"]
    for amount in amounts:
        await scribe.note(cost=Decimal(amount))

    whole = await store.ledger.whole()

    assert whole.cost == sum(map(Decimal, amounts)) == Decimal("18000001.333333333333")


async def test_waits_are_counted_by_their_length(store: Store, scribe: Scribe) -> None:
    for seconds in (0.0, 0.05, 0.1, 1.99, 2.0, 2.49, 9.99, 10.0, 119.0, 500.0, None):
        await scribe.note(seconds_to_first_delta=seconds)
    await scribe.note(seconds_to_first_delta=0.05, purpose="title")

    waits = await store.ledger.waits()

    assert waits == {"2026-11-25": Counter({0: 2, 1: 1, 19: 1, 20: 2, 35: 1, 36: 1, 57: 1, 58: 1})}


async def test_direct_messages_are_known_by_whom_they_are_with(
    store: Store, scribe: Scribe
) -> None:
    await scribe.note(channel="C1")
    await scribe.note(channel="D1", user="U7")
    await scribe.note(channel="D2", user="U8")

    assert await store.ledger.partners() == {"D1": "U7", "D2": "U8"}


async def test_report_is_read_while_answers_are_recorded(
    store: Store, scribe: Scribe, url: str
) -> None:
    async def record_all() -> None:
        for _ in range(50):
            await scribe.note()

    counts = [0]
    async with opened(url) as report:
        recording = asyncio.create_task(record_all())
        while not recording.done():
            counts.append((await report.ledger.whole()).answers)
        await recording
        counts.append((await report.ledger.whole()).answers)

    assert counts == sorted(counts)
    assert counts[-1] == 50


# ---- limits

WORKSPACE = Subject("workspace", "T1")
CHANNEL, PERSON = Subject("channel", "C1"), Subject("person", "U1")
EACH_CHANNEL, EACH_PERSON = Subject("channel", EACH), Subject("person", EACH)


async def give(store: Store, *limits: Limit, by: str = "U9") -> None:
    for limit in limits:
        await store.limits.set("T1", limit, by=by, at=NOON)


async def used(store: Store, channel: str = "C1", user: str = "U1", now: datetime = NOON) -> Any:
    uses = await store.limits.uses("T1", channel, user, now=now)
    return {(use.limit.subject, use.limit.every): use.used for use in uses}


async def test_limits_are_set_and_removed_and_who_did_it_is_known(store: Store) -> None:
    first = Limit(CHANNEL, 1_000, "tokens", "day")
    second = Limit(CHANNEL, 5 * DOLLAR, "dollars", "day")
    later = NOON + timedelta(hours=1)

    assert await store.limits.set("T1", first, by="U9", at=NOON) is None
    assert await store.limits.set("T1", first, by="U8", at=NOON) == first  # nothing changes
    assert await store.limits.set("T1", second, by="U8", at=later) == first
    assert await store.limits.all("T1") == [second]
    assert await store.limits.all("T2") == []
    assert await store.limits.remove("T1", CHANNEL, "month", by="U9", at=later) is None
    assert await store.limits.remove("T1", CHANNEL, "day", by="U9", at=later) == second
    assert await store.limits.all("T1") == []

    changes = await store.limits.changes("T1")
    assert [(change.at, change.by, change.before, change.after) for change in changes] == [
        (later, "U9", second, None),
        (later, "U8", first, second),
        (NOON, "U9", None, first),
    ]
    assert {(change.subject, change.every) for change in changes} == {(CHANNEL, "day")}


async def test_a_question_is_held_against_all_limits_that_hold_for_it(
    store: Store, scribe: Scribe
) -> None:
    await scribe.note(usage=Usage(100, 0, 20, 0))
    await scribe.note(channel="C2", usage=Usage(1, 0, 0, 0))
    await scribe.note(user="U2", usage=Usage(10, 0, 0, 0))
    await give(
        store,
        Limit(WORKSPACE, 10**6, "tokens", "day"),
        Limit(CHANNEL, 10**6, "tokens", "day"),
        Limit(PERSON, 10**6, "tokens", "day"),
        Limit(EACH_PERSON, 10**6, "tokens", "month"),
        Limit(Subject("person", "U2"), 10**6, "tokens", "day"),
        Limit(Subject("channel", "C2"), 10**6, "tokens", "day"),
    )

    assert await used(store) == {
        (WORKSPACE, "day"): 131,
        (CHANNEL, "day"): 130,
        (PERSON, "day"): 121,
        (EACH_PERSON, "month"): 121,
    }
    assert await used(store, "C3", "U3") == {(WORKSPACE, "day"): 131, (EACH_PERSON, "month"): 0}
    assert await store.limits.uses("T2", "C1", "U1", now=NOON) == []


async def test_a_limit_of_one_s_own_is_in_place_of_that_for_each(store: Store) -> None:
    await give(
        store,
        Limit(EACH_PERSON, 10, "tokens", "day"),
        Limit(PERSON, 1_000, "tokens", "day"),
        Limit(EACH_CHANNEL, 10, "tokens", "day"),
    )

    assert set(await used(store)) == {(PERSON, "day"), (EACH_CHANNEL, "day")}
    assert set(await used(store, user="U2")) == {(EACH_PERSON, "day"), (EACH_CHANNEL, "day")}
    assert set(await used(store, "D1")) == {(PERSON, "day")}  # direct messages are the person's


async def test_days_and_months_begin_anew(store: Store, scribe: Scribe) -> None:
    await give(
        store,
        Limit(WORKSPACE, 10 * DOLLAR, "dollars", "day"),
        Limit(WORKSPACE, 99 * DOLLAR, "dollars", "month"),
    )
    await scribe.note("2026-11-29 10:00", cost=Decimal(1))
    await scribe.note("2026-11-30 23:59:59.999999", cost=Decimal(2))
    await scribe.note("2026-12-01 00:00", cost=Decimal(4))

    async def dollars(now: str) -> tuple[int, int]:
        found = await used(store, now=datetime.fromisoformat(f"{now}+00:00"))
        return found[WORKSPACE, "day"] // DOLLAR, found[WORKSPACE, "month"] // DOLLAR

    assert await dollars("2026-11-29 23:00") == (1, 3)
    assert await dollars("2026-11-30 23:59:59.999999") == (2, 3)
    assert await dollars("2026-12-01 00:00") == (4, 4)
    assert await dollars("2026-12-02 00:00") == (0, 4)
    assert await dollars("2027-01-01 00:00") == (0, 0)


async def test_a_record_in_place_of_its_estimate_is_not_counted_twice(store: Store) -> None:
    """It began before midnight and ended after."""
    await give(
        store,
        Limit(WORKSPACE, 10**6, "tokens", "day"),
        Limit(WORKSPACE, 10**6, "tokens", "month"),
    )
    began = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
    estimate = replace(RECORD, at=began, usage=Usage(90), is_estimate=True, cost=None)
    final = replace(RECORD, at=began + timedelta(minutes=2), usage=Usage(100, 0, 20, 0))

    await store.ledger.record(estimate)
    assert await used(store, now=began) == {(WORKSPACE, "day"): 90, (WORKSPACE, "month"): 90}
    for _ in range(2):
        await store.ledger.record(final)

    assert await used(store, now=began) == {(WORKSPACE, "day"): 0, (WORKSPACE, "month"): 120}
    assert await used(store) == {(WORKSPACE, "day"): 120, (WORKSPACE, "month"): 120}


async def test_what_has_no_price_is_counted_beside_a_limit_of_money(
    store: Store, scribe: Scribe
) -> None:
    limit = Limit(WORKSPACE, DOLLAR, "dollars", "day")
    await give(store, limit)
    await scribe.note(cost=Decimal("0.9"))
    await scribe.note(cost=None)

    uses = await store.limits.uses("T1", "C1", "U1", now=NOON)

    assert uses == [Use(limit, "T1", 9 * DOLLAR // 10, unpriced=1)]
    assert uses[0].state == "near"


async def test_a_hundred_at_once_are_all_counted(store: Store, scribe: Scribe) -> None:
    await give(store, Limit(WORKSPACE, 10**6, "tokens", "day"))

    await asyncio.gather(
        *(
            scribe.note(channel=f"C{number % 7}", user=f"U{number % 5}", usage=Usage(1, 0, 1, 0))
            for number in range(100)
        )
    )

    assert await used(store) == {(WORKSPACE, "day"): 200}


async def test_people_are_told_once_in_a_period(store: Store, scribe: Scribe, url: str) -> None:
    await give(store, Limit(EACH_PERSON, 100, "tokens", "day"))
    await scribe.note(usage=Usage(85, 0, 0, 0))
    (use,) = await store.limits.uses("T1", "C1", "U1", now=NOON)

    async with opened(url) as other:
        told = await asyncio.gather(
            *(each.limits.first_to_tell("T1", use, now=NOON) for each in (store, other) * 5)
        )

    assert sum(told) == 1
    (use,) = await store.limits.uses("T1", "C1", "U1", now=NOON)
    assert use.is_told
    await scribe.note(NOON + timedelta(days=1), usage=Usage(90, 0, 0, 0))
    (use,) = await store.limits.uses("T1", "C1", "U1", now=NOON + timedelta(days=1))
    assert not use.is_told


async def test_people_are_told_again_of_another_limit(store: Store, scribe: Scribe) -> None:
    await give(store, Limit(EACH_PERSON, 100, "tokens", "day"))
    await scribe.note(usage=Usage(85, 0, 0, 0))
    (use,) = await store.limits.uses("T1", "C1", "U1", now=NOON)
    await store.limits.first_to_tell("T1", use, now=NOON)

    await give(store, Limit(EACH_PERSON, 101, "tokens", "day"))

    (use,) = await store.limits.uses("T1", "C1", "U1", now=NOON)
    assert not use.is_told


async def test_where_limits_stand_is_listed(store: Store, scribe: Scribe) -> None:
    for number in range(12):
        await scribe.note(user=f"U{number:02}", usage=Usage(number, 0, 0, 0))
    await scribe.note(channel="D1", user="U11", usage=Usage(5, 0, 0, 0))
    each = Limit(EACH_PERSON, 100, "tokens", "day")
    own = Limit(Subject("person", "U03"), 10, "tokens", "day")
    idle = Limit(EACH_CHANNEL, 100, "tokens", "month")
    await give(store, each, own, idle)

    standing = await store.limits.standing("T1", now=NOON)

    assert [(use.limit, use.who, use.used) for use in standing] == [
        (own, "U03", 3),
        (idle, "C1", 66),
        (each, "U11", 16),
        *((each, f"U{number:02}", number) for number in (10, 9, 8)),
    ]


# ---- what is not kept


def asked(ts: str, channel: str = "C1", user: str = "U1") -> Question:
    return Question("T1", channel, ts, ts, user, "why?")


async def answered(store: Store, ts: str, outcome: Outcome | None = "complete", **who: str) -> None:
    turn = await store.turns.accept(asked(ts, **who))
    assert turn
    if outcome:
        await store.turns.finish(turn, outcome, None)


async def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    async with engine_of(store).connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_old_records_and_finished_turns_are_removed(store: Store, scribe: Scribe) -> None:
    now = datetime.now(UTC)
    old, young = now - timedelta(days=31), now - timedelta(days=29)
    for number in range(1_100):  # more than two batches
        await scribe.note(old + timedelta(seconds=number))
    await scribe.note(young)
    for ts, outcome in (("1.1", "complete"), ("1.2", None), ("1.3", "failed"), ("1.4", "cut")):
        await answered(store, ts, outcome)  # type: ignore[arg-type]
    async with engine_of(store).begin() as connection:
        long_ago = {"at": old.replace(tzinfo=None)}
        for column in ("accepted_at", "finished_at"):
            statement = (
                f"UPDATE turns SET {column} = :at WHERE ts <> '1.4' AND {column} IS NOT NULL"
            )
            await connection.execute(text(statement).bindparams(**long_ago))

    removed = await store.retention.prune(now - timedelta(days=30), now=now)

    assert (removed.records, removed.turns) == (1_100, 2)
    assert (await store.ledger.whole()).answers == 1
    assert await rows(store, "SELECT ts FROM turns ORDER BY ts") == [("1.2",), ("1.4",)]
    again = await store.retention.prune(now - timedelta(days=30), now=now)
    assert (again.records, again.turns) == (0, 0)


async def test_without_a_time_nothing_is_removed_but_sums_of_the_past(
    store: Store, scribe: Scribe
) -> None:
    await give(store, Limit(WORKSPACE, 10**6, "tokens", "month"))
    await scribe.note("2026-08-31 12:00")
    await scribe.note(NOON)

    removed = await store.retention.prune(None, now=NOON)

    assert (removed.records, removed.turns) == (0, 0)
    assert (await store.ledger.whole()).answers == 2
    periods = await rows(store, "SELECT DISTINCT period FROM spent ORDER BY period")
    assert periods == [("2026-11",), ("2026-11-25",)]
    assert await used(store) == {(WORKSPACE, "month"): 120}


async def test_budgets_stay_right_when_their_month_is_pruned(store: Store, scribe: Scribe) -> None:
    await give(store, Limit(WORKSPACE, 10**6, "tokens", "month"))
    await scribe.note("2026-11-02 12:00")
    await scribe.note(NOON)

    await store.retention.prune(NOON - timedelta(days=7), now=NOON)

    assert (await store.ledger.whole()).answers == 1
    assert await used(store) == {(WORKSPACE, "month"): 240}


async def test_a_person_who_is_forgotten_is_nowhere_and_the_sums_stay(
    store: Store, scribe: Scribe
) -> None:
    for number in range(3):
        await scribe.note(channel="C1", user="UGONE", cost=Decimal(1))
        await scribe.note(channel="DGONE", user="UGONE", cost=Decimal(2))
        await scribe.note(channel="C1", user=f"U{number}", cost=Decimal(4))
    await answered(store, "1.1", user="UGONE")
    await answered(store, "1.2", user="UGONE", channel="DGONE")
    await answered(store, "1.3", user="U1")
    gone = Subject("person", "UGONE")
    await give(
        store,
        Limit(gone, 10**6, "tokens", "day"),
        Limit(Subject("channel", "DGONE"), 10**6, "tokens", "day"),
        by="UGONE",
    )
    before = await store.ledger.whole()

    removed = await store.retention.forget("UGONE")

    assert (removed.records, removed.turns, removed.unfinished) == (6, 2, 0)
    assert await store.ledger.whole() == before
    channels = by_group(await store.ledger.totals(("channel",)))
    assert {group[0]: total.cost for group, total in channels.items()} == {
        "C1": Decimal(15),
        "DFORGOTTEN": Decimal(6),
    }
    people = by_group(await store.ledger.totals(("user",)))
    assert people["UFORGOTTEN",].cost == Decimal(9)
    for table in ("usage", "turns", "limits", "limit_changes", "spent"):
        assert "GONE" not in str(await rows(store, f"SELECT * FROM {table}"))
    assert await store.limits.all("T1") == []
    assert [change.by for change in await store.limits.changes("T1")] == ["UFORGOTTEN"] * 2
    times = {row[0] for row in await rows(store, "SELECT ts FROM usage WHERE cost < 4000000000000")}
    assert len(times) == 6
    assert all(ts.startswith("forgotten-") for ts in times)


async def test_several_people_are_forgotten_as_one(store: Store, scribe: Scribe) -> None:
    for user in ("U1", "U2"):
        await scribe.note(channel=f"D{user}", user=user)
        await store.retention.forget(user)

    assert {total.group for total in await store.ledger.totals(("user", "channel"))} == {
        ("UFORGOTTEN", "DFORGOTTEN")
    }


async def test_answers_under_way_are_left_and_told(store: Store) -> None:
    question = asked("1700000000.000100", user="UGONE")
    turn = await store.turns.accept(question)
    assert turn
    estimate = replace(RECORD, user="UGONE", usage=Usage(90), is_estimate=True)
    await store.turns.begin(turn, estimate)

    removed = await store.retention.forget("UGONE")
    assert (removed.records, removed.turns, removed.unfinished) == (0, 0, 1)
    await store.turns.finish(turn, "complete", replace(RECORD, user="UGONE"))
    removed = await store.retention.forget("UGONE")

    assert (removed.records, removed.turns, removed.unfinished) == (1, 1, 0)
    whole = await store.ledger.whole()
    assert (whole.answers, whole.cost) == (1, Decimal("0.25"))


async def test_nobody_is_forgotten_where_nobody_is(store: Store, scribe: Scribe) -> None:
    await scribe.note()

    removed = await store.retention.forget("U404")

    assert (removed.records, removed.turns, removed.unfinished) == (0, 0, 0)
    assert (await store.ledger.whole(Selection(users=("U1",)))).answers == 1


# ---- the migration


UNCOUNTED = {
    "sqlite": ("DROP TRIGGER usage_added", "DROP TRIGGER usage_changed"),
    "postgresql": ("DROP FUNCTION count_usage() CASCADE",),
}


# What version 0002 did not have.
LATER_TABLES = (
    *("limits", "limit_changes", "spent", "feedback", "channels", "channel_changes"),
    *("asked_again", "greeted"),
)
LATER_INDEXES = ("turns_by_user", "turns_answered", "usage_by_team", "usage_by_user")
LATER_COLUMNS = (
    "is_first",
    "asked",
    "asked_at",
    "attempts_before",
    "is_continued",
    "stopped_by",
    "edited_ts",
    "handovers",
    "is_follow_up",
)


async def test_what_was_used_before_there_were_limits_is_counted(url: str) -> None:
    now = datetime.now(UTC)
    async with opened(url) as store:
        scribe = Scribe(store)
        await scribe.note(now, usage=Usage(100, 0, 20, 0), cost=Decimal("0.5"))
        await scribe.note(now, user="U2", usage=Usage(), cost=None)
        await scribe.note(now - timedelta(days=70), cost=None)
        async with engine_of(store).begin() as connection:
            for statement in (
                *UNCOUNTED[connection.dialect.name],
                *(f"DROP INDEX {name}" for name in LATER_INDEXES),
                *(f"DROP TABLE {table}" for table in LATER_TABLES),
                *(f"ALTER TABLE turns DROP COLUMN {column}" for column in LATER_COLUMNS),
                "ALTER TABLE usage DROP COLUMN is_resumed",
                "UPDATE alembic_version SET version_num = '0002'",
            ):
                await connection.execute(text(statement))

    async with opened(url) as store:
        found = await rows(
            store, "SELECT scope, who, period, cost, tokens, unpriced FROM spent ORDER BY 1, 2, 3"
        )

    half = 500_000_000  # billionths
    assert found == [
        (scope, who, period, cost, tokens, unpriced)
        for scope, who, cost, tokens, unpriced in (
            ("channel", "C1", half, 120, 1),
            ("person", "U1", half, 120, 0),
            ("person", "U2", 0, 0, 1),
            ("workspace", "T1", half, 120, 1),
        )
        for period in (f"{now:%Y-%m}", f"{now:%Y-%m-%d}")
    ]


async def test_of_old_records_only_those_of_one_wish_are_begun_again(url: str) -> None:
    """The first question was asked once, and its process died; the second was asked for anew after
    two attempts, and a process died in what came of that; the third's turn is long gone."""
    once, anew, gone = (f"1700000000.00{number}" for number in range(3))
    async with opened(url) as store:
        for ts in (once, anew):
            await store.turns.accept(Question("T1", "C1", ts, ts, "U1", "why?"))
        for ts, attempts in ((once, 2), (anew, 4), (gone, 2)):
            for attempt in range(1, attempts + 1):
                key = TurnKey("T1", "C1", ts)
                await store.ledger.record(replace(RECORD, key=key, attempt=attempt))
        async with engine_of(store).begin() as connection:
            for statement in (
                f"UPDATE turns SET attempts_before = 2 WHERE ts = '{anew}'",
                "ALTER TABLE usage DROP COLUMN is_resumed",
                "UPDATE alembic_version SET version_num = '0009'",
            ):
                await connection.execute(text(statement))

    async with opened(url) as store:
        found = await rows(store, "SELECT ts, attempt FROM usage WHERE is_resumed ORDER BY 1, 2")

    assert found == [(once, 2), (anew, 4)]
