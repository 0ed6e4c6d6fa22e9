"""What was used, as people read it in Slack: their own, and the workspace's for admins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from math import inf

from bot import money
from bot.blocks import (
    Json,
    actions,
    button,
    channel_leaf,
    context,
    divider,
    escape,
    fields,
    header,
    home,
    leaf,
    link_leaf,
    menu,
    message,
    person_leaf,
    quote,
    rich_text,
    section,
    words,
)
from bot.budget_views import BUDGETS, bar, uses_in_words
from bot.budgets import Use
from bot.channel_views import home_section
from bot.opinions import Opinion, Tally, tally_of
from bot.periods import Period, short_day
from bot.report import (
    Report,
    amount,
    counted,
    is_direct,
    is_partial,
    notes,
    share_in_words,
    trend_in_words,
)
from bot.report.scale import short
from bot.usage import FORGOTTEN_USER, Total, total_of

# Names of the actions of these views.
PERIOD = "usage_period"
SHEET = "usage_sheet"

# What the menu of periods offers, as a person may also write it after the command.
PERIODS: Mapping[str, str] = {
    "today": "Today",
    "7d": "The last 7 days",
    "30d": "The last 30 days",
    "this month": "This month",
    "last month": "Last month",
}

TOP = 5  # channels, people and models that have a line of their own

SPARKS = "▁▂▃▄▅▆▇█"
MOST_SPARKS = 62  # days; more would not fit into a line

DIRECT = "direct messages"
FORGOTTEN = "somebody forgotten"


@dataclass(frozen=True)
class Own:
    """What a person used, and the channel in which they ask; nothing of anybody else alone."""

    person: Report  # by nothing: one sum
    channel: Report | None = None  # None: they are in no channel
    uses: Sequence[Use] = ()  # the limits that are the person's or the channel's


@dataclass(frozen=True)
class Workspace:
    """What everybody used, for admins. All reports are of the same records."""

    channels: Report
    people: Report
    models: Report
    days: Sequence[Total]  # by day, in all detail
    uses: Sequence[Use] = ()
    tallies: Sequence[Tally] = ()  # of what people think, by channel
    reasons: Sequence[Opinion] = ()  # the newest
    url: str = ""  # of the workspace, for links

    @cached_property
    def whole(self) -> Total:
        return total_of(self.days)


def own_message(own: Own, *, chosen: str | None) -> Json:
    """For the person alone. ``chosen`` is the period, where it is one of the menu's."""
    blocks = [header("What you use"), _choice(own.person.period, chosen), *_own(own)]
    return message(blocks, text=f"What you use: {figure(own.person.whole, own.person)}")


def workspace_message(workspace: Workspace, own: Own, *, chosen: str | None, asked: str) -> Json:
    """For an admin alone. ``asked`` is the period as it was asked for, for the buttons."""
    period = workspace.channels.period
    blocks = [
        header("Usage of this workspace"),
        _choice(period, chosen),
        *_workspace(workspace),
        _buttons(asked),
        divider(),
        *_own(own),
    ]
    total = figure(workspace.channels.whole, workspace.channels)
    return message(blocks, text=f"Usage of this workspace: {total}")


def own_home(own: Own) -> Json:
    return home([header("Your month"), context(own.person.period.in_words), *_own(own), *_help()])


def workspace_home(workspace: Workspace, own: Own, *, asked: str) -> Json:
    return home(
        [
            header("This month in this workspace"),
            context(workspace.channels.period.in_words),
            *_workspace(workspace),
            _buttons(asked),
            divider(),
            header("Your month"),
            *_own(own),
            *home_section(),
            *_help(),
        ]
    )


def help_message(*, is_admin: bool, here: Sequence[Json] = ()) -> Json:
    """What ``/llm`` alone says; ``here`` is what is set for the channel."""
    lines = [
        "Mention me in a channel or a thread, or write to me directly: I answer in the thread.",
        "`/llm usage` shows what you use, and this channel in all. A period may follow: `today`, "
        "`7d`, `last month`, `2026-10`, `2026-10-01 2026-10-15`.",
        "`/llm budget` shows the limits that hold for you here.",
        "`/llm settings` shows how I answer in this channel; whoever made it can change that.",
    ]
    if is_admin:
        lines.append(
            "You are an admin: `/llm usage` shows you the whole workspace, `/llm budget` lets you "
            "set the limits, and `/llm settings` how I answer in any channel."
        )
    below = [divider(), *here] if here else []
    return message([section("\n".join(lines)), *below], text="What I can do")


