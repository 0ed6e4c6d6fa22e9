"""Who may call Slack next: arithmetic on times, without a loop and without a clock."""

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.pacing import (
    CHANNEL_RETRY_AFTER,
    FEWEST_POSTS,
    GLANCE,
    LATE,
    QUICKEST_EDIT,
    USUAL_ANSWER,
    Call,
    Claim,
    Limits,
    Pacer,
)
from bot.window import FRESH, LEAST_SHARE, MINUTE, UNDER_WAY

START = 1000.0  # seconds of some clock


def joined(pacer: Pacer, channel: str = "C1", *, at: float = START, **values: object) -> Claim:
    claim = Claim(channel)
    for name, value in values.items():
        setattr(claim, name, value)
    pacer.join(claim, at)
    return claim


def wanting_edit(pacer: Pacer, *, since: float = START, must: bool = False) -> Claim:
    return joined(pacer, wants="chat.update", has_open_message=True, since=since, must=must)


def wanting_post(pacer: Pacer, channel: str = "C1", *, must: bool = False) -> Claim:
    """Its first words came just now."""
    return joined(pacer, channel, wants="chat.postMessage", since=START, began=START, must=must)


def make_edits(pacer: Pacer, count: int, now: float) -> None:
    """Uses up part of the minute's edits, by replies that began long ago and have ended since."""
    for _ in range(count):
        claim = joined(
            pacer,
            at=START - MINUTE,
            wants="chat.update",
            has_open_message=True,
            since=START,
            must=True,
        )
        assert pacer.grant(now) is claim
        pacer.answered(claim, "chat.update", now)
        pacer.leave(claim)


def make_posts(pacer: Pacer, count: int, now: float) -> None:
    for number in range(count):
        claim = wanting_post(pacer, f"D{number}", must=True)
        assert pacer.grant(now) is claim
        pacer.answered(claim, "chat.postMessage", now)
        pacer.leave(claim)


def first_grant(pacer: Pacer, *, until: float = START + MINUTE) -> float:
    """When somebody is let through, if only time passes."""
    now = START
    while now <= until:
        if pacer.grant(now):
            return now
        now = pacer.next_chance(now)
    return inf


def test_burst_holds_for_edits_and_posts_alike() -> None:
    pacer = Pacer(Limits(updates=40, posts=200, burst=0.1))
    for _ in range(4):
        make_edits(pacer, 1, START)
    make_posts(pacer, 20, START)
    edit, post = wanting_edit(pacer, must=True), wanting_post(pacer, must=True)

    assert pacer.grant(START + 5.9) is None
    assert {id(pacer.grant(START + 6)), id(pacer.grant(START + 6))} == {id(edit), id(post)}


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


def test_interim_edits_of_one_reply_begin_half_a_second_apart() -> None:
    pacer = Pacer(Limits(updates=1000))
    claim = wanting_edit(pacer)
    pacer.grant(START)
    pacer.answered(claim, "chat.update", START + 0.1)
    claim.wants = "chat.update"

    assert pacer.grant(START + QUICKEST_EDIT - 0.01) is None
    assert pacer.next_chance(START + QUICKEST_EDIT - 0.2) == START + QUICKEST_EDIT
    assert pacer.grant(START + QUICKEST_EDIT) is claim


def gap_after(made: int) -> float:
    """Seconds between two interim edits of one answer, after so many of the minute's were made."""
    pacer = Pacer()
    make_edits(pacer, made, START)
    claim = wanting_edit(pacer)
    assert pacer.grant(START) is claim
    pacer.answered(claim, "chat.update", START)
    claim.wants = "chat.update"
    return first_grant(pacer) - START


def test_answer_alone_is_edited_about_twice_a_second_while_the_budget_lasts() -> None:
    assert gap_after(0) <= QUICKEST_EDIT + GLANCE


def test_fewer_edits_left_are_spread_wider() -> None:
    gaps = [gap_after(made) for made in (0, 20, 30, 38)]

    assert gaps == sorted(gaps)
    assert gaps[-1] > 3 * gaps[0]


def test_answer_alone_leaves_edits_for_the_next_asker_however_long_it_is() -> None:
    pacer = Pacer()
    claim, now = joined(pacer, wants="chat.postMessage", since=START, began=START), START
    while now < START + 59:
        if pacer.grant(now):
            pacer.answered(
                claim, "chat.update" if claim.has_open_message else "chat.postMessage", now
            )
            claim.has_open_message, claim.wants, claim.since = True, "chat.update", now
        now = pacer.next_chance(now)

    assert pacer._updates.free(now) >= 4
    asker = joined(pacer, "C2", at=now, wants="chat.postMessage", since=now - 5, began=now - 5)
    assert pacer.grant(now) is asker


