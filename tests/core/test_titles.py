"""Sessions in the direct messages are named after their first question."""

import pytest

from bot.errands import Errands
from bot.errors import SlackRefused, Unavailable
from bot.messages import Question
from bot.titles import LONGEST, Titles, title_of

QUESTION = Question("T1", "D1", "1.0", "1.0", "UANA", "What is <@UBEN> up to?")


class Sessions:
    def __init__(self, *errors: Exception) -> None:
        self.titles: dict[str, str] = {}
        self.calls = 0
        self._errors = list(errors)

    async def entitle(self, channel: str, thread_ts: str, title: str) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        self.titles[thread_ts] = title


async def named(sessions: Sessions, *questions: Question, is_new: bool = True) -> dict[str, str]:
    async def accept(_: Question) -> bool:
        return is_new

    errands = Errands()
    names = {"UBEN": "Ben"}.get
    titles = Titles(accept, sessions=sessions, known_name=names, errands=errands)
    for question in questions:
        assert await titles.accept(question) is is_new
        await errands.finished(within=1)
    return sessions.titles


def question(
    text: str = "Hi.", *, channel: str = "D1", ts: str = "1.0", thread_ts: str = "1.0"
) -> Question:
    return Question("T1", channel, ts, thread_ts, "UANA", text)


async def test_session_is_named_after_its_first_question() -> None:
    assert await named(Sessions(), QUESTION) == {"1.0": "What is @Ben up to?"}


async def test_later_questions_and_channels_and_redeliveries_name_nothing() -> None:
    assert await named(Sessions(), question(ts="2.0"), question(channel="C1")) == {}
    assert await named(Sessions(), QUESTION, is_new=False) == {}


async def test_wordless_question_names_nothing() -> None:
    assert await named(Sessions(), question("  ")) == {}


async def test_workspace_without_sessions_is_not_asked_again() -> None:
    sessions = Sessions(SlackRefused("agents.sessions.rename", "feature_not_enabled"))

    assert await named(sessions, question(), question(ts="2.0", thread_ts="2.0")) == {}
    assert sessions.calls == 1


async def test_refusal_that_is_about_one_session_costs_only_its_name() -> None:
    sessions = Sessions(SlackRefused("agents.sessions.rename", "thread_not_found"))

    assert await named(sessions, question(), question(ts="2.0", thread_ts="2.0")) == {"2.0": "Hi."}


async def test_name_that_was_lost_costs_only_itself() -> None:
    sessions = Sessions(Unavailable("Slack", "down"))

    assert await named(sessions, question(), question(ts="2.0", thread_ts="2.0")) == {"2.0": "Hi."}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("*Why* is\n\nit _so_?", "Why is it _so_?"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("```code```", "code"),
        ("see <https://x.io|this>", "see [this](https://x.io)"),
        ("x" * 100, "x" * (LONGEST - 1) + "…"),
        ("word " * 30, "word " * 11 + "word…"),
        ("", ""),
    ],
)
def test_title_is_one_line_of_bounded_length(text: str, title: str) -> None:
    assert title_of(text, {}) == title
    assert len(title) <= LONGEST
