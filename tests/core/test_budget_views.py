"""Limits as people read and set them in Slack; held to Slack's own limits of blocks."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import budget_views as views
from bot.blocks import Json
from bot.budget_views import AMOUNT, CHANNEL, EVERY, PERSON, UNIT, WHOM, Budgets
from bot.budgets import EACH, Change, Limit, Scope, Span, Subject, Use
from bot.interactions import Unfit
from bot.playground.slack.blocks import VIEW_BLOCKS, check, visible_text

DOLLAR = 10**12
AT = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def limit(
    scope: Scope = "channel", who: str = "C1", dollars: int = 20, every: Span = "month"
) -> Limit:
    return Limit(Subject(scope, who), dollars * DOLLAR, "dollars", every)


def budgets(*uses: Use, limits: list[Limit] | None = None, **values: Any) -> Budgets:
    held = [use.limit for use in uses] if limits is None else limits
    return Budgets(held, uses, **({"changes": ()} | values))


def read(view: Json) -> str:
    check(view["blocks"], most=VIEW_BLOCKS)
    assert len(view["title"]["text"]) <= 24
    return visible_text(view)


def elements(view: Json) -> dict[str, Json]:
    """The fields of a form by their action."""
    asked = [block for block in view["blocks"] if block["type"] == "input"]
    return {block["element"]["action_id"]: block["element"] for block in asked}


def entered(**values: str) -> dict[str, str]:
    """A form as it is filled in at first, but for these."""
    first = {WHOM: "workspace", AMOUNT: "20", UNIT: "dollars", EVERY: "month"}
    return first | {f"budget_{name}": value for name, value in values.items()}


# -- reading


@pytest.mark.parametrize(
    ("use", "line"),
    [
        (Use(limit(), "C1", 5 * DOLLAR), "▰▰▱▱▱▱▱▱▱▱ 25 %  <#C1>: $5.00 of $20.00 a month"),
        (
            Use(limit("workspace", "T1", 100), "T1", 85 * DOLLAR),
            "▰▰▰▰▰▰▰▰▱▱ 85 % :warning:  Everybody together: $85.00 of $100.00 a month",
        ),
        (
            Use(Limit(Subject("person", EACH), 1_000, "tokens", "day"), "UANA", 1_250),
            "▰▰▰▰▰▰▰▰▰▰ 125 % :no_entry:  <@UANA>: 1,250 tokens of 1,000 tokens a day",
        ),
        (
            Use(limit("person", EACH, 5), EACH, 0),
            "▱▱▱▱▱▱▱▱▱▱ Each person: $5.00 a month; nothing used yet",
        ),
        (
            Use(limit(), "C1", 5 * DOLLAR, unpriced=3),
            "▰▰▱▱▱▱▱▱▱▱ 25 %  <#C1>: $5.00 and 3 answers of unknown cost of $20.00 a month",
        ),
    ],
)
def test_use_of_a_limit_in_words(use: Use, line: str) -> None:
    assert views.use_in_words(use) == line


def test_form_shows_the_limits_and_who_changed_them() -> None:
    change = Change(AT, "UADA", Subject("channel", "C1"), "month", None, limit())
    text = read(views.budgets_modal(budgets(Use(limit(), "C1", DOLLAR), changes=[change])))

    assert "<#C1>: $1.00 of $20.00 a month" in text
    assert "<@UADA>: <#C1>, none → $20.00 a month" in text
    assert "|2026-11-25 12:30 UTC>" in text


def test_change_from_the_command_line_is_nobody_s() -> None:
    change = Change(AT, "command line", Subject("channel", "C1"), "month", limit(), None)

    text = read(views.budgets_modal(budgets(changes=[change])))

    assert "command line: <#C1>, $20.00 a month → none" in text


def test_limit_that_nobody_has_used_is_shown() -> None:
    each = limit("person", EACH)

    assert "Each person: $20.00 a month" in read(views.budgets_modal(budgets(limits=[each])))


def test_limit_for_each_stands_above_those_for_whom_it_holds() -> None:
    each = limit("person", EACH)
    uses = [Use(each, "UANA", 5 * DOLLAR), Use(each, "UBEN", DOLLAR)]

    lines = read(views.budgets_modal(Budgets([each], uses, ()))).splitlines()

    at = lines.index("Each person: $20.00 a month")
    assert "<@UANA>: $5.00 of $20.00" in lines[at + 1]
    assert "<@UBEN>: $1.00 of $20.00" in lines[at + 2]


def test_own_limits_are_shown_without_a_form() -> None:
    view = views.own_budgets_message([Use(limit("person", "UANA", 5), "UANA", DOLLAR)])

    assert "<@UANA>: $1.00 of $5.00 a month" in read({**view, "title": {"text": ""}})
    assert "input" not in json.dumps(view)


def test_many_limits_fit_into_a_form() -> None:
    many = [limit(who=f"C{number:0>10}") for number in range(200)]
    uses = [Use(each, each.subject.who, DOLLAR) for each in many]
    changes = [Change(AT, "UADA", each.subject, "month", None, each) for each in many]

    assert "And 170 more." in read(views.budgets_modal(budgets(*uses, changes=changes)))


# -- setting


@pytest.mark.parametrize(
    ("whom", "asked"),
    [
        ("workspace", set()),
        ("each-channel", set()),
        ("each-person", set()),
        ("channel", {CHANNEL}),
        ("person", {PERSON}),
        ("<@UEVE>", set()),
    ],
)
def test_form_asks_for_what_is_missing(whom: str, asked: set[str]) -> None:
    view = views.budgets_modal(budgets(), whom=whom)

    assert elements(view).keys() == {WHOM, AMOUNT, UNIT, EVERY} | asked
    read(view)


def test_only_the_choice_of_whom_is_told_at_once() -> None:
    view = views.budgets_modal(budgets())

    told = {block["block_id"] for block in view["blocks"] if block.get("dispatch_action")}
    assert told == {WHOM}


def test_tokens_are_chosen_where_there_is_no_price() -> None:
    view = views.budgets_modal(budgets(unit="tokens"))

    assert elements(view)[UNIT]["initial_option"]["value"] == "tokens"


@pytest.mark.parametrize(
    ("form", "limit"),
    [
        (entered(), Limit(Subject("workspace", "T1"), 20 * DOLLAR, "dollars", "month")),
        (
            entered(amount="0.5", every="day"),
            Limit(Subject("workspace", "T1"), DOLLAR // 2, "dollars", "day"),
        ),
        (
            entered(whom="each-person", amount="200k", unit="tokens"),
            Limit(Subject("person", EACH), 200_000, "tokens", "month"),
        ),
        (
            entered(whom="each-channel", amount="20,000", unit="tokens"),
            Limit(Subject("channel", EACH), 20_000, "tokens", "month"),
        ),
        (entered(whom="channel", channel="C0GENERAL"), limit("channel", "C0GENERAL")),
        (entered(whom="person", person="U0ANA"), limit("person", "U0ANA")),
        (entered(amount="0"), Limit(Subject("workspace", "T1"), 0, "dollars", "month")),
    ],
)
def test_limit_of_a_form(form: dict[str, str], limit: Limit) -> None:
    assert views.limit_from(form, team="T1") == limit


@pytest.mark.parametrize(
    ("form", "block"),
    [
        (entered(whom=""), WHOM),
        (entered(whom="T2"), WHOM),
        (entered(whom="channel"), CHANNEL),
        (entered(whom="channel", channel="U0ANA"), CHANNEL),
        (entered(whom="channel", channel="D0ANA"), CHANNEL),
        (entered(whom="channel", channel="*"), CHANNEL),
        (entered(whom="person"), PERSON),
        (entered(whom="person", person="C0GENERAL"), PERSON),
        (entered(whom="person", person="U1' OR 1=1"), PERSON),
        (entered(amount=""), AMOUNT),
        (entered(amount="-5"), AMOUNT),
        (entered(amount="five"), AMOUNT),
        (entered(amount="1e9"), AMOUNT),
        (entered(amount="5 tokens"), AMOUNT),
        (entered(amount="9" * 30), AMOUNT),
        (entered(amount="0.5", unit="tokens"), AMOUNT),
        (entered(unit="euros"), UNIT),
        (entered(every="year"), EVERY),
        ({}, WHOM),
    ],
)
def test_form_that_is_wrong_says_where(form: dict[str, str], block: str) -> None:
    with pytest.raises(Unfit) as unfit:
        views.limit_from(form, team="T1")

    assert list(unfit.value.errors) == [block]


@pytest.mark.parametrize(
    "held",
    [limit(), limit("workspace", "T1"), limit("person", EACH, every="day"), limit("channel", EACH)],
)
def test_button_names_its_limit(held: Limit) -> None:
    view = views.budgets_modal(budgets(Use(held, "C1", 0)))
    buttons = [block["accessory"] for block in view["blocks"] if "accessory" in block]

    assert [views.removed_from(each["value"]) for each in buttons] == [(held.subject, held.every)]
    assert buttons[0]["confirm"]["confirm"]["text"] == "Remove"


@pytest.mark.parametrize(
    "value", ["", "x", "channel:C1", "channel:c1:day", "team:T1:day", "a" * 99]
)
def test_button_that_was_made_up_names_nothing(value: str) -> None:
    assert views.removed_from(value) is None


def test_what_has_become_of_a_limit_is_said() -> None:
    channel = limit()

    assert views.changed(channel.subject, None, channel).endswith("<#C1>: $20.00 a month.")
    again = views.changed(channel.subject, limit(dollars=5), channel)
    assert again.endswith("<#C1>: $20.00 a month. It was $5.00 a month.")
    gone = views.changed(channel.subject, channel, None)
    assert gone.endswith("<#C1>: no limit any more. It was $20.00 a month.")
