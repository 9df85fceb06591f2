"""The suite plays this project beside its peers, and says in RESULTS.md what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks.peers import environments, peer
from benchmarks.suite import page
from benchmarks.suite.contestants import _LABELS, contestants
from benchmarks.suite.results import Cell, Measure, Table, losses

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
    assert "| one call | Pool: 2.00 ms | Ray: 1.00 ms | 2.00x |" in text
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


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_two_scenarios_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and the standard library's play in turn, and the file has their figures."""
    monkeypatch.setattr(peer, "environment", lambda _name: Path(sys.executable))
    chosen = ["--only", "sequential", "--only", "in_flight"]
    players = [word for name in ("pool", "pool_map", "executor", "pipe") for word in ("--peer", name)]
    assert main(["--quick", "--rounds", "1", *chosen, *players, "--write", str(tmp_path / "found.md")]) == 0
    text = (tmp_path / "found.md").read_text(encoding="utf-8").partition("\n## sequential\n")[2].partition("## Who plays")[0]
    for label in ("**Pool**", "ProcessPoolExecutor, spawn", "pipes by hand"):
        assert text.count(f"\n| {label} | ") == 5
    assert text.count("\n| **Pool.map** | ") == 4
    assert "failed" not in text
