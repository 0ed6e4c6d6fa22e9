"""Which reply may make which Slack call next.

Slack counts calls per app, workspace and method, not per message, so all replies of a workspace
share one budget. Everything here is arithmetic on times (seconds of the event loop's clock); the
loop that waits is in `bot.turnstile`.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from bot.window import FRESH, Window

Call = Literal[
    "chat.postMessage", "chat.update", "chat.startStream", "chat.appendStream", "chat.stopStream"
]

# How a message may grow: by edits; as a native stream of Slack's, wherever one can be begun; or by
# whichever shows more of it.
Lane = Literal["edit", "native", "auto"]

STREAMING = frozenset({"chat.startStream", "chat.appendStream", "chat.stopStream"})

# Seconds. A Retry-After of more than this is not about one post a second and channel; and neither
# is one for a channel into which nothing was posted for so long.
CHANNEL_RETRY_AFTER = 2.0
CHANNEL_MEMORY = 5.0

# Posts a minute. A workspace takes more than these, so what it refuses before is the channel's.
FEWEST_POSTS = 20

# Seconds. Faster than this nobody reads an edit as anything but flicker.
QUICKEST_EDIT = 0.5

# Seconds. An append draws nothing anew but what it adds.
QUICKEST_APPEND = 0.4

# A last edit that cannot start within so many seconds is late: the text goes another way.
LATE = 0.3

# Of a minute's edits this share is kept for the last edits of those who have not asked yet.
KEPT_FOR_NEWCOMERS = 0.1

# Seconds. As many as asked within the latest of these are expected to ask within the next.
TREND = 3.0

# Seconds that an answer takes to write, until this workspace's own answers have told.
USUAL_ANSWER = 8.0
LEARNING = 0.2  # the weight of the newest answer in that

# An answer that would be posted within so many seconds may as well be posted with its first words.
AT_ONCE = 1.5

# Seconds for which it counts what other processes were last known to keep back: then a draw tells.
KNOWN_FOR = 20.0

# Seconds between two looks at what depends on the time that passes: at least and at most.
MOMENT, GLANCE = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls a minute and workspace that the bot allows itself: Slack's figures less a margin.

    ``chat.update`` is Tier 3, 50 a minute; ``chat.startStream`` and ``chat.stopStream`` are Tier 2,
    20, and ``chat.appendStream`` is Tier 4, 100; ``chat.postMessage`` takes "several hundred
    messages per minute" and no more than one a second into one channel
    (docs.slack.dev/apis/web-api/rate-limits). How much of a minute may be spent at once is
    unpublished: ``burst`` is that share, above 0 and at most 1.
    """

    updates: int = 48
    posts: int = 240
    starts: int = 19
    appends: int = 96
    stops: int = 19
    posts_in_channel_every: float = 1.05  # seconds
    burst: float = 1.0


