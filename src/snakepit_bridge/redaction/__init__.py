"""What is never shown: names and shapes of secrets, and how values are described without them. Used by both sides.

The functions are those of the default `Redactor`; a pool with `secret_names` or `secret_patterns` has one of its own.
"""

from .redactor import Redactor
from .shapes import MASK, looks_random

#: The one of pools that have no names or patterns of their own.
DEFAULT = Redactor()

describe = DEFAULT.describe
is_secret_name = DEFAULT.is_secret_name
mask = DEFAULT.mask
masked = DEFAULT.masked
objection = DEFAULT.objection
secrets_in = DEFAULT.secrets_in

__all__ = ["DEFAULT", "MASK", "Redactor", "describe", "is_secret_name", "looks_random", "mask", "masked", "objection", "secrets_in"]
