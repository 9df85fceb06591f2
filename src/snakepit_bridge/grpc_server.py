"""`python -m snakepit_bridge.grpc_server`: the worker program that a Snakepit host starts. What it does is in `_runtime.bridge_program`."""

import sys

from ._runtime.bridge_program import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
