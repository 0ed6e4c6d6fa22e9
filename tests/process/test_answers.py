"""The real process against a local Slack and a local model, judged by what is on screen."""

from pathlib import Path

import pytest

from bot.playground.model.answers import prose
from bot.playground.slack import Fault, Limits
from tests.bot_process import running
from tests.process.conftest import Stage, local_servers

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_mention_is_answered_in_its_thread_and_the_answer_grows(stage: Stage) -> None:
    ts = await stage.ask("[[rate 100]] [[tokens 200]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(200)).split()
    assert stage.calls("chat.postMessage", ts) == 1
    assert stage.calls("chat.update", ts) >= 3


async def test_the_first_sign_is_a_status_line_that_goes_when_words_come(stage: Stage) -> None:
    ts = await stage.ask("[[slow 1]] [[say Good morning to you all]]")

    await stage.slack.until(lambda: stage.status(ts) == "is thinking...")
    assert stage.replies(ts) == []
    await stage.whole(ts)
    assert stage.status(ts) == ""


async def test_a_direct_message_is_answered_in_a_thread_on_it(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.say("[[say hello Ana]]", channel=dm)

    assert (await stage.whole(ts)).splitlines()[0] == "hello Ana"


async def test_a_mention_in_a_group_message_is_answered(stage: Stage) -> None:
    ts = await stage.ask("[[say hello all of you]]", channel="C0GROUP")

    assert await stage.whole(ts) == "hello all of you"


async def test_a_follow_up_carries_the_thread_with_roles_and_names(stage: Stage) -> None:
    ts = await stage.ask("[[say The tide is high.]]")
    await stage.whole(ts)
    await stage.say("Is *that* so?", user="Ben", in_thread=ts)
    await stage.ask("[[say yes indeed, Ana]]", in_thread=ts)
    await stage.whole(ts, count=2)

    _, *said = stage.model.requests[-1].body["messages"]
    assert [(message["role"], message["content"]) for message in said] == [
        ("user", "Ana: @bot [[say The tide is high.]]"),
        ("assistant", "The tide is high."),
        ("user", "Ben: Is **that** so?"),
        ("user", "Ana: @bot [[say yes indeed, Ana]]"),
    ]


async def test_the_roles_are_right_where_slack_hands_back_rich_text(stage: Stage) -> None:
    stage.slack.workspace.rich_text_blocks = True
    ts = await stage.ask("[[say Use `ls` and **look**.]]")
    await stage.whole(ts)
    await stage.ask("[[say fine]]", in_thread=ts)
    await stage.whole(ts, count=2)

    said = stage.model.requests[-1].body["messages"]
    assert {"role": "assistant", "content": "Use `ls` and **look**."} in said


async def test_a_question_in_the_channel_needs_no_history(stage: Stage) -> None:
    ts = await stage.ask("[[say ok then]]")
    await stage.whole(ts)

    assert stage.calls("conversations.replies", ts) == 0


async def test_an_event_that_comes_again_is_answered_once(stage: Stage) -> None:
    ts = await stage.ask("[[say only once]]")
    delivery = stage.slack.deliveries[-1]
    await stage.whole(ts)
    await stage.slack.redeliver(delivery)
    other = await stage.ask("[[say another]]")
    await stage.whole(other)

    assert delivery.attempts == 2
    assert stage.replies(ts) == ["only once"]


async def test_an_event_that_comes_again_after_a_restart_is_answered_once(tmp_path: Path) -> None:
    async with local_servers() as (slack, model):
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            stage = Stage(slack, model, bot)
            ts = await stage.ask("[[say only once]]")
            await stage.whole(ts)
            await bot.stop()
        async with running(slack, model.base_url, folder=tmp_path) as bot:
            await slack.redeliver(slack.deliveries[0])
            other = await stage.ask("[[say another]]")
            await stage.whole(other)

        assert stage.replies(ts) == ["only once"]


async def test_the_message_twin_of_a_mention_is_not_answered(stage: Stage) -> None:
    stage.slack.workspace.subscribe_channel_messages = True
    ts = await stage.ask("[[say only once]]")
    await stage.whole(ts)
    other = await stage.ask("[[say another]]")
    await stage.whole(other)

    assert stage.replies(ts) == ["only once"]


async def test_an_edited_mention_is_not_answered_again(stage: Stage) -> None:
    ts = await stage.ask("[[say only once]]")
    await stage.whole(ts)
    await stage.slack.edit(stage.places[ts], ts, f"<@{stage.slack.bot_user_id}> [[say twice]]")
    other = await stage.ask("[[say another]]")
    await stage.whole(other)

    assert stage.replies(ts) == ["only once"]


async def test_a_mention_without_words_gets_a_helpful_line(stage: Stage) -> None:
    ts = await stage.ask("  ")

    assert "without a question" in await stage.whole(ts)


async def test_a_long_answer_goes_on_in_further_messages(stage: Stage) -> None:
    ts = await stage.ask("[[rate 5000]] [[tokens 7000]]")

    await stage.whole(ts)
    parts = stage.replies(ts)
    assert len(parts) > 1
    assert all(len(part) <= 12_000 for part in parts)
    assert all(part.count("```") % 2 == 0 for part in parts)


async def test_nothing_that_the_model_writes_pings_anyone(stage: Stage) -> None:
    ts = await stage.ask("[[say Hey <!here> and <!channel> and <@U0BEN> and @everyone!]]")
    await stage.whole(ts)

    message = stage.thread(ts)[0]
    sent = f"{message['text']} {message['blocks']}"
    assert not [ping for ping in ("<!here", "<!channel", "<@U0BEN", "@everyone") if ping in sent]
    call = next(call for call in stage.slack.calls if call.method == "chat.postMessage")
    assert (call.args["unfurl_links"], call.args["unfurl_media"]) == (False, False)


async def test_a_post_whose_answer_is_lost_does_not_stand_twice(stage: Stage) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.lost_answer())
    ts = await stage.ask("[[rate 50]] [[tokens 60]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(60)).split()
    assert len(stage.replies(ts)) == 1


async def test_an_edit_that_slack_refuses_delays_nothing_but_itself(stage: Stage) -> None:
    stage.slack.faults.add("chat.update", Fault.refuse(retry_after=1), times=2)
    ts = await stage.ask("[[rate 100]] [[tokens 200]]")

    await stage.whole(ts)
    # Where the rest had to be posted anew, the old message is deleted right after.
    words = "".join(prose(200)).split()
    await stage.slack.until(lambda: "\n\n".join(stage.replies(ts)).split() == words)


async def test_slack_out_of_order_for_a_moment_loses_nothing(stage: Stage) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.unavailable(), times=1)
    stage.slack.faults.add("chat.update", Fault.reset(), times=3)
    ts = await stage.ask("[[rate 100]] [[tokens 150]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(150)).split()
    assert len(stage.replies(ts)) == 1


async def test_without_a_status_line_the_first_sign_is_a_reaction() -> None:
    async with local_servers() as (slack, model), running(slack, model.base_url) as bot:
        stage = Stage(slack, model, bot)
        slack.faults.add("assistant.threads.setStatus", Fault.error("missing_scope"), times=None)
        ts = await stage.ask("[[slow 1]] [[say here you are]]")

        await slack.until(lambda: stage.reactions(ts) == {"eyes": ["U0BOT"]})
        await stage.whole(ts)
        await slack.until(lambda: stage.reactions(ts) == {})


async def test_sixty_questions_at_once_are_all_answered_and_no_call_is_refused(
    stage: Stage,
) -> None:
    stage.slack.limits = Limits.real()
    before = len(stage.slack.calls)
    asked = [await stage.ask("[[tokens 80]]") for _ in range(60)]

    written = "".join(prose(80)).split()
    texts = [(await stage.whole(ts)).split() for ts in asked]
    assert texts == [written] * 60
    assert not [call.method for call in stage.slack.calls[before:] if call.refused]
