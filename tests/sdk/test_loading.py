"""Adapter references: what each form finds, which tools it gives, and what is said when it does not work."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import snakepit_bridge
from pythons import run
from snakepit_bridge._runtime.loading import AdapterLoadError, LoadedAdapter, load

Write = Callable[[str, str], Path]

HEAD = "from snakepit_bridge.base_adapter import BaseAdapter, tool\n"

ADAPTERS = """
class Base(BaseAdapter):
    @tool
    def add(self, a: int, b: int = 2):
        return a + b

    @tool(name="renamed")
    def original(self):
        return "base"

    @tool
    def withdrawn(self):
        return "base"

class Child(Base):
    withdrawn = None

    def add(self, a: float, b: float = 3):
        return a * b

    @staticmethod
    @tool
    def static(x):
        return x

    @classmethod
    @tool
    async def of_class(cls, x):
        return cls.__name__, x

    @tool
    def items(self):
        yield 1

    @tool
    async def later(self):
        yield 1

class Outer:
    class Inner:
        @tool
        def inner(self):
            return "inner"

def plain(x):
    return x
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files into the current directory; what is imported from there is forgotten at the end."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(entry for entry in sys.path if entry)])

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + textwrap.dedent(text))
        return path

    yield write_file  # type: ignore[misc]
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)) or name.startswith("snakepit_script_"):
            del sys.modules[name]


@pytest.fixture
def package(write: Write) -> Write:
    """A package `pkg` with a module `adapters`."""
    write("pkg/__init__.py", "")
    write("pkg/adapters.py", ADAPTERS)
    return write


def calling(adapter: LoadedAdapter, name: str, *args: Any) -> Any:
    """What a tool returns, called on fresh instances."""
    return adapter.bound(name, adapter.instantiate())(*args)


def failure(*references: str) -> AdapterLoadError:
    """The error that loading these references ends with."""
    with pytest.raises(AdapterLoadError) as caught:
        load(references)
    return caught.value


CHILD_TOOLS = ["add", "renamed", "static", "of_class", "items", "later"]


@pytest.mark.parametrize(
    ("reference", "tools"),
    [
        ("pkg.adapters:Child", CHILD_TOOLS),
        ("pkg.adapters.Child", CHILD_TOOLS),
        ("pkg.adapters", CHILD_TOOLS),
        ("pkg.adapters:Base", ["add", "renamed", "withdrawn"]),
        ("pkg.adapters:plain", ["plain"]),
        ("pkg.adapters.plain", ["plain"]),
        ("pkg.adapters:Outer.Inner", ["inner"]),
        ("pkg.adapters.Outer.Inner", ["inner"]),
        ("pkg.adapters:Child.static", ["static"]),
        ("pkg/adapters.py", CHILD_TOOLS),
        ("pkg/adapters.py:Child", CHILD_TOOLS),
        ("pkg/adapters.py:Outer.Inner", ["inner"]),
        ("./pkg/adapters.py:plain", ["plain"]),
        ("math:sqrt", ["sqrt"]),
    ],
)
def test_every_form_of_reference_finds_its_tools(package: Write, reference: str, tools: list[str]) -> None:
    """Classes, functions and modules are found by module name or file, nested ones too."""
    package("pkg/other.py", "")
    loaded = load([reference])
    assert sorted(loaded.tools) == sorted(tools)
    assert all(tool.name == name == tool.spec["name"] for name, tool in loaded.tools.items())


