"""`python -m benchmarks`: measure, and print a line per figure as it comes."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from . import observe, report, scenarios
from .peers.environments import environment
from .peers.peer import environment_of
from .peers.run import OURS, PEERS
from .scenarios import NAMES
from .suite import bars, charts, machine, page
from .suite.rounds import Plan, play
from .suite.scenarios import SCENARIOS, Scenario

#: What a full run writes.
RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

_QUICK = "a quick run: one short round of each, of the CSV file 100 MB, of the images 300"
#: Above this share of the CPUs, what others do is said, because it shows in the figures.
_BUSY = 0.15


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0; with --strict, 1 if a bar was missed; 130 after Ctrl-C."""
    options = _options(argv)
    command = shlex.join(["python", "-m", "benchmarks", *(sys.argv[1:] if argv is None else argv)])
    print(machine.circumstances(), flush=True)
    began = time.perf_counter()
    only = options.only or [scenario.name for scenario in SCENARIOS]
    further, met = [name for name in only if name in NAMES], True
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # As for most users, what is imported is compiled once: workers start with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # Else the contestants would play their round to its end.
    try:
        if chosen := [scenario for scenario in SCENARIOS if scenario.name in only]:
            met = _suite(chosen, options, command)
        if further:
            met = _further(further, options, command) and met
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"({time.perf_counter() - began:.0f} s)")
    return 1 if options.strict and not met else 0


def _suite(chosen: list[Scenario], options: argparse.Namespace, command: str) -> bool:
    """Side by side with the peers; were all bars met?"""
    names = None
    if options.peer:
        ours = {name for name in OURS if not set(options.peer) & set(OURS)}
        names = frozenset(ours | set(options.peer))
    plan = Plan(quick=options.quick, rounds=options.rounds, names=names, say=lambda line: print(line, file=sys.stderr, flush=True))
    playing = sorted({name for scenario in chosen for name in plan.of(scenario)})
    for name in sorted({environment_of(name) for name in playing if name not in OURS}):
        environment(name)  # Made now, if it is missing: it would take minutes in the middle of a round.
    about = [*([_QUICK] if options.quick else []), *machine.lines(playing)]
    sections = []
    for scenario, tables in play(chosen, plan):
        print("", *map(page.text, tables), sep="\n\n", flush=True)
        sections.append((scenario.name, scenario.about, tables))
    verdicts = bars.judge([table for _, _, tables in sections for table in tables])
    print(f"\n{bars.text(verdicts)}")
    whole = len(chosen) == len(SCENARIOS) and not options.quick and names is None
    target = options.write or (RESULTS if whole else None)
    if target is not None:
        tables = [table for _, _, tables in sections for table in tables]
        about.append(f"load when it ended: {machine.load()}")
        target.write_text(page.page(command, about, sections, bars.markdown(verdicts)), encoding="utf-8")
        charts.draw_all(tables, target.parent / "charts")
        print(f"\nwritten: {target}, and charts beside it")
    return not any(verdict.met is False and not verdict.bar.goal for verdict in verdicts)


def _further(names: list[str], options: argparse.Namespace, command: str) -> bool:
    """What this project promises by itself; were all bars met?"""
    plan = scenarios.Plan(quick=options.quick, rounds=options.rounds or (3 if options.quick else 7))
    print(report.heading(), flush=True)
    rows = []
    for name in names:
        others = observe.Others()
        for row in importlib.import_module(f"benchmarks.scenarios.{name}").run(plan):
            print(row, flush=True)
            rows.append(row)
        if (share := others.share()) > _BUSY:
            print(f"    other programs took {share:.0%} of the CPUs meanwhile", flush=True)
    print(f"\n{report.summary(rows)}")
    if options.write is not None:
        options.write.write_text(report.page(command, machine.circumstances(), rows), encoding="utf-8")
    return not any(row.met is False for row in rows)


def _rounds(word: str) -> int:
    number = int(word) if word.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from 1 on")
    return number


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="snakepit bench",
        description="Measure this project beside what a user would take instead, in the same minutes.",
        epilog="The machine may be shared: read the ratios, and look twice at a figure whose rounds are far apart.",
    )
    names = [*(scenario.name for scenario in SCENARIOS), *NAMES]
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", action="append", metavar="SCENARIO", choices=names, help="one (may be repeated): %(choices)s")
    players = [*OURS, *PEERS]
    parser.add_argument("--peer", action="append", metavar="NAME", choices=players, help="one beside ours (may be repeated): %(choices)s")
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="rounds per contestant")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write to this Markdown file; a full run writes benchmarks/RESULTS.md")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a bar is missed")
    options = parser.parse_args(argv)
    kinds = {name in NAMES for name in options.only or ()}
    if options.write is not None and len(kinds) > 1:
        parser.error("--write takes scenarios that are played beside peers, or those that are not, and no mixture of both")
    if options.write is not None and not options.write.parent.is_dir():
        parser.error(f"--write: there is no folder {options.write.parent}")
    if options.write is not None:
        try:  # before half an hour of measuring
            options.write.open("a", encoding="utf-8").close()
        except OSError as error:
            parser.error(f"--write: {options.write} cannot be written to: {error.strerror}")
    return options


if __name__ == "__main__":
    sys.exit(main())
