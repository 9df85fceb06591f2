"""The suite plays this project beside its peers, and says in RESULTS.md what came of it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.peers import environments, peer
from benchmarks.peers.player import Player
from benchmarks.suite import bars, charts, page, scenarios
from benchmarks.suite.contestants import _LABELS, contestants
from benchmarks.suite.results import Cell, Measure, Table, losses
from benchmarks.suite.rounds import Plan, play

TIME = Measure("sequential", "one call", "p50", "ms")
RATE = Measure("stream", "chunks", "rate", "chunks/s", more=True)
OURS = ("pool", "async_pool")


def table(measure: Measure, **figures: list[float] | str) -> Table:
    cells = {name: Cell(remark=found) if isinstance(found, str) else Cell(found) for name, found in figures.items()}
    return Table(measure, cells)


def test_ratio_is_of_rounds_where_both_played_them() -> None:
    """A round in which the machine was busy slows both, and does not decide."""
    times = table(TIME, pool=[1.0, 8.0, 1.0], ray=[2.0, 16.0, 4.0], loky=[3.0], pebble="failed")
    assert times.ratio("ray", "pool") == 2.0
    assert times.ratio("loky", "pool") == 3.0
    assert times.ratio("pebble", "pool") is None
    assert times.ratio("dask", "pool") is None


def test_best_is_least_of_times_and_most_of_rates() -> None:
    """Who has no figure is never the best."""
    assert table(TIME, pool=[2.0], async_pool=[1.0], ray="failed").best([*OURS, "ray"]) == "async_pool"
    assert table(RATE, pool=[2.0], async_pool=[1.0]).best(OURS) == "pool"
    assert table(RATE, pool="failed").best(OURS) is None


def test_losses_name_who_is_ahead_of_the_best_of_ours() -> None:
    """The largest lead of a measure comes first; who is behind, or even, is no loss."""
    tables = [
        table(TIME, pool=[2.0], async_pool=[1.0], pipe=[0.25], pyzmq=[0.1], ray=[3.0], loky=[0.99]),
        table(RATE, pool=[100.0], async_pool=[50.0], pipe=[150.0], ray=[10.0], grpc="failed"),
    ]
    found = [(loss.table.measure.key, loss.best, loss.peer, round(loss.times, 3)) for loss in losses(tables, OURS)]
    assert found == [
        ("sequential", "async_pool", "pyzmq", 10.0),
        ("sequential", "async_pool", "pipe", 4.0),
        ("stream", "pool", "pipe", 1.5),
    ]


def test_table_ranks_best_first_and_keeps_who_failed() -> None:
    """Medians, spread, ratio to ours; a failure is a cell with its reason, in the last line."""
    lines = page.markdown(table(TIME, ray=[4.0, 6.0, 5.0], loky="failed: it fell | over\nall of it", pool=[1.0, 2.0, 1.25])).splitlines()
    assert lines[2] == "| **Pool** | 1.25 | 1.00-2.00 | 1.00 |  |"
    assert lines[3] == "| Ray | 5.00 | 4.00-6.00 | 4.00 |  |"
    assert lines[4] == "| loky |  |  |  | failed: it fell / over all of it |"
    rates = page.markdown(table(RATE, pool=[100.0], ray=[250_000.0])).splitlines()
    assert rates[2].startswith("| Ray | 250,000 |")


def test_page_says_who_wrote_it_and_where_we_lose() -> None:
    """The command, the machine, the losses, each table and the pages of those who played are there."""
    text = page.page("python -m benchmarks", ["CPython, 2 CPUs"], [("sequential", "Calls.", [table(TIME, pool=[2.0], ray=[1.0])])])
    assert "Written by the program, `python -m benchmarks`; not by hand." in text
    assert "- CPython, 2 CPUs" in text
    assert "| one call | Pool: 2.00 ms | Ray 1.00 (**2.00x**) |" in text
    assert "## sequential\n\nCalls.\n\n### one call" in text
    assert "https://docs.ray.io/en/latest/ray-core/actors.html" in text
    assert "Nowhere" in page.where_we_lose([table(TIME, pool=[1.0], ray=[2.0])])


def test_each_contestant_has_a_label_and_pages() -> None:
    """What is shown of each says what it is, and which documentation it follows."""
    for contestant in contestants().values():
        assert contestant.name in _LABELS
        assert contestant.pages
        for link in contestant.pages:
            assert link.startswith("https://") or (Path(environments.ROOT) / "benchmarks" / link).exists()


#: The program, with the peers of the standard library in the interpreter of the tests: nothing is installed.
PROGRAM = """
import pathlib, sys
from benchmarks.peers import peer
from benchmarks import __main__ as program
from benchmarks.suite import machine
for module in (peer, program, machine):
    module.environment = lambda name: pathlib.Path(sys.executable)
