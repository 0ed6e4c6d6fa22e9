"""From a message's menu to a question: what is opened, posted, accepted, and said when it fails."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot import inquiry_views as views
from bot.errors import RateLimited, SlackRefused, Unavailable
from bot.inquiry import Place, Subject, public_message
from bot.inquiry_desk import DIRECT, LOOKED_WITHIN, InquiryDesk
from bot.interactions import Shortcut, Submission, Unfit
from bot.messages import Question
from bot.seal import Seal
from tests.core.fakes import BOT, USAGE, FakeChat, FakeModel, FakeTurns, turn_of, wired

MESSAGE = {"ts": "2.0", "thread_ts": "1.0", "user": "UBEN", "text": "Why not <@UBEN>'s?"}
SHORTCUT = Shortcut("UANA", "ask_about_message", "trigger", "C1", MESSAGE)


class Office:
    """Slack and the queue in one; calls take seconds or meet an error by their name."""

    def __init__(self, **meets: float | Exception) -> None:
        self.meets = meets
        self.opened: list[dict[str, Any]] = []
        self.posted: list[tuple[str, str, dict[str, Any]]] = []
        self.accepted: list[Question] = []
        self.closed: str | None = None  # why nothing of the channel may be asked about
        self.used_up: dict[str, str] = {}  # by channel: why nothing is answered there now

    async def why_not(self, team: str, user: str, channel: str) -> str | None:
        assert (team, user, channel) == (BOT.team, "UANA", "C1")
        return self.closed

    async def why_not_now(self, team: str, user: str, channel: str) -> str | None:
        assert (team, user) == (BOT.team, "UANA")
        return self.used_up.get(channel)

    async def look_at(self, channel: str, ts: str) -> None:
        await self._call("look_at")

    async def permalink(self, channel: str, ts: str) -> str:
        await self._call("permalink")
        return f"https://local/{channel}/{ts}"

    async def post(self, channel: str, thread_ts: str, message: dict[str, Any]) -> str:
        await self._call("post")
        self.posted.append((channel, thread_ts, message))
        return "9.0"

    def known_name(self, user: str) -> str | None:
        return {"UBEN": "Ben"}.get(user)

    async def open_modal(self, trigger_id: str, view: dict[str, Any]) -> str:
        await self._call("open_modal")
        self.opened.append(view)
        return "V1"

    async def direct(self, user: str, message: dict[str, Any]) -> tuple[str, str]:
        await self._call("direct")
        self.posted.append((user, "", message))
        return "D1", "9.0"

    async def accept(self, question: Question) -> bool:
        await self._call("accept")
        self.accepted.append(question)
        return True

    async def _call(self, name: str) -> None:
        met = self.meets.get(name, 0.0)
        if isinstance(met, Exception):
            raise met
        await asyncio.sleep(met)


def desk(office: Office) -> InquiryDesk:
    return InquiryDesk(
        BOT,
        chat=office,
        surfaces=office,
        seal=Seal("secret"),
        accept=office.accept,
        why_not=office.why_not,
        why_not_now=office.why_not_now,
    )


async def opened(office: Office) -> dict[str, Any]:
    await desk(office).open(SHORTCUT)
    return office.opened[-1]


async def sent(office: Office, *, user: str = "UANA", **entered: str) -> str | None:
    """What the person reads after the form; None: it is closed."""
    about = (await opened(office))["private_metadata"]
    form = Submission(user, "ask_about_message", "V1", entered, about)
    view = await desk(office).submit(form)
    return str(view["blocks"][0]["text"]["text"]) if view else None


def is_alone(view: dict[str, Any]) -> bool:
    return all(block.get("block_id") != "where" for block in view["blocks"])


async def test_question_in_the_thread_is_posted_there_and_accepted_for_the_asker() -> None:
    office = Office()

    assert await sent(office, question="Is <b>?", where="thread") is None

    ((channel, thread_ts, message),) = office.posted
    assert (channel, thread_ts) == ("C1", "1.0")
    assert "<https://local/C1/2.0|" in message["blocks"][0]["elements"][0]["text"]
    assert office.accepted == [
        Question(BOT.team, "C1", "9.0", "1.0", "UANA", "Is &lt;b&gt;?", is_posted=True)
    ]


async def test_what_is_said_where_the_bot_is_switched_off_cannot_be_asked_about() -> None:
    office = Office()
    office.closed = "I am switched off in this channel."

    view = await opened(office)

    assert [block["text"]["text"] for block in view["blocks"]] == [office.closed]
    assert "submit" not in view


async def test_form_that_was_open_when_the_bot_was_switched_off_asks_nothing() -> None:
    office = Office()
    about = (await opened(office))["private_metadata"]
    office.closed = "I am switched off in this channel."

    form = Submission("UANA", "ask_about_message", "V1", {"question": "Is it?"}, about)
    view = await desk(office).submit(form)

    assert view
    assert view["blocks"][0]["text"]["text"] == office.closed
    assert (office.posted, office.accepted) == ([], [])


@pytest.mark.parametrize(("where", "channel"), [("thread", "C1"), ("direct", DIRECT)])
async def test_beyond_a_limit_nothing_is_posted_in_the_person_s_place(
    where: str, channel: str
) -> None:
    office = Office()
    office.used_up[channel] = "No more this month."

    said = await sent(office, question="Is it?", where=where)

    assert said == "No more this month."
    assert (office.posted, office.accepted) == ([], [])


async def test_limit_of_the_channel_keeps_nobody_from_asking_privately() -> None:
    office = Office()
    office.used_up["C1"] = "No more this month."

    await sent(office, question="Is it?", where="direct")

    assert len(office.accepted) == 1


async def test_private_question_begins_a_thread_of_the_direct_messages() -> None:
    office = Office()

    said = await sent(office, question="Is it?")

    assert said == "<https://local/D1/9.0|I answer in our direct messages>."
    assert office.posted[0][0] == "UANA"
    assert office.posted[0][2]["blocks"][2]["text"]["text"] == "&gt; Why not @Ben's?"
    (question,) = office.accepted
    assert (question.channel, question.ts, question.thread_ts) == ("D1", "9.0", "9.0")


async def test_slow_slack_is_not_waited_for_with_the_form() -> None:
    office = Office(look_at=60.0, permalink=60.0)
    began = asyncio.get_running_loop().time()

    view = await opened(office)

    assert asyncio.get_running_loop().time() - began == pytest.approx(LOOKED_WITHIN)
    assert not is_alone(view)


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found", "missing_scope"])
async def test_what_cannot_be_read_is_asked_about_alone(code: str) -> None:
    office = Office(look_at=SlackRefused("conversations.replies", code))

    assert is_alone(await opened(office))


async def test_slack_that_fails_leaves_the_form_as_it_is() -> None:
    office = Office(look_at=Unavailable("Slack", "down"), permalink=Unavailable("Slack", "down"))

    assert not is_alone(await opened(office))
    said = await sent(office, question="x")
    assert said == "I answer in our direct messages"


@pytest.mark.parametrize(
    ("meets", "sentence"),
    [
        ({"post": SlackRefused("chat.postMessage", "is_archived")}, views.NOT_POSTED),
        ({"post": Unavailable("Slack", "timeout")}, views.MAY_BE_POSTED),
        ({"accept": Unavailable("the database", "away")}, views.MAY_BE_LATE),
    ],
)
async def test_what_came_to_nothing_is_said(meets: dict[str, Any], sentence: str) -> None:
    office = Office(**meets)

    assert await sent(office, question="x", where="thread") == sentence
    assert office.accepted == []


@pytest.mark.parametrize(
    ("meets", "sentence"),
    [
        (SlackRefused("chat.getPermalink", "message_not_found"), views.GONE),
        (LOOKED_WITHIN + 60, None),
        (Unavailable("Slack", "down"), None),
    ],
)
async def test_message_is_looked_at_again_before_its_thread_is_written_in(
    meets: Any, sentence: str | None
) -> None:
    office = Office()
    about = (await opened(office))["private_metadata"]
    office.meets["permalink"] = meets

    entered = {"question": "Is it?", "where": "thread"}
    view = await desk(office).submit(Submission("UANA", "ask_about_message", "V1", entered, about))

    assert (view and view["blocks"][0]["text"]["text"]) == sentence
    assert bool(office.posted) is (sentence is None)


async def test_message_that_is_gone_can_still_be_asked_about_privately() -> None:
    office = Office()
    about = (await opened(office))["private_metadata"]
    office.meets["permalink"] = SlackRefused("chat.getPermalink", "message_not_found")

    form = Submission("UANA", "ask_about_message", "V1", {"question": "Is it?"}, about)
    await desk(office).submit(form)

    assert [user for user, _, _ in office.posted] == ["UANA"]


async def test_form_that_is_sent_twice_asks_once() -> None:
    office = Office(post=1.0)
    about = (await opened(office))["private_metadata"]
    once = desk(office)

    entered = {"question": "Is it?", "where": "thread"}
    form = Submission("UANA", "ask_about_message", "V1", entered, about)
    await asyncio.gather(once.submit(form), once.submit(form))
    await once.submit(replace(form, view_id="V2"))

    assert len(office.posted) == len(office.accepted) == 2


async def test_post_that_was_refused_for_now_is_the_desk_s_to_tell() -> None:
    with pytest.raises(RateLimited):
        await sent(Office(post=RateLimited("Slack", 1.0)), question="x", where="thread")


async def test_form_of_somebody_else_is_not_taken() -> None:
    office = Office()

    with pytest.raises(Unfit) as unfit:
        await sent(office, user="UBEN", question="x")

    assert unfit.value.errors == {"question": views.NOT_OURS}
    assert office.posted == []


async def test_message_without_a_place_opens_nothing() -> None:
    office = Office()

    await desk(office).open(Shortcut("UANA", "ask_about_message", "trigger", "C1", {}))

    assert office.opened == []


def noted(words: str) -> dict[str, Any]:
    """The bot's message in which Ana asks, as it stands in a thread."""
    message = public_message("UANA", words, Subject(Place("C1", "1.0", "1.0"), "Why not B?"))
    return {"ts": "1700000000.000100", "user": BOT.user, "bot_id": BOT.bot_id, **message}


