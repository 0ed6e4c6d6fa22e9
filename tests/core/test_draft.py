"""Text that grows becomes parts. Whatever way it arrives in, the parts are the same."""

import re
from collections.abc import Iterator
from itertools import cycle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.cut import close, join
from bot.draft import LOOKAHEAD, PART_LIMIT, UNFINISHED, WHOLE, Draft, Part
from bot.pings import neutralise
from tests.core.ping_finder import pings

LIMIT = 200
FENCE = 48  # characters: what closing an open fence may add
SLACK_LIMIT = 12_000  # characters of a markdown block

PIECES = st.sampled_from(
    [
        "word ",
        "two words ",
        "\n",
        "\n\n",
        "\n\n\n\n",
        "    ",
        "x" * 70,
        "x" * 190,
        "Ein längerer Satz, wie ihn Modelle schreiben, mit Punkt am Ende. ",
        "文字没有空格",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "@here",
        "@channel",
        "@her",
        "e",
        "_list",
        "fore ",
        "mail@here.org ",
        "<!here>",
        "<!chan",
        "nel>",
        "<@U12",
        "345>",
        "<@UABC",
        "<#C99|general>",
        "<!subteam^S1>",
        "&lt;!here&gt;",
        "<!DOCTYPE html>",
        "```python\n",
        "```",
        "\n```\n",
        "~~~~\n",
        "- item\n",
        "  1. nested\n",
        "| a | b |\n|---|---|\n",
        "| 1 | 2 |\n",
        "# Title\n",
        "**bold:**\n",
        "`code` ",
        "\r\n",
    ]
)
# Slack's ids have 11 characters. One that is longer than the lookahead is none yet when it is cut.
LONG_ID = re.compile(r"<[@#]\w{50}")
TEXTS = st.lists(PIECES, max_size=60).map("".join).filter(lambda text: not LONG_ID.search(text))
# The marks of a fence within a line open none, unless a cut falls right before them. And a line
# that opens one does not if it has a backtick further on: where that is in the next part only, the
# opening was believed, and its closing line stays.
LONG_OPENING = re.compile(r"^```[^`\n]{100,}`", re.MULTILINE)
ORDERLY = TEXTS.map(lambda text: re.sub(r"(?<=[^\n])(```|~~~~)", r"\n\1", text)).filter(
    lambda text: not LONG_OPENING.search(text)
)
SIZES = st.lists(st.integers(1, 90), min_size=1, max_size=6)


def deltas(text: str, sizes: list[int]) -> Iterator[str]:
    start = 0
    for size in cycle(sizes):
        if start >= len(text):
            return
        yield text[start : start + size]
        start += size


def texts(draft: Draft) -> list[str]:
    return [part.text for part in draft.parts()]


def frames(text: str, sizes: list[int]) -> Iterator[list[str]]:
    """What could be shown after each delta, then at the end."""
    draft = Draft(limit=LIMIT)
    for delta in deltas(text, sizes):
        draft.push(delta)
        yield texts(draft)
    draft.end()
    yield texts(draft)


def at_once(text: str) -> list[str]:
    return list(frames(text, [len(text) or 1]))[-1]


def ended(text: str, *, limit: int = LIMIT) -> Draft:
    draft = Draft(limit=limit)
    draft.push(text)
    draft.end()
    return draft


def bare(text: str) -> str:
    """Without what a cut may change: white space, and the breaks inside of mentions."""
    return re.sub(r"[\s\u200b]", "", text)


# -- for every way of cutting the stream


@given(text=TEXTS, sizes=SIZES)
@example(text="x" * 190 + " " + "y" * 74 + " @herefore", sizes=[271, 90])
@settings(deadline=None, max_examples=150)
def test_parts_do_not_depend_on_how_the_text_arrived(text: str, sizes: list[int]) -> None:
    *_, shown = frames(text, sizes)

    assert shown == at_once(text)


@given(text=TEXTS)
@settings(deadline=None, max_examples=30)
def test_parts_are_the_same_character_by_character(text: str) -> None:
    *_, shown = frames(text, [1])

    assert shown == at_once(text)


@given(text=TEXTS, sizes=SIZES)
@settings(deadline=None, max_examples=100)
def test_earlier_parts_never_change(text: str, sizes: list[int]) -> None:
    sealed: list[str] = []
    for shown in frames(text, sizes):
        assert shown[: len(sealed)] == sealed
        sealed = shown[:-1]


