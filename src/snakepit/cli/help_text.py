"""The longer words of `--help`, used by `app`.

A line with nothing but a backspace tells typer to keep the lines below it as they are, up to an empty one.
"""

from __future__ import annotations

COMMAND = """Run Python tools in supervised worker processes, and watch their results while they are made.

\b
Try:
  snakepit run ping
  snakepit run stream_progress steps=10 delay_ms=200
  snakepit tools
  snakepit tools --adapter ./my_tools.py
  snakepit run train epochs=5 --adapter ./my_tools.py
  snakepit gen adapter my_tools
  snakepit doctor
  snakepit status --watch
  snakepit bench --quick

`snakepit run --help` tells all about arguments, output and exit codes.
"""

RUN = """Call one tool and show what it gives, while it gives it.

\b
Arguments:
  KEY=VALUE   converted to what the tool's parameter takes: a number, true/false/yes/no/1/0,
              null for an optional one, JSON for a list or dict; text stays text
  KEY:=JSON   any JSON value, whatever the parameter says
  KEY=@FILE   the file: its text, its bytes for a bytes parameter, its JSON for a list or dict

\b
Examples:
  snakepit run compute operation=add a=2 b=3
  snakepit run echo name=Ada 'tags:=["a", "b"]' note=@note.txt
  snakepit run progress_stream count=20 delay=0.1
  snakepit run ping_stream count=3 --json
  echo '{"count": 3}' | snakepit run ping_stream --args -
  snakepit run progress_stream count=5 --record five.jsonl
  snakepit run batch_inference -a ./tools.py 'items=["digit_0000", "digit_0001"]' --timeout 60

\b
Output:
  A stream's chunks come one per line; on a terminal, chunks that tell their progress move a
  bar with rate and time left. A single result is printed as text or indented JSON (bytes as
  they are, into a file or pipe). What tools print themselves goes to standard error.

\b
Exit codes:
  0 done   1 the tool failed   2 wrong command, tool, parameter or adapter
  124 timed out   130 Ctrl-C: the call was cancelled   141 the reader of the output left
"""

TOOLS = """List an adapter's tools, with the parameters they take.

\b
Examples:
  snakepit tools
  snakepit tools --adapter my_app.tools:MyAdapter
  snakepit tools --adapter ./my_tools.py --json
"""

DOCTOR = """Say whether a pool would work here, and if not, why and what mends it.

Looked at are permissions, leftovers of dead runs, settings, limits, memory, interpreters and protocols.
Workers are those of this Python unless --python or --command names others. None is started without
--adapter or --command.

\b
Examples:
  snakepit doctor
  snakepit doctor --adapter ./my_tools.py
  snakepit doctor --python python3.9 --python ./venv --protocol grpc,json
  snakepit doctor --command "ssh gpu-1 python3 -m snakepit_bridge --stdio"

\b
Exit codes:
  0 a pool would start   1 it would not   2 wrong option
"""

STATUS = """Show the pools of this user that run on this machine: workers, queue, and the calls that run.

Each pool answers on a private socket; nothing is changed, no worker is asked, and no argument, result or session is
shown.

\b
Examples:
  snakepit status
  snakepit status --watch
  snakepit status --name models --json
  snakepit status --watch --interval 5 --json >> status.jsonl

\b
Exit codes:
  0 every pool serves   1 one is failing or does not answer, or there is none   2 wrong option
"""

SERVE = """Serve pools to clients outside, in any language that gRPC knows, until SIGTERM or Ctrl-C.

Without TLS and tokens it listens on this machine alone. A token for all tools is taken from SNAKEPIT_GATEWAY_TOKEN; a
settings file has several, each for the tools that it names, and several pools.

\b
Examples:
  snakepit serve --adapter my_app.tools:MyAdapter --size 4
  snakepit serve --config gateway.toml
  snakepit serve --config gateway.toml --address 0.0.0.0:50051 --cert server.pem --key server.key

\b
Exit codes:
  0 ended by SIGTERM   2 a setting is wrong   130 ended by Ctrl-C
"""

CALL = """Call one tool behind a gateway (`snakepit serve`) and show what it gives, while it gives it.

Arguments and output are those of `snakepit run`. The token is taken from SNAKEPIT_GATEWAY_TOKEN.

\b
Examples:
  snakepit call compute operation=add a=2 b=3
  snakepit call train epochs=3 --target gateway.example.org:50051 --tls --json

\b
Exit codes:
  0 done   1 the tool or the gateway failed   2 wrong command or arguments   124 time ran out
"""

GEN = """Write files to begin with."""

GEN_ADAPTER = """Write a small adapter and its test, to begin with: two tools, one of which streams.

Nothing that is there is written over without --force.

\b
Examples:
  snakepit gen adapter price_tools
  snakepit gen adapter PriceTools --dir src --json

\b
Exit codes:
  0 both files are written   2 a wrong name, or a file that is there
"""

BENCH = """Measure snakepit beside what else you might take, on this machine; from a checkout of its repository.

All words go to the program as they are.

\b
Some of them:
  --quick          one short round of each, in about five minutes
  --only SCENARIO  one scenario, such as sequential, in_flight, stream, start or memory (may be repeated)
  --peer NAME      one peer beside ours, such as ray, executor or pyzmq (may be repeated)
  --rounds N       so many rounds
  --write FILE     the tables as Markdown, and charts beside them; a full run writes benchmarks/RESULTS.md
  --strict         exit with 1 if a bar is missed

\b
Examples:
  snakepit bench --quick
  snakepit bench --only in_flight --peer executor --peer ray

\b
Exit codes:
  0 measured   2 a wrong word, or this is no checkout   130 Ctrl-C
"""

COMPAT = "Work together with Snakepit on Elixir."

COMPAT_INSTALL = """Write grpc_server.py and grpc_server_threaded.py, by which a Snakepit host starts workers of this library.

They put this snakepit_bridge first on sys.path, and run no other.

\b
Examples:
  snakepit compat install my_app/priv/python
  snakepit compat install priv/python --force --json

\b
Exit codes:
  0 written   2 other scripts are there, or DIR cannot be written to
"""