def test_answer_of_those_who_ask_together_gets_its_share() -> None:
    pacer = Pacer()
    claims = [wanting_edit(pacer, since=START - n / 10) for n in range(10)]
    edits, now = dict.fromkeys(map(id, claims), 0), START
    while now < START + USUAL_ANSWER:
        while claim := pacer.grant(now):
            edits[id(claim)] += 1
            pacer.answered(claim, "chat.update", now)
            claim.wants, claim.since = "chat.update", now
        now = pacer.next_chance(now)

    assert min(edits.values()) >= 1
    assert max(edits.values()) - min(edits.values()) <= 1


# -- when to post first


def test_answer_begins_at_once_with_plenty_of_edits() -> None:
    pacer = Pacer()
    wanting_post(pacer)

    assert first_grant(pacer) == START


def test_answer_begins_at_about_half_time_where_edits_are_scarce() -> None:
    pacer = Pacer()
    make_edits(pacer, 44, START)
    wanting_post(pacer)

    assert first_grant(pacer) - START == pytest.approx(USUAL_ANSWER / 2, abs=1)


def test_half_time_is_what_answers_here_usually_take() -> None:
    pacer = Pacer()
    for _ in range(40):
        claim = joined(pacer, at=START - MINUTE, began=START - 24)
        pacer.ended(claim, START)
        pacer.leave(claim)
    make_edits(pacer, 44, START)
    wanting_post(pacer)

    assert first_grant(pacer) - START == pytest.approx(12, abs=1)


def test_answer_does_not_begin_where_its_last_edit_cannot_be_kept_back() -> None:
    pacer = Pacer()
    make_edits(pacer, 48, START)
    claim = wanting_post(pacer)

    assert first_grant(pacer, until=START + MINUTE - 1) == inf
    claim.must = True
    assert pacer.grant(START) is claim


def test_answers_begin_the_earlier_the_more_have_to_queue_for_their_channel() -> None:
    def begins(here: int, elsewhere: int) -> float:
        pacer = Pacer()
        make_edits(pacer, 38, START)
        for channel in ["C1"] * here + ["C2"] * elsewhere:
            joined(pacer, channel, at=START - MINUTE, since=START, began=START)
        joined(
            pacer,
            at=START - MINUTE,
            wants="chat.postMessage",
            since=START,
            began=START,
        )
        return first_grant(pacer)

    assert begins(0, 3) > begins(1, 2) > START
    assert begins(3, 0) == START


# -- how many at once


@pytest.mark.parametrize("call", ["chat.update", "chat.postMessage"])
def test_no_more_than_five_calls_of_a_kind_are_under_way_at_a_time(call: Call) -> None:
    pacer = Pacer()
    claims = [
        joined(pacer, f"C{n}", wants=call, has_open_message=True, since=START + n, must=True)
        for n in range(7)
    ]

    granted = [pacer.grant(START + 9) for _ in range(6)]
    assert granted == [*claims[:UNDER_WAY], None]
    pacer.answered(claims[0], call, START + 9)
    assert [pacer.grant(START + 9), pacer.grant(START + 9)] == [claims[5], None]


# -- posts


def test_second_post_into_a_channel_waits_a_second_and_another_channel_does_not() -> None:
    pacer = Pacer()
    first = wanting_post(pacer)
    pacer.grant(START)
    second, elsewhere = wanting_post(pacer), wanting_post(pacer, "C2")

    assert pacer.grant(START) is elsewhere
    pacer.answered(first, "chat.postMessage", START + 0.2)
    assert pacer.grant(START + 0.2) is None
    assert pacer.grant(START + 0.2 + 1.04) is None
    assert pacer.next_chance(START + 1.2) == START + 0.2 + 1.05
    assert pacer.grant(START + 0.2 + 1.05) is second


