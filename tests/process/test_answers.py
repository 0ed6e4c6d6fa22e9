"""The real process against a local Slack and a local model, judged by what is on screen."""

from pathlib import Path

from bot.playground.answers import prose
from bot.playground.model import LocalModel
from bot.playground.slack import Fault, Limits, LocalSlack
from tests.bot_process import running
from tests.process.conftest import Stage


async def test_a_mention_is_answered_in_its_thread_and_the_answer_grows(stage: Stage) -> None:
    ts = await stage.ask("[[rate 100]] [[tokens 200]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(200)).split()
    assert stage.slack.count("chat.postMessage") == 1
    assert stage.slack.count("chat.update") >= 3


async def test_the_first_sign_is_a_status_line_that_goes_when_words_come(stage: Stage) -> None:
    ts = await stage.ask("[[slow 1]] [[say Good morning to you all]]")

    await stage.slack.until(lambda: stage.slack.status("general", ts) == "is thinking...")
    assert stage.replies(ts) == []
    await stage.whole(ts)
    assert stage.slack.status("general", ts) == ""


async def test_a_direct_message_is_answered_in_a_thread_on_it(stage: Stage) -> None:
    dm = stage.slack.dm("Ana")
    ts = await stage.slack.say(dm, "Ana", "[[say hello Ana]]")

    assert await stage.whole(ts, channel=dm) == "hello Ana"


async def test_a_mention_in_a_group_message_is_answered(stage: Stage) -> None:
    ts = await stage.ask("[[say hello all of you]]", channel="C0GROUP")

    assert await stage.whole(ts, channel="C0GROUP") == "hello all of you"


async def test_a_follow_up_carries_the_thread_with_roles_and_names(stage: Stage) -> None:
    ts = await stage.ask("[[say The tide is high.]]")
    await stage.whole(ts)
    await stage.slack.say("general", "Ben", "Is *that* so?", thread_ts=ts)
    await stage.ask("[[say yes indeed, Ana]]", thread_ts=ts)
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
    await stage.ask("[[say fine]]", thread_ts=ts)
    await stage.whole(ts, count=2)

    said = stage.model.requests[-1].body["messages"]
    assert {"role": "assistant", "content": "Use `ls` and **look**."} in said


async def test_a_question_in_the_channel_needs_no_history(stage: Stage) -> None:
    ts = await stage.ask("[[say ok then]]")
    await stage.whole(ts)

    assert stage.slack.count("conversations.replies") == 0


async def test_an_event_that_comes_again_is_answered_once(stage: Stage) -> None:
    ts = await stage.ask("[[say only once]]")
    await stage.whole(ts)
    delivery = await stage.slack.redeliver(stage.slack.deliveries[0])
    await delivery.wait()
    other = await stage.ask("[[say another]]")
    await stage.whole(other)

    assert stage.replies(ts) == ["only once"]
    assert len(stage.model.requests) == 2


async def test_an_event_that_comes_again_after_a_restart_is_answered_once(
    slack: LocalSlack, model: LocalModel, tmp_path: Path
) -> None:
    async with running(slack, model.base_url, folder=tmp_path) as bot:
        ts = await Stage(slack, model, bot).ask("[[say only once]]")
        await Stage(slack, model, bot).whole(ts)
        await bot.stop()

    async with running(slack, model.base_url, folder=tmp_path) as bot:
        delivery = await slack.redeliver(slack.deliveries[0])
        await delivery.wait()
        other = await Stage(slack, model, bot).ask("[[say another]]")
        await Stage(slack, model, bot).whole(other)

    assert slack.screen("general", ts) == ["only once"]


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
    await stage.slack.edit("general", ts, f"<@{stage.slack.bot_user_id}> [[say twice]]")
    other = await stage.ask("[[say another]]")
    await stage.whole(other)

    assert stage.replies(ts) == ["only once"]


async def test_a_mention_without_words_gets_a_helpful_line(stage: Stage) -> None:
    ts = await stage.ask("  ")

    assert "without a question" in await stage.whole(ts)
    assert not stage.model.requests


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

    message = stage.slack.thread("general", ts)[0]
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

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(200)).split()


async def test_slack_out_of_order_for_a_moment_loses_nothing(stage: Stage) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.unavailable(), times=1)
    stage.slack.faults.add("chat.update", Fault.reset(), times=3)
    ts = await stage.ask("[[rate 100]] [[tokens 150]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(150)).split()
    assert len(stage.replies(ts)) == 1


async def test_without_a_status_line_the_first_sign_is_a_reaction(stage: Stage) -> None:
    stage.slack.faults.add("assistant.threads.setStatus", Fault.error("missing_scope"), times=None)
    ts = await stage.ask("[[slow 1]] [[say here you are]]")

    await stage.slack.until(lambda: stage.slack.reactions("general", ts) == {"eyes": ["U0BOT"]})
    await stage.whole(ts)
    await stage.slack.until(lambda: stage.slack.reactions("general", ts) == {})


async def test_sixty_questions_at_once_are_all_answered_and_no_call_is_refused(
    stage: Stage,
) -> None:
    stage.slack.limits = Limits.real()
    asked = []
    for number in range(60):
        stage.slack.add_channel(f"crowd-{number}")
        asked.append(
            (f"crowd-{number}", await stage.ask("[[tokens 80]]", channel=f"crowd-{number}"))
        )

    written = "".join(prose(80)).split()
    texts = [(await stage.whole(ts, channel=channel)).split() for channel, ts in asked]
    assert texts == [written] * 60
    assert not [call.method for call in stage.slack.calls if call.refused]
