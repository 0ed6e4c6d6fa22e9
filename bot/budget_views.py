"""Limits of use as people read and set them in Slack."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.blocks import (
    Json,
    are_you_sure,
    asked,
    button,
    channel_menu,
    context,
    divider,
    doer,
    escape,
    line,
    menu,
    message,
    modal,
    moment,
    people_menu,
    section,
)
from bot.budgets import EACH, SCOPES, SPANS, Change, Limit, Span, Subject, Unit, Use, parse_limit
from bot.interactions import Unfit

# Names of the actions and of the form.
BUDGETS = "budgets"
WHOM, CHANNEL, PERSON = "budget_whom", "budget_channel", "budget_person"
AMOUNT, UNIT, EVERY = "budget_amount", "budget_unit", "budget_every"
REMOVE = "budget_remove"

# Whom a limit may be for, as the form offers it.
WHOM_WORDS: Mapping[str, str] = {
    "workspace": "Everybody together",
    "channel": "One channel",
    "each-channel": "Each channel that has no limit of its own",
    "person": "One person",
    "each-person": "Each person who has no limit of their own",
}
UNITS: Mapping[str, str] = {"dollars": "US dollars", "tokens": "tokens"}
EVERY_WORDS: Mapping[str, str] = {"day": "a day", "month": "a month"}

ADMINS_ONLY = "Only admins may set limits."

MOST_LIMITS = 30  # of a modal, which takes 100 blocks (docs.slack.dev/reference/views)
MOST_CHANGES = 10

_REMOVED = re.compile(r"(workspace|channel|person):([A-Z0-9]{2,32}|\*):(day|month)", re.ASCII)

BAR = 10


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the form shows beside its fields."""

    limits: Sequence[Limit]
    uses: Sequence[Use]
    changes: Sequence[Change]
    unit: Unit = "dollars"  # what is chosen in the form at first


def budgets_modal(budgets: Budgets, *, whom: str = "workspace", said: str = "") -> Json:
    """``whom`` is chosen in the form; ``said`` is what has become of the last wish."""
    blocks = [
        *_said(said),
        *_form(whom if whom in WHOM_WORDS else "workspace", budgets.unit),
        divider(),
        *_limits(budgets),
        *_changes(budgets.changes),
    ]
    return modal("Limits", blocks, callback_id=BUDGETS, submit="Set this limit")


def refused_modal(sentence: str) -> Json:
    return modal("Limits", [section(escape(sentence))], callback_id=BUDGETS)


def own_budgets_message(uses: Sequence[Use]) -> Json:
    """For somebody who may not set them: what holds for their questions here."""
    text = "\n".join(uses_in_words(uses)) or "No limit holds for you here, beyond the workspace's."
    return message([section(f"*The limits that are yours and this channel's*\n{text}")], text=text)


def limit_from(entered: Mapping[str, str], *, team: str) -> Limit:
    """:raises Unfit: saying what is missing or wrong."""
    subject = _subject(entered, team)
    unit, every = entered.get(UNIT, ""), entered.get(EVERY, "")
    if unit not in UNITS:
        raise Unfit(UNIT, "Choose dollars or tokens.")
    if every not in SPANS:
        raise Unfit(EVERY, "Choose a day or a month.")
    try:
        return parse_limit(f"{entered.get(AMOUNT, '').strip()} {unit} a {every}", subject)
    except ValueError:
        raise Unfit(AMOUNT, "Write a number like 5, 0.50, 20,000 or 200k.") from None


def removed_from(value: str) -> tuple[Subject, Span] | None:
    """What the button of a limit names; None where that is nothing."""
    found = _REMOVED.fullmatch(value)
    if not found:
        return None
    scope = next(each for each in SCOPES if each == found[1])
    return Subject(scope, found[2]), next(each for each in SPANS if each == found[3])


def changed(subject: Subject, before: Limit | None, after: Limit | None) -> str:
    """What has become of a limit, for whoever wished it."""
    whom = whom_in_words(subject, subject.who)
    was = f" It was {before.in_words}." if before and before != after else ""
    if after is None:
        return f":white_check_mark: {whom}: no limit any more.{was}"
    return f":white_check_mark: {whom}: {after.in_words}.{was}"


def uses_in_words(uses: Sequence[Use]) -> list[str]:
    return list(map(use_in_words, uses))


