"""The pictures: what a person sees of one answer and of a crowd's, beside the common patterns."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

from bot.report.scale import round_up
from tests.bench.loads import LOADS, Outcome
from tests.bench.patterns import STREAM, TIMER
from tests.bench.plots import Chart, Line, Point, steps
from tests.bench.stage import OURS
from tests.bench.tables import in_seconds

FOLDER = Path(__file__).parent / "pictures"
SHOWN = {OURS: ("ours", "this bot"), STREAM: ("stream", "SDK's chat_stream")} | {
    TIMER: ("timer", "an edit each second")
}
DRAWN = ("one", "crowd")  # the loads that are drawn; all must answer them
STEP = 0.1  # seconds between two points of a line
LONGEST = 1.8  # words are drawn for at most as many times as long as the model takes


def draw(outcomes: Sequence[Outcome]) -> list[Path]:
    """Writes the pictures for which all outcomes are there; their files."""
    drawn = []
    for name, chart in _charts(outcomes).items():
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}.svg"
        path.write_text(chart.svg(), encoding="utf-8")
        drawn.append(path)
    return drawn


def _charts(outcomes: Sequence[Outcome]) -> Mapping[str, Chart]:
    found = {
        (outcome.load.name, outcome.module): outcome
        for outcome in outcomes
        if outcome.form == "window"
    }
    charts: dict[str, Chart] = {}
    for load in LOADS:
        answered = {
            module: found[load.name, module] for module in SHOWN if (load.name, module) in found
        }
        if load.name in DRAWN and len(answered) == len(SHOWN):
            charts[load.name] = _words(answered)
            if load.answers > 1:
                charts[f"{load.name}-finished"] = _finished(answered)
    return charts


def _words(outcomes: Mapping[str, Outcome]) -> Chart:
    """How many words were visible, all answers together."""
    ours = outcomes[OURS]
    load = ours.load
    ended = max((answer.ended or ours.started) - ours.started for answer in ours.answers)
    most = round_up(min(_longest(outcomes), ended * LONGEST))
    times = [number * STEP for number in range(int(most / STEP) + 1)]
    lines = [_model_words(ours, times)]
    for module, (kind, name) in SHOWN.items():
        outcome = outcomes[module]
        points = steps([(at, _visible(outcome, at)) for at in times])
        lines.append(Line(kind, name, _note(outcome), points))
    tokens = f"{load.tokens} tokens at {load.rate:g} a second"
    one = load.answers == 1
    return Chart(
        "One answer, while it is written" if one else f"{load.answers} answers at once",
        f"{tokens}; Slack's documented limits"
        if one
        else f"asked within {load.seconds:g} s, {tokens} each; Slack's documented limits",
        "seconds since the question" if one else "seconds since the first question",
        "words visible" if one else "words visible, all answers",
        most,
        round_up(len(ours.text.words) * load.answers),
        lines,
    )


def _finished(outcomes: Mapping[str, Outcome]) -> Chart:
    """How many answers were whole."""
    ours = outcomes[OURS]
    most = round_up(_longest(outcomes))
    ends = [answer.ended or inf for answer in ours.answers]
    lines = [Line("model", "the model", _last(ends, ours.started), _counted(ends, ours.started))]
    for module, (kind, name) in SHOWN.items():
        outcome = outcomes[module]
        whole = [answer.whole_at for answer in outcome.answers]
        note = _last(whole, outcome.started)
        lines.append(Line(kind, name, note, _counted(whole, outcome.started)))
    return Chart(
        f"{ours.load.answers} answers at once: when each is whole",
        f"asked within {ours.load.seconds:g} s; Slack's documented limits",
        "seconds since the first question",
        "answers whole on screen",
        most,
        round_up(ours.load.answers),
        lines,
    )


def _model_words(outcome: Outcome, times: Sequence[float]) -> Line:
    """The line of the text as the model wrote it."""

    def written(at: float) -> float:
        at += outcome.started
        tokens = [bisect_right(answer.written, at) for answer in outcome.answers]
        return sum(map(outcome.text.words_of, tokens))

    points = steps([(at, written(at)) for at in times])
    return Line("model", "the model", "as it writes", points)


def _visible(outcome: Outcome, at: float) -> float:
    """Words on all screens so many seconds after the first question."""
    at += outcome.started
    total = 0
    for answer in outcome.answers:
        shows = bisect_right(answer.shows, at, key=lambda show: show.at)
        total += answer.shows[shows - 1].words if shows else 0
    return total


def _counted(moments: Sequence[float], started: float) -> list[Point]:
    ordered = sorted(moment - started for moment in moments if moment < inf)
    return [(at, float(count)) for count, at in enumerate(ordered, 1)]


def _last(moments: Sequence[float], started: float) -> str:
    never = sum(moment == inf for moment in moments)
    if never:
        return f"{never} of {len(moments)} never"
    return f"all after {max(moments) - started:.1f} s"


def _note(outcome: Outcome) -> str:
    missing = outcome.load.answers - outcome.complete
    if missing and outcome.load.answers > 1:
        return f"{missing} of {outcome.load.answers} are never whole"
    kind = "median" if outcome.load.answers > 1 else "on average"
    return f"{in_seconds(outcome.behind)} behind, {kind}"


def _longest(outcomes: Mapping[str, Outcome]) -> float:
    """Seconds until no answer changes any more."""
    return max(
        answer.shows[-1].at - outcome.started
        for outcome in outcomes.values()
        for answer in outcome.answers
        if answer.shows
    )
