"""Workers that are forked from a template: what they share, what they do not, and when they are spawned after all."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import sys
import textwrap
import threading
import time

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers.guardian_proc import below, children
from snakepit.testing import MemoryPool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="templates are Linux's"),
]

TOOLS = str(pathlib.Path(__file__).with_name("template_tools.py")) + ":Forked"


def pool_of(adapter: str = TOOLS, **settings: object) -> snakepit.Pool:
    return snakepit.Pool(adapter, **{"size": 1, "launcher": "template", **settings})  # type: ignore[arg-type]


def adapter(folder: pathlib.Path, text: str) -> str:
    """An adapter with a tool `pid`, which does something of its own."""
    path = folder / "tools.py"
    path.write_text("import os\nfrom snakepit_bridge import BaseAdapter, tool\n" + textwrap.dedent(text))
    return str(path)


PLAIN = """
@tool
def pid():
    return os.getpid()
"""


def template_of(pool: snakepit.Pool) -> int:
    return int(pool.execute("where")["imported_in"])


def whole(pool: snakepit.Pool, size: int) -> None:
    wait_until(lambda: pool.stats().workers_ready == size, "all workers")


@pytest.mark.parametrize("protocol", ["grpc", "msgpack", "json"])
def test_what_they_are(protocol: str) -> None:
    """Each is a child of the guardian, in a session of its own, with its own name, title and secrets, and initialized by itself."""
    with pool_of(size=3, protocol=protocol, instance_name="warm", env={"SOMETHING": "else"}) as pool:
        whole(pool, 3)
        handles = {handle.pid: handle.id for handle in pool.workers()}
        found = {}
        while len(found) < 3:
            told = pool.execute("where")
            found[told["pid"]] = told
        assert set(found) == set(handles)
        assert len({told["imported_in"] for told in found.values()}) == 1
        assert len({told["parent"] for told in found.values()}) == 1
        assert len({told["descriptors"] for told in found.values()}) == 1
        for pid, told in found.items():
            assert told["initialized_in"] == told["session"] == pid
            assert told["imported_in"] not in (pid, told["parent"])
            assert told["comm"] == handles[pid]
            assert told["title"].startswith(f"{sys.executable} -X snakepit=warm/{handles[pid]} ")
            assert told["environment"]["SOMETHING"] == "else"
            assert told["environment"]["OPENBLAS_NUM_THREADS"]
            assert not [name for name in told["environment"] if name.startswith("SNAKEPIT_") and name not in os.environ]
        stats = pool.stats()
        assert (stats.launcher, stats.launcher_reasons, stats.protocol) == ("template", (), protocol)


def test_limits_of_threads_are_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the environment already, or in `env`, is left alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with pool_of(env={"MKL_NUM_THREADS": "5"}) as pool:
        found = pool.execute("where")["environment"]
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("7", "5")
    assert int(found["OPENBLAS_NUM_THREADS"]) >= 1


def test_each_has_its_own_randomness() -> None:
    """Of `random`, NumPy's global generator, `uuid` and `tempfile`: although all were seeded alike before the fork."""
    with pool_of(size=4) as pool:
        whole(pool, 4)
        drawn = {}
        for handle in pool.workers():
            session = pool.session(handle.id, affinity="strict_queue")
            drawn[session.execute("pid")] = session.execute("draw")
        deadline = time.monotonic() + 10
        while len(drawn) < 4:
            assert time.monotonic() < deadline
            session = pool.session(str(random.random()), affinity="strict_queue")
            drawn[session.execute("pid")] = session.execute("draw")
    for kind in zip(*drawn.values(), strict=True):
        assert len(set(kind)) == 4, kind


def test_a_template_that_dies_harms_no_worker() -> None:
    """Another one is started for the next worker that is needed."""
    with pool_of(size=2) as pool:
        whole(pool, 2)
        first, pids = template_of(pool), {handle.pid for handle in pool.workers()}
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: first not in below([os.getpid()], children()), "its end")
        assert {pool.execute("pid") for _ in range(10)} <= pids
        assert pool.stats().restarts == 0
        for pid in pids:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not pids & {handle.pid for handle in pool.workers()}, "their ends")
        whole(pool, 2)
        assert template_of(pool) != first
        assert pool.stats().launcher == "template"


