"""The worker program: reads its arguments, loads the adapter, opens the carrier, runs calls until it is told to leave.

Started by a host's launcher, or by hand. Exit codes: 0 done, 1 the adapter does not load or start, 2 usage.
"""

import faulthandler
import functools
import json
import os
import signal
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..wire.codecs import available_codecs
from ..wire.installed import is_installed
from . import failures
from .arguments import options_of
from .carriers import CarrierError, GrpcCarrier, Reporter, StreamCarrier, preload
from .executor import Executor
from .interpreter import is_free_threaded
from .lifeline import Lifeline, end_everything
from .loading import DEFAULT_REFERENCE, AdapterLoadError, LoadedAdapter, load
from .logs import set_up_logging
from .own_secrets import OWN
from .silence import leave_after
from .stream_server import StdioReport, take_stdio

SECRET_VARIABLE = "SNAKEPIT_CHANNEL_SECRET"
PATH_VARIABLE = "SNAKEPIT_HOST_PATH"
HEARTBEAT_VARIABLE = "SNAKEPIT_HEARTBEAT_CONFIG"

#: A worker that nobody attaches to ends by itself after this long (seconds).
ATTACH_WITHIN = 120.0

#: How long a worker on its stdin and stdout may clean up once its host has gone; then it ends (seconds).
HOST_GONE_SECONDS = 10.0

#: A computing tool gives its turn to the channel this often (seconds). At Python's 5 ms its own stream would be 4-6 ms late;
#: at 0.1 ms throughput would halve.
SWITCH_INTERVAL = 0.0005


def main(argv: List[str]) -> int:
    """Run a worker; the exit code."""
    options = options_of(argv)
    if options.template_fd >= 0:
        return _run_template(options)
    return _run_worker(options, functools.partial(load, options.adapter or [DEFAULT_REFERENCE]))


def _run_worker(options: Any, adapter: Callable[[], LoadedAdapter], *, forked: bool = False) -> int:
    secret = os.environ.pop(SECRET_VARIABLE, "") or os.urandom(32).hex()
    os.environ.pop(HEARTBEAT_VARIABLE, None)  # for whoever looks at this process; commands of tools are not to inherit it
    carrier, reporter = _carrier(options, secret)
    prepare_process(reporter is not None)
    _name_process(options.worker_id)
    if options.stacks_fd >= 0:
        _report_stacks_on(options.stacks_fd)
    OWN.set_up()
    if not forked:
        set_up_logging()
    if options.check:
        return _check(options.adapter or [DEFAULT_REFERENCE])
    try:
        executor = Executor(adapter(), options.worker_id, options.threads)
        executor.set_up()
    except (Exception, SystemExit) as error:
        return _give_up(reporter, _failure(error))
    if options.stdio and options.leave_after_silence > 0:
        leave_after(options.leave_after_silence, lambda: executor.heard, executor.closed, end_everything, HOST_GONE_SECONDS)
    return _serve(executor, carrier, reporter)


def _run_template(options: Any) -> int:
    """Import the adapter once, and become each of the workers that are forked from here."""
    from . import fitness, template  # here: other workers start without, sooner

    os.environ.pop(HEARTBEAT_VARIABLE, None)
    prepare_process(True)
    _name_process(options.worker_id)
    OWN.set_up()
    set_up_logging()
    try:
        adapter = load(options.adapter or [DEFAULT_REFERENCE])
    except (Exception, SystemExit) as error:
        template.tell(options.lifeline_fd, {"failed": _failure(error)})
        return 1
    _facts()
    is_free_threaded()  # what this looks up is read from a large module, once
    if options.preload_grpc:
        preload()
    refusal = fitness.refusal()
    if refusal:
        template.tell(options.lifeline_fd, {"failed": {"kind": "template", "message": refusal}})
        return 1
    template.tell(options.lifeline_fd, {"ready": "", "threads": fitness.library_threads()})
    born = template.serve(options.template_fd, options.lifeline_fd)
    if born is None:
        return 0
    options = options_of(born.argv)
    options.lifeline_fd, options.stacks_fd = born.fds["lifeline"], born.fds["stacks"]
    options.channel_fd = born.fds.get("channel", -1)
    return _run_worker(options, lambda: adapter, forked=True)


def _failure(error: BaseException) -> Dict[str, Any]:
    """Why the adapter cannot be used, as it is reported."""
    if isinstance(error, AdapterLoadError):
        return {"kind": "adapter", "message": error.message, "hint": error.hint, "traceback": error.traceback}
    message = "the adapter's initialization failed: %s: %s" % (type(error).__name__, failures.text_of(error))
    return {"kind": "adapter", "message": message, "hint": "", "traceback": failures.traceback_of(error)}


