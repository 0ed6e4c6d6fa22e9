"""What an admin reads: the same sums as a table, CSV, JSON and a page."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Usage
from bot.opinions import Tally
from bot.periods import Period
from bot.report import Report, notes, trend_in_words
from bot.report.document import document
from bot.report.markup import Markup, element, text
from bot.report.page import Overview, page
from bot.report.scale import round_up, short, ticks_to
from bot.report.sheet import harmless, sheet
from bot.report.table import table
from bot.usage import FORGOTTEN_DM, FORGOTTEN_USER, By, Total

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
PERIOD = Period(date(2026, 11, 24), date(2026, 11, 25))
NAMES = {"C1": "general", "C2": "random", "U1": "Ana Lima", "D1": "direct message with Ana Lima"}

# What people may call themselves, or channels.
HOSTILE = [
    '=HYPERLINK("http://evil","A")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    'a\nb,"c"',
    "\u202eevil",
    "x\x1b[2Jy",
]


def total(*group: str, **values: Any) -> Total:
    known: dict[str, Any] = {
        "answers": 2,
        "complete": 2,
        "usage": Usage(1_000, 400, 50, 0),
        "cost": Decimal("0.5"),
    }
    return Total(group, **known | values)


def report(
    totals: Sequence[Total],
    earlier: Sequence[Total] | None = (),
    by: tuple[By, ...] = ("channel",),
    names: Mapping[str, str] = NAMES,
) -> Report:
    return Report(PERIOD, by, totals, earlier, names, NOW)


TWO = [
    total("C2", cost=Decimal("0.25"), answers=1, complete=0, failed=1),
    total("C1", cost=Decimal("0.75"), usage=Usage(1_200_000, 0, 50, 0)),
]
BEFORE = [total("C1", cost=Decimal("0.5")), total("C9", cost=Decimal("0.3"))]


# -- the table


def test_table_has_a_line_for_each_group_and_one_for_all() -> None:
    said = table(report(TWO, BEFORE))

    assert said.splitlines() == [
        "24 Nov to 25 Nov 2026 (UTC), compared with the 2 days before",
        "",
        "channel   answers  complete  failed      input  cached  output   cost  share  trend",
        "#general        2         2       0  1,200,000       0      50  $0.75   75 %  +50 %",
        "#random         1         0       1      1,000     400      50  $0.25   25 %    new",
        "all             3         2       1  1,201,000     400     100  $1.00  100 %  +25 %",
    ]


def test_table_of_one_group_needs_no_sum() -> None:
    lines = table(report([total("C1")], None)).splitlines()

    assert [line.split()[0] for line in lines[2:]] == ["channel", "#general"]


def test_table_of_nothing_says_so() -> None:
    said = "No answers are recorded: 24 Nov to 25 Nov 2026 (UTC)."

    assert table(report([])) == said
    assert table(report([Total()], [Total()], by=())) == said


def test_days_come_in_order_and_have_no_trend() -> None:
    days = [total("2026-11-25"), total("2026-11-24", cost=Decimal(9))]

    lines = table(report(days, [total()], by=("day",))).splitlines()

    assert [line.split()[0] for line in lines[3:]] == ["2026-11-24", "2026-11-25", "all"]
    assert "trend" not in lines[2]


def test_several_groups_are_columns_of_their_own() -> None:
    both = [total("U1", "gpt-4o"), total("U2", "gpt-4o-mini", cost=Decimal("0.0123"))]

    lines = table(report(both, None, by=("user", "model"))).splitlines()

    assert re.split(r"\s{2,}", lines[3])[:3] == ["Ana Lima", "gpt-4o", "2"]
    assert re.split(r"\s{2,}", lines[4])[:3] == ["U2", "gpt-4o-mini", "2"]
    assert "$0.0123" in lines[4]


def test_what_nobody_knows_is_shown_as_unknown_and_counted_apart() -> None:
    unknown = total("C1", usage=Usage(), cost=None, unreported=2)
    unpriced = total("C2", cost=None, unpriced=2, estimated=1)
    priced = total("C3", cost=Decimal(3), unpriced=1, resumed=1, others=2)

    lines = table(report([unknown, unpriced, priced], None)).splitlines()

    rows = {line.split()[0]: line for line in lines[3:] if line}
    assert rows["C3"].endswith("$3.00+  100 %")
    assert rows["#random"].endswith("-+      -")
    assert re.search(r"#general +2 +2 +- +- +- +-\+ +-$", rows["#general"])
    assert rows["all"].endswith("$3.00+  100 %")
    assert lines[-6:] == [
        "The tokens of 1 record are estimated: the provider never reported them, mostly because a "
        "stream broke.",
        "Of 2 records nobody knows the tokens: they are in no sum.",
        "3 records have no known cost, as their models have no price: name one in PRICES_FILE. "
        "What is recorded already stays without.",
        "2 calls to the model beside the answers: in the tokens and the cost.",
        "1 answer was begun again after a process stopped or died, and counted once more.",
        "A cost with a + is at least so much.",
    ]


def test_a_free_model_costs_nothing_and_shares_are_of_tokens() -> None:
    free = [
        total("C1", cost=Decimal(0)),
        total("C2", cost=Decimal(0), usage=Usage(3_000, 0, 150, 0)),
    ]

    said = table(report(free, None))

    assert re.search(r"#random .* \$0\.00 +75 %", said)
    assert said.endswith("Shares and trends are of tokens, as nothing has a known cost.")


def test_wide_letters_take_two_columns() -> None:
    names = {"C1": "日本語", "C2": "general"}

    one, other, _ = table(report([total("C1"), total("C2")], None, names=names)).splitlines()[3:]

    assert abs(one.index("2") - other.index("2")) == 3


def test_the_forgotten_have_no_name() -> None:
    assert "(forgotten)" in table(report([total(FORGOTTEN_USER)], None, by=("user",)))
    assert "direct message (forgotten)" in table(report([total(FORGOTTEN_DM)], None))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_moves_the_terminal_s_cursor(name: str) -> None:
    said = table(report([total("C1"), total(name)], None, names={"C1": name}))

    assert all(c.isprintable() or c == "\n" for c in said)
    assert len(said.splitlines()) == 6


@pytest.mark.parametrize(
    ("trend", "words"),
    [
        (0.125, "+12 %"),
        (-0.5, "-50 %"),
        (0.0, "+0 %"),
        (-0.001, "+0 %"),
        (10.0, "×11"),
        (5_000.0, ">×100"),
        (None, "-"),
    ],
)
def test_trends_are_read_as_what_is_more_or_less(trend: float | None, words: str) -> None:
    assert trend_in_words(trend) == words


def test_nothing_uncertain_needs_no_note() -> None:
    assert notes(total("C1")) == []


# -- CSV


def rows_of(written: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(written, newline="")))


def test_csv_has_bare_numbers_and_exact_costs() -> None:
    exact = total("C1", cost=Decimal("0.000000000001"), unpriced=1, waits=2, seconds_waited=1.5)

    (row,) = rows_of(sheet(report([exact], [total("C1", cost=Decimal("1234567.89"))])))

    assert row == {
        "channel": "C1",
        "channel_name": "#general",
        "answers": "2",
        "complete": "2",
        "cut": "0",
        "stopped": "0",
        "failed": "0",
        "resumed": "0",
        "other_calls": "0",
        "input_tokens": "1000",
        "cached_tokens": "400",
        "output_tokens": "50",
        "reasoning_tokens": "0",
        "cost": "0.000000000001",
        "records_without_tokens": "0",
        "records_with_estimated_tokens": "0",
        "records_without_price": "1",
        "seconds_to_first_words": "0.750",
        "earlier_answers": "2",
        "earlier_tokens": "1050",
        "earlier_cost": "1234567.89",
    }


def test_csv_leaves_empty_what_is_not_known() -> None:
    unknown = total("C5", usage=Usage(), cost=None, unreported=2)

    (row,) = rows_of(sheet(report([unknown], None)))

    assert (row["channel_name"], row["input_tokens"], row["cost"]) == ("", "", "")
    assert row["records_without_tokens"] == "2"
    assert "earlier_cost" not in row


@pytest.mark.parametrize("name", HOSTILE)
def test_csv_holds_no_formula(name: str) -> None:
    totals = [total("U1", name)]

    (row,) = rows_of(sheet(report(totals, None, by=("user", "model"), names={"U1": name})))

    for cell in (row["user_name"], row["model"]):
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "|", "%"))
    assert row["model"].removeprefix("'") == name


@given(untrusted=st.text())
def test_harmless_text_is_the_text(untrusted: str) -> None:
    safe = harmless(untrusted)

    assert safe.removeprefix("'" if safe != untrusted else "") == untrusted
    assert not safe.lstrip(" ").startswith(("=", "+", "-", "@"))


# -- JSON


def test_json_is_one_object_with_exact_costs() -> None:
    found = json.loads(document(report(TWO, BEFORE)))

    assert found["period"] == {
        "first_day": "2026-11-24",
        "last_day": "2026-11-25",
        "time_zone": "UTC",
    }
    assert found["by"] == ["channel"]
    general, other = found["rows"]
    assert (general["channel"], general["channel_name"]) == ("C1", "#general")
    assert (general["cost"], general["share"]) == ("0.75", 0.75)
    assert general["earlier"]["cost"] == "0.5"
    assert other["failed"] == 1
    assert (found["total"]["cost"], found["earlier_total"]["cost"]) == ("1", "0.8")
    assert found["made_at"] == "2026-11-25T12:30:00+00:00"


def test_json_of_all_there_is_has_no_beginning_and_nothing_earlier() -> None:
    endless = replace(
        report([total("C1", usage=Usage(), cost=None)], None), period=Period(None, PERIOD.last)
    )

    found = json.loads(document(endless))

    assert found["period"]["first_day"] is None
    assert found["earlier_total"] is None
    assert found["rows"][0]["cost"] is None
    assert "earlier" not in found["rows"][0]


# -- what people think

TALLIES = [Tally("C1", good=9, bad=1), Tally("D1", good=0, bad=1), Tally("D2", good=1, bad=0)]


def test_all_formats_tell_what_people_think_but_csv() -> None:
    judged = replace(report(TWO), tallies=TALLIES)

    assert "People found 83 % of 12 answers good (10 good, 2 bad)." in table(judged)
    first, second, _ = json.loads(document(judged))["opinions"]
    assert first == {"channel": "C1", "channel_name": "#general", "good": 9, "bad": 1}
    assert second["channel_name"] == "direct message with Ana Lima"
    said = Reader(page(overview(BY_DAY, report=judged))).text
    assert "#general 90 % good 9 good, 1 bad direct messages 50 % good 1 good, 1 bad" in said
    assert "83 % of 12 answers good (10 good, 2 bad)." in said
    assert "good" not in sheet(judged)


def test_opinions_that_were_not_asked_for_are_not_none() -> None:
    assert json.loads(document(report(TWO)))["opinions"] is None
    assert json.loads(document(replace(report(TWO), tallies=[])))["opinions"] == []
    assert "People found" not in table(replace(report(TWO), tallies=[]))
    assert "Nobody has judged" in page(overview(BY_DAY, report=replace(report(TWO), tallies=[])))
    assert "Nobody has judged" not in page(overview(BY_DAY))


# -- the page


def overview(by_day: Sequence[Total], people: Sequence[Total] = (), **values: Any) -> Overview:
    channels = [replace(each, group=each.group[1:]) for each in by_day]
    known: dict[str, Any] = {
        "report": report(channels, [total("C1")]),
        "models": [total("gpt-4o-mini")],
        "waits": {"2026-11-24": Counter({4: 10, 8: 1})},
        "earlier_channels": [total("C1")],
        "earlier_people": [],
    }
    return Overview(by_day=by_day, people=people, **known | values)


BY_DAY = [
    total("2026-11-24", "C1", cost=Decimal("1.50")),
    total("2026-11-25", "C2", cost=Decimal("0.25"), complete=1, failed=1),
    total("2026-11-25", "D1", cost=Decimal("0.125")),
    total("2026-11-25", "D2", cost=Decimal("0.125")),
]
PEOPLE = [total("U1", cost=Decimal("1.75")), total("U2", cost=Decimal("0.25"))]


class Reader(HTMLParser):
    """The elements of a page and its words, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._is_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_page_shows_what_was_spent_where_and_by_whom() -> None:
    said = Reader(page(overview(BY_DAY, PEOPLE))).text

    assert "Cost $2.00 ▲ 300 % $0.25 for an answer" in said
    assert "Answers 8 ▲ 300 % 88 % complete" in said
    assert "People 2 in 2 channels and in direct messages" in said
    assert "#general $1.50 75 % · 2 answers ▲ 200 %" in said
    assert "direct messages $0.25 12 % · 4 answers new" in said
    assert "Ana Lima $1.75 88 % · 2 answers new" in said
    assert "First words within 0.5 s half of the time; 0.8 s 19 times in 20" in said


