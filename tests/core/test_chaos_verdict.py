"""The verdict of a chaos run, by small runs that were made up."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import Interrupted, TriedTooOften
from bot.playground.model.answers import tokens_of
from tests.chaos.evidence import Asked, Evidence, Showing, Standing
from tests.chaos.plan import Question
from tests.chaos.records import Records, TurnRow, UsageRow
from tests.chaos.verdict import Verdict, judge, spans

QUESTION = Question(
    number=0, at=0.0, root=0, channel=1, person="Ana", words=60, orders="[[rate 50]]"
)
ASKED = Asked(QUESTION, channel="C1", ts="1.0", thread_ts="1.0", at=0.0)
NEXT = Asked(replace(QUESTION, number=1), channel="C1", ts="2.0", thread_ts="1.0", at=1.0)
FAILING = replace(ASKED, question=replace(QUESTION, fails=True))
SENTENCE = "The model refused."


def message(asked: Asked = ASKED, *, part: int = 0, text: str | None = None) -> Standing:
    words = asked.question.answer if text is None else text
    return Standing("C1", "1.0", f"9.{part}", asked.turn, part, is_last=True, text=words)


def turn(place: int = 1, *, attempts: int = 1, outcome: str | None = "complete") -> TurnRow:
    return TurnRow(place, attempts, outcome, is_finished=outcome is not None)


def usage(attempt: int = 1, *, outcome: str = "complete", tokens: int | None = None) -> UsageRow:
    written = len(tokens_of(QUESTION.answer)) if tokens is None else tokens
    return UsageRow(attempt, "answer", outcome, 1, written, is_estimate=False)


def post(asked: Asked, at: float) -> Showing:
    return Showing(
        "chat.postMessage", asked.turn, 0, False, 60, "", at, at + 0.1, "ok", "", has_effect=True
    )


def verdict(
    *standing: Standing,
    asked: Sequence[Asked] = (ASKED,),
    turns: Sequence[TurnRow] = (turn(),),
    rows: Sequence[UsageRow] = (usage(),),
    showings: Sequence[tuple[Asked, float]] = (),
    history: Sequence[str] | None = None,
) -> Verdict:
    """Of a run with one question, or two of which the second was asked with that history."""
    calls: dict[str, list[Showing]] = {}
    for each, at in showings:
        calls.setdefault(each.turn, []).append(post(each, at))
    keys = [each.turn for each in asked]
    books = Records(dict(zip(keys, turns, strict=False)), dict.fromkeys(keys, rows))
    histories = {} if history is None else {1: history}
    return judge(Evidence(asked, standing, calls, histories, books))


def offences(found: Verdict) -> str:
    return "\n".join(offence.what for offence in found.offences)


def test_a_whole_answer_that_stands_once_and_was_recorded_once_is_as_it_should_be() -> None:
    found = verdict(message())

    assert (found.endings, found.offences) == (["whole"], [])


def test_an_answer_in_several_parts_is_whole_too() -> None:
    words = QUESTION.answer.split()
    first = replace(message(text=" ".join(words[:30])), is_last=False)

    assert verdict(first, message(part=1, text=" ".join(words[30:]))).endings == ["whole"]


def test_words_that_are_missing_or_stand_twice_are_named() -> None:
    words = QUESTION.answer.split()
    shown = " ".join([*words[:10], *words[12:50], words[49], "other"])

    said = offences(verdict(message(text=shown)))

    assert "60 wanted, 50 there" in said
    assert "missing 10-11 50-59, more than once 49, foreign ['other']" in said


def test_a_part_that_stands_twice_is_an_offence() -> None:
    assert "the parts that stand there: [0, 0]" in offences(verdict(message(), message()))


def test_a_part_that_is_missing_is_an_offence() -> None:
    assert "the parts that stand there: [1]" in offences(verdict(message(part=1)))


def test_no_reply_is_an_offence() -> None:
    assert "no reply" in offences(verdict())


@pytest.mark.parametrize("notice", ["...", Interrupted.sentence])
def test_a_reply_that_was_left_in_the_middle_is_an_offence(notice: str) -> None:
    left = replace(message(text="some"), is_last=False, notice=notice)

    said = offences(verdict(left))
    assert f"left unfinished: {notice!r}" in said
    assert "marked as the last: []" in said


def test_a_sentence_is_right_where_the_model_failed() -> None:
    said = replace(message(FAILING, text=""), notice=SENTENCE)
    found = verdict(
        said, asked=[FAILING], turns=[turn(outcome="failed")], rows=[usage(outcome="failed")]
    )

    assert (found.endings, found.offences) == (["sentence"], [])
    assert found.sentences == {SENTENCE: 1}


@pytest.mark.parametrize(
    ("sentence", "is_honest"), [(SENTENCE, False), (TriedTooOften.sentence, True)]
)
def test_a_sentence_where_the_model_answered_must_say_that_it_was_tried_too_often(
    sentence: str, is_honest: bool
) -> None:
    said = replace(message(text="some"), notice=sentence)
    found = verdict(said, turns=[turn(outcome="failed")], rows=[usage(outcome="failed")])

    assert ("nothing lasting was wrong" not in offences(found)) == is_honest


def test_a_message_of_nobodys_is_an_offence() -> None:
    stranger = replace(message(), turn="", ts="7.0")

    assert "a message of nobody's" in offences(verdict(message(), stranger))


def test_a_reply_in_another_thread_is_an_offence() -> None:
    assert "stands in C1 5.0" in offences(verdict(replace(message(), thread_ts="5.0")))


@pytest.mark.parametrize(
    ("turns", "rows", "what"),
    [
        ([], [usage()], "acknowledged, but not written down"),
        ([turn(outcome=None)], [usage()], "its turn is not finished"),
        ([turn(attempts=2)], [usage(1), usage(4)], "attempts 2, but usage of [1, 4]"),
        ([turn(attempts=1)], [], "attempts 1, but usage of []"),
        ([turn(attempts=1)], [usage(1), usage(1)], "attempts 1, but usage of [1, 1]"),
        ([turn(attempts=0)], [usage(1), usage(2)], "attempts 0, but usage of [1, 2]"),
        ([turn(outcome="stopped")], [usage(outcome="stopped")], "recorded is 'stopped'"),
        ([turn()], [usage(outcome="failed")], "is 'complete', its usage's 'failed'"),
        ([turn()], [usage(tokens=3)], "tokens written, 3 recorded"),
    ],
)
def test_books_that_say_something_else_are_an_offence(
    turns: list[TurnRow], rows: list[UsageRow], what: str
) -> None:
    assert what in offences(verdict(message(), turns=turns, rows=rows))


def test_an_attempt_that_ended_before_its_first_words_is_recorded_uncounted() -> None:
    assert verdict(message(), turns=[turn(attempts=0)]).offences == []


def test_a_question_that_slack_never_got_acknowledged_is_no_offence() -> None:
    lost = replace(ASKED, is_acked=False, is_given_up=True)
    found = verdict(asked=[lost], turns=[], rows=[])

    assert (found.endings, found.offences) == (["never taken"], [])


@pytest.mark.parametrize(("begins", "is_in_order"), [(5.0, False), (6.5, True)])
def test_an_answer_begins_after_the_last_edit_of_the_one_before(
    begins: float, is_in_order: bool
) -> None:
    found = verdict(
        message(),
        message(NEXT),
        asked=[ASKED, NEXT],
        turns=[turn(1), turn(2)],
        showings=[(ASKED, 1.0), (NEXT, begins), (ASKED, 6.0)],
    )

    assert ("before the last call" not in offences(found)) == is_in_order


def test_the_order_is_that_in_which_the_questions_were_accepted() -> None:
    found = verdict(
        message(),
        message(NEXT),
        asked=[ASKED, NEXT],
        turns=[turn(2), turn(1)],
        showings=[(NEXT, 1.0), (ASKED, 2.0)],
    )

    assert found.offences == []


@pytest.mark.parametrize(("history", "is_whole"), [([QUESTION.answer], True), (["half"], False)])
def test_an_answer_is_based_on_the_whole_one_before(history: list[str], is_whole: bool) -> None:
    found = verdict(
        message(),
        message(NEXT),
        asked=[ASKED, NEXT],
        turns=[turn(1), turn(2)],
        history=history,
    )

    assert ("asked without the whole answer to q0:" not in offences(found)) == is_whole


def test_spans_are_short() -> None:
    assert spans([1, 2, 3, 7, 9, 10]) == "1-3 7 9-10"
    assert spans([]) == "none"
