"""`python -m snakepit` is the command `snakepit`."""

import sys

from snakepit.cli import main

sys.exit(main())
