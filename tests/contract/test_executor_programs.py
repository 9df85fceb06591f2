"""The contract of executors: whole programs, whose own functions run in workers, and which end while work is left."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

MAKE = """
import concurrent.futures
import multiprocessing


def executor(kind, workers=1, **options):
    if kind == "standard":
        return concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), **options)
    import snakepit.testing

    adapter, settings = "snakepit_bridge.functions", {"size": workers, "allow_pickle": True}
    if kind == "memory":
        return snakepit.testing.MemoryPool(adapter, **settings).as_executor(**options)
    settings.update({"launcher": "template"} if kind == "template" else {"protocol": kind})
    return snakepit.Pool(adapter, **settings).as_executor(**options)
"""

OWN = """
import dataclasses
import sys

import beside
import make

sys.path.append("for this program")


@dataclasses.dataclass
class Point:
    x: int


class Refused(Exception):
    pass


def begin(value):
    global begun
    begun = value


def square(number):
    return number * number


def moved(point):
    return Point(point.x + begun)


def length(point):
    return len(point.x)


def refuse():
    raise Refused("not today")


def facts():
    return sys.argv[1:], sys.modules["__main__"].Point is Point, "for this program" in sys.path


if __name__ == "__main__":
    with make.executor(sys.argv[1], initializer=begin, initargs=(40,)) as executor:
        print(executor.submit(length, Point(bytes(1_000_000))).result(30))
        print(executor.submit(square, 3).result(30), list(executor.map(square, range(4))))
        print(executor.submit(moved, Point(2)).result(30), executor.submit(beside.double, 4).result(30))
        print(type(executor.submit(refuse).exception(30)) is Refused, executor.submit(facts).result(30))
"""

LEFT = """
import os
import sys
import time

import make


def note(path, text, seconds):
    time.sleep(seconds)
    with open(path, "a") as file:
        file.write(text)
    return text


def then(future):
    note(sys.argv[3], future.result().upper(), 0)


def main(executor, how):
    assert executor.submit(abs, -1).result(30) == 1
    executor.submit(note, sys.argv[3], "a", 0.3)
    executor.submit(note, sys.argv[3], "b", 0.1).add_done_callback(then)
    if how == "shut":
        executor.shutdown(wait=False)
    return executor if how == "kept" else None


if __name__ == "__main__":
    kept = main(make.executor(sys.argv[1]), sys.argv[2])
"""

UNGUARDED = """
import snakepit


def square(number):
    return number * number


print("here")
executor = snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True).as_executor()
error = executor.submit(square, 2).exception(30)
print(error)
print(error.hint)
"""

PROMPT = """
import snakepit


def square(number):
    return number * number


with snakepit.Pool("snakepit_bridge.functions", size=1, allow_pickle=True).as_executor() as executor:
    print(executor.submit(abs, -2).result(30))
    print(executor.submit(square, 2).exception(30).hint)
"""


def run(folder: pathlib.Path, *words: str) -> list[str]:
    """What a program prints. It runs elsewhere than where its files are."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, *words], cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the programs are."""
    sources = {"make": MAKE, "own": OWN, "left": LEFT, "unguarded": UNGUARDED, "beside": "def double(number):\n    return 2 * number\n"}
    for name, text in sources.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


kinds = pytest.mark.parametrize("kind", ["standard", "msgpack", "grpc"])


@pytest.mark.parametrize("kind", ["standard", "msgpack", "grpc", "template", "memory"])
def test_the_programs_own_functions(folder: pathlib.Path, kind: str) -> None:
    """Functions, classes and errors of the script itself, and modules that stand beside it."""
    assert run(folder, str(folder / "own.py"), kind, "--more") == [
        "1000000",
        "9 [0, 1, 4, 9]",
        "Point(x=42) 8",
        f"True (['{kind}', '--more'], True, True)",
    ]


@kinds
def test_a_module_that_is_the_program(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """`python -m`: also in a package."""
    monkeypatch.setenv("PYTHONPATH", str(folder))
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").touch()
    (folder / "package" / "own.py").write_text(OWN.replace("import beside", "from . import twice as beside"))
    (folder / "package" / "twice.py").write_text("def double(number):\n    return 2 * number\n")
    assert run(folder, "-m", "package.own", kind)[1:3] == ["9 [0, 1, 4, 9]", "Point(x=42) 8"]


@kinds
@pytest.mark.parametrize("how", ["kept", "shut", "dropped"])
def test_work_that_is_left_is_finished(folder: pathlib.Path, kind: str, how: str) -> None:
    """When the program ends: what it has submitted runs, and callbacks are called."""
    assert run(folder, str(folder / "left.py"), kind, how, str(folder / "noted")) == []
    assert (folder / "noted").read_text() == "abB"


# Of ours alone -----------------------------------------------------------------------------------------------------------


def test_a_program_without_a_guard(folder: pathlib.Path) -> None:
    """Is told so, where the standard library's breaks; and its workers start no workers."""
    found = run(folder, str(folder / "unguarded.py"))
    text = "\n".join(found)
    assert "this script starts a Pool when it is imported" in text
    assert 'if __name__ == "__main__"' in found[-1]


def test_functions_that_were_typed(folder: pathlib.Path) -> None:
    """Without a file there is nothing to import, which the error says; functions of modules run."""
    two, hint = run(folder, "-c", PROMPT)
    assert two == "2"
    assert "has no file that a worker could import" in hint
