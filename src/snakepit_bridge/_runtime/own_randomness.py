"""A forked worker's own randomness: what was seeded before the fork would give all workers of a template the same numbers.

`random` seeds itself anew in a forked child, `tempfile`, `uuid`, `secrets` and `os.urandom` take theirs from the system.
"""

import random
import sys


def renew_randomness() -> None:
    """Seed the global generators of this process anew."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