async def answered(chat: FakeChat, model: FakeModel, turns: FakeTurns) -> None:
    asked = Question("T1", "C1", "1700000000.000100", "1.0", "UANA", "as sent", is_posted=True)
    await wired(chat, model, turns).answer(turn_of(asked), asked)


async def test_words_are_read_where_they_stand() -> None:
    chat = FakeChat(thread=[{"ts": "1.0", "user": "UBEN", "text": "Why not B?"}, noted("Is it?")])
    model, turns = FakeModel(["It is.", USAGE]), FakeTurns()

    await answered(chat, model, turns)

    assert [message.content for message in model.asked[0][1:]] == [
        "Ben: Why not B?",
        "Ana: Is it?\n\n> Why not B?",
    ]
    assert chat.screen == ["It is."]
    assert [record.user for record in turns.records] == ["UANA"]


async def test_question_whose_message_is_gone_is_not_answered() -> None:
    chat, model, turns = FakeChat(thread=[]), FakeModel(["Never."]), FakeTurns()

    await answered(chat, model, turns)

    assert (chat.screen, model.asked) == ([], [])
    assert list(turns.finished.values()) == ["stopped"]


async def test_message_without_words_is_told_so() -> None:
    blank = noted("x")
    blank["blocks"][1]["text"]["text"] = " "
    chat, model = FakeChat(thread=[blank]), FakeModel(["Never."])

    await answered(chat, model, FakeTurns())

    assert model.asked == []
    assert len(chat.screen) == 1
