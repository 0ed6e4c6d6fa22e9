"""What a person reads when the model fails, and what never reaches Slack or the log."""

import pytest

from bot.playground.model.answers import prose
from bot.playground.model.faults import ModelFault
from bot.playground.slack import Fault
from tests.process.conftest import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("[[fail quota]]", "account with the model's provider is used up"),
        ("[[fail 401]]", "does not accept my API key"),
        ("[[fail 404]]", "does not exist or is not open"),
        ("[[fail context]]", "longer than the model can read"),
        ("[[fail filter]]", "content filter stopped this answer"),
        ("[[fail 400]]", "refused my request"),
        ("[[empty]]", "answered with nothing"),
    ],
)
async def test_each_final_failure_has_a_sentence_of_its_own(
    stage: Stage, order: str, sentence: str
) -> None:
    ts = await stage.ask(order)

    assert sentence in await stage.whole(ts)
    assert stage.status(ts) == ""


async def test_a_quota_that_is_used_up_is_not_asked_for_again(stage: Stage) -> None:
    ts = await stage.ask("[[fail quota]] just once")
    await stage.whole(ts)

    assert len(stage.requests("just once")) == 1


async def test_a_model_that_is_busy_is_asked_again_and_the_person_is_told(stage: Stage) -> None:
    stage.model.faults.add(ModelFault.rate_limited(3.0), matching="please wait")
    ts = await stage.ask("please wait [[say thank you for waiting]]")

    await stage.slack.until(
        lambda: stage.status(ts) == "is waiting: the model is limiting requests, next try in 3 s..."
    )
    assert await stage.whole(ts) == "thank you for waiting"


async def test_a_stream_that_breaks_is_begun_again_in_the_same_message(stage: Stage) -> None:
    ts = await stage.ask("[[break 60 1]] [[rate 60]] [[tokens 120]]")

    text = await stage.whole(ts)
    assert text.split() == "".join(prose(120)).split()
    assert len(stage.replies(ts)) == 1
    assert len(stage.thread(ts)) == 1


async def test_a_wait_of_more_than_a_minute_is_not_begun(stage: Stage) -> None:
    stage.model.faults.add(ModelFault.rate_limited(61.0), matching="patience")
    ts = await stage.ask("patience")

    assert "Too many requests to the model" in await stage.whole(ts)


async def test_an_answer_at_its_token_limit_says_that_it_was_cut(stage: Stage) -> None:
    ts = await stage.ask("[[rate 9000]] [[tokens 5000]]")

    text = await stage.whole(ts)
    assert "it reached the limit on its length" in text
    assert "".join(prose(3000)).split()[:500] == text.split()[:500]


async def test_an_unreadable_thread_is_not_answered_out_of_context(stage: Stage) -> None:
    ts = await stage.ask("[[say a beginning]]")
    await stage.whole(ts)
    stage.slack.faults.add("conversations.replies", Fault.error("missing_scope"))
    await stage.ask("[[say an end]]", in_thread=ts)

    assert "I may not read this thread" in await stage.whole(ts, count=2)


async def test_a_deleted_reply_closes_the_model_s_stream(stage: Stage) -> None:
    ts = await stage.ask("go away [[rate 20]] [[tokens 2000]]")
    await stage.slack.until(lambda: stage.replies(ts))
    await stage.slack.delete(stage.places[ts], stage.thread(ts)[0]["ts"])

    await stage.model.until(
        lambda: stage.requests("go away")[-1].finished == "closed by the client", timeout=10
    )
    assert stage.replies(ts) == []


async def test_no_words_of_people_or_the_model_and_no_key_are_in_the_log(stage: Stage) -> None:
    ts = await stage.ask("a secret plan [[say an answer in confidence]]")
    await stage.whole(ts)
    stage.model.faults.add(ModelFault.http(400), matching="a hidden thought")
    ts = await stage.ask("a hidden thought")
    await stage.whole(ts)

    words = ["secret plan", "in confidence", "hidden thought", "xoxb-", "xapp-", "Traceback"]
    assert stage.bot.events("answer.finished")
    assert [word for word in words if word in stage.bot.log] == []


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long"])
async def test_an_answer_whose_markdown_slack_refuses_is_shown_as_it_was_written(
    stage: Stage, code: str
) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.error(code))
    ts = await stage.ask("[[say **Bold** words and `code`]]")

    assert await stage.whole(ts) == "**Bold** words and `code`"
    assert len(stage.thread(ts)) == 1


async def test_an_answer_shown_plainly_is_still_the_assistant_s_in_the_history(
    stage: Stage,
) -> None:
    stage.slack.faults.add("chat.postMessage", Fault.error("invalid_blocks"))
    ts = await stage.ask("[[say **Bold** words and `code`]]")
    await stage.whole(ts)
    await stage.ask("[[say fine]]", in_thread=ts)
    await stage.whole(ts, count=2)

    said = stage.model.requests[-1].body["messages"]
    assert {"role": "assistant", "content": "**Bold** words and `code`"} in said
