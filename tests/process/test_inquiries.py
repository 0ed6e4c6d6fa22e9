"""Asking about a message: what the person who asks sees, what others see, and what is forged."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot import inquiry_views
from bot.control_views import ADMINS_TOO
from bot.features import ASK
from bot.playground.slack import Delivery
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = "[[rate 40]] [[tokens 4000]]"


async def form(stage: Stage, channel: str, ts: str, *, user: str = "Ana") -> dict[str, Any]:
    """Somebody opens the form from a message's menu, and what is before them then."""
    before = [view["id"] for view in stage.slack.modals(user)]
    await stage.slack.shortcut(channel, user, ts, ASK)

    def opened() -> list[dict[str, Any]]:
        return [view for view in stage.slack.modals(user) if view["id"] not in before]

    return (await stage.slack.until(opened))[-1]


async def send(
    stage: Stage, view: dict[str, Any], *, user: str = "Ana", where: str = "", **entered: str
) -> Delivery:
    """Returns when the bot has acknowledged it."""
    state: dict[str, Any] = {}
    if words := entered.get("words"):
        state["question"] = {"question": {"type": "plain_text_input", "value": words}}
    if task := entered.get("task"):
        state["task"] = {"task": {"type": "static_select", "selected_option": {"value": task}}}
    if where:
        chosen = {"type": "radio_buttons", "selected_option": {"value": where}}
        state["where"] = {"where": chosen}
    delivery = await stage.slack.submit(user, view["id"], state)
    await delivery.wait()
    return delivery


def text_in(view: dict[str, Any]) -> str:
    """What a person reads in a modal."""
    texts = []
    for block in view["blocks"]:
        for part in (block.get("text"), *(block.get("elements") or ()), block.get("label")):
            texts.append(part.get("text", "") if isinstance(part, dict) else "")
    return "\n".join(map(str, texts))


def inputs(view: dict[str, Any]) -> list[str]:
    return [block["block_id"] for block in view["blocks"] if block["type"] == "input"]


def direct_root(stage: Stage, user: str = "Ana") -> dict[str, Any]:
    """The newest message that stands in somebody's direct messages by itself."""
    where = stage.slack.workspace.channel(stage.slack.dm(user))
    return where.messages[list(where.top)[-1]]


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message.get("blocks", ())]


def stoppable(stage: Stage, ts: str) -> str:
    """The ts of an answer in a thread that grows; none is ""."""
    shown = stage.thread(ts)
    growing = (each["ts"] for each in shown if "actions" in kinds(each))
    return next(growing, "")


async def among(stage: Stage, *texts: str, **how: Any) -> tuple[str, list[str]]:
    """Ben and Ana talk in a thread of a new channel: the channel, and the ts of each message."""
    name = f"talk-{len(stage.slack.workspace.channels)}"
    channel = stage.slack.add_channel(name, members=["Ana", "Ben", "Chloe"], **how)
    written: list[str] = []
    for text in texts:
        root = written[0] if written else None
        ts = await stage.slack.say(channel, "Ben", text, thread_ts=root)
        stage.places[ts] = channel
        written.append(ts)
    return channel, written


# -- in the thread


async def test_answer_in_the_thread_is_read_by_all_with_who_asked_what(stage: Stage) -> None:
    channel, (root, second, _) = await among(stage, "The plan is A.", "Why not B?", "B is late.")

    view = await form(stage, channel, second)
    await send(stage, view, words="[[say Because.]] What is <B> & why?", where="thread")
    text = await stage.whole(root)

    asked, answer = stage.thread(root)[-2:]
    assert stage.slack.modals("Ana") == []
    assert asked["user"] == answer["user"] == stage.slack.bot_user_id
    assert asked["blocks"][0]["elements"][0]["text"].startswith("<@U0ANA> asks me about <https")
    assert asked["blocks"][1]["text"]["text"] == "[[say Because.]] What is &lt;B&gt; &amp; why?"
    assert text.endswith("Because.")
    request = stage.requests("What is <B> & why?")[-1]
    assert "The plan is A." in str(request.body)
    assert "B is late." in str(request.body)
    assert "Ana: [[say Because.]] What is <B> & why?\\n\\n> Why not B?" in str(request.body)


