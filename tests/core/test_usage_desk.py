"""Who sees which numbers, whatever their buttons say; the desks with a ledger in memory."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.blocks import Json, section
from bot.budget_desk import BudgetDesk
from bot.budget_views import AMOUNT, CHANNEL, EVERY, UNIT, WHOM
from bot.budgets import Change, Limit, Span, Subject, Use
from bot.channel_settings import ChannelSettings
from bot.errors import SlackRefused
from bot.interactions import Command, Press, Submission, Unfit, Visit
from bot.messages import TurnKey, Usage
from bot.opinions import Opinion, Tally
from bot.people import People, Person
from bot.playground.slack.blocks import check, visible_text
from bot.prices import Prices
from bot.report import Report
from bot.report.sheet import sheet
from bot.usage import By, Detail, Selection, Total
from bot.usage_desk import TEXT_BLOCKS, UsageDesk, as_text, asked_period
from tests.core.fakes import FakeChannels

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
DOLLAR = 10**12
PRICED = Prices(()).under(
    "date = 2026-11-01\n[models]\npriced = { input = 1.0, output = 2.0 }", "a test"
)

# What each person used in each channel, in dollars.
USED = {("UANA", "C1"): 1, ("UBEN", "C1"): 2, ("UBEN", "DBEN"): 4, ("UADA", "C2"): 8}


class Books:
    """A ledger, limits, and what people are shown."""

    def __init__(self) -> None:
        self.limits = [Limit(Subject("person", "UBEN"), 10 * DOLLAR, "dollars", "month")]
        self.channels: dict[str, ChannelSettings] = {}
        self.set_by: list[tuple[str, Limit]] = []
        self.shown: dict[str, list[Json]] = {}
        self.files: list[tuple[str, bytes]] = []
        self.may_upload = True

    # the ledger

    async def totals(
        self, by: Sequence[By], selection: Selection, *, detail: Detail
    ) -> list[Total]:
        assert selection.team == "T1"
        if selection.since and selection.since < datetime.now(UTC) - timedelta(days=40):
            return [] if by else [Total()]
        groups: dict[tuple[str, ...], Total] = {} if by else {(): Total()}
        for (user, channel), dollars in USED.items():
            if selection.users and user not in selection.users:
                continue
            if selection.channels and channel not in selection.channels:
                continue
            day = f"{datetime.now(UTC):%Y-%m-%d}"
            parts = {"user": user, "channel": channel, "model": "priced", "day": day}
            group = tuple(parts[each] for each in by)
            one = Total(answers=1, complete=1, usage=Usage(1, 0, 1, 0), cost=Decimal(dollars))
            summed = groups.get(group, Total()) + one
            groups[group] = Total(
                group=group, answers=summed.answers, usage=summed.usage, cost=summed.cost
            )
        return list(groups.values())

    # what people think

    async def tally(self, selection: Selection) -> list[Tally]:
        assert selection.team == "T1"
        return [Tally("C1", good=3, bad=1)]

    async def newest(
        self, selection: Selection, *, limit: int, is_explained: bool = False
    ) -> list[Opinion]:
        assert (selection.team, is_explained) == ("T1", True)
        key = TurnKey("T1", "C1", "1700000000.000100")
        return [Opinion(NOW, key, 1, "UBEN", is_good=False, reason="Wrong.")]

    # the limits

    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]:
        whose = {"person": user, "channel": channel, "workspace": team}
        return [
            Use(limit, limit.subject.who, DOLLAR)
            for limit in self.limits
            if whose[limit.subject.scope] == limit.subject.who
        ]

    async def standing(self, team: str, *, now: datetime) -> list[Use]:
        return [Use(limit, limit.subject.who, DOLLAR) for limit in self.limits]

    async def all(self, team: str) -> list[Limit]:
        return self.limits

    async def changes(self, team: str, *, most: int) -> list[Change]:
        return []

    async def set(self, team: str, limit: Limit, *, by: str, at: datetime) -> Limit | None:
        self.set_by.append((by, limit))
        self.limits = [limit]
        return None

    async def remove(
        self, team: str, subject: Subject, every: Span, *, by: str, at: datetime
    ) -> Limit | None:
        found = [each for each in self.limits if (each.subject, each.every) == (subject, every)]
        self.limits = [each for each in self.limits if each not in found]
        return found[0] if found else None

    # the settings of channels

    async def shown_there(self, channel: str) -> list[Json]:
        return [section(f"What is set for {channel}")]

    # the screen

    async def respond(self, url: str, message: Json, *, replaces: bool = False) -> None:
        self._show(f"{url} again" if replaces else url, message)

    async def show_home(self, user: str, view: Json) -> None:
        self._show(f"home of {user}", view)

    async def direct(self, user: str, message: Json) -> tuple[str, str]:
        self._show(f"DM of {user}", message)
        return f"D{user[1:]}", "1.1"

    async def reply(self, channel: str, thread_ts: str, message: Json) -> None:
        self._show(f"{channel} {thread_ts}", message)

    async def upload(self, channel: str, thread_ts: str, *, name: str, content: bytes) -> None:
        if not self.may_upload:
            raise SlackRefused("files.getUploadURLExternal", "missing_scope")
        self.files.append((f"{channel} {thread_ts} {name}", content))

    async def open_modal(self, trigger_id: str, view: Json) -> str:
        self._show(f"modal of {trigger_id}", view)
        return "V1"

    async def update_modal(self, view_id: str, view: Json) -> None:
        self._show(view_id, view)

    async def write(self, report: Report) -> str:
        """Here, as threads know no virtual time."""
        return sheet(report)

    async def names(self, users: Iterable[str]) -> dict[str, str]:
        return {user: user.removeprefix("U").title() for user in users}

    async def person(self, user: str) -> Person:
        return Person(user, is_admin=user == "UADA")

    def read(self, where: str) -> str:
        """The newest that stands there."""
        return visible_text(self.shown[where][-1])

    def _show(self, where: str, view: Json) -> None:
        check(view["blocks"], most=100)
        self.shown.setdefault(where, []).append(view)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def usage(books: Books) -> UsageDesk:
    return UsageDesk(
        "T1",
        people=People(books),
        ledger=books,
        feedback=books,
        budgets=books,
        surfaces=books,
        names=books,
        channels=books,
        write=books.write,
    )


@pytest.fixture
def limits(books: Books) -> BudgetDesk:
    return budget_desk(books)


def budget_desk(books: Books, model: str = "priced") -> BudgetDesk:
    return BudgetDesk(
        "T1",
        people=People(books),
        limits=books,
        channels=FakeChannels(**books.channels),
        surfaces=books,
        model=model,
        prices=PRICED,
    )


def command(user: str, channel: str = "C1") -> Command:
    return Command(user, channel, "", trigger_id=user, response_url="url")


def press(user: str, value: str, **values: Any) -> Press:
    return Press(user, "x", value, user, **({"channel": "C1", "response_url": "url"} | values))


# -- who sees what


async def test_anybody_sees_their_own_and_the_channel_s(books: Books, usage: UsageDesk) -> None:
    await usage.answer(command("UANA"), "")

    text = books.read("url")
    assert "*You*\n$1.00 · 1 answer" in text
    assert "*This channel, everybody*\n$3.00 · 2 answers" in text
    assert not {"UBEN", "think", "Wrong."} & set(str(books.shown).split())


async def test_in_direct_messages_there_is_no_channel(books: Books, usage: UsageDesk) -> None:
    await usage.answer(command("UANA", channel="DBEN"), "")

    assert "channel" not in books.read("url")
    assert "$4.00" not in str(books.shown)


async def test_admin_sees_everybody(books: Books, usage: UsageDesk) -> None:
    await usage.answer(command("UADA"), "this month")

    text = books.read("url")
    assert "*Cost*\n$15.00" in text
    assert "*$8.00*  <#C2>" in text
    assert "*$6.00*  <@UBEN>" in text
    assert "<@UBEN>: $1.00 of $10.00 a month" in text
    assert "75 % of 4 answers good · 3 :thumbsup: · 1 :thumbsdown:" in text
    assert "<@UBEN>:\nWrong." in text


async def test_admin_s_own_numbers_are_read_off_the_workspace_s(
    books: Books, usage: UsageDesk
) -> None:
    await usage.answer(command("UADA"), "this month")
    await usage.answer(command("UADA", channel="C9"), "this month")

    with_channel, elsewhere = (visible_text(view) for view in books.shown["url"])
    assert "*You*\n$8.00 · 1 answer" in with_channel
    assert "*This channel, everybody*\n$3.00 · 2 answers" in with_channel
    assert "*This channel, everybody*\nnothing yet" in elsewhere


@pytest.mark.parametrize("value", ["7d", "UBEN", "C2", "T1", "", "all", "x" * 3000])
async def test_no_menu_s_value_shows_more_than_a_period(
    books: Books, usage: UsageDesk, value: str
) -> None:
    await usage.choose(press("UANA", value))

    assert "$1.00" in books.read("url again")
    assert not {"UBEN", "C2", "$15.00", "$8.00"} & set(books.read("url again").split())


async def test_sheet_is_for_admins_alone(books: Books, usage: UsageDesk) -> None:
    await usage.send_sheet(press("UANA", "this month"))

    assert books.read("DM of UANA") == "Only admins see what others use."
    assert books.files == []


async def test_home_shows_a_person_their_own(books: Books, usage: UsageDesk) -> None:
    await usage.visit(Visit("UBEN"))

    text = books.read("home of UBEN")
    assert "*You*\n$6.00 · 2 answers" in text
    assert "<@UBEN>: $1.00 of $10.00 a month" in text
    assert not {"$15.00", "$3.00", "UANA", "think", "Wrong."} & set(text.split())


async def test_home_shows_an_admin_the_workspace(books: Books, usage: UsageDesk) -> None:
    await usage.visit(Visit("UADA"))

    assert "*Cost*\n$15.00" in books.read("home of UADA")


async def test_help_is_the_person_s(books: Books, usage: UsageDesk) -> None:
    await usage.help(command("UANA"))
    assert "admin" not in books.read("url")

    await usage.help(command("UADA"))
    assert "You are an admin" in books.read("url")


# -- periods


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("this month", "2026-11-01", "2026-11-25"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("today", "2026-11-25", "2026-11-25"),
        ("yesterday", "2026-11-24", "2026-11-24"),
        ("7d", "2026-11-19", "2026-11-25"),
        ("30 days", "2026-10-27", "2026-11-25"),
        ("2026-10", "2026-10-01", "2026-10-31"),
        ("2026-10-05", "2026-10-05", "2026-10-05"),
        ("2026-10-05 2026-10-07", "2026-10-05", "2026-10-07"),
    ],
)
def test_period_as_people_write_it(words: str, first: str, last: str) -> None:
    found = asked_period(words, NOW)

    assert (str(found.first), str(found.last)) == (first, last)


def test_last_month_of_january_is_december() -> None:
    found = asked_period("last month", datetime(2026, 1, 31, tzinfo=UTC))

    assert (str(found.first), str(found.last)) == ("2025-12-01", "2025-12-31")


@pytest.mark.parametrize("words", ["next week", "UBEN", "<@UBEN>", "2026-13", "7d <!channel>"])
async def test_period_that_is_not_clear_is_said(books: Books, usage: UsageDesk, words: str) -> None:
    await usage.answer(command("UANA"), words)

    assert books.read("url").startswith("The period is not clear: ")
    assert "<!" not in str(books.shown)


# -- the sheet


async def test_sheet_goes_to_the_admin_s_direct_messages(books: Books, usage: UsageDesk) -> None:
    await usage.send_sheet(press("UADA", "this month"))

    ((name, content),) = books.files
    month = f"{datetime.now(UTC):%Y-%m}"
    assert name.startswith(f"DADA 1.1 usage-{month}-01-{month}")
    lines = content.decode().splitlines()
    assert lines[0].startswith("day,channel,channel_name,user,user_name,model,answers")
    assert sum("UBEN,Ben,priced" in line for line in lines) == 2
    assert len(lines) == 1 + len(USED)


async def test_sheet_of_very_many_answers_is_not_by_day(
    books: Books, usage: UsageDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.usage_desk.MOST_BY_DAY", 3)

    await usage.send_sheet(press("UADA", "this month"))

    assert books.files[0][1].startswith(b"channel,channel_name,user,user_name,model,answers")


async def test_sheet_comes_as_text_where_files_are_not_allowed(
    books: Books, usage: UsageDesk
) -> None:
    books.may_upload = False

    await usage.send_sheet(press("UADA", "whatever"))

    text = books.read("DADA 1.1")
    assert "with the scope `files:write` this would have been one. Here are 5 of its 5" in text
    assert "UBEN,Ben,priced" in text


def test_long_sheet_as_text_is_cut_at_a_line() -> None:
    lines = [f"C{number:0>10},<{number}>,{'x' * 60}" for number in range(1_000)]

    view = as_text("\n".join(lines))
    check(view["blocks"])

    blocks = [block["text"]["text"] for block in view["blocks"][1:]]
    shown = "".join(block.strip("`\n") + "\n" for block in blocks).splitlines()
    assert len(blocks) == TEXT_BLOCKS
    escaped = [line.replace("<", "&lt;").replace(">", "&gt;") for line in lines]
    assert shown == escaped[: len(shown)]
    assert f"Here are {len(shown)} of its 1000 lines" in view["text"]


# -- limits


def form(user: str = "UADA", **values: str) -> Submission:
    entered = {WHOM: "workspace", AMOUNT: "20", UNIT: "dollars", EVERY: "month"} | values
    return Submission(user, "budgets", "V1", entered)


async def test_admin_gets_the_form_and_others_their_own_limits(
    books: Books, limits: BudgetDesk
) -> None:
    await limits.answer(command("UADA"), "")
    await limits.answer(command("UANA"), "")
    await limits.answer(command("UBEN"), "")

    assert "<@UBEN>: $1.00 of $10.00" in books.read("modal of UADA")
    own, bens = map(visible_text, books.shown["url"])
    assert "UBEN" not in own
    assert "<@UBEN>: $1.00 of $10.00" in bens
    assert "modal of UANA" not in books.shown


async def test_form_s_limit_is_kept_with_who_set_it(books: Books, limits: BudgetDesk) -> None:
    view = await limits.submit(form())

    limit = Limit(Subject("workspace", "T1"), 20 * DOLLAR, "dollars", "month")
    assert books.set_by == [("UADA", limit)]
    assert ":white_check_mark: Everybody together: $20.00 a month." in visible_text(view)


async def test_form_that_was_sent_asks_the_same_again(books: Books, limits: BudgetDesk) -> None:
    """Slack keeps what stands in a field; so the fields must fit what is chosen in the first."""
    of_channel = {WHOM: "channel", CHANNEL: "C0GENERAL"}

    view = await limits.submit(form(**of_channel))
    await limits.remove(press("UADA", "channel:C1:month", view_id="V1", entered=of_channel))

    assert "Which channel" in str(view)
    assert "Which channel" in str(books.shown["V1"][-1])


async def test_nobody_but_admins_sets_or_sees_limits_with_a_made_up_form(
    books: Books, limits: BudgetDesk
) -> None:
    before = books.limits

    view = await limits.submit(form("UANA"))
    await limits.choose(press("UANA", "person", view_id="V1"))
    await limits.remove(press("UANA", "person:UBEN:month", view_id="V2"))
    await limits.open(press("UANA", "budgets"))

    assert books.limits == before
    assert books.set_by == []
    said = [visible_text(view), books.read("V1"), books.read("V2"), books.read("DM of UANA")]
    assert set(said) == {"Only admins may set limits."}


async def test_limit_is_removed_by_its_button(books: Books, limits: BudgetDesk) -> None:
    await limits.remove(press("UADA", "person:UBEN:month", view_id="V1"))

    assert books.limits == []
    assert "<@UBEN>: no limit any more. It was $10.00 a month." in books.read("V1")


@pytest.mark.parametrize("value", ["person:UANA:month", "workspace:T2:month", "nonsense", ""])
async def test_button_of_no_limit_removes_none(
    books: Books, limits: BudgetDesk, value: str
) -> None:
    await limits.remove(press("UADA", value, view_id="V1"))

    assert len(books.limits) == 1
    assert "no limit any more" not in books.read("V1")


async def test_choice_of_whom_changes_the_form(books: Books, limits: BudgetDesk) -> None:
    await limits.choose(press("UADA", "channel", view_id="V1"))

    assert "Which channel" in str(books.shown["V1"][-1])


def test_limit_in_dollars_needs_a_price(books: Books) -> None:
    desk = budget_desk(books, model="a model of our own")

    with pytest.raises(Unfit) as unfit:
        _ = desk.submit(form())

    (sentence,) = unfit.value.errors.values()
    assert "the model a model of our own has no known price" in sentence


async def test_limit_in_tokens_needs_none(books: Books) -> None:
    desk = budget_desk(books, model="a model of our own")

    await desk.submit(form(**{UNIT: "tokens", AMOUNT: "200k"}))

    assert books.limits == [Limit(Subject("workspace", "T1"), 200_000, "tokens", "month")]
