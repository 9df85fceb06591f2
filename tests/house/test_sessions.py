"""The README and the documentation do what they say: their code runs in order and prints what stands below it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pages import blocks, commands, files, run_commands, session

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = {str(page.relative_to(_ROOT)): page.read_text(encoding="utf-8") for page in sorted((_ROOT / "docs").rglob("*.md"))}


def _pages_with(part: Callable[[str], Any]) -> list[str]:
    return [name for name, text in _PAGES.items() if part(text)]


def _run_page(page: Path, folder: Path) -> None:
    code, expected = session(page.read_text(encoding="utf-8"))
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
    assert session(text) == ("a\n\nb\n", "1\n")


def test_files_and_commands_are_told_from_the_script() -> None:
    """A Python block that begins with a name is a file; a console block is typed only where it has a prompt."""
    text = "```python\n# a.py\n1\n```\n\n```text\nno\n```\n\n```console\n$ python a.py\n1\n2\n$ ls\n```\n\n```console\nonly shown\n```\n"
    assert session(text) == ("", "")
    assert files(text) == {"a.py": "# a.py\n1\n"}
    assert commands(text) == [("python a.py", "1\n2\n"), ("ls", "")]


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
@pytest.mark.parametrize("page", _pages_with(lambda text: session(text)[0]))
def test_page_prints_what_it_says(page: str, root: Path, tmp_path: Path) -> None:
    """A page's Python blocks, run as one script in an empty directory, print its text blocks."""
    _run_page(root / page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages_with(commands))
def test_page_says_what_its_commands_print(page: str, tmp_path: Path) -> None:
    """A page's commands, typed in order in a directory with its files, print what stands below them."""
    run_commands(_PAGES[page], tmp_path)


@pytest.mark.parametrize("page", _PAGES)
def test_fragments_are_python(page: str) -> None:
    """What a page shows as Python compiles, also what is not run."""
    for language, body in blocks(_PAGES[page]):
        if language in ("py", "python"):
            compile(textwrap.dedent(body), page, "exec", ast.PyCF_ONLY_AST)


@pytest.mark.parametrize("page", _PAGES)
def test_chores_and_extras_are_there(page: str, root: Path) -> None:
    """Each `make ...` of a page names a chore, each extra in brackets one of this distribution."""
    text = _PAGES[page]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    chores = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert chores <= set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    extras = set(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
    asked = {name for names in re.findall(r"(?:snakepit-bridge|'\.)\[([a-z,]+)\]", text) for name in names.split(",")}
    assert asked <= extras
