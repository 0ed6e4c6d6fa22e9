"""A budget of calls: what is counted, what a refusal teaches, and what processes share of it."""

from json import dumps, loads
from math import inf

from hypothesis import example, given
from hypothesis import strategies as st

from bot.window import LONGEST_PATIENCE, MINUTE, UNDER_WAY, Window

START = 1000.0  # seconds of some clock


def test_slot_frees_a_minute_after_its_answer_not_after_its_call() -> None:
    window = Window(1)
    window.take(START)  # at START
    window.answered(START + 7)

    assert window.free(START + 66.9) == 0
    assert window.next_free(START + 66.9) == START + 67
    assert window.free(START + 67) == 1


def test_call_under_way_holds_its_slot_for_as_long_as_it_takes() -> None:
    window = Window(2)
    window.take(START)

    assert window.free(START) == 1
    assert window.free(START + 10 * MINUTE) == 1
    assert window.next_free(START) == inf


def refuse(window: Window, now: float, *, retry_after: float = 10.0) -> None:
    window.take(START)
    window.refused(now, until=now + retry_after)


def accept(window: Window, count: int, now: float) -> None:
    for _ in range(count):
        window.take(START)
        window.answered(now)


def test_held_window_is_closed_until_the_longest_refusal_is_over() -> None:
    window = Window(5)
    accept(window, 3, START)
    refuse(window, START, retry_after=30)
    refuse(window, START, retry_after=10)

    assert window.free(START + 29.9) == 0
    assert window.next_free(START) == START + 30
    assert window.free(START + 60) == 3


def test_refusal_lowers_the_belief_to_what_was_accepted() -> None:
    window = Window(48)
    accept(window, 20, START)
    refuse(window, START + 5)

    assert window.limit == 20
    assert window.free(START + 59.9) == 0
    assert window.free(START + 60) == 20


def test_refusal_of_the_very_first_call_leaves_an_eighth() -> None:
    """A process before may have used the minute: that says little of what Slack allows."""
    window = Window(48)
    refuse(window, START)

    assert window.limit == 6
    assert window.free(START + 10) == 6


def test_belief_rises_by_a_tenth_after_a_minute_without_a_refusal() -> None:
    window = Window(48)
    accept(window, 30, START)
    refuse(window, START, retry_after=10)

    assert (window.free(START + 69.9), window.limit) == (30, 30)
    assert (window.free(START + 70), window.limit) == (33, 33)
    assert (window.free(START + 129.9), window.limit) == (33, 33)
    assert (window.free(START + 130), window.limit) == (36, 36)


def test_hardy_belief_falls_to_half_at_least_and_rises_by_a_third() -> None:
    """A reading that is refused for a moment, after two: that says nothing of a minute's."""
    window = Window(48, is_hardy=True)
    for _ in range(2):
        window.take(0.0)
        window.answered(0.1)
    for _ in range(3):  # at once
        window.take(0.2)
    for _ in range(3):
        window.refused(0.3, until=5.0)

    assert window.limit == 24
    assert Window(48, is_hardy=True).like(window.state(0.0), 0.0).limit == 24
    limits = []
    for minute in range(1, 5):
        window.free(5.1 + minute * MINUTE)
        limits.append(window.limit)
    assert limits == [32, 42, 48, 48]


def test_small_belief_rises_by_one() -> None:
    window = Window(48)
    accept(window, 7, START)
    refuse(window, START)

    assert window.free(START + 70) == 8


def test_belief_never_rises_above_what_is_documented() -> None:
    window = Window(48)
    accept(window, 47, START)
    refuse(window, START)

    for minute in range(1, 100):
        assert window.free(START + minute * MINUTE) <= 48
    assert window.limit == 48
    assert window.is_idle(START + 100 * MINUTE)


def test_each_rise_that_is_refused_makes_the_next_one_wait_twice_as_long() -> None:
    window, now, waits = Window(48), START, []
    for _ in range(9):
        accept(window, 20, now)
        refuse(window, now, retry_after=1)
        refused_at = now + 1
        while window.limit == 20:
            now += 10
            window.free(now)
        waits.append(round((now - refused_at) / MINUTE))

    assert waits == [1, 2, 4, 8, 15, 15, 15, 15, 15]
    assert LONGEST_PATIENCE == 15 * MINUTE