def use_in_words(use: Use) -> str:
    """``▰▰▰▱▱▱▱▱▱▱ 31 %  #general: $6.20 of $20.00 a month``."""
    limit = use.limit
    whom = whom_in_words(limit.subject, use.who)
    if use.who == EACH:
        return f"{bar(0)} {whom}: {limit.in_words}; nothing used yet"
    mark = {"fine": "", "near": " :warning:", "spent": " :no_entry:"}[use.state]
    unseen = limit.unit == "dollars" and use.unpriced
    unpriced = f" and {use.unpriced:,} answers of unknown cost" if unseen else ""
    return (
        f"{bar(float(use.share))} {use.share * 100:.0f} %{mark}  {whom}: {limit.of(use.used)}"
        f"{unpriced} of {limit.in_words}"
    )


def whom_in_words(subject: Subject, who: str) -> str:
    if subject.scope == "workspace":
        return "Everybody together"
    if who == EACH:
        return f"Each {subject.scope}"
    return f"<#{who}>" if subject.scope == "channel" else f"<@{who}>"


def bar(share: float) -> str:
    """Ten signs, of which so many are full."""
    full = max(0, min(BAR, round(share * BAR)))
    return "▰" * full + "▱" * (BAR - full)


# -- parts of the form


def _said(sentence: str) -> list[Json]:
    return [section(sentence), divider()] if sentence else []


def _form(whom: str, unit: Unit) -> Iterator[Json]:
    yield asked(WHOM, "For", menu(WHOM, WHOM_WORDS, chosen=whom), tells=True)
    if whom == "channel":
        yield asked(CHANNEL, "Which channel", channel_menu(CHANNEL))
    if whom == "person":
        yield asked(PERSON, "Who", people_menu(PERSON))
    yield asked(AMOUNT, "No more than", line(AMOUNT, placeholder="20", longest=30))
    yield asked(UNIT, "Of", menu(UNIT, UNITS, chosen=unit))
    yield asked(EVERY, "Each", menu(EVERY, EVERY_WORDS, chosen="month"))
    yield context(
        "A limit takes the place of one for the same and as long. 0 closes. At 80 % those "
        "concerned are told, at 100 % I answer no more until the next day or month of UTC."
    )


def _limits(budgets: Budgets) -> Iterator[Json]:
    yield section("*Limits now*" if budgets.limits else "*There are no limits.*")
    for limit in budgets.limits[:MOST_LIMITS]:
        yield section("\n".join(_limit(limit, budgets.uses)), beside=_remove(limit))
    if len(budgets.limits) > MOST_LIMITS:
        yield context(f"And {len(budgets.limits) - MOST_LIMITS} more.")


def _limit(limit: Limit, uses: Sequence[Use]) -> list[str]:
    held = [use for use in uses if use.limit == limit and use.who != EACH]
    if limit.subject.who == EACH:
        whose = f"{whom_in_words(limit.subject, EACH)}: {limit.in_words}"
        return [whose, *uses_in_words(held)]
    return uses_in_words(held or [Use(limit, limit.subject.who, 0)])


def _remove(limit: Limit) -> Json:
    value = f"{limit.subject.scope}:{limit.subject.who}:{limit.every}"
    sure = are_you_sure("Remove this limit?", limit.in_words, yes="Remove")
    return button(REMOVE, "Remove", value=value, confirm=sure)


def _changes(changes: Sequence[Change]) -> list[Json]:
    if not changes:
        return []
    said = [_change(change) for change in changes[:MOST_CHANGES]]
    return [divider(), section("*Changes*\n" + "\n".join(said))]


def _change(change: Change) -> str:
    before, after = (
        "none" if limit is None else limit.in_words for limit in (change.before, change.after)
    )
    whom = whom_in_words(change.subject, change.subject.who)
    return f"{moment(change.at)}  {doer(change.by)}: {whom}, {before} → {after}"


def _subject(entered: Mapping[str, str], team: str) -> Subject:
    match entered.get(WHOM):
        case "workspace":
            return Subject("workspace", team)
        case "each-channel":
            return Subject("channel", EACH)
        case "each-person":
            return Subject("person", EACH)
        case "channel":
            return Subject("channel", _chosen(entered, CHANNEL, r"[CG][A-Z0-9]{2,31}", "a channel"))
        case "person":
            return Subject("person", _chosen(entered, PERSON, r"[UW][A-Z0-9]{2,31}", "a person"))
        case _:
            raise Unfit(WHOM, "Choose whom the limit is for.")


def _chosen(entered: Mapping[str, str], field: str, form: str, what: str) -> str:
    value = entered.get(field, "")
    if not re.fullmatch(form, value, re.ASCII):
        raise Unfit(field, f"Choose {what}.")
    return value