def test_a_crash_says_as_much_as_ever(tmp_path: pathlib.Path) -> None:
    """Signal, memory, uptime; and where its threads are can be asked."""
    with pool_of() as pool:
        future = pool.submit("wait", {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        assert 'template_tools.py", line' in pool.dump_stacks()["worker-1"]
        (handle,) = pool.workers()
        assert handle.pid is not None
        os.kill(handle.pid, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerCrashed, match="killed by SIGKILL") as caught:
            future.result(10)
        assert caught.value.details["rss"] > 50 * 1024 * 1024
        assert pool.execute("pid")


def test_an_import_that_fails_is_told_as_ever(tmp_path: pathlib.Path) -> None:
    """The same error, hint and traceback as from a spawned worker; what it printed before comes too."""
    heard: list[tuple[str, str, str]] = []
    broken = adapter(tmp_path, "print('so far')\nimport does_not_exist\n")
    errors = []
    for launcher in ("template", "spawn"):
        with pytest.raises(snakepit.AdapterError) as caught:
            pool_of(broken, launcher=launcher, worker_output=lambda *told: heard.append(told)).start()
        errors.append(caught.value)
    assert [str(error) for error in errors] == [str(errors[0])] * 2
    assert errors[0].hint == errors[1].hint
    assert [str(error.__cause__) for error in errors] == [str(errors[0].__cause__)] * 2
    assert heard == [("worker-1", "stdout", "so far")] * 2


def test_initialize_that_fails_is_told_as_ever(tmp_path: pathlib.Path) -> None:
    """It might have been for the fork's sake: a spawned worker is tried, and its error told."""
    failing = adapter(
        tmp_path, PLAIN + "\nclass A(BaseAdapter):\n    def initialize(self):\n        raise ValueError('no model')\n    t = tool(pid)\n"
    )
    with pytest.raises(snakepit.AdapterError, match="initialization failed: ValueError: no model"):
        pool_of(f"{failing}:A").start()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True, name='ticker').start()\n",
            "thread 'ticker'",
        ),
        ("import _thread, time\n_thread.start_new_thread(time.sleep, (600,))\n", "a Python thread, which"),
        ("import grpc\nCHANNEL = grpc.insecure_channel('unix:/nowhere')\n", "gRPC channel"),
        (
            "import os\nif b'/template' in open('/proc/self/cmdline', 'rb').read():\n    os._exit(5)\n",
            "imported the adapter: exited with code 5",
        ),
        (
            "import polars\npolars.DataFrame({'a': [1, 2, 3]}).lazy().select(polars.col('a').sum()).collect()\n",
            "polars, which the adapter's import has used, hangs in a forked process",
        ),
    ],
    ids=["thread", "thread below threading", "gRPC", "exit", "polars"],
)
def test_what_does_not_bear_a_fork_is_spawned(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, text: str, reason: str) -> None:
    """With the reason in the stats and the log, and with nothing counted as a failure."""
    with pool_of(adapter(tmp_path, text + PLAIN), size=2) as pool:
        whole(pool, 2)
        assert pool.execute("pid")
        stats = pool.stats()
        assert stats.launcher == "spawn"
        assert reason in stats.launcher_reasons[0]
        assert stats.restarts == 0
        assert {handle.id for handle in pool.workers()} == {"worker-1", "worker-2"}
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == list(stats.launcher_reasons)


@pytest.mark.parametrize("how", ["time.sleep(600)", "os.kill(os.getpid(), 9)", "raise RuntimeError('Cannot re-initialize CUDA')"])
def test_a_first_worker_that_does_not_become_ready_is_spawned(tmp_path: pathlib.Path, how: str) -> None:
    """Because it hangs, dies or fails where a process of its own would not: within its start bound."""
    text = f"""
    import time
    IMPORTED_IN = os.getpid()

    class Used(BaseAdapter):
        def initialize(self):
            if os.getpid() != IMPORTED_IN:
                {how}

        @tool
        def pid(self):
            return os.getpid()
    """
    with pool_of(adapter(tmp_path, text) + ":Used", start_timeout=3.0) as pool:
        assert pool.execute("pid")
        stats = pool.stats()
        assert (stats.launcher, stats.restarts) == ("spawn", 0)
        assert "the first worker that was forked did not become ready" in stats.launcher_reasons[0]


