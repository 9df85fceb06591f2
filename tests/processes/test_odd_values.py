"""What no codec holds, in real workers: a marker in answers, an error in questions and where strictness is wanted."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy
import pytest

import snakepit
from odd_tools import Client, OddTools
from pool_helpers import wait_until

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

CLIENT = {"__ffi_unserializable__": True, "__type__": "odd_tools.Client"}


@pytest.fixture(params=["msgpack", "json", "grpc"])
def pool(request: pytest.FixtureRequest) -> Iterator[snakepit.Pool]:
    """On each protocol of ours."""
    with snakepit.Pool(OddTools, size=1, protocol=request.param) as pool:
        yield pool


def test_markers_in_answers(pool: snakepit.Pool) -> None:
    """Results, chunks, their metadata, reports and what host tools answer; the worker goes on, and arguments are errors."""
    told: dict[str, Any] = {}
    found = pool.execute("odd", on_metadata=told.update)
    weights = found["layers"][0].pop("weights")
    assert numpy.array_equal(weights, numpy.zeros(5000))
    assert found == {"score": 0.5, "layers": ({}, {"weights": CLIENT}), "report": {"rows": {1, 2}}}
    assert snakepit.is_unserializable(found["layers"][1]["weights"])
    assert told["types"] == {
        "numpy.ndarray": "attachment",
        "odd_tools.Layer": "dict",
        "odd_tools.Client": "unserializable",
        "odd_tools.Report": "dict",
    }
    assert pool.submit("odd").result(20)["layers"][1] == {"weights": CLIENT}
    chunks = list(pool.stream("odd_chunks"))
    assert chunks[1]["n"] == CLIENT
    assert chunks[2]["_metadata"]["by"] == CLIENT
    assert [chunk["n"] for chunk in pool.stream("odd_async_chunks") if "n" in chunk] == [1, CLIENT]
    reports: list[Any] = []
    pool.execute("odd_report", on_progress=reports.append)
    assert [report["about"] for report in reports] == [CLIENT]
    with pytest.raises(snakepit.SerializationError, match=r"client'\] is a odd_tools.Client"):
        pool.execute("takes", {"client": Client()})
    with pytest.raises(snakepit.SerializationError, match=r"result\['x'\] is a coroutine: `await` it first"):
        pool.execute("waiting")
    pool.register_tool(lambda key=None: {"client": Client(), "key": key}, name="lookup")
    is_marker, refused, said = pool.execute("asks")
    assert is_marker
    assert not refused
    assert "odd_tools.Client" in said
    assert pool.stats().restarts == 0


@pytest.mark.parametrize("protocol", ["msgpack", "grpc"])
def test_strictness(protocol: str) -> None:
    """Each of these is an error that names the path, and nothing else has changed."""
    with snakepit.Pool(OddTools, size=1, protocol=protocol, strict_serialization=True) as pool:
        with pytest.raises(snakepit.SerializationError, match=r"result\['layers'\]\[1\].weights is a odd_tools.Client"):
            pool.execute("odd")
        for tool in ("odd_chunks", "odd_async_chunks"):
            chunks = pool.stream(tool)
            assert next(chunks)["n"] == 1
            with pytest.raises(snakepit.SerializationError, match=r"chunk 1\['n'\] is a odd_tools.Client"):
                next(chunks)
        with pytest.raises(snakepit.ToolError, match=r"\['about'\] is a odd_tools.Client"):
            pool.execute("odd_report")
        pool.register_tool(lambda key=None: {"client": Client(), "key": key}, name="lookup")
        is_marker, refused, _ = pool.execute("asks")
        assert not is_marker
        assert "odd_tools.Client" in refused


@pytest.mark.parametrize(
    ("detail", "shown"), [("type", None), ("repr_truncated", "hunter2secret"), ("repr_redacted_truncated", "host='db'")]
)
def test_details_of_a_marker(detail: str, shown: str | None) -> None:
    """The worker's environment says how much of an object is told."""
    with snakepit.Pool(OddTools, size=1, env={"SNAKEPIT_UNSERIALIZABLE_DETAIL": detail}) as pool:
        marker = pool.execute("odd")["layers"][1]["weights"]
        assert ("hunter2secret" in str(marker)) == (shown == "hunter2secret")
        assert (shown or "") in marker.get("__repr__", "")
        assert ("__repr__" in marker) == (shown is not None)


def test_strictness_is_a_flag() -> None:
    """Anything else is refused by name."""
    with pytest.raises(snakepit.ConfigurationError, match="strict_serialization is 'yes'; allowed are True and False"):
        snakepit.Pool(OddTools, strict_serialization="yes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Leaving:
    """An argument whose own code raises what ends programs."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind

    @property
    def tolist(self) -> Any:
        """Asked for when it is to travel."""
        raise self._kind("now")


@pytest.mark.parametrize("place", [list, set])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_argument_ends_its_own_call_alone(pool: snakepit.Pool, kind: type[BaseException], place: type) -> None:
    """Its code runs in the caller's thread, where Ctrl-C is the caller's; in sets on the loop of all calls, which goes on."""
    running = pool.submit("odd")
    raised = kind if kind is KeyboardInterrupt and place is list else snakepit.SerializationError
    with pytest.raises(raised, match=None if raised is kind else kind.__name__):
        pool.execute("takes", {"client": place([Leaving(kind)])}, timeout=20)
    assert running.result(20)["score"] == 0.5
    assert pool.execute("odd")["score"] == 0.5
    assert pool.stats().restarts == 0


class Slow:
    """An argument that takes its time to say what it is."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()

    def to_dict(self) -> dict[str, Any]:
        """Waits until it may go on."""
        self.asked.set()
        return {"slow": self.go_on.wait(20), "thread": threading.current_thread().name}


def test_a_slow_argument_holds_up_its_own_caller_alone(pool: snakepit.Pool) -> None:
    """Others are called and answered while it is asked."""
    slow = Slow()
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="its-caller") as threads:
        answer = threads.submit(pool.execute, "takes", {"client": [slow]}, timeout=60)
        assert slow.asked.wait(20)
        assert pool.execute("odd", timeout=10)["score"] == 0.5
        slow.go_on.set()
        assert answer.result(20) == "[{'slow': True, 'thread': 'its-caller_0'}]"


def test_a_result_is_let_go_with_its_future(pool: snakepit.Pool) -> None:
    """Without a garbage collection: results are large, and memory is lent."""
    gc.disable()
    try:
        futures = [pool.submit("zeros") for _ in range(3)]
        kept = [weakref.ref(future.result(20)) for future in futures]
        wait_until(lambda: pool.stats().running == 0)
        del futures
        wait_until(lambda: [item() for item in kept] == [None] * 3)
    finally:
        gc.enable()
