"""Whether each question got one whole answer, or one honest sentence; and if not, what it got.

It judges values that were gathered; it knows no server.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bot.errors import Interrupted, TriedTooOften
from bot.playground.model.answers import tokens_of
from tests.chaos.evidence import Asked, Evidence, Standing
from tests.chaos.records import TurnRow, UsageRow

Ending = Literal["whole", "sentence", "never taken", "not so"]


@dataclass(frozen=True)
class Offence:
    """What must not be. Without a question it is of a message that nobody asked for."""

    asked: Asked | None
    what: str


@dataclass(frozen=True)
class Verdict:
    endings: Sequence[Ending]  # one for each question
    sentences: Counter[str]  # what people read instead of an answer
    offences: Sequence[Offence]


def judge(evidence: Evidence) -> Verdict:
    offences = [*_strangers(evidence), *_disorder(evidence)]
    endings: list[Ending] = []
    sentences: Counter[str] = Counter()
    for asked in evidence.asked:
        reply = sorted(
            (message for message in evidence.standing if message.turn == asked.turn),
            key=lambda message: message.part,
        )
        turn = evidence.records.turns.get(asked.turn)
        if turn is None and not reply and not asked.is_acked:
            endings.append("never taken")
            continue
        found = [
            *_misplaced(asked, reply),
            *_not_one_whole(asked, reply, turn),
            *_wrong_books(asked, reply, turn, evidence.records.usage.get(asked.turn, ())),
        ]
        offences += [Offence(asked, what) for what in found]
        sentence = reply[-1].notice if reply else ""
        endings.append("not so" if found else "sentence" if sentence else "whole")
        sentences[sentence] += bool(sentence)
    return Verdict(endings, +sentences, offences)


def _strangers(evidence: Evidence) -> Iterator[Offence]:
    """Messages of the bot that belong to no question."""
    turns = {asked.turn for asked in evidence.asked}
    for message in evidence.standing:
        if message.turn not in turns:
            yield Offence(None, f"a message of nobody's: {message}")


def _misplaced(asked: Asked, reply: Sequence[Standing]) -> Iterator[str]:
    for message in reply:
        if (message.channel, message.thread_ts) != (asked.channel, asked.thread_ts):
            yield f"part {message.part} stands in {message.channel} {message.thread_ts}"


def _not_one_whole(asked: Asked, reply: Sequence[Standing], turn: TurnRow | None) -> Iterator[str]:
    """Each part once, the last one marked as such, and the model's words in them."""
    if not reply:
        yield "no reply"
        return
    parts = [message.part for message in reply]
    if parts != list(range(len(parts))):
        yield f"the parts that stand there: {parts}"
    if [message.is_last for message in reply] != [False] * (len(parts) - 1) + [True]:
        yield f"the parts marked as the last: {[each.part for each in reply if each.is_last]}"
    for message in reply[:-1]:
        if message.notice:
            yield f"part {message.part} says: {message.notice!r}"
    sentence = reply[-1].notice
    if sentence in ("...", Interrupted.sentence):
        yield f"left unfinished: {sentence!r}"
    elif sentence:
        if not (asked.question.fails or sentence == TriedTooOften.sentence):
            yield f"a sentence where nothing lasting was wrong: {sentence!r}"
    elif asked.question.fails:
        yield "no sentence, though the model failed"
    else:
        yield from _other_words(asked.question.answer, " ".join(each.text for each in reply))


def _other_words(expected: str, text: str) -> Iterator[str]:
    wanted, there = expected.split(), text.split()
    if there == wanted:
        return
    counts, known = Counter(there), set(wanted)
    missing = [position for position, word in enumerate(wanted) if not counts[word]]
    twice = [position for position, word in enumerate(wanted) if counts[word] > 1]
    foreign = [word for word in there if word not in known]
    yield (
        f"other words: {len(wanted)} wanted, {len(there)} there; missing {spans(missing)}, "
        f"more than once {spans(twice)}, foreign {foreign[:5]}"
    )


