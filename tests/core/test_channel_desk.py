"""Who may change the settings of a channel, whatever their form says; with a store in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bot import channel_views as views
from bot.blocks import Json
from bot.budgets import EACH, Limit, Subject
from bot.channel_desk import ChannelDesk
from bot.channel_settings import AS_EVERYWHERE, Change, ChannelSettings, Offer
from bot.errors import AskerUnknown, BotError, SlackRefused
from bot.interactions import Command, Press, Submission, Unfit
from bot.people import People, Person
from bot.playground.slack.blocks import check, visible_text
from bot.prices import Prices

CHANNEL, OTHER = "C01", "C02"
ADMIN, CREATOR, SOMEBODY, GUEST, STRANGER = "UADA", "UCY", "UANA", "UGUS", "USTR"
PEOPLE = {
    ADMIN: Person(ADMIN, is_admin=True),
    CREATOR: Person(CREATOR),
    SOMEBODY: Person(SOMEBODY),
    GUEST: Person(GUEST, is_guest=True),
    STRANGER: Person(STRANGER, is_external=True),
}
PRICES = Prices(()).under(
    "date = 2026-11-01\n[models]\nusual = { input = 1.0, output = 2.0 }", "a test"
)
UNTOUCHED = {views.ALLOWED: "yes", views.FOLLOWS: "no", views.MODEL: "*"}
SEEN = AS_EVERYWHERE.digest  # nothing was set when the form was opened
NOTHING_SET = f"{CHANNEL} {SEEN}"
BRIEF = {**UNTOUCHED, views.INSTRUCTIONS: "Be brief."}
DOLLAR = 10**12


class House:
    """What is set for channels, and what people are shown."""

    def __init__(self, creator: str | BotError | None = CREATOR) -> None:
        self.creator_is = creator
        self.kept: dict[str, ChannelSettings] = {}
        self.log: list[Change] = []
        self.limits: list[Limit] = []
        self.shown: dict[str, list[Json]] = {}
        self.looked_up: list[str] = []

    def desk(self, *, admins: Sequence[str] = (), listed: Sequence[str] = ()) -> ChannelDesk:
        return ChannelDesk(
            "T1",
            people=People(self, admins=admins),
            channels=self,
            limits=self,
            surfaces=self,
            offer=Offer(("usual", "unpriced"), max_tokens=4_000),
            prices=PRICES,
            listed=listed,
        )

    async def person(self, user: str) -> Person:
        if user not in PEOPLE:
            raise AskerUnknown
        return PEOPLE[user]

    async def of(self, team: str, channel: str) -> ChannelSettings:
        return self.kept.get(channel, AS_EVERYWHERE)

    async def changes(self, team: str, channel: str, *, most: int) -> list[Change]:
        return [change for change in self.log[::-1] if change.channel == channel][:most]

    async def set(
        self, team: str, channel: str, after: ChannelSettings, *, seen: str, by: str, at: datetime
    ) -> bool:
        before = await self.of(team, channel)
        if before != after and before.digest != seen:
            return False
        self.kept[channel] = after
        self.log.append(Change(at, by, channel, before, after))
        return True

    async def all(self, team: str) -> list[Limit]:
        return self.limits

    async def creator(self, channel: str) -> str | None:
        self.looked_up.append(channel)
        if isinstance(self.creator_is, BotError):
            raise self.creator_is
        return self.creator_is if channel == CHANNEL else None

    async def respond(self, url: str, message: Json, *, replaces: bool = False) -> None:
        self._show("the answer", message)

    async def open_modal(self, trigger_id: str, view: Json) -> str:
        self._show("a form", view)
        return "V1"

    async def update_modal(self, view_id: str, view: Json) -> None:
        self._show(f"the form {view_id}", view)

    async def direct(self, user: str, message: Json) -> tuple[str, str]:
        self._show(f"DM of {user}", message)
        return "D1", "1.1"

    def _show(self, where: str, view: Json) -> None:
        check(view["blocks"], most=100)
        self.shown.setdefault(where, []).append(view)

    def read(self, where: str) -> str:
        return visible_text(self.shown[where][-1])


@pytest.fixture
def house() -> House:
    return House()


def command(user: str, channel: str = CHANNEL) -> Command:
    return Command(user, channel, "settings", trigger_id="1", response_url="url")


def form(user: str, entered: dict[str, str] = BRIEF, about: str = NOTHING_SET) -> Submission:
    return Submission(user, views.SETTINGS, "V1", entered, about)


def again(user: str, channel: str = CHANNEL) -> Press:
    """A press beneath what was saved."""
    return Press(user, views.OPEN, channel, "1", view_id="V1")


def filled_in(view: Json) -> dict[str, str]:
    """What a form holds that nobody has touched."""
    elements = [block["element"] for block in view["blocks"] if block["type"] == "input"]
    held = {
        each["action_id"]: each.get("initial_value") or each.get("initial_option", {}).get("value")
        for each in elements
    }
    return {name: value for name, value in held.items() if value}


def pick(user: str, channel: str) -> Press:
    return Press(user, views.OPEN, "x", "1", is_home=True, entered={views.CHOSEN: channel})


# -- the form


@pytest.mark.parametrize("user", [ADMIN, CREATOR])
async def test_admin_and_whoever_made_the_channel_get_the_form(house: House, user: str) -> None:
    await house.desk().answer(command(user), "")

    assert house.shown["a form"][0]["private_metadata"].split()[0] == CHANNEL
    assert "the answer" not in house.shown


async def test_admin_is_not_looked_up_as_its_maker(house: House) -> None:
    await house.desk(admins=["UNAMED"]).answer(command("UNAMED"), "")

    assert house.shown["a form"]
    assert house.looked_up == []


async def test_anybody_else_reads_what_is_set_and_who_may_change_it(house: House) -> None:
    house.kept[CHANNEL] = ChannelSettings(instructions="Be brief.")
    await house.desk().answer(command(SOMEBODY), "")

    assert "a form" not in house.shown
    assert "Be brief." in house.read("the answer")
    assert views.NOT_YOURS in house.read("the answer")


@pytest.mark.parametrize("user", [GUEST, STRANGER])
async def test_guest_or_stranger_who_made_the_channel_has_no_say(user: str) -> None:
    house = House(creator=user)
    await house.desk().answer(command(user), "")
    shown = await house.desk().submit(form(user))

    assert "a form" not in house.shown
    assert visible_text(shown) == views.NOT_YOURS
    assert house.kept == {}


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("missing_scope", views.NO_SCOPE), ("channel_not_found", views.NOT_SHOWN)],
)
async def test_where_slack_does_not_say_who_made_it_only_admins_may(
    code: str, sentence: str
) -> None:
    house = House(creator=SlackRefused("conversations.info", code))
    desk = house.desk()

    await desk.answer(command(CREATOR), "")
    assert sentence in house.read("the answer")
    assert visible_text(await desk.submit(form(CREATOR))) == sentence
    assert house.kept == {}

    await desk.submit(form(ADMIN))
    assert house.kept[CHANNEL].instructions == "Be brief."


async def test_channel_of_which_slack_names_no_maker_is_the_admins_alone() -> None:
    house = House(creator=None)
    await house.desk().answer(command(SOMEBODY), "")

    assert views.NOT_YOURS in house.read("the answer")


async def test_who_cannot_be_known_gets_no_form(house: House) -> None:
    with pytest.raises(AskerUnknown):
        await house.desk().answer(command("UNOBODY"), "")
    with pytest.raises(AskerUnknown):
        await house.desk().submit(form("UNOBODY"))

    assert house.shown == {}
    assert house.kept == {}


@pytest.mark.parametrize("channel", ["D01", "", "U01"])
async def test_direct_messages_have_no_settings(house: House, channel: str) -> None:
    await house.desk().answer(command(ADMIN, channel), "")

    assert house.read("the answer") == views.NO_DIRECT
    assert await house.desk().shown_there(channel) == []


# -- what is sent off


@pytest.mark.parametrize("user", [ADMIN, CREATOR])
async def test_what_is_set_is_kept_with_who_did_it(house: House, user: str) -> None:
    shown = await house.desk().submit(form(user))

    assert house.kept == {CHANNEL: ChannelSettings(instructions="Be brief.")}
    assert [(change.by, change.channel) for change in house.log] == [(user, CHANNEL)]
    assert "Saved" in visible_text(shown)
    assert f"<@{user}>" in visible_text(shown)


async def test_what_was_saved_is_shown_in_words_and_without_a_form(house: House) -> None:
    shown = await house.desk().submit(form(ADMIN, {**BRIEF, views.TEMPERATURE: "0,7"}))

    text = visible_text(shown)
    assert text.startswith(views.SAVED)
    assert f"*In <#{CHANNEL}>* I answer with the model `usual` at a temperature of 0.7." in text
    assert "Be brief." in text
    assert "submit" not in shown


# -- what others save meanwhile


LONG = {**UNTOUCHED, views.INSTRUCTIONS: "Be long."}


async def test_what_both_have_changed_is_shown_and_overwritten_by_who_has_seen_it(
    house: House,
) -> None:
    await house.desk().submit(form(ADMIN, LONG))

    shown = await house.desk().submit(form(CREATOR, BRIEF))

    assert house.kept[CHANNEL].instructions == "Be long."
    assert (shown["title"]["text"], shown["submit"]["text"]) == ("Not saved yet", "Save anyway")
    assert f"• <@{ADMIN}> wrote instructions (8 characters). You changed this too" in visible_text(
        shown
    )
    assert "Be long." in visible_text(shown)  # in its wording
    assert filled_in(shown) == BRIEF  # what they wrote is not lost

    saved = await house.desk().submit(form(CREATOR, BRIEF, about=shown["private_metadata"]))

    assert house.kept[CHANNEL].instructions == "Be brief."
    assert views.SAVED in visible_text(saved)


async def test_what_somebody_left_as_it_was_is_not_put_back(house: House) -> None:
    """They changed the temperature alone, and knew nothing of the others' instructions."""
    await house.desk().submit(form(ADMIN, LONG))

    mine = {**UNTOUCHED, views.TEMPERATURE: "1.1"}
    shown = await house.desk().submit(form(CREATOR, mine))

    assert house.kept[CHANNEL].temperature is None
    assert (shown["title"]["text"], shown["submit"]["text"]) == ("Not saved yet", "Save both")
    assert "You had left this alone" in visible_text(shown)
    assert filled_in(shown) == {**mine, views.INSTRUCTIONS: "Be long."}

    await house.desk().submit(form(CREATOR, filled_in(shown), about=shown["private_metadata"]))

    assert house.kept[CHANNEL] == ChannelSettings(instructions="Be long.", temperature=1.1)


