"""Tools that do what no tool should."""

import asyncio
import builtins
import concurrent.futures
import ctypes
import gc
import io
import logging
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

from snakepit_bridge import BaseAdapter, tool


def double(x):
    return 2 * x


def child_exit(code):
    sys.exit(code)


class Mute:
    def __repr__(self):
        raise RuntimeError("no name")

    def __hash__(self):
        return 1


class Evil:
    """Raises whatever one asks it."""

    def __getattr__(self, name):
        raise RuntimeError("do not look at " + name)


class Slots:
    __slots__ = ("x",)


def looped():
    value = []
    value.append(value)
    return value


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def things():
    return {
        "object": {"layers": [1, 2, 3, {"weights": object()}]},
        "function": {"f": len},
        "generator": [(x for x in "ab")],
        "complex": (1, [2j]),
        "key": {"a": {(1, object()): 2}},
        "mute key": {Mute(): 1},
        "evil": {"x": Evil()},
        "slots": Slots(),
        "object by a big int": {2**64: {"n": object()}},
        "surrogate": ["ok", {"name": "\udcff"}],
        "loop": {"x": looped()},
        "deep": nested(2000),
        "module": os,
        "exception": ValueError("as a value"),
        "lock": threading.Lock(),
        "open file": sys.stdout,
        "set of objects": {"s": {object()}},
    }


