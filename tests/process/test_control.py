"""The person in control, as they see it: stop, correct, retry, continue, regenerate, judge."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot import control_views
from bot.playground.slack.elements import elements
from bot.settings import database_url
from bot.store import opened
from bot.usage import Selection
from bot.views import MAY_BE_WRONG
from tests.process.conftest import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = "[[rate 40]] [[tokens 4000]]"  # it would take 100 seconds
BROKEN = "[[break 60]]"


def offered(stage: Stage, ts: str) -> list[str]:
    """What can be pressed beneath the bot's last message in a thread."""
    shown = [message for message in stage.thread(ts) if message["user"] == "U0BOT"]
    blocks = shown[-1]["blocks"] if shown else []
    return [element["action_id"] for block in blocks for element in elements(block)]


async def press(stage: Stage, ts: str, deed: str, *, user: str = "Ana", **how: Any) -> None:
    """Returns when the bot has acknowledged it."""
    message = [each for each in stage.thread(ts) if each["user"] == "U0BOT"][-1]
    delivery = await stage.slack.act(stage.places[ts], user, message["ts"], deed, **how)
    await delivery.wait()


def whispers(stage: Stage, ts: str, user: str) -> list[str]:
    return [message["text"] for message in stage.slack.ephemerals(stage.places[ts], user)]


async def ask_among(stage: Stage, text: str) -> str:
    """Ana asks where Ben and Chloe, an admin, read along."""
    name = f"among-{len(stage.places)}"
    channel = stage.slack.add_channel(name, members=["Ana", "Ben", "Chloe"])
    return await stage.ask(text, channel=channel)


async def is_written(stage: Stage, ts: str) -> None:
    """Some of the answer is on screen."""
    await stage.slack.until(lambda: stage.replies(ts) and stage.replies(ts)[0])


async def is_closed(stage: Stage, words: str) -> None:
    await stage.model.until(
        lambda: stage.requests(words)[-1].finished == "closed by the client", timeout=10
    )


# -- stop


async def test_pressed_stop_closes_the_stream_and_leaves_the_text_so_far(stage: Stage) -> None:
    ts = await stage.ask(f"stop me {SLOW}")
    await is_written(stage, ts)
    assert offered(stage, ts) == ["stop"]

    await press(stage, ts, "stop")

    await is_closed(stage, "stop me")
    text = await stage.whole(ts)
    assert text.endswith("\nStopped by Ana.")
    assert offered(stage, ts) == ["continue", "retry"]
    assert stage.requests("stop me")[-1].tokens_sent < 4000


async def test_nobody_else_stops_it_but_an_admin(stage: Stage) -> None:
    ts = await ask_among(stage, f"mine {SLOW}")
    await is_written(stage, ts)

    await press(stage, ts, "stop", user="Ben")
    await stage.slack.until(lambda: whispers(stage, ts, "Ben"))
    running = stage.requests("mine")[-1].finished is None
    await press(stage, ts, "stop", user="Chloe")

    assert running
    assert whispers(stage, ts, "Ben") == [control_views.ADMINS_TOO]
    text = await stage.whole(ts)
    assert text.endswith("\nStopped by Chloe.")


