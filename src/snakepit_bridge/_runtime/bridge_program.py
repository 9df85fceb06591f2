"""The worker program that a Snakepit host starts: `python -m snakepit_bridge.grpc_server`, with Snakepit's arguments and environment.

Loads the adapter, reaches the host, serves `snakepit.bridge.BridgeService` on a port of loopback, and says which one in the file
that the host names. Exit codes: 0 told to leave, 1 it cannot start, 2 usage, 70 it could not be saved otherwise.
"""

import argparse
import os
import select
import signal
import stat
import sys
import threading
from typing import Any, List, Optional

from ..base_adapter import BaseAdapter
from ..heartbeat import HeartbeatConfig
from . import main as worker_program
from .executor import Executor
from .load_errors import AdapterLoadError
from .loading import LoadedAdapter, load
from .logs import set_up_logging
from .own_secrets import OWN

READY_FILE = "SNAKEPIT_READY_FILE"
#: A cancelled call that has not ended after this long ends the worker (seconds): its host starts another.
KILL_AFTER = 2.0
#: Told to leave, a worker that has not left by then is ended, well within the six seconds that its host waits.
_LEAVE_SECONDS = 5.0
_LEAVE_ON = (signal.SIGTERM, signal.SIGINT)
#: The server opens the channel by itself before it is told to anybody: there is nobody to wait for.
_NOBODY_TO_WAIT_FOR = threading.TIMEOUT_MAX


def main(argv: Optional[List[str]] = None) -> int:
    """Run the worker; the exit code."""
    options = _options(sys.argv[1:] if argv is None else argv)
    leaving = _Leaving()
    if os.environ.get("SNAKEPIT_PROCESS_GROUP") == "1" and os.getpgid(0) != os.getpid():
        os.setsid()
    try:
        from .bridge.server import BridgeServer, HostUnreachable
    except ImportError as error:
        return _failed("%s cannot import grpc: %s" % (sys.executable, error), "%s -m pip install grpcio protobuf" % sys.executable)
    worker_program.prepare_process(hosted=False)
    OWN.set_up()
    set_up_logging()
    try:
        adapter = load(options.adapter, dispatching=True)
        _per_request(adapter)
        if options.health_check:
            print("ok: %d tools" % len(adapter.tools))
            return 0
        worker_id = options.worker_id or "snakepit_worker_%d" % os.getpid()
        executor = Executor(adapter, worker_id, options.max_workers)
        executor.set_up()
    except AdapterLoadError as error:
        print(error.traceback, file=sys.stderr)
        return _failed(error.message, error.hint)
    server = BridgeServer(executor, worker_id, options.elixir_address, _heartbeat(options), options.cancel_timeout)
    leaving.then(server.stop, executor)
    try:
        _say_ready(server.start(options.port))
    except InterruptedError:
        return 0
    except (HostUnreachable, OSError) as error:
        return _failed(str(error), "")
    executor.run(_NOBODY_TO_WAIT_FOR)
    server.stop()
    return 0


def _nothing(*_: Any) -> None: ...