def test_a_model_whose_name_looks_like_an_id_is_a_model() -> None:
    models = [total("DeepSeek-V4"), total("D1"), total("UFO")]

    said = Reader(page(overview(BY_DAY, PEOPLE, models=models))).text

    assert "D1 $0.50" in said
    assert "DeepSeek-V4 $0.50" in said


def test_columns_are_as_high_as_their_share_of_the_axis() -> None:
    reader = Reader(page(overview(BY_DAY, PEOPLE)))

    heights = [
        attributes["style"]
        for tag, attributes in reader.tags
        if tag == "i"
        and attributes.get("class") in ("c0", "c1", "c2")
        and "height" in (attributes.get("style") or "")
    ]
    # the axis ends at 1.50 dollars
    assert heights[:3] == ["height:100.000%", "height:16.667%", "height:16.667%"]


def test_page_needs_no_network_and_no_script() -> None:
    written = page(overview(BY_DAY, PEOPLE))

    reader = Reader(written)
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "a", "form"}
    assert "url(" not in written
    assert not re.search(r"https?:", written)
    policy = next(a["content"] for tag, a in reader.tags if a.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


@pytest.mark.parametrize("name", HOSTILE)
def test_page_shows_hostile_names_as_text(name: str) -> None:
    names = {"C1": name, "U1": name, "D1": name}
    by_day = [*BY_DAY, total("2026-11-25", name)]
    plain = Reader(page(overview(BY_DAY, PEOPLE)))

    hostile = replace(overview(BY_DAY, PEOPLE), models=[total(name)])
    reader = Reader(page(replace(hostile, report=replace(hostile.report, names=names))))

    assert Counter(tag for tag, _ in reader.tags) == Counter(tag for tag, _ in plain.tags)
    assert not [key for _, attributes in reader.tags for key in attributes if key.startswith("on")]
    assert "\u202e" not in reader.text
    assert page(overview(by_day, PEOPLE))


def test_page_of_nothing_says_so() -> None:
    empty = overview([], report=report([], []), models=[], waits={})

    assert "Nothing is recorded in this time." in Reader(page(empty)).text


def test_page_is_in_the_words_of_tokens_where_nothing_has_a_price() -> None:
    unpriced = [replace(each, cost=None, unpriced=each.answers) for each in BY_DAY]

    said = Reader(page(overview(unpriced, PEOPLE))).text

    assert "Tokens per day" in said
    assert "Cost unknown" in said
    assert "8 records have no known cost" in said


def test_long_times_are_shown_by_weeks_and_by_months() -> None:
    def heading(period: Period) -> str:
        found = overview(BY_DAY, PEOPLE)
        said = Reader(page(replace(found, report=replace(found.report, period=period)))).text
        match = re.search(r"Cost per (\w+)", said)
        assert match
        return match[1]

    assert heading(Period(date(2026, 9, 25), PERIOD.last)) == "day"
    assert heading(Period(date(2026, 6, 1), PERIOD.last)) == "week"
    assert heading(Period(date(2024, 6, 1), PERIOD.last)) == "month"
    assert heading(Period(None, PERIOD.last)) == "day"


def test_table_of_the_page_is_not_endless() -> None:
    many = [total("2026-11-25", f"C{number}") for number in range(250)]

    said = Reader(page(overview(many, PEOPLE))).text

    assert "50 more rows are left out: --format csv has them all." in said


# -- its parts


@given(untrusted=st.text())
def test_text_is_read_back_as_it_was(untrusted: str) -> None:
    written = text(untrusted)

    assert not set(written) & set("<>\"'\0\u202e")
    shown = "".join(
        c if read == c else "\N{REPLACEMENT CHARACTER}"
        for c, read in zip(untrusted, unescape(written), strict=True)
    )
    assert shown == unescape(written)


def test_markup_knows_only_elements_and_attributes_of_ours() -> None:
    with pytest.raises(ValueError, match="is no element"):
        element("p><script")
    with pytest.raises(ValueError, match="is no attribute of ours"):
        element("p", onclick="alert(1)")
    assert (
        element("p", Markup("<b>"), "<b>", class_='a"b') == '<p class="a&quot;b"><b>&lt;b&gt;</p>'
    )


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


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (7, "7"), (999, "999"), (1_234, "1.23 k"), (999_999, "1 M"), (7.2e6, "7.2 M")],
)
def test_large_numbers_are_short(number: float, words: str) -> None:
    assert short(number) == words
