"""Measures what the README claims: ``make bench``. A program, not timed tests.

The bot runs in a process of its own, against a local Slack and a local model in this one. Machines
differ and are noisy: compare figures of one run, not of two machines.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench import accepting, cpu, delays, ledger, pictures
from tests.bench.loads import BOTH, LOADS, Load, Outcome, play
from tests.bench.patterns import STREAM, TIMER
from tests.bench.stage import OURS
from tests.bench.tables import Figure, figure_lines, is_met, outcome_lines

# Loads at the same time. Most wait for a model's pace, but two cores have to do for all.
LANES = 2

ALONE: dict[str, Callable[[], Awaitable[list[Figure]]]] = {
    "event": delays.event_to_model,
    "accept": accepting.accept,
    "acks": delays.acks_under_load,
    "cpu": cpu.full_speed,
    "many": cpu.many_at_once,
    "report": ledger.report,
    "recording": ledger.recording,
}
NAMES = [*(load.name for load in LOADS), *ALONE]


@dataclass(frozen=True)
class Run:
    load: Load
    module: str
    form: str


def main(words: Sequence[str]) -> int:
    options = _parser().parse_args(words)
    names = options.names or (list(pictures.DRAWN) if options.pictures else NAMES)
    forms = BOTH if options.all_forms else ()
    runs = list(_runs(names, forms))
    outcomes = asyncio.run(_play_all(runs))
    if outcomes:
        print("\n".join(outcome_lines(outcomes)), end="\n\n", flush=True)
    figures = asyncio.run(_measure([name for name in names if name in ALONE]))
    if figures:
        print("\n".join(figure_lines(figures)), end="\n\n")
    for path in pictures.draw(outcomes):
        print(f"drew {path.relative_to(path.parents[3])}")
    met = all(map(is_met, outcomes)) and all(figure.is_met for figure in figures)
    return 0 if met else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    # [] is what argparse makes of no name at all, and it wants to find that among the choices.
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*NAMES, []], help=", ".join(NAMES)
    )
    parser.add_argument(
        "--all-forms", action="store_true", help="each load at both kinds of limits"
    )
    parser.add_argument("--pictures", action="store_true", help="only what the pictures need")
    return parser


def _runs(names: Sequence[str], forms: Sequence[str]) -> Iterator[Run]:
    for load in LOADS:
        if load.name in names:
            yield from (Run(load, OURS, form) for form in forms or load.forms)
            if load.is_compared:
                yield from (Run(load, module, "window") for module in (TIMER, STREAM))


async def _play_all(runs: Sequence[Run]) -> list[Outcome]:
    """A few at a time, and the outcomes in the order of the runs."""
    lanes = asyncio.Semaphore(LANES)

    async def one(run: Run) -> Outcome:
        async with lanes:
            print(f"... {run.load.title}, {run.module}, {run.form}", file=sys.stderr, flush=True)
            return await play(run.load, form=run.form, module=run.module)

    return await asyncio.gather(*(one(run) for run in runs))


async def _measure(names: Sequence[str]) -> list[Figure]:
    """One after the other: they measure the machine as well."""
    figures = []
    for name in names:
        print(f"... {name}", file=sys.stderr, flush=True)
        try:
            figures += await ALONE[name]()
        except TimeoutError:
            figures.append(Figure(name, "gave up", is_met=False))
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
