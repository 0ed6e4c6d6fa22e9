"""Commands, buttons and forms: acknowledged at once, seen to in tasks, failures told privately."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bot.blocks import Json
from bot.desk import NOT_SHOWN, TOO_SLOW, Desk, Form, Routes
from bot.errands import Errands
from bot.errors import BotError, SlackRefused, Unavailable
from bot.interactions import Command, Press, Submission, Unfit, Visit
from bot.views import notice_message

COMMAND = Command("UANA", "C1", "usage 7d", trigger_id="1", response_url="https://slack/1")
PRESS = Press("UANA", "send", "x", trigger_id="1", channel="C1", response_url="https://slack/2")
IN_MODAL = Press("UANA", "send", "x", trigger_id="1", view_id="V1")
FORM = Submission("UANA", "form", "V1", {"amount": "20"})
VISIT = Visit("UANA")


class Screen:
    """What people are shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Any]] = []
        self.error: BotError | None = None

    async def respond(self, url: str, message: Json, *, replaces: bool = False) -> None:
        self._show(url, message)

    async def update_modal(self, view_id: str, view: Json) -> None:
        self._show(view_id, view)

    async def direct(self, user: str, message: Json) -> tuple[str, str]:
        self._show(user, message)
        return "D1", "1.1"

    def _show(self, where: str, what: Json) -> None:
        if self.error:
            raise self.error
        self.shown.append((where, what))


class Clerk:
    """Sees to everything, in so many seconds, or fails with an error."""

    def __init__(self, *, seconds: float = 0.0, error: Exception | None = None) -> None:
        self.done: list[Any] = []
        self._seconds = seconds
        self._error = error

    async def see_to(self, *what: Any) -> None:
        await asyncio.sleep(self._seconds)
        if self._error:
            raise self._error
        self.done.append(what)

    def submit(self, submission: Submission) -> Coroutine[Any, Any, Json]:
        if submission.entered.get("amount") == "much":
            raise Unfit("amount", "Write a number.")
        return self._submit(submission)

    async def _submit(self, submission: Submission) -> Json:
        await self.see_to(submission)
        return {"saved": submission.entered}

    def routes(self) -> Routes:
        return Routes(
            help=self.see_to,
            commands={"usage": self.see_to},
            presses={"send": self.see_to},
            forms={"form": Form(self.submit, lambda sentence: {"says": sentence})},
            visit=self.see_to,
        )


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def errands() -> Errands:
    return Errands()


async def test_command_goes_to_its_clerk_with_the_words_behind_it(
    screen: Screen, errands: Errands
) -> None:
    clerk = Clerk()

    said = await Desk(clerk.routes(), screen, errands).take(COMMAND)
    await errands.finished(within=1)

    assert said is None
    assert clerk.done == [(COMMAND, "7d")]


@pytest.mark.parametrize("text", ["", "   ", "help", "usages", "what can you do?"])
async def test_command_that_nobody_knows_gets_help(
    screen: Screen, errands: Errands, text: str
) -> None:
    clerk = Clerk()
    command = Command("UANA", "C1", text, "1", "https://slack/1")

    await Desk(clerk.routes(), screen, errands).take(command)
    await errands.finished(within=1)

    assert clerk.done == [(command,)]


async def test_slow_work_keeps_no_acknowledgement_waiting(screen: Screen, errands: Errands) -> None:
    clerk = Clerk(seconds=60)
    desk = Desk(clerk.routes(), screen, errands)
    began = asyncio.get_running_loop().time()

    for interaction in (COMMAND, PRESS, VISIT):
        assert await desk.take(interaction) is None

    assert asyncio.get_running_loop().time() == began
    assert await errands.finished(within=61)
    assert len(clerk.done) == 3


async def test_button_and_form_that_nobody_knows_are_let_be(
    screen: Screen, errands: Errands
) -> None:
    desk = Desk(Clerk().routes(), screen, errands)

    assert await desk.take(Press("UANA", "other", "", "1")) is None
    assert await desk.take(Submission("UANA", "other", "V1", {})) is None
    assert screen.shown == []


