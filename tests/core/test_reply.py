"""A reply follows its draft: alone, in a crowd, and against a Slack that limits and fails."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cut import close, join
from bot.draft import PART_LIMIT, WHOLE, Draft
from bot.errors import RateLimited, ReplyGone, SlackRefused, Unavailable
from bot.messages import Question
from bot.pacing import Limits, Pacer
from bot.reply import Reply
from bot.sign import THINKING, Signs
from bot.turnstile import Turnstile
from tests.core.fakes import LOST, Call, FakeChat, Limit, buttons, question, slack_limits

WORDS = "These are the first words. "
DOWN = Unavailable("Slack", "HTTP 503")

Step = str | float | Callable[[], object]


class Answer:
    """One answer that is written as its script says, and the reply that shows it."""

    def __init__(
        self,
        chat: FakeChat,
        *script: Step,
        turnstile: Turnstile | None = None,
        asked: Question | None = None,
        limit: int = PART_LIMIT,
        signs: Signs | None = None,
    ) -> None:
        self.asked = asked or question()
        self.draft = Draft(limit=limit)
        self.turnstile = turnstile or Turnstile(Pacer())
        self.reply = Reply(self.asked, chat, self.turnstile, signs or Signs())
        self.text = "".join(step for step in script if isinstance(step, str))
        self.ended_at = self.shown_at = 0.0
        self._script = script

    async def is_shown(self, *, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        writing = asyncio.create_task(self._write())
        try:
            await self.reply.follow(self.draft)
        finally:
            self.shown_at = now()
            writing.cancel()
        await writing

    async def _write(self) -> None:
        for step in self._script:
            if isinstance(step, str):
                self.draft.push(step)
                self.reply.wake()
            elif isinstance(step, int | float):
                await asyncio.sleep(step)
            else:
                step()
        self.ended_at = now()
        self.draft.end()
        self.reply.hurry()


def now() -> float:
    return asyncio.get_running_loop().time()


def growing(seconds: float, *, every: float = 0.25) -> list[Step]:
    """Words that come all the time."""
    steps: list[Step] = [WORDS]
    for number in range(int(seconds / every)):
        steps += [every, f"word{number} "]
    return steps


def updates_only(count: int) -> Turnstile:
    return Turnstile(Pacer(Limits(updates=count)))


def joined(chat: FakeChat, answer: Answer) -> str:
    """The answer, read as the bot itself reads it later."""
    return join(chat.screen_of(answer.asked))


def overlapping(calls: list[Call]) -> list[tuple[Call, Call]]:
    ordered = sorted(calls, key=lambda call: call.at)
    return [(one, other) for one, other in pairwise(ordered) if other.at < one.until]


# -- one reply


async def test_first_words_are_posted_once_they_say_something() -> None:
    chat = FakeChat()

    await Answer(chat, "The", 3.0, " moon pulls the sea", 3.0, " up.").is_shown()

    assert chat.history[0] == "The moon pulls the sea"
    assert chat.times("post") == [1003.0]


async def test_short_answer_is_posted_whole_when_it_ends_and_never_edited() -> None:
    chat = FakeChat()

    await Answer(chat, "Yes", 2.0, ".").is_shown()

    assert chat.history == ["Yes."]
    assert chat.times("post") == [1002.0]


async def test_text_is_seen_though_the_model_pauses_after_it() -> None:
    chat = FakeChat(latency=0.2)

    await Answer(chat, WORDS, 0.1, "Seen", 8.0, " whole.").is_shown()

    seen = next(call for call in chat.calls if call.method == "update")
    assert chat.history[1] == WORDS + "Seen"
    assert seen.until - 1000.1 < 1.7


async def test_edit_carries_the_text_of_the_moment_in_which_it_is_made() -> None:
    chat = FakeChat()
    turnstile = updates_only(2)  # one is the reserve, so there is no edit but the last

    await Answer(
        chat, WORDS, 1.0, "one ", 1.0, "two ", 50.0, "three ", 20.0, "four ", turnstile=turnstile
    ).is_shown()

    assert chat.history == [
        WORDS + "one two",
        WORDS + "one two three",
        WORDS + "one two three four",
    ]


async def test_edit_in_flight_is_never_overtaken_by_another() -> None:
    chance = random.Random(7)
    chat = FakeChat(latency=lambda: chance.uniform(0.05, 6.0))

    await Answer(chat, *growing(60)).is_shown()

    changes = [call for call in chat.calls if call.method in ("post", "update")]
    assert len(changes) > 5
    assert overlapping(changes) == []


async def test_edit_in_flight_is_not_cancelled_by_the_end() -> None:
    chat = FakeChat()
    chat.latencies["update"] = [5.0]

    await Answer(chat, WORDS, 1.0, "slow ", 1.0, "end").is_shown()

    assert chat.history == [WORDS.rstrip(), WORDS + "slow", WORDS + "slow end"]
    assert overlapping([call for call in chat.calls if call.method == "update"]) == []


async def test_answer_that_ends_while_its_first_words_are_posted_ends_whole() -> None:
    chat = FakeChat()
    chat.latencies["post"] = [3.0]

    await Answer(chat, WORDS, 1.0, "end").is_shown()

    assert chat.history == [WORDS.rstrip(), WORDS + "end"]


async def test_last_edit_is_made_as_soon_as_the_one_before_it_is_answered() -> None:
    chat = FakeChat(latency=0.2)
    answer = Answer(chat, *growing(20))

    await answer.is_shown()

    assert chat.screen == [answer.text.rstrip()]
    assert answer.shown_at - answer.ended_at <= 0.4


async def test_answer_without_news_is_not_edited() -> None:
    chat = FakeChat()

    await Answer(chat, WORDS, 100.0, "end").is_shown()

    assert len(chat.times("update")) == 1


# -- long answers


def paragraphs(count: int, *, every: float) -> list[Step]:
    steps: list[Step] = []
    for number in range(count):
        steps += [f"Paragraph {number} " + "has words to fill it. " * 4 + "\n\n", every]
    return steps


async def test_long_answer_goes_on_in_further_messages() -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat, *paragraphs(12, every=3.0), limit=400)

    await answer.is_shown()

    assert len(chat.screen) > 2
    assert all(len(part) <= 400 for part in chat.screen)
    assert "\n\n".join(chat.screen).split() == answer.text.split()


async def test_part_that_is_full_never_changes_again() -> None:
    chat = FakeChat(latency=0.1)
    history: dict[str, list[tuple[float, str]]] = {}
    answer = Answer(chat, *paragraphs(12, every=3.0), limit=400)

    showing = asyncio.create_task(answer.is_shown())
    while not showing.done():
        for ts, text in zip(chat.messages, chat.screen, strict=True):
            history.setdefault(ts, []).append((now(), text))
        await asyncio.sleep(0.5)

    tss = list(chat.messages)
    for ts, later in pairwise(tss):
        posted_later = history[later][0][0]
        assert len({text for at, text in history[ts] if at >= posted_later}) == 1


async def test_parts_say_which_they_are_and_which_is_the_last() -> None:
    chat = FakeChat(latency=0.1)

    await Answer(chat, *paragraphs(12, every=3.0), limit=400).is_shown()

    tags = [message["metadata"]["event_payload"] for message in chat.messages.values()]
    assert [tag["part"] for tag in tags] == list(range(len(tags)))
    assert [tag["is_last"] for tag in tags] == [False] * (len(tags) - 1) + [True]


async def test_long_answer_that_comes_at_once_is_posted_part_by_part_a_second_apart() -> None:
    chat = FakeChat(limits=slack_limits())
    answer = Answer(chat, *paragraphs(12, every=0.0), limit=400)

    await answer.is_shown()

    assert "\n\n".join(chat.screen).split() == answer.text.split()
    assert chat.refused == []
    assert all(after - before >= 1.0 for before, after in pairwise(chat.times("post")))


@pytest.mark.parametrize("updates", [1, 2, 3, 5])
async def test_long_answer_ends_whole_however_few_edits_there_are(updates: int) -> None:
    chat = FakeChat(latency=0.2, limits={"update": Limit(updates), "post": Limit(300)})
    answer = Answer(chat, *paragraphs(30, every=2.0), limit=400, turnstile=updates_only(updates))

    await answer.is_shown()

    assert "\n\n".join(chat.screen).split() == answer.text.split()
    assert chat.refused == []
    assert answer.shown_at - answer.ended_at < 60 + 1.05 * len(chat.screen) + 5


async def test_continuation_is_not_begun_where_its_last_edit_could_not_be_kept_back() -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat, *paragraphs(6, every=3.0), limit=400, turnstile=updates_only(1))

    await answer.is_shown()

    assert len(chat.times("update")) == 1  # the last edit of the first part, when it was full
    second = chat.times("post")[1]
    assert second >= answer.ended_at
    assert "\n\n".join(chat.screen).split() == answer.text.split()


# -- the model begins again


def rewriting(answer: Answer) -> Callable[[], object]:
    return lambda: answer.draft.restart()


async def test_text_that_people_see_never_shrinks_while_it_is_written_again() -> None:
    chat = FakeChat()
    answer = Answer(chat, "first attempt, thirty characters", 2.0)
    answer._script = (
        "first attempt, of some characters",
        2.0,
        lambda: answer.draft.restart(),
        "second attempt",
        5.0,
        " has more of them, in the end",
        5.0,
    )

    await answer.is_shown()

    assert chat.history[0] == "first attempt, of some characters"
    assert chat.screen == ["second attempt has more of them, in the end"]
    lengths = [len(text) for text in chat.history]
    assert lengths == sorted(lengths)


async def test_messages_that_a_shorter_second_attempt_does_not_need_are_deleted() -> None:
    chat = FakeChat()
    answer = Answer(chat, limit=400)
    answer._script = (
        *paragraphs(8, every=2.0),
        lambda: answer.draft.restart(),
        "In short: yes, certainly.",
        2.0,
    )

    await answer.is_shown()

    assert chat.screen == ["In short: yes, certainly."]


@pytest.mark.parametrize(
    "errors",
    [
        [RateLimited("Slack", 20.0)],
        [DOWN],
        [LOST],
        [SlackRefused("chat.delete", "message_not_found")],
    ],
)
async def test_deletion_that_fails_does_not_fail_the_answer(errors: list[Exception | None]) -> None:
    chat = FakeChat()
    chat.errors["delete"] = errors
    answer = Answer(chat, limit=400)
    answer._script = (*paragraphs(6, every=2.0), lambda: answer.draft.restart(), "In short: yes.")

    await answer.is_shown()

    assert chat.screen[0] == "In short: yes."


async def test_last_edit_stays_kept_back_while_an_earlier_part_is_written_again() -> None:
    chat = FakeChat()
    chat.latencies["update"] = [1.0]
    turnstile = updates_only(3)
    answer = Answer(chat, limit=400, turnstile=turnstile)
    written = [step for step in paragraphs(5, every=0.0) if isinstance(step, str)]
    rewritten = [text.upper() for text in written]
    answer._script = (*written, 9.0, answer.draft.restart, *rewritten, 20.0, "end")
    newcomers = [
        Answer(chat, WORDS, 20.0, turnstile=turnstile, asked=question(ts=f"{n}.0", channel=f"D{n}"))
        for n in range(2)
    ]

    await asyncio.gather(answer.is_shown(), *(one.is_shown(after=10.2) for one in newcomers))

    shown = "\n\n".join(chat.screen_of(answer.asked))
    assert shown.split() == [*"".join(rewritten).split(), "end"]
    assert all(one.shown_at - one.ended_at < 2 for one in [answer, *newcomers])


# -- a Slack that fails


FAILURES: list[Exception] = [
    RateLimited("Slack", 7.0),
    RateLimited("Slack", None),
    DOWN,
    Unavailable("Slack", "chat.update: ClientOSError"),
    LOST,
]


@pytest.mark.parametrize("error", FAILURES, ids=str)
async def test_answer_is_whole_and_stands_once_though_its_post_failed(error: Exception) -> None:
    chat = FakeChat()
    chat.errors["post"] = [error]
    answer = Answer(chat, *growing(10))

    await answer.is_shown()

    assert chat.screen == [answer.text.rstrip()]


@pytest.mark.parametrize("error", FAILURES, ids=str)
async def test_failed_interim_edit_is_not_repeated_and_the_next_carries_its_text(
    error: Exception,
) -> None:
    chat = FakeChat()
    chat.errors["update"] = [error]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two ", 20.0, "three")

    await answer.is_shown()

    assert chat.screen == [WORDS + "one two three"]
    failed_at, next_at = chat.times("update")[:2]
    assert next_at > failed_at


@pytest.mark.parametrize("error", FAILURES, ids=str)
async def test_answer_ends_whole_though_its_last_edit_fails(error: Exception) -> None:
    chat = FakeChat()
    chat.errors["update"] = [None, error, error, error]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two")

    await answer.is_shown()

    assert " ".join(chat.screen) == WORDS + "one two"


# -- a last edit for which there is no time


def refused(seconds: float = 30.0) -> RateLimited:
    return RateLimited("Slack", seconds)


async def test_rest_is_posted_at_once_where_slack_refuses_the_last_edit() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused()]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two. And three.")

    await answer.is_shown()

    assert chat.screen == [WORDS + "one", "two. And three."]
    assert answer.shown_at - answer.ended_at < 0.3
    assert chat.times("delete") == []
    tags = [message["metadata"]["event_payload"] for message in chat.messages.values()]
    assert [(tag["part"], tag["is_last"]) for tag in tags] == [(0, False), (1, True)]


async def test_rest_is_posted_at_once_where_all_edits_are_made() -> None:
    chat = FakeChat(latency=0.08)
    turnstile = updates_only(10)
    answer = Answer(chat, *growing(6), turnstile=turnstile)
    for _ in range(10):
        asyncio.get_running_loop().call_later(5.9, turnstile._pacer._updates.take, 0.0)

    await answer.is_shown()

    assert len(chat.screen) == 2
    assert joined(chat, answer).split() == answer.text.split()
    assert answer.shown_at - answer.ended_at < 0.3


async def test_next_part_does_not_wait_for_an_edit_that_would_change_nothing() -> None:
    chat = FakeChat(latency=0.05)
    chat.errors["update"] = [None, refused()]
    first = ("word " * 38).strip()
    script = (first[:100], 1.0, first[100:] + "\n\n", 3.0, "other " * 30, 0.5, "end words here.")
    answer = Answer(chat, *script, limit=200)

    await answer.is_shown()

    assert " ".join(chat.screen).split() == answer.text.split()
    assert answer.shown_at - answer.ended_at < 3.0


async def test_answer_sealed_within_a_word_is_posted_anew_and_the_old_message_deleted() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused()]
    answer = Answer(chat, WORDS, 5.0, "unfin", 20.0, "ished words.")

    await answer.is_shown()

    assert chat.screen == [WORDS + "unfinished words."]
    assert len(chat.times("post")) == 2
    assert len(chat.times("delete")) == 1
    assert answer.reply.whole_at is not None
    assert answer.reply.whole_at - answer.ended_at < 0.3
    assert chat.times("delete")[0] > chat.times("post")[1]


async def test_answer_that_is_all_visible_waits_for_its_last_edit_and_posts_no_more() -> None:
    chat = FakeChat()
    chat.errors["update"] = [None, refused(90.0)]

    await Answer(chat, WORDS, 5.0, "one", 20.0).is_shown()

    assert chat.screen == [WORDS + "one"]
    assert len(chat.times("post")) == 1
    _, refused_at, again = chat.times("update")
    assert again - refused_at == pytest.approx(90.0)
    [message] = chat.messages.values()
    assert message["metadata"]["event_payload"]["is_last"]


async def test_sealed_code_goes_on_in_a_fence_of_its_own() -> None:
    chat = FakeChat()
    chat.errors["update"] = [None, refused()]
    code = "```py\nfirst = 1\nsecond = 2\n"

    await Answer(chat, code, 5.0, "third = 3\n", 20.0, "fourth = 4\n```\nDone.").is_shown()

    assert chat.screen == [code + "third = 3\n```", "```py\nfourth = 4\n```\nDone."]


@pytest.mark.parametrize("word", ["word ", "wor"], ids=["sealed", "stranded"])
@pytest.mark.parametrize("error", [LOST, DOWN, refused(3.0)], ids=str)
async def test_rest_whose_post_fails_stands_once(error: Exception, word: str) -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused()]
    chat.errors["post"] = [None, error]
    answer = Answer(chat, WORDS, 5.0, word, 20.0, "ds and more of them.")

    await answer.is_shown()

    assert joined(chat, answer).split() == answer.text.split()
    assert len(chat.screen) == (2 if word == "word " else 1)
    assert len(chat.times("post")) == (2 if error is LOST else 3)


async def test_part_that_is_full_is_sealed_too_where_its_last_edit_is_refused() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, None, refused()]
    answer = Answer(chat, *paragraphs(12, every=3.0), limit=400)

    await answer.is_shown()

    assert joined(chat, answer).split() == answer.text.split()


async def test_answer_that_broke_says_so_at_once_though_slack_refuses_the_last_edit() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused()]
    answer = Answer(chat)
    answer._script = (WORDS, 5.0, "one.", 20.0, lambda: answer.draft.end("It broke."), 0.0)

    await answer.is_shown()

    assert chat.screen == [WORDS + "one.\n[It broke.]"]
    assert answer.reply.whole_at is not None
    assert answer.reply.whole_at - answer.ended_at < 0.3


async def test_text_stands_once_where_an_edit_was_lost_before_edits_were_refused() -> None:
    chat = FakeChat(latency=0.1)
    chat.errors["update"] = [None, LOST, refused()]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two. ", 2.0, "And three.")

    await answer.is_shown()

    assert chat.screen == [WORDS + "one two. And three."]


@settings(deadline=None, max_examples=25)
@given(
    scripts=st.lists(
        st.one_of(
            st.sampled_from(["word ", "unfin", "ished ", "\n\n", "- item\n", "**bold** "]),
            st.sampled_from(["```py\ncode\n```\n", "|a|b|\n|-|-|\n|1|2|\n", "```\nopen\n"]),
            st.floats(0.5, 8.0),
        ),
        max_size=14,
    ),
    errors=st.lists(
        st.sampled_from([None, None, refused(2.0), refused(30.0), LOST, DOWN]), max_size=8
    ),
)
async def test_whatever_slack_refuses_nothing_is_lost_and_nothing_stands_twice(
    scripts: list[Step], errors: list[Exception | None]
) -> None:
    chat = FakeChat(latency=0.1)
    chat.errors = {"update": list(errors), "post": list(reversed(errors))}
    answer = Answer(chat, WORDS, *scripts, "end")

    await answer.is_shown()

    assert squeezed(joined(chat, answer)) == squeezed(close(answer.text))


def squeezed(text: str) -> str:
    return "".join(text.split())


# -- posts whose answer was lost


async def test_lost_post_that_took_effect_is_found_and_goes_on() -> None:
    chat = FakeChat(latency=0.1)
    chat.errors["post"] = [LOST]

    await Answer(chat, *growing(10)).is_shown()

    assert len(chat.times("post")) == 1
    assert len(chat.messages) == 1


async def test_lost_post_that_took_no_effect_is_posted_again() -> None:
    chat = FakeChat(latency=0.1)
    chat.errors["post"] = [DOWN]

    await Answer(chat, *growing(10)).is_shown()

    assert len(chat.times("post")) == 2
    assert len(chat.messages) == 1


async def test_lost_post_is_looked_for_until_slack_says_whether_it_is_there() -> None:
    chat = FakeChat()
    chat.errors["post"] = [LOST]
    chat.errors["find_reply"] = [DOWN, RateLimited("Slack", 5.0), DOWN]

    await Answer(chat, *growing(30)).is_shown()

    assert len(chat.times("find_reply")) == 4
    assert len(chat.times("post")) == 1


async def test_lost_post_of_a_continuation_is_found_too() -> None:
    chat = FakeChat()
    chat.errors["post"] = [None, LOST]
    answer = Answer(chat, *paragraphs(12, every=3.0), limit=400)

    await answer.is_shown()

    assert len(chat.times("post")) == len(chat.messages)
    assert "\n\n".join(chat.screen).split() == answer.text.split()


async def test_lost_post_of_a_whole_answer_stands_once() -> None:
    chat = FakeChat()
    chat.errors["post"] = [LOST]

    await Answer(chat, "Yes.").is_shown()

    assert chat.screen == ["Yes."]


async def test_edit_is_kept_back_for_a_post_that_may_have_been_lost() -> None:
    chat = FakeChat()
    chat.errors["post"] = [LOST]
    chat.errors["find_reply"] = [DOWN] * 3
    turnstile = updates_only(1)
    first = Answer(chat, WORDS, 30.0, "end", turnstile=turnstile)
    second = Answer(chat, WORDS, 30.0, "end", turnstile=turnstile, asked=question(ts="2.2"))

    await asyncio.gather(first.is_shown(), second.is_shown(after=2.0))

    assert first.shown_at - first.ended_at < 1
    assert second.shown_at - second.ended_at < 3
    assert len(chat.times("update")) == 1


@pytest.mark.parametrize("since", [0.1, 6.0, 19.0])
async def test_answer_ends_whole_after_minutes_without_slack(since: float) -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat, *growing(20))
    chat.down_until = -1.0

    def goes_down() -> None:
        chat.down_until = now() + 170.0

    asyncio.get_running_loop().call_later(since, goes_down)
    await answer.is_shown()

    assert chat.screen == [answer.text.rstrip()]
    assert len(chat.times("update")) < 60
    assert len(chat.times("post")) < 15


async def test_slack_that_stays_away_is_given_up_in_the_end() -> None:
    chat = FakeChat()
    chat.down_until = 1e9

    with pytest.raises(Unavailable):
        await Answer(chat, *growing(20)).is_shown()

    assert now() - 1000 > 180
    assert len(chat.times("post")) <= 12


async def test_interim_edits_that_fail_at_once_do_not_hammer_slack() -> None:
    chat = FakeChat()
    chat.errors["update"] = [DOWN] * 1000
    answer = Answer(chat, *growing(120), lambda: chat.errors.clear())

    await answer.is_shown()

    times = chat.times("update")
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= 48
    assert chat.screen == [answer.text.rstrip()]


async def test_replies_whose_edits_all_fail_at_once_do_not_hammer_slack_together() -> None:
    chat = FakeChat()
    chat.errors["update"] = [DOWN] * 1000
    turnstile = Turnstile(Pacer())
    answers = [
        Answer(chat, *growing(30), 30.0, chat.errors.clear, turnstile=turnstile, asked=asked)
        for asked in (question(ts=f"{n}.0", channel=f"C{n}") for n in range(20))
    ]

    await asyncio.gather(*(answer.is_shown() for answer in answers))

    times = chat.times("update")
    assert max(sum(at <= other < at + 60 for other in times) for at in times) <= 48
    assert all(chat.screen_of(answer.asked) == [answer.text.rstrip()] for answer in answers)


async def test_deleted_reply_ends_the_following() -> None:
    chat = FakeChat()

    with pytest.raises(ReplyGone):
        await Answer(chat, WORDS, 5.0, chat.messages.clear, "more ", 1000.0).is_shown()

    assert now() - 1000 < 10


async def test_refused_post_ends_the_following_at_once() -> None:
    chat = FakeChat()
    chat.errors["post"] = [SlackRefused("chat.postMessage", "is_archived")]

    with pytest.raises(SlackRefused):
        await Answer(chat, *growing(20)).is_shown()

    assert chat.status == ""
    assert len(chat.times("post")) == 1


async def test_refusal_holds_the_edits_of_all_replies() -> None:
    chat = FakeChat()
    turnstile = Turnstile(Pacer())
    chat.errors["update"] = [None, None, RateLimited("Slack", 20.0)]
    answers = [
        Answer(
            chat, *growing(40), turnstile=turnstile, asked=question(ts=f"{n}.0", channel=f"C{n}")
        )
        for n in range(5)
    ]

    await asyncio.gather(*(answer.is_shown() for answer in answers))

    refused = chat.times("update")[2]
    assert [at for at in chat.times("update")[3:] if at < refused + 20] == []
    assert all(joined(chat, answer).split() == answer.text.split() for answer in answers)


async def test_reply_whose_edit_failed_keeps_its_place_before_those_that_waited_less() -> None:
    chat = FakeChat()
    turnstile = Turnstile(Pacer())
    await Answer(chat, *growing(8), turnstile=turnstile).is_shown()
    chat.calls.clear()
    chat.errors["update"] = [RateLimited("Slack", 70.0), None, DOWN]
    answers = [
        Answer(
            chat, WORDS, at, "more ", 200.0, turnstile=turnstile, asked=question(channel=channel)
        )
        for channel, at in [("CLATE", 4.5), ("COLD", 3.5), ("CREFUSED", 2.5)]
    ]

    await asyncio.gather(*(answer.is_shown() for answer in answers))

    edited = [call.channel for call in chat.calls if call.method == "update"]
    assert edited[:5] == ["CREFUSED", "CREFUSED", "COLD", "COLD", "CLATE"]


async def test_refused_post_is_not_there_so_it_is_not_looked_for() -> None:
    chat = FakeChat()
    chat.errors["post"] = [RateLimited("Slack", 3.0)]

    await Answer(chat, *growing(10)).is_shown()

    assert chat.times("find_reply") == []
    assert len(chat.times("post")) == 2


# -- what the answer waits for


async def test_status_is_there_before_any_words() -> None:
    chat = FakeChat(latency=0.1)

    await Answer(chat, 5.0, WORDS, 5.0).is_shown()

    assert chat.calls[0].method == "set_status"
    assert chat.statuses == [THINKING, ""]


async def test_waiting_is_told_in_the_status_before_the_first_words() -> None:
    chat = FakeChat()
    answer = Answer(chat)
    answer._script = (
        1.0,
        lambda: answer.reply.tell(answer.draft, "the tide is out"),
        10.0,
        lambda: answer.reply.tell(answer.draft, ""),
        WORDS,
        5.0,
    )

    await answer.is_shown()

    assert chat.statuses[:2] == [THINKING, "is waiting: the tide is out..."]
    assert chat.history == [WORDS.rstrip()] * 2  # posted, and then declared its last


async def test_waiting_is_told_beneath_the_text_and_goes_when_it_goes_on() -> None:
    chat = FakeChat()
    answer = Answer(chat)
    answer._script = (
        WORDS,
        5.0,
        lambda: answer.reply.tell(answer.draft, "the tide is out"),
        10.0,
        lambda: answer.reply.tell(answer.draft, ""),
        5.0,
        "end",
    )

    await answer.is_shown()

    assert chat.history == [
        WORDS.rstrip(),
        WORDS.rstrip() + "\n[Waiting: the tide is out.]",
        WORDS.rstrip(),
        WORDS + "end",
    ]


async def test_waiting_told_while_the_first_words_are_posted_does_not_stay_as_status() -> None:
    chat = FakeChat()
    chat.latencies["post"] = [2.0]
    answer = Answer(chat)
    answer._script = (
        1.0,
        WORDS,
        1.5,  # Slack shows them already, but its answer is still on its way
        lambda: answer.reply.tell(answer.draft, "the tide is out"),
        30.0,
        "end",
    )

    await answer.is_shown()

    assert chat.statuses == [THINKING, "", "is waiting: the tide is out...", ""]


async def test_waiting_is_posted_where_there_is_no_status_line() -> None:
    chat = FakeChat()
    answer = Answer(chat, signs=Signs(status_line=False))
    answer._script = (
        lambda: answer.reply.tell(answer.draft, "the tide is out"),
        10.0,
        lambda: answer.reply.tell(answer.draft, ""),
        "Yes.",
    )

    await answer.is_shown()

    assert chat.history == ["[Waiting: the tide is out.]", "Yes."]
    assert chat.reactions == set()


async def test_sign_that_breaks_does_not_break_the_answer() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [KeyError("odd")]

    await Answer(chat, WORDS).is_shown()

    assert chat.screen == [WORDS.rstrip()]


# -- cancelled


@pytest.mark.parametrize("after", [0.0, 0.05, 0.5, 5.0, 21.0])
async def test_reply_that_is_cancelled_ends_at_once_and_leaves_nothing_behind(
    after: float,
) -> None:
    chat = FakeChat(latency=0.1)
    chat.latencies["set_status"] = [0.1, 10.0, 10.0]
    answer = Answer(chat, *growing(20), turnstile=updates_only(3))
    showing = asyncio.create_task(answer.is_shown())
    await asyncio.sleep(after)

    showing.cancel()
    await asyncio.wait({showing})

    assert now() - 1000 <= after + 0.1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert answer.turnstile._waiting == {}
    assert answer.turnstile._timer is None
    assert not answer.turnstile._pacer._claims


# -- a crowd


class Crowd:
    """Answers in one workspace, all through one turnstile."""

    def __init__(
        self, chat: FakeChat, turnstile: Turnstile, scripts: list[list[Step]], *, channels: int
    ) -> None:
        self.chat = chat
        self.answers = [
            Answer(
                chat,
                *script,
                turnstile=turnstile,
                asked=question(ts=f"{number}.000001", channel=f"C{number % channels}"),
            )
            for number, script in enumerate(scripts)
        ]

    async def are_shown(self, *, after: list[float]) -> None:
        await asyncio.gather(
            *(
                answer.is_shown(after=delay)
                for answer, delay in zip(self.answers, after, strict=True)
            )
        )

    @property
    def is_whole(self) -> bool:
        return all(
            self.chat.screen_of(answer.asked) == [answer.text.rstrip()] for answer in self.answers
        )

    @property
    def delays(self) -> list[float]:
        """How long after its end each answer was all on screen."""
        return sorted(answer.shown_at - answer.ended_at for answer in self.answers)


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize("seconds", [8.0, 40.0])
async def test_many_answers_at_once_all_end_whole_and_soon_and_none_is_refused(
    count: int, seconds: float
) -> None:
    chance = random.Random(count)
    chat = FakeChat(latency=lambda: chance.uniform(0.1, 0.4), limits=slack_limits())
    scripts = [growing(seconds * chance.uniform(0.8, 1.2)) for _ in range(count)]
    crowd = Crowd(chat, Turnstile(Pacer()), scripts, channels=count)

    await crowd.are_shown(after=[chance.uniform(0, 3) for _ in range(count)])

    assert crowd.is_whole
    assert chat.refused == []
    assert crowd.delays[-1] < 1.5


async def test_sixty_answers_in_one_channel_end_as_fast_as_it_takes_posts() -> None:
    chat = FakeChat(latency=0.2, limits=slack_limits())
    crowd = Crowd(chat, Turnstile(Pacer()), [growing(10)] * 60, channels=1)

    await crowd.are_shown(after=[0.0] * 60)

    assert crowd.is_whole
    assert chat.refused == []
    assert now() - 1000 < 60 * 1.3 + 5


async def test_answer_that_cannot_keep_back_its_last_edit_is_posted_whole_at_its_end() -> None:
    chat = FakeChat(latency=0.1)
    crowd = Crowd(chat, updates_only(2), [growing(20)] * 3, channels=3)

    await crowd.are_shown(after=[0.0, 0.0, 1.0])

    whole = crowd.answers[2]
    assert crowd.is_whole
    assert chat.history.count(whole.text.rstrip()) == 3
    assert [call.at for call in chat.calls if call.method == "post"][2] == whole.ended_at
    assert whole.shown_at - whole.ended_at < 0.5


async def test_last_edit_comes_before_the_interim_edits_of_others() -> None:
    chat = FakeChat(latency=0.1)
    turnstile = Turnstile(Pacer(Limits(updates=12)))
    crowd = Crowd(chat, turnstile, [growing(100)] * 5 + [growing(30)], channels=6)

    await crowd.are_shown(after=[0.0] * 6)

    assert crowd.is_whole
    short = crowd.answers[-1]
    assert short.shown_at - short.ended_at < 0.5


async def test_answers_that_all_keep_growing_are_edited_in_turn() -> None:
    chat = FakeChat(latency=0.1)
    crowd = Crowd(chat, Turnstile(Pacer()), [growing(120)] * 8, channels=8)

    await crowd.are_shown(after=[0.3 * number for number in range(8)])

    edits = Counter(call.ts for call in chat.calls if call.method == "update" and call.at < 1110)
    assert len(edits) == 8
    assert max(edits.values()) - min(edits.values()) <= 3


async def test_answer_among_newcomers_is_not_forgotten() -> None:
    """New answers come all the time; the first still grows on screen."""
    chat = FakeChat(latency=0.1)
    scripts = [growing(90)] + [growing(4)] * 40
    crowd = Crowd(chat, Turnstile(Pacer()), scripts, channels=41)

    await crowd.are_shown(after=[0.0] + [2.0 * number for number in range(40)])

    first = next(iter(chat.messages))
    edits = [call.at for call in chat.calls if call.method == "update" and call.ts == first]
    assert max(later - earlier for earlier, later in pairwise(edits)) < 50


scripts = st.lists(
    st.one_of(
        st.text("abc \n", min_size=1, max_size=30),
        st.floats(0.01, 8.0),
    ),
    max_size=12,
)
arrivals = st.lists(st.tuples(st.floats(0, 60), scripts), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(arrivals=arrivals, seed=st.integers(0, 1000), updates=st.integers(1, 6))
async def test_whatever_arrives_slack_refuses_nothing_and_every_answer_ends_whole(
    arrivals: list[tuple[float, list[Step]]], seed: int, updates: int
) -> None:
    chance = random.Random(seed)
    chat = FakeChat(
        latency=lambda: chance.choice([0.0, 0.1, 0.3, 2.0, 10.0]),
        limits={"update": Limit(updates), "post": Limit(5)},
    )
    turnstile = Turnstile(Pacer(Limits(updates=updates, posts=5)))
    written = [[WORDS, *script, "end"] for _, script in arrivals]
    crowd = Crowd(chat, turnstile, written, channels=3)

    await crowd.are_shown(after=[after for after, _ in arrivals])

    assert chat.refused == []
    assert crowd.is_whole
    assert turnstile._waiting == {}
    assert turnstile._timer is None


# -- where Slack refuses


@pytest.mark.parametrize("code", ["edit_window_closed", "cant_update_message", "is_inactive"])
async def test_answer_that_may_not_be_edited_is_posted_whole_in_place_of_what_stood_there(
    code: str,
) -> None:
    chat = FakeChat()
    chat.errors["update"] = [SlackRefused("chat.update", code)] * 3
    answer = Answer(chat, *growing(20))

    await answer.is_shown()

    assert chat.screen == [answer.text.rstrip()]
    assert len(chat.times("update")) == 1
    assert len(chat.times("post")) == 2


async def test_refused_further_part_is_told_beneath_the_one_that_stands_there() -> None:
    chat = FakeChat()
    chat.errors["post"] = [None, SlackRefused("chat.postMessage", "restricted_action")]
    lines = [f"Line {number} of a long answer.\n\n" for number in range(60)]

    with pytest.raises(SlackRefused):
        await Answer(chat, *lines, limit=600).is_shown()

    assert len(chat.screen) == 1
    assert chat.screen[0].endswith("so it ends here. The reason is in my log.]")


async def test_old_part_that_may_not_be_deleted_says_that_it_is_none() -> None:
    chat = FakeChat()
    chat.errors["delete"] = [SlackRefused("chat.delete", "cant_delete_message")]
    answer = Answer(chat, limit=600)
    answer._script = (
        *(f"Line {number} of a long answer.\n\n" for number in range(40)),
        5.0,
        answer.draft.restart,
        "Short this time.",
    )

    await answer.is_shown()

    assert chat.screen[0] == "Short this time."
    assert set(chat.screen[1:]) == {"[This message is no longer part of the answer.]"}


async def test_answer_is_whole_when_its_last_edit_lands_however_long_the_sign_takes() -> None:
    chat = FakeChat()
    chat.errors["set_status"] = [SlackRefused("assistant.threads.setStatus", "missing_scope")]
    chat.errors["remove_reaction"] = [RateLimited("Slack", 50.0)]
    answer = Answer(chat, WORDS, 3.0, "And more.")

    await answer.is_shown()

    assert answer.reply.whole_at == 1003.0


# -- buttons


def pressable(chat: FakeChat) -> list[list[str]]:
    return [buttons(message) for message in chat.messages.values()]


async def test_growing_answer_can_be_stopped_and_a_whole_one_judged() -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat, WORDS, 2.0, "More.")
    seen: list[list[list[str]]] = []
    asyncio.get_running_loop().call_later(1.0, lambda: seen.append(pressable(chat)))

    await answer.is_shown()

    assert seen == [[["stop"]]]
    assert pressable(chat) == [[]]  # this end offered nothing


async def test_of_a_long_answer_only_the_growing_part_can_be_stopped() -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat, *paragraphs(12, every=3.0), limit=400)
    seen: list[list[list[str]]] = []
    asyncio.get_running_loop().call_later(20.0, lambda: seen.append(pressable(chat)))

    await answer.is_shown()

    *earlier, last = seen[0]
    assert earlier == [[]] * len(earlier)
    assert last == ["stop"]


async def test_stop_beneath_a_part_that_was_sealed_goes_when_an_edit_is_to_spare() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused()]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two. And three.")
    await answer.is_shown()
    before = pressable(chat)

    has_idle = answer.reply.has_idle_buttons(answer.draft)
    await answer.reply.take_buttons_away(answer.draft)

    assert (before, has_idle) == ([["stop"], []], True)
    assert pressable(chat) == [[], []]
    assert chat.screen == [WORDS + "one", "two. And three."]


async def test_stop_beneath_a_sealed_part_stays_where_no_edit_can_be_had() -> None:
    chat = FakeChat(latency=0.08)
    chat.errors["update"] = [None, refused(600.0)]
    answer = Answer(chat, WORDS, 5.0, "one ", 20.0, "two. And three.")
    await answer.is_shown()

    await answer.reply.take_buttons_away(answer.draft)

    assert pressable(chat) == [["stop"], []]
    assert answer.turnstile._waiting == {}


async def test_whole_text_gets_its_other_buttons_though_nothing_else_changes() -> None:
    chat = FakeChat(latency=0.1)
    answer = Answer(chat)

    def ends() -> None:
        answer.draft.end(offers=WHOLE)
        answer.reply.hurry()

    answer._script = (WORDS, 2.0, ends, 5.0)

    with contextlib.suppress(asyncio.CancelledError):  # of what the script would still do
        await answer.is_shown()

    assert chat.screen == [WORDS.rstrip()]
    assert pressable(chat) == [["rate", "more"]]


async def test_answer_whose_buttons_slack_does_not_take_keeps_its_markdown() -> None:
    chat, signs = FakeChat(), Signs()
    chat.errors["post"] = [SlackRefused("chat.postMessage", "invalid_blocks")]
    answer = Answer(chat, WORDS, 2.0, "More.", signs=signs)

    await answer.is_shown()

    (message,) = chat.messages.values()
    assert message["blocks"] == [{"type": "markdown", "text": WORDS + "More."}]
    assert signs.buttons is False


async def test_no_other_answer_tries_buttons_that_slack_does_not_take() -> None:
    chat, signs = FakeChat(), Signs(buttons=False)
    seen: list[list[list[str]]] = []
    asyncio.get_running_loop().call_later(1.0, lambda: seen.append(pressable(chat)))

    await Answer(chat, WORDS, 2.0, "More.", signs=signs).is_shown()

    assert seen == [[[]]]


async def test_answer_that_slack_takes_only_plainly_says_nothing_of_its_buttons() -> None:
    chat, signs = FakeChat(), Signs()
    unfit = SlackRefused("chat.postMessage", "invalid_blocks")
    chat.errors["post"] = [unfit, unfit]

    await Answer(chat, WORDS, 2.0, "More.", signs=signs).is_shown()

    (message,) = chat.messages.values()
    assert message["blocks"][0]["type"] == "section"
    assert signs.buttons is True
