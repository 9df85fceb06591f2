"""What a user may pass as an adapter, as the references that workers get: scripts, modules, notebooks."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import linecache
import math
import os
import stat
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import snakepit_bridge
from snakepit._workers.adapter_reference import ensure_not_importing, resolve
from snakepit.errors import ConfigurationError
from snakepit_bridge import BaseAdapter, tool

SOURCES = Path(__file__).resolve().parents[2] / "src"


class ModuleAdapter(BaseAdapter):
    """An adapter of an importable module: this one."""

    @tool
    def ping(self) -> str:
        return "pong"

    class Nested:
        """A class in a class."""

        @tool
        def inner(self) -> None: ...


@tool
def module_tool(x: int) -> int:
    """A tool of this module."""
    return x


@functools.lru_cache
def cached(x: int) -> int:
    """A decorated function: no plain function any more, but found by its name."""
    return x


def no_directory() -> Path:
    """The run's directory, for adapters that need none."""
    raise AssertionError("nothing had to be written")


def references(adapter: Any) -> tuple[str, ...]:
    """The references of an adapter that has source files."""
    return resolve(adapter, no_directory)


def refusal(adapter: Any) -> ConfigurationError:
    """The error that an adapter is refused with."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(adapter, no_directory)
    return caught.value


def python(*arguments: str | Path, cwd: Path, stdin: str = "") -> str:
    """What a Python prints that can import this tree and msgspec.

    Raises:
        AssertionError: it failed; the message holds what it printed.
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES), *(entry for entry in sys.path if entry.endswith("site-packages"))])}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tools_in_worker(found: list[str] | tuple[str, ...], cwd: Path, call: str = "None") -> Any:
    """The names of the tools that a worker finds, and what it gets for an expression on its `call(name, *arguments)`."""
    program = f"""
import json
from snakepit_bridge._runtime.loading import load
adapter = load({list(found)!r})
instances = adapter.instantiate()
call = lambda name, *arguments: adapter.bound(name, instances)(*arguments)
print(json.dumps([sorted(adapter.tools), {call}]))
"""
    return json.loads(python("-c", program, cwd=cwd).splitlines()[-1])


# ── modules, classes, functions, files ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (None, ()),
        ("pkg.mod:Class", ("pkg.mod:Class",)),
        ("pkg.mod.Class", ("pkg.mod.Class",)),
        (ModuleAdapter, (f"{__name__}:ModuleAdapter",)),
        (ModuleAdapter.Nested, (f"{__name__}:ModuleAdapter.Nested",)),
        ([module_tool, math.sqrt], (f"{__name__}:module_tool", "math:sqrt")),
        ((cached,), (f"{__name__}:cached",)),
        (math, ("math",)),
        (json.decoder, ("json.decoder",)),
        (["pkg.mod", ModuleAdapter], ("pkg.mod", f"{__name__}:ModuleAdapter")),
    ],
)
def test_importable_things_are_named(adapter: Any, expected: tuple[str, ...]) -> None:
    """Modules, classes and functions that a worker can import become their names; text stays."""
    assert references(adapter) == expected


def test_files_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, as text or as a path, is named from the root, so that the worker's directory does not matter."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tools.py").touch()
    here = f"{tmp_path}/tools.py"
    assert references("tools.py") == (here,)
    assert references("./tools.py:MyAdapter.Inner") == (f"{here}:MyAdapter.Inner",)
    assert references("~/tools.py") == (here,)
    assert references(Path("tools.py")) == (here,)
    assert references(here) == (here,)


def test_missing_file_is_told_with_near_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is found out before any worker starts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").touch()
    assert refusal("tolls.py:A").message == f"adapter: there is no file {tmp_path}/tolls.py"
    assert refusal("tolls.py").hint == "did you mean tools.py?"
    assert (
        refusal(Path("nowhere/tools.py")).message
        == f"adapter: there is no file {tmp_path}/nowhere/tools.py, nor a folder {tmp_path}/nowhere"
    )
    assert refusal(tmp_path).message == f"adapter: {tmp_path} is a folder"


