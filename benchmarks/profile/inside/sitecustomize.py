"""Found by every interpreter that is started with this folder on its PYTHONPATH: counts what its threads do while it is told to.

A SIGUSR2 says that there is an order in the folder of `SNAKEPIT_PROFILE_FOLDER`: a file `begin`, then one named `tell`. A process
answers with a file of its own: `PID.begin`, and `PID.tell` with the counts: for each Python function how often it was called, how many
bytecode instructions it ran itself and with what it called, and how often each function in C was called from Python.
"""

import collections
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

_FOLDER = os.environ.get("SNAKEPIT_PROFILE_FOLDER", "")


class _Counter:
    def __init__(self) -> None:
        self.on = False
        self.stacks = threading.local()  # of each thread: [frame, what it and those it called ran]
        self.opcodes: collections.Counter[Any] = collections.Counter()
        self.within: collections.Counter[Any] = collections.Counter()
        self.calls: collections.Counter[Any] = collections.Counter()
        self.c_calls: collections.Counter[str] = collections.Counter()

    def trace(self, frame: Any, _event: str, _arg: Any) -> Any:
        """For `sys.settrace`: of a frame that begins or goes on, each instruction is wanted, and no line."""
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if self.on:
            self.calls[frame.f_code] += 1
            self.stack().append([frame, 0])
        return self.local

    def local(self, frame: Any, event: str, _arg: Any) -> Any:
        if not self.on:
            return self.local
        stack = self.stack()
        ours = bool(stack) and stack[-1][0] is frame  # else it began before we did
        if event == "opcode":
            self.opcodes[frame.f_code] += 1
            if ours:
                stack[-1][1] += 1
        elif event == "return" and ours:
            _, ran = stack.pop()
            if stack:
                stack[-1][1] += ran
            if all(above.f_code is not frame.f_code for above, _ in stack):  # of what calls itself, the outermost
                self.within[frame.f_code] += ran
        return self.local

    def stack(self) -> list[Any]:
        try:
            return self.stacks.frames  # type: ignore[no-any-return]
        except AttributeError:
            self.stacks.frames = []
            return self.stacks.frames  # type: ignore[no-any-return]

    def profile(self, _frame: Any, event: str, arg: Any) -> None:
        """For `sys.setprofile`: calls of functions in C."""
        if self.on and event == "c_call":
            place = getattr(arg, "__module__", None) or type(getattr(arg, "__self__", None)).__name__
            self.c_calls[f"{place}.{getattr(arg, '__qualname__', arg)}"] += 1

    def obey(self, _number: int, _frame: Any) -> None:
        """A signal that comes as the process goes to sleep is seen only when it wakes: the same one may come again."""
        was, self.on = self.on, False
        if Path(_FOLDER, "tell").exists():
            if was:
                self.write("tell", json.dumps(self.found()))
            return
        if not was:
            self.write("begin", "")
        self.on = True

    def write(self, ending: str, text: str) -> None:
        path = Path(_FOLDER, f"{os.getpid()}.{ending}.part")
        path.write_text(text, encoding="utf-8")
        path.rename(path.with_suffix(""))

    def found(self) -> Any:
        codes = [code for code in {*self.opcodes, *self.calls} if code.co_filename != __file__]
        counters = self.calls, self.opcodes, self.within
        rows = [[code.co_filename, code.co_firstlineno, code.co_qualname, *(counter[code] for counter in counters)] for code in codes]
        return {"functions": rows, "c_calls": dict(self.c_calls)}


if _FOLDER and sys.version_info >= (3, 11):
    _counter = _Counter()
    threading.settrace(_counter.trace)
    threading.setprofile(_counter.profile)
    sys.settrace(_counter.trace)
    sys.setprofile(_counter.profile)
    signal.signal(signal.SIGUSR2, _counter.obey)
