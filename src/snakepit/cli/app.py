"""The commands and their options, as typer wants them; `help_text` has the longer words.

Each command makes a `Command` and exits with the code that its `run` gives. Imported by `main` alone, as typer may be missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snakepit import __version__

from . import help_text
from .bench_command import BenchCommand
from .call_command import CallCommand, tls_option
from .compat_command import CompatCommand
from .doctor_command import DoctorCommand
from .gen_command import GenAdapterCommand
from .run_command import RunCommand
from .serve_command import ServeCommand
from .status_command import StatusCommand
from .tools_command import ToolsCommand

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="snakepit",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_CONTEXT,
)

AdapterOption = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        "-a",
        metavar="A",
        help="Where the tools are: package.module:Class, package.module, ./tools.py or ./tools.py:Class. "
        "The current directory is importable.  [default: the showcase]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document per line, for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"snakepit {__version__}")
        raise typer.Exit


@app.callback(help=help_text.COMMAND)
def snakepit(
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """The options before the command."""


@app.command(help=help_text.RUN, no_args_is_help=True, context_settings=_CONTEXT)
def run(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name; `snakepit tools` lists them.")],
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEM", help="KEY=VALUE, KEY:=JSON or KEY=@FILE: an argument for the tool's parameter KEY."),
    ] = None,
    adapter: AdapterOption = None,
    args: Annotated[str | None, typer.Option("--args", metavar="FILE|-", help="A JSON object of arguments; KEY=... overrides it.")] = None,
    size: Annotated[int, typer.Option("--size", metavar="N", help="How many workers to start.")] = 1,
    record: Annotated[
        str | None, typer.Option("--record", metavar="FILE", help="Write down how the call goes, for snakepit.testing.replay(FILE).")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", help="Cancel the call after S seconds.  [default: never]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """`snakepit run`."""
    command = RunCommand(tool, items or [], args, adapter=adapter, size=size, as_json=json, timeout=timeout, record=record)
    raise typer.Exit(command.run())


@app.command(help=help_text.CALL, no_args_is_help=True, context_settings=_CONTEXT)
def call(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")],
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEM", help="KEY=VALUE, KEY:=JSON or KEY=@FILE: an argument for the tool's parameter KEY."),
    ] = None,
    target: Annotated[str, typer.Option("--target", "-t", metavar="HOST:PORT", help="Where the gateway listens.")] = "127.0.0.1:50051",
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Which of its pools.  [default: its own]")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypted; the gateway's certificate is checked as the system trusts.")] = False,
    ca: Annotated[str | None, typer.Option("--ca", metavar="FILE", help="Encrypted; whom to trust, in PEM format.")] = None,
    cert: Annotated[str | None, typer.Option("--cert", metavar="FILE", help="This client's certificate.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="FILE", help="Its private key.")] = None,
    args: Annotated[str | None, typer.Option("--args", metavar="FILE|-", help="A JSON object of arguments; KEY=... overrides it.")] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", help="Cancel the call after S seconds.  [default: never]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """`snakepit call`."""
    told = tls_option(tls=tls, ca=ca, cert=cert, key=key)
    command = CallCommand(tool, items or [], args, target=target, pool=pool, tls=told, as_json=json, timeout=timeout)
    raise typer.Exit(command.run())


@app.command(help=help_text.SERVE, context_settings=_CONTEXT)
def serve(
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="FILE", help="Settings, in TOML; the options go before it.")
    ] = None,
    adapter: AdapterOption = None,
    size: Annotated[int | None, typer.Option("--size", metavar="N", help="How many workers.  [default: the usable CPUs]")] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="HOST:PORT", help="Where to listen; port 0 takes any.  [default: 127.0.0.1:50051]")
    ] = None,
    cert: Annotated[str | None, typer.Option("--cert", metavar="FILE", help="The gateway's certificate, in PEM format.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="FILE", help="Its private key.")] = None,
    client_ca: Annotated[
        str | None, typer.Option("--client-ca", metavar="FILE", help="Clients must show a certificate that this one has signed.")
    ] = None,
    drain_timeout: Annotated[
        float | None, typer.Option("--drain-timeout", metavar="S", help="How long open calls may take to end.  [default: 20]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """`snakepit serve`."""
    tls = {name: value for name, value in (("cert", cert), ("key", key), ("client_ca", client_ca)) if value is not None}
    own = {name: value for name, value in (("adapter", adapter), ("size", size)) if value is not None}
    top = {name: value for name, value in (("address", address), ("drain_timeout", drain_timeout)) if value is not None}
    given = {**top, **({"tls": tls} if tls else {}), **({"pools": {"main": own}} if own else {})}
    raise typer.Exit(ServeCommand(config, given, as_json=json).run())


@app.command(help=help_text.TOOLS, context_settings=_CONTEXT)
def tools(adapter: AdapterOption = None, json: JsonOption = False) -> None:
    """`snakepit tools`."""
    raise typer.Exit(ToolsCommand(adapter, 1, json).run())


@app.command(help=help_text.DOCTOR, context_settings=_CONTEXT)
def doctor(
    python: Annotated[
        list[str] | None,
        typer.Option("--python", metavar="P", help="The workers' Python: a path, a name on PATH, a virtual environment; may be repeated."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", metavar="NAME", help="grpc, msgpack or json, or several with commas, best first.  [default: auto]"),
    ] = None,
    command: Annotated[
        str, typer.Option("--command", metavar="WORDS", help="Starts a worker on its stdin and stdout, here or elsewhere; one is started.")
    ] = "",
    adapter: Annotated[
        str | None, typer.Option("--adapter", "-a", metavar="A", help="Start one worker with these tools too; it runs none of them.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """`snakepit doctor`."""
    raise typer.Exit(DoctorCommand(adapter, python or [], protocol or [], command, json).run())


@app.command(help=help_text.STATUS, context_settings=_CONTEXT)
def status(
    pid: Annotated[int | None, typer.Option("--pid", metavar="N", help="Only the pools of this process.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Only pools of this instance_name.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option("--interval", metavar="S", help="Seconds between two looks of --watch.")] = 1.0,
    json: JsonOption = False,
) -> None:
    """`snakepit status`."""
    raise typer.Exit(StatusCommand(pid, name, watch=watch, interval=interval, as_json=json).run())


@app.command(help=help_text.BENCH, context_settings={**_CONTEXT, "allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """`snakepit bench`."""
    raise typer.Exit(BenchCommand(context.args).run())


gen = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=_CONTEXT, help=help_text.GEN)
app.add_typer(gen, name="gen")


@gen.callback()
def _gen() -> None:
    """So that `adapter` stays a word of its own though it is the only one."""


@gen.command("adapter", help=help_text.GEN_ADAPTER, no_args_is_help=True, context_settings=_CONTEXT)
def gen_adapter(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the module, or of the class: price_tools, PriceTools.")],
    folder: Annotated[str, typer.Option("--dir", metavar="D", help="Where to.")] = ".",
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    json: JsonOption = False,
) -> None:
    """`snakepit gen adapter`."""
    raise typer.Exit(GenAdapterCommand(name, folder, force=force, as_json=json).run())


compat = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=_CONTEXT, help=help_text.COMPAT)
app.add_typer(compat, name="compat")


@compat.callback()
def _compat() -> None:
    """As for `gen`."""


@compat.command("install", help=help_text.COMPAT_INSTALL, no_args_is_help=True, context_settings=_CONTEXT)
def compat_install(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where Snakepit looks for its scripts, such as priv/python.")],
    force: Annotated[bool, typer.Option("--force", help="Replace scripts that are there.")] = False,
    json: JsonOption = False,
) -> None:
    """`snakepit compat install`."""
    raise typer.Exit(CompatCommand(directory, force=force, as_json=json).run())