def test_module_that_no_import_finds_is_named_by_its_file(tmp_path: Path) -> None:
    """A module that was loaded from a file outside the import path is given as that file, a class of it too."""
    path = tmp_path / "offside.py"
    path.write_text("class A: pass\n")
    spec = importlib.util.spec_from_file_location("offside", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["offside"] = module
    try:
        spec.loader.exec_module(module)
        assert references(module) == (str(path),)
        assert references(module.A) == (f"{path}:A",)
    finally:
        del sys.modules["offside"]


def outer() -> Any:
    """An adapter class that only this call has."""

    class Inside(BaseAdapter):
        @tool
        def ping(self) -> None: ...

    return Inside


class Replaced:
    pass


original, Replaced = Replaced, type("Replaced", (), {})  # type: ignore[misc]


@pytest.mark.parametrize(
    ("adapter", "message", "hint"),
    [
        (outer(), "class Inside was made inside the function outer()", "top level"),
        (lambda: None, "a lambda has no name", "def"),
        (functools.partial(module_tool, 1), "got partial", "def"),
        (ModuleAdapter(), "got an object of class ModuleAdapter", "pass the class: ModuleAdapter"),
        (ModuleAdapter().ping, "ModuleAdapter.ping is a method of an object", "pass the class: ModuleAdapter"),
        (original, "workers would look for Replaced in", "decorated, replaced or deleted"),
        (5, "got int, allowed are a class, a module", ""),
        ({"a": 1}, "got dict, allowed are a class, a module", ""),
        ([], "got an empty list", "allowed are"),
        ([module_tool, 5], "got int", ""),
        ("", "'' is not the name of an adapter", "package.module:Class"),
        ("my adapter", "'my adapter' is not the name of an adapter", "package.module:Class"),
        (types.ModuleType("handmade"), "module handmade cannot be imported by workers", ""),
    ],
)
def test_what_no_worker_could_find_is_refused(adapter: Any, message: str, hint: str) -> None:
    """An adapter without a name to find it by is refused at once, with the reason and a way out."""
    error = refusal(adapter)
    assert error.message.startswith("adapter: ")
    assert message in error.message
    assert hint in error.hint


def test_pool_during_import_is_refused() -> None:
    """Starting a Pool while a worker imports the script is an error that shows the two lines to add."""
    ensure_not_importing()
    snakepit_bridge._set_importing_adapter(True)
    try:
        with pytest.raises(ConfigurationError) as caught:
            ensure_not_importing()
    finally:
        snakepit_bridge._set_importing_adapter(False)
    assert 'if __name__ == "__main__":\n    main()' in str(caught.value)


# ── scripts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

SCRIPT = """
import dataclasses, json
from snakepit._workers.adapter_reference import resolve
from snakepit_bridge import BaseAdapter, tool

@dataclasses.dataclass
class Plain(BaseAdapter):
    size: int = 3

class Adapter(Plain):
    @tool
    def ping(self):
        return [self.size, __name__]

@tool
def double(x):
    return 2 * x

if __name__ == "__main__":
    print(json.dumps([resolve(Adapter, None), resolve([double, Plain], None)]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script in a folder of its own."""
    path = tmp_path / "project" / "my script.py"
    path.parent.mkdir()
    path.write_text(SCRIPT)
    return path


@pytest.mark.slow
def test_script_is_named_by_its_file(script: Path, tmp_path: Path) -> None:
    """What a script defines is found in its file, whatever way the script was named and wherever it runs."""
    expected = [[f"{script}:Adapter"], [f"{script}:double", f"{script}:Plain"]]
    assert json.loads(python(script, cwd=tmp_path)) == expected
    assert json.loads(python(script.name, cwd=script.parent)) == expected
    found = [*expected[0], expected[1][0]]
    assert tools_in_worker(found, tmp_path, "[call('ping'), call('double', 4)]") == [
        ["double", "ping"],
        [[3, "snakepit_script_my_script"], 8],
    ]


def test_script_under_another_program_is_named_by_its_file(script: Path) -> None:
    """Run by a profiler, the main module is the profiler's; the script's file is found all the same."""
    script.write_text(SCRIPT.replace("[double, Plain]", "double"))
    printed = python("-m", "cProfile", script.name, cwd=script.parent)
    assert json.loads(printed.partition("\n")[0]) == [[f"{script}:Adapter"], [f"{script}:double"]]


@pytest.mark.slow
def test_module_run_with_m_is_named_as_a_module(tmp_path: Path) -> None:
    """`python -m pkg.mod` gives the module's name, so that relative imports in it work in workers."""
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "near.py").touch()
    (package / "mod.py").write_text("from . import near\n" + SCRIPT)
    (package / "__main__.py").write_text(SCRIPT)
    assert json.loads(python("-m", "pkg.mod", cwd=tmp_path)) == [["pkg.mod:Adapter"], ["pkg.mod:double", "pkg.mod:Plain"]]
    assert json.loads(python("-m", "pkg", cwd=tmp_path))[0] == ["pkg.__main__:Adapter"]
    assert tools_in_worker(["pkg.mod:Adapter", "pkg.mod:double"], tmp_path, "call('double', 4)") == [["double", "ping"], 8]