class Nasty(BaseAdapter):
    @tool
    def ok(self):
        return os.getpid()

    @tool
    def thing(self, name: str):
        return things()[name]

    @tool
    def thing_stream(self, name: str, before: int = 2):
        for i in range(before):
            yield {"i": i}
        yield things()[name]
        raise AssertionError("never reached")

    @tool
    def thing_returned(self, name: str):
        yield {"i": 0}
        return things()[name]

    @tool
    def thing_in_metadata(self, name: str, final: bool = False):
        from snakepit_bridge import StreamChunk

        yield {"i": 0}
        yield StreamChunk({"i": 1}, is_final=final, metadata={"about": things()[name]})

    @tool
    def odd_keys(self):
        return {1: "int", 1.5: "float", None: "none", b"b": "bytes", (1, (2, "x")): "tuple", frozenset([3]): "set", "s": "str"}

    @tool
    def odd_keys_stream(self):
        yield {1: "int", (1, (2, "x")): "tuple"}

    @tool
    def echo(self, value: object):
        return value

    @tool
    def deep_result_with_a_raised_limit(self):
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(50_000)
        try:
            return nested(3000)
        finally:
            sys.setrecursionlimit(limit)

    # Ways to end ----------------------------------------------------------------------------------------------------

    @tool
    def os_exit(self, code: int):
        print("last words", flush=True, file=sys.stderr)
        os._exit(code)

    @tool
    def os_exit_stream(self, n: int, code: int):
        for i in range(n):
            yield {"i": i}
        os._exit(code)

    @tool
    def kill_self(self, name: str):
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(30)

    @tool
    def interrupt_self(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return "went on"

    @tool
    def remove_folder(self, path: str):
        shutil.rmtree(path)

    @tool
    def kill_group(self):
        os.killpg(os.getpgrp(), signal.SIGKILL)
        time.sleep(30)

    @tool
    def segfault(self):
        ctypes.string_at(0)

    @tool
    def abort(self):
        os.abort()

    @tool
    def exit_from_a_thread(self):
        thread = threading.Thread(target=sys.exit, args=(3,))
        thread.start()
        thread.join()
        return "went on"

    @tool
    def atexit_raises(self):
        import atexit

        atexit.register(double, "x", "y")

    # Descriptors ----------------------------------------------------------------------------------------------------

    @tool
    def close_stdin(self):
        sys.stdin.close()
        os.close(0)

    @tool
    def close_standard_fds(self):
        for fd in (0, 1, 2):
            os.close(fd)

    @tool
    def take_standard_fds(self, path: str):
        """Files that the tool opens take the numbers 0 to 2."""
        self.files = [pathlib.Path(path, str(i)).open("w") for i in range(3)]  # noqa: SIM115
        return [file.fileno() for file in self.files]

    @tool
    def print_something(self):
        """Fails or not, but must not reach the channel."""
        try:
            print("x" * 10_000, flush=True)
            os.write(1, b"\x00\x93\x01" * 1000)
        except (OSError, ValueError):
            return "refused"
        return "written"

    @tool
    def close_everything(self):
        os.closerange(3, 1024)
        time.sleep(30)

    @tool
    def replace_stdout(self):
        sys.stdout = io.StringIO()
        sys.stderr = None
        print("into nothing")

    @tool
    def delete_stdout(self):
        del sys.stdout
        builtins.print("nowhere to go")

    @tool
    def close_stdout(self):
        sys.stdout.close()

    @tool
    def many_fds(self):
        """Uses up the descriptors there are, and gives them back."""
        files = []
        try:
            while len(files) < 100_000:
                files.append(os.dup(0))
        except OSError as error:
            return str(error)
        finally:
            for fd in files:
                os.close(fd)

    # Forks ----------------------------------------------------------------------------------------------------------

    @tool
    def fork_and_return(self, code: object = None):
        child = os.fork()
        if child == 0 and code is not None:
            sys.exit(code)
        return [os.getpid(), child and os.waitpid(child, 0)[1]]

    @tool
    def fork_and_raise(self):
        child = os.fork()
        if child == 0:
            raise ValueError("in the child")
        return [os.getpid(), os.waitpid(child, 0)[1]]

    @tool
    def fork_and_exit(self):
        child = os.fork()
        if child == 0:
            os._exit(7)
        return [os.getpid(), os.waitpid(child, 0)[1]]

    @tool
    def fork_and_yield(self, before: int, after: int):
        for i in range(before):
            yield {"pid": os.getpid(), "i": i}
        child = os.fork()
        for i in range(before, before + after):
            yield {"pid": os.getpid(), "i": i}
        if child:
            os.waitpid(child, 0)

    @tool
    def fork_and_report(self):
        child = os.fork()
        for i in range(2000):
            self.progress(i, 2000, pid=os.getpid())
        return [os.getpid(), child and os.waitpid(child, 0)[1]]

    @tool
    def fork_many(self, n: int):
        codes = []
        for _ in range(n):
            child = os.fork()
            if child == 0:
                os._exit(0)
            codes.append(os.waitpid(child, 0)[1])
        return codes

    @tool
    def fork_and_stay(self, path: str):
        """The child never comes back by itself."""
        child = os.fork()
        if child == 0:
            pathlib.Path(path).touch()
            signal.pause()
        return child

    @tool
    def fork_and_use_grpc(self):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                import grpc

                grpc.insecure_channel("127.0.0.1:1")
                said = "opened"
            except Exception as error:
                said = str(error)
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:  # noqa: PTH123
            said = pipe.read().decode()
        return [said, os.waitpid(child, 0)[1]]

    @tool
    def processes(self, method: str):
        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.map(double, range(8))

    @tool
    def one_process(self, method: str):
        process = multiprocessing.get_context(method).Process(target=child_exit, args=(5,))
        process.start()
        process.join()
        return process.exitcode

    @tool
    def executor(self):
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            return list(pool.map(double, range(8)))

    @tool
    def run_command(self):
        done = subprocess.run(["sh", "-c", "cat; echo out; echo err >&2"], capture_output=True, text=True, check=True)
        return [done.stdout, done.stderr]

    @tool
    def python_in_python(self):
        """A child that is Python again inherits nothing of the worker's."""
        names = "[name for name in os.environ if 'SECRET' in name or name.startswith('SNAKEPIT') and name != 'SNAKEPIT_TEST_MARK']"
        fds = "[fd for fd in os.listdir('/proc/self/fd') if int(fd) > 3]"
        program = f"import os, signal; print({names}, {fds}, signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    @tool
    def leave_a_process(self):
        return subprocess.Popen(["sleep", "1000"]).pid

    # Threads, loops, signals, the interpreter -----------------------------------------------------------------------

    @tool
    def leave_a_thread(self, daemon: bool):
        threading.Thread(target=time.sleep, args=(1000,), daemon=daemon).start()

    @tool
    def thread_raises(self):
        thread = threading.Thread(target=double, args=())
        thread.start()
        thread.join()

    @tool
    def change_directory(self, path: str):
        os.chdir(path)
        return str(pathlib.Path.cwd())

    @tool
    def lose_directory(self, path: str):
        pathlib.Path(path).mkdir()
        os.chdir(path)
        pathlib.Path(path).rmdir()

    @tool
    def change_environment(self):
        os.environ.clear()

    @tool
    def install_handlers(self):
        """Catches what can be caught, the signal of this library's own too."""
        for number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGURG, signal.SIGCHLD, signal.SIGALRM}:
            signal.signal(number, lambda *_: None)

    @tool
    def block_signals(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    @tool
    def alarm_between_calls(self, mark: str):
        """A timer whose handler raises when no call is there."""

        def rings(*_):
            pathlib.Path(mark).touch()
            raise TimeoutError("the alarm of an earlier call")

        signal.signal(signal.SIGALRM, rings)
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    @tool
    def sleep(self, seconds: float):
        time.sleep(seconds)

    @tool
    def hold_the_gil(self, seconds: int):
        ctypes.PyDLL(None).sleep(seconds)

    @tool
    def swallow_everything(self):
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass

    @tool
    def swallow_in_a_stream(self):
        try:
            yield {"i": 0}
        finally:
            self.swallow_everything()

    @tool
    def odd_settings(self):
        sys.setswitchinterval(5)
        gc.disable()
        threading.stack_size(64 * 1024)
        logging.disable()
        sys.setrecursionlimit(150)
        sys.settrace(lambda *_: None)
        sys.setprofile(lambda *_: None)
        sys.excepthook = sys.unraisablehook = threading.excepthook = None

    @tool
    def break_builtins(self):
        builtins.print = builtins.open = builtins.sorted = None
        time.sleep = time.time = None

    @tool
    def stop_the_clock(self):
        """Nothing that waits works without it: the channel's thread ends."""
        time.monotonic = None

    @tool
    def remove_modules(self):
        for name in ("json", "threading", "asyncio", "snakepit_bridge", "snakepit_bridge._runtime.calls", "grpc", "msgspec"):
            sys.modules.pop(name, None)


class NastyAsync(BaseAdapter):
    """The same where a loop lives."""

    @tool
    def ok(self):
        return os.getpid()

    @tool
    async def echo(self, value: object):
        return value

    @tool
    async def stop_the_loop(self):
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return "went on"

    @tool
    async def close_the_loop(self):
        asyncio.get_running_loop().close()

    @tool
    async def cancel_everything(self):
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(0)

    @tool
    async def exit_from_a_task(self):
        task = asyncio.create_task(self._exit())
        await asyncio.wait([task])
        return repr(task.exception())

    @tool
    async def exit_from_an_awaited_task(self):
        await asyncio.gather(self._exit())

    async def _exit(self):
        sys.exit(3)

    @tool
    async def leave_a_task_that_fails(self):
        self.task = asyncio.create_task(self._fail())
        await asyncio.sleep(0)
        return "left"

    async def _fail(self):
        raise ValueError("nobody waits for this")

    @tool
    async def block_the_loop(self, seconds: float):
        time.sleep(seconds)  # noqa: ASYNC251
        return "blocked"

    @tool
    async def fork_and_return(self):
        child = os.fork()
        return [os.getpid(), child and os.waitpid(child, 0)[1]]  # noqa: ASYNC222

    @tool
    async def fork_and_await(self):
        child = os.fork()
        await asyncio.sleep(0.01)
        return [os.getpid(), child and os.waitpid(child, 0)[1]]  # noqa: ASYNC222

    @tool
    async def fork_and_yield(self, before: int, after: int):
        for i in range(before):
            yield {"pid": os.getpid(), "i": i}
        child = os.fork()
        for i in range(before, before + after):
            yield {"pid": os.getpid(), "i": i}
        if child:
            os.waitpid(child, 0)  # noqa: ASYNC222

    @tool
    async def swallow_everything(self):
        while True:
            try:
                await asyncio.sleep(1000)
            except BaseException:
                pass

    @tool
    def alarm_between_calls(self, mark: str):
        Nasty.alarm_between_calls(self, mark)

    @tool
    async def set_policy(self):
        asyncio.set_event_loop(None)
        asyncio.get_running_loop().set_exception_handler(lambda *_: sys.exit(1))
        asyncio.get_running_loop().call_soon(double)
        await asyncio.sleep(0)
        return "went on"
