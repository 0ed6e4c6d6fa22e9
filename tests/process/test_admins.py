"""What admins and people see and set in Slack, through the real process and the local Slack."""

import asyncio
import csv
import io
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot import money
from bot.playground.slack import payloads
from bot.playground.slack.blocks import visible_text
from bot.playground.slack.elements import elements
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICES = """
date = 2026-11-25
[models]
local-model = { input = 1000.0, output = 1000.0 }
"""  # dollars for a million tokens: an answer costs some cents

ANSWER = "say something [[tokens 60]]"  # and about 175 tokens of input
ADMIN, ANA, BEN = "Chloe", "Ana", "Ben"


@asynccontextmanager
async def bot(folder: Path, **env: str) -> AsyncIterator[Stage]:
    (folder / "prices.toml").write_text(PRICES)
    settings = {"OPENAI_MODEL": "local-model", "PRICES_FILE": "prices.toml", "LOG_LEVEL": "DEBUG"}
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=folder, **(settings | env)) as process,
    ):
        yield Stage(slack, model, process)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One process for all tests here: each works with people and channels of its own."""
    async with bot(tmp_path_factory.mktemp("bot")) as stage:
        yield stage
        assert stage.bot.process.returncode is None, stage.bot.log
        assert stage.bot.events("errand.broke") == []
        assert stage.bot.events("interaction.broke") == []
        assert "say something" not in stage.bot.log


@pytest_asyncio.fixture(loop_scope="module")
async def place(stage: Stage) -> str:
    """A channel of the test's own, with somebody who is no admin in it."""
    return stage.slack.add_channel(f"room-{len(stage.slack.workspace.channels)}")


def somebody(stage: Stage, **values: Any) -> str:
    """A new person's id."""
    return stage.slack.add_person(f"Pat{len(stage.slack.workspace.people)}", **values)


async def answered(stage: Stage, place: str, user: str, text: str = ANSWER) -> str:
    """What is answered, once that is written down as well."""
    ts = await stage.ask(text, channel=place, user=user)
    words = await stage.whole(ts)
    finished = "SELECT 1 FROM turns WHERE ts = ? AND finished_at IS NOT NULL"
    async with asyncio.timeout(10):
        with closing(sqlite3.connect(stage.bot.folder / "bot.db")) as database:
            while not database.execute(finished, (ts,)).fetchone():  # noqa: ASYNC110 - not ours
                await asyncio.sleep(0.01)
    return words


def used_in(stage: Stage, place: str) -> int:
    """The tokens of all answers there: each costs a tenth of a cent."""
    answers = [each for each in stage.bot.events("answer.finished") if each["channel"] == place]
    return sum(int(each["input_tokens"]) + int(each["output_tokens"]) for each in answers)


async def said(stage: Stage, place: str, user: str, text: str) -> str:
    """What the command is answered with, for its person alone."""
    count = len(stage.slack.ephemerals(place, user))
    await (await stage.slack.command(place, user, "/llm", text)).wait()
    await stage.slack.until(lambda: len(stage.slack.ephemerals(place, user)) > count)
    return visible_text(stage.slack.ephemerals(place, user)[-1])


async def judged_bad(stage: Stage, place: str, user: str, reason: str) -> None:
    """Somebody finds the newest answer in a channel bad, and says why."""
    root = list(stage.slack.workspace.channel(place).threads)[-1]
    reply = stage.slack.thread(place, root)[-1]
    thumbs = reply["blocks"][1]["elements"][0]
    value = thumbs["negative_button"]["value"]
    await (await stage.slack.act(place, user, reply["ts"], "rate", value=value)).wait()
    await stage.slack.until(lambda: stage.slack.workspace.modals.get(user))
    typed = {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}
    await (await stage.slack.submit(user, front(stage, user)["id"], typed)).wait()


async def home(stage: Stage, user: str) -> str:
    homes = stage.slack.workspace.homes
    homes.pop(user, None)
    await (await stage.slack.open_home(user)).wait()
    await stage.slack.until(lambda: user in homes)
    return visible_text(homes[user])


async def form(stage: Stage, user: str) -> Mapping[str, Any]:
    """The form of limits, opened by the command."""
    who = stage.slack.person(user).id
    await (await stage.slack.command("general", user, "/llm", "budget")).wait()
    await stage.slack.until(lambda: stage.slack.workspace.modals.get(who))
    return front(stage, user)


