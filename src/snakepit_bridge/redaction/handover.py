"""A pool's own names and patterns on their way to its workers, which mask their own spans and log lines by them.

They travel in an environment variable, which the worker removes at once: patterns may tell what secrets look like, and commands
that tools start need not know.
"""

import json
import re
import sys
from typing import Dict, Iterable, MutableMapping

from .redactor import Redactor

VARIABLE = "SNAKEPIT_REDACTION"

_EVERYTHING = r"[\s\S]+"


def handed_over(names: Iterable[str], patterns: Iterable[str]) -> Dict[str, str]:
    """The variable that tells a worker; none where the pool adds nothing to the usual rules."""
    names, patterns = list(names), list(patterns)
    return {VARIABLE: json.dumps({"names": names, "patterns": patterns})} if names or patterns else {}


def taken_over(variables: MutableMapping[str, str]) -> Redactor:
    """The redactor that the host told of; the variable is removed.

    An expression that this Python cannot read, being older than the host's, masks everything: what it would have found is unknown.
    """
    told = json.loads(variables.pop(VARIABLE, "{}"))
    return Redactor(told.get("names", ()), [pattern if _reads(pattern) else _EVERYTHING for pattern in told.get("patterns", ())])


def _reads(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        what = "this Python cannot read one of the pool's secret_patterns: the worker's own spans and log lines are masked whole"
        sys.stderr.write("snakepit: %s\n" % what)
        return False
    return True