def file_message(report: Report) -> Json:
    """Above a file with the report."""
    said = (
        f"Usage as CSV, {report.period.in_words}. "
        "Costs are in US dollars; what is unknown is empty."
    )
    return message([section(escape(said))], text=said)


def figure(total: Total, report: Report) -> str:
    """``$12.30``, ``$12.30+``, ``48.2 k tokens``: what it comes to, in the report's measure."""
    if report.measure == "cost":
        known = amount(total, "cost")
        return "cost unknown" if known is None else money.in_words(known) + _mark(total)
    return _tokens(total.tokens)


# -- parts


def _choice(period: Period, chosen: str | None) -> Json:
    return section(period.in_words, beside=menu(PERIOD, PERIODS, chosen=chosen))


def _own(own: Own) -> Iterator[Json]:
    cells = [_cell("You", own.person)]
    if own.channel:
        cells.append(_cell("This channel, everybody", own.channel))
    yield fields(*cells)
    if own.uses:
        yield section("*Limits*\n" + "\n".join(uses_in_words(own.uses)))
    if unknown := own.person.whole.unpriced + own.person.whole.unreported:
        answers = counted(unknown, "answer")
        yield context(f"Nobody knows what {answers} cost: that is in no sum.")


def _workspace(workspace: Workspace) -> Iterator[Json]:
    report = workspace.channels
    if not report.rows:
        yield section("Nobody has asked me anything in this time.")
        yield from _limits(workspace)
        yield from _opinions(workspace)
        return
    yield fields(*_cells(workspace))
    if len(workspace.days) > 1:
        yield context(_sparkline(workspace.days, report))
    for title, lines in (
        ("By channel", _lines(_folded(workspace.channels))),
        ("By person", _lines(_labelled(workspace.people, _person))),
        ("By model", _lines(_labelled(workspace.models, escape))),
    ):
        yield section("\n".join([f"*{title}*", *lines]))
    yield from _limits(workspace)
    yield from _opinions(workspace)
    yield from _footnotes(workspace.whole)


def _opinions(workspace: Workspace) -> Iterator[Json]:
    whole = tally_of(workspace.tallies)
    if whole.count:
        answers = counted(whole.count, "answer")
        yield section(
            f"*What people think*\n{bar(whole.share)} {share_in_words(whole.share)} of {answers} "
            f"good · {whole.good:,} :thumbsup: · {whole.bad:,} :thumbsdown:"
        )
    if workspace.reasons:
        lines = [_reason(opinion, workspace.url) for opinion in workspace.reasons]
        yield rich_text(*(line for pair in lines for line in pair))


def _reason(opinion: Opinion, url: str) -> tuple[Json, Json]:
    """Who says what was wrong, where; as a quote, in which nothing pings, links or loads."""
    channel, ts = opinion.key.channel, opinion.key.ts
    day = short_day(opinion.at.date())
    if is_direct(channel):  # an admin can read no others'
        where = [leaf(f"{day}, in direct messages, ")]
    elif url:
        link = f"{url}archives/{channel}/p{ts.replace('.', '')}"
        where = [link_leaf(link, day), leaf(" in "), channel_leaf(channel), leaf(", ")]
    else:
        where = [leaf(f"{day} in "), channel_leaf(channel), leaf(", ")]
    return words(*where, person_leaf(opinion.user), leaf(":")), quote(opinion.reason or "")


def _limits(workspace: Workspace) -> Iterator[Json]:
    said = uses_in_words(workspace.uses) or ["There are none."]
    yield section("*Limits*\n" + "\n".join(said))


def _buttons(asked: str) -> Json:
    return actions(button(SHEET, "Send me the CSV", value=asked), button(BUDGETS, "Set limits"))


def _cells(workspace: Workspace) -> list[str]:
    report, whole = workspace.channels, workspace.whole
    against = f"\n{_against(report)}" if _against(report) else ""
    wait = whole.seconds_to_first_words
    failed = f" · {whole.failed:,} failed" if whole.failed else ""
    return [
        f"*{'Cost' if report.measure == 'cost' else 'Used'}*\n{figure(whole, report)}{against}",
        f"*Answers*\n{whole.answers:,}{failed}",
        f"*Tokens*\n{_in_and_out(whole)}",
        f"*First words*\n{'-' if wait is None else f'after {wait:.1f} s'}",
    ]


