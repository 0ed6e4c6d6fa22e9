"""The bench's charts: where ticks, names and steps come to stand."""

from xml.etree import ElementTree

import pytest

from tests.bench.plots import Chart, Line, round_up, spread, steps, ticks_to


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (15.0, [0.0, 5.0, 10.0, 15.0]),
        (20.0, [0.0, 5.0, 10.0, 15.0, 20.0]),
        (435.0, [0.0, 100.0, 200.0, 300.0, 400.0]),
        (1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round_numbers(most: float, ticks: list[float]) -> None:
    assert ticks_to(most) == pytest.approx(ticks)


def test_an_axis_ends_on_a_tick() -> None:
    assert [round_up(most) for most in (435.0, 500.0, 12.2)] == [500.0, 500.0, 15.0]


def test_names_keep_their_distance_and_their_order() -> None:
    assert spread([10.0, 12.0, 100.0], gap=40, most=300) == [10.0, 50.0, 100.0]
    assert spread([300.0, 10.0, 290.0], gap=40, most=300) == [300.0, 10.0, 260.0]


def test_steps_are_where_a_value_changes() -> None:
    assert steps([(0.0, 0.0), (1.0, 0.0), (2.0, 3.0), (3.0, 3.0)]) == [(0.0, 0.0), (2.0, 3.0)]


def test_a_chart_is_well_formed() -> None:
    lines = [Line("ours", "this & that", "0.3 s", [(1.0, 2.0), (9.0, 3.0)])]
    chart = Chart("Title", "less < more", "seconds", "words", 5.0, 4.0, lines)

    root = ElementTree.fromstring(chart.svg())

    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "this & that" in texts
    assert "less < more" in texts
