"""Work goes on where gRPC is missing: `python examples/execute_with_fallback.py`.

A pool with `protocol="auto"` steps down by itself. This is for programs that force gRPC and decide on the fallback themselves,
call by call, as the guide's `execute_with_fallback` does.
"""

from __future__ import annotations

import argparse
from typing import Any

import snakepit


def execute_with_fallback(tool: str, args: dict[str, Any], **options: Any) -> Any:
    """`snakepit.execute`; over MessagePack if gRPC cannot be used."""
    try:
        return snakepit.execute(tool, args, **options)
    except snakepit.ProtocolUnavailable as error:
        print(f"⚠️ {error.message}: falling back to MessagePack")
        with snakepit.with_adapter(snakepit.adapters.GenericPythonMsgpack):
            return snakepit.execute(tool, args, **options)


def main() -> None:
    """Add two numbers, wherever this runs."""
    parser = argparse.ArgumentParser(description="Call a tool over gRPC, or over MessagePack where gRPC is missing.")
    parser.add_argument("--python", help="interpreter of the workers, perhaps one without grpcio; default: this one")
    options = parser.parse_args()
    snakepit.configure(adapter_module=snakepit.adapters.GRPCPython, pool_size=1, python=options.python)
    print(execute_with_fallback("compute", {"operation": "add", "a": 5, "b": 3}, timeout=30))
    snakepit.shutdown()


if __name__ == "__main__":
    main()
