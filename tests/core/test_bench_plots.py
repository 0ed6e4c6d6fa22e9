"""The bench's charts: where ticks, names and steps come to stand."""

from xml.etree import ElementTree

from tests.bench.plots import Chart, Line, spread, steps


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
