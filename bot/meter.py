"""What one attempt at an answer takes, as it is measured: tokens, requests, seconds, money."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bot.messages import Outcome, Turn, Usage, UsageRecord
from bot.prices import Prices


@dataclass(slots=True)
class Meter:
    turn: Turn
    model: str
    prices: Prices
    started: float  # by the loop's clock
    requests: int = 0
    first_delta: float | None = None
    usage: Usage = field(default_factory=Usage)
    is_estimate: bool = False
    outcome: Outcome = "failed"
    is_over: bool = False  # the reply failed, whatever the model still writes
    is_handed_over: bool = False  # another process, or the next one, goes on with the turn

    @property
    def attempt(self) -> int:
        return self.turn.attempts + 1

    def saw_delta(self) -> None:
        if self.first_delta is None:
            self.first_delta = asyncio.get_running_loop().time()

    def add(self, usage: Usage) -> None:
        """What the provider reported for one request."""
        self.usage = self.usage + usage

    def estimate(self, *, input_tokens: int, output_tokens: int) -> None:
        """What a request took that ended without a report: a stream that broke never makes one."""
        self.add(Usage(input_tokens=input_tokens, output_tokens=output_tokens))
        self.is_estimate = True

    def ended(self, outcome: Outcome) -> None:
        """The reply can show no more."""
        self.outcome, self.is_over = outcome, True

    def foreboding(self, input_tokens: int) -> UsageRecord:
        """What stays of the attempt should this process die in it."""
        usage = Usage(input_tokens=input_tokens)
        return self._record(
            usage, is_estimate=True, requests=1, outcome="failed", ended=self.started
        )

    def record(self, *, ended: float) -> UsageRecord:
        """``ended`` is when the answer was whole on screen, by the loop's clock."""
        return self._record(
            self.usage,
            is_estimate=self.is_estimate,
            requests=self.requests,
            outcome=self.outcome,
            ended=ended,
        )

    def _record(
        self, usage: Usage, *, is_estimate: bool, requests: int, outcome: Outcome, ended: float
    ) -> UsageRecord:
        first = self.first_delta
        record = UsageRecord(
            at=datetime.now(UTC),
            key=self.turn.key,
            user=self.turn.user,
            model=self.model,
            usage=usage,
            seconds_to_first_delta=None if first is None else first - self.started,
            seconds=ended - self.started,
            requests=requests,
            outcome=outcome,
            attempt=self.attempt,
            is_resumed=self.turn.attempts_now > 0,
            is_estimate=is_estimate,
        )
        return self.prices.priced(record)