@given(text=TEXTS, sizes=SIZES)
@settings(deadline=None, max_examples=100)
def test_every_part_fits(text: str, sizes: list[int]) -> None:
    *growing, last = frames(text, sizes)

    for shown in growing:
        # One more where a cut made a mention, which then was broken in its turn.
        assert all(len(part) <= LIMIT + 1 for part in shown[:-1])
        assert all(len(part) <= LIMIT + LOOKAHEAD + FENCE for part in shown[-1:])
    assert all(len(part) <= LIMIT + FENCE for part in last)


@given(text=TEXTS, sizes=SIZES)
@settings(deadline=None, max_examples=100)
def test_every_part_has_words_and_closed_fences(text: str, sizes: list[int]) -> None:
    for shown in frames(text, sizes):
        assert all(part.strip() and close(part) == part for part in shown if shown != [""])


@given(text=ORDERLY)
@settings(deadline=None, max_examples=100)
def test_joined_parts_are_the_neutralised_text(text: str) -> None:
    draft = ended(text)

    assert bare(join(texts(draft))) == bare(close(neutralise(text)))


@given(text=TEXTS, sizes=SIZES)
@example(text="字" * 192 + "@channel_list" + "y" * 99, sizes=[7])
@example(text="x" * 200 + "@here " + "y " * 99, sizes=[7])
@example(text="\n".join(["@channel <!here> <@U123> <#C9> <!subteam^S1>"] * 20), sizes=[3])
@settings(deadline=None, max_examples=150)
def test_nothing_pings_at_any_moment(text: str, sizes: list[int]) -> None:
    for shown in frames(text, sizes):
        assert [pings(part) for part in shown if pings(part)] == []


@pytest.mark.parametrize("ping", ["@here", "@channel", "<!everyone>", "<@U123>", "<#C99>"])
@pytest.mark.parametrize("before", range(LIMIT - 14, LIMIT + 1))
def test_ping_across_a_cut_does_not_ping(ping: str, before: int) -> None:
    text = "x" * (before - 1) + " " + ping + " " + "y" * LIMIT

    assert [pings(part) for part in texts(ended(text)) if pings(part)] == []


# -- the limit


def test_text_of_the_limit_is_one_part_and_one_more_character_makes_two() -> None:
    assert texts(ended("x" * LIMIT)) == ["x" * LIMIT]
    assert texts(ended("x" * LIMIT + "y")) == ["x" * LIMIT, "y"]


def test_part_grows_a_little_beyond_the_limit_before_it_is_cut() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("x" * (LIMIT + LOOKAHEAD))

    assert len(draft.parts()) == 1

    draft.push("y")

    assert texts(draft) == ["x" * LIMIT, "x" * LOOKAHEAD + "y"]


def test_default_parts_fit_slack_even_while_they_grow() -> None:
    draft = Draft()
    for _ in range(400):
        draft.push("```python\n" + "print('@here')\n" * 6 + "```\n\n")

        assert all(len(part) <= SLACK_LIMIT for part in texts(draft))
    assert PART_LIMIT + LOOKAHEAD + FENCE <= SLACK_LIMIT


def test_open_fence_is_closed_while_it_grows() -> None:
    draft = Draft()
    draft.push("```python\nprint(1)")

    assert texts(draft) == ["```python\nprint(1)\n```"]


# -- white space and nothing


def test_nothing_is_shown_before_there_are_words() -> None:
    draft = Draft()
    assert draft.parts() == ()

    draft.push("")
    draft.push(" \n\n")

    assert draft.parts() == ()
    assert draft.is_blank


def test_leading_and_trailing_blank_lines_are_not_shown() -> None:
    assert texts(ended("\n\n  indented\n\n\n")) == ["  indented"]


def test_blank_tail_makes_no_part_of_its_own() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("x" * LIMIT + "\n" * (LOOKAHEAD + 10))

    assert texts(draft) == ["x" * LIMIT]

    draft.end()

    assert draft.parts() == (Part("x" * LIMIT, is_last=True, is_final=True),)


def test_model_that_runs_away_in_blank_lines_makes_no_blank_part() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("before")
    for _ in range(20):
        draft.push("\n" * 99)
        assert texts(draft) == ["before"]
    draft.push("after")
    draft.end()

    assert bare("|".join(texts(draft))) == "before|after"