def test_posts_of_a_minute_are_limited_over_all_channels() -> None:
    pacer = Pacer(Limits(posts=3))
    for number in range(3):
        claim = wanting_post(pacer, f"C{number}", must=True)
        assert pacer.grant(START) is claim
        pacer.answered(claim, "chat.postMessage", START)
    late = wanting_post(pacer, "C9", must=True)

    assert pacer.grant(START + 59.9) is None
    assert pacer.next_chance(START + 59.9) == START + 60
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
    pacer = Pacer()
    make_edits(pacer, 46, START)
    joined(pacer, at=START - MINUTE, has_open_message=True)
    writing = joined(
        pacer, at=START - MINUTE, wants="chat.update", has_open_message=True, since=START
    )

    assert first_grant(pacer, until=START + MINUTE - 1) == inf  # 2 left, 2 kept back
    writing.must = True
    assert pacer.grant(START + MINUTE - 1) is writing


def test_interim_edits_leave_some_for_those_who_asked_lately() -> None:
    def edits_made(newcomers: int) -> int:
        pacer, now, made = Pacer(Limits(updates=20)), START, 0
        writing = joined(
            pacer, at=START - MINUTE, wants="chat.update", has_open_message=True, since=START
        )
        while now < START + USUAL_ANSWER:
            for _ in range(newcomers):
                pacer.leave(joined(pacer, at=now))
            if pacer.grant(now):
                made += 1
                pacer.answered(writing, "chat.update", now)
                writing.wants, writing.since = "chat.update", now
            now += 1.0
        return made

    assert edits_made(0) > edits_made(1) > edits_made(5)


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
    half_time = START + USUAL_ANSWER / 2

    assert pacer.grant(half_time) in (first, second)
    assert pacer.grant(half_time) is None


def test_posts_of_whole_answers_keep_no_edit_back() -> None:
    pacer = Pacer(Limits(updates=1))
    whole = wanting_post(pacer, "C1", must=True)
    begun = wanting_post(pacer, "C2")

    half_time = START + USUAL_ANSWER / 2
    assert [pacer.grant(half_time), pacer.grant(half_time)] == [whole, begun]


def test_reply_that_leaves_gives_back_what_was_kept_for_it() -> None:
    pacer = Pacer(Limits(updates=1))
    gone = joined(pacer, has_open_message=True)
    waiting = wanting_post(pacer, "C2")
    half_time = START + USUAL_ANSWER / 2
    assert pacer.grant(half_time) is None

    pacer.leave(gone)

    assert pacer.grant(half_time) is waiting


# -- refusals


def refused(pacer: Pacer, claim: Claim, now: float, *, retry_after: float) -> None:
    """The claim's call is let through, and Slack does not take it."""
    call = claim.wants
    assert call
    assert pacer.grant(now) is claim
    pacer.refused(claim, call, now, retry_after=retry_after)
    pacer.leave(claim)


def test_refusal_holds_that_method_for_everybody_and_no_other() -> None:
    pacer = Pacer()
    refused(pacer, wanting_edit(pacer, must=True), START, retry_after=30)
    edit = wanting_edit(pacer, must=True)
    post = wanting_post(pacer, must=True)

    assert pacer.grant(START) is post
    assert pacer.grant(START + 29.9) is None
    assert pacer.next_chance(START + 29.8) == START + 30
    assert pacer.grant(START + 30) is edit


def test_refused_posts_hold_the_posts_of_all_channels() -> None:
    pacer = Pacer()
    refused(pacer, wanting_post(pacer, "C3", must=True), START, retry_after=5)
    wanting_post(pacer, "C1", must=True)
    wanting_post(pacer, "C2", must=True)

    assert pacer.grant(START + 4.9) is None
    assert pacer.grant(START + 5) is not None


def test_post_refused_for_a_moment_holds_its_channel_only_and_lowers_nothing() -> None:
    pacer = Pacer()
    refused(pacer, wanting_post(pacer, "C1", must=True), START, retry_after=CHANNEL_RETRY_AFTER)
    here, elsewhere = wanting_post(pacer, "C1", must=True), wanting_post(pacer, "C2", must=True)

    assert [pacer.grant(START), pacer.grant(START)] == [elsewhere, None]
    assert pacer.grant(START + CHANNEL_RETRY_AFTER) is here
    assert pacer._posts.limit == Limits().posts


