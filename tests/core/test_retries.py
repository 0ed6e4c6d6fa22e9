"""What is tried again, how often, and after how long, in virtual time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from bot import retries
from bot.errors import KeyRejected, RateLimited, SlackRefused, StreamBroken, Transient, Unavailable
from bot.retries import ask_again, read_again, until_connected, until_it_lands

DOWN = Unavailable("Slack", "HTTP 503")


class Flaky:
    """Fails with each of the errors in turn, then works."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls: list[float] = []
        self.told: list[tuple[str, float]] = []

    async def __call__(self) -> str:
        self.calls.append(asyncio.get_running_loop().time())
        if self._errors:
            raise self._errors.pop(0)
        return "done"

    def tell(self, error: Transient, seconds: float) -> None:
        self.told.append((error.waiting, seconds))

    @property
    def waits(self) -> list[float]:
        return [after - before for before, after in pairwise(self.calls)]


async def ask(flaky: Flaky) -> str:
    return await ask_again(flaky, flaky.tell)


async def read(flaky: Flaky) -> str:
    return await read_again(flaky, flaky.tell)


async def land(flaky: Flaky) -> str:
    return await until_it_lands(flaky)


Policy = Callable[[Flaky], Awaitable[str]]
every_policy = pytest.mark.parametrize("policy", [ask, read, land])


@every_policy
async def test_what_works_is_done_once(policy: Policy) -> None:
    flaky = Flaky()

    assert await policy(flaky) == "done"
    assert len(flaky.calls) == 1


@every_policy
async def test_waits_double_with_jitter(policy: Policy) -> None:
    flaky = Flaky(*[DOWN] * 4)

    assert await policy(flaky) == "done"
    for wait, doubled in zip(flaky.waits, [0.75, 1.5, 3.0, 6.0], strict=True):
        assert doubled <= wait <= doubled + 0.5


async def test_answers_that_fail_at_once_do_not_all_come_back_at_once() -> None:
    crowd = [Flaky(DOWN) for _ in range(10)]

    await asyncio.gather(*(read(flaky) for flaky in crowd))

    assert len({flaky.waits[0] for flaky in crowd}) > 5


@every_policy
async def test_the_servers_retry_after_wins(policy: Policy) -> None:
    flaky = Flaky(RateLimited("the model", 42.0), RateLimited("the model", 0.2))

    assert await policy(flaky) == "done"
    assert flaky.waits == pytest.approx([42.0, 0.2])


async def test_retry_after_nothing_does_not_use_up_the_attempts_at_once() -> None:
    flaky = Flaky(*[RateLimited("the model", 0.0)] * 4)

    assert await ask(flaky) == "done"
    assert sum(flaky.waits) > 10


@pytest.mark.parametrize("policy", [ask, read])
async def test_nobody_is_made_to_wait_more_than_a_minute_for_an_attempt(policy: Policy) -> None:
    flaky = Flaky(RateLimited("the model", 61.0))

    with pytest.raises(RateLimited):
        await policy(flaky)

    assert len(flaky.calls) == 1
    assert flaky.told == []


async def test_what_must_land_waits_out_a_longer_refusal() -> None:
    flaky = Flaky(RateLimited("Slack", 120.0))

    assert await land(flaky) == "done"
    assert flaky.waits == [120.0]


async def test_what_must_land_does_not_wait_for_hours() -> None:
    flaky = Flaky(RateLimited("Slack", 3600.0))

    with pytest.raises(RateLimited):
        await land(flaky)

    assert len(flaky.calls) == 1


@every_policy
@pytest.mark.parametrize("error", [SlackRefused("chat.update", "is_archived"), KeyRejected()])
async def test_what_trying_again_will_not_change_is_not_tried_again(
    policy: Policy, error: Exception
) -> None:
    flaky = Flaky(error)

    with pytest.raises(type(error)):
        await policy(flaky)

    assert len(flaky.calls) == 1


