"""A report as one page that needs nothing else: no network, no scripts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from math import inf

from bot import money
from bot.opinions import Tally, tally_of
from bot.periods import DAY, bins, short_day
from bot.report import (
    Measure,
    Report,
    amount,
    counted,
    is_direct,
    is_partial,
    notes,
    share_in_words,
    tally_in_words,
    trend_in_words,
)
from bot.report.charts import Bar, Series, Slot, Unit, bars, columns, grid, lines
from bot.report.markup import Markup, Part, element, join
from bot.report.scale import short
from bot.report.table import cells, heads, whole_row
from bot.usage import FORGOTTEN_USER, By, Total, total_of, wait_within

CHANNELS = 5  # that have a colour of their own; the others share one
TOP = 8  # bars of a list
ROWS = 200  # of the table; all of them are in the other formats

DIRECT = "D"  # in the place of the ids of all direct messages
OTHERS = "others"

# The kinds are classes of the style.
OUTCOMES = {"complete": "good", "cut": "cut", "stopped": "rest", "failed": "bad"}

# No script, no picture, no font: whatever a name holds, nothing is run or fetched.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

UNIT = re.compile(r"(?<=\d) (?=(?:%|[skMB]\b))")  # the space before one, where no line may end

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # whatever the operator's locale


@dataclass(frozen=True)
class Overview:
    """What the page shows. ``report`` is its table; the others are of the same records.

    Earlier ones are of as much time before; None: there is no time before.
    """

    report: Report
    by_day: Sequence[Total]  # by day and channel
    people: Sequence[Total]  # by user
    models: Sequence[Total]  # by model
    waits: Mapping[str, Counter[int]]  # by day, as `bot.usage.wait_within` takes them
    earlier_channels: Sequence[Total] | None = None
    earlier_people: Sequence[Total] | None = None

    @cached_property
    def spans(self) -> list[tuple[date, date]]:
        """The days that each column of the charts stands for."""
        period = self.report.period
        days = [date.fromisoformat(total.group[0]) for total in self.by_day]
        return bins(period.first or min(days, default=period.last), period.last)

    @cached_property
    def span_of(self) -> dict[str, int]:
        """The number of the span that a day is in."""
        return {
            (first + number * DAY).isoformat(): at
            for at, (first, last) in enumerate(self.spans)
            for number in range((last - first).days + 1)
        }

    @cached_property
    def slots(self) -> list[Slot]:
        return [Slot(short_day(first), _span(first, last)) for first, last in self.spans]

    @cached_property
    def channels(self) -> dict[str, Total]:
        """Those with most first, all direct messages as one."""
        return _ranked(_folded(self.by_day, 1, "channel"), self.report.measure)

    @cached_property
    def colours(self) -> dict[str, str]:
        """Of the channels with most, by id; all others share one."""
        kinds = {channel: f"c{at}" for at, channel in enumerate(list(self.channels)[:CHANNELS])}
        return kinds | ({OTHERS: "rest"} if len(self.channels) > CHANNELS else {})

    @property
    def each(self) -> str:
        """What a column of the charts stands for, in a word."""
        longest = max((last - first).days for first, last in self.spans)
        return "day" if longest < 1 else "week" if longest < 7 else "month"


def page(overview: Overview) -> str:
    """The whole file."""
    report = overview.report
    title = f"Bot usage, {report.period.in_words}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        # Ours and constant; as text it would be escaped.
        element("style", Markup(files("bot.report").joinpath("page.css").read_text("utf-8"))),
    )
    cards = list(_cards(overview)) if report.rows else [_nothing()]
    main = element("main", _header(report), *cards, element("footer", *_footer(report)))
    return f"<!doctype html>\n{element('html', head, element('body', main), lang='en')}\n"


def _cards(overview: Overview) -> Iterator[Markup]:
    report = overview.report
    yield element("section", *_tiles(overview), class_="tiles", aria_label="At a glance")
    yield _card(f"{_noun(report.measure)} per {overview.each}", _spending(overview), is_wide=True)
    channels, earlier = overview.channels, overview.earlier_channels
    yield _card("Channels", _top(report, "channel", channels, earlier, overview.colours))
    people, earlier = _folded(overview.people, 0, "user"), overview.earlier_people
    yield _card("People", _top(report, "user", people, earlier))
    yield _card("Answers and failures", _outcomes(overview))
    yield _card("Time to the first words", _waits(overview))
    yield _card("Models", _top(report, "model", _folded(overview.models, 0, "model"), None))
    yield _card("What people think", _opinions(report))
    yield _card("What is not certain", _notes(report), is_wide=True)
    yield _card(f"By {' and '.join(report.by)}", _table(report), is_wide=True)


def _header(report: Report) -> Markup:
    compared = (
        f", compared with {report.period.before_in_words}" if report.earlier is not None else ""
    )
    return element(
        "header",
        element("h1", "Bot usage"),
        element("p", f"{report.period.in_words}{compared}"),
    )


def _footer(report: Report) -> Iterator[Part]:
    yield "Costs are what the price lists said when each answer was recorded, in US dollars. "
    yield f"Days are those of the time zone {report.period.zone}."
    if report.made_at:
        made = report.made_at.astimezone(report.period.zone)
        yield f" Made on {made.day} {short_day(made.date()).partition(' ')[2]} {made:%Y at %H:%M}."


def _nothing() -> Markup:
    return _card("No answers", element("p", "Nothing is recorded in this time."), is_wide=True)


def _card(title: str, *content: Part, is_wide: bool = False) -> Markup:
    kind = "card wide" if is_wide else "card"
    return element("section", element("h2", title), *content, class_=kind)


# -- at a glance


def _tiles(overview: Overview) -> Iterator[Markup]:
    whole, earlier = overview.report.whole, overview.report.whole_earlier
    people = [total for total in overview.people if total.group[0] != FORGOTTEN_USER]
    cost = "unknown" if whole.cost is None else money.in_words(whole.cost)
    yield _tile("Cost", cost, _trend("cost", whole, earlier), _cost_note(whole))
    yield _tile(
        "Answers",
        f"{whole.answers:,}",
        _trend("answers", whole, earlier),
        f"{share_in_words(whole.complete / whole.answers)} complete" if whole.answers else "",
    )
    yield _tile(
        "People",
        f"{len(people):,}",
        "",
        f"in {_where({total.group[1] for total in overview.by_day})}",
    )
    yield _tile("Tokens", short(whole.tokens), _trend("tokens", whole, earlier), _tokens(whole))
    waits = sum(overview.waits.values(), Counter[int]())
    if waits:
        yield _tile(
            "First words within",
            _seconds(wait_within(waits, 0.5) or 0.0),
            "",
            f"half of the time; {_seconds(_slow(waits))} 19 times in 20",
        )


def _tile(name: str, value: str, trend: Part, note: str) -> Markup:
    return element(
        "div",
        element("h3", name),
        element("p", value, " ", trend, class_="figure"),
        element("p", UNIT.sub("\N{NO-BREAK SPACE}", note), class_="note"),
        class_="card tile",
    )


def _trend(measure: Measure, now: Total, earlier: Total | None) -> Part:
    """By how much it rose or fell, with an arrow."""
    if earlier is None:
        return ""
    value, then = amount(now, measure), amount(earlier, measure)
    if value is None or then is None or (not value and not then):
        return ""
    return _arrow(float(value / then) - 1 if then else inf)


def _arrow(trend: float | None) -> Part:
    if trend is None:
        return ""
    words = trend_in_words(trend)
    if trend == inf or words == "+0 %":
        return element("span", words if trend == inf else "as before", class_="trend")
    arrow = "▲" if trend > 0 else "▼"
    return element("span", f"{arrow} {words.lstrip('+-')}", class_="trend")


def _where(ids: set[str]) -> str:
    channels = {id for id in ids if not is_direct(id)}
    direct = ["direct messages"] if ids - channels else []
    return " and in ".join([*([counted(len(channels), "channel")] if channels else []), *direct])


def _cost_note(whole: Total) -> str:
    if whole.cost is None or not whole.answers:
        return ""
    least = "at least; " if is_partial(whole) else ""
    return f"{least}{money.in_words(whole.cost / whole.answers)} for an answer"


def _tokens(whole: Total) -> str:
    usage = whole.usage
    words = f"{short(usage.input_tokens or 0)} in, {short(usage.output_tokens or 0)} out"
    if usage.cached_tokens and usage.input_tokens:
        words += f"; {share_in_words(usage.cached_tokens / usage.input_tokens)} of input cached"
    return words


# -- charts


def _spending(overview: Overview) -> Markup:
    """Of the measure, stacked by channel."""
    report = overview.report
    kinds = overview.colours
    sums = {OTHERS: total_of(list(overview.channels.values())[CHANNELS:]), **overview.channels}
    values = {key: [0.0] * len(overview.spans) for key in kinds}
    for total in overview.by_day:
        day, channel = total.group
        key = _key("channel", channel)
        key = key if key in kinds else OTHERS
        values[key][overview.span_of[day]] += float(amount(total, report.measure) or 0)
    series = [
        Series(
            "all others" if key == OTHERS else _label(report, "channel", key),
            kind,
            values[key],
            _words(sums[key], report.measure),
        )
        for key, kind in kinds.items()
    ]
    title = f"{_noun(report.measure)} per {overview.each}, stacked by channel"
    return columns(title, overview.slots, series, UNITS[report.measure])


def _outcomes(overview: Overview) -> Markup:
    values: dict[str, list[float | None]] = {name: [0.0] * len(overview.spans) for name in OUTCOMES}
    for total in overview.by_day:
        at = overview.span_of[total.group[0]]
        for name in OUTCOMES:
            values[name][at] = (values[name][at] or 0.0) + getattr(total, name)
    whole = overview.report.whole
    series = [
        Series(name, kind, values[name], f"{getattr(whole, name):,}")
        for name, kind in OUTCOMES.items()
        if getattr(whole, name)
    ]
    title = f"Answers per {overview.each}, by how they ended"
    return columns(title, overview.slots, series, UNITS["answers"])


def _waits(overview: Overview) -> Markup:
    """Half of the answers, and 19 in 20."""
    spans = [Counter[int]() for _ in overview.spans]
    for day, waits in overview.waits.items():
        spans[overview.span_of[day]] += waits
    whole = sum(spans, Counter[int]())
    if not whole:
        return element("p", "No answer has shown any words.", class_="note")
    half = [wait_within(waits, 0.5) for waits in spans]
    slow = [wait_within(waits, 0.95) for waits in spans]
    series = [
        Series("half of the answers within", "c0", half, _seconds(wait_within(whole, 0.5) or 0.0)),
        Series("19 in 20 within", "c2", slow, _seconds(_slow(whole))),
    ]
    title = f"Seconds until the first words of an answer, by {overview.each}"
    return lines(title, overview.slots, series, Unit(lambda s: f"{s:g} s", _seconds))


def _top(
    report: Report,
    by: By,
    totals: Mapping[str, Total],
    earlier: Sequence[Total] | None,
    colours: Mapping[str, str] | None = None,
) -> Markup:
    """The first few as bars, and how many more there are."""
    ranked = _ranked(totals, report.measure)
    before = None if earlier is None else _folded(earlier, 0, by)
    items = []
    for key, total in list(ranked.items())[:TOP]:
        share = report.share(total)
        told = "" if share is None else f"{share_in_words(share)} · "
        answers = counted(total.answers, "answer")
        note = join([f"{told}{answers} ", _arrow(report.trend(total, _of(before, key)))])
        value = amount(total, report.measure)
        words = _words(total, report.measure)
        kind = "c0" if colours is None else colours.get(key, "rest")
        items.append(Bar(_label(report, by, key), float(value or 0), words, note, kind))
    rest = total_of(list(ranked.values())[TOP:])
    more = (
        element(
            "p",
            f"and {len(ranked) - TOP:,} more: {_words(rest, report.measure)}",
            class_="note",
        )
        if len(ranked) > TOP
        else ""
    )
    return join([bars(f"{_noun(report.measure)} by {by}", items), more])


def _opinions(report: Report) -> Markup:
    """In all, and where most were given; all direct messages as one."""
    if report.tallies is None:
        return element("p", "That is not known of some people or models alone.")
    if not report.tallies:
        return element("p", "Nobody has judged an answer.")
    by_channel: dict[str, list[Tally]] = {}
    for tally in report.tallies:
        by_channel.setdefault(_key("channel", tally.channel), []).append(tally)
    ranked = sorted((tally_of(found, key) for key, found in by_channel.items()), key=_most_judged)
    items = [
        Bar(
            _label(report, "channel", tally.channel),
            tally.share,
            f"{share_in_words(tally.share)} good",
            f"{tally.good:,} good, {tally.bad:,} bad",
        )
        for tally in ranked[:CHANNELS]
    ]
    whole = element("p", f"{tally_in_words(tally_of(ranked))}.")
    return join([whole, bars("Answers that people found good", items, most=1.0)])


def _most_judged(tally: Tally) -> tuple[int, str]:
    return -tally.count, tally.channel


def _notes(report: Report) -> Markup:
    found = notes(report.whole)
    if not found:
        return element("p", "Nothing: the provider reported all tokens, and all have a price.")
    return element("ul", *(element("li", note) for note in found), class_="notes")


def _table(report: Report) -> Markup:
    rows = [cells(report, row) for row in [whole_row(report), *report.rows[:ROWS]]]
    left = len(report.rows) - ROWS
    more = f"{left:,} more rows are left out: --format csv has them all." if left > 0 else ""
    return join(
        [
            element("div", grid(heads(report), rows, words=len(report.by)), class_="scroll"),
            element("p", more, class_="note") if more else "",
        ]
    )


# -- words


def _cost_short(value: float) -> str:
    return f"${value:.2f}" if 0.01 <= value < 10 else f"${short(value)}"


def _cost_words(value: float) -> str:
    return money.in_words(Decimal(f"{value:.9f}"))


UNITS: Mapping[Measure, Unit] = {
    "cost": Unit(_cost_short, _cost_words),
    "tokens": Unit(short, lambda value: f"{value:,.0f}"),
    "answers": Unit(short, lambda value: f"{value:,.0f}"),
}


def _noun(measure: Measure) -> str:
    return measure.capitalize()


def _words(total: Total, measure: Measure) -> str:
    value = amount(total, measure)
    if value is None:
        return "unknown"
    if measure == "cost":
        return money.in_words(value) + ("+" if is_partial(total) else "")
    return short(float(value))


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def _slow(waits: Counter[int]) -> float:
    return wait_within(waits, 0.95) or 0.0


def _span(first: date, last: date) -> str:
    if first == last:
        return f"{DAYS[first.weekday()]} {short_day(first)}"
    return f"{short_day(first)} to {short_day(last)}"


# -- sums


def _key(by: By, value: str) -> str:
    return DIRECT if by == "channel" and is_direct(value) else value


def _label(report: Report, by: By, key: str) -> str:
    is_all_direct = by == "channel" and key == DIRECT
    return "direct messages" if is_all_direct else report.label(by, key)


def _of(totals: Mapping[str, Total] | None, key: str) -> Total | None:
    """What was before; nothing where there was a time before."""
    return None if totals is None else totals.get(key, Total())


def _folded(totals: Sequence[Total], column: int, by: By) -> dict[str, Total]:
    """Sums by one column, which is ``by`` that, all direct messages as one."""
    sums: dict[str, Total] = {}
    for total in totals:
        key = _key(by, total.group[column])
        sums[key] = sums[key] + total if key in sums else total
    return sums


def _ranked(totals: Mapping[str, Total], measure: Measure) -> dict[str, Total]:
    """Those with most first."""

    def place(item: tuple[str, Total]) -> tuple[Decimal, int, str]:
        return (-(amount(item[1], measure) or Decimal()), -item[1].answers, item[0])

    return dict(sorted(totals.items(), key=place))