@dataclass(eq=False, slots=True)
class Claim:
    """What the pacer knows of one running reply; the reply keeps it up to date."""

    channel: str
    has_open_message: bool = False  # one stands there that will need another edit
    wants: Call | None = None
    must: bool = False  # this call is not superseded by a later one: a last edit, say
    since: float = inf  # when the oldest text that nobody sees yet arrived
    began: float = inf  # when the first text arrived
    can_but_wait: bool = False  # a last edit for which there is no other way
    quiet_until: float = -inf  # no interim edit before; kept by the pacer
    is_beginning: bool = False  # such a message is being posted; kept by the pacer
    lane: Lane = "edit"  # what its next message may become
    has_open_stream: bool = False  # one stands there that has to be stopped
    is_starting: bool = False  # such a stream is being begun; kept by the pacer
    granted: Call | None = None  # what it may call, perhaps not what it wants; kept by the pacer

    @property
    def is_native(self) -> bool:
        return self.has_open_stream or self.is_starting


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What one moment allows, worked out once for all claims."""

    to_spare: int  # edits beyond those that open messages need in order to end
    edits_a_second: float  # that are to spare, if nobody else asks
    interim_edits_a_second: float
    next_interim_edit: float
    in_channel: Counter[str]  # running replies by channel
    editing: float  # replies that grow by edits, or are likely to
    by_edits: int  # that do already
    by_appends: int
    stops_to_spare: int
    appends_a_second: float
    next_append: float


class Pacer:
    """Shares a workspace's calls among its replies.

    Last edits come before all others, then the reply whose unseen text is oldest. One edit is
    kept back for each message that still grows, and some for those who have not asked yet; what
    is left is spread evenly over the time that the running answers are likely to need. A reply
    is first posted only if its last edit can be kept back too; the scarcer the edits, the later,
    so that the one early look that it gets is worth most. Where none can be afforded it waits and
    is posted whole when it has ended: ``chat.postMessage`` has a budget of its own.

    Native streams have budgets of their own too, and are paced in the same way: appends as edits
    are, and for each stream one stop is kept back. Where a reply may take either lane, it takes at
    its first words the one in which it would be seen to grow more often.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        burst = self._limits.burst
        self._updates = Window(self._limits.updates, burst=burst)
        self._posts = Window(self._limits.posts, burst=burst)
        self._starts = Window(self._limits.starts, burst=burst)
        self._appends = Window(self._limits.appends, burst=burst)
        self._stops = Window(self._limits.stops, burst=burst)
        self._channels: dict[str, Window] = {}
        self._posted_at: dict[str, float] = {}  # lately, by channel
        self._claims: set[Claim] = set()
        self._latest_interim_edit = -inf
        self._latest_append = -inf
        self._usual_answer = USUAL_ANSWER
        self._joined: deque[float] = deque()
        self._kept_elsewhere = 0  # edits that other processes keep back, as was learned lately
        self._learned_at = -inf
        self._streams_elsewhere = 0  # and stops
        self._learned_of_streams_at = -inf

    @property
    def budgets(self) -> dict[str, Window]:
        """Those of the workspace, by name."""
        return {
            "chat.update": self._updates,
            "chat.postMessage": self._posts,
            "chat.startStream": self._starts,
            "chat.appendStream": self._appends,
            "chat.stopStream": self._stops,
        }

    def kept_back(self, call: Call) -> int:
        """Calls that the open messages here need in order to end: edits, or stops of streams."""
        if call in STREAMING:
            return self._open_streams
        return sum(map(_is_edited, self._claims))

    @property
    def _open_streams(self) -> int:
        return sum(claim.is_native for claim in self._claims)

    def learn_kept(self, call: Call, kept: int, now: float) -> None:
        """How many such calls other processes keep back; for some seconds that counts."""
        if call in STREAMING:
            self._streams_elsewhere, self._learned_of_streams_at = kept, now
        else:
            self._kept_elsewhere, self._learned_at = kept, now

    def windows(self, claim: Claim, call: Call | None) -> dict[str, Window]:
        """The budgets from which such a call is drawn, by name."""
        if call in ("chat.update", "chat.appendStream", "chat.stopStream"):
            return {call: self.budgets[call]}
        name = call or "chat.postMessage"
        return {
            name: self.budgets[name],
            f"chat.postMessage:{claim.channel}": self._channel(claim),
        }

    def join(self, claim: Claim, now: float) -> None:
        self._claims.add(claim)
        self._joined.append(now)

    def stay(self, claim: Claim) -> None:
        self._claims.add(claim)

    def leave(self, claim: Claim) -> None:
        self._claims.discard(claim)

    def ended(self, claim: Claim, now: float) -> None:
        """Its answer is written: how long that took is a hint for the next."""
        if claim.began < now:
            self._usual_answer += LEARNING * (now - claim.began - self._usual_answer)

    def grant(self, now: float) -> Claim | None:
        """The claim that may make its call now, its slot taken; None if there is none."""
        waiting = [claim for claim in self._claims if claim.wants]
        outlook = self._outlook(now)
        for claim in sorted(waiting, key=lambda claim: (not claim.must, claim.since)):
            if call := self._allowed(claim, outlook, now):
                self._take(claim, call, now)
                return claim
        return None

    def next_chance(self, now: float) -> float:
        """When `grant` may have something new to say, if nothing happens before."""
        times = [window.next_free(now) for window in self.budgets.values()]
        outlook = self._outlook(now)
        times += [joined + TREND for joined in self._joined]
        times += [self._learned_at + KNOWN_FOR]
        for window in self.budgets.values():
            times += [began + FRESH for began in window.fresh(now)]
        for claim in self._claims:
            if claim.wants == "chat.update" and not claim.must:
                times += [max(claim.quiet_until, outlook.next_interim_edit)]
            elif claim.wants == "chat.appendStream" and not claim.must:
                times += [max(claim.quiet_until, outlook.next_append)]
            elif claim.wants == "chat.postMessage":
                times += [self._channel(claim).next_free(now), self._begins_at(claim, outlook, now)]
        soonest = min((time for time in times if time > now), default=inf)
        # What is likely changes with the time that passes.
        return min(max(soonest, now + MOMENT), now + GLANCE) if soonest < inf else inf

    def answered(self, claim: Claim, call: Call, now: float) -> None:
        """A granted call came to its end, and Slack counted it."""
        claim.is_beginning = claim.is_starting = False
        for window in self.windows(claim, call).values():
            window.answered(now)
        if call in ("chat.postMessage", "chat.startStream"):
            self._posted_at[claim.channel] = now
        # There may be a channel for each person who ever asked.
        for channel in [name for name, window in self._channels.items() if window.is_idle(now)]:
            del self._channels[channel]
        for channel in [name for name, at in self._posted_at.items() if at + CHANNEL_MEMORY < now]:
            del self._posted_at[channel]

    def declined(self, claim: Claim, call: Call, now: float) -> None:
        """Slack counted a granted call, and did not do it: a stream that cannot be begun leaves
        its channel to the post that takes its place."""
        if call == "chat.startStream":
            claim.is_starting = False
            windows = self.windows(claim, call)
            windows.pop(call).answered(now)
            for window in windows.values():
                window.returned()
        else:
            self.answered(claim, call, now)

    def returned(self, claim: Claim, call: Call) -> None:
        """A granted call was not made."""
        claim.is_beginning = claim.is_starting = False
        for window in self.windows(claim, call).values():
            window.returned()

    def refused(
        self, claim: Claim, call: Call, now: float, *, retry_after: float
    ) -> dict[str, Window]:
        """Slack answered 429: nobody makes this call before ``retry_after`` seconds are over.

        Returns the budgets that hold it.

        A post refused for a moment was one too many for its channel, and only that one waits;
        unless nothing was posted there lately, and very much elsewhere. A stream refused for longer
        holds no post.
        """
        claim.is_beginning = claim.is_starting = False
        windows = self.windows(claim, call)
        if call in ("chat.postMessage", "chat.startStream"):
            if self._is_channels(claim, now, retry_after):
                windows.pop(call).returned()
            elif call == "chat.startStream":
                windows.pop(f"chat.postMessage:{claim.channel}").returned()
        for window in windows.values():
            window.refused(now, until=now + retry_after)
        return windows

    def _is_channels(self, claim: Claim, now: float, retry_after: float) -> bool:
        if retry_after > CHANNEL_RETRY_AFTER:
            return False
        posted_at = self._posted_at.get(claim.channel, -inf)
        return now < posted_at + CHANNEL_MEMORY or self._posts.accepted(now) < FEWEST_POSTS

    def late(self, now: float) -> list[Claim]:
        """The last edits that cannot start within `LATE` seconds and would be posted sooner, and
        the stops with the last words of a stream that cannot, and would be appended."""
        waiting = [claim for claim in self._claims if claim.must and claim.wants == "chat.update"]
        late: list[Claim] = []
        starts = self._updates.starts(now)
        for claim, start in zip(
            sorted(waiting, key=lambda claim: claim.since), starts, strict=False
        ):
            is_late = start > now + LATE and not claim.can_but_wait
            if is_late and self._post_starts(claim, late, now) < start:
                late.append(claim)
        return late + self._late_stops(now)

    def _late_stops(self, now: float) -> list[Claim]:
        waiting = [claim for claim in self._claims if claim.wants == "chat.stopStream"]
        pairs = zip(
            sorted(waiting, key=lambda claim: claim.since), self._stops.starts(now), strict=False
        )
        return [claim for claim, start in pairs if start > now + LATE and not claim.can_but_wait]

    def _post_starts(self, claim: Claim, late: list[Claim], now: float) -> float:
        """When a post in place of the edit may start, behind those that its channel has to take."""
        every = self._limits.posts_in_channel_every
        ahead = sum(other.channel == claim.channel for other in late) + sum(
            other.must and other.wants == "chat.postMessage" and other.channel == claim.channel
            for other in self._claims
        )
        free = min(next(self._channel(claim).starts(now)), now + every)
        return max(next(self._posts.starts(now)), free + ahead * every)

    def _allowed(self, claim: Claim, outlook: "_Outlook", now: float) -> Call | None:
        """What the claim may call now; a stream may be better than the post that it wants."""
        is_first = claim.wants == "chat.postMessage" and not claim.must
        if is_first and claim.lane != "edit" and self._streams(claim, outlook, now):
            return "chat.startStream"
        return claim.wants if self._may(claim, claim.wants, outlook, now) else None

    def _streams(self, claim: Claim, outlook: "_Outlook", now: float) -> bool:
        """Whether it may begin a stream now and, where it may take either lane, had better."""
        is_possible = self._may(claim, "chat.startStream", outlook, now)
        if not is_possible or claim.lane == "native":
            return is_possible
        by_appends = _seconds_between(outlook.by_appends + 1, outlook.appends_a_second)
        by_edits = _seconds_between(outlook.by_edits + 1, outlook.edits_a_second)
        by_edits = max(QUICKEST_EDIT, by_edits) if outlook.to_spare > 0 else inf
        return max(QUICKEST_APPEND, by_appends) < by_edits

    def _may(self, claim: Claim, call: Call | None, outlook: "_Outlook", now: float) -> bool:
        for window in self.windows(claim, call).values():
            if window.free(now) <= 0 or window.is_busy(now):
                return False
        if claim.must:
            return True
        match call:
            case "chat.update":
                return now >= max(outlook.next_interim_edit, claim.quiet_until)
            case "chat.appendStream":
                return now >= max(outlook.next_append, claim.quiet_until)
            case "chat.startStream":
                return outlook.stops_to_spare > 0 and outlook.appends_a_second > 0
        return outlook.to_spare > 0 and now >= self._begins_at(claim, outlook, now)

    def _take(self, claim: Claim, call: Call, now: float) -> None:
        if call == "chat.update" and not claim.must:
            self._latest_interim_edit = now
        if call == "chat.appendStream" and not claim.must:
            self._latest_append = now
        claim.quiet_until = now + (QUICKEST_APPEND if call in STREAMING else QUICKEST_EDIT)
        claim.is_beginning = call == "chat.postMessage" and not claim.must
        claim.is_starting = call == "chat.startStream"
        for window in self.windows(claim, call).values():
            window.take(now)
        claim.wants, claim.granted = None, call

    def _begins_at(self, claim: Claim, outlook: "_Outlook", now: float) -> float:
        """When to post first: so that this look and those that follow lie evenly in time.

        A post at half time and one last edit leave readers half as far behind as a post at once
        and one last edit. Where a channel's own pace makes posts queue, they begin the earlier.
        """
        remaining = self._remaining(claim, now)
        looks = outlook.interim_edits_a_second * remaining / outlook.editing
        queue = outlook.in_channel[claim.channel] - 1
        wait = remaining / (1 + looks) - queue * self._limits.posts_in_channel_every
        return claim.since + wait if wait > AT_ONCE else -inf

    def _remaining(self, claim: Claim, now: float) -> float:
        """Seconds that an answer is likely to go on: one that took long will take long."""
        elapsed = max(0.0, now - claim.began)
        return max(self._usual_answer - elapsed, elapsed / 2, 1.0)

    def _outlook(self, now: float) -> "_Outlook":
        editing = [claim for claim in self._claims if not claim.is_native]
        streaming = [claim for claim in self._claims if claim.is_native]
        is_known = now < self._learned_at + KNOWN_FOR
        kept_back = self.kept_back("chat.update") + (self._kept_elsewhere if is_known else 0)
        is_known = now < self._learned_of_streams_at + KNOWN_FOR
        stops = len(streaming) + (self._streams_elsewhere if is_known else 0)
        stops_to_spare = self._stops.free(now) - stops
        newcomers = self._expected(now)
        streams = self._likely_to_stream(newcomers, stops_to_spare, now)
        edits = self._spare_a_second(self._updates, editing, kept_back, newcomers - streams, now)
        appends = self._spare_a_second(self._appends, streaming, 0, 0, now)
        return _Outlook(
            to_spare=self._updates.free(now) - kept_back,
            edits_a_second=edits,
            interim_edits_a_second=(rate := edits * _share(len(editing), newcomers - streams)),
            next_interim_edit=self._latest_interim_edit + 1 / rate if rate > 0 else inf,
            in_channel=Counter(claim.channel for claim in self._claims),
            editing=self._likely_to_edit(editing, stops_to_spare, now),
            by_edits=sum(map(_is_edited, editing)),
            by_appends=len(streaming),
            stops_to_spare=stops_to_spare,
            appends_a_second=appends,
            next_append=(
                self._latest_append + 1 / pace
                if (pace := appends * _share(len(streaming), streams)) > 0
                else inf
            ),
        )

    def _likely_to_edit(self, claims: Sequence[Claim], stops_to_spare: int, now: float) -> float:
        """How many of those that do not stream are likely to grow by edits."""
        undecided = sum(claim.lane != "edit" and not _is_edited(claim) for claim in claims)
        return max(1.0, len(claims) - self._likely_to_stream(undecided, stops_to_spare, now))

    def _likely_to_stream(self, count: int, stops_to_spare: int, now: float) -> int:
        """How many of so many replies: as many as it takes to use both lanes alike."""
        if all(claim.lane == "edit" and not claim.is_native for claim in self._claims):
            return 0
        share = self._appends.limit / (self._appends.limit + self._updates.limit)
        return max(0, min(self._starts.free(now), stops_to_spare, int(count * share)))

    def _spare_a_second(
        self, window: Window, claims: Sequence[Claim], kept_back: int, newcomers: int, now: float
    ) -> float:
        """As many interim calls as last for the time that the running answers need.

        Slots that free meanwhile count, but none is spent before it is there. Each newcomer will
        need one call in order to end.
        """
        if window.free(now) <= kept_back:
            return 0.0
        remaining = [self._remaining(claim, now) for claim in claims]
        horizon = sum(remaining) / len(remaining) if remaining else self._usual_answer
        kept = kept_back + newcomers + KEPT_FOR_NEWCOMERS * window.limit
        rates = []
        free = window.free(now)
        for seconds in window.frees_in(now):
            if seconds >= horizon:
                break
            if seconds > 0:
                rates.append((free - kept) / seconds)
            free += 1
        return max(0.0, min([*rates, (free - kept) / horizon]))

    def _expected(self, now: float) -> int:
        """How many will ask soon: as many as lately."""
        while self._joined and self._joined[0] + TREND <= now:
            self._joined.popleft()
        return len(self._joined)

    def _channel(self, claim: Claim) -> Window:
        pace = Window(1, self._limits.posts_in_channel_every)
        return self._channels.setdefault(claim.channel, pace)


def _seconds_between(replies: int, calls_a_second: float) -> float:
    """Of two looks that a reader gets at one of so many replies."""
    return replies / calls_a_second if calls_a_second > 0 else inf


def _share(running: int, newcomers: int) -> float:
    """Of what is to spare, for those who have asked already."""
    return running / (running + newcomers) if running else 1.0


def _is_edited(claim: Claim) -> bool:
    return claim.has_open_message or claim.is_beginning