NAMELESS = """
from snakepit._workers.adapter_reference import resolve
from snakepit_bridge import BaseAdapter, tool
class Adapter(BaseAdapter):
    @tool
    def ping(self): pass
try:
    resolve(Adapter, None)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python 3.13 remembers the source of -c")
def test_program_without_a_file_is_refused(tmp_path: Path) -> None:
    """What was given to python -c, or by standard input, has no source to send; the error says to put it in a file."""
    for printed in (python("-c", NAMELESS, cwd=tmp_path), python("-", cwd=tmp_path, stdin=NAMELESS)):
        assert printed.startswith("ConfigurationError the source of Adapter cannot be found: it was made by python -c, standard input")
        assert "Pool('my_tools.py:Adapter')" in printed


# ── notebooks ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Notebook:
    """Runs cells as IPython does: in `__main__`, which has no file, each under a name that only linecache knows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.module = types.ModuleType("__main__")
        self._flags = 0
        self.filenames: list[str] = []

    def run(self, cell: str) -> None:
        source = textwrap.dedent(cell).lstrip("\n")
        filename = f"<ipython-input-{len(self.filenames) + 1}-0123456789ab>"
        self.filenames.append(filename)
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        code = compile(source, filename, "exec", flags=self._flags, dont_inherit=True)
        self._flags |= code.co_flags & 0x1000000  # A future statement holds for the cells after it.
        exec(code, vars(self.module))

    def resolve(self, *names: str) -> tuple[str, ...]:
        values = [getattr(self.module, name) for name in names]
        return resolve(values if len(values) > 1 else values[0], lambda: self.directory)

    def source(self, *names: str) -> str:
        return Path(self.resolve(*names)[0].rpartition(":")[0]).read_text()

    def refusal(self, name: str) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            self.resolve(name)
        return caught.value


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A notebook that has run one cell, with the SDK's imports."""
    found = Notebook(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", found.module)
    found.run("from snakepit_bridge import BaseAdapter, tool")
    yield found
    for filename in found.filenames:
        del linecache.cache[filename]


def imported(source: str) -> dict[str, Any]:
    """The globals of a module with this source, run where nothing of the notebook is."""
    namespace: dict[str, Any] = {"__name__": "carried"}
    exec(compile(source, "<carried>", "exec", dont_inherit=True), namespace)
    return namespace


def test_notebook_class_travels_with_what_it_uses(notebook: Notebook, tmp_path: Path) -> None:
    """A class from a cell works in a worker, with the imports, helpers, classes and constants of other cells."""
    notebook.run("import os.path, math\nimport json as js\nfrom pathlib import Path\nfrom collections import namedtuple")
    notebook.run("LIMITS = {'a': [1, (2,), {3}], 'b': float('inf'), 'c': b'x'}\nHOME = Path('/data')\nPoint = namedtuple('Point', 'x y')")
    notebook.run("unused = object()")
    notebook.run(
        """
        class Config:
            scale = LIMITS["a"][0] + 1

        def even(n):
            return True if n == 0 else odd(n - 1)

        def odd(n):
            return False if n == 0 else even(n - 1)

        square = lambda value: value * value
        """
    )
    notebook.run(
        """
        @tool
        def area(r: float = Config.scale):
            return math.pi * square(r)

        class Adapter(BaseAdapter):
            @tool
            def facts(self, n: int):
                return [even(n), Config.scale, os.path.basename(HOME), js.dumps(Point(1, 2)), LIMITS["b"] > n]
        """
    )
    found = notebook.resolve("Adapter", "area")
    assert [reference.rpartition(":")[2] for reference in found] == ["Adapter", "area"]
    tools, result = tools_in_worker(found, tmp_path, "[call('facts', 4), call('area', 1)]")
    assert tools == ["area", "facts"]
    assert result == [[True, 2, "data", "[1, 2]", True], math.pi]
    assert "unused" not in notebook.source("Adapter", "area")


def test_notebook_source_is_private_and_written_once(notebook: Notebook) -> None:
    """The file can be read by its owner alone, its name follows from its text, and nothing else is left beside it."""
    notebook.run("@tool\ndef f(): return 1")
    (first,), (second,) = notebook.resolve("f"), notebook.resolve("f")
    assert first == second
    path = Path(first.rpartition(":")[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in notebook.directory.iterdir()] == [path.name]
    notebook.run("@tool\ndef f(): return 2")
    assert notebook.resolve("f") != (first,)


def test_redefined_notebook_class_travels_as_it_is_now(notebook: Notebook) -> None:
    """The last definition of a name counts, also for a class without a method of its own."""
    for value in (1, 2):
        notebook.run(f"class Plain:\n    value = {value}\nclass Adapter(Plain):\n    @tool\n    def f(self): return self.value")
    assert imported(notebook.source("Adapter"))["Adapter"]().f() == 2


@pytest.mark.parametrize(
    ("cells", "check"),
    [
        ("import concurrent.futures\ndef f(): return concurrent.futures.Future", lambda f: f().__name__ == "Future"),
        ("import xml.dom.minidom as md\ndef f(): return md.Document", lambda f: f().__name__ == "Document"),
        ("from math import pi as tau\ndef f(): return tau", lambda f: f() == math.pi),
        ("from typing import Optional\ndef f(x: Optional[int] = None): return x", lambda f: f() is None),
        ("from math import *\ndef f(): return sqrt(pi * 0)", lambda f: f() == 0),
        ("import logging\nlogger = logging.getLogger(__name__)\ndef f(): return logger.name", lambda f: f() == "carried"),
        ("import re\nWORD = re.compile(r'\\w+', re.I)\ndef f(): return WORD.findall('a b')", lambda f: f() == ["a", "b"]),
        ("import datetime as d\nT0 = d.datetime(2020, 1, 1, tzinfo=d.timezone.utc)\ndef f(): return T0.year", lambda f: f() == 2020),
        ("from decimal import Decimal\nX = Decimal('1.5')\ndef f(): return str(X)", lambda f: f() == "1.5"),
        ("import threading\nlock = threading.Lock()\ndef f():\n    with lock: return 1", lambda f: f() == 1),
        ("import enum\nC = enum.Enum('C', 'A B')\ndef f(c=C.A): return c.name", lambda f: f() == "A"),
        ("import enum\nclass C(enum.Enum):\n    A = 1\ndef f(c: C = C.A): return c.name", lambda f: f() == "A"),
        ("import dataclasses\n@dataclasses.dataclass\nclass C:\n    a: int = 1\ndef f(): return C().a", lambda f: f() == 1),
        ("import functools\n@functools.lru_cache\ndef g(): return 3\ndef f(): return g()", lambda f: f() == 3),
        (
            "def deco(g):\n    def wrapper():\n        return g() + 1\n    return wrapper\n@deco\ndef g(): return 3\ndef f(): return g()",
            lambda f: f() == 4,
        ),
        ("def g(): return 3\nh = g\ndef f(): return h()", lambda f: f() == 3),
        ("class A:\n    class B:\n        v = 3\nB = A.B\ndef f(): return B.v", lambda f: f() == 3),
        ("N = [i for i in range(3)]\ndef f(): return sum(n for n in N)", lambda f: f() == 3),
        ("if True:\n    def g(): return 3\nelse:\n    def g(): return 4\ndef f(): return g()", lambda f: f() == 3),
        (
            "def g(): return 3\ndef deco(h): return lambda: g() + h()\n@deco\ndef base(): return 1\nX = 1\ndef f(x=X): return base()",
            lambda f: f() == 4,
        ),
        ("def check(h): assert limit() == 3; return h\ndef limit(): return 3\n@check\ndef f(): return 1", lambda f: f() == 1),
        ("async def f():\n    return 1", lambda f: f.__code__.co_flags & 0x80),
        ("count = 0\ndef f():\n    global count\n    count += 1\n    return count", lambda f: (f(), f()) == (1, 2)),
        ("def f(x=lambda: later()): return x()\ndef later(): return 3", lambda f: f() == 3),
        ("def f(): return display_name_that_is_nowhere", callable),
        ("x = 'shadow'\nmodel = object()\ndef f(model=1): return model", lambda f: f() == 1),
        ("model = object()\ndef f():\n    model = 2\n    return model", lambda f: f() == 2),
    ],
)
def test_what_a_notebook_function_may_use(notebook: Notebook, cells: str, check: Callable[[Any], bool]) -> None:
    """Imports of every form, plain constants, helpers, decorated helpers, aliases and classes come along."""
    notebook.run(cells)
    assert check(imported(notebook.source("f"))["f"])


def test_late_annotations_come_along(notebook: Notebook) -> None:
    """Under `from __future__ import annotations` the names in annotations come along where they can, and no others."""
    notebook.run(
        "from __future__ import annotations\nfrom typing import Optional\nmodel = object()\nclass Bound(type(model)): other = model"
    )
    notebook.run("@tool\ndef f(x: Optional[int], y: 'list[Bound]', z: Missing = None) -> model: return x")
    source = notebook.source("f")
    assert source.startswith("from __future__ import annotations\n")
    assert "import Optional" in source
    assert "Bound" not in source.replace("list[Bound]", "")
    assert imported(source)["f"](3, [], None) == 3


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            "model = object()\ndef f(): return model",
            "f cannot travel from this notebook to the workers: it uses 'model', an object of type object",
        ),
        (
            "model = object()\ndef g(): return model\ndef h(): return g()\ndef f(): return h()",
            "it uses 'model' (by way of h, g), an object of type",
        ),
        (
            "import types\nmod = types.ModuleType('handmade')\ndef f(): return mod",
            "it uses 'mod', a module that was not imported from a file",
        ),
        ("BIG = 'x' * 1_000_000\ndef f(): return BIG", "it uses 'BIG', a str of 1000000 items, which is too much"),
        (
            "def outer():\n    def inner(): pass\n    return inner\ng = [outer()]\nh = g[0]\ndef f(): return g",
            "it uses 'g', an object of type list",
        ),
        ("class get: pass\nget_ipython = get().__init__\ndef f(): return get_ipython()", "a line of it begins with % or !"),
        ("import io\nstream = io.StringIO()\ndef f(): return stream", "it uses 'stream', an object of type _io.StringIO"),
    ],
)
def test_what_cannot_travel_is_named(notebook: Notebook, cells: str, message: str) -> None:
    """An object in a global is named with its type and the way to it, and the error says where to load it instead."""
    notebook.run(cells)
    error = notebook.refusal("f")
    assert message in error.message
    assert "initialize()" in error.hint
    assert not list(notebook.directory.iterdir())