async def test_several_who_saved_meanwhile_are_named_each_at_what_they_changed(
    house: House,
) -> None:
    first = await house.desk().submit(form(ADMIN, LONG))
    assert "Saved" in visible_text(first)
    about = f"{CHANNEL} {house.kept[CHANNEL].digest}"
    await house.desk().submit(form(CREATOR, {**LONG, views.TOKENS: "300"}, about))

    shown = await house.desk().submit(form(ADMIN, {**UNTOUCHED, views.TOKENS: "200"}))

    text = visible_text(shown)
    assert f"• <@{ADMIN}> wrote instructions (8 characters). You had left this" in text
    assert f"• <@{CREATOR}> set the longest answer to 300 tokens" in text
    assert f"Set now, by <@{CREATOR}>: *300 tokens*." in text


async def test_who_is_overtaken_once_more_is_shown_it_once_more(house: House) -> None:
    await house.desk().submit(form(ADMIN, LONG))
    shown = await house.desk().submit(form(CREATOR, BRIEF))
    about = f"{CHANNEL} {house.kept[CHANNEL].digest}"
    await house.desk().submit(form(ADMIN, {**LONG, views.INSTRUCTIONS: "Be kind."}, about))

    shown = await house.desk().submit(form(CREATOR, BRIEF, shown["private_metadata"]))

    assert house.kept[CHANNEL].instructions == "Be kind."
    assert "Be kind." in visible_text(shown)
    assert filled_in(shown) == BRIEF