def test_calls_that_are_refused_at_once_count_as_one_refusal() -> None:
    window = Window(48)
    accept(window, 20, START)
    for _ in range(UNDER_WAY):
        window.take(START)
    for number in range(UNDER_WAY):
        window.refused(START + number / 10, until=START + 10)

    assert window.free(START + 69.9) == 20
    assert window.free(START + 70) == 22


def test_refused_call_takes_no_slot() -> None:
    window = Window(3)
    accept(window, 2, START)
    refuse(window, START, retry_after=1)

    assert window.free(START + 1) == 0
    assert window.free(START + 60) == 2


@given(st.floats(0.05, 1.0), st.integers(1, 300))
def test_burst_is_the_share_of_a_minute_that_may_be_spent_at_once(burst: float, limit: int) -> None:
    window = Window(limit, burst=burst)

    assert window.free(START) == max(1, int(limit * burst))
    accept(window, window.limit, START)
    assert window.free(START + MINUTE * burst - 0.01) == 0
    assert window.free(START + MINUTE * burst) == window.limit


# -- what several processes share


DEEDS = st.lists(
    st.tuples(st.sampled_from(["call", "call", "call", "refused", "pause"]), st.floats(0.01, 40.0)),
    max_size=40,
)


def lived(deeds: list[tuple[str, float]], limit: int) -> tuple[Window, float]:
    """A window after these deeds, and the time then; each took the seconds beside it."""
    window, now = Window(limit), START
    for what, seconds in deeds:
        if what == "call" and window.free(now) > 0:
            window.take(now)
            window.answered(now + seconds / 10)
        elif what == "refused" and window.free(now) > 0:
            window.take(now)
            window.refused(now, until=now + seconds)
        now += seconds
    return window, now


@given(DEEDS, st.integers(1, 50), st.floats(-1e9, 1e9))
@example([("refused", 9.313038024333663), ("call", 40.0)], 2, 268434387.0)
def test_state_of_a_window_makes_one_that_is_like_it(
    deeds: list[tuple[str, float]], limit: int, offset: float
) -> None:
    """By whatever other clock it was written down."""
    window, now = lived(deeds, limit)
    state = loads(dumps(window.state(offset)))

    twin = Window(limit).like(state, offset)

    # In the moment itself in which something changes, clocks that are far apart may disagree.
    edges = [at + MINUTE for at in window._answered] + [window._held_until, window._rises_at]
    for later in (now + 1e-3, now + 1.007, now + MINUTE / 3, now + 5 * MINUTE + 0.1):
        if any(abs(at - later) < 1e-4 for at in edges):
            continue
        assert twin.free(later) == window.free(later)
        assert twin.limit == window.limit


def test_window_is_like_nothing_where_nothing_is_known() -> None:
    assert Window(7).like({}, 123.0).free(START) == 7


@given(DEEDS, st.integers(1, 4))
def test_calls_under_way_are_among_those_that_all_know(
    deeds: list[tuple[str, float]], under_way: int
) -> None:
    """They were drawn when they began, and must not be counted twice."""
    shared, now = lived(deeds, 20)
    own = Window(20)
    for _ in range(under_way):
        own.take(now)
        shared.draw(now, answered_within=1.0)

    own.adopt(shared.state(0.0), 0.0)

    assert own.free(now) == shared.free(now)


def test_process_with_a_lower_limit_believes_no_more_than_its_own() -> None:
    window = Window(5)

    window.adopt(Window(48).state(0.0), 0.0)

    assert window.free(START) == 5


def test_refusal_takes_the_place_of_what_was_drawn() -> None:
    window = Window(8)
    for _ in range(4):
        window.draw(START, answered_within=1.0)

    window.undraw(START, held_until=START + 30)

    assert window.limit == 3
    assert window.free(START + 29) == 0
    assert window.free(START + 62) == 3


def test_pace_of_one_a_second_is_not_halved_by_what_nobody_tells() -> None:
    window = Window(1, 1.05)

    window.draw(START, answered_within=1.0)

    assert window.free(START + 1.1) == 0
    assert window.free(START + 1.2) == 1
