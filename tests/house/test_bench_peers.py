"""The peers of the benchmarks play what they are asked to, say what they cannot, and leave nothing behind."""

from __future__ import annotations

import ast
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.peers import environments, processes, work
from benchmarks.peers.peer import Answer, Peer, PeerFailed, environment_of
from benchmarks.peers.run import PEERS
from benchmarks.peers.sampler import Sampler
from benchmarks.suite.materials import write_csv

STANDARD = ("executor", "executor_fork", "pipe")


def play(peer: Peer, scenario: str, **options: Any) -> Answer:
    return peer.ask(scenario, timeout=20, **options)


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("name", STANDARD)
def test_standing_pool_plays_in_rounds(name: str) -> None:
    """Times and rates come back, round after round, of one pool that stays open between them."""
    with Peer(name, python=sys.executable) as peer:
        for _ in range(2):
            assert 0 < play(peer, "sequential", count=20).figures["p50"] < 1
            for window in (1, 16):
                assert play(peer, "in_flight", window=window, count=50).figures["rate"] > 1
            assert all(0 < seconds < 5 for seconds in play(peer, "transfer", count=1000).figures.values())
            session = play(peer, "sessions", count=20)
            first = play(peer, "first_chunk", streams=2, count=20)
            stream = play(peer, "stream", count=50)
            if name == "pipe":
                assert stream.figures["rate"] > 50
                assert 0 < stream.figures["first"] < 5
                assert 0 < session.figures["p50"] < 1
                assert 0 < first.figures["p50"] < 1
            else:
                assert stream == Answer(stream.seconds, {}, "its functions return once")
                assert session.cannot.startswith("a call goes to whichever worker is free")
                assert first.cannot == stream.cannot
        assert peer.end() == []


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("name", STANDARD)
def test_fresh_pools_start_crash_and_cancel(name: str) -> None:
    """Each of these rounds has a pool of its own; a crash is seen, and who cannot recover or cancel says so."""
    with Peer(name, python=sys.executable) as peer:
        memory = play(peer, "memory", settle=0.0).figures
        assert memory["processes"] == (2 if name == "executor_fork" else 3)  # spawn has a process that tracks resources
        assert 1 < memory["mib"] < 1000
        assert memory["mib"] < memory["all"] < memory["mib"] + 500
        start = play(peer, "start").figures
        assert 0 < start["first"] < start["closed"] < 10
        crash = play(peer, "crash", patience=0.2)
        assert 0 < crash.figures["error"] < 5
        assert crash.figures["next"] is None
        assert crash.cannot
        for kind in ("sleep", "loop", "read"):
            cancel = play(peer, "cancel", kind=kind, patience=5.0 if name == "pipe" else 0.2)
            if name == "pipe":
                assert 0 < cancel.figures["ended"] < 5
                assert cancel.figures["lived"] is False
            else:
                assert cancel == Answer(cancel.seconds, {}, "the call still ran 0.2 s after it was cancelled")
        assert peer.end() == []


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
@pytest.mark.parametrize("name", ["pool_map", "pool_grpc", "pool_at_once", "pool_template", "async_pool_uvloop"])
def test_ours_play_all_that_peers_do(name: str, tmp_path: Path) -> None:
    """Each face plays by the same code: its streams and sessions too, and a cancelled call leaves the model where it was."""
    if name == "pool_grpc":
        pytest.importorskip("grpc")
    if name == "async_pool_uvloop":
        pytest.importorskip("uvloop")
    rows = write_csv(tmp_path / "rows.csv", 5_000_000)
    with Peer(name) as peer:
        for scenario in ("sequential", "sessions"):
            assert 0 < play(peer, scenario, count=20).figures["p50"] < 1
        assert play(peer, "in_flight", window=16, count=50).figures["rate"] > 1
        assert play(peer, "stream", count=50).figures["rate"] > 50
        assert all(0 < seconds < 5 for seconds in play(peer, "transfer", count=100_000).figures.values())
        crash = play(peer, "crash", patience=10.0)
        assert crash.cannot == ""
        assert 0 < crash.figures["error"] <= crash.figures["next"] < 10
        cancel = play(peer, "cancel", kind="sleep", patience=10.0).figures
        assert (cancel["lived"], cancel["model"]) == (True, True)
        slow = play(peer, "slow_consumer", seconds=0.3, count=5_000).figures
        assert 0 <= slow["host"] + slow["others"] < 30
        for scenario, options in (("csv", {"path": str(tmp_path / "rows.csv"), "rows": rows}), ("images", {"count": 20})):
            piecewise = play(peer, scenario, **options).figures
            assert 0 < piecewise["first"] <= piecewise["seconds"] < 20
            assert (piecewise["first"] > 0.9 * piecewise["seconds"]) or name != "pool_at_once"
        assert peer.end() == []


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_sampler_sees_the_most_that_was_held() -> None:
    """What was taken and given back in the meantime counts; what was there before does not."""
    with Sampler() as sampler:
        block = bytearray(64 * 1024**2)
        block[::4096] = bytes(len(block[::4096]))  # Touched, and so really there.
        time.sleep(0.3)
        del block
    assert 60 < sampler.host < 90
    assert sampler.others < 5
    assert sampler.all >= sampler.host


