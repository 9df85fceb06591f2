"""`ThreadSafeAdapter` and `thread_safe_method` by themselves, on every Python that workers run on."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pythons import run
from snakepit_bridge import call_context
from snakepit_bridge._runtime.load_errors import AdapterLoadError
from snakepit_bridge._runtime.loading import load
from snakepit_bridge.base_adapter import BaseAdapter, tool
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method
from snakepit_bridge.call_context import CallContext, Cancelled
from snakepit_bridge.tool_specs import call_kind, describe

_PROGRAM = """
import threading, time
from snakepit_bridge._runtime.cancel import border
from snakepit_bridge._runtime.cancel_threads import ThreadInterrupter
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method
from snakepit_bridge.call_context import Cancelled

class Counter(ThreadSafeAdapter):
    def __init__(self):
        self.total = 0

    @thread_safe_method
    def add(self):
        total = self.total
        time.sleep(0.0001)
        self.total = total + 1

    @thread_safe_method
    def steps(self, count):
        for number in range(count):
            self.add()
            yield number

counter = Counter()
def work():
    for _ in range(50):
        counter.add()
    assert list(counter.steps(10)) == list(range(10))
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(counter.total)

interrupter = ThreadInterrupter()
class Call:
    visit = None
    cleaning = ended = False
    visit_by = interrupter.visit_by
call, left = Call(), []
def spin():
    while True:
        pass
def held():
    try:
        with counter.acquire_lock():
            border(call, spin)
    except Cancelled:
        left.append("left")
thread = threading.Thread(target=held, daemon=True)
thread.start()
while call.visit is None:
    time.sleep(0.001)
interrupter.interrupt(call, lambda: call.ended, 2.0)
thread.join(10)
call.ended = True
interrupter.stop()
print(left, counter.acquire_lock().acquire(timeout=1))
"""


class Adapter(ThreadSafeAdapter):
    """Has an `__init__` that does not know of the helpers."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @tool
    @thread_safe_method
    def below(self, a: int, *, b: str = "x") -> list[Any]:
        """What it does."""
        return [a, b]

    @thread_safe_method
    @tool(name="higher", idempotent=True)
    def above(self, a: int) -> Iterator[int]:
        yield from range(a)

    @thread_safe_method
    def talk(self) -> Iterator[Any]:
        answer = None
        try:
            while True:
                try:
                    answer = yield answer
                except ValueError as error:
                    answer = f"caught {error}"
                if answer == "end":
                    return "ended"
        finally:
            self.seen.append(self.acquire_lock()._is_owned())


def held_by_another(adapter: Adapter) -> tuple[threading.Thread, threading.Event]:
    """Its lock, held by another thread until the event is set."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with adapter.acquire_lock():
            held.set()
            release.wait(10.0)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10.0)
    return thread, release


def test_on_every_python(python: str, tmp_path: Path) -> None:
    """Additions by four threads are not lost, a computing thread is interrupted, and the lock that it held is free."""
    assert run(python, _PROGRAM, tmp_path) == "240\n['left'] True\n"


def test_signature_and_mark_stay() -> None:
    """Above or below `@tool`, the tool's spec is that of the plain method."""
    spec = describe(Adapter.below)
    assert (spec["name"], spec["doc"], spec["streaming"]) == ("below", "What it does.", False)
    assert [(item["name"], item["kind"]) for item in spec["parameters"]] == [("a", "positional_or_keyword"), ("b", "keyword_only")]
    assert spec["returns"] == {"type": "array"}
    spec = describe(Adapter.above)
    assert (spec["name"], spec["streaming"], spec["idempotent"]) == ("higher", True, True)
    assert call_kind(Adapter.above) == "generator"
    assert inspect.isgeneratorfunction(Adapter.above)


def test_a_locked_method_calls_another() -> None:
    """The lock is the thread's own: locked methods may call each other."""
    adapter = Adapter()
    with adapter.acquire_lock(), adapter.acquire_lock():
        assert adapter.below(1) == [1, "x"]
        assert list(adapter.above(3)) == [0, 1, 2]
    thread = threading.Thread(target=lambda: adapter.seen.append(adapter.acquire_lock().acquire(timeout=1.0)))
    thread.start()
    thread.join()
    assert adapter.seen == [True]


