"""How many Web API calls Slack accepts: pure arithmetic on times in seconds.

Slack documents numbers per minute, method and workspace, and calls its burst limits secret
(docs.slack.dev/apis/web-api/rate-limits). So the form of the limiter is a choice here: a sliding
window, which never lets more than the documented number through in any minute, or a token bucket.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

MINUTE = 60.0  # seconds; Slack counts its tiers per minute

# Calls per minute of one app in one workspace. Tier 2 = 20, Tier 3 = 50, Tier 4 = 100
# (docs.slack.dev/reference/methods, each method's page).
DOCUMENTED: Mapping[str, int] = {
    "agents.sessions.rename": 50,
    "agents.sessions.setStatus": 50,
    "apps.connections.open": 50,
    "assistant.threads.setStatus": 600,
    "assistant.threads.setSuggestedPrompts": 100,
    "assistant.threads.setTitle": 100,
    "bots.info": 50,
    "chat.appendStream": 100,
    "chat.delete": 50,
    "chat.postEphemeral": 100,
    "chat.postMessage": 300,  # "several hundred messages per minute"; 300 is the cautious reading
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.update": 50,
    "conversations.history": 50,
    "conversations.info": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    "files.completeUploadExternal": 100,
    "files.getUploadURLExternal": 100,
    "reactions.add": 50,
    "reactions.remove": 20,
    "users.info": 100,
    "users.list": 20,
    "views.open": 100,
    "views.publish": 100,
    "views.push": 100,
    "views.update": 100,
}


_ROUNDING = 1e-9  # of a token: an error of arithmetic, not a reason to refuse


@dataclass(frozen=True, slots=True)
class Budget:
    """What one method has had of its limit at some moment."""

    used: int  # calls in the window; of a bucket, the whole tokens that are missing
    limit: int
    free_in: float  # seconds until one more call is accepted; 0.0 when it is at once


class Limiter(Protocol):
    """Counts calls; knows no clock, so ``now`` (seconds, any origin) comes with each call."""

    limit: float

    def wait(self, now: float) -> float:
        """Seconds until one more call would be accepted; 0.0 when it would be at once."""

    def take(self, now: float) -> None:
        """Count an accepted call."""

    def used(self, now: float) -> int:
        """How many calls of the limit are spent at present."""


class SlidingWindow:
    """At most ``limit`` calls in any ``seconds``."""

    def __init__(self, limit: float, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._taken: list[float] = []

    def wait(self, now: float) -> float:
        recent = self._recent(now)
        calls = max(1, int(self.limit))
        if len(recent) < calls:
            return 0.0
        # When the limit was lowered meanwhile, more than one old call has to leave first.
        return recent[-calls] + self.seconds - now

    def take(self, now: float) -> None:
        self._taken = [*self._recent(now), now]

    def used(self, now: float) -> int:
        return len(self._recent(now))

    def _recent(self, now: float) -> list[float]:
        return [taken for taken in self._taken if now < taken + self.seconds]


class TokenBucket:
    """``limit`` calls saved up at most, refilled evenly over ``seconds``.

    After a pause it lets up to twice ``limit`` calls through within ``seconds``.
    """

    def __init__(self, limit: float, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._tokens = float(max(1.0, limit))
        self._filled = float("-inf")

    def wait(self, now: float) -> float:
        missing = 1.0 - self._level(now)
        return 0.0 if missing <= _ROUNDING else missing / self._rate

    def take(self, now: float) -> None:
        self._tokens = self._level(now) - 1.0
        self._filled = now

    def used(self, now: float) -> int:
        return int(self._full) - int(self._level(now) + _ROUNDING)

    @property
    def _full(self) -> float:
        return max(1.0, self.limit)

    @property
    def _rate(self) -> float:
        return self._full / self.seconds

    def _level(self, now: float) -> float:
        return min(self._full, self._tokens + max(0.0, now - self._filled) * self._rate)


class Limits:
    """The budgets of one app in one workspace.

    ``scale`` multiplies every limit (0.4: Slack really allows 40 % of what it documents) and may be
    changed while running: what was already counted stays counted. ``channel_burst`` is how many
    posts one channel takes at once; Slack says one per second and channel with "short bursts".
    """

    def __init__(
        self,
        per_minute: Mapping[str, int],
        *,
        scale: float = 1.0,
        channel_burst: int = 1,
        form: Callable[[float, float], Limiter] = SlidingWindow,
    ) -> None:
        self._per_minute = dict(per_minute)
        self._scale = scale
        self._channel_burst = channel_burst
        self._form = form
        self._methods: dict[str, Limiter] = {}
        self._channels: dict[str, Limiter] = {}

    @classmethod
    def real(
        cls,
        *,
        scale: float = 1.0,
        channel_burst: int = 1,
        form: Callable[[float, float], Limiter] = SlidingWindow,
    ) -> Self:
        """The documented limits."""
        return cls(DOCUMENTED, scale=scale, channel_burst=channel_burst, form=form)

    @classmethod
    def off(cls) -> Self:
        """No limits at all."""
        return cls({})

    @property
    def scale(self) -> float:
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._scale = scale
        for method, limiter in self._methods.items():
            limiter.limit = self._per_minute[method] * scale

    def admit(self, method: str, channel: str | None, now: float) -> float:
        """Count the call and return 0.0, or return the seconds to wait and count nothing."""
        limiters = self._limiters(method, channel)
        wait = max((limiter.wait(now) for limiter in limiters), default=0.0)
        if wait <= 0.0:
            for limiter in limiters:
                limiter.take(now)
        return wait

    def used(self, now: float) -> dict[str, Budget]:
        """The budget of each method that was called, in the order of the first calls."""
        return {
            method: Budget(limiter.used(now), max(1, int(limiter.limit)), limiter.wait(now))
            for method, limiter in self._methods.items()
        }

    def _limiters(self, method: str, channel: str | None) -> list[Limiter]:
        documented = self._per_minute.get(method)
        if documented is None:
            return []
        if method not in self._methods:
            self._methods[method] = self._form(documented * self._scale, MINUTE)
        limiters = [self._methods[method]]
        if method == "chat.postMessage" and channel:
            if channel not in self._channels:
                burst = self._channel_burst
                self._channels[channel] = self._form(burst, float(burst))  # one per second
            limiters.append(self._channels[channel])
        return limiters
