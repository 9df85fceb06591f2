"""SPECIFICATION.md and the tests of the promises name each other."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_promise_has_its_test_and_every_test_its_promise(root: Path) -> None:
    """Each row names a test that is there, each test once."""
    named = re.findall(r"`(tests/promises/\w+\.py)::(\w+)`", (root / "SPECIFICATION.md").read_text(encoding="utf-8"))
    there = [
        (str(path.relative_to(root)), name)
        for path in sorted((root / "tests" / "promises").glob("test_*.py"))
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(named) == sorted(there)