class _Leaving:
    """What SIGTERM brings about, and the end of a host that holds our stdin: a thread waits for both, because a handler may do nothing."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._stop: Any = None
        for number in _LEAVE_ON:
            signal.signal(number, _nothing)
        # Not the handlers, which wait for a tool to come back from C: this is written to at once.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="snakepit-leaving", daemon=True).start()

    def then(self, stop: Any, executor: Executor) -> None:
        """What there is to stop; before, there is nothing, and the process just ends."""
        self._stop = stop

    def _wait(self) -> None:
        waits = select.poll()
        waits.register(self._read, select.POLLIN)
        if os.environ.get(READY_FILE) and _is_pipe(0):
            waits.register(0, 0)  # an end of file alone: whatever is sent there is for tools
        while not any(fd == 0 or set(os.read(self._read, 4096)).intersection(_LEAVE_ON) for fd, _ in waits.poll()):
            pass  # another signal
        timer = threading.Timer(_LEAVE_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        if self._stop is None:
            os._exit(0)
        self._stop()


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode) or stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def _per_request(adapter: LoadedAdapter) -> None:
    """Adapters written for Snakepit expect a fresh instance for each call; one that says otherwise itself lives as long as its worker."""
    said = [kind for kind in adapter.classes for base in kind.__mro__ if base is not BaseAdapter and "lifecycle" in vars(base)]
    if not said:
        adapter.lifecycle = "request"


def _heartbeat(options: Any) -> HeartbeatConfig:
    """How to beat: as the arguments say, and where the environment says something, as that does."""
    config = HeartbeatConfig(
        enabled=options.heartbeat_enabled,
        interval_ms=options.heartbeat_interval_ms,
        timeout_ms=options.heartbeat_timeout_ms,
        max_missed_heartbeats=options.heartbeat_max_missed,
        initial_delay_ms=options.heartbeat_initial_delay_ms,
        dependent=options.heartbeat_dependent,
    )
    try:
        return HeartbeatConfig.from_environment(os.environ, config)
    except ValueError as error:
        print("snakepit: SNAKEPIT_HEARTBEAT_CONFIG is ignored: %s" % error, file=sys.stderr)
        return config


def _say_ready(port: int) -> None:
    """Write the port where the host looks for it: whole or not at all."""
    path = os.environ.get(READY_FILE)
    if not path:
        print("ready 127.0.0.1:%d" % port, flush=True)
        return
    with open(path + ".tmp", "w") as file:
        file.write(str(port))
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def _failed(message: str, hint: str) -> int:
    print("snakepit: " + message + ("\n  hint: " + hint if hint else ""), file=sys.stderr, flush=True)
    return 1


def _options(argv: List[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m snakepit_bridge.grpc_server", description=__doc__, allow_abbrev=False)
    parser.add_argument("--adapter", action="append", metavar="REF", help="pkg.module.Class, or as python -m snakepit_bridge takes it")
    parser.add_argument("--port", type=int, default=0, help="of loopback; 0: any free one")
    address = os.environ.get("SNAKEPIT_ELIXIR_ADDRESS") or os.environ.get("SNAKEPIT_GRPC_ADDRESS") or ""
    parser.add_argument("--elixir-address", default=address, metavar="HOST:PORT", help="the host's service; empty: nobody to dial")
    parser.add_argument("--max-workers", type=int, default=0, metavar="N", help="run up to N sync tools at once on threads")
    parser.add_argument("--worker-id", default="", metavar="ID")
    parser.add_argument("--health-check", action="store_true", help="load the adapter and leave")
    parser.add_argument("--cancel-timeout", type=float, default=KILL_AFTER, metavar="SECONDS", help="for a cancelled call to end")
    for name in ("--snakepit-run-id", "--run-id", "--snakepit-instance-name", "--snakepit-instance-token"):
        parser.add_argument(name, default="", help="tells the host's processes apart")
    parser.add_argument("--thread-safety-check", action="store_true", help="taken and not needed: the pool warns by itself")
    parser.add_argument("--heartbeat-enabled", type=_truth, nargs="?", const=True, default=True)
    parser.add_argument("--heartbeat-interval-ms", type=float, default=2000.0)
    parser.add_argument("--heartbeat-timeout-ms", type=float, default=10_000.0)
    parser.add_argument("--heartbeat-max-missed", type=int, default=3)
    parser.add_argument("--heartbeat-initial-delay-ms", type=float, default=0.0)
    parser.add_argument("--heartbeat-dependent", action="store_true", default=True)
    parser.add_argument("--heartbeat-independent", dest="heartbeat_dependent", action="store_false")
    options, others = parser.parse_known_args(argv)
    if others:
        print("snakepit: arguments of another version are ignored: %s" % " ".join(others), file=sys.stderr)
    return options


def _truth(text: str) -> bool:
    return text.strip().lower() not in ("0", "false", "no", "off")
