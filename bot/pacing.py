"""Which reply may make which Slack call next.

Slack counts calls per app, workspace and method, not per message, so all replies of a workspace
share one budget. Everything here is arithmetic on times (seconds of the event loop's clock); the
loop that waits is in `bot.turnstile`.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Literal

Call = Literal["chat.postMessage", "chat.update"]

# Seconds. Faster than this nobody reads an edit as anything but flicker.
QUICKEST_EDIT = 0.5

# Seconds over which the edits that are left are spread. Most answers are written in less.
HORIZON = 30.0

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls a minute and workspace that the bot allows itself: Slack's figures less a margin.

    ``chat.update`` is Tier 3, 50 a minute; ``chat.postMessage`` takes "several hundred messages
    per minute" and no more than one a second into one channel
    (docs.slack.dev/apis/web-api/rate-limits).
    """

    updates: int = 48
    posts: int = 240
    posts_in_channel_every: float = 1.05  # seconds


class Window:
    """How many calls of one kind may start now.

    A slot frees a whole period after its call was *answered*. Slack's limiter is unpublished, and
    this stays within so-many-a-minute whatever its form: a token bucket with a burst does not.
    """

    def __init__(self, limit: int, period: float = MINUTE) -> None:
        self._limit = limit
        self._period = period
        self._answered: deque[float] = deque()
        self._under_way = 0
        self._held_until = -inf

    def free(self, now: float) -> int:
        """How many calls may start at ``now``."""
        while self._answered and self._answered[0] + self._period <= now:
            self._answered.popleft()
        if now < self._held_until:
            return 0
        return self._limit - len(self._answered) - self._under_way

    def next_free(self, now: float) -> float:
        """When there may be more than now; infinite while only answers can tell."""
        if now < self._held_until:
            return self._held_until
        return self._answered[0] + self._period if self._answered else inf

    def take(self) -> None:
        self._under_way += 1

    def answered(self, now: float) -> None:
        self._under_way -= 1
        self._answered.append(now)

    def is_idle(self, now: float) -> bool:
        return self.free(now) == self._limit

    def hold(self, until: float) -> None:
        """Slack refused: nothing of this kind before ``until``."""
        self._held_until = max(self._held_until, until)


@dataclass(eq=False, slots=True)
class Claim:
    """What the pacer knows of one running reply; the reply keeps it up to date."""

    channel: str
    has_open_message: bool = False  # one stands there that will need another edit
    wants: Call | None = None
    must: bool = False  # this call is not superseded by a later one: a last edit, say
    since: float = inf  # when the oldest text that nobody sees yet arrived
    quiet_until: float = -inf  # no interim edit before; kept by the pacer
    is_beginning: bool = False  # such a message is being posted; kept by the pacer


class Pacer:
    """Shares a workspace's calls among its replies.

    Last edits come before all others, then the reply whose unseen text is oldest. One edit is
    kept back for each message that still grows. A reply is first posted only if its last edit
    can be kept back too; where it cannot, the reply waits and is posted whole when it has ended,
    for which ``chat.postMessage`` has a budget of its own.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._updates = Window(self._limits.updates)
        self._posts = Window(self._limits.posts)
        self._channels: dict[str, Window] = {}
        self._claims: set[Claim] = set()
        self._latest_interim_edit = -inf

    def join(self, claim: Claim) -> None:
        self._claims.add(claim)

    def leave(self, claim: Claim) -> None:
        self._claims.discard(claim)

    def grant(self, now: float) -> Claim | None:
        """The claim that may make its call now, its slot taken; None if there is none."""
        waiting = [claim for claim in self._claims if claim.wants]
        for claim in sorted(waiting, key=lambda claim: (not claim.must, claim.since)):
            if self._may(claim, now):
                self._take(claim, now)
                return claim
        return None

    def next_chance(self, now: float) -> float:
        """When `grant` may have something new to say, if nothing happens before."""
        times = [
            self._updates.next_free(now),
            self._posts.next_free(now),
            self._next_interim_edit(now),
            *(claim.quiet_until for claim in self._claims if claim.wants == "chat.update"),
            *(
                self._channel(claim).next_free(now)
                for claim in self._claims
                if claim.wants == "chat.postMessage"
            ),
        ]
        return min((time for time in times if time > now), default=inf)

    def answered(self, claim: Claim, call: Call, now: float) -> None:
        """A granted call came to its end, whatever the answer."""
        claim.quiet_until = now + QUICKEST_EDIT
        claim.is_beginning = False
        for window in self._windows(claim, call):
            window.answered(now)
        # There may be a channel for each person who ever asked.
        for channel in [name for name, window in self._channels.items() if window.is_idle(now)]:
            del self._channels[channel]

    def refused(self, call: Call, now: float, *, retry_after: float) -> None:
        """Slack answered 429: nobody makes this call before ``retry_after`` seconds are over."""
        window = self._updates if call == "chat.update" else self._posts
        window.hold(now + retry_after)

    def _may(self, claim: Claim, now: float) -> bool:
        if any(window.free(now) <= 0 for window in self._windows(claim, claim.wants)):
            return False
        if claim.must:
            return True
        if claim.wants == "chat.update":
            return now >= max(self._next_interim_edit(now), claim.quiet_until)
        return self._spare_edits(now) > 0

    def _take(self, claim: Claim, now: float) -> None:
        if claim.wants == "chat.update" and not claim.must:
            self._latest_interim_edit = now
        claim.is_beginning = claim.wants == "chat.postMessage" and not claim.must
        for window in self._windows(claim, claim.wants):
            window.take()
        claim.wants = None

    def _next_interim_edit(self, now: float) -> float:
        """The more edits there are to spare, the sooner; never while there is none."""
        spare = self._spare_edits(now)
        spread = max(QUICKEST_EDIT, HORIZON / spare) if spare > 0 else inf
        return self._latest_interim_edit + spread

    def _spare_edits(self, now: float) -> int:
        kept_back = sum(claim.has_open_message or claim.is_beginning for claim in self._claims)
        return self._updates.free(now) - kept_back

    def _windows(self, claim: Claim, call: Call | None) -> tuple[Window, ...]:
        if call == "chat.update":
            return (self._updates,)
        return (self._posts, self._channel(claim))

    def _channel(self, claim: Claim) -> Window:
        pace = Window(1, self._limits.posts_in_channel_every)
        return self._channels.setdefault(claim.channel, pace)