def _cell(title: str, report: Report) -> str:
    whole = report.whole
    if not whole.answers and not whole.others:
        return f"*{title}*\nnothing yet"
    answers = counted(whole.answers, "answer")
    lines = [
        f"*{title}*",
        f"{figure(whole, report)} · {answers}",
        _in_and_out(whole),
        _against(report),
    ]
    return "\n".join(filter(None, lines))


def _against(report: Report) -> str:
    """``+12 % on the month before``; nothing where there was nothing before."""
    trend = report.trend(report.whole, report.whole_earlier)
    if trend is None or trend == inf:
        return ""
    return f"{trend_in_words(trend)} on {report.period.before_in_words}"


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    total: Total
    report: Report
    earlier: Total | None = None

    def __str__(self) -> str:
        share = self.report.share(self.total)
        trend = self.report.trend(self.total, self.earlier) if _against(self.report) else None
        parts = [
            f"{bar(share or 0.0)} *{figure(self.total, self.report)}*  {self.label}",
            share_in_words(share),
            counted(self.total.answers, "answer"),
        ]
        if trend is not None:
            parts.append(trend_in_words(trend))
        return " · ".join(parts)


def _folded(report: Report) -> list[_Line]:
    """The channels; all direct messages as one, as each of them is a person."""
    direct = [row for row in report.rows if is_direct(row.total.group[0])]
    lines = [
        _Line(f"<#{row.total.group[0]}>", row.total, report, row.earlier)
        for row in report.rows
        if row not in direct
    ]
    if direct:
        earlier = [total for total in report.earlier or () if is_direct(total.group[0])]
        total = total_of([row.total for row in direct])
        before = total_of(earlier) if report.earlier is not None else None
        lines.append(_Line(DIRECT, total, report, before))
    return sorted(lines, key=_size, reverse=True)


def _labelled(report: Report, label: Callable[[str], str]) -> list[_Line]:
    return [_Line(label(row.total.group[0]), row.total, report, row.earlier) for row in report.rows]


def _lines(lines: Sequence[_Line]) -> list[str]:
    """Those with most, and the rest in one."""
    shown, rest = lines[:TOP], lines[TOP:]
    if len(rest) == 1:
        shown, rest = lines, []
    said = list(map(str, shown))
    if rest:
        total = total_of([line.total for line in rest])
        said.append(str(_Line(f"{len(rest)} others", total, rest[0].report)))
    return said


def _size(line: _Line) -> tuple[Decimal, int]:
    return line.total.cost or Decimal(), line.total.tokens


def _person(user: str) -> str:
    return FORGOTTEN if user == FORGOTTEN_USER else f"<@{user}>"


def _sparkline(days: Sequence[Total], report: Report) -> str:
    """A little chart of the days, and the highest of them in words."""
    sizes = {
        day: amount(total, report.measure) or Decimal()
        for day, total in ((date.fromisoformat(total.group[0]), total) for total in days)
    }
    first = report.period.first or min(sizes)
    shown = [day for day in report.period.days() or sorted(sizes) if first <= day]
    most = max(sizes.values())
    highest = max(days, key=lambda total: amount(total, report.measure) or Decimal())
    ticks = "".join(_spark(sizes.get(day, Decimal()), most) for day in shown[-MOST_SPARKS:])
    day = short_day(date.fromisoformat(highest.group[0]))
    return f"{ticks}  by day; most on {day}: {figure(highest, report)}"


def _spark(size: Decimal, most: Decimal) -> str:
    return SPARKS[int(size / most * (len(SPARKS) - 1))] if most else SPARKS[0]


def _footnotes(total: Total) -> Iterator[Json]:
    said = [*notes(total), *(["A cost with a + is at least so much."] if is_partial(total) else [])]
    if said:
        yield context("\n".join(map(escape, said)))


def _help() -> Iterator[Json]:
    yield divider()
    yield context(
        "Mention me in a channel or a thread, or write to me in *Messages*. `/llm` says what else "
        "there is. Days and months are those of UTC."
    )


def _in_and_out(total: Total) -> str:
    taken, given = total.usage.input_tokens, total.usage.output_tokens
    if taken is None and given is None:
        return "tokens unknown"
    return f"{short(taken or 0)} tokens in, {short(given or 0)} out"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{short(count)} tokens"


def _mark(total: Total) -> str:
    return "+" if is_partial(total) else ""
