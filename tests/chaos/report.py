"""What a run was and what was found, in lines for a person."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bot.playground.process import log_line
from tests.bench.measure import percentile
from tests.chaos.evidence import Asked, Showing
from tests.chaos.scene import Run
from tests.chaos.verdict import Offence, Verdict

# What a report shows of the offences: questions, and calls of one reply.
MOST_QUESTIONS = 15
MOST_CALLS = 40


def lines(run: Run, verdict: Verdict) -> Iterator[str]:
    plan = run.plan
    yield f"{plan.title}, seed {plan.seed}"
    for name, what in _rows(run, verdict):
        yield f"  {name:<10} {what}"
    yield from _offences(run, verdict.offences)


def _rows(run: Run, verdict: Verdict) -> Iterator[tuple[str, str]]:
    plan = run.plan
    roots = {question.root for question in plan.questions}
    yield "asked", f"{len(plan.questions)} in {len(roots)} threads, in {plan.seconds:.0f} s"
    killed = sum(count for what, count in run.done.items() if what.startswith("killed"))
    yield "killed", f"{killed}"
    yield "done", _counted(run.done)
    yield "ends", _counted({f"status {status}": count for status, count in run.ends.items()})
    if run.stragglers:
        yield "late", f"processes that did not end when told so: {run.stragglers}"
    quiet = "never" if run.settled_in is None else f"{run.settled_in:.0f} s after the load"
    yield "quiet", quiet
    yield "found", _counted(Counter(verdict.endings)) + f", {len(verdict.offences)} offences"
    for sentence, count in verdict.sentences.most_common():
        yield "", f"{count} x {sentence!r}"
    attempts = Counter(turn.attempts for turn in run.evidence.records.turns.values())
    yield "attempts", _counted({f"{count} x": times for count, times in sorted(attempts.items())})
    yield "acks", _spread(_ms(run), "ms")
    again = sum(delivery.attempts > 1 for delivery in run.deliveries)
    yield "", f"{again} events were sent more than once by Slack itself"
    yield "first word", _spread(_seconds(run, last=False), "s after the question")
    yield "whole", _spread(_seconds(run, last=True), "s after the question")
    yield "calls", f"{len(run.calls)}, of these refused {sum(call.refused for call in run.calls)}"
    yield "model", f"{run.requests} requests"
    yield "log", _counted(_troubles(run.lines))


def _counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.items()) or "nothing"


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return "none"
    found = [percentile(values, share) for share in (50, 95, 100)]
    middle, most, all_of_them = (f"{value:.1f}" for value in found)
    return f"half within {middle}, 95 % within {most}, all within {all_of_them} {unit}"


def _ms(run: Run) -> list[float]:
    return [each.ack_seconds * 1000 for each in run.deliveries if each.ack_seconds is not None]


def _seconds(run: Run, *, last: bool) -> list[float]:
    found = []
    for asked in run.evidence.asked:
        calls = [call for call in run.evidence.showings.get(asked.turn, ()) if call.has_effect]
        if calls:
            found.append(calls[-1 if last else 0].started - asked.at)
    return found


def _troubles(lines: Iterable[str]) -> Counter[str]:
    """Warnings and errors by their event."""
    found: Counter[str] = Counter()
    for line in lines:
        level, rest = log_line(line)
        if level not in ("DEBUG", "INFO"):
            found[f"{level} {rest.split(' ')[0]}" if level else "no log line"] += 1
    return found


def _offences(run: Run, offences: Sequence[Offence]) -> Iterator[str]:
    """Question by question, with the calls that show it."""
    by_question: dict[Asked | None, list[str]] = {}
    for offence in offences:
        by_question.setdefault(offence.asked, []).append(offence.what)
    for number, (asked, whats) in enumerate(by_question.items()):
        if number == MOST_QUESTIONS:
            yield f"  ... and offences in {len(by_question) - number} more"
            return
        mark = asked.question.mark if asked else "-"
        yield from (f"  OFFENCE {mark} {what}" for what in whats)
        if asked:
            yield f"      {asked.turn} in thread {asked.thread_ts}: {asked.question.text}"
            showings = run.evidence.showings.get(asked.turn, ())[-MOST_CALLS:]
            yield from (f"      {call_line(showing, asked)}" for showing in showings)


def call_line(call: Showing, asked: Asked) -> str:
    began = call.started - asked.at
    took = "under way" if call.answered is None else f"{call.answered - call.started:.3f} s"
    notes = [
        f"part {call.part}",
        f"{call.words} words",
        *(["last"] if call.is_last else []),
        *([f"says {call.notice!r}"] if call.notice else []),
        *([f"fault {call.fault}"] if call.fault else []),
    ]
    return f"+{began:7.3f} s {call.method:<16} {call.outcome} ({took}): {', '.join(notes)}"


def call_log(run: Run) -> Iterator[str]:
    """All calls to Slack by the time of their arrival, in seconds of its clock."""
    for call in run.calls:
        took = "under way" if call.answered is None else f"{call.answered - call.started:.3f}"
        where = call.args.get("channel") or call.args.get("channel_id") or "-"
        wait = "" if call.retry_after is None else f"retry after {call.retry_after}"
        words = [call.method, where, call.outcome, took, call.fault, wait]
        yield f"{call.started:.3f} {' '.join(words)}".rstrip()