sys.exit(program.main(sys.argv[1:]))
"""


def players(*names: str) -> list[str]:
    return [word for name in names for word in ("--peer", name)]


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_two_scenarios_side_by_side(root: Path, tmp_path: Path) -> None:
    """Ours and the standard library's play in turn; the file has their figures and links its pictures."""
    chosen = ["--quick", "--only", "sequential", "--only", "in_flight", *players("pool", "pool_map", "executor", "pipe")]
    command = [sys.executable, "-c", PROGRAM, *chosen, "--write", str(tmp_path / "found.md")]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "64 in flight, 2 workers (calls/s; more is better)" in done.stdout
    text = (tmp_path / "found.md").read_text(encoding="utf-8").partition("\n## sequential\n")[2].partition("## Who plays")[0]
    for label in ("**Pool**", "ProcessPoolExecutor, spawn", "pipes by hand"):
        assert text.count(f"\n| {label} | ") == 5
    assert text.count("\n| **Pool.map** | ") == 4
    assert "failed" not in text
    assert {f"charts/{path.name}" for path in (tmp_path / "charts").iterdir()} == set(re.findall(r"\]\((charts/\w+\.svg)\)", text))


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_ctrl_c_ends_it_at_once(root: Path) -> None:
    """In the middle of a round that would go on for long: no process stays, and the exit code is that of an interrupt."""
    command = [sys.executable, "-c", PROGRAM, "--only", "slow_consumer", "--rounds", "50", *players("pool", "pipe")]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1 of 50: pipe" in line:
                break
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(10) == 130
        assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_peer_that_fails_is_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot even be started, or breaks down, has its reason in its cells; the others play on."""
    monkeypatch.setattr(peer, "environment", lambda name: Path(sys.executable) if name == "stdlib" else None)
    plan = Plan(quick=True, names=frozenset({"pipe", "loky"}), say=lambda _line: None)
    ((_, tables),) = play([scenarios.scenario("sequential")], plan)
    assert tables[0].median("pipe")
    assert tables[0].median("loky") is None
    assert tables[0].cells["loky"].remark.startswith("failed: loky cannot play: its environment cannot be made here")


def verdict(found: list[bars.Verdict], about: str, ours: str, beside: str = "") -> bars.Verdict:
    (one,) = (each for each in found if (each.bar.about, each.bar.ours, each.bar.beside, each.bar.goal) == (about, ours, beside, False))
    return one


def test_bars_are_judged_by_ratio_or_figure() -> None:
    """A time has to be at most so many times the peer's, a rate at least; what was missed says by how much."""
    found = bars.judge(
        [
            table(scenarios.measure("sequential"), async_pool=[140.0], executor=[100.0], async_pool_grpc=[80.0], grpc=[100.0]),
            table(scenarios.measure("stream"), pool_grpc=[800_000.0], ray=[10_000.0], grpc=[40_000.0], pyzmq="failed"),
        ]
    )
    missed = verdict(found, "sequential execute, MessagePack", "async_pool", "executor")
    assert (missed.met, round(missed.value or 0, 3), round(missed.missed_by, 3)) == (False, 1.4, 1.077)
    assert verdict(found, "sequential execute, gRPC", "async_pool_grpc", "grpc").met
    assert verdict(found, "small chunks, gRPC", "pool_grpc", "ray").met
    slower = verdict(found, "small chunks, gRPC", "pool_grpc", "grpc")
    assert (slower.met, slower.missed_by) == (False, 1.5)
    assert verdict(found, "small chunks, gRPC", "pool_grpc", "pyzmq").met is None
    text = bars.markdown(found)
    assert "| sequential execute, MessagePack | AsyncPool | 1.40x ProcessPoolExecutor, spawn | <= 1.3x | bar | missed by 1.08x |" in text
    assert "| small chunks, gRPC | Pool, gRPC | 20.0x bare grpc.aio | >= 30x | bar | missed by 1.50x |" in text
    assert text.startswith("2 of 4 bars met, 0 of 2 goals met, ")


