"""The arguments of the worker's program.

Those that a host writes are read without `argparse`, whose import takes as long as a worker's first ten calls; whatever is not exactly
of that form is its affair: help, abbreviations, `--name=value`, and what is wrong.
"""

from typing import Any, Dict, List, NamedTuple, Optional

from .. import __version__

_DESCRIPTION = "Run one snakepit worker: load an adapter and serve its tools over gRPC, or over stdin and stdout."

#: Behind ssh, an argument with spaces arrives as several: its remote shell takes all of them as one line.
_SPLIT_AGAIN = """
  hint: does --adapter have a space in it, and ssh starts this? Its remote shell splits what the pool appends; write it into the
  command, with the shell's quotes inside of Python's: command=[..., "--stdio", "--adapter", "'/my tools/tools.py'"]"""

_EPILOG = """\
adapters:
  pkg.mod:Class  pkg.mod.Class    a class with @tool methods
  pkg.mod                         a module of @tool functions
  tools.py  tools.py:Name         a file, or one class or function of it
Several --adapter options are served as one. Without any, the showcase adapter is.

examples:
  python -m snakepit_bridge --check --adapter my_app.tools:MyAdapter
  SNAKEPIT_CHANNEL_SECRET=... python -m snakepit_bridge --adapter tools.py --listen 127.0.0.1:0
  ssh gpu-1 python3 -m snakepit_bridge --stdio --adapter tools.py        # as the `command` of a Pool

Hosts start workers by themselves: `snakepit.Pool("my_app.tools:MyAdapter")`. Started by hand, the worker prints
`ready ADDRESS` and serves the one host that presents the secret of SNAKEPIT_CHANNEL_SECRET.
"""


class _Option(NamedTuple):
    """One option. `kind`: what reads its value; None: it has none. `metavar`: what help calls that value."""

    kind: Any
    default: Any
    metavar: str
    help: str


_OPTIONS: Dict[str, _Option] = {
    "adapter": _Option(list, None, "REF", "what to serve (see below); may be given several times"),
    "check": _Option(None, False, "", "import the adapter, list its tools, and leave"),
    "listen": _Option(str, "127.0.0.1:0", "ADDRESS", "unix:/path, HOST:PORT, or HOST:FIRST-LAST; default %(default)s"),
    "stdio": _Option(None, False, "", "serve the host at the other end of stdin and stdout"),
    "channel-fd": _Option(int, -1, "FD", "inherited socket that carries the channel, in the place of --listen"),
    "worker-id": _Option(str, "worker", "ID", "what the host calls this worker"),
    "threads": _Option(int, 0, "N", "run up to N sync tools at once on threads; by default one at a time, on the main thread"),
    "leave-after-silence": _Option(float, 0.0, "SECONDS", "with --stdio: leave when the host has said nothing for so long; 0: never"),
    "lifeline-fd": _Option(int, -1, "FD", "inherited socket to the launcher; end of file ends the worker"),
    "stacks-fd": _Option(int, -1, "FD", "inherited socket on which SIGUSR1 writes where the threads are"),
    "template-fd": _Option(
        int, -1, "FD", "inherited socket on which the host's guardian asks for workers: import the adapter, and fork them"
    ),
    "preload-grpc": _Option(None, False, "", "with --template-fd: import gRPC as well, for the workers"),
    "run-directory": _Option(str, "", "DIR", "the host's private directory, removed if the host dies"),
}


class Options:
    """What was given, or its default, by the name of the option: `options.worker_id`."""

    def __init__(self) -> None:
        for name, option in _OPTIONS.items():
            setattr(self, name.replace("-", "_"), option.default)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError("there is no option %r" % name)


def options_of(argv: List[str]) -> Options:
    """The options that a command line gives. Ends the process with help, or with what is wrong."""
    options = _as_hosts_write_them(argv)
    return _parsed(argv) if options is None else options


def _as_hosts_write_them(argv: List[str]) -> Optional[Options]:
    """Options whose names are whole, each value an argument of its own; None: it is not like that."""
    options, rest = Options(), iter(argv)
    for argument in rest:
        option = _OPTIONS.get(argument[2:]) if argument.startswith("--") else None
        if option is None:
            return None
        attribute = argument[2:].replace("-", "_")
        if option.kind is None:
            setattr(options, attribute, True)
            continue
        value = next(rest, "-")
        if value.startswith("-"):
            return None
        if option.kind is list:
            setattr(options, attribute, [*(getattr(options, attribute) or ()), value])
            continue
        try:
            setattr(options, attribute, option.kind(value))
        except ValueError:
            return None
    return options


def _parsed(argv: List[str]) -> Options:
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m snakepit_bridge",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, option in _OPTIONS.items():
        if option.kind is None:
            parser.add_argument("--" + name, action="store_true", help=option.help)
        elif option.kind is list:
            parser.add_argument("--" + name, action="append", metavar=option.metavar, help=option.help)
        else:
            parser.add_argument("--" + name, type=option.kind, default=option.default, metavar=option.metavar, help=option.help)
    parser.add_argument("--version", action="version", version="snakepit-bridge %s" % __version__)
    options, rest = parser.parse_known_args(argv, Options())
    if rest:
        parser.error("unrecognized arguments: %s%s" % (" ".join(rest), _SPLIT_AGAIN if options.stdio else ""))
    return options
