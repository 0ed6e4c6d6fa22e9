"""The bench's arithmetic, by examples that were worked out by hand."""

from math import inf

import pytest

from tests.bench.measure import (
    Answer,
    Show,
    Text,
    percentile,
    queue_delays,
    seconds_behind,
)

FIVE = [0.0, 1.0, 2.0, 3.0, 4.0]  # one token a second


def test_posted_whole_is_behind_by_half_the_stream() -> None:
    assert seconds_behind(FIVE, [(4.5, 5)]) == 2.0


def test_what_is_shown_at_once_is_never_behind() -> None:
    at_once = [(at, count) for count, at in enumerate(FIVE, 1)]

    assert seconds_behind(FIVE, at_once) == 0.0


def test_what_is_never_shown_counts_until_the_streams_end() -> None:
    assert seconds_behind(FIVE, []) == 2.0


def test_one_show_in_mid_stream() -> None:
    # Until 2.5 the first token ages from 0 to 2.5 s: 3.125. Then three are visible; the fourth
    # comes at 3.0 and is 1.0 s old at 4.0: 0.5. Together 3.625 in 4 s.
    assert seconds_behind(FIVE, [(2.5, 3)]) == pytest.approx(3.625 / 4)


def test_a_show_with_old_text_leaves_it_behind() -> None:
    # Until 2.5 as above: 3.125. Then one is visible; the second is 1.5 s old at 2.5, 3.0 at 4.0.
    assert seconds_behind(FIVE, [(2.5, 1)]) == pytest.approx((3.125 + (9.0 - 2.25) / 2) / 4)


def test_each_show_is_delayed_by_as_much() -> None:
    # After each token its age grows from 0 to 0.25 s, four times within the stream.
    late = [(at + 0.25, count) for count, at in enumerate(FIVE, 1)]

    assert seconds_behind(FIVE, late) == pytest.approx(4 * 0.25**2 / 2 / 4)


def test_shows_after_the_end_of_the_stream_change_nothing() -> None:
    assert seconds_behind(FIVE, [(2.5, 3), (9.0, 5), (12.0, 5)]) == pytest.approx(3.625 / 4)


def test_text_taken_back_is_behind_again() -> None:
    # Visible until 2.0 as it comes, then nothing: the first token is 2 s old, and 4 s at the end.
    shown = [(0.0, 1), (1.0, 2), (2.0, 0)]

    assert seconds_behind(FIVE, shown) == pytest.approx((16.0 - 4.0) / 2 / 4)


def test_an_instant_stream_is_not_behind() -> None:
    assert seconds_behind([1.0], [(2.0, 1)]) == 0.0
    assert seconds_behind([], []) == 0.0


TEXT = Text(["## One", "\n\n", "Two", " thr", "ee", " four", "."])


@pytest.mark.parametrize(
    ("shown", "tokens", "words"),
    [
        ("", 0, 0),
        ("Thinking...", 0, 0),
        ("## One", 2, 2),  # with the white space that follows
        ("## One\n\nTwo thr", 4, 3),
        ("## One Two three", 5, 4),
        ("## One\n\nTwo three fo", 5, 4),
        ("## One\n\nTwo three\n```", 5, 4),  # closed for display
        ("## One\n\nTwo three four.", 7, 5),
        ("Two three four.", 0, 0),
    ],
)
def test_text_is_visible_as_far_as_it_agrees(shown: str, tokens: int, words: int) -> None:
    assert (TEXT.tokens_in(shown), TEXT.words_in(shown)) == (tokens, words)


def test_text_is_whole_by_its_words() -> None:
    assert TEXT.is_whole("## One\nTwo  three four.")
    assert not TEXT.is_whole("## One Two three four")
    assert not TEXT.is_whole("## One Two three four. And more.")


def test_words_of_tokens() -> None:
    assert [TEXT.words_of(count) for count in range(8)] == [0, 2, 2, 3, 3, 4, 4, 5]


def show(at: float, *, is_whole: bool) -> Show:
    return Show(at, tokens=0, words=0, is_whole=is_whole)


def test_an_answer_is_whole_from_when_it_stays_so() -> None:
    shows = [show(1.0, is_whole=True), show(2.0, is_whole=False), show(3.0, is_whole=True)]
    answer = Answer(0.0, ended=2.5, shows=[*shows, show(4.0, is_whole=True)])

    assert answer.is_complete
    assert answer.whole_at == 3.0
    assert answer.end_to_whole == 0.5


def test_an_answer_that_never_was_whole() -> None:
    answer = Answer(0.0, ended=2.5, shows=[show(1.0, is_whole=True), show(2.0, is_whole=False)])

    assert not answer.is_complete
    assert answer.end_to_whole == inf


def test_a_queue_of_one_a_second() -> None:
    # 0.0 goes at once, 0.25 at 1.0, 0.5 at 2.0; 3.5 finds nobody before it.
    assert queue_delays([0.5, 0.0, 0.25, 3.5], every=1.0) == [0.0, 0.75, 1.5, 0.0]


def test_percentiles_are_values_that_occurred() -> None:
    twenty = [float(number) for number in range(1, 21)]

    assert percentile(twenty, 95) == 19.0
    assert percentile([3.0], 95) == 3.0
    assert percentile([], 95) == inf
