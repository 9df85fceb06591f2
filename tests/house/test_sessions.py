"""The README and the documentation do what they say: their code runs in order and prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _session(text: str) -> tuple[str, str]:
    """The Python blocks as one script, and the text blocks that follow one directly, as what it prints."""
    script, expected, previous = [], [], ""
    for language, body in _BLOCK.findall(text):
        if language == "python":
            script.append(body)
        elif language == "text" and previous == "python":
            expected.append(body)
        previous = language
    return "\n".join(script), "".join(expected)


def _pages_with_code() -> list[str]:
    pages = sorted((_ROOT / "docs").rglob("*.md"))
    return [str(page.relative_to(_ROOT)) for page in pages if _session(page.read_text(encoding="utf-8"))[0]]


def _run_page(page: Path, folder: Path) -> None:
    code, expected = _session(page.read_text(encoding="utf-8"))
    assert code
    assert expected
    script = folder / "session.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_session_is_read_in_order() -> None:
    """Python blocks are joined; a text block counts only directly after Python."""
    text = "```python\na\n```\n\n```text\n1\n```\n\n```text\nno\n```\n\n```sh\nmake\n```\n\n```python\nb\n```\n"
    assert _session(text) == ("a\n\nb\n", "1\n")


def test_readme_is_short_and_starts_with_its_two_commands(root: Path) -> None:
    """At most 150 lines, and the first commands are `make demo` and `make test`."""
    text = (root / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:\$ )?(make [a-z-]+)", text, re.MULTILINE)
    assert len(text.splitlines()) <= 150
    assert commands[:2] == ["make demo", "make test"]


@pytest.mark.slow
def test_readme_session_prints_what_it_says(root: Path, tmp_path: Path) -> None:
    """The README's Python blocks, run as one script in an empty directory, print its text blocks."""
    _run_page(root / "README.md", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages_with_code())
def test_page_prints_what_it_says(page: str, root: Path, tmp_path: Path) -> None:
    """A page's Python blocks, run as one script in an empty directory, print its text blocks."""
    _run_page(root / page, tmp_path)
