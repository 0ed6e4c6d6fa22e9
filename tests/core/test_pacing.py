"""Who may call Slack next: arithmetic on times, without a loop and without a clock."""

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pacing import MINUTE, QUICKEST_EDIT, Call, Claim, Limits, Pacer, Window

START = 1000.0  # seconds of some clock


def joined(pacer: Pacer, channel: str = "C1", **values: object) -> Claim:
    claim = Claim(channel)
    for name, value in values.items():
        setattr(claim, name, value)
    pacer.join(claim)
    return claim


def wanting_edit(pacer: Pacer, *, since: float = START, must: bool = False) -> Claim:
    return joined(pacer, wants="chat.update", has_open_message=True, since=since, must=must)


def wanting_post(pacer: Pacer, channel: str = "C1", *, must: bool = False) -> Claim:
    return joined(pacer, channel, wants="chat.postMessage", since=START, must=must)


def make_edits(pacer: Pacer, count: int, now: float) -> None:
    """Uses up part of the minute's edits, by replies that have ended since."""
    for _ in range(count):
        claim = wanting_edit(pacer, must=True)
        assert pacer.grant(now) is claim
        pacer.answered(claim, "chat.update", now)
        pacer.leave(claim)


# -- the window


def test_slot_frees_a_minute_after_its_answer_not_after_its_call() -> None:
    window = Window(1)
    window.take()  # at START
    window.answered(START + 7)

    assert window.free(START + 66.9) == 0
    assert window.next_free(START + 66.9) == START + 67
    assert window.free(START + 67) == 1


def test_call_under_way_holds_its_slot_for_as_long_as_it_takes() -> None:
    window = Window(2)
    window.take()

    assert window.free(START) == 1
    assert window.free(START + 10 * MINUTE) == 1
    assert window.next_free(START) == inf


def test_held_window_is_closed_until_the_longest_refusal_is_over() -> None:
    window = Window(5)
    window.hold(START + 30)
    window.hold(START + 10)

    assert window.free(START + 29.9) == 0
    assert window.next_free(START) == START + 30
    assert window.free(START + 30) == 5


# -- who comes first


def test_nobody_is_let_through_who_wants_nothing() -> None:
    pacer = Pacer()
    joined(pacer, has_open_message=True)

    assert pacer.grant(START) is None


def test_last_edit_comes_before_older_interim_edits() -> None:
    pacer = Pacer()
    wanting_edit(pacer, since=START - 20)
    last = wanting_edit(pacer, since=START, must=True)

    assert pacer.grant(START) is last


def test_oldest_unseen_text_comes_first() -> None:
    pacer = Pacer()
    wanting_edit(pacer, since=START - 1)
    oldest = wanting_edit(pacer, since=START - 3)
    wanting_edit(pacer, since=START - 2)

    assert pacer.grant(START) is oldest


def test_oldest_last_edit_comes_first() -> None:
    pacer = Pacer()
    wanting_edit(pacer, since=START - 1, must=True)
    oldest = wanting_edit(pacer, since=START - 3, must=True)

    assert pacer.grant(START) is oldest


def test_granted_claim_wants_nothing_any_more() -> None:
    pacer = Pacer()
    claim = wanting_edit(pacer)

    assert pacer.grant(START) is claim
    assert claim.wants is None
    assert pacer.grant(START) is None


# -- how fast


def test_last_edit_does_not_wait_for_the_spread_of_interim_edits() -> None:
    pacer = Pacer()
    interim = wanting_edit(pacer)
    pacer.grant(START)
    pacer.answered(interim, "chat.update", START)
    interim.wants, interim.must = "chat.update", True

    assert pacer.grant(START) is interim


def test_interim_edits_of_one_reply_are_half_a_second_apart_after_the_answer() -> None:
    pacer = Pacer(Limits(updates=1000))
    claim = wanting_edit(pacer)
    pacer.grant(START)
    pacer.answered(claim, "chat.update", START + 2)
    claim.wants = "chat.update"

    assert pacer.grant(START + 2 + QUICKEST_EDIT - 0.01) is None
    assert pacer.next_chance(START + 2) == START + 2 + QUICKEST_EDIT
    assert pacer.grant(START + 2 + QUICKEST_EDIT) is claim


def test_fewer_edits_left_are_spread_wider() -> None:
    """Over 30 seconds: with 46 to spare 0.65 s lie between two, with 2 to spare 15 s."""
    fresh, used = Pacer(), Pacer()
    make_edits(used, 44, START)

    for pacer, pause in [(fresh, 30 / 46), (used, 30 / 2)]:
        claim = wanting_edit(pacer)
        assert pacer.grant(START) is claim
        pacer.answered(claim, "chat.update", START)
        claim.wants = "chat.update"
        assert pacer.grant(START + pause - 0.01) is None
        assert pacer.grant(START + pause) is claim


