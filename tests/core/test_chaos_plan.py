"""The plan of a chaos run: the same for the same seed, and with everything in it."""

import pytest

from tests.chaos.plan import (
    DatabaseRestart,
    Freeze,
    Kill,
    Plan,
    SessionCut,
    SlackFault,
    Slowness,
    SocketLoss,
    Storm,
    plan,
)

MINUTES = 60.0
FULL = plan(1, "postgres", seconds=8 * MINUTES)
ALONE = plan(1, "sqlite", seconds=8 * MINUTES)


def test_the_same_seed_makes_the_same_plan() -> None:
    assert plan(1, "postgres", seconds=8 * MINUTES) == FULL


def test_another_seed_makes_another_plan() -> None:
    other = plan(2, "postgres", seconds=8 * MINUTES)

    assert other.questions != FULL.questions
    assert other.deeds != FULL.deeds


def test_eight_minutes_on_both_databases_are_enough_questions_and_kills() -> None:
    kills = [deed for run in (FULL, ALONE) for deed in run.deeds if isinstance(deed, Kill)]

    assert len(FULL.questions) + len(ALONE.questions) >= 500
    assert sum(len(kill.slots) for kill in kills) >= 50


@pytest.mark.parametrize("run", [FULL, ALONE, plan(5, "sqlite", seconds=30.0, questions=7)])
def test_all_of_it_happens_in_its_order_within_the_load(run: Plan) -> None:
    for acts in (run.questions, run.deeds):
        times = [act.at for act in acts]
        assert times == sorted(times)
        assert 0.0 <= times[0] <= times[-1] <= run.seconds
    assert [question.number for question in run.questions] == list(range(len(run.questions)))


def test_a_thread_is_opened_before_it_is_asked_in_and_stays_with_one_person_in_one_place() -> None:
    for question in FULL.questions:
        root = FULL.questions[question.root]
        assert root.number <= question.number
        assert (root.root, root.channel, root.person) == (
            root.number,
            question.channel,
            question.person,
        )


def test_some_threads_get_several_questions_in_one_breath() -> None:
    moments = [(question.root, question.at) for question in FULL.questions]

    assert any(moments.count(moment) >= 3 for moment in moments)


def test_no_word_belongs_to_two_answers() -> None:
    words = [word for question in FULL.questions for word in question.answer.split()]

    assert len(set(words)) == len(words) == sum(question.words for question in FULL.questions)


def test_some_answers_are_longer_than_a_message_holds() -> None:
    assert sum(len(question.answer) > 12_000 for question in FULL.questions) >= 5


def test_every_kind_of_deed_is_in_a_full_run() -> None:
    kinds = {type(deed) for deed in FULL.deeds}

    assert {Freeze, SlackFault, Storm, Slowness, SocketLoss, DatabaseRestart, SessionCut} < kinds
    moments = {deed.moment for deed in FULL.deeds if isinstance(deed, Kill)}
    assert moments == {"any", "asked", "post", "edit", "last edit"}


def test_on_sqlite_there_is_one_process_and_no_server_to_restart() -> None:
    assert ALONE.replicas == 1
    assert not [deed for deed in ALONE.deeds if isinstance(deed, DatabaseRestart | SessionCut)]
    kills = [deed for deed in ALONE.deeds if isinstance(deed, Kill)]
    assert {kill.slots for kill in kills} == {(0,)}


def test_the_number_of_questions_may_be_named() -> None:
    assert len(plan(1, "sqlite", seconds=MINUTES, questions=500).questions) == 500