def test_model_that_runs_away_in_spaces_makes_no_blank_part() -> None:
    draft = ended("before" + " " * 999 + "after")

    assert [text.strip() for text in texts(draft)] == ["before", "after"]


@pytest.mark.parametrize(
    "text", ["\u200b" * 50, "\ufeff", "\u202e\u2066", "\u00ad \u2060\n", "\ufe0f\u200d"]
)
def test_text_that_nobody_can_see_is_blank(text: str) -> None:
    draft = Draft()
    draft.push(text)

    assert draft.is_blank
    assert draft.parts() == ()

    draft.push("!")

    assert not draft.is_blank
    assert texts(draft) == [f"{text}!".strip()]


# -- what the bot says beneath


def test_notes_and_waiting_stand_beneath_the_last_part() -> None:
    draft = Draft(limit=LIMIT)
    draft.notes = ["I left out 2."]
    draft.waiting = "Waiting: the model."
    draft.push("x" * (2 * LIMIT))

    first, last = draft.parts()

    assert first == Part("x" * LIMIT, is_final=True)
    notice = "I left out 2.\nWaiting: the model."
    assert last == Part("x" * LIMIT, notice, offers=("stop",))


def test_waiting_is_shown_before_there_are_words() -> None:
    draft = Draft()
    draft.waiting = "Waiting: the model."

    assert draft.parts() == (Part("", "Waiting: the model.", offers=("stop",)),)


def test_end_takes_the_waiting_away_and_keeps_the_notes() -> None:
    draft = Draft()
    draft.notes = ["I left out 2."]
    draft.waiting = "Waiting: the model."
    draft.push("So.")
    draft.end("It broke.")

    assert draft.parts() == (Part("So.", "I left out 2.\nIt broke.", True, True),)


def test_end_with_nothing_but_a_note_shows_the_note() -> None:
    draft = Draft()
    draft.end("It broke.")

    assert draft.parts() == (Part("", "It broke.", is_last=True, is_final=True),)


def test_only_the_end_is_last() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("x" * (3 * LIMIT))

    assert [part.is_last for part in draft.parts()] == [False, False, False]
    assert [part.is_final for part in draft.parts()] == [True, True, False]

    draft.end()

    assert [part.is_last for part in draft.parts()] == [False, False, True]
    assert [part.is_final for part in draft.parts()] == [True, True, True]


# -- a stream that broke begins again


@given(first=TEXTS, second=TEXTS, sizes=SIZES)
@settings(deadline=None, max_examples=100)
def test_what_stands_stays_until_the_new_attempt_has_overtaken_it(
    first: str, second: str, sizes: list[int]
) -> None:
    draft = Draft(limit=LIMIT)
    draft.push(first)
    stood = texts(draft)
    draft.restart()
    again = ""
    for delta in deltas(second, sizes):
        again += delta
        draft.push(delta)
        if len(again) < len(first):
            assert texts(draft) == stood
        assert not stood or draft.parts()
    draft.end()

    assert texts(draft) == at_once(second)


def test_attempt_that_is_longer_takes_over() -> None:
    draft = Draft()
    draft.push("The first")
    draft.restart()
    draft.push("A second")
    assert texts(draft) == ["The first"]

    draft.push(" one")

    assert texts(draft) == ["A second one"]


def test_blank_lines_overtake_nothing() -> None:
    draft = Draft()
    draft.push("Words")
    draft.restart()
    draft.push("\n" * 50)

    assert texts(draft) == ["Words"]


def test_second_attempt_that_breaks_too_leaves_the_longer_text() -> None:
    draft = Draft()
    draft.push("The first attempt")
    draft.restart()
    draft.push("The sec")
    draft.restart()
    draft.push("The third")
    draft.end("It broke.")

    assert draft.parts() == (Part("The first attempt", "It broke.", True, True),)


def test_shorter_attempt_that_ends_well_is_the_answer() -> None:
    draft = Draft()
    draft.push("A long first attempt")
    draft.restart()
    draft.push("Short.")
    draft.end()

    assert texts(draft) == ["Short."]


def test_attempt_after_nothing_starts_fresh() -> None:
    draft = Draft()
    draft.restart()
    draft.push("So.")

    assert texts(draft) == ["So."]


