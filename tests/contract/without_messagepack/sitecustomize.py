"""Hides the MessagePack libraries from the interpreter that has this directory on its path, as if they were not installed."""

import sys

sys.modules.update(msgspec=None, msgpack=None)
