"""Every example script, run as its user runs it: a real process, a real pool, small input."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, needs: Callable[..., None]) -> Run:
    """`run(script, *flags, libraries=(...))`: what the script printed, by lines; it must end well and complain about nothing."""

    def run_script(script: str, *flags: str, libraries: tuple[str, ...] = ()) -> list[str]:
        needs(*libraries)
        command = [sys.executable, str(EXAMPLES / script), *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run_script


def test_stream_progress_demo(run: Run) -> None:
    """Five updates, the last one final."""
    assert run("stream_progress_demo.py", "--delay-ms", "1") == [
        "📊  20.0%  Step 1 of 5",
        "📊  40.0%  Step 2 of 5",
        "📊  60.0%  Step 3 of 5",
        "📊  80.0%  Step 4 of 5",
        "📊 100.0%  Step 5 of 5",
        "✅ All 5 steps done",
    ]


def test_execute_with_fallback(run: Run, tmp_path: Path) -> None:
    """Over gRPC where both sides have it; workers without grpcio are told of, and called over MessagePack instead."""
    assert run("execute_with_fallback.py") == ["8"]
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    (packages,) = (bare / "lib").glob("python*/site-packages")
    msgpack = importlib.util.find_spec("msgpack")
    assert msgpack is not None
    assert msgpack.origin is not None
    (packages / "msgpack").symlink_to(Path(msgpack.origin).parent)
    warning, result = run("execute_with_fallback.py", "--python", str(bare))
    assert warning.startswith("⚠️ protocol 'grpc' needs grpcio, which ")
    assert result == "8"


def test_session_training(run: Run) -> None:
    """Two models are trained in turns, each on one worker, and each goes on where it stopped."""
    lines = run("session_training.py", "--rounds", "2", "--epochs", "2", libraries=("numpy", "sklearn"))
    made = [re.fullmatch(r"🧠 (small|large): (\d+) parameters, on (worker-\d)", line) for line in lines[:2]]
    assert [match.groups()[:2] for match in made if match] == [("small", "610"), ("large", "4810")]
    epochs = [re.fullmatch(r"📈 +(small|large)  epoch (\d) on (worker-\d): loss=(\d\.\d+), accuracy=\d+\.\d%", line) for line in lines[2:]]
    told = [match.groups() for match in epochs if match]
    assert [line[:2] for line in told] == [(name, str(n + e)) for n in (1, 3) for name in ("small", "large") for e in (0, 1)]
    homes = {match[1]: match[3] for match in made if match}
    assert all(worker == homes[name] for name, _, worker, _ in told)
    assert float(told[0][3]) > float(told[5][3])


def test_batch_inference(run: Run, tmp_path: Path) -> None:
    """Each image gets its line, an unreadable one says so, and the model file is made."""
    flags = ("digit_0001", "none.npy", "digit_0006", "--model", "model.pkl")
    first, bad, second, end = run("batch_inference.py", *flags, libraries=("sklearn",))
    assert re.fullmatch(r"🧠 digit_0001: 1 \(\d\d% confidence\)", first)
    assert bad.startswith("❌ ")
    assert "none.npy" in bad
    assert re.fullmatch(r"🧠 digit_0006: 6 \(\d\d% confidence\)", second)
    assert end == "🎉 Batch inference complete! Processed 2 items successfully, 1 could not be read"
    assert (tmp_path / "model.pkl").exists()


def test_process_large_dataset(run: Run) -> None:
    """The file is made, every tenth is told, and the counts at the end are those of the maker."""
    lines = run("process_large_dataset.py", "--rows", "20000", "--chunk-size", "1000", libraries=("pandas",))
    assert lines[0] == "Made 20,000 rows, 32 of them dirty (9 unparsable)"
    progress = [re.fullmatch(r"📊 Progress: (.*)% \((\d+)/20000 rows\) - Memory: \d+MB", line) for line in lines[1:11]]
    assert [match and match.groups() for match in progress] == [(f"{10 * step}.0", str(2000 * step)) for step in range(1, 11)]
    assert lines[11] == "✅ Processing complete!"
    assert lines[12] == "📊 Final stats: {'total_rows': 20000, 'processed': 19968, 'errors': 9, 'skipped': 32}"
    assert [line.split(":")[0].strip() for line in lines[13:]] == ["east", "north", "south", "west"]


def test_tail_and_analyze(run: Run) -> None:
    """Matches from before and after each rotation arrive in order, then the silence ends the stream."""
    lines = run("tail_and_analyze.py", "--quiet-seconds", "2")
    matches = [line for line in lines if not line.startswith("   ")]
    assert [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "(now)", line) for line in matches] == [
        "🚨 [(now)] ERROR: (now) ERROR Database connection failed: timeout after 30s",
        "⚠️ [(now)] WARN: (now) WARN High memory usage detected: 85% of heap used",
        "💀 [(now)] FATAL: (now) FATAL OutOfMemoryError: Java heap space exceeded",
        "💀 [(now)] OutOfMemoryError: (now) FATAL OutOfMemoryError: Java heap space exceeded",
        "🚨 [(now)] ERROR: (now) ERROR Database connection failed: refused",
        "📊 Nothing matched for 2 s: stopped watching",
    ]


@pytest.mark.parametrize("how", [("--single",), ("--workers", "2")], ids=["single", "data-parallel"])
def test_distributed_training(run: Run, tmp_path: Path, how: tuple[str, ...]) -> None:
    """The loss falls from epoch to epoch, and the checkpoint that is named is there; one stream or several workers."""
    flags = ("--epochs", "3", "--output-dir", "models", *how)
    lines = run("distributed_training.py", *flags, libraries=("numpy", "sklearn"))
    losses = [float(match[1]) for line in lines if (match := re.search(r"Train: loss=(\S+),", line))]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    assert lines[-2].startswith("🎯 Training complete! Best accuracy: 0.")
    assert lines[-1].startswith("💾 Model saved: ")
    assert (tmp_path / lines[-1].removeprefix("💾 Model saved: ")).exists()


def test_realtime_stock_analysis(run: Run) -> None:
    """The endless feed is left after as many ticks as asked for."""
    lines = run("realtime_stock_analysis.py", "--ticks", "40", "--delay", "0")
    ticks = [line for line in lines[:-1] if not line.startswith("   ")]
    assert len(ticks) == 40
    assert all(
        re.fullmatch(r"(⚪|🟢|🔴) (AAPL|GOOGL|MSFT|TSLA): \$\d+\.\d\d - (HOLD|BUY signal|SELL signal) \(RSI: (--|\d+\.\d)\)", line)
        for line in ticks
    )
    assert lines[-1] == "📊 Left after 40 ticks"


def test_realtime_stock_analysis_of_a_file(run: Run, tmp_path: Path) -> None:
    """A replayed feed ends with its file."""
    (tmp_path / "feed.csv").write_text("symbol,price,volume\nX,1.5,10\nY,2,10\nX,1.25,10\n", encoding="utf-8")
    lines = run("realtime_stock_analysis.py", "--feed", "feed.csv", "--symbols", "X", "--delay", "0")
    assert lines == ["⚪ X: $1.50 - HOLD (RSI: --)", "⚪ X: $1.25 - HOLD (RSI: --)", "📊 Market session ended"]


def test_demo(run: Run) -> None:
    """The demo, on a smaller file, shows all its acts in plain text and ends with what to try next and its figures."""
    lines = run("demo.py", "--rows", "100000", libraries=("pandas",))
    assert "\x1b" not in "".join(lines)
    text = "\n".join(lines)
    assert "SIGKILL" in text
    assert text.count("✘") == 2  # the cancelled stream, and the one whose worker was killed
    assert re.fullmatch(r"rows/s [\d,]+ · chunks \d+ · first chunk [\d.]+ ms · cancel [\d.]+ ms · kill to error [\d.]+ ms", lines[-1])
    assert any(line.startswith('   next: README.md, "Five minutes"') for line in lines[-4:])


@pytest.mark.parametrize("missing", ["pandas"])
def test_demo_says_what_is_missing(tmp_path: Path, missing: str) -> None:
    """Where a library is not installed, the demo names it and the command that installs it."""
    hide = f"import importlib.util as u; found = u.find_spec; u.find_spec = lambda name: None if name == {missing!r} else found(name)"
    script = EXAMPLES / "demo.py"
    code = f"{hide}; import runpy, sys; sys.path.insert(0, {str(EXAMPLES)!r}); runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the demo needs pandas: pip install 'snakepit-bridge[examples]'\n"