def test_new_attempt_without_words_is_blank() -> None:
    draft = Draft()
    draft.push("Words")
    draft.restart()

    assert draft.is_blank

    draft.push("x")

    assert not draft.is_blank


# -- sealed: what is shown stays, and the rest is the next part


def sealed(shown: str, more: str) -> list[str] | None:
    """The parts, where so much was on screen when it could not be edited any more."""
    draft = Draft()
    draft.push(shown)
    standing = draft.parts()[-1]
    draft.push(more)
    return texts(draft) if draft.seal(0, standing) else None


@pytest.mark.parametrize(
    ("shown", "more", "parts"),
    [
        ("One sentence ", "goes on.", ["One sentence", "goes on."]),
        ("One sentence", " goes on.", ["One sentence", "goes on."]),
        ("One.\n\n", "Two.", ["One.", "Two."]),
        ("- one\n- two\n", "- three", ["- one\n- two", "- three"]),
        ("```py\na\nb\n", "c\n```\nEnd.", ["```py\na\nb\n```", "```py\nc\n```\nEnd."]),
        ("|a|b|\n|-|-|\n|1|2|\n", "|3|4|\n", ["|a|b|\n|-|-|\n|1|2|", "|a|b|\n|-|-|\n|3|4|"]),
    ],
    ids=["after a space", "before a space", "paragraph", "item", "code", "table"],
)
def test_what_is_shown_is_sealed_and_the_rest_is_the_next_part(
    shown: str, more: str, parts: list[str]
) -> None:
    assert sealed(shown, more) == parts


@pytest.mark.parametrize(
    ("shown", "more"),
    [
        ("One sen", "tence."),
        ("A @her", "e"),
        ("```py\na = 1\nb = ", "2\n```"),
        ("```py\n", "a = 1\n```"),
        ("|a|b|\n|-|-|\n|1|", "2|\n|3|4|"),
        ("|a|b|\n|-|-|\n", "|1|2|"),
        ("|a|b|\n", "|-|-|\n|1|2|"),
        ("Some **bold ", "words**."),
        ("Some `code ", "here`."),
        ("See [the ", "page](https://a.example)."),
        ("1. one\n2.", " two"),
        ("One ", "- two"),
        ("```\na\n```\n", "\n```\nb\n```"),
        ("All of it.", ""),
        ("All of it.", "\n\n"),
    ],
)
def test_text_is_not_sealed_where_it_cannot_part(shown: str, more: str) -> None:
    assert sealed(shown, more) is None


def test_part_with_a_notice_beneath_is_not_sealed() -> None:
    draft = Draft()
    draft.push("One sentence ")
    draft.waiting = "Waiting: the model."
    standing = draft.parts()[-1]
    draft.push("goes on.")

    assert not draft.seal(0, standing)


def test_full_part_is_sealed_as_it_was_shown() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("first words ")
    standing = draft.parts()[0]
    draft.push("word " * 60)
    before = texts(draft)

    assert draft.seal(0, standing)
    assert texts(draft) == ["first words", before[0].removeprefix("first words "), *before[1:]]


def test_part_after_a_seal_can_be_sealed_too() -> None:
    draft = Draft()
    draft.push("sentence 0 ")
    for number in range(2):
        standing = draft.parts()[number]
        draft.push(f"sentence {number + 1} ")
        assert draft.seal(number, standing)

    assert texts(draft) == ["sentence 0", "sentence 1", "sentence 2"]


def test_sealed_part_is_final_and_equal_to_what_stands_there() -> None:
    draft = Draft()
    draft.push("One sentence ")
    standing = draft.parts()[0]
    draft.push("goes on.")
    draft.seal(0, standing)
    draft.end()

    assert draft.parts() == (
        Part("One sentence", is_final=True),
        Part("goes on.", is_last=True, is_final=True),
    )


def test_text_that_was_written_again_is_not_sealed() -> None:
    draft = Draft()
    draft.push("The first attempt ")
    standing = draft.parts()[0]
    draft.restart()
    draft.push("A second attempt that is longer.")

    assert not draft.seal(0, standing)