def test_threads_of_libraries_are_named(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are no reason not to fork."""
    with caplog.at_level("INFO"), pool_of(adapter(tmp_path, "import polars\n" + PLAIN)) as pool:
        assert pool.execute("pid")
        assert pool.stats().launcher == "template"
    assert "libraries of the adapter have started threads of their own" in caplog.text
    assert "polars" in caplog.text


def test_a_slow_import_is_waited_for_as_long_as_ever(tmp_path: pathlib.Path) -> None:
    """Longer than the start bound is too long."""
    with pytest.raises(snakepit.PoolStartFailed, match=r"was not ready within 0\.5 s"):
        pool_of(adapter(tmp_path, "import time\ntime.sleep(60)\n" + PLAIN), start_timeout=0.5).start()


def test_closing_while_it_imports(tmp_path: pathlib.Path) -> None:
    """Ends the template, and those that wait for it."""
    text = f"import pathlib, time\npathlib.Path({str(tmp_path / 'importing')!r}).touch()\ntime.sleep(60)\n"
    pool = pool_of(adapter(tmp_path, text + PLAIN), size=3)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            pool.start()
        except snakepit.SnakepitError as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    wait_until((tmp_path / "importing").exists, "the import")
    began = time.monotonic()
    pool.close()
    starting.join(10)
    assert time.monotonic() - began < 3
    assert [type(error) for error in errors] == [snakepit.PoolClosed]


def test_workers_and_templates_that_are_killed_all_the_time() -> None:
    """No worker is taken for a stray, none is lost, and every call ends."""
    dice = random.Random(20)
    ended = 0
    with pool_of(size=4, max_restarts=1_000_000, worker_output="discard") as pool:
        whole(pool, 4)
        guardian = pool.execute("where")["parent"]
        for number in range(60):
            futures = [pool.submit("where") for _ in range(8)]
            victims = [handle.pid for handle in pool.workers() if handle.info().state == "ready" and handle.pid]
            if number % 6 == 5:
                victims = [pid for pid in children().get(guardian, []) if pid not in victims]  # the template, or who is being born
            for pid in dice.sample(victims, min(len(victims), dice.randint(1, 3))):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for future in futures:
                try:
                    future.result(20)
                except snakepit.WorkerCrashed:
                    pass
                ended += 1
        whole(pool, 4)
        assert ended == 60 * 8
        assert pool.stats().launcher == "template", pool.stats().launcher_reasons


def test_spares_of_a_template() -> None:
    """They go together: a worker that is lost is followed by a ready one."""
    with pool_of(spares=1) as pool:
        wait_until(lambda: pool.stats().spares == 1, "the spare")
        (spare,) = [handle.pid for handle in pool.workers() if handle.info().spare]
        first = pool.execute("pid")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: pool.stats().restarts == 1, "its end")
        assert pool.execute("pid") == spare
        wait_until(lambda: pool.stats().spares == 1, "the next spare")


def test_another_interpreter() -> None:
    """Its template is one of that interpreter."""
    python = pathlib.Path(sys.base_prefix) / "bin" / "python3"
    with snakepit.Pool(size=1, launcher="template", python=python) as pool:
        assert pool.execute("ping")["message"] == "pong"
        assert pool.stats().launcher == "template"
        assert pool.workers()[0].info().executable == str(python)


def test_where_it_makes_no_sense() -> None:
    """Nobody forks what a command starts, nor threads of this process."""
    with pytest.raises(snakepit.ConfigurationError, match="launcher is 'template', and command is given"):
        snakepit.Pool(command=["ssh", "host"], launcher="template")
    with pytest.raises(snakepit.ConfigurationError, match="launcher is given"):
        MemoryPool(launcher="template")
    with pytest.raises(snakepit.ConfigurationError, match="launcher is 'fork'; allowed is one of spawn, template"):
        snakepit.Pool(launcher="fork")  # type: ignore[arg-type]


def test_what_is_shared_with_the_template_is_not_counted(tmp_path: pathlib.Path) -> None:
    """A worker is recycled for what it has grown by, not for the model that its template has read."""
    path = tmp_path / "large.py"
    path.write_text(
        "import os\nMODEL = os.urandom(1024) * 150 * 1024\nMORE = []\nfrom snakepit_bridge import tool\n"
        "@tool\ndef pid() -> int:\n    return os.getpid()\n"
        "@tool\ndef grow() -> int:\n    MORE.append(bytearray(b'x') * (120 << 20))\n    return os.getpid()\n"
    )
    with snakepit.Pool(path, size=1, launcher="template", max_memory=100 * 1024 * 1024) as pool:
        first = pool.execute("pid")
        for _ in range(4):
            time.sleep(0.3)  # the gauge looks again
            assert pool.execute("pid") == first
        assert pool.execute("grow") == first
        time.sleep(0.3)
        assert pool.execute("pid") == first
        wait_until(lambda: pool.stats().recycled == 1, "its successor")


def living_template() -> int:
    """The process of the one template there is."""

    def found() -> int:
        return next((pid for pid in below([os.getpid()], children()) if comm(pid) == "template"), 0)

    return int(wait_until(found, "the template"))


def comm(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just gone
        return ""


def test_a_template_that_is_killed_while_it_imports_is_replaced_once_one_was_fit(tmp_path: pathlib.Path) -> None:
    """What one template could do, the next can: workers are not spawned for that."""
    path = tmp_path / "slow.py"
    path.write_text(
        "import os, time\ntime.sleep(0.5)\nfrom snakepit_bridge import tool\n@tool\ndef pid() -> int:\n    return os.getpid()\n"
    )
    with snakepit.Pool(path, size=1, launcher="template") as pool:
        worker, first = pool.execute("pid"), living_template()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: comm(first) != "template", "its end")
        os.kill(worker, signal.SIGKILL)
        second = living_template()
        os.kill(second, signal.SIGKILL)
        assert pool.execute("pid") != worker
        assert (pool.stats().launcher, pool.stats().launcher_reasons) == ("template", ())


def test_a_template_that_hangs_is_replaced(tmp_path: pathlib.Path) -> None:
    """It is noticed when it forks no worker within its start bound."""
    with snakepit.Pool(size=1, launcher="template", start_timeout=1.5) as pool:
        worker, template = pool.execute("ping")["pid"], living_template()
        os.kill(template, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        assert pool.execute("ping")["pid"] != worker
        assert living_template() != template
        assert pool.stats().launcher == "template"
