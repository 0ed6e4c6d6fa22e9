"""The one owner of retries: what is tried again, how often, and after how long.

The SDKs' own retries are off. The server's Retry-After wins within a bound; otherwise the wait
doubles, with jitter, so that many answers refused at once do not all come back at once.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_base, wait_exponential, wait_exponential_jitter, wait_random

from bot.errors import Transient
from bot.logs import event

log = logging.getLogger(__name__)

T = TypeVar("T")

# Called before each wait with the error and the seconds until the next attempt.
OnWait = Callable[[Transient, float], None]

# Seconds. A person does not wait longer than this for one more attempt.
LONGEST_WAIT = 60.0

MODEL_ATTEMPTS = 5  # about 15 s of waiting where no Retry-After is given
MODEL_PATIENCE = 240.0  # seconds; a model that only ever falls silent is not asked for longer
READ_ATTEMPTS = 5
# What must land is worth waiting for Slack: half an hour of it, the last waits 30 s each.
SHOW_PATIENCE = 1800.0  # seconds
LONGEST_WAIT_TO_SHOW = 300.0  # a last edit is of use even so late; the answer is written

JITTER = 1.0  # seconds at the most, beyond a Retry-After that many were given at once

_doubling = wait_exponential_jitter(multiplier=0.75, exp_base=2, max=30, jitter=0.5)
# Our own database is asked sooner: it is often back in a moment, and much waits for it.
_soon = wait_exponential_jitter(multiplier=0.1, exp_base=2, max=2, jitter=0.1)
_doubling_to_reconnect = wait_exponential(multiplier=0.75, exp_base=2, max=8) + wait_random(0, 1)


async def ask_again(call: Callable[[], Awaitable[T]], on_wait: OnWait) -> T:
    """For the model: a request that was refused, or a stream that broke."""
    return await _persist(call, attempts=MODEL_ATTEMPTS, on_wait=on_wait, patience=MODEL_PATIENCE)


async def read_again(call: Callable[[], Awaitable[T]], on_wait: OnWait) -> T:
    """For reading from Slack before the model can be asked."""
    return await _persist(call, attempts=READ_ATTEMPTS, on_wait=on_wait)


async def until_it_lands(call: Callable[[], Awaitable[T]]) -> T:
    """For what Slack must show: posts, last edits, deletions."""
    return await _persist(
        call,
        attempts=inf,
        on_wait=lambda *_: None,
        patience=SHOW_PATIENCE,
        longest_wait=LONGEST_WAIT_TO_SHOW,
    )


async def until_recorded(call: Callable[[], Awaitable[T]]) -> T:
    """For the database: what was promised is written down, however long it is away."""
    return await _persist(
        call, attempts=inf, on_wait=lambda *_: None, log_as="database.away", doubling=_soon
    )


async def until_reachable(call: Callable[[], Awaitable[T]]) -> T:
    """For the start: without Slack there is nothing else to do but to wait for it."""
    return await _persist(
        call,
        attempts=inf,
        on_wait=lambda *_: None,
        longest_wait=inf,
        log_as="slack.unreachable",
    )


async def until_connected(call: Callable[[], Awaitable[T]]) -> T:
    """For the connection over which events come: as before, and looking again more often, because
    what is asked meanwhile comes late."""
    return await _persist(
        call,
        attempts=inf,
        on_wait=lambda *_: None,
        longest_wait=inf,
        log_as="slack.unreachable",
        doubling=_doubling_to_reconnect,
    )


async def _persist(
    call: Callable[[], Awaitable[T]],
    *,
    attempts: float,
    on_wait: OnWait,
    longest_wait: float = LONGEST_WAIT,
    patience: float = inf,
    log_as: str = "call.retried",
    doubling: wait_base = _doubling,
) -> T:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience

    def is_worth_waiting_for(error: BaseException) -> bool:
        return isinstance(error, Transient) and (error.retry_after or 0) <= longest_wait

    def before_sleep(state: RetryCallState) -> None:
        error = _error(state)
        wait = state.upcoming_sleep
        event(
            log,
            log_as,
            level=logging.WARNING,
            service=error.service,
            reason=error.reason,
            attempt=state.attempt_number,
            wait_s=wait,
        )
        on_wait(error, wait)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_worth_waiting_for),
        wait=partial(_wait, doubling),
        stop=lambda state: state.attempt_number >= attempts or loop.time() >= give_up_at,
        before_sleep=before_sleep,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            return await call()
    raise AssertionError("tenacity ends with a result or an error")


def _wait(doubling: wait_base, state: RetryCallState) -> float:
    # Some servers say 0, which would use up all attempts in a moment.
    retry_after = _error(state).retry_after
    return retry_after + random.uniform(0, JITTER) if retry_after else doubling(state)


def _error(state: RetryCallState) -> Transient:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient)  # nothing else is tried again
    return error