def test_second_post_into_a_channel_waits_a_second_and_another_channel_does_not() -> None:
    pacer = Pacer()
    first = wanting_post(pacer)
    pacer.grant(START)
    second, elsewhere = wanting_post(pacer), wanting_post(pacer, "C2")

    assert pacer.grant(START) is elsewhere
    pacer.answered(first, "chat.postMessage", START + 0.2)
    assert pacer.grant(START + 0.2) is None
    assert pacer.next_chance(START + 0.2) == START + 0.2 + 1.05
    assert pacer.grant(START + 0.2 + 1.05) is second


def test_posts_of_a_minute_are_limited_over_all_channels() -> None:
    pacer = Pacer(Limits(posts=3))
    for number in range(3):
        claim = wanting_post(pacer, f"C{number}", must=True)
        assert pacer.grant(START) is claim
        pacer.answered(claim, "chat.postMessage", START)
    late = wanting_post(pacer, "C9", must=True)

    assert pacer.grant(START + 59.9) is None
    assert pacer.next_chance(START) == START + 60
    assert pacer.grant(START + 60) is late


def test_channels_are_forgotten_once_their_pause_is_over() -> None:
    pacer = Pacer()
    for number in range(100):
        claim = wanting_post(pacer, f"C{number}", must=True)
        assert pacer.grant(START + number) is claim
        pacer.answered(claim, "chat.postMessage", START + number)
        pacer.leave(claim)

    assert len(pacer._channels) <= 2


# -- what is kept back


def test_one_edit_is_kept_back_for_each_open_message() -> None:
    pacer = Pacer(Limits(updates=3))
    joined(pacer, has_open_message=True)
    writing = wanting_edit(pacer)

    assert pacer.grant(START) is writing  # 3 left, 2 kept back
    pacer.answered(writing, "chat.update", START)
    writing.wants = "chat.update"
    assert pacer.grant(START + 31) is None  # 2 left, 2 kept back
    writing.must = True
    assert pacer.grant(START + 31) is writing


def test_answer_is_not_begun_where_its_last_edit_could_not_be_kept_back() -> None:
    pacer = Pacer(Limits(updates=1))
    joined(pacer, has_open_message=True)
    wanting_post(pacer, "C2")

    assert pacer.grant(START) is None


def test_ended_answer_is_posted_though_no_edit_is_left() -> None:
    pacer = Pacer(Limits(updates=1))
    joined(pacer, has_open_message=True)
    whole = wanting_post(pacer, "C2", must=True)

    assert pacer.grant(START) is whole


def test_post_under_way_already_keeps_its_last_edit_back() -> None:
    pacer = Pacer(Limits(updates=1))
    first = wanting_post(pacer, "C1")
    second = wanting_post(pacer, "C2")

    assert pacer.grant(START) in (first, second)
    assert pacer.grant(START) is None


def test_posts_of_whole_answers_keep_no_edit_back() -> None:
    pacer = Pacer(Limits(updates=1))
    whole = wanting_post(pacer, "C1", must=True)
    begun = wanting_post(pacer, "C2")

    assert [pacer.grant(START), pacer.grant(START)] == [whole, begun]


def test_reply_that_leaves_gives_back_what_was_kept_for_it() -> None:
    pacer = Pacer(Limits(updates=1))
    gone = joined(pacer, has_open_message=True)
    waiting = wanting_post(pacer, "C2")
    assert pacer.grant(START) is None

    pacer.leave(gone)

    assert pacer.grant(START) is waiting


# -- refusals


def test_refusal_holds_that_method_for_everybody_and_no_other() -> None:
    pacer = Pacer()
    pacer.refused("chat.update", START, retry_after=30)
    edit = wanting_edit(pacer, must=True)
    post = wanting_post(pacer, must=True)

    assert pacer.grant(START) is post
    assert pacer.grant(START + 29.9) is None
    assert pacer.next_chance(START + 2) == START + 30
    assert pacer.grant(START + 30) is edit


def test_refused_posts_hold_the_posts_of_all_channels() -> None:
    pacer = Pacer()
    pacer.refused("chat.postMessage", START, retry_after=5)
    wanting_post(pacer, "C1", must=True)
    wanting_post(pacer, "C2", must=True)

    assert pacer.grant(START + 4.9) is None
    assert pacer.grant(START + 5) is not None


# -- whatever comes

CHANNELS = [f"C{number}" for number in range(6)]