def test_post_refused_for_a_moment_where_nothing_was_posted_is_the_workspaces_after_many() -> None:
    pacer = Pacer()
    make_posts(pacer, FEWEST_POSTS, START)
    refused(pacer, wanting_post(pacer, "C1", must=True), START + 10, retry_after=1)
    wanting_post(pacer, "C2", must=True)

    assert pacer.grant(START + 10.9) is None
    assert pacer._posts.limit == max(FEWEST_POSTS, Limits().posts // LEAST_SHARE)


def test_post_refused_for_a_moment_after_another_in_its_channel_is_the_channels() -> None:
    pacer = Pacer()
    make_posts(pacer, FEWEST_POSTS, START)
    refused(pacer, wanting_post(pacer, "D1", must=True), START + 1.1, retry_after=1)
    elsewhere = wanting_post(pacer, "C2", must=True)

    assert pacer.grant(START + 1.1) is elsewhere
    assert pacer._posts.limit == Limits().posts


# -- last edits that come too late


def all_edits_made(*, frees_at: float = START + MINUTE) -> Pacer:
    pacer = Pacer()
    make_edits(pacer, 48, frees_at - MINUTE)
    return pacer


def test_last_edit_for_which_no_slot_frees_soon_is_late() -> None:
    pacer = all_edits_made()
    last = wanting_edit(pacer, must=True)

    assert pacer.late(START) == [last]
    assert pacer.late(START + MINUTE - LATE - 0.01) == [last]


def test_last_edit_whose_slot_frees_in_a_moment_is_not_late() -> None:
    pacer = all_edits_made()
    wanting_edit(pacer, must=True)

    assert pacer.late(START + MINUTE - LATE + 0.01) == []


def test_all_last_edits_are_late_while_slack_refuses_edits() -> None:
    pacer = Pacer()
    make_edits(pacer, 20, START)
    refused(pacer, wanting_edit(pacer, must=True), START, retry_after=30)
    waiting = [wanting_edit(pacer, must=True) for _ in range(3)]

    assert set(pacer.late(START)) == set(waiting)
    assert pacer.late(START + 59.8) == []


def test_neither_posts_nor_interim_edits_nor_those_that_can_but_wait_are_late() -> None:
    pacer = all_edits_made()
    wanting_post(pacer, must=True)
    wanting_edit(pacer)
    joined(pacer, has_open_message=True, must=True)
    wanting_edit(pacer, must=True).can_but_wait = True

    assert pacer.late(START) == []


def test_no_edit_is_late_while_one_can_be_made() -> None:
    pacer = Pacer()
    make_edits(pacer, 47, START)
    wanting_edit(pacer, must=True)

    assert pacer.late(START) == []


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
        claim = joined(
            self.pacer,
            channel,
            at=self.now,
            wants="chat.postMessage",
            since=self.now,
            began=self.now,
        )
        self.claims.append(claim)

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
def test_whatever_comes_the_pacer_looks_again_in_a_moment_or_nothing_can_happen(
    script: list[tuple[str, object]],
) -> None:
    crowd = played(script)

    chance = crowd.pacer.next_chance(crowd.now)

    assert crowd.now < chance <= crowd.now + GLANCE or chance == inf
    for later in (1.0, 10.0, MINUTE, 10 * MINUTE) if chance == inf else ():
        assert crowd.pacer.grant(crowd.now + later) is None


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


def test_only_those_last_edits_are_late_for_which_no_slot_frees_in_time() -> None:
    pacer = Pacer(Limits(updates=4))
    for number in range(4):
        make_edits(pacer, 1, START + number / 5)
    waiting = [
        joined(
            pacer, f"C{n}", wants="chat.update", has_open_message=True, since=START + n, must=True
        )
        for n in range(3)
    ]

    assert pacer.late(START + MINUTE - 0.1) == waiting[2:]


def test_a_last_edit_is_not_late_where_a_post_would_come_later_still() -> None:
    pacer = Pacer()
    refused(pacer, wanting_post(pacer, "C9", must=True), START, retry_after=30)
    refused(pacer, wanting_edit(pacer, must=True), START, retry_after=1)
    wanting_edit(pacer, must=True)

    assert pacer.late(START) == []


def test_slow_calls_hold_nobody_up() -> None:
    pacer = Pacer()
    for n in range(UNDER_WAY):
        joined(pacer, f"C{n}", wants="chat.postMessage", since=START, must=True)
        assert pacer.grant(START) is not None
    last = joined(pacer, "C9", wants="chat.postMessage", since=START, must=True)

    assert pacer.grant(START + FRESH - 0.1) is None
    assert pacer.next_chance(START + FRESH - 0.1) < START + FRESH + GLANCE
    assert pacer.grant(START + FRESH) is last