def test_absolute_path_works_from_anywhere(package: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found by its absolute path, whatever the current directory is."""
    path = package("my adapters.py", ADAPTERS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert calling(load([f"{path}:Child"]), "add", 2) == 6


def test_no_reference_is_the_showcase() -> None:
    """Without any reference the worker offers the showcase."""
    assert {"ping", "echo", "stream_progress"} <= set(load([]).tools)


def test_current_directory_is_importable(package: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A module in the current directory is found even when nothing has put that directory on the path."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    assert "plain" in load(["pkg.adapters:plain"]).tools


def test_class_tools_run_on_an_instance(package: Write) -> None:
    """An override runs without being decorated again; static and class methods, renamed and inherited tools work."""
    loaded = load(["pkg.adapters:Child"])
    assert calling(loaded, "add", 2) == 6
    assert calling(loaded, "renamed") == "base"
    assert calling(loaded, "static", 5) == 5
    assert [parameter["schema"] for parameter in loaded.tools["add"].spec["parameters"]] == [{"type": "number"}] * 2
    assert {name: tool.call_kind for name, tool in loaded.tools.items()} == {
        "add": "function",
        "renamed": "function",
        "static": "function",
        "of_class": "coroutine",
        "items": "generator",
        "later": "async_generator",
    }
    assert {tool.owner for tool in loaded.tools.values()} == {0}


def test_instances_have_their_own_state(write: Write) -> None:
    """Each `instantiate` makes new instances, one of each class, and binds to those."""
    write(
        "counting.py",
        "class Counter:\n    def __init__(self): self.n = 0\n    @tool\n    def count(self):\n        self.n += 1\n        return self.n",
    )
    loaded = load(["counting:Counter"])
    first, second = loaded.instantiate(), loaded.instantiate()
    assert [loaded.bound("count", first)(), loaded.bound("count", first)(), loaded.bound("count", second)()] == [1, 2, 1]


def test_references_merge(package: Write) -> None:
    """Several references give the tools of all; the same reference twice counts once."""
    loaded = load(["pkg.adapters:Base", "pkg.adapters:plain", "pkg.adapters:Outer.Inner", "pkg.adapters:plain"])
    assert {name: tool.owner for name, tool in loaded.tools.items()} == {
        "add": 0,
        "renamed": 0,
        "withdrawn": 0,
        "plain": None,
        "inner": 1,
    }
    assert len(loaded.instantiate()) == 2


def test_module_offers_its_public_tool_functions(write: Write) -> None:
    """Tool functions count whether defined or imported, under the name they have there; private ones do not."""
    write("helpers.py", "@tool\ndef shared(): return 1\n@tool\ndef hidden(): return 2")
    write(
        "tools_module.py",
        """
        from helpers import shared as common, hidden as _hidden
        from unittest.mock import MagicMock
        mock = MagicMock()

        class Adapter(BaseAdapter):
            @tool
            def in_class(self): pass

        @tool(name="public")
        def _named(): return 3

        @tool
        def _private(): return 4

        def helper(): return 5
        """,
    )
    assert sorted(load(["tools_module"]).tools) == ["common", "public"]


def test_module_with_several_classes_asks_which(write: Write) -> None:
    """Two adapter classes of one module are named; one that only serves as a base is not in the way."""
    write("two.py", "class A(BaseAdapter):\n    @tool\n    def a(self): pass\nclass B:\n    @tool\n    def b(self): pass")
    error = failure("two")
    assert error.message == "'two' has several adapter classes: A, B"
    assert "two:A" in error.hint
    write("one.py", "from two import A\nclass C(A):\n    @tool\n    def c(self): pass")
    assert sorted(load(["one"]).tools) == ["a", "c"]


def test_any_class_with_tools_is_an_adapter(write: Write) -> None:
    """A class need not derive from BaseAdapter; lifecycle and concurrency have their defaults then."""
    write("free.py", "class Free:\n    @tool\n    def f(self): return 1")
    loaded = load(["free:Free"])
    assert (loaded.lifecycle, loaded.concurrency, loaded.has_async) == ("worker", 1, False)
    assert calling(loaded, "f") == 1


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ("lifecycle = 'request'\n    concurrency = 4", ("request", 4, False)),
        ("async def initialize(self): pass", ("worker", 1, True)),
        ("async def cleanup(self): pass", ("worker", 1, True)),
        ("@tool\n    async def g(self): pass", ("worker", 1, True)),
        ("@tool\n    async def g(self): yield 1", ("worker", 1, True)),
    ],
)
def test_class_says_how_it_lives(write: Write, body: str, facts: tuple[str, int, bool]) -> None:
    """Lifecycle and concurrency come from the class; anything async asks for an event loop."""
    write("lives.py", f"class A(BaseAdapter):\n    @tool\n    def f(self): pass\n    {body}")
    loaded = load(["lives:A"])
    assert (loaded.lifecycle, loaded.concurrency, loaded.has_async) == facts


SCRIPT = """
import dataclasses, pickle
from sibling import VALUE

@dataclasses.dataclass
class Point:
    x: int = 0

@tool
def point(x):
    assert pickle.loads(pickle.dumps(Point(x))) == Point(x)
    return [Point(x).x, VALUE, __name__]

if __name__ == "__main__":
    raise SystemExit("the main part ran")
"""


def test_file_is_loaded_as_a_module_of_its_own(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's main part does not run, its siblings import, dataclasses and pickle work, and no cache is left beside it."""
    path = write("scripts/my-script.py", SCRIPT)
    write("scripts/sibling.py", "VALUE = 7")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    loaded = load(["scripts/my-script.py"])
    assert calling(loaded, "point", 3) == [3, 7, "snakepit_script_my_script"]
    assert sys.path[0] == str(path.parent)
    cached = [entry.name for entry in path.parent.glob("__pycache__/my-script*")]
    assert cached == []


def test_edited_file_is_read_anew(write: Write) -> None:
    """An edit that changes neither the size nor the time stamp of a file is seen by the next worker."""
    path = write("edited.py", "@tool\ndef f(): return 1")
    stamp = path.stat()
    assert calling(load(["edited.py"]), "f") == 1
    del sys.modules["snakepit_script_edited"]
    write("edited.py", "@tool\ndef f(): return 2")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert calling(load(["edited.py"]), "f") == 2


def test_files_of_one_name_do_not_mix(write: Write) -> None:
    """Two files with the same name in different folders are two modules."""
    write("one/tools.py", "@tool\ndef f(): return 1")
    write("two/tools.py", "@tool\ndef g(): return 2")
    loaded = load(["one/tools.py", "two/tools.py:g"])
    assert (calling(loaded, "f"), calling(loaded, "g")) == (1, 2)


def test_import_is_marked(write: Write) -> None:
    """While user code is imported the worker says so, and no longer when that is over, also after a failure."""
    write("asking.py", "import snakepit_bridge\nSEEN = snakepit_bridge.is_importing_adapter()\n@tool\ndef f(): return SEEN")
    write("failing.py", "1 / 0")
    assert calling(load(["asking"]), "f") is True
    assert snakepit_bridge.is_importing_adapter() is False
    failure("failing")
    assert snakepit_bridge.is_importing_adapter() is False


@pytest.mark.parametrize(
    ("references", "message", "hint"),
    [
        (["pkg.adapters:Chidl"], "there is no 'Chidl' in {here}/pkg/adapters.py (adapter 'pkg.adapters:Chidl')", "did you mean 'Child'?"),
        (["pkg.adaptors.Child"], "there is no 'adaptors' in {here}/pkg/__init__.py", "did you mean 'adapters'"),
        (["pkg.adaptors:Child"], "no module named 'adaptors' in pkg", "did you mean 'adapters'?"),
        (["pgk.adapters:Child"], "no module named 'pgk'", "did you mean 'pkg'? looked in: "),
        (["pgk"], "no module named 'pgk'", "did you mean 'pkg'? looked in: "),
        (["adaptors.py"], "there is no file {here}/adaptors.py", "did you mean 'adapters.py'?"),
        (["nowhere/x.py"], "there is no folder {here}/nowhere", ""),
        (["pkg"], "'pkg' has no tools", "@tool"),
        (["pkg.bare:Bare"], "'pkg.bare:Bare': class Bare has no tools", "@tool"),
        (["pkg.bare:VALUE"], "adapter 'pkg.bare:VALUE' is an object of type int", "name a class"),
        (["pkg.bare:OBJECT"], "adapter 'pkg.bare:OBJECT' is an object of type Needy", "name a class"),
        (["pkg.adapters:Child.add"], "'pkg.adapters:Child.add' is a method and needs an instance", "name its class, Child, instead"),
        (["not a name"], "'not a name' is not the name of an adapter", "package.module:Class"),
        (["pkg.adapters:"], "'pkg.adapters:' is not the name of an adapter", "package.module:Class"),
        ([""], "'' is not the name of an adapter", "package.module:Class"),
        (["pkg.bare:Needy"], "'pkg.bare:Needy': Needy() needs arguments (path), and a worker has none to give", "initialize()"),
        (["pkg.bare:Abstract"], "'pkg.bare:Abstract': class Abstract is abstract: it lacks todo", ""),
        (
            ["pkg.bare:BadLife"],
            "'pkg.bare:BadLife': lifecycle is 'requests', allowed are \"worker\" and \"request\"",
            "did you mean 'request'?",
        ),
        (["pkg.bare:BadNumber"], "'pkg.bare:BadNumber': concurrency is 0, allowed is a whole number of at least 1", ""),
        (["pkg.bare:Twice"], "'pkg.bare:Twice' has two tools named 'same': a and b", "another name"),
        (
            ["pkg.adapters:Base", "pkg.adapters:Child"],
            "two adapters have a tool named 'add': 'pkg.adapters:Base' and 'pkg.adapters:Child'",
            "name=",
        ),
        (["pkg.adapters:Base", "pkg.bare:Fresh"], "adapters of one worker have one lifecycle, not worker of Base and request of Fresh", ""),
        (["pkg.bare:lazy"], "looking up 'lazy' in adapter 'pkg.bare:lazy' failed: ValueError: too lazy", ""),
    ],
)
def test_what_is_wrong_is_named(package: Write, tmp_path: Path, references: list[str], message: str, hint: str) -> None:
    """A reference that leads nowhere, or to no usable adapter, says what was looked for and what is near."""
    package("adapters.py", "")
    package(
        "pkg/bare.py",
        """
        import abc
        VALUE = 1
        def __getattr__(name):
            raise ValueError("too lazy") if name == "lazy" else AttributeError(name)
        class Bare:
            def method(self): pass
        class Needy(BaseAdapter):
            def __init__(self, path="", *rest): pass
            @tool
            def f(self): pass
        OBJECT = Needy()
        class Needy(Needy):
            def __init__(self, path, mode="r", **rest): pass
        class Abstract(abc.ABC):
            @tool
            def f(self): pass
            @abc.abstractmethod
            def todo(self): pass
        class BadLife(BaseAdapter):
            lifecycle = "requests"
            @tool
            def f(self): pass
        class BadNumber(BaseAdapter):
            concurrency = 0
            @tool
            def f(self): pass
        class Twice:
            @tool(name="same")
            def a(self): pass
            @tool(name="same")
            def b(self): pass
        class Fresh:
            lifecycle = "request"
            @tool
            def f(self): pass
        """,
    )
    error = failure(*references)
    assert error.message.startswith(message.format(here=tmp_path))
    assert hint in error.hint
    assert bool(error.hint) is bool(hint)


@pytest.mark.parametrize(
    "reference", ["broken", "broken:Adapter", "broken.Adapter", "broken.py", "broken.py:Adapter", "outer", "outer.Adapter"]
)
@pytest.mark.parametrize(
    ("body", "kind", "last"),
    [
        ("import not_there_at_all", "ModuleNotFoundError", "No module named 'not_there_at_all'"),
        ("def fail():\n    raise ValueError('first\\nsecond')\nfail()", "ValueError", "second"),
        ("raise SystemExit(3)", "SystemExit", "SystemExit: 3"),
        ("class Odd(BaseException):\n    pass\nraise Odd", "Odd", "Odd"),
    ],
)
def test_import_that_raises_shows_the_users_traceback(write: Write, reference: str, body: str, kind: str, last: str) -> None:
    """A module that raises is told from one that is not there, with its own traceback and none of our frames."""
    write("broken.py", body)
    write("outer.py", "import broken")
    error = failure(reference)
    assert f" failed: {kind}" in error.message
    assert error.message.startswith("importing ")
    lines = error.traceback.rstrip().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].endswith(last)
    files = [line.split('"')[1] for line in lines if line.startswith('  File "')]
    assert {Path(file).name for file in files} <= {"broken.py", "outer.py"}
    assert files
    assert error.traceback in str(error)


