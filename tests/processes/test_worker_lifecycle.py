"""The adapter's object: one per worker or one per call, set up before the first call and cleaned up after the last."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import all_ready
from worker_faces import adapter, face_of, nothing_left

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module."""
    with nothing_left(tmp_path_factory):
        yield


class Log:
    """What the adapter has written down."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.env = {"LIFE_LOG": str(path)}

    @property
    def lines(self) -> list[str]:
        """So far."""
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Log:
    """The file that adapters write to."""
    return Log(tmp_path / "life.log")


def test_one_object_for_the_workers_life(log: Log) -> None:
    """`__init__` and `initialize` run once, on the main thread, before the pool is ready; `cleanup` once at the end."""
    with face_of("sync", adapter("lifecycles", "Life"), env=log.env) as face:
        assert log.lines == ["init", "initialize True"]
        assert [face.execute("count") for _ in range(3)] == [1, 2, 3]
        assert face.values("numbers", {"n": 2}) == [{"calls": 4}, {"calls": 5}]
        assert len(log.lines) == 2
    assert log.lines == ["init", "initialize True", "cleanup 5"]


def test_each_worker_has_its_own(log: Log) -> None:
    """Two workers: two objects, two clean-ups."""
    with face_of("sync", adapter("lifecycles", "Life"), env=log.env, size=2) as face:
        all_ready(face.pool)
        face.execute("count")
    assert sorted(log.lines) == ["cleanup 0", "cleanup 1", "init", "init", "initialize True", "initialize True"]


def test_async_hooks_share_the_loop_of_the_tools(log: Log) -> None:
    """`async def initialize` and `cleanup` run in the very loop in which async tools run."""
    with face_of("async", adapter("lifecycles", "AsyncLife"), env=log.env) as face:
        assert log.lines == ["initialize"]
        assert face.execute("same_loop") is True
        assert [face.execute("count") for _ in range(2)] == [1, 2]
    assert log.lines == ["initialize", "cleanup 2 True"]


def test_an_async_cleanup_alone(log: Log) -> None:
    """An adapter whose only async part is `cleanup` gets it awaited."""
    with face_of("sync", adapter("lifecycles", "Mixed"), env=log.env) as face:
        assert face.execute("ping") == "pong"
    assert log.lines == ["cleanup"]


def test_cleanup_after_an_error_and_a_cancelled_stream(log: Log) -> None:
    """Neither a tool that raised nor a stream that was left keeps `cleanup` from running."""
    with face_of("sync", adapter("lifecycles", "Life"), env=log.env) as face:
        with pytest.raises(snakepit.ToolError):
            face.execute("fail")
        face.stream("numbers", {"n": 100_000}, take=next)
    assert log.lines[-1].startswith("cleanup")


def test_a_cleanup_that_raises_is_told(log: Log) -> None:
    """Its traceback goes to the worker's output; the pool closes all the same."""
    told: list[str] = []
    with face_of("sync", adapter("lifecycles", "BadCleanup"), env=log.env, worker_output=lambda *line: told.append(line[2])) as face:
        assert face.execute("count") == 1
    assert log.lines[-1] == "cleanup"
    assert "ValueError: cannot clean up" in told


@pytest.mark.parametrize(
    ("name", "message", "line"),
    [
        ("BadInit", "OSError: no model here", 'raise OSError("no model here")'),
        ("BadInitialize", "LookupError: no licence", 'raise LookupError("no licence")'),
        ("Exits", "SystemExit: set MODEL_DIR first", 'raise SystemExit("set MODEL_DIR first")'),
    ],
)
def test_an_adapter_that_cannot_be_set_up(log: Log, name: str, message: str, line: str) -> None:
    """`with` raises why no worker is ready: what `__init__` or `initialize` raised, with the user's own traceback as cause."""
    with pytest.raises(snakepit.AdapterError) as caught, face_of("sync", adapter("lifecycles", name), env=log.env):
        pass
    assert message in str(caught.value)
    assert line in str(caught.value.__cause__)


def test_no_base_class_is_needed(log: Log) -> None:
    """Any class with `@tool` methods is an adapter, hooks or not."""
    with face_of("sync", adapter("lifecycles", "NoHooks"), env=log.env) as face:
        assert face.execute("ping") == "pong"


# lifecycle = "request" -----------------------------------------------------------------------------------------------


def test_a_fresh_object_per_call(log: Log) -> None:
    """`lifecycle = "request"`: made, initialized and cleaned up around each call, streams included; not before."""
    with face_of("sync", adapter("lifecycles", "Request"), env=log.env) as face:
        assert log.lines == []
        assert [face.execute("count") for _ in range(2)] == [1, 1]
        assert log.lines == ["init", "initialize True", "cleanup 1"] * 2
        assert face.values("numbers", {"n": 3}) == [{"calls": 1}, {"calls": 2}, {"calls": 3}]
        assert log.lines[6:] == ["init", "initialize True", "cleanup 3"]
    assert len(log.lines) == 9


def test_a_fresh_object_is_cleaned_up_after_an_error(log: Log) -> None:
    """A tool that raises, or a stream that is left, has its object cleaned up before the next call gets a new one."""
    with face_of("sync", adapter("lifecycles", "Request"), env=log.env) as face:
        with pytest.raises(snakepit.ToolError, match="ValueError: no"):
            face.execute("fail")
        face.stream("numbers", {"n": 100_000}, take=next)
        assert face.execute("count") == 1
    assert [line.split()[0] for line in log.lines] == ["init", "initialize", "cleanup"] * 3


def test_async_hooks_per_call(log: Log) -> None:
    """Async hooks around each call, for tools of every kind."""
    with face_of("async", adapter("lifecycles", "AsyncRequest"), env=log.env) as face:
        assert [face.execute("count") for _ in range(2)] == [1, 1]
        assert face.values("numbers", {"n": 2}) == [{"calls": 1}, {"calls": 2}]
        assert face.values("generator", {"n": 2}) == [{"i": 0}, {"i": 1}]
        with pytest.raises(snakepit.ToolError, match="ValueError: no"):
            face.execute("fail")
    assert log.lines == ["initialize", "cleanup 1 True"] * 2 + ["initialize", "cleanup 2 True", "initialize", "cleanup 0 True"] + [
        "initialize",
        "cleanup 1 True",
    ]


def test_a_sync_tool_of_an_async_per_call_adapter_may_run_a_loop(log: Log) -> None:
    """`asyncio.run` works in its sync tools as it does in those of any other adapter."""
    with face_of("sync", adapter("lifecycles", "AsyncRequest"), env=log.env) as face:
        assert face.execute("own_loop") == "done"
        assert face.execute("count") == 1


def test_hooks_per_call_that_raise(log: Log) -> None:
    """What `initialize` or `cleanup` raises fails that call, with its traceback, and the next is served."""
    with face_of("sync", adapter("lifecycles", "BadPerCall"), env=log.env) as face:
        with pytest.raises(snakepit.ToolError, match="ValueError: cannot clean up") as caught:
            face.execute("count")
        assert 'raise ValueError("cannot clean up")' in caught.value.traceback
        log.path.with_suffix(".log.fail").touch()
        with pytest.raises(snakepit.ToolError, match="LookupError|ValueError") as caught:
            face.execute("count")
        assert 'raise LookupError("no licence")' in caught.value.traceback
        assert len(face.pool.workers()) == 1
        assert face.pool.stats().restarts == 0