def spans(numbers: Sequence[int]) -> str:
    """Numbers in ascending order, shortened: 3-5 9."""
    if not numbers:
        return "none"
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after != before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after != before + 1), numbers[-1]]
    said = [f"{a}-{b}" if b > a else f"{a}" for a, b in zip(starts, ends, strict=True)]
    return " ".join(said)


def _wrong_books(
    asked: Asked, reply: Sequence[Standing], turn: TurnRow | None, usage: Sequence[UsageRow]
) -> Iterator[str]:
    """The turn is finished, and each attempt at which the model was asked has one record, the last
    with the outcome."""
    if turn is None:
        yield "acknowledged, but not written down" if asked.is_acked else "answered unrecorded"
        return
    if not turn.is_finished:
        yield f"its turn is not finished (attempts {turn.attempts})"
        return
    rows = [row for row in usage if row.purpose == "answer"]
    attempts = sorted(row.attempt for row in rows)
    is_whole = bool(reply) and not reply[-1].notice
    # One that came to its end before its first words is recorded, but was never counted; one
    # whose process died before the model was asked is counted, but has used nothing.
    known = set(range(1, turn.attempts + 2))
    if len(set(attempts)) < len(attempts) or not set(attempts) <= known or is_whole > len(rows):
        yield f"attempts {turn.attempts}, but usage of {attempts}"
        return
    if is_whole != (turn.outcome == "complete"):
        yield f"the outcome recorded is {turn.outcome!r}"
    last = max(rows, key=lambda row: row.attempt, default=None)
    if last and last.outcome != turn.outcome:
        yield f"the turn's outcome is {turn.outcome!r}, its usage's {last.outcome!r}"
    if last and is_whole and last.requests == 1 and not last.is_estimate:
        tokens = len(tokens_of(asked.question.answer))
        if last.output_tokens != tokens:
            yield f"{tokens} tokens written, {last.output_tokens} recorded"


def _disorder(evidence: Evidence) -> Iterator[Offence]:
    """In each thread, an answer begins when the one before it has had its last edit, and the
    model was shown those to earlier questions whole."""
    for line in _lines(evidence):
        for position, (earlier, later) in enumerate(pairwise(line)):
            before = [call for call in evidence.showings.get(earlier.turn, ()) if call.has_effect]
            after = [call for call in evidence.showings.get(later.turn, ()) if call.has_effect]
            if before and after and after[0].started < before[-1].started:
                yield Offence(
                    later,
                    f"begun {before[-1].started - after[0].started:.3f} s before the last call "
                    f"of the answer to {earlier.question.mark}",
                )
            yield from _forgotten(evidence, line[: position + 1], later)


def _forgotten(evidence: Evidence, before: Sequence[Asked], later: Asked) -> Iterator[Offence]:
    history = evidence.histories.get(later.question.number)
    if history is None:
        return
    said = {" ".join(text.split()) for text in history}
    for asked in before:
        if asked.ts > later.ts:  # accepted before, but written after
            continue
        answer = " ".join(asked.question.answer.split())
        if answer not in said and not _ended_with_a_sentence(evidence, asked):
            yield Offence(later, f"asked without the whole answer to {asked.question.mark}")


def _ended_with_a_sentence(evidence: Evidence, asked: Asked) -> bool:
    return any(each.turn == asked.turn and each.notice for each in evidence.standing)


def _lines(evidence: Evidence) -> Iterator[Sequence[Asked]]:
    """The questions of each thread in the order in which they were accepted."""
    threads: dict[tuple[str, str], list[Asked]] = {}
    for asked in evidence.asked:
        if asked.turn in evidence.records.turns:
            threads.setdefault((asked.channel, asked.thread_ts), []).append(asked)
    for line in threads.values():
        yield sorted(line, key=lambda asked: evidence.records.turns[asked.turn].place)