@given(text=TEXTS, at=st.integers(1, 900), limit=st.sampled_from([LIMIT, PART_LIMIT]))
@settings(deadline=None, max_examples=150)
def test_wherever_it_is_sealed_the_parts_are_the_text(text: str, at: int, limit: int) -> None:
    draft = Draft(limit=limit)
    draft.push(text[:at])
    shown = draft.parts()
    draft.push(text[at:])
    whole = bare(join(texts(draft)))
    number = len(shown) - 1

    if shown and draft.seal(number, shown[-1]):
        assert texts(draft)[number] == shown[-1].text
        assert bare(join(texts(draft))) == whole
        assert all(close(part) == part and not pings(part) for part in texts(draft))


# -- what people can do, and what is asked in place of it


def test_growing_text_offers_to_be_stopped_and_earlier_parts_offer_nothing() -> None:
    draft = Draft(limit=LIMIT)
    draft.push("x" * (2 * LIMIT))

    assert [part.offers for part in draft.parts()] == [(), ("stop",)]


def test_whole_text_offers_to_be_judged_and_given_anew() -> None:
    draft = Draft()
    draft.push("Because.")
    draft.end(offers=WHOLE)

    assert draft.parts()[-1].offers == ("rate", "regenerate")


@pytest.mark.parametrize(
    ("text", "offers"), [("Because.", ("continue", "retry")), ("", ("retry",)), (" ", ("retry",))]
)
def test_nothing_is_continued_where_there_is_no_text(text: str, offers: tuple[str, ...]) -> None:
    draft = Draft()
    draft.push(text)
    draft.end("It broke.", UNFINISHED)

    assert draft.parts()[-1].offers == offers


def test_paused_text_can_be_stopped_still() -> None:
    draft = Draft()
    draft.push("Because.")
    draft.pause("Later.")

    assert draft.parts()[-1].offers == ("stop",)


def test_text_that_is_outdated_stays_until_the_first_words_of_another() -> None:
    draft = Draft()
    draft.push("A long answer to the old words.")
    draft.outdate()
    draft.restart()
    draft.push("Something")
    before = draft.parts()[0].text
    draft.push(" else comes.")

    assert before == "A long answer to the old words."
    assert draft.parts()[0].text == "Something else comes."


def test_text_that_is_outdated_stays_while_attempts_at_another_break() -> None:
    draft = Draft()
    draft.push("A long answer to the old words.")
    draft.outdate()
    for _ in range(3):
        draft.restart()
        draft.push("Some")
    draft.end("It broke.", UNFINISHED)

    assert draft.parts()[0].text == "A long answer to the old words."


def test_short_text_in_place_of_an_outdated_one_is_the_answer_when_it_is_finished() -> None:
    draft = Draft()
    draft.push("A long answer to the old words.")
    draft.outdate()
    draft.restart()
    draft.push("No.")
    draft.end()

    assert draft.parts()[0].text == "No."


def test_notes_on_the_old_words_go_with_them() -> None:
    draft = Draft()
    draft.notes, draft.waiting = ["I left out 2."], "Waiting: the model."
    draft.push("Because.")
    draft.outdate()

    assert draft.parts()[0].notice == ""


@given(st.text(), st.text(min_size=1), st.lists(st.integers(1, 5)))
def test_text_goes_on_after_what_is_kept_however_it_arrives(
    kept: str, rest: str, sizes: list[int]
) -> None:
    draft = Draft()
    draft.kept = f"x {kept} "
    draft.push(f"x {kept} half")
    draft.restart()
    at = 0
    for size in [*sizes, len(rest)]:
        draft.push(rest[at : at + size])
        at += size
    whole = Draft()
    seam = "\n" if draft.kept.endswith("\n") else None
    whole.push(draft.kept + rest.lstrip(seam))

    draft.end()
    whole.end()

    assert draft.parts() == whole.parts()


def test_text_that_nothing_was_added_to_counts_as_blank() -> None:
    draft = Draft()
    draft.push("Because the")
    draft.kept = "Because "
    draft.restart()

    blank = draft.is_blank
    draft.push("the moon.")

    assert (blank, draft.is_blank) == (True, False)


def test_only_what_was_written_after_it_is_the_newest() -> None:
    draft = Draft()
    draft.push("Because the")
    draft.kept = "Because "
    draft.restart()
    draft.push("the moon.")

    assert draft.newest == "the moon."


def test_dropped_text_is_not_shown() -> None:
    draft = Draft()
    draft.push("Because.")
    draft.drop()

    assert draft.parts() == ()
    assert draft.ended
