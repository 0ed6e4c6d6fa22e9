"""``python -m bot budget``: how much may be used, by whom; read, set and removed."""

import argparse
import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.budgets import (
    EACH,
    SPANS,
    Change,
    Use,
    parse_limit,
    parse_subject,
    resets_at,
    why_not,
    why_not_there,
)
from bot.channel_settings import models_chosen
from bot.commands import Refused, missing_database
from bot.errors import BotError
from bot.messages import plain_name
from bot.report.table import aligned
from bot.settings import ReportSettings
from bot.store import Store, opened

# In the place of a person's id, where a limit was changed from here.
COMMAND_LINE = "command line"

EXAMPLES = """\
whom a budget is for:
  workspace                all together
  each-channel             every channel that has none of its own; not direct messages
  each-person              every person who has none of their own
  C0123ABCD, U0123ABCD     one channel, one person

examples:
  python -m bot budget set workspace 100 dollars a month
  python -m bot budget set each-person 50,000 tokens a day
  python -m bot budget remove workspace month

A budget of 0 closes: python -m bot budget set C0123ABCD 0 tokens a day
"""


def add_to(commands: Any) -> None:
    command = commands.add_parser(
        "budget",
        help="how much may be used: by channel, by person, by all",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--team", metavar="ID", help="the workspace, where there are several")
    command.add_argument("--ids", action="store_true", help="do not ask Slack for names")
    command.set_defaults(run=run, act=_list)
    acts = command.add_subparsers(title="what to do (default: list them)", metavar="WHAT")
    act = acts.add_parser("set", help="in place of what was set for the same day or month")
    act.add_argument("whom")
    act.add_argument("amount", nargs="+", help="5 dollars a day; 200,000 tokens a month")
    act.set_defaults(act=_set)
    act = acts.add_parser("remove", help="so that there is no limit")
    act.add_argument("whom")
    act.add_argument("every", choices=SPANS)
    act.set_defaults(act=_remove)
    act = acts.add_parser("changes", help="who set what, and when")
    act.set_defaults(act=_changes)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> None:
    settings = ReportSettings.from_env(env)
    if options.act is not _set and (missing := missing_database(settings)):
        print(f"There are no budgets: there is no database {missing}.")
        return
    print(asyncio.run(_said(options, settings)))


async def _said(options: argparse.Namespace, settings: ReportSettings) -> str:
    async with opened(settings.database_url) as store:
        team = options.team or await _team(store, settings)
        said: str = await options.act(store, team, options, settings)
        return said


async def _team(store: Store, settings: ReportSettings) -> str:
    """The only workspace that was ever heard of, or that of the token."""
    teams = await store.ledger.teams()
    if len(teams) == 1:
        return teams[0]
    if settings.slack_bot_token:
        from bot import web_api  # with Slack's SDK: it takes a while

        token, api_url = settings.slack_bot_token, settings.slack_api_url
        try:
            async with web_api.connected(token, api_url=api_url) as client:
                return (await web_api.identify(client)).team
        except BotError as error:
            raise Refused(
                f"Which workspace? Slack does not say ({error}): name it with --team."
            ) from error
    known = f" (one of {', '.join(teams)})" if teams else ""
    raise Refused(f"Which workspace? Name it with --team{known}, or set SLACK_BOT_TOKEN.")


async def _list(store: Store, team: str, options: Any, settings: ReportSettings) -> str:
    now = datetime.now(UTC)
    limits = await store.limits.all(team)
    if not limits:
        return "There are no budgets. How to set one: python -m bot budget --help"
    uses = await store.limits.standing(team, now=now)
    named = {} if options.ids else await _names([use.who for use in uses], settings)
    rows = [["budget", "used", "", "resets (UTC)"]]
    for limit in limits:
        resets = f"{resets_at(limit.every, now):%Y-%m-%d}"
        held = [use for use in uses if use.limit == limit]
        if limit.subject.who == EACH:
            rows.append([f"{limit.subject.in_words}: {limit.in_words}", "", "", resets])
            used = [use for use in held if use.used]
            rows += [[f"  {_called(use.who, named)}", *_used(use), ""] for use in used]
        else:
            whom = _called(limit.subject.who, named) if limit.subject.scope != "workspace" else ""
            label = whom or limit.subject.in_words
            rows += [[f"{label}: {limit.in_words}", *_used(use), resets] for use in held]
    problem = [
        f"\n{why}"
        for limit in limits
        if (why := why_not(limit, settings.openai_model, settings.prices))
    ]
    return "\n".join([*aligned(rows, left=1), *problem[:1]])


async def _set(store: Store, team: str, options: Any, settings: ReportSettings) -> str:
    try:
        subject = parse_subject(options.whom, team)
        limit = parse_limit(" ".join(options.amount), subject)
    except ValueError as error:
        raise Refused(f"{error}.") from error
    if problem := why_not(limit, settings.openai_model, settings.prices):
        raise Refused(problem)
    limits, chosen = await store.limits.all(team), models_chosen(await store.channels.all(team))
    if problem := why_not_there(limit, limits, chosen, settings.prices):
        raise Refused(problem)
    before = await store.limits.set(team, limit, by=COMMAND_LINE, at=datetime.now(UTC))
    was = "" if before is None else f" It was {before.in_words}."
    return f"The budget of {subject.in_words} is {limit.in_words}.{was}"


async def _remove(store: Store, team: str, options: Any, _: ReportSettings) -> str:
    try:
        subject = parse_subject(options.whom, team)
    except ValueError as error:
        raise Refused(f"{error}.") from error
    now = datetime.now(UTC)
    before = await store.limits.remove(team, subject, options.every, by=COMMAND_LINE, at=now)
    if before is None:
        raise Refused(f"There is no budget of {subject.in_words} for a {options.every}.")
    return f"The budget of {subject.in_words} is removed. It was {before.in_words}."


async def _changes(store: Store, team: str, *_: Any) -> str:
    changes = await store.limits.changes(team)
    if not changes:
        return "No budget was ever set."
    rows = [
        [f"{change.at:%Y-%m-%d %H:%M}", change.by, change.subject.in_words, _changed(change)]
        for change in changes
    ]
    return "\n".join(aligned([["when (UTC)", "who", "whose", "what"], *rows], left=4))


async def _names(ids: list[str], settings: ReportSettings) -> dict[str, str]:
    from bot.commands.names import names_of  # with Slack's SDK: it takes a while

    return (await names_of(list(dict.fromkeys(ids)), settings, lambda *_: None)).known


def _called(id: str, names: Mapping[str, str]) -> str:
    return f"{id} ({plain_name(names[id])})" if id in names else id


def _used(use: Use) -> list[str]:
    unseen = f" and {use.unpriced:,} without a price" if use.unpriced and _is_money(use) else ""
    return [f"{use.limit.of(use.used)}{unseen}", f"{use.share * 100:.0f} %"]


def _is_money(use: Use) -> bool:
    return use.limit.unit == "dollars"


def _changed(change: Change) -> str:
    before = "none" if change.before is None else change.before.in_words
    after = "none" if change.after is None else change.after.in_words
    return f"{before} → {after}"