def test_syntax_error_shows_the_line(write: Write) -> None:
    """A module with a syntax error shows the file and the line."""
    write("wrong.py", "def f(:")
    error = failure("wrong:f")
    assert "importing wrong failed: SyntaxError" in error.message
    assert "wrong.py" in error.traceback
    assert "def f(:" in error.traceback


def test_sys_exit_points_to_the_main_guard(write: Write) -> None:
    """A script that exits while it is imported learns about the main guard."""
    write("exits.py", "import sys\nsys.exit(1)")
    assert 'if __name__ == "__main__":' in failure("exits.py").hint


def test_hint_of_the_users_error_is_kept(write: Write) -> None:
    """An error that carries a hint, as the host's own do, keeps it."""
    write("hinting.py", "class E(Exception):\n    hint = 'add two lines'\nraise E('no guard')")
    error = failure("hinting")
    assert (error.message, error.hint) == ("importing hinting failed: E: no guard", "add two lines")


def test_relative_import_in_a_file_points_to_the_module_name(package: Write) -> None:
    """A file of a package that imports relatively is better named as a module, and the hint says how."""
    package("pkg/relative.py", "from . import adapters")
    assert "pkg.relative" in failure("pkg/relative.py").hint
    assert sorted(load(["pkg.adapters:plain"]).tools) == ["plain"]