@dataclass
class Crowd:
    """Replies that come, write and go at random, and what they did to Slack."""

    pacer: Pacer
    now: float = START
    claims: list[Claim] = field(default_factory=list)
    under_way: list[tuple[Claim, Call, bool]] = field(default_factory=list)
    calls: list[tuple[float, Call, str]] = field(default_factory=list)

    def come(self, channel: str) -> None:
        self.claims.append(joined(self.pacer, channel, wants="chat.postMessage", since=self.now))

    def want(self, number: int, *, must: bool) -> None:
        idle = [c for c in self.claims if not c.wants and c not in (u[0] for u in self.under_way)]
        if idle:
            claim = idle[number % len(idle)]
            claim.wants = "chat.update" if claim.has_open_message else "chat.postMessage"
            claim.must, claim.since = must, self.now

    def grant_all(self) -> None:
        while claim := self.pacer.grant(self.now):
            call: Call = "chat.update" if claim.has_open_message else "chat.postMessage"
            self.calls.append((self.now, call, claim.channel))
            self.under_way.append((claim, call, claim.must))

    def answer(self, number: int) -> None:
        if self.under_way:
            claim, call, was_last = self.under_way.pop(number % len(self.under_way))
            claim.has_open_message = not was_last
            self.pacer.answered(claim, call, self.now)
            if was_last:
                self.pacer.leave(claim)
                self.claims.remove(claim)


numbers = st.integers(0, 99)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(CHANNELS)),
        st.tuples(st.just("want"), numbers),
        st.tuples(st.just("end"), numbers),
        st.tuples(st.just("answer"), numbers),
        st.tuples(st.just("wait"), st.floats(0.01, 20)),
    ),
    min_size=10,
    max_size=80,
)


def played(script: list[tuple[str, object]]) -> Crowd:
    crowd = Crowd(Pacer(Limits(updates=3, posts=7)))
    for step in script:
        match step:
            case ("come", str(channel)):
                crowd.come(channel)
            case ("want" | "end" as kind, int(number)):
                crowd.want(number, must=kind == "end")
            case ("answer", int(number)):
                crowd.answer(number)
            case ("wait", float(seconds)):
                crowd.now += seconds
        crowd.grant_all()
    return crowd


def most_within(times: list[float], seconds: float) -> int:
    return max((sum(at <= t < at + seconds for t in times) for at in times), default=0)


@given(steps)
@settings(deadline=None)
def test_whatever_comes_no_minute_sees_more_calls_than_allowed(
    script: list[tuple[str, object]],
) -> None:
    calls = played(script).calls

    edits = [at for at, call, _ in calls if call == "chat.update"]
    posts = [(at, channel) for at, call, channel in calls if call == "chat.postMessage"]
    assert most_within(edits, MINUTE) <= 3
    assert most_within([at for at, _ in posts], MINUTE) <= 7
    for channel in CHANNELS:
        assert most_within([at for at, where in posts if where == channel], 1.05) <= 1


@given(steps)
@settings(deadline=None)
def test_whatever_comes_the_pacer_knows_when_its_next_chance_is(
    script: list[tuple[str, object]],
) -> None:
    crowd = played(script)
    chance = crowd.pacer.next_chance(crowd.now)

    for share in (0.0, 0.5, 0.999):
        before = crowd.now + (min(chance, crowd.now + 1000) - crowd.now) * share
        assert crowd.pacer.grant(before) is None


@given(steps)
@settings(deadline=None)
def test_whatever_comes_each_message_that_grows_can_have_its_last_edit_at_once(
    script: list[tuple[str, object]],
) -> None:
    crowd = played(script)
    for claim in crowd.claims:
        claim.wants = None
    while crowd.under_way:
        crowd.answer(0)

    growing = [claim for claim in crowd.claims if claim.has_open_message]
    for claim in growing:
        claim.wants, claim.must = "chat.update", True

    assert {id(crowd.pacer.grant(crowd.now)) for _ in growing} == {id(claim) for claim in growing}


@pytest.mark.parametrize("count", [2, 10, 40])
def test_replies_that_always_have_something_new_take_turns(count: int) -> None:
    pacer = Pacer(Limits(updates=60))
    claims = [wanting_edit(pacer, since=START + number) for number in range(count)]
    edits = dict.fromkeys(map(id, claims), 0)

    now = START + count
    while now < START + 600:
        while claim := pacer.grant(now):
            edits[id(claim)] += 1
            pacer.answered(claim, "chat.update", now)
            claim.wants, claim.since = "chat.update", now
        now = pacer.next_chance(now)

    assert max(edits.values()) - min(edits.values()) <= 1
    assert min(edits.values()) > 0
