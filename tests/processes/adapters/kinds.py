"""Tools of all four kinds, which tell where they run and which call they belong to."""

import asyncio
import os
import sys
import threading

from snakepit_bridge import BaseAdapter, current_call, progress, tool


def here():
    """Facts about the place this runs at."""
    try:
        asyncio.get_running_loop()
        loop = True
    except RuntimeError:
        loop = False
    return {
        "main": threading.current_thread() is threading.main_thread(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "pid": os.getpid(),
        "loop": loop,
    }


class Sync(BaseAdapter):
    """Nothing async: its worker has no event loop."""

    @tool(description="Where a function runs")
    def function(self):
        return here()

    @tool
    def generator(self):
        yield here()

    @tool
    def own_loop(self):
        async def later():
            await asyncio.sleep(0)
            return "from a loop of its own"

        return asyncio.run(later())


class Kinds(Sync):
    """All four kinds, and what only makes sense where a loop lives on."""

    concurrency = 4

    def __init__(self):
        self.arrived = 0
        self.all_here = asyncio.Event()
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()

    @tool
    async def coroutine(self):
        await asyncio.sleep(0)
        return here()

    @tool
    async def async_generator(self):
        await asyncio.sleep(0)
        yield here()
        await asyncio.sleep(0)
        yield here()

    @tool
    def function_giving_a_generator(self, n: int):
        return ({"i": i} for i in range(n))

    @tool
    async def coroutine_giving_a_generator(self, n: int):
        return ({"i": i} for i in range(n))

    @tool
    async def coroutine_giving_an_async_generator(self, n: int):
        async def numbers():
            for i in range(n):
                yield {"i": i}

        return numbers()

    @tool
    def function_giving_a_coroutine(self):
        return asyncio.sleep(0)

    @tool(supports_streaming=True)
    def declared_but_one_value(self):
        return [1, 2, 3]

    @tool
    async def meet(self, name: str, n: int):
        """Waits until `n` calls are here, then says what it knows of its own call."""
        before = current_call()
        self.progress(0, 1, name=name)
        self.arrived += 1
        if self.arrived == n:
            self.arrived = 0
            self.all_here.set()
        await self.all_here.wait()
        self.progress(1, 1, name=name)
        return {"name": name, "call_id": self.context.call_id, "same": self.context is before, "tool": self.context.tool}

    @tool
    async def meet_stream(self, name: str, n: int):
        """The same, streaming: its reports come as chunks of its own stream."""
        self.arrived += 1
        if self.arrived == n:
            self.arrived = 0
            self.all_here.set()
        await self.all_here.wait()
        for i in range(3):
            self.progress(i, 3, name=name)
            yield {"name": name, "i": i, "call_id": self.context.call_id}
            await asyncio.sleep(0)

    @tool
    async def part(self):
        """Lets the next `meet` wait again."""
        self.all_here.clear()

    @tool
    async def start_background(self):
        async def answer():
            while True:
                await self.asked.wait()
                self.asked.clear()
                self.answered.set()

        self.background = asyncio.create_task(answer())

    @tool
    async def ask_background(self):
        """Answered by the task of another call."""
        self.answered.clear()
        self.asked.set()
        await self.answered.wait()
        return True

    @tool
    async def in_a_thread(self):
        """A thread started by asyncio knows the call; one started by hand does not."""
        known = await asyncio.to_thread(lambda: self.context.tool)
        told = []

        def bare():
            try:
                told.append(self.context.tool)
            except RuntimeError as error:
                told.append(str(error))

        thread = threading.Thread(target=bare)
        thread.start()
        thread.join()
        return [known, told[0]]

    @tool
    def nested_modules(self):
        """No library of the host half is imported in a worker, and this file has another name than `__main__`."""
        return [__name__, "snakepit" in sys.modules]


@tool
def function_reports(n: int):
    """A plain function knows its call too."""
    for i in range(n):
        progress(i + 1, n)
    return current_call().tool
