"""Tools that raise, in every way there is."""

import asyncio
import sys

from snakepit_bridge import BaseAdapter, Cancelled, StreamChunk, tool


class NoModel(LookupError):
    """An error of the user's own."""


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


class Nonsense(Exception):
    def __str__(self):
        return 5  # noqa: PLE0307


class Endless(Exception):
    def __str__(self):
        return str(self)


class Exiting(Exception):
    def __str__(self):  # noqa: PLE0307
        sys.exit("from __str__")


class Stop(BaseException):
    """Not an Exception."""


def inner(value):
    raise NoModel(f"no model for {value!r}")


KINDS = {
    kind.__name__: kind
    for kind in (
        ValueError, NoModel, Mute, Nonsense, Endless, Exiting, Stop, KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration,
        asyncio.CancelledError, Cancelled, SystemExit, MemoryError, NotImplementedError,
    )
}  # fmt: skip


def raise_(name, *args):
    raise KINDS[name](*args)


class Failing(BaseAdapter):
    concurrency = 2

    @tool
    def ok(self):
        return "ok"

    @tool
    def function(self, value: str):
        inner(value)

    @tool
    async def coroutine(self, value: str):
        await asyncio.sleep(0)
        inner(value)

    @tool
    def generator(self, n: int, value: str = "x"):
        for i in range(n):
            yield {"i": i}
        inner(value)

    @tool
    async def async_generator(self, n: int, value: str = "x"):
        for i in range(n):
            await asyncio.sleep(0)
            yield {"i": i}
        inner(value)

    @tool
    def chained(self):
        try:
            inner("x")
        except NoModel as error:
            raise ValueError("while loading") from error

    @tool
    def during(self):
        try:
            inner("x")
        except NoModel:
            raise ValueError("while cleaning up")  # noqa: B904

    @tool
    def own_cause(self):
        """A chain of causes that bites its tail."""
        one, two = ValueError("one"), ValueError("two")
        one.__cause__, two.__cause__ = two, one
        raise one

    @tool
    def syntax(self):
        compile("x = = 1", "<generated>", "exec")

    @tool
    def of_kind(self, name: str, *args):
        raise_(name, *args)

    @tool
    async def of_kind_async(self, name: str, *args):
        await asyncio.sleep(0)
        raise_(name, *args)

    @tool
    def of_kind_stream(self, name: str):
        yield 0
        raise_(name, "in a stream")

    @tool
    async def of_kind_async_stream(self, name: str):
        yield 0
        raise_(name, "in a stream")

    @tool
    def long_message(self, n: int):
        raise ValueError("begin" + "x" * n + "end")

    @tool
    def surrogates(self):
        raise ValueError("a file \udcff")

    @tool
    def recursion(self):
        def deeper(n):
            return deeper(n + 1)

        return deeper(0)

    @tool
    def deep_recursion(self):
        sys.setrecursionlimit(20_000)
        try:
            return self.recursion()
        finally:
            sys.setrecursionlimit(1000)

    @tool
    def out_of_memory(self):
        return bytearray(1 << 60)

    @tool
    def after_final(self):
        yield {"i": 0, "is_final": True}
        inner("after the end")

    @tool
    def while_closing(self):
        try:
            yield {"i": 0, "is_final": True}
            yield {"i": 1}
        finally:
            inner("while closing")

    @tool
    def inside_finally(self):
        try:
            yield {"i": 0}
            raise ValueError("first")
        finally:
            inner("second")

    @tool
    def never_closes(self):
        while True:
            try:
                yield StreamChunk({"i": 0}, is_final=True)
            except GeneratorExit:
                pass

    @tool
    def iterator(self):
        """Not a generator, but something with `__next__` that fails."""

        class Numbers:
            n = 0

            def __iter__(self):
                return self

            def __next__(self):
                self.n += 1
                if self.n > 3:
                    inner("the fourth")
                return self.n

        return (item for item in Numbers())

    @tool
    def groups(self):
        raise ExceptionGroup("several", [ValueError("one"), NoModel("two")])
