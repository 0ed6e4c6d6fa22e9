"""The form in which people ask about a message, and what travels through it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import inquiry_views as views
from bot.inquiry import CUT, LONGEST_WORDS, Place, Subject
from bot.inquiry_views import Wish, ask_modal, in_text, notice_modal, subject_from, wish_from
from bot.interactions import LONGEST, Unfit
from bot.seal import Seal

SUBJECT = Subject(Place("C1", "2.0", "1.0"), "Why not B?", "https://local/2")
ALONE = replace(SUBJECT, is_alone=True)


def inputs(view: dict[str, Any]) -> list[str]:
    return [block["block_id"] for block in view["blocks"] if block["type"] == "input"]


def test_form_asks_what_and_where() -> None:
    view = ask_modal(SUBJECT, "sealed")

    assert inputs(view) == ["question", "task", "where"]
    assert view["private_metadata"] == "sealed"
    assert view["callback_id"] == "ask_about_message"
    assert view["blocks"][-1]["element"]["initial_option"]["value"] == "privately"


def test_form_of_a_message_alone_says_so_and_offers_no_thread() -> None:
    view = ask_modal(ALONE, "sealed")

    assert inputs(view) == ["question", "task"]
    tasks = [option["value"] for option in view["blocks"][2]["element"]["options"]]
    assert "summarise" not in tasks
    assert view["blocks"][-1]["text"]["text"] == views.CANNOT_READ


def test_where_there_is_nothing_to_read_nothing_can_be_asked() -> None:
    view = ask_modal(replace(ALONE, quote=""), "sealed")

    assert "submit" not in view
    assert view["blocks"][0]["text"]["text"] == views.NO_WORDS


def test_message_is_shown_in_one_line_of_bounded_length() -> None:
    view = ask_modal(replace(SUBJECT, quote="<a>\n" * 200), "")
    text = view["blocks"][0]["elements"][0]["text"]

    assert text.startswith("&lt;a&gt; &lt;a&gt;")
    assert text.endswith("…")
    assert ask_modal(replace(SUBJECT, quote=""), "")["blocks"][0]["elements"][0]["text"] == (
        "(no text)"
    )


@pytest.mark.parametrize(
    ("entered", "wish"),
    [
        ({"question": " Why? "}, Wish("Why?", "privately")),
        ({"question": "Why?", "where": "thread"}, Wish("Why?", "thread")),
        ({"question": "Why?", "where": "#general"}, Wish("Why?", "privately")),
        ({"task": "explain"}, Wish("Explain this message.", "privately")),
        (
            {"task": "reply", "question": "Be kind."},
            Wish("Draft a reply to this message.\nBe kind.", "privately"),
        ),
        ({"task": "<!here>", "question": "x"}, Wish("x", "privately")),
    ],
)
def test_what_was_entered_is_what_is_asked(entered: dict[str, str], wish: Wish) -> None:
    assert wish_from(entered, SUBJECT) == wish


def test_thread_that_cannot_be_read_is_not_answered_in() -> None:
    assert wish_from({"question": "x", "where": "thread"}, ALONE) == Wish("x", "privately")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("", views.NOTHING_ASKED),
        (" \n", views.NOTHING_ASKED),
        ("x" * (LONGEST_WORDS + 1), views.TOO_LONG),
        ("<" * 1_000, views.TOO_LONG),
    ],
)
def test_what_cannot_be_asked_is_said_at_its_field(question: str, sentence: str) -> None:
    with pytest.raises(Unfit) as unfit:
        wish_from({"question": question, "task": "none"}, SUBJECT)

    assert unfit.value.errors == {"question": sentence}


def test_subject_comes_back_from_its_text() -> None:
    assert subject_from(in_text(SUBJECT)) == SUBJECT
    assert subject_from(in_text(ALONE)) == ALONE


@given(st.text(max_size=1_500))
def test_subject_fits_a_form_with_its_seal(quote: str) -> None:
    sealed = Seal("secret").close(in_text(replace(SUBJECT, quote=quote)), "UANA")

    assert len(sealed.encode("utf-16-le", "surrogatepass")) // 2 <= LONGEST * 2
    assert len(sealed) <= LONGEST
    found = subject_from(Seal("secret").open(sealed, "UANA") or "")
    assert found
    assert quote.startswith(found.quote.removesuffix(CUT))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "5",
        '{"channel": "C1", "ts": "2.0", "thread_ts": "1.0"}',
        '{"channel": "../x", "ts": "2.0", "thread_ts": "1.0", "quote": "", "link": ""}',
        '{"channel": "C1", "ts": 2, "thread_ts": "1.0", "quote": "", "link": ""}',
        "{" * 10_000,
    ],
)
def test_other_text_is_no_subject(text: str) -> None:
    assert subject_from(text) is None


def test_notice_leads_somewhere_where_there_is_a_link() -> None:
    linked = notice_modal("I answer <there>", "https://local/1")["blocks"][0]["text"]["text"]

    assert linked == "<https://local/1|I answer &lt;there&gt;>."
    assert notice_modal("No.")["blocks"][0]["text"]["text"] == "No."
