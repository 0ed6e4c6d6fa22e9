"""Kills, faults and restarts under load, and whether nothing was lost: ``make chaos``.

A program, not a test: it takes minutes. Its plan is a function of the seed; what the processes
make of it depends on the machine as well.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tests.chaos import report
from tests.chaos.plan import QUESTIONS, Database, Plan, Streaming, plan
from tests.chaos.scene import Run, play
from tests.chaos.verdict import judge

MINUTES = 8.0


def main(words: Sequence[str]) -> int:
    options = _parser().parse_args(words)
    databases = get_args(Database) if options.database == "both" else (options.database,)
    if options.logs:  # a run of minutes is not to be lost for a folder that cannot be had
        options.logs.mkdir(parents=True, exist_ok=True)
    seconds = 60 * (options.minutes or _minutes(options.questions, len(databases)))
    plans = [
        plan(options.seed, database, seconds=seconds, streaming=options.streaming)
        for database in databases
    ]
    runs = asyncio.run(_play_all(plans))
    is_met = True
    for run in runs:
        verdict = judge(run.evidence)
        print("\n".join(report.lines(run, verdict)), end="\n\n", flush=True)
        is_met &= not verdict.offences and run.settled_in is not None and not run.stragglers
        if options.logs:
            _leave(options.logs, run)
    print("Each question was answered once." if is_met else "This must not be.")
    return 0 if is_met else 1


def _leave(folder: Path, run: Run) -> None:
    """What the processes logged, and the calls to Slack."""
    name = f"chaos-{run.plan.database}-{run.plan.seed}"
    (folder / f"{name}.log").write_text("\n".join(run.lines) + "\n")
    (folder / f"{name}.calls").write_text("\n".join(report.call_log(run)) + "\n")


def _minutes(questions: int | None, databases: int) -> float:
    return questions / databases / QUESTIONS if questions else MINUTES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the plan; default 1")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help=f"of load; default {MINUTES:g}")
    length.add_argument("--questions", type=int, help="as many as these, at the usual pace")
    parser.add_argument("--database", choices=[*get_args(Database), "both"], default="both")
    parser.add_argument(
        "--streaming", choices=get_args(Streaming), default="edit", help="how answers grow"
    )
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="where to leave what the processes log"
    )
    return parser


async def _play_all(plans: Sequence[Plan]) -> list[Run]:
    """At the same time: most of it is waiting."""
    return await asyncio.gather(*map(play, plans))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