def chosen(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"value": value}}


def filled_in(
    amount: str, unit: str, every: str = "month", whom: str = "workspace", **more: Any
) -> dict[str, Any]:
    fields = {
        "budget_whom": chosen(whom),
        "budget_amount": {"type": "plain_text_input", "value": amount},
        "budget_unit": chosen(unit),
        "budget_every": chosen(every),
        **more,
    }
    return {name: {name: field} for name, field in fields.items()}


async def set_limit(stage: Stage, *fields: Any, **more: Any) -> str:
    """As an admin in the form; what it then reads."""
    view = await form(stage, ADMIN)
    if more.get("whom") in ("channel", "person"):
        act = await stage.slack.act_in_view(ADMIN, view["id"], "budget_whom", selected=more["whom"])
        await act.wait()
        await stage.slack.until(lambda: len(front(stage, ADMIN)["blocks"]) > len(view["blocks"]))
    await (await stage.slack.submit(ADMIN, view["id"], filled_in(*fields, **more))).wait()
    await stage.slack.until(lambda: ":white_check_mark:" in visible_text(front(stage, ADMIN)))
    text = visible_text(front(stage, ADMIN))
    await stage.slack.close_view(ADMIN, view["id"])
    return text


async def no_limits(stage: Stage) -> None:
    """Removes all limits, by their buttons."""
    view_id = (await form(stage, ADMIN))["id"]

    def buttons() -> list[str]:
        """The blocks in which there is one."""
        blocks = front(stage, ADMIN)["blocks"]
        return [
            block["block_id"]
            for block in blocks
            if (block.get("accessory") or {}).get("action_id") == "budget_remove"
        ]

    while left := buttons():
        await stage.slack.act_in_view(ADMIN, view_id, "budget_remove", block_id=left[0])
        count = len(left)
        await stage.slack.until(lambda count=count: len(buttons()) < count)  # type: ignore[misc]
    await stage.slack.close_view(ADMIN, view_id)


def front(stage: Stage, user: str) -> Mapping[str, Any]:
    modals = stage.slack.workspace.modals[stage.slack.person(user).id]
    found: Mapping[str, Any] = modals[-1]
    return found


def of(kind: str, user: str) -> dict[str, Any]:
    menu = "users_select" if kind == "user" else "conversations_select"
    return {"type": menu, f"selected_{kind}": user}


# -- reading


async def test_everybody_sees_their_own_and_the_channel_s_use(stage: Stage, place: str) -> None:
    pat, sam = somebody(stage), somebody(stage)
    await answered(stage, place, pat)
    await answered(stage, place, sam)

    text = await said(stage, place, pat, "usage")

    tokens = used_in(stage, place)
    assert re.search(r"\*You\*\n\$0\.\d\d · 1 answer\n\d{3} tokens in, 60 out", text)
    cost = money.in_words(Decimal(tokens) / 1000)
    assert f"*This channel, everybody*\n{cost} · 2 answers" in text
    assert sam not in text
    assert stage.slack.ephemerals(place, sam) == []
    assert "/llm" not in " ".join(stage.slack.screen(place))


async def test_admin_sees_the_workspace_for_the_period_that_they_choose(
    stage: Stage, place: str
) -> None:
    pat = somebody(stage)
    await answered(stage, place, pat)

    text = await said(stage, place, ADMIN, "usage today")
    assert "Usage of this workspace" in text
    assert f"<#{place}>" in text
    assert "local-model" in text
    assert f"{datetime.now(UTC).day} " in text

    (shown,) = stage.slack.ephemerals(place, ADMIN)
    await (
        await stage.slack.act(place, ADMIN, shown["ts"], "usage_period", selected="last month")
    ).wait()
    await stage.slack.until(
        lambda: "Nobody has asked me" in visible_text(stage.slack.ephemerals(place, ADMIN)[0])
    )
    assert len(stage.slack.ephemerals(place, ADMIN)) == 1


async def test_words_that_are_no_period_are_answered_with_what_is(stage: Stage, place: str) -> None:
    text = await said(stage, place, ANA, "usage since-the-flood")

    assert text.startswith("The period is not clear: ")


@pytest.mark.parametrize("words", ["", "help", "makes no sense"])
async def test_command_alone_says_what_there_is(stage: Stage, place: str, words: str) -> None:
    assert "`/llm usage` shows what you use" in await said(stage, place, ANA, words)


