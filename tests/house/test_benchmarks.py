"""The benchmarks run, print what they measured, and judge it by the promised bars."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import report, scenarios
from benchmarks.report import Bar, Row

needs_grpc = pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="grpcio is not installed")


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=root, capture_output=True, encoding="utf-8", timeout=50, check=False
    )


@needs_grpc
@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_cheapest_scenario_runs(root: Path, tmp_path: Path) -> None:
    """One quick round of calls, in sessions and without, ends in a table with figures and a verdict, and leaves nothing else."""
    page = tmp_path / "figures.md"
    done = run(root, "--quick", "--rounds", "1", "--only", "session_calls", "--write", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for label in ("call p50 in a session, AsyncPool.execute", "call p50 in a session, Pool.execute"):
        (row,) = (line for line in lines if line.startswith(label))
        assert row.endswith(("met", "MISSED"))
        assert re.search(r" \d\S+ +\d\S+ +\d\S+x +<= ", row)  # ours, the baseline, their ratio, the bar
        assert f"| {label} | ms |" in page.read_text(encoding="utf-8")
    assert " of 3 bars met" in lines[-2]


def test_unknown_scenario_is_refused(root: Path) -> None:
    """A scenario that does not exist is a usage error that lists those that do."""
    done = run(root, "--only", "nothing")
    assert done.returncode == 2
    assert all(name in done.stderr for name in scenarios.NAMES)


@needs_grpc
@pytest.mark.parametrize("name", scenarios.NAMES)
def test_every_scenario_can_be_run(name: str) -> None:
    """Each name in the list is a module that says what it measures and can be run."""
    module = importlib.import_module(f"benchmarks.scenarios.{name}")
    assert module.__doc__
    assert callable(module.run)


def test_every_module_of_scenarios_is_listed() -> None:
    """No scenario lies there and is never run."""
    folder = Path(scenarios.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(scenarios.NAMES)


def test_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was busy with something else does not decide."""
    row = Row("calls", "ms", ours=[1.0, 8.0, 1.0], baseline=[2.0, 16.0, 0.5], bar=Bar(1.0, of_ratio=True))
    assert row.ratio == 0.5
    assert row.met


@pytest.mark.parametrize(("bar", "met"), [(Bar(3), False), (Bar(4), True), (Bar(4, at_least=True), True), (Bar(5, at_least=True), False)])
def test_bar_without_ratio_judges_our_own_figure(bar: Bar, met: bool) -> None:
    """The median is held against the bar, which itself counts as met."""
    row = Row("first chunk", "ms", ours=[3.0, 4.0, 90.0], baseline=[1.0, 1.0, 1.0], bar=bar)
    assert row.met is met
    assert str(row).endswith("met" if met else "MISSED")


def test_summary_names_what_was_missed() -> None:
    """Rows without a bar count for nothing."""
    rows = [Row("one", "ms", [1.0], bar=Bar(2)), Row("two", "ms", [3.0], bar=Bar(2)), Row("three", "ms", [3.0])]
    assert report.summary(rows) == "1 of 2 bars met; missed: two"


def test_page_says_where_its_figures_come_from() -> None:
    """The file has the command, the circumstances, every row with its remark and verdict, and the summary."""
    rows = [Row("one", "ms", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], Bar(1.3, of_ratio=True), "baseline: two"), Row("three", "MB/s", [3.0])]
    page = report.page("python -m benchmarks --only one", "CPython, 2 CPUs", rows)
    assert "Written by `python -m benchmarks --only one`; not by hand." in page
    assert "CPython, 2 CPUs." in page
    assert "| one<br>*baseline: two* | ms | 2 (1-3) | 2 (2-2) | 1x | <= 1.3x | met |" in page
    assert "| three | MB/s | 3 |  |  |  |  |" in page
    assert "1 of 1 bars met" in page


def test_kept_page_is_of_the_protocols(root: Path) -> None:
    """The file in the tree was written by the program: it has a row for each protocol and every measure."""
    page = (root / "benchmarks" / "PROTOCOLS.md").read_text(encoding="utf-8")
    assert "Written by `python -m benchmarks --only protocols --write benchmarks/PROTOCOLS.md`" in page
    for protocol in ("msgpack", "grpc", "json"):
        for measure in ("call p50, Pool", "AsyncPool.execute, 64 in flight", "Pool.stream", "16 MiB of bytes up"):
            assert f"| {measure}, {protocol}" in page
