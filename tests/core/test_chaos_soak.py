"""What a soak asks, and how it tells whether a figure grows."""

from itertools import pairwise

import pytest

from tests.chaos.soak import Look, questions, trends

MEBIBYTE = 2**20


def looks(*, rss: list[float], sockets: list[int]) -> list[Look]:
    return [
        Look(round(each * MEBIBYTE), count, files=20, threads=5, running=1)
        for each, count in zip(rss, sockets, strict=True)
    ]


@pytest.mark.parametrize(
    ("rss", "is_flat"),
    [
        ([60.0, 70.0, 79.0, 80.0, 80.0, 81.0, 80.0, 80.0, 82.0, 81.0], True),  # warms up
        ([80.0] * 29 + [200.0], True),  # one peak
        ([80.0 + 2 * minute for minute in range(10)], False),
    ],
)
def test_memory_is_flat_when_it_stays_as_it_was_after_the_warm_up(
    rss: list[float], is_flat: bool
) -> None:
    memory, *others = trends(looks(rss=rss, sockets=[9] * len(rss)))

    assert (memory.name, memory.is_flat) == ("memory (MiB)", is_flat)
    assert all(other.is_flat for other in others)


def test_sockets_that_stay_open_are_seen() -> None:
    found = trends(looks(rss=[80.0] * 10, sockets=[10 + 2 * minute for minute in range(10)]))

    assert {trend.name: trend.is_flat for trend in found} == {
        "memory (MiB)": True,
        "sockets": False,
        "files": True,
        "threads": True,
    }


def test_its_questions_come_evenly_and_three_to_a_thread() -> None:
    asked = questions(2.0)

    assert len(asked) == 60
    assert [question.root for question in asked[:6]] == [0, 0, 0, 3, 3, 3]
    assert {round(b.at - a.at, 6) for a, b in pairwise(asked)} == {2.0}
