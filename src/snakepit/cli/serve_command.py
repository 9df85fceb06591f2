"""`snakepit serve`: pools behind a gateway, until SIGTERM or Ctrl-C. Called by `app`.

The first signal drains: health becomes NOT_SERVING, open calls end, within `drain_timeout`. A second one ends everything at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError

from .endings import DONE, error_document, error_text, exit_code
from .lines import json_line
from .output import Output, say

if TYPE_CHECKING:
    from snakepit.gateway import Gateway, Plan

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: What carries the channels to workers unless a pool's settings say otherwise: with gRPC on both sides of one process, each call would
#: pay for it twice.
_PROTOCOLS = ("msgpack", "grpc", "json")


class ServeCommand:
    """One run of a gateway.

    Args:
        file: its settings file; None: none.
        given: settings of the command line, as the file's content.
    """

    def __init__(self, file: str | None, given: Mapping[str, Any], *, as_json: bool) -> None:
        self._file = file
        self._given = given
        self._as_json = as_json
        self._output = Output()
        self._signal: signal.Signals | None = None
        self._told = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._serving = False

    def run(self) -> int:
        """Serve until a signal comes. Gives the exit code: 0 after SIGTERM, 130 after Ctrl-C."""
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            if self._signal is None:  # whatever that was, it must not look like a good end
                raise
        except SnakepitError as error:
            if self._as_json:
                self._output.line(json_line(error_document(error)))
            say(error_text(error))
            return exit_code(error)
        return 128 + signal.SIGINT if self._signal is signal.SIGINT else DONE

    async def _run(self) -> None:
        from snakepit.gateway import read_plan
        from snakepit.gateway.tokens import forget

        loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        plan = read_plan(self._file, self._given, os.environ)
        forget(plan.settings.tokens, os.environ)  # workers would inherit them
        await self._serve(plan)

    async def _serve(self, plan: Plan) -> None:
        from snakepit import AsyncPool
        from snakepit.gateway import Gateway

        async with contextlib.AsyncExitStack() as stack:
            pools = {}
            for name, told in plan.pools.items():
                settings: dict[str, Any] = {"worker_output": "stderr", "protocol": _PROTOCOLS, **told}
                pools[name] = AsyncPool(settings.pop("adapter", None), **settings)
                stack.push_async_callback(pools[name].close)
            gateway = await stack.enter_async_context(Gateway(pools, plan.settings))
            self._serving = True
            self._say_where(gateway, list(pools))
            await self._told.wait()
            drained = await gateway.drain()
            for name, result in drained.items():
                if not result:
                    say(f"snakepit: {result.cut_off} calls of pool {name!r} had not ended in time and were cut off")

    def _say_where(self, gateway: Gateway, pools: list[str]) -> None:
        if self._as_json:
            self._output.line(json_line({"address": gateway.address, "pools": pools}))
        else:
            self._output.line(f"serving {', '.join(pools)} on {gateway.address}")

    def _on_signal(self, number: signal.Signals) -> None:
        first, self._signal = self._signal is None, self._signal or signal.Signals(number)
        self._told.set()
        if self._main is not None and not (first and self._serving):
            self._main.cancel()
