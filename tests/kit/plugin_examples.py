"""Files of tests, as users of the plugin write them, and what they come to."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

HEAD = """
import os, time
import pytest
from snakepit_bridge import BaseAdapter, tool


class Shop(BaseAdapter):
    @tool
    def price(self, article: str) -> float:
        return {"tea": 2.0}[article]

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds
"""

#: What a user's own file may hold, and how it ends: (tests that pass, that fail, that cannot be set up).
SHOP = (
    HEAD
    + """
pytestmark = pytest.mark.usefixtures("snakepit_leaves_nothing")


@pytest.mark.snakepit(adapter=Shop)
def test_a_pool_of_the_marker(snakepit_pool):
    assert snakepit_pool.execute("price", {"article": "tea"}) == 2.0
    assert snakepit_pool.stats().size == 1


def test_pools_of_its_own(snakepit_pools):
    first, second = snakepit_pools(Shop, size=1), snakepit_pools([Shop], size=2)
    assert first.execute("price", {"article": "tea"}) == second.execute("price", {"article": "tea"})
    assert second.stats().size == 2


@pytest.mark.snakepit(adapter=Shop, clock_seed=3)
def test_an_hour(snakepit_clock, snakepit_pool):
    began = snakepit_clock.now
    assert snakepit_pool.execute("nap", {"seconds": 3600.0}, timeout=None) == 3600.0
    assert snakepit_clock.now - began == 3600.0


@pytest.mark.snakepit(adapter=Shop)
def test_an_hour_whatever_the_order(snakepit_pool, snakepit_clock):
    assert snakepit_pool.execute("nap", {"seconds": 3600.0}, timeout=None) == 3600.0
"""
)


def run_pytest(python: str | pathlib.Path, folder: pathlib.Path, text: str, *options: str) -> tuple[dict[str, int], str]:
    """Run a file of tests with another pytest, where nothing of this tree's configuration is: (how many ended how, what it said)."""
    (folder / "test_shop.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n", encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV"))}
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", *options]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)
    said = done.stdout + done.stderr
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)}, said