def test_a_locked_generator_is_a_generator() -> None:
    """Values and exceptions go into it, its return value comes out, and each step runs under the lock, which is free between them."""
    adapter = Adapter()
    talk = adapter.talk()
    assert next(talk) is None
    assert talk.send("one") == "one"
    assert talk.throw(ValueError("that")) == "caught that"
    assert not adapter.acquire_lock()._is_owned()
    with pytest.raises(StopIteration) as stopped:
        talk.send("end")
    assert stopped.value.value == "ended"
    talk = adapter.talk()
    next(talk)
    talk.close()
    assert adapter.seen == [True, True]


def test_a_generator_that_was_not_begun_is_closed_at_once() -> None:
    """Nothing of it has run, so nothing has to wait for the lock."""
    adapter = Adapter()
    thread, release = held_by_another(adapter)
    adapter.talk().close()
    release.set()
    thread.join()
    assert adapter.seen == []


def test_a_cancelled_call_stops_waiting() -> None:
    """Inside a call that has been cancelled the lock is not waited for; a call that was not cancelled gets it in the end."""
    adapter, context = Adapter(), CallContext(1, "tool")
    thread, release = held_by_another(adapter)
    token = call_context.enter(context)
    try:
        context.mark_cancelled()
        with pytest.raises(Cancelled), adapter.acquire_lock():
            raise AssertionError("the lock is another's")
    finally:
        call_context.leave(token)
    timer = threading.Timer(0.12, release.set)
    timer.start()
    assert adapter.below(2) == [2, "x"]
    thread.join()
    timer.join()


def test_what_a_thread_keeps() -> None:
    """A value is made once per thread, kept, replaced and forgotten; other threads do not see it."""
    adapter, others = Adapter(), []
    own = adapter.get_thread_local("key", list)
    own.append(1)
    assert adapter.get_thread_local("key", list) is own
    assert adapter.thread_local.key is own
    thread = threading.Thread(target=lambda: others.append((adapter.get_thread_local("key"), adapter.get_thread_local("key", dict))))
    thread.start()
    thread.join()
    assert others == [(None, {})]
    adapter.set_thread_local("other", 5)
    adapter.clear_thread_local("key")
    assert (adapter.get_thread_local("key"), adapter.get_thread_local("other")) == (None, 5)
    adapter.clear_thread_local("never kept")
    adapter.clear_thread_local()
    assert vars(adapter.thread_local) == {}


def test_adapters_do_not_share_what_they_keep() -> None:
    """Two adapters on one thread have locks and states of their own."""
    one, other = Adapter(), Adapter()
    one.set_thread_local("key", 1)
    assert other.get_thread_local("key") is None
    thread, release = held_by_another(one)
    with other.acquire_lock():
        pass
    release.set()
    thread.join()


def test_a_default_that_cannot_be_made() -> None:
    """A value in the place of a function is refused: all threads would share it."""
    with pytest.raises(TypeError, match=r"default_factory is \[\]; allowed is a function without arguments, such as list, or None"):
        Adapter().get_thread_local("key", [])  # type: ignore[arg-type]


async def _coroutine(self: Any) -> None: ...


async def _async_generator(self: Any) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (_coroutine, "_coroutine is `async def`.*asyncio.Lock"),
        (_async_generator, "_async_generator is `async def`"),
        (property(lambda self: 1), "not for a property: put it directly above a def"),
        (staticmethod(lambda: 1), "not for a staticmethod"),
        (5, "not for a int"),
    ],
)
def test_what_cannot_be_locked(method: Any, message: str) -> None:
    """What the lock cannot guard is refused where it is decorated."""
    with pytest.raises(TypeError, match=message):
        thread_safe_method(method)


def test_a_class_without_a_lock() -> None:
    """In another class, the error says what to derive it from."""

    class Other(BaseAdapter):
        @thread_safe_method
        def work(self) -> None: ...

    with pytest.raises(TypeError, match=r"Other\.work belongs to a Other, which has no lock: derive the class from ThreadSafeAdapter"):
        Other().work()


def test_a_declaration_that_is_none(tmp_path: Path) -> None:
    """`thread_safe` of a class is True or False, or the adapter does not load."""
    file = tmp_path / "tools.py"
    text = "from snakepit_bridge.base_adapter import BaseAdapter, tool\nclass A(BaseAdapter):\n    thread_safe = 'yes'\n    @tool\n    def t(self): ..."
    file.write_text(text, encoding="utf-8")
    with pytest.raises(AdapterLoadError, match="thread_safe is 'yes', allowed are True and False"):
        load([f"{file}:A"])
