"""What Slack gets to show."""

import html
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import errors
from bot.blocks import escape
from bot.draft import PART_LIMIT, Draft, Part
from bot.messages import Outcome, TurnKey
from bot.views import TEXT_LIMIT, notice_message, reply_message, wordless
from tests.core.fakes import question
from tests.core.ping_finder import pings

TURN = TurnKey("T1", "C1", "1700000000.000100")
INTERIM = 150


def fallback(part: Part) -> str:
    return str(reply_message(part, turn=TURN, number=0)["text"])


def final(text: str, notice: str = "") -> Part:
    return Part(text, notice, is_last=True, is_final=True)


# -- blocks


def test_answer_stands_alone_in_its_block() -> None:
    message = reply_message(Part("**So** <b>"), turn=TURN, number=0)

    assert message["blocks"] == [{"type": "markdown", "text": "**So** <b>"}]


def test_notice_stands_beneath_it_in_another() -> None:
    message = reply_message(Part("So", "Waiting: a & <b>."), turn=TURN, number=0)

    assert [block["type"] for block in message["blocks"]] == ["markdown", "context"]
    assert message["blocks"][1]["elements"] == [
        {"type": "mrkdwn", "text": "Waiting: a &amp; &lt;b&gt;.", "verbatim": True}
    ]


def test_notice_alone_is_all_there_is() -> None:
    message = reply_message(Part("", "It broke."), turn=TURN, number=0)

    assert [block["type"] for block in message["blocks"]] == ["context"]
    assert message["text"] == "It broke."


def test_message_without_words_is_never_without_blocks() -> None:
    message = reply_message(Part(""), turn=TURN, number=0)

    assert message["blocks"][0]["elements"][0]["text"] == "..."


def test_notice_message_has_no_markdown_block_and_no_metadata() -> None:
    message = notice_message("a < b")

    assert [block["type"] for block in message["blocks"]] == ["context"]
    assert message["text"] == "a &lt; b"
    assert "metadata" not in message


# -- metadata


def test_metadata_names_turn_and_part() -> None:
    message = reply_message(Part("So"), turn=TURN, number=2, rank=(3, 2))

    assert message["metadata"] == {
        "event_type": "llm_reply",
        "event_payload": {
            "turn": "T1:C1:1700000000.000100",
            "part": 2,
            "is_last": False,
            "asked": 1,
            "life": 3,
            "post": 2,
        },
    }


@pytest.mark.parametrize("outcome", ["complete", "failed"])
def test_metadata_of_the_end_says_so_and_what_came_of_the_answer(outcome: Outcome) -> None:
    part = replace(final("So"), outcome=outcome)

    tag = reply_message(part, turn=TURN, number=0)["metadata"]["event_payload"]
    assert (tag["is_last"], tag["outcome"]) == (True, outcome)


# -- the text for notifications


def test_short_answer_is_its_own_fallback() -> None:
    assert fallback(final("So it is.")) == "So it is."


def test_notice_is_read_out_too() -> None:
    assert fallback(final("So", "It broke.")) == "So\n\nIt broke."


def test_fallback_is_escaped() -> None:
    assert fallback(final("a < b & c > d &lt;")) == "a &lt; b &amp; c &gt; d &amp;lt;"


def test_long_answer_is_cut_at_what_slack_takes() -> None:
    text = fallback(final("x" * PART_LIMIT))

    assert TEXT_LIMIT - 2 <= len(text) <= TEXT_LIMIT
    assert text.endswith("x…")


def test_interim_fallback_is_short() -> None:
    text = fallback(Part("x" * PART_LIMIT))

    assert INTERIM - 2 <= len(text) <= INTERIM