async def test_slack_s_own_control_stops_what_runs_and_what_waits(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.say(f"session {SLOW}", channel=dm)
    await is_written(stage, ts)
    await stage.say("and this?", in_thread=ts)
    await stage.slack.deliveries[-1].wait()

    delivery = await stage.slack.stop_session(dm, "Ana", ts)
    await delivery.wait()

    await is_closed(stage, "session")
    assert (await stage.whole(ts)).endswith("\nStopped by Ana.")
    await stage.slack.until(lambda: control_views.DROPPED in whispers(stage, ts, "Ana"))
    assert stage.requests("and this?") == []


async def test_deleted_question_stops_its_answer(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.say(f"never mind {SLOW}", channel=dm)
    await is_written(stage, ts)

    await stage.slack.delete(dm, ts)

    await is_closed(stage, "never mind")
    text = await stage.whole(ts)
    assert text.endswith("\nThe question was deleted, so this answer ends here.")
    assert offered(stage, ts) == []


async def test_question_deleted_before_the_first_words_leaves_nothing(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.say("too soon [[slow 60]]", channel=dm)
    await stage.model.until(lambda: bool(stage.requests("too soon")))
    await stage.slack.until(lambda: stage.status(ts))

    await stage.slack.delete(dm, ts)

    await stage.slack.until(lambda: not stage.status(ts))
    assert stage.replies(ts) == []


async def test_stop_before_the_first_words_says_so(stage: Stage) -> None:
    dm = stage.slack.dm("Ben")
    ts = await stage.say("slowly [[slow 60]]", channel=dm, user="Ben")
    await stage.slack.until(lambda: stage.status(ts))

    await stage.slack.stop_session(dm, "Ben", ts)

    assert await stage.whole(ts) == "Stopped by Ben."
    assert offered(stage, ts) == ["retry"]


async def test_stop_while_it_waits_to_ask_the_model_again(stage: Stage) -> None:
    ts = await stage.ask("patience [[fail 503 20]]")
    await stage.slack.until(lambda: "waiting" in stage.status(ts))
    thread = (stage.places[ts], ts)

    await stage.slack.stop_session(thread[0], "Ana", thread[1])

    assert await stage.whole(ts) == "Stopped by Ana."


# -- correct


async def test_question_edited_while_it_is_answered_is_answered_anew_in_the_same_message(
    stage: Stage,
) -> None:
    ts = await stage.ask(f"the wrong words {SLOW}")
    await is_written(stage, ts)

    await stage.slack.edit(stage.places[ts], ts, "<@U0BOT> the right words [[say Tides it is.]]")

    assert await stage.whole(ts) == "Tides it is."
    await is_closed(stage, "the wrong words")
    assert len(stage.replies(ts)) == 1
    assert offered(stage, ts) == ["rate", "more"]


async def test_question_edited_soon_after_is_answered_anew_and_later_replies_stay(
    stage: Stage,
) -> None:
    dm = stage.slack.dm("Chloe")
    ts = await stage.say("first [[say One.]]", channel=dm, user="Chloe")
    await stage.whole(ts)
    await stage.say("second [[say Two.]]", user="Chloe", in_thread=ts)
    await stage.whole(ts, count=2)

    await stage.slack.edit(dm, ts, "first, really [[say One and a half.]]")

    both = [f"One and a half.\n{MAY_BE_WRONG}", "Two."]
    await stage.slack.until(lambda: stage.replies(ts) == both)


async def test_unfolded_link_is_no_other_question(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.say("see https://a.example [[say Seen.]]", channel=dm)
    await stage.whole(ts)

    where = stage.slack.workspace.channel(dm)
    attached = [{"title": "A page", "fallback": "A page"}]
    stage.slack.workspace.replace(where, where.messages[ts] | {"attachments": attached})
    await stage.slack.until(lambda: stage.slack.deliveries[-1].acked)

    assert len(stage.requests("see https://a.example")) == 1


# -- in channels whose messages the app hears


async def test_question_deleted_in_a_channel_stops_its_answer(stage: Stage) -> None:
    stage.slack.workspace.subscribe_channel_messages = True
    ts = await stage.ask(f"never mind it {SLOW}")
    await is_written(stage, ts)

    await stage.slack.delete(stage.places[ts], ts)

    await is_closed(stage, "never mind it")
    assert (await stage.whole(ts)).endswith("this answer ends here.")


async def test_edit_that_comes_in_two_events_is_answered_once(stage: Stage) -> None:
    stage.slack.workspace.subscribe_channel_messages = True
    ts = await stage.ask(f"one way {SLOW}")
    await is_written(stage, ts)

    await stage.slack.edit(stage.places[ts], ts, "<@U0BOT> the other way [[say Tides.]]")

    assert await stage.whole(ts) == "Tides."
    assert len(stage.requests("the other way")) == 1


async def test_edit_that_takes_the_mention_away_is_answered_still(stage: Stage) -> None:
    stage.slack.workspace.subscribe_channel_messages = True
    ts = await stage.ask(f"with a name {SLOW}")
    await is_written(stage, ts)

    await stage.slack.edit(stage.places[ts], ts, "without one [[say Tides.]]")

    assert await stage.whole(ts) == "Tides."


# -- retry, continue, regenerate


async def test_failed_answer_is_tried_again_in_its_message(stage: Stage) -> None:
    ts = await stage.ask("fail first [[fail 400 1]] [[say At last.]]")
    assert "refused my request" in await stage.whole(ts)
    assert offered(stage, ts) == ["retry"]

    await press(stage, ts, "retry")

    await stage.slack.until(lambda: offered(stage, ts) == ["rate", "more"])
    assert stage.replies(ts) == ["At last."]


async def test_stopped_answer_goes_on_after_its_text(stage: Stage) -> None:
    ts = await stage.ask("go on and on [[rate 40]] [[tokens 400]]")
    await is_written(stage, ts)
    await press(stage, ts, "stop")
    stopped = (await stage.whole(ts)).removesuffix("\nStopped by Ana.")

    await press(stage, ts, "continue")

    await stage.slack.until(lambda: offered(stage, ts) == ["rate", "more"])
    whole = "\n\n".join(stage.replies(ts))
    kept = stopped.rsplit(maxsplit=1)[0]
    assert whole.startswith(kept)
    assert len(whole) > len(stopped)
    said = stage.model.requests[-1].body["messages"]
    assert [message["role"] for message in said[-3:]] == ["user", "assistant", "user"]
    assert said[-2]["content"] == kept


async def test_stand_in_model_goes_on_with_what_it_was_asked(stage: Stage) -> None:
    """It does not answer the bot's own words that ask it to go on."""
    ts = await stage.ask("how do tides work? [[rate 40]]")
    await is_written(stage, ts)
    await press(stage, ts, "stop")
    await stage.whole(ts)

    await press(stage, ts, "continue")

    await stage.slack.until(lambda: offered(stage, ts) == ["rate", "more"])
    whole = "\n\n".join(stage.replies(ts))
    assert whole.count("You asked") == 1
    assert "how do tides work?" in whole
    assert "never stopped" not in whole


async def test_whole_answer_is_regenerated_for_the_asker_alone(stage: Stage) -> None:
    ts = await ask_among(stage, "again [[tokens 30]]")
    await stage.whole(ts)
    message = stage.thread(ts)[0]
    value = message["blocks"][-1]["elements"][0]["options"][0]["value"]

    await press(stage, ts, "more", user="Ben", selected=value)
    await stage.slack.until(lambda: whispers(stage, ts, "Ben") == [control_views.ADMINS_TOO])
    before = len(stage.requests("again"))
    await press(stage, ts, "more", selected=value)
    await stage.model.until(lambda: len(stage.requests("again")) == 2)
    await stage.slack.until(lambda: offered(stage, ts) == ["rate", "more"])

    assert before == 1
    assert stage.thread(ts)[0]["ts"] == message["ts"]
    assert len(stage.replies(ts)) == 1


async def test_two_presses_are_one(stage: Stage) -> None:
    ts = await stage.ask("twice [[fail 400 1]] [[say Once.]]")
    await stage.whole(ts)
    message = stage.thread(ts)[0]

    presses = [await stage.slack.act(stage.places[ts], "Ana", message["ts"], "retry") for _ in "12"]
    for delivery in presses:
        await delivery.wait()

    await stage.slack.until(lambda: stage.replies(ts) == ["Once."])
    assert len(stage.requests("twice")) == 2


async def test_retry_waits_for_the_question_that_runs_and_comes_before_the_next(
    stage: Stage,
) -> None:
    ts = await stage.ask("one [[fail 400 1]] [[say One.]]")
    await stage.whole(ts)
    await stage.ask("two [[rate 40]] [[tokens 60]]", in_thread=ts)
    await stage.slack.until(lambda: len(stage.replies(ts)) == 2)

    delivery = await stage.slack.act(stage.places[ts], "Ana", stage.thread(ts)[0]["ts"], "retry")
    await delivery.wait()
    await stage.ask("three [[say Three.]]", in_thread=ts)

    await stage.slack.until(lambda: len(stage.replies(ts)) == 3 and stage.replies(ts)[2], 30)
    asked = [
        word
        for request in stage.model.requests
        for word in ("one", "two", "three")
        if f"{word} [[" in request.question.splitlines()[0]
    ]
    assert asked[-4:] == ["one", "two", "one", "three"]
    assert stage.replies(ts)[0] == "One."


# -- what people think


async def test_thumbs_are_kept_and_a_reason_is_asked_for(stage: Stage) -> None:
    ts = await ask_among(stage, "judge me [[say It depends.]]")
    await stage.whole(ts)
    thumbs = stage.thread(ts)[0]["blocks"][1]["elements"][0]
    since = datetime.now(UTC)

    await press(stage, ts, "rate", user="Ben", value=thumbs["positive_button"]["value"])
    await press(stage, ts, "rate", value=thumbs["negative_button"]["value"])
    await stage.slack.until(lambda: stage.slack.workspace.modals.get("U0ANA"))
    view = stage.slack.workspace.modals["U0ANA"][-1]
    typed = {"reason": {"reason": {"type": "plain_text_input", "value": "It does not."}}}
    delivery = await stage.slack.submit("Ana", view["id"], typed)
    await delivery.wait()

    assert whispers(stage, ts, "Ben") == [control_views.THANKS]
    async with opened(database_url(str(stage.bot.folder / "bot.db"))) as store:
        found = await store.feedback.newest(Selection(since), limit=10)
        tally = await store.feedback.tally(Selection(since))
    assert [(each.user, each.is_good, each.reason) for each in found] == [
        ("U0ANA", False, "It does not."),
        ("U0BEN", True, None),
    ]
    assert [(each.good, each.bad) for each in tally] == [(1, 1)]


async def test_button_whose_question_is_unknown_says_so(stage: Stage) -> None:
    ts = await stage.ask("hello [[say Hello.]]")
    await stage.whole(ts)
    message = stage.thread(ts)[0]
    forged = message | {"ts": "1700000000.000100", "metadata": None, "thread_ts": ts}
    channel = stage.slack.workspace.channel(stage.places[ts])
    channel.messages[forged["ts"]] = forged

    delivery = await stage.slack.act(
        channel.id, "Ana", forged["ts"], "rate", value=f"up 1 T0LOCAL:{channel.id}:{ts}"
    )
    await delivery.wait()

    await stage.slack.until(lambda: whispers(stage, ts, "Ana") == [control_views.GONE])


async def test_that_answers_may_be_wrong_is_said_once_to_each_person(stage: Stage) -> None:
    stage.slack.add_person("Eve")
    dm = stage.slack.dm("Eve")
    first = await stage.say("the first [[say One.]]", channel=dm, user="Eve")
    one = await stage.whole(first)
    second = await stage.say("the second [[say Two.]]", channel=dm, user="Eve")
    two = await stage.whole(second)

    assert one == f"One.\n{MAY_BE_WRONG}"
    assert two == "Two."
