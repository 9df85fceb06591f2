"""The files that `snakepit gen adapter NAME` writes: their names and their texts. Pure; `gen_command` writes them."""

from __future__ import annotations

import keyword
import re
import sys
from typing import NamedTuple

from snakepit.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_TAKEN = frozenset({"snakepit", "snakepit_bridge", "conftest", "pytest"})


class Names(NamedTuple):
    """What an adapter is called: its module and its class."""

    module: str
    cls: str


def names_of(name: str) -> Names:
    """Module and class for a name, however it is written: `price_tools` and `PriceTools` mean the same.

    Raises:
        ConfigurationError: it can be no module's name, or would hide another module.
    """
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
    hint = "for example: snakepit gen adapter price_tools"
    if not _NAME.fullmatch(name) or not module.isidentifier():
        raise ConfigurationError(f"NAME: got {name!r}, allowed are up to 60 letters, digits and '_', a letter first", hint=hint)
    if keyword.iskeyword(module) or module in _TAKEN or module in sys.stdlib_module_names:
        what = "a word of Python itself" if keyword.iskeyword(module) else "the name of a module that Python or this library has"
        raise ConfigurationError(f"NAME: got {name!r}, which is {what}: it would be hidden", hint=hint)
    if module.startswith("test_"):
        raise ConfigurationError(f"NAME: got {name!r}, which pytest would take for tests", hint=hint)
    return Names(module, "".join(word[:1].upper() + word[1:] for word in module.split("_") if word))


def files(names: Names) -> dict[str, str]:
    """The adapter and its test, by file name."""
    return {
        f"{names.module}.py": _filled(_ADAPTER, names),
        f"test_{names.module}.py": _filled(_TEST, names),
    }


def _filled(template: str, names: Names) -> str:
    return template.replace("MODULE", names.module).replace("CLASS", names.cls)


_ADAPTER = '''"""Tools for `snakepit`. Try them:

snakepit run greet name=Ada --adapter MODULE.py
snakepit run count to=5 --adapter MODULE.py
"""

from snakepit_bridge.base_adapter import BaseAdapter, tool


class CLASS(BaseAdapter):
    """One instance per worker: `initialize` runs once, before the first call."""

    def initialize(self) -> None:
        self.greeting = "Hello"

    @tool(description="Greet somebody")
    def greet(self, name: str = "world") -> str:
        return f"{self.greeting}, {name}!"

    @tool(description="Count, number by number", supports_streaming=True)
    def count(self, to: int = 3):
        for number in range(1, to + 1):
            yield {"number": number, "progress": number, "total": to}
'''

_TEST = '''"""Tests of `MODULE`: python -m pytest test_MODULE.py"""

import pytest
import snakepit
from snakepit.testing import MemoryPool

from MODULE import CLASS


@pytest.fixture
def pool():
    """In memory: quick, and a debugger stops in the tools."""
    with MemoryPool(CLASS, size=1) as pool:
        yield pool


def test_greet(pool):
    """One result."""
    assert pool.execute("greet", {"name": "Ada"}) == "Hello, Ada!"


def test_count_streams(pool):
    """What the tool yields, in order."""
    stream = pool.stream("count", {"to": 3})
    assert [value["number"] for value in stream.values()] == [1, 2, 3]


def test_wrong_arguments_are_refused(pool):
    """They are checked against the tool's signature before anything runs."""
    with pytest.raises(snakepit.InvalidParameter, match="name"):
        pool.execute("greet", {"name": 7})


def test_in_a_worker_process():
    """The same tools as they will run: in a process of their own."""
    with snakepit.Pool(CLASS, size=1) as pool:
        assert pool.execute("greet", {}) == "Hello, world!"
'''