def test_cancel_counts_only_if_the_model_stayed() -> None:
    """However fast a call ended: with its worker gone the bar is missed."""
    cells = {"pool": Cell([20.0], flags={"lived": True, "model": True}), "pool_grpc": Cell([20.0], flags={"lived": True, "model": False})}
    found = bars.judge([Table(scenarios.measure("cancel_sleep"), cells)])
    assert verdict(found, "cancel of time.sleep, the model stays", "pool").met
    assert verdict(found, "cancel of time.sleep, the model stays", "pool_grpc").met is False
    assert "missed: its worker, or what it had loaded, is gone" in bars.markdown(found)


def test_worker_of_a_template_is_what_it_adds() -> None:
    """Its memory is computed from two and from fifty of them, since they share most of it."""
    found = bars.judge(
        [table(scenarios.measure("memory_2"), pool_template=[40.0]), table(scenarios.measure("memory_50"), pool_template=[280.0])]
    )
    assert verdict(found, "idle memory, from a template", "pool_template").value == 5.0


def test_each_bar_names_a_measure_and_those_who_play_it() -> None:
    """No bar can go unmeasured for a misspelt name."""
    players = {
        measure.key: {*scenario.ours, *scenario.peers} if not part.only else set(part.only)
        for scenario in scenarios.SCENARIOS
        for part in scenario.parts
        for measure in part.measures
    }
    players["template_worker"] = {"pool_template"}
    for bar in bars.BARS:
        assert {bar.ours, bar.beside or bar.ours} <= players[bar.key], bar


def test_each_scenario_is_one_that_players_have() -> None:
    """Its parts are scenarios of the players, its contestants exist, and no key is given twice."""
    keys = [measure.key for scenario in scenarios.SCENARIOS for part in scenario.parts for measure in part.measures]
    assert len(keys) == len(set(keys))
    for scenario in scenarios.SCENARIOS:
        assert {*scenario.ours, *scenario.peers} <= set(contestants())
        for part in scenario.parts:
            assert part.scenario in (*Player.STANDING, *Player.FRESH)


@pytest.mark.slow
def test_charts_are_the_same_for_the_same_figures(tmp_path: Path) -> None:
    """No date and no random id is in them, ground and words are for light and dark, and old ones go."""
    found = [table(RATE, pool=[100.0, 120.0], ray=[0.0], loky="failed"), table(TIME, ray="failed")]
    (tmp_path / "gone.svg").touch()
    pictures = []
    for _ in range(2):
        charts.draw_all(found, tmp_path)
        (path,) = tmp_path.glob("*.svg")
        pictures.append(path.read_text(encoding="utf-8"))
    assert pictures[0] == pictures[1]
    assert "chunks/s" in pictures[0]
    assert "loky" not in pictures[0]
    assert "<dc:date>" not in pictures[0]
    assert "fill: #000000" not in pictures[0]


def test_kept_results_were_written_by_the_program(root: Path) -> None:
    """The file in the tree has all scenarios, the bars, and a picture for each that it shows."""
    text = (root / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    assert re.match(r"# Results\n\nWritten by the program, `python -m benchmarks[^`]*`; not by hand\.", text)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["What is promised", "Where we lose", *(scenario.name for scenario in scenarios.SCENARIOS), "Who plays"]
    shown = set(re.findall(r"\]\(charts/(\w+\.svg)\)", text))
    assert shown == {path.name for path in (root / "benchmarks" / "charts").iterdir()}
