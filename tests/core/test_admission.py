"""Who is answered, how fast they may ask, and what happens at a limit; in virtual time."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.admission import (
    NO_GUESTS,
    NO_STRANGERS,
    NOT_HERE,
    NOT_YOU,
    SWITCHED_OFF,
    Admission,
    Rules,
    too_fast,
)
from bot.budgets import Limit, Scope, Subject, Use, refusal, warning
from bot.channel_settings import ChannelSettings, Offer
from bot.errands import Errands
from bot.errors import AskerUnknown, BotError, Refused, RefusedPrivately, SlackRefused, Unavailable
from bot.messages import Turn
from bot.people import People, Person
from bot.prices import Prices
from tests.core.fakes import FakeChannels, question, turn_of

MEMBER = Person("UANA")
PRICES = Prices(()).under(
    "date = 2026-11-01\n[models]\nusual = { input = 1.0, output = 2.0 }", "a test"
)
DOLLAR = 10**12
WORKSPACE = Limit(Subject("workspace", "T1"), 100 * DOLLAR, "dollars", "month")
CHANNEL = Limit(Subject("channel", "C1"), 20 * DOLLAR, "dollars", "month")
PERSON = Limit(Subject("person", "UANA"), 1_000, "tokens", "day")


class House:
    """All that an admission asks and tells, in memory."""

    def __init__(self, *people: Person, uses: list[Use] | None = None) -> None:
        self.people = {person.user: person for person in people}
        self.uses_now = uses or []
        self.before: list[datetime] = []  # when the person asked before
        self.whispers: list[tuple[str, str]] = []
        self.whispered_in: str | None = ""  # the thread of the last one; None: the channel
        self.messages: dict[str, list[str]] = defaultdict(list)
        self.told: set[tuple[str, str]] = set()
        self.errors: dict[str, list[BotError]] = defaultdict(list)
        self.errands = Errands()
        self.channel = ChannelSettings()  # of the one in which it is asked

    def admission(self, *, admins: tuple[str, ...] = (), **rules: Any) -> Admission:
        return Admission(
            Rules(**rules),
            people=People(self, admins=admins),
            asked=self,
            budgets=self,
            channels=FakeChannels(C1=self.channel),
            offer=Offer(("usual", "other")),
            prices=PRICES,
            teller=self,
            errands=self.errands,
        )

    async def person(self, user: str) -> Person:
        self._fail("person")
        return self.people[user]

    async def asked_before(self, turn: Turn, *, within: timedelta, most: int) -> list[datetime]:
        self._fail("asked_before")
        assert within == timedelta(minutes=1)
        return [at for at in self.before if at > turn.accepted_at - within][:most]

    async def asked_lately(
        self, team: str, user: str, *, since: datetime, most: int
    ) -> list[datetime]:
        assert (team, user) == ("T1", "UANA")
        return [at for at in self.before if at > since][:most]

    async def uses(self, team: str, channel: str, user: str, *, now: datetime) -> list[Use]:
        self._fail("uses")
        assert (team, user) == ("T1", "UANA")
        return self.uses_now

    async def first_to_tell(self, team: str, use: Use, *, now: datetime) -> bool:
        name = (use.limit.subject.scope, use.limit.every)
        is_first = name not in self.told
        self.told.add(name)
        return is_first

    async def whisper(self, channel: str, thread_ts: str | None, user: str, sentence: str) -> None:
        self._fail("whisper")
        self.whispers.append((user, sentence))
        self.whispered_in = thread_ts

    async def tell(self, user: str, sentence: str) -> None:
        self._fail("tell")
        self.messages[user].append(sentence)

    async def admins(self) -> list[str]:
        self._fail("admins")
        return [person.user for person in self.people.values() if person.is_admin]

    def _fail(self, call: str) -> None:
        if self.errors[call]:
            raise self.errors[call].pop(0)


def turn(**values: Any) -> Turn:
    return turn_of(question(), **values)


def in_dm() -> Turn:
    return turn_of(question(channel="D1"))


# -- who may ask


async def test_member_is_answered() -> None:
    house = House(MEMBER)

    await house.admission().admit(turn())

    assert house.whispers == []


@pytest.mark.parametrize(
    ("person", "sentence"),
    [
        (Person("UANA", is_guest=True), NO_GUESTS),
        (Person("UANA", is_external=True), NO_STRANGERS),
    ],
)
async def test_guest_and_stranger_are_told_privately(person: Person, sentence: str) -> None:
    house = House(person)

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn())

    assert house.whispers == [("UANA", sentence)]


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"users": frozenset({"UBEN"})}, NOT_YOU),
        ({"channels": frozenset({"C2"})}, NOT_HERE),
        ({"users": frozenset({"UBEN"}), "channels": frozenset({"C2"})}, NOT_YOU),
    ],
)
async def test_who_is_on_no_list_is_told_privately_and_not_looked_up(
    rules: dict[str, Any], sentence: str
) -> None:
    house = House()  # Slack knows nobody

    with pytest.raises(RefusedPrivately):
        await house.admission(**rules).admit(turn())

    assert house.whispers == [("UANA", sentence)]


async def test_lists_hold_for_admins_too() -> None:
    house = House(Person("UANA", is_admin=True))

    with pytest.raises(RefusedPrivately):
        await house.admission(users=frozenset({"UBEN"})).admit(turn())


async def test_who_is_on_the_lists_is_answered() -> None:
    people, channels = frozenset({"UANA"}), frozenset({"C1"})

    await House(MEMBER).admission(users=people, channels=channels).admit(turn())


async def test_list_of_channels_says_nothing_of_direct_messages() -> None:
    await House(MEMBER).admission(channels=frozenset({"C2"})).admit(in_dm())


async def test_guest_on_the_list_is_a_guest_all_the_same() -> None:
    house = House(Person("UANA", is_guest=True))

    with pytest.raises(RefusedPrivately):
        await house.admission(users=frozenset({"UANA"})).admit(turn())

    assert house.whispers == [("UANA", NO_GUESTS)]


async def test_switched_off_channel_answers_nobody_not_even_admins() -> None:
    house = House(Person("UANA", is_admin=True))
    house.channel = ChannelSettings(is_allowed=False)

    with pytest.raises(RefusedPrivately):
        await house.admission(admins=("UANA",)).admit(turn())

    assert house.whispers == [("UANA", SWITCHED_OFF)]
    await house.admission().admit(in_dm())


@pytest.mark.parametrize("person", [Person("UANA", is_guest=True), MEMBER])
async def test_who_did_not_mention_the_bot_is_not_told_that_it_does_not_answer(
    person: Person,
) -> None:
    house = House(person)
    house.channel = ChannelSettings(is_allowed=person.is_guest)

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn(is_follow_up=True))

    assert house.whispers == []


async def test_follow_up_beyond_the_budget_is_refused_privately() -> None:
    """The thread has read it, and would again beneath each message."""
    house = House(MEMBER, uses=[Use(CHANNEL, "C1", CHANNEL.amount)])

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn(is_follow_up=True))

    assert len(house.whispers) == 1


async def test_model_that_lost_its_price_evades_no_budget() -> None:
    house = House(MEMBER, uses=[Use(WORKSPACE, "T1", 0)])
    house.channel = ChannelSettings(model="other")

    with pytest.raises(Refused) as caught:
        await house.admission().admit(turn())

    assert "whose price I do not know" in caught.value.sentence
    assert not isinstance(caught.value, RefusedPrivately)


@pytest.mark.parametrize(
    ("model", "uses"),
    [
        ("other", []),
        ("other", [Use(PERSON, "UANA", 0)]),
        ("usual", [Use(WORKSPACE, "T1", 0)]),
        ("gone", [Use(WORKSPACE, "T1", 0)]),  # so the usual one answers
        (None, [Use(WORKSPACE, "T1", 0)]),
    ],
)
async def test_any_model_answers_where_its_price_does_not_matter(
    model: str | None, uses: list[Use]
) -> None:
    house = House(MEMBER, uses=uses)
    house.channel = ChannelSettings(model=model)

    await house.admission().admit(turn())


@pytest.mark.parametrize("thread_ts", [None, "1600000000.000100"])
async def test_private_word_stands_where_slack_shows_it(thread_ts: str | None) -> None:
    """In a thread without replies it would not be seen."""
    house = House(Person("UANA", is_guest=True))
    asked = question(thread_ts=thread_ts) if thread_ts else question()

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn_of(asked))

    assert house.whispered_in == thread_ts


@pytest.mark.parametrize(
    ("person", "rule"),
    [
        (Person("UANA", is_guest=True), "guests"),
        (Person("UANA", is_external=True), "strangers"),
    ],
)
async def test_guest_and_stranger_are_answered_where_they_are_allowed(
    person: Person, rule: str
) -> None:
    house = House(person)

    allowed: dict[str, Any] = {rule: True}
    await house.admission(**allowed).admit(turn())

    assert house.whispers == []


async def test_nobody_is_looked_up_where_everybody_may_ask() -> None:
    house = House()

    await house.admission(guests=True, strangers=True).admit(turn())


async def test_whoever_cannot_be_looked_up_is_not_answered() -> None:
    house = House(MEMBER)
    house.errors["person"] = [AskerUnknown("missing_scope")]

    with pytest.raises(AskerUnknown):
        await house.admission().admit(turn())


async def test_look_up_is_tried_again() -> None:
    house = House(MEMBER)
    house.errors["person"] = [Unavailable("Slack", "HTTP 503")] * 2

    await house.admission().admit(turn())


async def test_refusal_stands_also_where_the_person_cannot_be_told() -> None:
    house = House(Person("UANA", is_guest=True))
    house.errors["whisper"] = [SlackRefused("chat.postEphemeral", "user_not_in_channel")]

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn())


# -- how fast


async def test_person_who_asks_too_fast_is_told_when_to_go_on() -> None:
    house = House(MEMBER)
    now = datetime.now(UTC)
    house.before = [now - timedelta(seconds=seconds) for seconds in (1, 5, 29.5)]

    with pytest.raises(RefusedPrivately):
        await house.admission(per_minute=3).admit(turn(accepted_at=now))

    ((user, sentence),) = house.whispers
    assert user == "UANA"
    assert "I take 3 questions a minute from one person" in sentence
    assert "Please ask it again in 31 seconds." in sentence


async def test_person_who_asks_slowly_enough_is_answered() -> None:
    house = House(MEMBER)
    now = datetime.now(UTC)
    house.before = [now - timedelta(seconds=seconds) for seconds in (1, 5, 60)]

    await house.admission(per_minute=3).admit(turn(accepted_at=now))


async def test_question_that_is_asked_again_was_counted_when_that_was_wished() -> None:
    now = datetime.now(UTC)
    house = House(MEMBER)
    house.before = [now] * 3

    await house.admission(per_minute=3).admit(replace(turn(), asked=2))

    assert house.whispers == []


async def test_there_may_be_no_bound_on_the_pace() -> None:
    house = House(MEMBER)
    house.before = [datetime.now(UTC)] * 500

    await house.admission(per_minute=None).admit(turn())


@pytest.mark.parametrize("seconds", [-100, 0, 0.4, 1])
def test_nobody_is_told_to_wait_for_a_moment(seconds: float) -> None:
    sentence = too_fast(1, wait=timedelta(seconds=seconds))

    assert sentence.startswith("I take one question a minute")
    assert sentence.endswith("Please ask it again now.")


# -- limits


async def test_answers_go_on_below_the_limits() -> None:
    house = House(MEMBER, uses=[Use(WORKSPACE, "T1", 79 * DOLLAR), Use(PERSON, "UANA", 799)])

    await house.admission().admit(turn())
    await house.errands.finished(within=1)

    assert (house.whispers, house.messages) == ([], {})


@pytest.mark.parametrize("limit", [WORKSPACE, CHANNEL])
async def test_limit_that_is_reached_is_named_in_the_thread(limit: Limit) -> None:
    use = Use(limit, limit.subject.who, limit.amount, is_told=True)
    house = House(MEMBER, uses=[use])

    with pytest.raises(Refused) as refused:
        await house.admission().admit(turn())

    assert not isinstance(refused.value, RefusedPrivately)
    assert refused.value.sentence == refusal(use, datetime.now(UTC))
    assert limit.in_words in refused.value.sentence
    assert "resets on" in refused.value.sentence
    assert house.whispers == []


async def test_one_s_own_limit_is_nobody_else_s_business() -> None:
    use = Use(PERSON, "UANA", 1_000)
    house = House(MEMBER, uses=[use])

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(turn())

    assert house.whispers == [("UANA", refusal(use, datetime.now(UTC)))]


async def test_one_s_own_limit_is_named_in_one_s_own_thread() -> None:
    house = House(MEMBER, uses=[Use(PERSON, "UANA", 1_000)])

    with pytest.raises(Refused) as refused:
        await house.admission().admit(in_dm())

    assert not isinstance(refused.value, RefusedPrivately)
    assert house.whispers == []


@pytest.mark.parametrize(
    ("limit", "used"), [(CHANNEL, 16 * DOLLAR), (CHANNEL, 19 * DOLLAR), (PERSON, 800)]
)
async def test_near_the_limit_the_asker_is_told_once(limit: Limit, used: int) -> None:
    use = Use(limit, limit.subject.who, used)
    house = House(MEMBER, uses=[use])
    admission = house.admission()

    await asyncio.gather(*(admission.admit(turn()) for _ in range(5)))
    await house.errands.finished(within=1)

    assert house.whispers == [("UANA", warning(use, datetime.now(UTC)))]
    assert house.messages == {}


@pytest.mark.parametrize("used", [80 * DOLLAR, 130 * DOLLAR])
async def test_near_the_workspace_s_limit_its_admins_are_told_once(used: int) -> None:
    admin = Person("UADA", is_admin=True)
    use = Use(WORKSPACE, "T1", used)
    house = House(MEMBER, admin, uses=[use])
    admission = house.admission()

    for _ in range(3):
        await asyncio.gather(admission.admit(turn()), return_exceptions=True)
        await house.errands.finished(within=1)

    assert house.messages == {"UADA": [warning(use, datetime.now(UTC))]}
    assert house.whispers == []


async def test_named_admins_are_told_and_nobody_else() -> None:
    admin = Person("UADA", is_admin=True)
    house = House(MEMBER, admin, uses=[Use(WORKSPACE, "T1", 80 * DOLLAR)])

    await house.admission(admins=("UCY", "UDI")).admit(turn())
    await house.errands.finished(within=1)

    assert sorted(house.messages) == ["UCY", "UDI"]


async def test_admin_who_cannot_be_told_keeps_nobody_from_hearing() -> None:
    house = House(MEMBER, uses=[Use(WORKSPACE, "T1", 80 * DOLLAR)])
    house.errors["tell"] = [SlackRefused("chat.postMessage", "user_disabled")]

    await house.admission(admins=("UCY", "UDI")).admit(turn())
    await house.errands.finished(within=1)

    assert len(house.messages) == 1


async def test_answer_does_not_wait_for_the_warning() -> None:
    house = House(MEMBER, uses=[Use(CHANNEL, "C1", 16 * DOLLAR)])
    house.errors["whisper"] = [Unavailable("Slack", "HTTP 503")] * 2
    began = asyncio.get_running_loop().time()

    await house.admission().admit(turn())

    assert asyncio.get_running_loop().time() == began
    assert house.whispers == []
    await house.errands.finished(within=60)
    assert len(house.whispers) == 1


async def test_database_that_is_away_is_waited_for() -> None:
    house = House(MEMBER, uses=[Use(CHANNEL, "C1", 20 * DOLLAR)])
    house.errors["uses"] = [Unavailable("the database", "away")] * 20
    house.errors["asked_before"] = [Unavailable("the database", "away")] * 20

    with pytest.raises(Refused):
        await house.admission(per_minute=10).admit(turn())


@pytest.mark.parametrize("scope", ["workspace", "channel", "person"])
async def test_what_was_told_is_not_told_again(scope: Scope) -> None:
    limit = {"workspace": WORKSPACE, "channel": CHANNEL, "person": PERSON}[scope]
    use = Use(limit, limit.subject.who, limit.amount * 9 // 10, is_told=True)
    house = House(MEMBER, Person("UADA", is_admin=True), uses=[use])

    await house.admission().admit(turn())
    await house.errands.finished(within=1)

    assert (house.whispers, house.messages) == ([], {})


# -- asked about what is said elsewhere


@pytest.mark.parametrize(
    ("person", "rules", "expected"),
    [
        (MEMBER, {}, None),
        (Person("UANA", is_guest=True), {}, NO_GUESTS),
        (Person("UANA", is_guest=True), {"guests": True}, None),
        (Person("UANA", is_external=True), {}, NO_STRANGERS),
        (MEMBER, {"channels": frozenset({"C2"})}, NOT_HERE),
        (MEMBER, {"users": frozenset({"UBEN"})}, NOT_YOU),
    ],
)
async def test_who_may_ask_about_a_message(
    person: Person, rules: dict[str, Any], expected: str | None
) -> None:
    house = House(person)

    assert await house.admission(**rules).why_not_there("T1", "UANA", "C1") == expected


async def test_question_that_would_be_refused_is_known_before_it_is_there() -> None:
    fast, poor, fine = House(MEMBER), House(MEMBER, uses=[Use(CHANNEL, "C1", 20 * DOLLAR)]), House()
    fast.before = [datetime.now(UTC) - timedelta(seconds=30)] * 3

    async def why_not(house: House) -> str | None:
        return await house.admission(per_minute=3).why_not_now("T1", "UANA", "C1")

    assert "I take 3 questions a minute from one person" in (await why_not(fast) or "")
    assert "$20" in (await why_not(poor) or "")
    assert await why_not(fine) is None
    assert (fast.whispers, poor.whispers) == ([], [])


@pytest.mark.parametrize(
    ("rules", "uses", "said"),
    [
        ({}, [], None),
        ({"per_minute": 1}, [], None),  # counted when it is asked for
        ({"users": frozenset({"UBEN"})}, [], NOT_YOU),
        ({}, [Use(CHANNEL, "C1", 20 * DOLLAR)], "This channel has used up"),
    ],
)
async def test_answer_that_would_not_be_given_anew_is_known_before_it_changes(
    rules: dict[str, Any], uses: list[Use], said: str | None
) -> None:
    house = House(MEMBER, uses=uses)
    house.before = [datetime.now(UTC)]

    reason = await house.admission(**rules).why_not_anew(turn())

    assert reason is None if said is None else (reason or "").startswith(said)
    assert house.whispers == []


async def test_limit_is_no_word_beneath_an_answer_to_what_was_asked_before() -> None:
    house = House(MEMBER, uses=[Use(CHANNEL, "C1", 20 * DOLLAR)])

    with pytest.raises(RefusedPrivately):
        await house.admission().admit(replace(turn(), asked=2))

    assert len(house.whispers) == 1


@pytest.mark.parametrize(
    ("person", "rules", "is_welcome"),
    [
        (MEMBER, {}, True),
        (MEMBER, {"users": frozenset({"UANA"})}, True),
        (MEMBER, {"users": frozenset({"UBEN"})}, False),
        (Person("UANA", is_guest=True), {"users": frozenset({"UANA"})}, False),
        (Person("UANA", is_external=True), {}, False),
        (Person("UANA", is_external=True), {"strangers": True}, True),
    ],
)
def test_who_is_invited_to_ask(person: Person, rules: dict[str, Any], is_welcome: bool) -> None:
    assert Rules(**rules).welcome("UANA", person) == is_welcome
