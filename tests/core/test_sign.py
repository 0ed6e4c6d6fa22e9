"""The status line, or the reaction in its place, in virtual time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest

from bot.errors import RateLimited, SlackRefused, Unavailable
from bot.sign import PROGRESS_A_MINUTE, THINKING, Sign, Signs
from tests.core.fakes import LOST, FakeChat, question

NO_STATUS = SlackRefused("assistant.threads.setStatus", "feature_not_enabled")
NO_SCOPE = SlackRefused("reactions.add", "missing_scope")


@asynccontextmanager
async def kept(
    chat: FakeChat, signs: Signs | None = None, *, words: Callable[[], int] = lambda: 0
) -> AsyncIterator[Sign]:
    """A sign that stands while the answer is awaited, and that is taken down at the end."""
    sign = Sign(question(), chat, signs or Signs())
    keeping = asyncio.create_task(sign.keep(words))
    yield sign
    sign.take_down(is_posted=False)
    await keeping


async def posts(chat: FakeChat, sign: Sign) -> None:
    """The first words come: Slack clears the status by itself."""
    sign.expect_post()
    metadata = {"event_payload": {"turn": str(question().key), "part": 0}}
    await chat.post("C1", question().thread_ts, {"blocks": [], "metadata": metadata})
    sign.take_down(is_posted=True)


async def test_status_is_shown_at_once() -> None:
    chat = FakeChat()

    async with kept(chat):
        await asyncio.sleep(0.1)

        assert chat.statuses == [THINKING]
        assert chat.times("set_status") == [1000.0]


async def test_status_is_put_up_again_before_slack_drops_it() -> None:
    chat = FakeChat(latency=0.3)

    async with kept(chat):
        await asyncio.sleep(600)

    times = chat.times("set_status")
    assert len(times) >= 7
    assert max(later - earlier for earlier, later in pairwise(times)) < 120


async def test_news_is_shown_at_once_and_stays_when_the_status_is_put_up_again() -> None:
    chat = FakeChat()

    async with kept(chat) as sign:
        await asyncio.sleep(10)
        sign.tell("for the tide")
        await asyncio.sleep(100)

        assert chat.statuses == [THINKING] + ["is waiting: for the tide..."] * 2


async def test_newest_of_several_news_is_what_stays() -> None:
    chat = FakeChat(latency=1.0)

    async with kept(chat) as sign:
        await asyncio.sleep(0.1)
        sign.tell("for one")
        sign.tell("for two")
        await asyncio.sleep(5)

        assert chat.status == "is waiting: for two..."


async def test_status_that_slack_cleared_is_not_cleared_again() -> None:
    chat = FakeChat(latency=0.1)

    async with kept(chat) as sign:
        await asyncio.sleep(1)
        await posts(chat, sign)

    assert chat.statuses == [THINKING, ""]
    assert len(chat.times("set_status")) == 1


async def test_status_is_cleared_where_nothing_was_posted() -> None:
    chat = FakeChat(latency=0.1)

    async with kept(chat):
        await asyncio.sleep(1)

    assert chat.statuses == [THINKING, ""]


async def test_status_that_arrives_after_the_first_post_is_cleared() -> None:
    chat = FakeChat()
    chat.latencies["set_status"] = [4.0]

    async with kept(chat) as sign:
        await asyncio.sleep(1)
        await posts(chat, sign)
        await asyncio.sleep(10)

        assert chat.statuses == [THINKING, ""]


async def test_status_that_overtakes_the_answer_to_the_first_post_is_cleared() -> None:
    chat = FakeChat()
    chat.latencies["post"] = [2.0]  # Slack shows it after one second, the bot hears after two

    async with kept(chat) as sign:
        await asyncio.sleep(1)
        posting = asyncio.create_task(posts(chat, sign))
        await asyncio.sleep(1.5)
        sign.tell("for the model")
        await posting

    assert chat.statuses == [THINKING, "", "is waiting: for the model...", ""]


async def test_status_that_cannot_be_set_now_is_set_with_the_next_news() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [Unavailable("Slack", "HTTP 500"), RateLimited("Slack", 3.0)]

    async with kept(chat) as sign:
        await asyncio.sleep(1)
        sign.tell("for one")
        await asyncio.sleep(1)
        sign.tell("for two")
        await asyncio.sleep(1)

        assert chat.statuses == ["is waiting: for two..."]
        assert chat.reactions == set()


async def test_status_that_cannot_be_cleared_troubles_nobody() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [None, Unavailable("Slack", "HTTP 500")]

    async with kept(chat):
        await asyncio.sleep(1)

    assert chat.statuses == [THINKING]


async def test_reaction_stands_where_the_status_is_refused_and_goes_at_the_end() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [NO_STATUS]

    async with kept(chat) as sign:
        await asyncio.sleep(1)

        assert chat.reactions == {"eyes"}
        assert not sign.speaks
    assert chat.reactions == set()
    assert chat.statuses == []


async def test_reaction_is_added_once_however_long_it_stands() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [NO_STATUS]

    async with kept(chat) as sign:
        await asyncio.sleep(300)
        sign.tell("for the tide")
        await asyncio.sleep(300)

    assert len(chat.times("add_reaction")) == 1
    assert len(chat.times("set_status")) == 1


async def test_what_the_workspace_refuses_is_remembered_for_the_next_question() -> None:
    chat, signs = FakeChat(), Signs()
    chat.errors["set_status"] = [NO_STATUS]

    for _ in range(2):
        async with kept(chat, signs):
            await asyncio.sleep(1)

    assert len(chat.times("set_status")) == 1
    assert len(chat.times("add_reaction")) == 2


async def test_where_neither_is_allowed_nothing_is_tried_again() -> None:
    chat, signs = FakeChat(), Signs()
    chat.errors = {"set_status": [NO_STATUS], "add_reaction": [NO_SCOPE]}

    for _ in range(2):
        async with kept(chat, signs):
            await asyncio.sleep(200)

    assert [call.method for call in chat.calls] == ["set_status", "add_reaction"]


async def test_reaction_refused_for_one_message_is_tried_for_the_next() -> None:
    chat, signs = FakeChat(), Signs(status_line=False)
    chat.errors["add_reaction"] = [SlackRefused("reactions.add", "message_not_found")]

    async with kept(chat, signs):
        await asyncio.sleep(1)
    async with kept(chat, signs):
        await asyncio.sleep(1)

        assert chat.reactions == {"eyes"}


async def test_reaction_whose_answer_was_lost_goes_at_the_end() -> None:
    chat = FakeChat()
    chat.errors["add_reaction"] = [LOST]

    async with kept(chat, Signs(status_line=False)):
        await asyncio.sleep(1)

        assert chat.reactions == {"eyes"}
    assert chat.reactions == set()


async def test_reaction_that_stood_there_before_goes_at_the_end() -> None:
    """As after a restart, when the question is answered anew."""
    chat = FakeChat()
    chat.reactions = {"eyes"}
    chat.errors["add_reaction"] = [SlackRefused("reactions.add", "already_reacted")]

    async with kept(chat, Signs(status_line=False)):
        await asyncio.sleep(1)

    assert chat.reactions == set()


async def test_reaction_goes_though_slack_limits_removals() -> None:
    chat = FakeChat()
    chat.errors["remove_reaction"] = [RateLimited("Slack", 40.0), Unavailable("Slack", "reset")]

    async with kept(chat, Signs(status_line=False)):
        await asyncio.sleep(1)

    assert chat.reactions == set()


# -- how far the answer is


async def test_status_says_how_many_words_are_written_while_the_text_must_wait() -> None:
    chat = FakeChat()
    start = asyncio.get_running_loop().time()

    async with kept(chat, words=lambda: round(10 * (asyncio.get_running_loop().time() - start))):
        await asyncio.sleep(7)

    assert chat.statuses == [
        THINKING,
        "is writing, 30 words so far...",
        "is writing, 60 words so far...",
        "",
    ]
    assert chat.times("set_status")[1:3] == [1003.0, 1006.0]


async def test_status_that_would_say_the_same_is_not_set_again() -> None:
    chat = FakeChat()

    async with kept(chat, words=lambda: 240):
        await asyncio.sleep(60)

    assert chat.statuses == ["is writing, 240 words so far...", ""]


async def test_status_of_an_answer_that_pauses_is_refreshed_before_slack_drops_it() -> None:
    chat = FakeChat(latency=0.3)

    async with kept(chat, words=lambda: 240):
        await asyncio.sleep(600)

    times = chat.times("set_status")
    assert max(later - earlier for earlier, later in pairwise(times)) < 120


@pytest.mark.parametrize("standing", [1, 20, 100, 400, 533, 600, 2000])
async def test_status_is_refreshed_in_time_however_many_answers_are_written(standing: int) -> None:
    chat = FakeChat()

    async with kept(chat, Signs(standing=standing)):
        await asyncio.sleep(600)

    times = chat.times("set_status")
    assert max(later - earlier for earlier, later in pairwise(times)) < 110


async def test_waiting_wins_over_how_far_the_answer_is() -> None:
    chat = FakeChat()

    async with kept(chat, words=lambda: 240) as sign:
        await asyncio.sleep(1)
        sign.tell("for the tide")
        await asyncio.sleep(20)
        sign.tell("")
        await asyncio.sleep(1)

        assert chat.statuses == [
            "is writing, 240 words so far...",
            "is waiting: for the tide...",
            "is writing, 240 words so far...",
        ]


async def test_first_word_alone_says_nothing() -> None:
    chat = FakeChat()

    async with kept(chat, words=lambda: 1):
        await asyncio.sleep(10)

    assert chat.statuses == [THINKING, ""]


async def test_nobody_is_told_how_far_it_is_while_the_words_themselves_are_on_their_way() -> None:
    chat = FakeChat()
    chat.latencies["post"] = [8.0]

    async with kept(chat, words=lambda: int(asyncio.get_running_loop().time())) as sign:
        await asyncio.sleep(1)
        await posts(chat, sign)

    assert chat.statuses == ["is writing, 1000 words so far...", ""]


async def test_words_that_were_refused_are_told_of_again() -> None:
    chat = FakeChat()

    async with kept(chat, words=lambda: int(asyncio.get_running_loop().time())) as sign:
        sign.expect_post()
        await asyncio.sleep(7)
        sign.expect_post(is_expected=False)
        await asyncio.sleep(3)

    assert chat.statuses == [THINKING, "is writing, 1009 words so far...", ""]


@pytest.mark.parametrize("count", [1, 20, 100, 500])
async def test_status_lines_of_all_answers_stay_within_their_budget(count: int) -> None:
    chat, signs = FakeChat(latency=0.1), Signs()

    def words() -> int:
        return int(asyncio.get_running_loop().time() * 10)

    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(kept(chat, signs, words=words))
        await asyncio.sleep(125)
    later = [at for at in chat.times("set_status") if 1002 <= at < 1122]

    assert signs.standing == 0
    assert len(later) / 2 <= PROGRESS_A_MINUTE + count / 10
    assert len(later) / 2 >= min(count * 19, PROGRESS_A_MINUTE * 0.6)


async def test_news_that_is_none_is_not_put_up_again() -> None:
    chat = FakeChat()

    async with kept(chat, words=lambda: int(asyncio.get_running_loop().time())) as sign:
        await asyncio.sleep(1)
        sign.tell("")
        await asyncio.sleep(1)

    assert chat.statuses == ["is writing, 1000 words so far...", ""]


# -- where it breaks


async def test_broken_sign_is_logged_without_its_words_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [KeyError("what people wrote")]

    with caplog.at_level(logging.DEBUG):
        async with kept(chat):
            await asyncio.sleep(1)

    assert [record.getMessage() for record in caplog.records] == ["sign.failed"]
    assert "what people wrote" not in str([vars(record) for record in caplog.records])


async def test_status_refused_for_one_thread_is_a_reaction_there_and_a_status_elsewhere() -> None:
    chat, signs = FakeChat(), Signs()
    chat.errors["set_status"] = [SlackRefused("assistant.threads.setStatus", "channel_not_found")]

    async with kept(chat, signs) as sign:
        await asyncio.sleep(1)
        here = (set(chat.reactions), sign.speaks)
    async with kept(chat, signs) as sign:
        await asyncio.sleep(1)
        elsewhere = sign.speaks

    assert here == ({"eyes"}, False)
    assert elsewhere
    assert chat.reactions == set()


async def test_person_sees_which_file_is_being_read() -> None:
    chat = FakeChat()

    async with kept(chat) as sign:
        sign.tell_reading("plan.pdf")
        await asyncio.sleep(1)
        sign.tell("Slack does not answer")
        await asyncio.sleep(1)
        sign.tell("")
        sign.tell_reading("")
        await asyncio.sleep(1)

    assert chat.statuses == [
        "is reading plan.pdf...",
        "is waiting: Slack does not answer...",
        THINKING,
        "",
    ]