def test_ctrl_c_during_import_goes_through(write: Write) -> None:
    """A KeyboardInterrupt is the user's, not the adapter's."""
    write("interrupted.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(["interrupted"])
    assert snakepit_bridge.is_importing_adapter() is False


def test_failed_file_can_be_tried_again(write: Write) -> None:
    """A file whose import failed leaves no half-made module behind."""
    write("again.py", "1 / 0")
    failure("again.py")
    write("again.py", "@tool\ndef f(): return 1")
    assert calling(load(["again.py"]), "f") == 1


EVERYWHERE = """
import json
from snakepit_bridge._runtime.loading import AdapterLoadError, load
adapter = load(["pkg.adapters:Child", "script.py:point", "pkg.adapters.plain"])
instances = adapter.instantiate()
print(json.dumps([
    sorted(adapter.tools),
    adapter.bound("add", instances)(2),
    adapter.bound("point", instances)(3),
    adapter.tools["later"].call_kind,
    adapter.has_async,
]))
for reference in ("pkg.adapters:Chidl", "pkg.nowhere", "script.py:nowhere", "failing"):
    try:
        load([reference])
    except AdapterLoadError as error:
        print(error.message.partition(" (")[0], "|", error.traceback.rstrip().rpartition(chr(10))[2])
"""


def test_loading_on_every_interpreter(package: Write, python: str, tmp_path: Path) -> None:
    """The main forms of reference, and the main errors, are the same on Python 3.8."""
    import json

    package("script.py", SCRIPT)
    package("sibling.py", "VALUE = 7")
    package("failing.py", "{}['x']")
    facts, *errors = run(python, EVERYWHERE, tmp_path).splitlines()
    assert json.loads(facts) == [sorted([*CHILD_TOOLS, "point", "plain"]), 6, [3, 7, "snakepit_script_script"], "async_generator", True]
    assert errors == [
        f"there is no 'Chidl' in {tmp_path}/pkg/adapters.py | ",
        f"there is no 'nowhere' in {tmp_path}/pkg/__init__.py | ",
        f"there is no 'nowhere' in {tmp_path}/script.py | ",
        "importing failing failed: KeyError: 'x' | KeyError: 'x'",
    ]
