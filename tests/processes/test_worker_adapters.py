"""How tools reach a worker: modules, files, lists of functions, and classes of the user's own script or notebook."""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType

import pytest

import snakepit
from worker_faces import ADAPTERS, face_of, nothing_left

pytestmark = pytest.mark.slow

SOURCES = pathlib.Path(snakepit.__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `functions`, imported as users import theirs."""
    monkeypatch.syspath_prepend(str(ADAPTERS))
    monkeypatch.delitem(sys.modules, "functions", raising=False)
    return importlib.import_module("functions")


def names(pool: snakepit.Pool | snakepit.AsyncPool) -> list[str]:
    """The pool's tools."""
    return sorted(spec.name for spec in pool.tool_specs())


# Modules, files, functions -------------------------------------------------------------------------------------------


def test_a_module_by_its_name() -> None:
    """`"functions"`: the `@tool` functions of a module in the worker's current directory, and nothing else of it."""
    with face_of("sync", "functions") as face:
        assert names(face.pool) == ["double", "later", "numbers", "thrice"]
        assert [face.execute(name, {"x": 5}) for name in ("double", "thrice", "later")] == [10, 15, 5]
        assert face.values("numbers", {"n": 3}) == [0, 1, 2]


def test_a_module_object(functions: ModuleType) -> None:
    """The module itself, as the host has imported it."""
    with face_of("sync", functions) as face:
        assert face.execute("double", {"x": 5}) == 10


def test_a_file() -> None:
    """A path, as text or as a Path; one function of a file needs no mark."""
    for reference in (str(ADAPTERS / "functions.py"), ADAPTERS / "functions.py"):
        with face_of("sync", reference) as face:
            assert face.execute("thrice", {"x": 1}) == 3
    with face_of("sync", f"{ADAPTERS / 'functions.py'}:unmarked") as face:
        assert names(face.pool) == ["unmarked"]
        assert face.execute("unmarked", {"x": 1}) == 2


def test_a_file_relative_to_the_current_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """`"functions.py"` is found from where the host is, though the worker may run elsewhere."""
    monkeypatch.chdir(ADAPTERS)
    with face_of("sync", "functions.py", cwd="/") as face:
        assert face.execute("double", {"x": 5}) == 10


def test_a_list_of_functions(functions: ModuleType) -> None:
    """Functions of several modules, marked or not, are served as one adapter."""
    with face_of("async", [functions.double, functions.unmarked, "kinds:function_reports"]) as face:
        assert names(face.pool) == ["double", "function_reports", "unmarked"]
        assert face.execute("unmarked", {"x": face.execute("double", {"x": 2})}) == 5


def test_two_functions_of_one_name(functions: ModuleType, tmp_path: pathlib.Path) -> None:
    """A collision names both places and how to mend it."""
    other = tmp_path / "other.py"
    other.write_text("def double(x):\n    return x\n", encoding="utf-8")
    with pytest.raises(snakepit.AdapterError, match="two adapters have a tool named 'double'") as caught:
        snakepit.Pool([functions.double, f"{other}:double"], size=1).start()
    assert '@tool(name="...")' in caught.value.hint


# The user's own script -----------------------------------------------------------------------------------------------


def run_script(path: pathlib.Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a Python file as a user does."""
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-W", "error", path.name, *args]
    return subprocess.run(command, cwd=path.parent, env=env, capture_output=True, text=True, timeout=50, check=False)


def script(folder: pathlib.Path, text: str) -> pathlib.Path:
    """A script in a file."""
    path = folder / "my script.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_a_class_of_the_users_own_script(tmp_path: pathlib.Path) -> None:
    """The worker loads the script's file under another name, with all its globals, and does not run its main guard."""
    path = script(
        tmp_path,
        """
        import dataclasses, pickle, sys
        import snakepit
        from snakepit_bridge import BaseAdapter, tool

        SCALE = 3
        print("top level of", __name__)

        @dataclasses.dataclass
        class Point:
            x: int

        class Mine(BaseAdapter):
            @tool
            def scaled(self, x: int) -> int:
                return x * SCALE

            @tool
            def name(self):
                return [__name__, self.__class__.__module__, sys.argv[1:2]]

            @tool
            def pickled(self):
                return pickle.loads(pickle.dumps(Point(4))).x

        @tool
        def also(x: int):
            return x + SCALE

        if __name__ == "__main__":
            print("guarded")
            with snakepit.Pool([Mine, also], size=1, worker_output="discard") as pool:
                print(pool.execute("scaled", {"x": 2}), pool.execute("also", {"x": 2}), pool.execute("pickled"))
                print(pool.execute("name")[:2])
        """,
    )
    done = run_script(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "top level of __main__",
        "guarded",
        "6 5 4",
        "['snakepit_script_my_script', 'snakepit_script_my_script']",
    ]


def test_an_async_script(tmp_path: pathlib.Path) -> None:
    """The same with `AsyncPool` and `asyncio.run` under the guard."""
    path = script(
        tmp_path,
        """
        import asyncio
        import snakepit
        from snakepit_bridge import BaseAdapter, tool

        class Mine(BaseAdapter):
            @tool
            async def count(self, n: int):
                for i in range(n):
                    yield {"i": i}

        async def main():
            async with snakepit.AsyncPool(Mine, size=1) as pool:
                print([chunk.get("i") async for chunk in pool.stream("count", {"n": 3})])

        if __name__ == "__main__":
            asyncio.run(main())
        """,
    )
    done = run_script(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2, None]\n", "")


@pytest.mark.parametrize(
    "use",
    ["with snakepit.Pool(Mine, size=2) as pool:\n    print(pool.execute('one'))", "print(snakepit.Pool(Mine, size=2).execute('one'))"],
    ids=["with", "first call"],
)
def test_a_script_without_a_guard(tmp_path: pathlib.Path, use: str) -> None:
    """A Pool started while a worker imports the script is an error that shows the two lines to add; no process storm."""
    path = script(
        tmp_path,
        f"""
import snakepit
from snakepit_bridge import BaseAdapter, tool

class Mine(BaseAdapter):
    @tool
    def one(self):
        return 1

{use}
""",
    )
    done = run_script(path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "this script starts a Pool when it is imported" in done.stderr
    assert done.stderr.rstrip().endswith('if __name__ == "__main__":\n    main()')
    assert use.splitlines()[0].strip() in done.stderr, "the traceback shows the line at fault"


def test_the_default_pool_without_a_guard(tmp_path: pathlib.Path) -> None:
    """`snakepit.configure` and `execute` at the top level of a script give the same error."""
    path = script(
        tmp_path,
        """
        import snakepit
        from snakepit_bridge import tool

        @tool
        def one():
            return 1

        snakepit.configure([one], pool_size=1)
        print(snakepit.execute("one"))
        """,
    )
    done = run_script(path)
    assert done.returncode == 1
    assert 'if __name__ == "__main__":\n    main()' in done.stderr


def test_the_showcase_in_a_script_without_a_guard(tmp_path: pathlib.Path) -> None:
    """A script whose adapter is elsewhere needs no guard: no worker imports it."""
    path = script(tmp_path, "import snakepit\nwith snakepit.Pool(size=1) as pool:\n    print(pool.execute('ping')['message'])\n")
    done = run_script(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "pong\n", "")


def test_a_script_that_does_other_things_when_imported(tmp_path: pathlib.Path) -> None:
    """A script that raises when a worker imports it fails the start with that very traceback."""
    path = script(
        tmp_path,
        """
        import snakepit
        from snakepit_bridge import tool

        @tool
        def one():
            return 1

        if __name__ != "__main__":
            raise LookupError("only as a program")
        snakepit.Pool([one], size=1).start()
        """,
    )
    done = run_script(path)
    assert done.returncode == 1
    assert "LookupError: only as a program" in done.stderr
    assert 'raise LookupError("only as a program")' in done.stderr


# Notebooks -----------------------------------------------------------------------------------------------------------

NOTEBOOK = """
import linecache, sys
cells = [
    "import math\\nimport snakepit\\nfrom snakepit_bridge import BaseAdapter, tool",
    "FACTOR = 4\\ndef helper(x):\\n    return x * FACTOR",
    "class Mine(BaseAdapter):\\n    @tool\\n    def f(self, x: int):\\n        return 'old'",
    "class Mine(BaseAdapter):\\n    @tool\\n    def f(self, x: int):\\n        return helper(x)\\n    @tool\\n"
    "    def g(self, n: int):\\n        for i in range(n):\\n            yield {'i': math.floor(helper(i))}",
    "pool = snakepit.Pool(Mine, size=1)\\nprint(pool.execute('f', {'x': 5}))",
    "print([chunk.get('i') for chunk in pool.stream('g', {'n': 3})])",
    "FACTOR = 5\\nwith snakepit.Pool([Mine, helper], size=1) as second:\\n    print(second.execute('helper', {'x': 1}))",
]
for number, cell in enumerate(cells, 1):
    name = f"<ipython-input-{number}-0123456789ab>"
    linecache.cache[name] = (len(cell), None, [line + "\\n" for line in cell.splitlines()], name)
    exec(compile(cell, name, "exec"), globals())
"""


def test_a_notebook_class() -> None:
    """A class typed into cells travels as source, in its last version, with what it uses; without `with`, it ends at exit."""
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-W", "error", "-c", NOTEBOOK]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["20", "[0, 4, 8, None]", "5"]