async def test_command_is_answered_where_the_bot_is_no_member(stage: Stage) -> None:
    secret = stage.slack.add_channel("secret", kind="private", members=[ANA], bot=False)

    assert "*You*" in await said(stage, secret, ANA, "usage")


async def test_home_shows_a_person_their_own_month(stage: Stage, place: str) -> None:
    pat, sam = somebody(stage), somebody(stage)
    await answered(stage, place, pat)
    await answered(stage, place, sam)

    text = await home(stage, pat)

    assert "Your month" in text
    assert re.search(r"\*You\*\n\$0\.\d\d · 1 answer", text)
    assert sam not in text
    assert place not in text


async def test_home_shows_an_admin_the_workspace(stage: Stage, place: str) -> None:
    await answered(stage, place, somebody(stage))

    text = await home(stage, "U0CHLOE")

    assert "This month in this workspace" in text
    assert f"<#{place}>" in text
    assert "Your month" in text


async def test_admin_reads_what_people_think_and_nobody_else(stage: Stage, place: str) -> None:
    pat, sam = somebody(stage), somebody(stage)
    await answered(stage, place, pat)
    reason = "<!channel> *no* <https://evil.example|click> &lt;"

    await judged_bad(stage, place, sam, reason)

    admin = [await said(stage, place, ADMIN, "usage today"), await home(stage, "U0CHLOE")]
    for text in admin:
        assert "*What people think*" in text
        assert f"<@{sam}>:\n{reason}" in text
    for user in (pat, sam):
        for text in (await said(stage, place, user, "usage today"), await home(stage, user)):
            assert "think" not in text
            assert "evil.example" not in text
    assert not any("evil.example" in text for text in stage.slack.screen(place))
    assert "evil.example" not in stage.bot.log


async def test_sheet_comes_as_a_file_by_direct_message(stage: Stage, place: str) -> None:
    pat = somebody(stage)
    await answered(stage, place, pat)
    await said(stage, place, ADMIN, "usage today")

    shown = stage.slack.ephemerals(place, ADMIN)[-1]
    await (await stage.slack.click(place, ADMIN, shown["ts"], "usage_sheet")).wait()
    upload = await stage.slack.until(
        lambda: [each for each in stage.slack.workspace.uploads.values() if each.is_shared]
    )

    rows = list(csv.DictReader(io.StringIO((upload[-1].content or b"").decode())))
    (row,) = [row for row in rows if row["user"] == pat]
    tokens = int(row["input_tokens"]) + int(row["output_tokens"])
    assert (row["channel"], row["model"]) == (place, "local-model")
    assert Decimal(row["cost"]) == tokens * Decimal("0.001")
    dm = stage.slack.dm(ADMIN)
    assert any("Usage as CSV" in text for text in stage.slack.screen(dm))


# -- hostile payloads


async def test_made_up_press_shows_nobody_what_others_use(stage: Stage, place: str) -> None:
    """A press of the admins' buttons, by somebody who is none, with others' ids in it."""
    pat, sam = somebody(stage), somebody(stage)
    await answered(stage, place, sam)
    uploads = len(stage.slack.workspace.uploads)
    text = await said(stage, place, pat, "usage")
    (shown,) = stage.slack.ephemerals(place, pat)
    channel, person = stage.slack.workspace.channel(place), stage.slack.person(pat)

    async def press(action_id: str, value: str) -> None:
        action = {"type": "button", "action_id": action_id, "value": value, "block_id": "b"}
        url = stage.slack._response_url(stage.slack._responses.key(channel, pat, shown["ts"]))
        payload = payloads.block_actions(
            channel,
            person,
            shown,
            action,
            response_url=url,
            trigger_id=stage.slack.workspace.triggers.issue(pat),
        )
        payload["view"] = {"id": "V1", "private_metadata": "U0CHLOE", "state": {"values": {}}}
        await (await stage.slack.interact(payload)).wait()

    for value in ("U0CHLOE", sam, "today", "workspace:T0LOCAL:month"):
        for action in ("usage_sheet", "usage_period", "budgets", "budget_whom", "budget_remove"):
            await press(action, value)
    dm = stage.slack.dm(pat)
    await stage.slack.until(lambda: len(stage.slack.screen(dm)) >= 8)  # sheets and forms

    assert len(stage.slack.workspace.uploads) == uploads
    assert stage.slack.workspace.modals.get(pat) in (None, [])
    seen = [visible_text(each) for each in stage.slack.ephemerals(place, pat)]
    assert not any(sam in each or "workspace" in each for each in [*seen, text])
    assert {each.partition(" ")[0] for each in stage.slack.screen(dm)} == {"Only"}