def test_notebook_class_without_source_is_refused(notebook: Notebook) -> None:
    """A class made by exec has no statement to send."""
    notebook.run("exec('class Adapter(BaseAdapter):\\n    @tool\\n    def f(self): pass')")
    assert notebook.refusal("Adapter").message.startswith("the source of Adapter cannot be found")


def test_notebook_as_a_module_is_refused(notebook: Notebook) -> None:
    """The notebook itself is no module that could be imported."""
    with pytest.raises(ConfigurationError, match="a notebook cannot be passed as a module") as caught:
        references(notebook.module)
    assert "list of functions" in caught.value.hint


def ipython() -> str:
    """A Python that has IPython: this one, or the one its environment was made from."""
    for path in dict.fromkeys([sys.executable, getattr(sys, "_base_executable", sys.executable)]):
        probe = "import sys, IPython; assert sys.version_info >= (3, 11)"
        if subprocess.run([path, "-c", probe], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip("there is no IPython here")


SESSION = """
import sys
sys.path[:0] = {paths!r}
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in [
    "import json, pathlib\\nfrom snakepit_bridge import tool\\nfrom snakepit._workers.adapter_reference import resolve",
    "%time LIMIT = 3\\ndef helper(v):\\n    return v + LIMIT",
    "class Adapter:\\n    @tool\\n    def f(self, a: int = 1):\\n        return helper(a)",
    "class Adapter:\\n    @tool\\n    def f(self, a: int = 2):\\n        return helper(a)",
    "print(json.dumps(resolve(Adapter, lambda: pathlib.Path({folder!r}))))",
]:
    shell.run_cell(cell).raise_error()
"""


@pytest.mark.slow
def test_real_ipython_session(tmp_path: Path) -> None:
    """A class that was typed into IPython, twice, works in a worker as it was typed last."""
    env = {**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    paths = [str(SOURCES), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    program = SESSION.format(paths=paths, folder=str(tmp_path))
    done = subprocess.run([ipython(), "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert tools_in_worker(found, tmp_path, "call('f')") == [["f"], 5]