async def test_all_that_differs_is_shown_where_nobody_knows_what_the_form_showed(
    house: House,
) -> None:
    house.kept[CHANNEL] = ChannelSettings(instructions="Be long.", temperature=0.5)

    shown = await house.desk().submit(form(CREATOR, {**UNTOUCHED, views.TEMPERATURE: "1.1"}))

    text = visible_text(shown)
    assert shown["submit"]["text"] == "Save anyway"
    assert "I cannot tell any more by whom" in text
    assert "Be long." in text
    assert "Set now: *0.5*." in text
    assert house.kept[CHANNEL].temperature == 0.5


# -- back to the form


@pytest.mark.parametrize("user", [ADMIN, CREATOR])
async def test_what_was_saved_can_be_changed_again(house: House, user: str) -> None:
    await house.desk().submit(form(user))
    await house.desk().open(again(user))
    shown = house.shown["the form V1"][-1]
    assert filled_in(shown) == BRIEF

    await house.desk().submit(form(user, LONG, about=shown["private_metadata"]))

    assert house.kept[CHANNEL].instructions == "Be long."


@pytest.mark.parametrize(
    ("user", "channel", "sentence"),
    [
        (SOMEBODY, CHANNEL, views.NOT_YOURS),
        (CREATOR, OTHER, views.NOT_YOURS),
        (ADMIN, "D01", views.NONE_CHOSEN),
        (ADMIN, "", views.NONE_CHOSEN),
    ],
)
async def test_forged_press_for_the_form_opens_none(
    house: House, user: str, channel: str, sentence: str
) -> None:
    await house.desk().open(again(user, channel))

    assert house.read("the form V1") == sentence


# -- forms that say what is not so


async def test_form_that_does_not_say_what_was_set_overwrites_nothing(house: House) -> None:
    house.kept[CHANNEL] = ChannelSettings(instructions="Be long.")
    await house.desk().submit(form(CREATOR, about=CHANNEL))

    assert house.kept[CHANNEL].instructions == "Be long."