async def test_made_up_form_sets_no_limit(stage: Stage, place: str) -> None:
    pat = somebody(stage)
    await form(stage, ADMIN)
    view = {**front(stage, ADMIN), "state": {"values": filled_in("0", "tokens")}}
    view["private_metadata"] = '{"user": "U0CHLOE", "is_admin": true}'
    trigger = stage.slack.workspace.triggers.issue(pat)
    payload = payloads.view_submission(stage.slack.person(pat), view, trigger_id=trigger)

    delivery = await stage.slack.interact({**payload, "is_admin": True})
    await delivery.wait()

    assert "Only admins may set limits." in str(delivery.response)
    assert "$" not in str(delivery.response)
    assert "Something" in await answered(stage, place, pat, "[[say Something]]")
    await stage.slack.close_view(ADMIN, front(stage, ADMIN)["id"])


async def test_person_who_is_no_admin_gets_no_form(stage: Stage, place: str) -> None:
    pat = somebody(stage)

    text = await said(stage, place, pat, "budget")

    assert text.startswith("*The limits that are yours and this channel's*")
    assert stage.slack.workspace.modals.get(pat) in (None, [])


# -- limits


async def test_admin_sets_a_channel_s_limit_which_then_holds(stage: Stage, place: str) -> None:
    await answered(stage, place, ANA)

    text = await set_limit(
        stage, "100", "tokens", whom="channel", budget_channel=of("conversation", place)
    )
    assert f":white_check_mark: <#{place}>: 100 tokens a month." in text
    tokens = used_in(stage, place)
    assert f"{tokens} % :no_entry:  <#{place}>: {tokens} tokens of 100 tokens a month" in text
    assert f"<@U0CHLOE>: <#{place}>, none → 100 tokens a month" in text

    requests = len(stage.model.requests)
    refusal = await answered(stage, place, BEN)
    now = datetime.now(UTC)
    reset = now.replace(day=1, month=now.month % 12 + 1, year=now.year + now.month // 12)
    assert refusal == (
        "This channel has used up its budget of 100 tokens a month, so I cannot answer this. "
        f"It resets on {reset:%Y-%m-%d} at 00:00 UTC. An admin can raise it."
    )
    assert len(stage.model.requests) == requests

    elsewhere = stage.slack.add_channel("elsewhere")
    assert "Something" in await answered(stage, elsewhere, BEN, "[[say Something]]")
    await no_limits(stage)
    assert "Something" in await answered(stage, place, BEN, "[[say Something]]")


async def test_answer_that_a_limit_keeps_from_being_given_anew_stays_as_it_is(
    stage: Stage,
) -> None:
    place = stage.slack.add_channel("anew", members=[BEN, ADMIN])
    ts = await stage.ask("[[say All of it.]] what?", channel=place, user=BEN)
    await stage.whole(ts)
    await set_limit(stage, "1", "tokens", whom="channel", budget_channel=of("conversation", place))
    before, requests = stage.thread(ts), len(stage.model.requests)
    menu = next(
        each for block in before[-1]["blocks"] for each in elements(block) if "options" in each
    )

    for user in (BEN, ADMIN):
        press = await stage.slack.act(
            place, user, before[-1]["ts"], "more", selected=menu["options"][0]["value"]
        )
        await press.wait()
    (ben,) = await stage.slack.until(lambda: stage.slack.ephemerals(place, BEN))
    (chloe,) = await stage.slack.until(lambda: stage.slack.ephemerals(place, ADMIN))

    assert visible_text(ben).startswith("This channel has used up its budget of 1 token")
    assert visible_text(chloe).startswith("Whoever asked would read: “This channel has used up")
    assert (ben["thread_ts"], chloe["thread_ts"]) == (ts, ts)
    assert stage.thread(ts) == before
    assert len(stage.model.requests) == requests
    await no_limits(stage)


async def test_one_s_own_limit_is_told_to_oneself(stage: Stage, place: str) -> None:
    pat = somebody(stage)
    await answered(stage, place, pat)
    await set_limit(stage, "0.20", "dollars", "day", whom="person", budget_person=of("user", pat))

    ts = await stage.ask(ANSWER, channel=place, user=pat)
    (whisper,) = await stage.slack.until(lambda: stage.slack.ephemerals(place, pat))

    assert visible_text(whisper).startswith("You have used up your budget of $0.20 a day, so I")
    assert "It resets at 00:00 UTC, in less than" in visible_text(whisper)
    assert "thread_ts" not in whisper  # in a thread without replies Slack would not show it
    assert stage.thread(ts) == []
    assert stage.status(ts) == ""
    assert re.search(
        r"\d{3} % :no_entry:  <@\w+>: \$0.\d\d of \$0.20 a day", await home(stage, pat)
    )
    await no_limits(stage)


async def test_warning_comes_once_and_to_those_concerned(stage: Stage, place: str) -> None:
    pat = somebody(stage)
    await answered(stage, place, pat)
    used = used_in(stage, place)
    limit = str(int(used / 0.85))
    await set_limit(
        stage, limit, "tokens", whom="channel", budget_channel=of("conversation", place)
    )
    assert stage.slack.ephemerals(place, pat) == []

    await answered(stage, place, pat, "[[tokens 1]]")
    (warning,) = await stage.slack.until(lambda: stage.slack.ephemerals(place, pat))
    await answered(stage, place, pat)

    words = f"This channel has used 85 % of its budget of {limit} tokens a month: {used} tokens."
    assert visible_text(warning).startswith(words)
    assert len(stage.slack.ephemerals(place, pat)) == 1
    await no_limits(stage)


async def test_admins_are_told_of_the_workspace_s_limit(stage: Stage, place: str) -> None:
    dm = stage.slack.dm(ADMIN)
    await answered(stage, place, ANA)
    usage = await home(stage, "U0CHLOE")
    spent = float(usage.partition("*Cost*\n$")[2].split()[0])
    await set_limit(stage, f"{spent / 0.9:.4f}", "dollars")

    await answered(stage, place, ANA, "[[tokens 1]]")
    before = [text for text in stage.slack.screen(dm) if "This workspace has used" in text]
    (told,) = before or await stage.slack.until(
        lambda: [text for text in stage.slack.screen(dm) if "This workspace has used" in text]
    )

    assert "% of its budget of $" in told
    assert stage.slack.ephemerals(place, ANA) == []
    await no_limits(stage)


async def test_form_says_what_is_wrong_with_it(stage: Stage) -> None:
    view = await form(stage, ADMIN)

    await (await stage.slack.submit(ADMIN, view["id"], filled_in("a lot", "dollars"))).wait()
    errors = await stage.slack.until(lambda: stage.slack.workspace.view_errors.get(view["id"]))

    assert errors == {"budget_amount": "Write a number like 5, 0.50, 20,000 or 200k."}
    await stage.slack.close_view(ADMIN, view["id"])


# -- who may ask, and how fast


async def test_guests_and_strangers_are_not_answered(stage: Stage, place: str) -> None:
    guest = somebody(stage, is_guest=True)
    stranger = somebody(stage, team="T0OTHER", is_admin=True)
    requests = len(stage.model.requests)

    asked = {user: await stage.ask(ANSWER, channel=place, user=user) for user in (guest, stranger)}
    for user in asked:
        await stage.slack.until(lambda user=user: stage.slack.ephemerals(place, user))  # type: ignore[misc]

    assert "I do not answer guests here" in visible_text(stage.slack.ephemerals(place, guest)[0])
    told = visible_text(stage.slack.ephemerals(place, stranger)[0])
    assert "I answer only people of the workspace" in told
    assert [stage.thread(ts) for ts in asked.values()] == [[], []]
    assert len(stage.model.requests) == requests
    assert "Usage of this workspace" not in await said(stage, place, stranger, "usage")


async def test_guests_and_strangers_are_answered_where_the_operator_allows_it(
    tmp_path: Path,
) -> None:
    async with bot(tmp_path, ALLOW_GUESTS="yes", ALLOW_EXTERNAL="yes") as stage:
        for user in (somebody(stage, is_guest=True), somebody(stage, team="T0OTHER")):
            ts = await stage.ask("[[say Welcome]]", user=user)
            assert "Welcome" in await stage.whole(ts)
            assert stage.slack.ephemerals(stage.places[ts], user) == []


async def test_person_who_asks_too_fast_is_told_privately_and_others_go_on(
    tmp_path: Path,
) -> None:
    async with bot(tmp_path, QUESTIONS_PER_MINUTE="3") as stage:
        asked = [await stage.ask("[[say Something]]", user=ANA) for _ in range(5)]
        for ts in asked[:3]:
            await stage.whole(ts)
        places = [stage.places[ts] for ts in asked[3:]]
        await stage.slack.until(lambda: all(stage.slack.ephemerals(each, ANA) for each in places))
        ben = await stage.ask("[[say Something]]", user=BEN)

        assert "Something" in await stage.whole(ben)
        assert [stage.thread(ts) for ts in asked[3:]] == [[], []]
        told = visible_text(stage.slack.ephemerals(places[0], ANA)[0])
        assert "I take 3 questions a minute from one person" in told
        assert "Please ask it again in " in told


async def test_person_who_asks_again_too_fast_is_told_and_the_answer_stays(
    tmp_path: Path,
) -> None:
    async with bot(tmp_path, QUESTIONS_PER_MINUTE="3") as stage:
        ts = await stage.ask("[[say Something]]", user=ANA)
        place = stage.places[ts]

        def offered(asked: int) -> str:
            """The menu's value, once that is beneath the answer."""
            found = re.search(rf"regenerate {asked} [\w:.]+", str(stage.thread(ts)))
            return found[0] if found else ""

        async def presses(user: str, asked: int) -> None:
            value = await stage.slack.until(lambda: offered(asked))
            reply = stage.thread(ts)[-1]["ts"]
            await (await stage.slack.act(place, user, reply, "more", selected=value)).wait()

        await presses(ANA, 1)
        await presses(ANA, 2)
        await presses(ANA, 3)
        (told,) = await stage.slack.until(lambda: stage.slack.ephemerals(place, ANA))

        assert "to ask for an answer again counts as well" in visible_text(told)
        assert await stage.whole(ts) == "Something"
        assert len(stage.model.requests) == 3
        await presses(ADMIN, 3)
        await stage.slack.until(lambda: offered(4))
        assert stage.slack.ephemerals(place, ADMIN) == []


async def test_named_admin_is_one(tmp_path: Path) -> None:
    async with bot(tmp_path, ADMIN_USERS="U0BEN") as stage:
        assert "Usage of this workspace" in await said(stage, "general", BEN, "usage")
        assert "Usage of this workspace" in await said(stage, "general", ADMIN, "usage")
        assert "What you use" in await said(stage, "general", ANA, "usage")


async def test_sheet_comes_as_text_without_the_scope(tmp_path: Path) -> None:
    async with bot(tmp_path) as stage:
        stage.slack.scopes.remove("files:write")
        await answered(stage, "C0GENERAL", ANA)
        await home(stage, "U0CHLOE")
        (view,) = [stage.slack.workspace.homes["U0CHLOE"]]
        await (await stage.slack.act_in_view(ADMIN, view["id"], "usage_sheet")).wait()
        dm = stage.slack.workspace.channel(stage.slack.dm(ADMIN))
        (ts,) = await stage.slack.until(lambda: list(dm.threads))

        (text,) = stage.slack.screen(dm.id, ts)
        assert "with the scope `files:write` this would have been one" in text
        assert "U0ANA,Ana,local-model,1,1,0,0,0" in text


async def test_work_under_way_is_finished_at_the_end(tmp_path: Path) -> None:
    async with bot(tmp_path) as stage:
        stage.slack.latency = 0.3
        delivery = await stage.slack.command("general", ANA, "/llm", "usage")
        await delivery.wait()

        assert await stage.bot.stop() == 0

        assert "*You*" in visible_text(stage.slack.ephemerals("general", ANA)[0])


async def test_slow_slack_delays_no_acknowledgement(tmp_path: Path) -> None:
    async with bot(tmp_path) as stage:
        stage.slack.latency = 1.5
        deliveries = [
            await stage.slack.command("general", ADMIN, "/llm", "usage"),
            await stage.slack.open_home(ADMIN),
        ]
        await asyncio.gather(*(delivery.wait() for delivery in deliveries))

        assert all((delivery.ack_seconds or 9) < 1 for delivery in deliveries)
