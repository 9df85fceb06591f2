"""A pool in a forked child: a clear error there, and nothing of it that the parent would notice."""

from __future__ import annotations

import os
import pathlib
import signal
import textwrap

import pytest

from pool_helpers import finished, is_alive, script, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_HEAD = """
import asyncio, multiprocessing, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # os.fork beside threads
import snakepit

def code_of(kind):
    try:
        kind()
    except snakepit.SnakepitError as error:
        return f"{type(error).__name__} {error.code}"
    return "no error"
"""


def test_every_call_raises_in_the_child() -> None:
    """Each call raises PoolForked, which tells both processes apart; leaving `with` there closes nothing; the parent goes on."""
    text = """
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        stream = pool.stream("endless")
        next(stream)
        child = os.fork()
        if child == 0:
            calls = [lambda: pool.execute("pid"), lambda: pool.stream("endless"), lambda: pool.submit("pid"), pool.start,
                     pool.tool_specs, lambda: pool.tools.add(1)]
            print({code_of(call) for call in calls}, flush=True)
            try:
                pool.execute("pid")
            except snakepit.PoolForked as error:
                print(str(os.getppid()) in str(error), str(os.getpid()) in str(error), flush=True)
            pool.close()
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        stream.close()
        print(pool.execute("add", {"a": 1}), pool.stats().restarts)
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err) == (0, "")
    assert out.splitlines() == ["{'PoolForked pool_forked'}", "True True", "3", "2 0"]


def test_an_executors_future_in_the_child() -> None:
    """It says so, as a call's does: what was begun before the fork never arrives there. What had arrived is there."""
    text = """
    import operator, time
    with snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True).as_executor() as executor:
        ended, future = executor.submit(operator.neg, 3), executor.submit(time.sleep, 0.5)
        ended.result()
        child = os.fork()
        if child == 0:
            calls = [future.result, lambda: future.result(5), future.exception, future.cancel, lambda: executor.submit(operator.neg, 3)]
            print({code_of(call) for call in calls}, ended.result(), flush=True)
            del executor, calls
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        print(future.result(), executor.submit(operator.neg, 4).result())
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err) == (0, "")
    assert out.splitlines() == ["{'PoolForked pool_forked'} -3", "3", "None -4"]


def test_a_child_that_ends_by_itself() -> None:
    """A child that runs to the end of the script leaves the parent's pool and its directory alone."""
    text = """
    pool = snakepit.Pool("pool_tools:PoolTools", size=1)
    pid = pool.execute("pid")
    child = os.fork()
    if child == 0:
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(pool.execute("pid") == pid)
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err, out.split()) == (0, "", ["0", "True"])


def test_a_pool_of_its_own_in_the_child() -> None:
    """gRPC cannot work in a forked child of a process that has used it: a new pool there takes another protocol, or says so."""
    text = """
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pool.execute("pid")
        child = os.fork()
        if child == 0:
            for make in (lambda: snakepit.Pool("pool_tools:PoolTools", size=1, protocol="grpc").start(),
                         lambda: asyncio.run(snakepit.AsyncPool("pool_tools:PoolTools", size=1, protocol="grpc").start())):
                print(code_of(make), flush=True)
            with snakepit.Pool("pool_tools:PoolTools", size=1) as own:
                print(own.execute("add", {"a": 1}), own.stats().protocol, "forked child" in own.stats().protocol_reasons[0], flush=True)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        print(pool.execute("add", {"a": 2}))
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err, out.splitlines()) == (0, "", ["PoolForked pool_forked"] * 2 + ["2 msgpack True", "0", "3"])


def test_a_child_forked_before_the_first_pool() -> None:
    """A process that has not started a pool may fork: parent and child each have their own."""
    text = """
    child = os.fork()
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        answer = pool.execute("add", {"a": 1 if child else 2})
    if child == 0:
        os._exit(answer)
    print(answer, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err, out.split()) == (0, "", ["2", "3"])


def test_multiprocessing_with_fork() -> None:
    """The same through multiprocessing's fork start method."""
    text = """
    def child(pool, answers):
        answers.put(code_of(lambda: pool.execute("pid")))

    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pool.execute("pid")
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        process = context.Process(target=child, args=(pool, answers))
        process.start()
        print(answers.get())
        process.join()
        print(process.exitcode, pool.execute("add", {"a": 1}))
        answers.close()
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err, out.splitlines()) == (0, "", ["PoolForked pool_forked", "0 2"])


def test_the_async_face() -> None:
    """An AsyncPool in a forked child raises PoolForked as well."""
    text = """
    async def main():
        async with snakepit.AsyncPool("pool_tools:PoolTools", size=1) as pool:
            await pool.execute("pid")
            child = os.fork()
            if child == 0:
                try:
                    pool.execute("pid").send(None)
                except snakepit.PoolForked:
                    os._exit(7)
                os._exit(8)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            print(await pool.execute("add", {"a": 1}))
    asyncio.run(main())
    """
    code, out, err = finished(script(_HEAD + _body(text)))
    assert (code, err, out.split()) == (0, "", ["7", "2"])


def _body(text: str) -> str:
    return textwrap.dedent(text)


def test_what_was_begun_before_the_fork_never_hangs_in_the_child(tmp_path: pathlib.Path) -> None:
    """A stream and a future of the parent say in the child that they are the parent's."""
    process = script(
        """
        import os, sys, snakepit
        with snakepit.Pool("pool_tools:PoolTools", size=2) as pool:
            stream = pool.stream("count", {"n": 1_000_000})
            next(stream)
            future = pool.submit("hold", {"folder": sys.argv[1]})
            if os.fork() == 0:
                for act in (lambda: [next(stream) for _ in range(100_000)], future.result, future.exception, future.cancel):
                    try:
                        act()
                    except snakepit.PoolForked:
                        os.write(1, b"refused ")
                os._exit(0)
            os.wait()
            future.cancel()
        """,
        str(tmp_path),
    )
    assert finished(process) == (0, "refused " * 4, "")


def test_a_child_does_not_keep_the_workers_of_a_dead_host() -> None:
    """The host is killed while a forked copy of it lives on: its workers end all the same."""
    process = script("""
        import os, signal, snakepit, time
        pool = snakepit.Pool("pool_tools:PoolTools", size=1)
        pool.start()
        child = os.fork()
        if child == 0:
            time.sleep(600)
        print(pool.execute("pid"), child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    assert process.stdout is not None
    worker, child = map(int, process.stdout.readline().split())
    try:
        assert process.wait(30) == -signal.SIGKILL
        wait_until(lambda: not is_alive(worker), "the worker's end")
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()