async def test_form_forged_for_another_channel_changes_nothing(house: House) -> None:
    """They made one channel, and send its form with the id of another."""
    shown = await house.desk().submit(form(CREATOR, about=OTHER))

    assert visible_text(shown) == views.NOT_YOURS
    assert house.kept == {}
    assert house.looked_up == [OTHER]


@pytest.mark.parametrize("about", ["", "D01", "U01", "nowhere", "C01,C02", "*", "c01"])
async def test_form_forged_for_no_channel_changes_nothing(house: House, about: str) -> None:
    shown = await house.desk().submit(form(ADMIN, about=about))

    assert visible_text(shown) == views.NONE_CHOSEN
    assert house.kept == {}


async def test_somebody_who_forges_the_form_changes_nothing(house: House) -> None:
    shown = await house.desk().submit(form(SOMEBODY))

    assert visible_text(shown) == views.NOT_YOURS
    assert house.kept == {}


async def test_whoever_is_no_admin_any_more_changes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.desk().answer(command(ADMIN), "")
    monkeypatch.setitem(PEOPLE, ADMIN, replace(PEOPLE[ADMIN], is_admin=False))
    await house.desk().submit(form(ADMIN))

    assert house.kept == {}


def test_mistakes_are_told_before_anybody_is_looked_up(house: House) -> None:
    with pytest.raises(Unfit) as caught:
        _ = house.desk().submit(form(CREATOR, {**UNTOUCHED, views.TEMPERATURE: "nan"}))

    assert list(caught.value.errors) == [views.block_of(views.TEMPERATURE, SEEN)]
    assert house.looked_up == []


# -- prices


def limit(subject: Subject, unit: Any = "dollars", amount: int = DOLLAR) -> Limit:
    return Limit(subject, amount, unit, "month")


UNPRICED = {**UNTOUCHED, views.MODEL: "unpriced"}


@pytest.mark.parametrize(
    "subject",
    [
        Subject("workspace", "T1"),
        Subject("channel", CHANNEL),
        Subject("channel", EACH),
        Subject("person", SOMEBODY),
        Subject("person", EACH),
    ],
)
async def test_model_without_a_price_is_refused_where_a_budget_in_dollars_holds(
    house: House, subject: Subject
) -> None:
    house.limits = [limit(subject)]

    with pytest.raises(Unfit) as caught:
        await house.desk().submit(form(CREATOR, UNPRICED))

    assert "no known price" in caught.value.errors[views.block_of(views.MODEL, SEEN)]
    assert SOMEBODY not in str(caught.value)
    assert house.kept == {}


@pytest.mark.parametrize(
    "limits",
    [
        [],
        [limit(Subject("channel", OTHER))],
        [limit(Subject("workspace", "T1"), "tokens")],
        [limit(Subject("workspace", "T1"), amount=0)],
        [limit(Subject("channel", EACH)), limit(Subject("channel", CHANNEL), "tokens")],
    ],
)
async def test_model_without_a_price_is_taken_where_none_holds(
    house: House, limits: list[Limit]
) -> None:
    house.limits = limits
    await house.desk().submit(form(CREATOR, UNPRICED))

    assert house.kept[CHANNEL].model == "unpriced"


async def test_somebody_who_may_not_learns_nothing_of_budgets(house: House) -> None:
    house.limits = [limit(Subject("workspace", "T1"))]
    shown = await house.desk().submit(form(SOMEBODY, UNPRICED))

    assert visible_text(shown) == views.NOT_YOURS


# -- the App Home


async def test_admin_opens_the_form_of_any_channel(house: House) -> None:
    await house.desk().open(pick(ADMIN, OTHER))

    assert house.shown["a form"][0]["private_metadata"].split()[0] == OTHER


@pytest.mark.parametrize("channel", ["", "D01", "U01"])
async def test_admin_who_chose_no_channel_is_told(house: House, channel: str) -> None:
    await house.desk().open(pick(ADMIN, channel))

    assert house.read("a form") == views.NONE_CHOSEN


@pytest.mark.parametrize("user", [CREATOR, SOMEBODY, GUEST])
async def test_nobody_else_opens_one_there(house: House, user: str) -> None:
    await house.desk().open(pick(user, CHANNEL))

    assert "a form" not in house.shown
    assert house.read(f"DM of {user}") == views.ADMINS_ONLY


# -- what `/llm` shows


async def test_anybody_is_shown_what_is_set(house: House) -> None:
    house.kept[CHANNEL] = ChannelSettings(model="unpriced")
    blocks = await house.desk(listed=[OTHER]).shown_there(CHANNEL)

    assert "ALLOW_CHANNELS" in str(blocks)
    assert "`unpriced`" in str(await house.desk(listed=[CHANNEL]).shown_there(CHANNEL))