def _carrier(options: Any, secret: str) -> "Tuple[Any, Optional[Reporter]]":
    """(what will carry the channel, who is told how the start went; None: whoever reads stdout)."""
    lifeline = Lifeline(options.lifeline_fd, options.run_directory) if options.lifeline_fd >= 0 else None
    if options.stdio:
        fds = take_stdio()  # before anything of the user's can print
        return StreamCarrier("stdio", *fds, grace=HOST_GONE_SECONDS), StdioReport(fds[1])
    if options.channel_fd >= 0:
        return StreamCarrier("socketpair", options.channel_fd, options.channel_fd), lifeline
    return GrpcCarrier(options.listen, secret), lifeline


def _serve(executor: Executor, carrier: Any, reporter: "Optional[Reporter]") -> int:
    try:
        endpoint = carrier.open(executor)
    except CarrierError as error:
        return _give_up(reporter, {"kind": error.kind, "message": str(error), "hint": error.hint, "traceback": ""})
    if reporter is not None:
        reporter.say({"ready": endpoint, **_facts()})
    else:
        print("ready %s" % endpoint, flush=True)
    try:
        executor.run(ATTACH_WITHIN)
    finally:
        carrier.stop()
    return 0


@functools.lru_cache(maxsize=None)  # a template has looked it up already for its workers
def _facts() -> Dict[str, Any]:
    """What the host is told of this interpreter."""
    python = "%d.%d.%d" % sys.version_info[:3]
    return {"codecs": available_codecs(), "pip": is_installed("pip"), "executable": sys.executable, "python": python}


def prepare_process(hosted: bool) -> None:
    """What every worker does before anything of the user's runs. `hosted`: a pool starts it, whose affair Ctrl-C is."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Read when grpc is imported, perhaps by the adapter. With its support for forks, every second child that a tool forks
    # dies of a segmentation fault, whether it uses gRPC or not.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    faulthandler.enable(all_threads=False)  # a segfault leaves the traceback of the thread at fault in the captured output
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    for entry in json.loads(os.environ.pop(PATH_VARIABLE, "[]")):
        if entry not in sys.path:  # what the host can import, so can its workers
            sys.path.append(entry)
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if hosted:
        # Ctrl-C in the terminal is the host's affair. Not SIG_IGN: commands that tools start would inherit that.
        signal.signal(signal.SIGINT, lambda *_: None)


def _name_process(worker_id: str) -> None:
    """The short name that lists of processes show."""
    try:
        with open("/proc/self/comm", "wb") as file:
            file.write(worker_id.encode()[:15])
    except OSError:
        pass  # not Linux: it keeps that of its interpreter


def _report_stacks_on(fd: int) -> None:
    """Let the host see where every thread is: a handler in C, which needs no interpreter and waits for no lock."""
    os.set_inheritable(fd, False)
    os.register_at_fork(after_in_child=lambda: os.close(fd))
    faulthandler.register(signal.SIGUSR1, file=fd, all_threads=True)


def _check(refs: List[str]) -> int:
    try:
        adapter = load(refs)
    except AdapterLoadError as error:
        return _give_up(None, {"kind": "adapter", "message": error.message, "hint": error.hint, "traceback": error.traceback})
    print("%s: %d tool%s" % (", ".join(refs), len(adapter.tools), "" if len(adapter.tools) == 1 else "s"))
    for tool in adapter.tools.values():
        print("  " + _tool_line(tool.spec))
    _print_settings(adapter)
    return 0


def _tool_line(spec: Dict[str, Any]) -> str:
    marks = {"var_positional": "*", "var_keyword": "**"}
    shown = []
    for parameter in spec["parameters"]:
        text = marks.get(parameter["kind"], "") + parameter["name"]
        if parameter["annotation"]:
            text += ": " + parameter["annotation"]
        if not parameter["required"] and parameter["kind"] not in marks:
            text += " = %r" % (parameter["default"],) if "default" in parameter else " = ..."
        shown.append(text)
    arrow = " -> stream" if spec["streaming"] else ""
    return "%s(%s)%s%s" % (spec["name"], ", ".join(shown), arrow, "  " + spec["description"] if spec["description"] else "")


def _print_settings(adapter: LoadedAdapter) -> None:
    print("lifecycle: %s; concurrency: %d" % (adapter.lifecycle, adapter.concurrency))


def _give_up(reporter: "Optional[Reporter]", report: Dict[str, Any]) -> int:
    if reporter is not None:
        reporter.say({"failed": report})
    else:
        text = "%s\n%s" % (report["traceback"], report["message"]) if report["traceback"] else report["message"]
        print(text + ("\n  hint: " + report["hint"] if report["hint"] else ""), file=sys.stderr)
    return 1