@every_policy
async def test_mistake_of_our_own_is_not_tried_again(policy: Policy) -> None:
    flaky = Flaky(KeyError("ts"))

    with pytest.raises(KeyError):
        await policy(flaky)

    assert len(flaky.calls) == 1


@pytest.mark.parametrize(("policy", "attempts"), [(ask, 5), (read, 5)])
async def test_attempts_come_to_an_end_with_the_last_error(policy: Policy, attempts: int) -> None:
    last = StreamBroken("the end")
    flaky = Flaky(*[DOWN] * (attempts - 1), last)

    with pytest.raises(StreamBroken) as raised:
        await policy(flaky)

    assert raised.value is last
    assert len(flaky.calls) == attempts


async def test_what_must_land_outlasts_half_an_hour_without_slack_and_no_more() -> None:
    flaky = Flaky(*[DOWN] * 1000)

    with pytest.raises(Unavailable):
        await land(flaky)

    assert 1800 <= sum(flaky.waits) <= 1860


@pytest.mark.parametrize("policy", [ask, read])
async def test_each_wait_is_told_before_it_begins(policy: Policy) -> None:
    flaky = Flaky(RateLimited("the model", 7.0), StreamBroken("reset"))

    await policy(flaky)

    (first, first_wait), (second, second_wait) = flaky.told
    assert (first, second) == (
        "the model is limiting requests",
        "the connection to the model broke",
    )
    assert [first_wait, second_wait] == pytest.approx(flaky.waits)


async def test_cancellation_ends_the_waiting() -> None:
    flaky = Flaky(RateLimited("the model", 30.0))
    waiting = asyncio.create_task(ask(flaky))
    await asyncio.sleep(1)

    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled()
    assert len(flaky.calls) == 1


async def test_cancellation_in_the_call_is_not_tried_again() -> None:
    calls: list[int] = []

    async def hangs() -> str:
        calls.append(1)
        await asyncio.sleep(1000)
        return "done"

    waiting = asyncio.create_task(until_it_lands(hangs))
    await asyncio.sleep(1)

    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled()
    assert len(calls) == 1


async def test_log_names_service_reason_and_wait(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await read(Flaky(RateLimited("Slack", 9.0)))

    (record,) = caplog.records
    assert record.getMessage() == "call.retried"
    assert vars(record)["fields"] == {
        "service": "Slack",
        "reason": "rate limited",
        "attempt": 1,
        "wait_s": 9.0,
    }


async def test_those_refused_at_once_do_not_all_come_back_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "JITTER", 1.0)
    came_back = []

    async def refused_once() -> None:
        calls = iter([RateLimited("Slack", 5.0), None])

        async def call() -> None:
            error = next(calls)
            if error:
                raise error
            came_back.append(asyncio.get_running_loop().time())

        await until_it_lands(call)

    await asyncio.gather(*(refused_once() for _ in range(20)))

    assert len(set(came_back)) == 20
    assert max(came_back) - min(came_back) < 1


async def test_model_that_only_ever_falls_silent_is_given_up_after_some_minutes() -> None:
    calls = 0

    async def silent() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(120)
        raise StreamBroken("silent")

    began = asyncio.get_running_loop().time()
    with pytest.raises(StreamBroken):
        await ask_again(silent, lambda *_: None)

    assert calls == 2
    assert asyncio.get_running_loop().time() - began < 300


async def test_connection_is_made_again_for_ever_and_within_ten_seconds() -> None:
    flaky = Flaky(*[DOWN] * 50)

    assert await until_connected(flaky) == "done"
    for wait, doubled in zip(flaky.waits, [0.75, 1.5, 3.0, 6.0] + [8.0] * 46, strict=True):
        assert doubled <= wait <= doubled + 1.0
    assert len(set(flaky.waits)) == 50


async def test_connection_is_made_again_when_slack_says_so() -> None:
    flaky = Flaky(RateLimited("Slack", 3_600.0))

    assert await until_connected(flaky) == "done"
    assert 3_600 <= flaky.waits[0] <= 3_601