def test_csv_has_the_rows_that_are_said(tmp_path: Path) -> None:
    """It is about as large as was asked for, and its last column can be added up."""
    rows = write_csv(tmp_path / "rows.csv", 2_000_000)
    *_, last = work.read_csv(str(tmp_path / "rows.csv"))
    assert last["rows"] == rows
    assert abs((tmp_path / "rows.csv").stat().st_size - 2_000_000) < 1_100_000
    assert abs(last["total"] / rows - 0.5) < 0.05


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_rest_ends_the_workers() -> None:
    """A peer that rests keeps no worker, and starts new ones when it is asked again."""
    with Peer("executor_fork", python=sys.executable) as peer:
        play(peer, "sequential", count=2)
        assert len(processes.family(peer.pid)) == 2
        play(peer, "rest")
        assert processes.family(peer.pid) == []
        play(peer, "sequential", count=2)
        assert len(processes.family(peer.pid)) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_peer_that_fails_goes_on() -> None:
    """What goes wrong is told to who asked, and the next round is played."""
    with Peer("pipe", python=sys.executable) as peer:
        with pytest.raises(PeerFailed, match="pipe failed at 'juggle': ValueError: no scenario is called 'juggle'"):
            play(peer, "juggle")
        assert play(peer, "sequential", count=2).figures["p50"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_nothing")
def test_peer_that_does_not_answer_is_killed() -> None:
    """A round that takes too long ends the peer with all its workers, and says so then and later."""
    with Peer("pipe", python=sys.executable) as peer:
        play(peer, "sequential", count=2)
        workers = processes.family(peer.pid)
        with pytest.raises(PeerFailed, match=r"did not play 'sequential' within 0.1 s"):
            peer.ask("sequential", timeout=0.1, count=10**9)
        deadline = time.monotonic() + 5
        while any(worker.alive for worker in workers) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not [worker.command for worker in workers if worker.alive]
        with pytest.raises(PeerFailed, match="pipe ended with code -9"):
            play(peer, "sequential", count=2)


@pytest.mark.slow
def test_peer_whose_environment_cannot_be_made_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the peer; what went wrong has been printed."""
    monkeypatch.setattr(environments, "_FOLDER", tmp_path)
    monkeypatch.setitem(environments.NEEDS, "stdlib", ("3.0", []))
    environments.environment.cache_clear()
    try:
        with pytest.raises(PeerFailed, match="pipe cannot play: its environment cannot be made here"):
            Peer("pipe")
    finally:
        environments.environment.cache_clear()


def test_each_peer_has_an_environment_and_says_which_pages_it_follows() -> None:
    """Each name leads to needs and to a module whose docstring links its library's documentation."""
    assert {environment_of(name) for name in PEERS} == set(environments.NEEDS)
    for module, _ in PEERS.values():
        source = (Path(environments.__file__).parent / f"{module}.py").read_text(encoding="utf-8")
        assert "https://" in (ast.get_docstring(ast.parse(source)) or "")


def test_array_at_hand_is_that_of_every_caller() -> None:
    """Some peers give arguments by place and ours by name: all find what `prepare` has made."""
    try:
        assert work.numbers(3) is work.numbers(count=3)
    finally:
        work.forget()