@pytest.mark.parametrize(
    ("interaction", "where"),
    [(COMMAND, "https://slack/1"), (PRESS, "https://slack/2"), (IN_MODAL, "UANA")],
)
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SlackRefused("views.open", "expired_trigger_id"), TOO_SLOW),
        (SlackRefused("views.open", "invalid_blocks"), NOT_SHOWN),
        (
            Unavailable("the database", "away"),
            Unavailable("the database", "away").sentence,
        ),
        (ZeroDivisionError("sk-secret"), BotError.sentence),
    ],
)
async def test_failure_is_told_to_the_person_alone(
    screen: Screen,
    errands: Errands,
    interaction: Command | Press,
    where: str,
    error: Exception,
    sentence: str,
) -> None:
    await Desk(Clerk(error=error).routes(), screen, errands).take(interaction)
    await errands.finished(within=1)

    assert screen.shown == [(where, notice_message(sentence))]


async def test_failure_that_cannot_be_told_ends_there(screen: Screen, errands: Errands) -> None:
    screen.error = Unavailable("Slack", "HTTP 503")
    desk = Desk(Clerk(error=SlackRefused("x", "y")).routes(), screen, errands)

    await desk.take(COMMAND)
    await desk.take(VISIT)

    assert await errands.finished(within=1)
    assert screen.shown == []


# -- forms


async def test_form_ends_in_what_has_become_of_it(screen: Screen, errands: Errands) -> None:
    said = await Desk(Clerk(seconds=1).routes(), screen, errands).take(FORM)

    assert said == {"response_action": "update", "view": {"saved": {"amount": "20"}}}
    assert screen.shown == []


async def test_form_that_is_wrong_says_where(screen: Screen, errands: Errands) -> None:
    wrong = Submission("UANA", "form", "V1", {"amount": "much"})

    said = await Desk(Clerk().routes(), screen, errands).take(wrong)

    assert said == {"response_action": "errors", "errors": {"amount": "Write a number."}}


async def test_form_that_takes_long_is_acknowledged_and_shown_later(
    screen: Screen, errands: Errands
) -> None:
    began = asyncio.get_running_loop().time()

    said = await Desk(Clerk(seconds=10).routes(), screen, errands).take(FORM)

    assert asyncio.get_running_loop().time() - began < 3
    assert said == {"response_action": "update", "view": {"says": "Just a moment ..."}}
    await errands.finished(within=20)
    assert screen.shown == [("V1", {"saved": {"amount": "20"}})]


async def test_form_found_wrong_when_looked_into_says_where(
    screen: Screen, errands: Errands
) -> None:
    clerk = Clerk(seconds=1, error=Unfit("amount", "Too much.", {"unit": "No such."}))

    said = await Desk(clerk.routes(), screen, errands).take(FORM)

    assert said == {
        "response_action": "errors",
        "errors": {"amount": "Too much.", "unit": "No such."},
    }


async def test_form_found_wrong_after_its_acknowledgement_says_so_in_its_place(
    screen: Screen, errands: Errands
) -> None:
    clerk = Clerk(seconds=10, error=Unfit("amount", "Too much."))

    await Desk(clerk.routes(), screen, errands).take(FORM)
    await errands.finished(within=20)

    assert screen.shown == [("V1", {"says": "Too much."})]


@pytest.mark.parametrize("seconds", [0, 10])
async def test_form_that_fails_says_so(screen: Screen, errands: Errands, seconds: float) -> None:
    clerk = Clerk(seconds=seconds, error=Unavailable("the database", "away"))

    said = await Desk(clerk.routes(), screen, errands).take(FORM)
    await errands.finished(within=20)

    says = {"says": Unavailable("the database", "away").sentence}
    assert says in (said["view"] if said else None, *(view for _, view in screen.shown))


# -- errands


async def test_errands_are_waited_for_and_then_abandoned(errands: Errands) -> None:
    done = []

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    for seconds in (1, 2, 30):
        errands.run(work(seconds))

    assert not await errands.finished(within=5)
    assert done == [1, 2]
    await errands.abandon()
    assert await errands.finished(within=0)
    assert done == [1, 2]
