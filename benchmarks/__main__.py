"""`python -m benchmarks`: measure, and print a line per figure as it comes."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import shlex
import sys
import time
from pathlib import Path

from . import observe, report
from .scenarios import NAMES, Plan

#: Above this share of the CPUs, what others do is said, because it shows in the figures.
_BUSY = 0.15


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0; with --strict, 1 if a bar was missed."""
    options = _parser().parse_args(argv)
    plan = Plan(quick=options.quick, rounds=options.rounds or (3 if options.quick else 7))
    circumstances = _circumstances()
    print(circumstances, report.heading(), sep="\n\n", flush=True)
    began, rows = time.perf_counter(), []
    for name in options.only or NAMES:
        others = observe.Others()
        for row in importlib.import_module(f"benchmarks.scenarios.{name}").run(plan):
            print(row, flush=True)
            rows.append(row)
        if (share := others.share()) > _BUSY:
            print(f"    other programs took {share:.0%} of the CPUs meanwhile", flush=True)
    print(f"\n{report.summary(rows)} ({time.perf_counter() - began:.0f} s)")
    if options.write is not None:
        command = shlex.join(["python", "-m", "benchmarks", *(sys.argv[1:] if argv is None else argv)])
        options.write.write_text(report.page(command, circumstances, rows), encoding="utf-8")
    return 1 if options.strict and any(row.met is False for row in rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what this project promises, beside a baseline in the same minutes.",
        epilog="The machine may be shared: read the ratios, and look twice at a figure whose rounds are far apart.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", action="append", metavar="NAME", choices=NAMES, help="one scenario (may be repeated): %(choices)s")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds per contestant (default 7, with --quick 3)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table to a Markdown file too, when all is measured")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a bar is missed")
    return parser


def _circumstances() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("grpcio", "msgspec"))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, load {load}"
    return f"{platform.python_implementation()} {platform.python_version()}, {versions}; {machine}"


if __name__ == "__main__":
    sys.exit(main())