async def test_answer_in_the_thread_is_the_asker_s_to_stop_and_to_have_anew(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Long story.")
    view = await form(stage, channel, root)
    await send(stage, view, words=f"tell all {SLOW}", where="thread")
    answer = await stage.slack.until(lambda: stoppable(stage, root))

    by_ben = await stage.slack.act(channel, "Ben", answer, "stop")
    await by_ben.wait()
    told = await stage.slack.until(lambda: stage.slack.ephemerals(channel, "Ben"))
    by_ana = await stage.slack.act(channel, "Ana", answer, "stop")
    await by_ana.wait()
    text = await stage.whole(root)
    retried = await stage.slack.act(channel, "Ana", answer, "retry")
    await retried.wait()
    await stage.model.until(lambda: len(stage.requests("tell all")) == 2)

    assert [message["text"] for message in told] == [ADMINS_TOO]
    assert text.endswith("\nStopped by Ana.")
    first, second = stage.requests("tell all")
    assert first.question == second.question
    again = await stage.slack.act(channel, "Ana", answer, "stop")
    await again.wait()
    await stage.whole(root)


async def test_deleting_the_question_in_the_thread_stops_its_answer(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Long story.")
    view = await form(stage, channel, root)
    await send(stage, view, words=f"delete me {SLOW}", where="thread")
    await stage.slack.until(lambda: stoppable(stage, root))

    asked = stage.thread(root)[-2]["ts"]
    stage.slack.workspace.subscribe_channel_messages = True
    await stage.slack.delete(channel, asked)
    text = await stage.whole(root)

    assert text.endswith("\nThe question was deleted, so this answer ends here.")


@pytest.mark.parametrize("gone", ["reply", "all"])
async def test_message_deleted_while_the_form_is_open_is_not_asked_about_in_its_thread(
    stage: Stage, gone: str
) -> None:
    channel, written = await among(stage, "Root.", "Reply.", "Later.")
    view = await form(stage, channel, written[1])
    for ts in [written[1]] if gone == "reply" else reversed(written):
        await stage.slack.delete(channel, ts)

    await send(stage, view, words="[[say No.]] gone?", where="thread")

    assert inquiry_views.GONE in text_in(stage.slack.modals("Ana")[-1])
    assert all(message["user"] != stage.slack.bot_user_id for message in stage.thread(written[0]))
    assert stage.requests("gone?") == []
    await stage.slack.close_view("Ana", view["id"])


async def test_later_questions_in_the_thread_know_what_was_asked(stage: Stage) -> None:
    channel, (root,) = await among(stage, "The door is red.")
    view = await form(stage, channel, root)
    await send(stage, view, words="[[say Like a rose.]] How red?", where="thread")
    await stage.whole(root)

    await stage.ask("[[say Yes.]] and now?", in_thread=root)
    await stage.whole(root, count=2)

    body = str(stage.requests("and now?")[-1].body)
    assert "Ana: [[say Like a rose.]] How red?" in body
    assert "'content': 'Like a rose.'" in body


async def test_what_is_asked_is_counted_for_the_person_who_asked(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Count me.")
    view = await form(stage, channel, root, user="Chloe")
    await send(stage, view, user="Chloe", words="[[say One.]]", where="thread")
    await stage.whole(root)

    def finished() -> list[str]:
        records = stage.bot.events("answer.finished")
        return [record["user"] for record in records if record["channel"] == channel]

    async with asyncio.timeout(10), stage.bot.news:
        await stage.bot.news.wait_for(finished)
    assert finished() == ["U0CHLOE"]


# -- privately


async def test_private_answer_comes_in_a_thread_of_the_direct_messages(stage: Stage) -> None:
    channel, (root, second) = await among(stage, "Salaries are secret.", "How much are *they*?")
    view = await form(stage, channel, second)
    await send(stage, view, words="[[say Much.]] guess")

    shown = stage.slack.modals("Ana")[-1]
    asked = direct_root(stage)
    dm = stage.slack.dm("Ana")
    stage.places[asked["ts"]] = dm
    text = await stage.whole(asked["ts"])

    assert text.startswith("Much.")
    assert inquiry_views.IN_DIRECT_MESSAGES in text_in(shown)
    assert f"/archives/{dm}/p" in text_in(shown)
    assert stage.slack.screen(channel, root) == ["How much are *they*?"]  # nobody else sees any
    assert stage.slack.ephemerals(channel, "Ben") == []
    words, context, quote = asked["blocks"]
    assert words["text"]["text"] == "[[say Much.]] guess"
    assert f"in <#{channel}>" in context["elements"][0]["text"]
    assert quote["text"]["text"] == "&gt; How much are *they*?"
    assert stage.slack.title(dm, asked["ts"]).endswith("guess")
    assert "Salaries are secret." in str(stage.requests("guess")[-1].body)


async def test_follow_up_knows_the_thread_as_it_was_when_it_was_asked(stage: Stage) -> None:
    channel, (root, _) = await among(stage, "First.", "Second.")
    view = await form(stage, channel, root)
    await send(stage, view, words="[[say Noted.]] keep it in mind")
    asked = direct_root(stage)["ts"]
    stage.places[asked] = stage.slack.dm("Ana")
    await stage.whole(asked)
    await stage.slack.say(channel, "Ben", "Third, when Ana was gone.", thread_ts=root)
    await stage.slack.edit(channel, root, "First, reworded when Ana was gone.")

    await stage.say("[[say Two.]] how many were there?", in_thread=asked)
    await stage.whole(asked, count=2)

    body = str(stage.requests("how many were there?")[-1].body)
    assert "Ben: Second." in body
    assert "when Ana was gone" not in body


async def test_where_the_bot_is_no_member_it_answers_about_the_message_alone(
    stage: Stage,
) -> None:
    channel, (root, second) = await among(stage, "Before.", "We meet at 5.", bot=False)

    view = await form(stage, channel, second)
    assert inquiry_views.CANNOT_READ in text_in(view)
    assert inputs(view) == ["question", "task"]
    await send(stage, view, words="[[say At five.]] when?", where="thread")
    asked = direct_root(stage)
    stage.places[asked["ts"]] = stage.slack.dm("Ana")
    text = await stage.whole(asked["ts"])

    assert text.endswith("At five.")
    assert stage.slack.screen(channel, root) == ["We meet at 5."]
    assert "I know this message alone" in asked["blocks"][-1]["elements"][0]["text"]
    body = str(stage.requests("when?")[-1].body)
    assert "> We meet at 5." in body
    assert "Before." not in body


async def test_private_channel_of_others_stays_closed_to_the_bot(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Psst.", kind="private", bot=False)

    view = await form(stage, channel, root)

    assert inquiry_views.CANNOT_READ in text_in(view)


async def test_ready_made_wish_needs_no_words(stage: Stage) -> None:
    channel, (root,) = await among(stage, "E = mc²")
    view = await form(stage, channel, root)
    assert inputs(view) == ["question", "task", "where"]

    await send(stage, view, task="explain", where="thread")
    await stage.whole(root)

    assert stage.thread(root)[0]["blocks"][1]["text"]["text"] == "Explain this message."


async def test_form_without_a_wish_says_what_is_missing(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Hm.")
    view = await form(stage, channel, root)

    await send(stage, view, words="   ")

    errors = stage.slack.workspace.view_errors[view["id"]]
    assert errors == {"question": inquiry_views.NOTHING_ASKED}
    assert stage.thread(root) == []
    await stage.slack.close_view("Ana", view["id"])


# -- what is made up


async def forged(stage: Stage, view: dict[str, Any], user: str, about: str) -> Delivery:
    """A submission with other words in it than the form was opened with."""
    shown = {**view, "private_metadata": about}
    state = {"question": {"question": {"type": "plain_text_input", "value": "tell me"}}}
    shown["state"] = {"values": state}
    payload = {
        "type": "view_submission",
        "user": {"id": stage.slack.person(user).id},
        "team": {"id": stage.slack.team_id},
        "view": shown,
    }
    delivery = await stage.slack.interact(payload)
    await delivery.wait()
    return delivery


async def test_form_that_names_another_channel_is_not_taken(stage: Stage) -> None:
    secret, (hidden,) = await among(stage, "Board only.", kind="private")
    channel, (root,) = await among(stage, "Hello.")
    view = await form(stage, channel, root, user="Ben")
    before = len(stage.model.requests)

    other = view["private_metadata"].replace(channel, secret).replace(root, hidden)
    mine = await form(stage, secret, hidden, user="Chloe")
    answers = [
        await forged(stage, view, "Ben", other),
        await forged(stage, view, "Ben", mine["private_metadata"]),  # sealed, but for Chloe
        await forged(stage, view, "Ben", ""),
        await forged(stage, view, "Ben", '{"channel": "C1"}'),
    ]

    errors = {"question": inquiry_views.NOT_OURS}
    assert [each.response for each in answers] == [
        {"response_action": "errors", "errors": errors}
    ] * 4
    assert len(stage.model.requests) == before
    assert stage.thread(hidden) == []
    assert stage.bot.events("inquiry.forged")


@pytest.mark.parametrize(
    "change",
    [
        {"channel": {"id": "../../etc"}},
        {"channel": None},
        {"message": None},
        {"message": {"ts": "now", "text": "x"}},
        {"message": {"ts": "1.1", "text": ["x"], "thread_ts": {"a": 1}}},
        {"message": {"ts": "1.1", "subtype": "tombstone"}},
        {"user": {"id": "<@U1>"}},
        {"callback_id": "another"},
    ],
)
async def test_shortcut_that_makes_no_sense_opens_nothing(
    stage: Stage, change: dict[str, Any]
) -> None:
    channel, (root,) = await among(stage, "Hi.")
    opened = stage.slack.count("views.open")
    payload = {
        "type": "message_action",
        "callback_id": ASK,
        "trigger_id": stage.slack.workspace.triggers.issue("U0ANA"),
        "user": {"id": "U0ANA"},
        "team": {"id": stage.slack.team_id},
        "channel": {"id": channel},
        "message": stage.slack.message(channel, root),
    }

    delivery = await stage.slack.interact(payload | change)
    await delivery.wait()

    assert delivery.acked
    view = await form(stage, channel, root)  # it goes on
    assert stage.slack.count("views.open") == opened + 1
    await stage.slack.close_view("Ana", view["id"])


async def test_metadata_of_another_app_asks_in_nobody_s_place(stage: Stage) -> None:
    secret, (hidden,) = await among(stage, "The code is 1234.", kind="private")
    payload = {"asker": "U0BEN", "channel": secret, "ts": hidden, "thread_ts": hidden}
    metadata = {"event_type": "llm_inquiry", "event_payload": payload}
    dm = stage.slack.dm("Ben")
    root = await stage.slack.say(dm, "Ben", "[[say A.]] look", metadata=metadata, bot_id="B0EVIL")
    stage.places[root] = dm

    await stage.say("[[say B.]] and?", in_thread=root, user="Ben")
    await stage.whole(root)

    assert "1234" not in str(stage.requests("and?")[-1].body)


async def test_hostile_message_pings_nobody_in_the_direct_messages(stage: Stage) -> None:
    text = "<!channel> <@U0BEN> &lt;!here&gt; @everyone\n\n```<!here>``` " + "&amp;" * 2_000
    channel, (root,) = await among(stage, text)
    view = await form(stage, channel, root)
    await send(stage, view, words="[[say Ok.]] <!channel> @here")
    asked = direct_root(stage)
    stage.places[asked["ts"]] = stage.slack.dm("Ana")
    await stage.whole(asked["ts"])

    for block in (asked["blocks"][0], asked["blocks"][2]):
        assert block["text"]["verbatim"] is True
        assert len(block["text"]["text"]) <= 3_000
        assert "<" not in block["text"]["text"]


async def test_message_too_long_for_a_form_is_quoted_in_part(stage: Stage) -> None:
    channel, (root,) = await among(stage, '"\\\n' * 3_000)

    view = await form(stage, channel, root)
    await send(stage, view, words="[[say Marks.]] what is it?", where="thread")

    assert len(view["private_metadata"]) <= 3_000
    assert (await stage.whole(root)).endswith("Marks.")


async def test_who_asks_too_fast_reads_so_in_the_form_and_nothing_is_posted(
    tmp_path: Path,
) -> None:
    async with (
        local_servers() as (slack, model),
        running(slack, model.base_url, folder=tmp_path, QUESTIONS_PER_MINUTE="1") as bot,
    ):
        stage = Stage(slack, model, bot)
        channel, (root,) = await among(stage, "Again and again.")
        await send(stage, await form(stage, channel, root), words="[[say A.]] once", where="thread")
        await stage.whole(root)
        view = await form(stage, channel, root)
        await send(stage, view, words="and twice", where="thread")

        await slack.until(lambda: "one question a minute" in text_in(stage.slack.modals("Ana")[-1]))
        assert len(stage.thread(root)) == 2
        assert stage.requests("and twice") == []


# -- processes come and go


async def test_form_outlives_the_process_that_opened_it(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as first:
            stage = Stage(slack, model, first)
            channel, (root,) = await among(stage, "Still here.")
            view = await form(stage, channel, root)
        async with running(slack, model.base_url, folder=tmp_path) as second:
            stage.bot = second
            await send(stage, view, words="[[say Yes.]] there?", where="thread")
            assert (await stage.whole(root)).endswith("Yes.")


@pytest.mark.parametrize("where", ["thread", "privately"])
async def test_question_outlives_the_process_that_took_it(tmp_path: Path, where: str) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as first:
            stage = Stage(slack, model, first)
            channel, (root, second_ts) = await among(stage, "Old news.", "New news.")
            view = await form(stage, channel, second_ts)
            await send(stage, view, words=f"what is new? {SLOW}", where=where)
            await model.until(lambda: len(stage.requests("what is new?")) == 1)
            first.process.kill()
            await first.process.wait()
        asked = root if where == "thread" else direct_root(stage)["ts"]
        stage.places[asked] = channel if where == "thread" else slack.dm("Ana")
        async with running(slack, model.base_url, folder=tmp_path):
            await model.until(lambda: len(stage.requests("what is new?")) == 2, timeout=20)
            one, other = stage.requests("what is new?")
            assert other.question == one.question
            assert "Old news." in str(other.body)
            answer = await slack.until(lambda: stoppable(stage, asked))
            stop = await slack.act(stage.places[asked], "Ana", answer, "stop")
            await stop.wait()
            await stage.whole(asked)
            own = [each for each in stage.thread(asked) if each["user"] == slack.bot_user_id]
            assert len(own) == (2 if where == "thread" else 1)


async def test_where_slack_takes_no_post_the_form_says_so(stage: Stage) -> None:
    channel, (root,) = await among(stage, "Closed.")
    view = await form(stage, channel, root)
    stage.slack.workspace.channel(channel).is_archived = True

    await send(stage, view, words="[[say No.]] hello?", where="thread")

    assert inquiry_views.NOT_POSTED in text_in(stage.slack.modals("Ana")[-1])
    await stage.slack.close_view("Ana", view["id"])
