"""`python -m snakepit_bridge --adapter pkg.mod:Class`: one worker process."""

import sys

from ._runtime.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
