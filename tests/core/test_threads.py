"""Reading a thread, and the one that its first question is about."""

from typing import Any

import pytest

from bot.errors import AskerUnknown, SlackRefused, Unavailable
from bot.inquiry import ALONE, Place, Subject, private_message, public_message
from bot.threads import Threads
from tests.core.fakes import BOT

ABOUT = Place("C1", "2.0", "1.0")


class Rooms:
    """A Slack with these threads in it; others cannot be read, for a reason."""

    def __init__(self, **threads: list[dict[str, Any]]) -> None:
        self.threads = threads
        self.read: list[tuple[str, str]] = []
        self.error: Exception = SlackRefused("conversations.replies", "not_in_channel")
        self.closed: str | None = None
        self.unknown: Exception | None = None

    async def why_not_there(self, team: str, user: str, channel: str) -> str | None:
        assert (team, user) == (BOT.team, "UANA")
        assert channel in {"C1", "D1"}
        if self.unknown:
            raise self.unknown
        return self.closed

    async def thread(self, channel: str, thread_ts: str) -> list[dict[str, Any]]:
        self.read.append((channel, thread_ts))
        if channel not in self.threads:
            raise self.error
        return self.threads[channel]


def said(ts: str, text: str) -> dict[str, Any]:
    return {"ts": ts, "user": "UBEN", "text": text}


def asked(ts: str, place: Place = ABOUT, **subject: Any) -> dict[str, Any]:
    message = private_message("UANA", "why?", Subject(place, "B?", **subject))
    return {"ts": ts, "user": BOT.user, "bot_id": BOT.bot_id, **message}


async def texts(rooms: Rooms, channel: str = "D1", thread_ts: str = "5.0") -> list[str]:
    thread = await Threads(BOT, rooms, rooms.why_not_there).read(channel, thread_ts)
    return [message["text"] for message in thread]


async def test_thread_that_people_began_is_read_as_it_is() -> None:
    rooms = Rooms(C1=[said("1.0", "A."), said("2.0", "B?")])

    assert await texts(rooms, "C1", "1.0") == ["A.", "B?"]
    assert rooms.read == [("C1", "1.0")]


async def test_thread_that_is_asked_about_comes_first() -> None:
    rooms = Rooms(C1=[said("1.0", "A."), said("2.0", "B?")], D1=[asked("5.0"), said("6.0", "So?")])

    assert await texts(rooms) == ["A.", "B?", "why?", "So?"]
    assert rooms.read == [("D1", "5.0"), ("C1", "1.0")]


async def test_what_was_written_there_since_is_not_read() -> None:
    late = [said("5.0", "At that moment."), said("5.000001", "After."), said("x", "Nonsense.")]
    rooms = Rooms(C1=[said("4.999999", "Before."), *late], D1=[asked("5.0"), said("9.0", "So?")])

    assert await texts(rooms) == ["Before.", "Nonsense.", "why?", "So?"]


async def test_what_was_reworded_there_since_is_not_read() -> None:
    reworded = said("1.0", "Secret, since.") | {"edited": {"user": "UBEN", "ts": "5.000001"}}
    before = said("2.0", "B!") | {"edited": {"user": "UBEN", "ts": "3.0"}}
    rooms = Rooms(C1=[reworded, before], D1=[asked("5.0")])

    assert await texts(rooms) == ["B!", "why?"]


async def test_where_the_person_may_ask_no_more_the_quote_is_all_that_is_known() -> None:
    rooms = Rooms(C1=[said("1.0", "A.")], D1=[asked("5.0")])
    rooms.closed = "I am switched off in this channel."

    assert await texts(rooms) == [f"why?\n\n{ALONE}"]
    assert rooms.read == [("D1", "5.0")]


async def test_where_nobody_knows_who_asks_the_quote_is_all_that_is_known() -> None:
    rooms = Rooms(C1=[said("1.0", "A.")], D1=[asked("5.0")])
    rooms.unknown = AskerUnknown()

    assert await texts(rooms) == [f"why?\n\n{ALONE}"]


async def test_where_it_cannot_be_read_the_quote_is_all_that_is_known() -> None:
    assert await texts(Rooms(D1=[asked("5.0")])) == [f"why?\n\n{ALONE}"]


async def test_where_it_could_not_be_read_from_the_start_it_is_not_tried() -> None:
    rooms = Rooms(C1=[said("1.0", "A.")], D1=[asked("5.0", is_alone=True)])

    assert await texts(rooms) == [f"why?\n\n{ALONE}"]
    assert rooms.read == [("D1", "5.0")]


async def test_slack_that_does_not_answer_is_asked_again_by_whoever_reads() -> None:
    rooms = Rooms(D1=[asked("5.0")])
    rooms.error = Unavailable("Slack", "down")

    with pytest.raises(Unavailable):
        await texts(rooms)


async def test_question_in_the_thread_itself_leads_nowhere_else() -> None:
    note = public_message("UANA", "why?", Subject(ABOUT, "B?"))
    own = {"ts": "1.0", "user": BOT.user, "bot_id": BOT.bot_id, **note}
    rooms = Rooms(C1=[own, said("2.0", "B?")])

    assert await texts(rooms, "C1", "1.0") == ["why?", "B?"]
    assert rooms.read == [("C1", "1.0")]


async def test_message_of_another_app_leads_nowhere() -> None:
    rooms = Rooms(C1=[said("1.0", "Secret.")], D1=[asked("5.0") | {"bot_id": "B0", "user": "U0"}])

    assert "Secret." not in await texts(rooms)
    assert rooms.read == [("D1", "5.0")]


async def test_chain_of_questions_is_followed_one_step_only() -> None:
    """An inquiry about an inquiry: the first one's own thread stays closed."""
    rooms = Rooms(
        C1=[said("1.0", "Deep.")],
        D1=[asked("5.0", Place("D1", "3.0", "3.0"))],
    )
    other = Rooms(C1=rooms.threads["C1"], D1=[asked("3.0")])

    async def thread(channel: str, thread_ts: str) -> list[dict[str, Any]]:
        return (
            other.threads["D1"]
            if thread_ts == "3.0"
            else await Rooms.thread(rooms, channel, thread_ts)
        )

    rooms.thread = thread  # type: ignore[method-assign]

    assert await texts(rooms) == ["why?", "why?"]


async def test_nothing_stands_in_a_thread_that_is_empty() -> None:
    assert await texts(Rooms(D1=[])) == []
