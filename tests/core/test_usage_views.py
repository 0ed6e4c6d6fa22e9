"""What was used, as people read it in Slack; held to Slack's own limits of blocks."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bot import usage_views as views
from bot.blocks import Json
from bot.budgets import EACH, Limit, Subject, Use
from bot.messages import TurnKey, Usage
from bot.opinions import Opinion, Tally
from bot.periods import Period
from bot.playground.slack.blocks import VIEW_BLOCKS, check, visible_text
from bot.report import Report
from bot.usage import FORGOTTEN_USER, Total
from bot.usage_views import Own, Workspace

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 25), UTC, months=1)
DOLLAR = 10**12


def total(*group: str, cost: str | None = "1", answers: int = 4, **values: Any) -> Total:
    return Total(
        group=group,
        answers=answers,
        complete=answers,
        usage=values.pop("usage", Usage(1_000, 0, 200, 0)),
        cost=None if cost is None else Decimal(cost),
        **values,
    )


def report(*totals: Total, by: tuple[Any, ...] = (), earlier: list[Total] | None = None) -> Report:
    return Report(NOVEMBER, by, totals, earlier)


def workspace(**values: Any) -> Workspace:
    defaults: dict[str, Any] = {
        "channels": report(total("C1", cost="3"), total("C2", cost="1"), by=("channel",)),
        "people": report(total("UANA", cost="3"), total("UBEN", cost="1"), by=("user",)),
        "models": report(total("gpt-4o-mini", cost="4"), by=("model",)),
        "days": [total("2026-11-02", cost="1"), total("2026-11-25", cost="3")],
    }
    return Workspace(**(defaults | values))


def own(**values: Any) -> Own:
    return Own(**({"person": report(total(cost="0.5"))} | values))


def read(view: Json) -> str:
    """What a person reads, once Slack has taken the blocks."""
    check(view["blocks"], most=VIEW_BLOCKS if view.get("type") == "home" else 50)
    return visible_text(view)


def seen_by_admin(**values: Any) -> str:
    shown = workspace(**values)
    return read(views.workspace_message(shown, own(), chosen="this month", asked="this month"))


# -- a person


def test_person_reads_what_they_and_their_channel_used() -> None:
    shown = own(channel=report(total(cost="2.5", answers=20)))

    text = read(views.own_message(shown, chosen="this month"))

    assert "What you use\n1 Nov to 25 Nov 2026 (UTC)" in text
    assert "*You*\n$0.50 · 4 answers\n1 k tokens in, 200 out" in text
    assert "*This channel, everybody*\n$2.50 · 20 answers" in text


def test_person_who_asked_nothing_reads_so() -> None:
    shown = own(person=report(Total()), channel=report(Total()))

    assert "*You*\nnothing yet" in read(views.own_message(shown, chosen=None))


def test_trend_is_against_the_time_before() -> None:
    mine = report(total(cost="1.12"), earlier=[total(cost="1")])

    assert "+12 % on the month before" in read(views.own_home(own(person=mine)))


def test_there_is_no_trend_where_nothing_was_before() -> None:
    mine = report(total(cost="1.12"), earlier=[Total()])

    assert "before" not in read(views.own_home(own(person=mine)))


def test_unknown_cost_is_never_shown_as_nothing() -> None:
    mine = report(total(cost=None, unpriced=4))

    text = read(views.own_message(own(person=mine), chosen=None))

    assert "$" not in text
    assert "1.2 k tokens · 4 answers" in text
    assert "Nobody knows what 4 answers cost: that is in no sum." in text


def test_cost_that_is_known_in_part_is_at_least_so_much() -> None:
    mine = report(total(cost="1", unpriced=2))

    assert "$1.00+ · 4 answers" in read(views.own_message(own(person=mine), chosen=None))


def test_person_s_limits_are_shown() -> None:
    limit = Limit(Subject("person", EACH), 5 * DOLLAR, "dollars", "month")

    text = read(views.own_home(own(uses=[Use(limit, "UANA", 4 * DOLLAR)])))

    assert "▰▰▰▰▰▰▰▰▱▱ 80 % :warning:  <@UANA>: $4.00 of $5.00 a month" in text


def test_period_that_was_chosen_is_chosen_in_the_menu() -> None:
    view = views.own_message(own(), chosen="7d")

    menu = view["blocks"][1]["accessory"]
    assert menu["initial_option"]["value"] == "7d"
    assert [option["value"] for option in menu["options"]] == list(views.PERIODS)
    assert "initial_option" not in views.own_message(own(), chosen=None)["blocks"][1]["accessory"]


# -- an admin


def test_admin_reads_channels_people_and_models() -> None:
    text = seen_by_admin()

    assert "*Cost*\n$4.00" in text
    assert "▰▰▰▰▰▰▰▰▱▱ *$3.00*  <#C1> · 75 % · 4 answers" in text
    assert "▰▰▱▱▱▱▱▱▱▱ *$1.00*  <@UBEN> · 25 % · 4 answers" in text
    assert "*By model*\n▰▰▰▰▰▰▰▰▰▰ *$4.00*  gpt-4o-mini" in text


def test_days_are_a_little_chart() -> None:
    chart = next(line for line in seen_by_admin().splitlines() if "by day" in line)

    ticks, _, words = chart.partition("  ")
    assert len(ticks) == 25
    assert (ticks[0], ticks[1], ticks[24]) == ("▁", "▃", "█")
    assert words == "by day; most on 25 Nov: $3.00"


def test_what_has_no_line_of_its_own_is_in_one() -> None:
    people = [total(f"U{number}", cost=str(20 - number)) for number in range(12)]

    text = seen_by_admin(people=report(*people, by=("user",)))

    assert text.count("<@U") == views.TOP
    assert f"*${sum(range(9, 16))}.00*  7 others" in text


def test_one_more_has_its_own_line() -> None:
    people = [total(f"U{number}") for number in range(views.TOP + 1)]

    text = seen_by_admin(people=report(*people, by=("user",)))

    assert text.count("<@U") == views.TOP + 1
    assert "others" not in text


def test_direct_messages_are_one_line() -> None:
    channels = [total("C1", cost="1"), total("DANA", cost="2"), total("DBEN", cost="3")]

    text = seen_by_admin(channels=report(*channels, by=("channel",)))

    assert "*$5.00*  direct messages · 83 % · 8 answers" in text
    assert "DANA" not in text


def test_forgotten_person_is_nobody() -> None:
    text = seen_by_admin(people=report(total(FORGOTTEN_USER), by=("user",)))

    assert FORGOTTEN_USER not in text
    assert "somebody forgotten" in text


def test_failures_and_uncertainties_are_said() -> None:
    of_all: dict[str, Any] = {"failed": 2, "estimated": 1, "unpriced": 3}
    channels = report(total("C1", unpriced=3), by=("channel",))

    text = seen_by_admin(channels=channels, days=[total("2026-11-02", **of_all)])

    assert "*Answers*\n4 · 2 failed" in text
    assert "*Cost*\n$1.00+" in text
    assert "The tokens of 1 record are estimated" in text
    assert "3 records have no known cost" in text


def test_model_of_any_name_is_text() -> None:
    text = views.workspace_message(
        workspace(models=report(total("<!channel>&*x*"), by=("model",))),
        own(),
        chosen=None,
        asked="7d",
    )

    assert "&lt;!channel&gt;&amp;*x*" in str(text["blocks"])


def test_workspace_in_which_nobody_asked_says_so() -> None:
    nothing = report(by=("channel",))

    text = seen_by_admin(channels=nothing, people=nothing, models=nothing, days=[])

    assert "Nobody has asked me anything in this time." in text
    assert "There are none." in text


def test_home_of_an_admin_has_both() -> None:
    text = read(views.workspace_home(workspace(), own(), asked="this month"))

    assert text.index("This month in this workspace") < text.index("Your month")
    assert "*$3.00*  <#C1>" in text


def test_period_of_the_buttons_is_that_of_the_view() -> None:
    view = views.workspace_message(workspace(), own(), chosen=None, asked="2026-10")

    buttons = next(block for block in view["blocks"] if block["type"] == "actions")["elements"]
    assert [(each["action_id"], each["value"]) for each in buttons] == [
        ("usage_sheet", "2026-10"),
        ("budgets", "budgets"),
    ]


@pytest.mark.parametrize("count", [0, 1, 40, 400])
def test_views_stay_within_slack_s_limits(count: int) -> None:
    people = [total(f"U{number:0>10}", cost=None, unpriced=4) for number in range(count)]
    limit = Limit(Subject("person", EACH), 5 * DOLLAR, "dollars", "month")
    uses = [Use(limit, f"U{number:0>10}", number * DOLLAR, unpriced=9) for number in range(11)]
    shown = workspace(people=report(*people, by=("user",)), uses=uses)
    days = [
        replace(total(f"2026-{month:02}-01"), group=(f"2026-{month:02}-01",)) for month in (9, 10)
    ]

    read(views.workspace_message(shown, own(uses=uses), chosen=None, asked="x" * 40))
    read(views.workspace_home(replace(shown, days=days), own(uses=uses), asked="x"))


# -- help, files


def test_help_tells_an_admin_what_else_there_is() -> None:
    everybody, admin = (read(views.help_message(is_admin=each)) for each in (False, True))

    assert "`/llm usage`" in everybody
    assert "`/llm budget`" in everybody
    assert "admin" not in everybody
    assert admin.startswith(everybody)
    assert "You are an admin" in admin


def test_file_says_what_it_holds() -> None:
    text = read(views.file_message(report()))

    assert "1 Nov to 25 Nov 2026 (UTC)" in text


def test_sparks_of_no_money_are_low() -> None:
    nothing = [total("2026-11-02", cost="0"), total("2026-11-03", cost="0")]
    chart = next(line for line in seen_by_admin(days=nothing).splitlines() if "by day" in line)

    assert set(chart.partition("  ")[0]) == {"▁"}


# -- what people think


def opinion(reason: str, *, channel: str = "C1", user: str = "UANA") -> Opinion:
    at = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    key = TurnKey("T1", channel, "1700000000.000100")
    return Opinion(at, key, 1, user, is_good=False, reason=reason)


def test_admin_reads_what_people_think_and_why() -> None:
    tallies = [Tally("C1", good=9, bad=1), Tally("C2", good=1, bad=1)]
    reasons = [opinion("The table is wrong."), opinion("Too long.", channel="D1", user="UBEN")]

    text = seen_by_admin(tallies=tallies, reasons=reasons)

    assert "*What people think*\n▰▰▰▰▰▰▰▰▱▱ 83 % of 12 answers good" in text
    assert "· 10 :thumbsup: · 2 :thumbsdown:" in text
    assert "24 Nov in <#C1>, <@UANA>:\nThe table is wrong." in text
    assert "24 Nov, in direct messages, <@UBEN>:\nToo long." in text


def test_reason_leads_to_its_question_but_in_direct_messages() -> None:
    reasons = [opinion("Wrong."), opinion("Wrong too.", channel="D1")]

    shown = workspace(reasons=reasons, url="https://team.slack.com/")
    view = views.workspace_home(shown, own(), asked="this month")

    check(view["blocks"], most=VIEW_BLOCKS)
    assert str(view).count("https://team.slack.com/archives/") == 1
    assert "https://team.slack.com/archives/C1/p1700000000000100" in str(view)


HOSTILE = [
    "<!channel> @here <@UANA> <!subteam^S1>",
    "<https://evil.example|click> https://evil.example",
    "*bold* `code` ```",
    "&lt;!here&gt; &amp;",
    "\u202egnp.exe\u202c \x00\x07",
    "x" * 3_000,
]


@pytest.mark.parametrize("reason", HOSTILE)
def test_reason_is_text_and_nothing_else(reason: str) -> None:
    view = views.workspace_message(
        workspace(reasons=[opinion(reason)]), own(), chosen=None, asked="7d"
    )

    check(view["blocks"], most=50)
    (block,) = [block for block in view["blocks"] if block["type"] == "rich_text"]
    head, quoted = block["elements"]
    assert [leaf["type"] for leaf in quoted["elements"]] == ["text"]
    assert quoted["elements"][0]["text"] == reason
    assert [leaf["type"] for leaf in head["elements"]] == [
        "text",
        "channel",
        "text",
        "user",
        "text",
    ]
    assert reason not in view["text"]


def test_where_nobody_judged_there_is_nothing_about_it() -> None:
    assert "think" not in seen_by_admin()