@pytest.mark.parametrize("characters", ["<", "&", "<a>", "x" * 99 + "&&&&"])
def test_answer_full_of_escapes_keeps_what_fits(characters: str) -> None:
    text = fallback(final(characters * (5_000 // len(characters))))

    assert TEXT_LIMIT - 8 <= len(text) <= TEXT_LIMIT
    assert html.unescape(text).startswith(characters)


TEXTS = st.lists(
    st.sampled_from(
        [
            "x" * 30,
            " ",
            "<",
            ">",
            "&",
            "&amp;",
            "<@U1>",
            "<!here>",
            "@here",
            "@channel_x",
            "字",
            "😀",
        ]
    ),
    max_size=60,
).map("".join)


@given(text=TEXTS, notice=st.sampled_from(["", "Too many requests."]), times=st.integers(1, 9))
@settings(deadline=None, max_examples=100)
def test_fallback_fits_is_escaped_and_does_not_ping(text: str, notice: str, times: int) -> None:
    draft = Draft()
    draft.push(text * times)
    draft.end(notice)
    finals = draft.parts()
    for part in (*finals, Part(finals[0].text, notice)):
        shown = fallback(part)

        assert len(shown) <= (TEXT_LIMIT if part.is_final else INTERIM)
        assert escape(html.unescape(shown)) == shown
        assert pings(shown) == []
        assert shown.rstrip() or not (part.text or part.notice)


@pytest.mark.parametrize("before", range(INTERIM - 14, INTERIM + 1))
def test_cutting_the_fallback_makes_no_ping(before: int) -> None:
    text = fallback(Part("字" * before + "@channel_list" + "y" * 99))

    assert pings(text) == []


# -- what the bot says for itself


def sentences() -> list[str]:
    known = [error.sentence for error in every_error()]
    return [*known, wordless(question()), wordless(question(channel="D1"))]


def every_error() -> list[errors.BotError]:
    services: tuple[errors.Service, ...] = ("Slack", "the model")
    return [
        *(errors.RateLimited(service, 7.0) for service in services),
        *(
            errors.Unavailable(service, "chat.update: ReadError at 10.0.0.7")
            for service in services
        ),
        errors.StreamBroken("ReadError at 10.0.0.7"),
        errors.SlackRefused("chat.postMessage", "channel_not_found"),
        *(kind("sk-secret at 10.0.0.7") for kind in errors.ModelError.__subclasses__()),
        errors.ThreadUnreadable("missing_scope"),
        errors.Interrupted(),
        errors.BotError("sk-secret"),
    ]


@pytest.mark.parametrize("sentence", sentences())
def test_sentence_ends_fits_and_pings_nobody(sentence: str) -> None:
    assert sentence.endswith(".")
    assert len(sentence) < 250
    assert pings(sentence) == []
    assert escape(sentence) == sentence


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_sentence_tells_nothing_that_belongs_in_the_log(error: errors.BotError) -> None:
    for secret in ("sk-secret", "10.0.0.7", "ReadError", "chat.", "_not_found", "missing_scope"):
        assert secret not in error.sentence


def test_what_a_person_can_do_differs_by_what_happened() -> None:
    different = [
        errors.KeyRejected(),
        errors.QuotaUsedUp(),
        errors.ModelNotFound(),
        errors.QuestionTooLong(),
        errors.ContentFiltered(),
        errors.CutAtTokenLimit(),
        errors.EmptyAnswer(),
        errors.RequestRefused(),
        errors.Interrupted(),
        errors.StreamBroken("x"),
        errors.Unavailable("Slack", "x"),
        errors.Unavailable("the model", "x"),
        errors.RateLimited("Slack", None),
        errors.RateLimited("the model", None),
    ]

    assert len({error.sentence for error in different}) == len(different)


def test_errors_say_how_the_answer_ended() -> None:
    assert errors.CutAtTokenLimit().outcome == "cut"
    assert errors.Interrupted().outcome == "stopped"
    assert errors.ReplyGone().outcome == "stopped"
    assert errors.KeyRejected().outcome == "failed"


def test_waits_are_told_apart() -> None:
    assert errors.RateLimited("Slack", 3.0).waiting == "Slack is limiting requests"
    assert errors.Unavailable("the model", "x").waiting == "the model does not answer"
    assert errors.StreamBroken("x").waiting == "the connection to the model broke"


def test_log_reads_what_the_person_does_not() -> None:
    assert str(errors.Unavailable("Slack", "chat.update: HTTP 503")) == (
        "Slack: chat.update: HTTP 503"
    )
    assert str(errors.SlackRefused("chat.update", "msg_too_long")) == "chat.update: msg_too_long"
    assert errors.RateLimited("Slack", 3.0).retry_after == 3.0


def test_nobody_is_told_in_a_direct_message_to_write_one() -> None:
    assert "direct message" in wordless(question())
    assert "direct message" not in wordless(question(channel="D1"))
