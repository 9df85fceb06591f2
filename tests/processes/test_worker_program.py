"""`python -m snakepit_bridge`: its help, `--check`, and what it does when it is started by hand."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest

import snakepit
import snakepit_bridge
from worker_faces import ADAPTERS, nothing_left

pytestmark = pytest.mark.slow

SOURCES = pathlib.Path(snakepit.__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module."""
    with nothing_left(tmp_path_factory):
        yield


def started(*args: str, cwd: pathlib.Path = ADAPTERS, **variables: str) -> subprocess.Popen[str]:
    """A worker program."""
    env = {**os.environ, "PYTHONPATH": str(SOURCES), **variables}
    command = [sys.executable, "-W", "error", "-m", "snakepit_bridge", *args]
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ran(*args: str, cwd: pathlib.Path = ADAPTERS) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a worker program that ends by itself."""
    process = started(*args, cwd=cwd)
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err


def test_help_is_useful() -> None:
    """`--help` shows every option, every form of an adapter, examples, and how hosts start workers."""
    code, out, err = ran("--help")
    assert (code, err) == (0, "")
    for word in (
        "--adapter REF",
        "--check",
        "--listen ADDRESS",
        "pkg.mod:Class",
        "pkg.mod.Class",
        "tools.py:Name",
        "examples:",
        "snakepit.Pool(",
    ):
        assert word in out


def test_version() -> None:
    """`--version` names the distribution."""
    assert ran("--version") == (0, f"snakepit-bridge {snakepit_bridge.__version__}\n", "")


def test_check_lists_the_tools() -> None:
    """`--check` imports the adapter and lists its tools with their signatures, then the adapter's settings."""
    code, out, err = ran("--check", "--adapter", "kinds:Kinds")
    assert (code, err) == (0, "")
    assert out.startswith("kinds:Kinds: ")
    assert "\n  function()  Where a function runs\n" in out
    assert "\n  generator() -> stream\n" in out
    assert "\n  function_giving_a_generator(n: int)\n" in out
    assert out.endswith("lifecycle: worker; concurrency: 4\n")


def test_check_of_the_showcase_and_of_several() -> None:
    """Without an adapter the showcase is checked; several are listed as one."""
    code, out, _ = ran("--check")
    assert (code, "ping_stream(count: int = 5, message: str = 'ping') -> stream" in out) == (0, True)
    code, out, _ = ran("--check", "--adapter", "functions.py", "--adapter", "printing.Printing")
    assert (code, "double(x: int)" in out, "say(text: str, err: bool = False, end: str = '\\n')" in out) == (0, True, True)


def test_check_makes_no_object(tmp_path: pathlib.Path) -> None:
    """`--check` neither makes nor initializes the adapter: it works where the model is not."""
    code, out, err = ran("--check", "--adapter", "lifecycles:BadInit")
    assert (code, err) == (0, "")
    assert "count()" in out


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("lifecycle:Life", "no module named 'lifecycle' (adapter 'lifecycle:Life')\n  hint: did you mean 'lifecycles'"),
        ("lifecycles:Live", "there is no 'Live' in "),
        ("nothing.py", "there is no file "),
        ("worker_faces", "no module named 'worker_faces'"),
        ("json", "'json' has no tools\n  hint: put @tool (from snakepit_bridge.base_adapter import tool) above"),
        ("json.decoder:JSONDecoder", "class JSONDecoder has no tools"),
        ("no adapter!", "'no adapter!' is not the name of an adapter\n  hint: write package.module:Class"),
    ],
)
def test_check_of_what_is_no_adapter(reference: str, said: str) -> None:
    """Exit code 1; what is wrong and how to mend it on stderr, nothing on stdout."""
    code, out, err = ran("--check", "--adapter", reference)
    assert (code, out) == (1, "")
    assert said in err


def test_check_shows_the_adapters_own_traceback(tmp_path: pathlib.Path) -> None:
    """An adapter that does not import: its traceback without frames of this library, then one sentence."""
    path = tmp_path / "broken.py"
    path.write_text("def load():\n    raise OSError('no licence')\n\nload()\n", encoding="utf-8")
    code, out, err = ran("--check", "--adapter", "broken", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert "raise OSError('no licence')" in err
    assert err.rstrip().endswith("importing broken failed: OSError: no licence")
    assert "snakepit_bridge" not in err


def test_check_of_a_script_without_a_guard(tmp_path: pathlib.Path) -> None:
    """`--check` of a script that starts a Pool shows the two lines to add, and starts nothing."""
    path = tmp_path / "app.py"
    path.write_text(
        "import snakepit\nfrom snakepit_bridge import tool\n@tool\ndef one(): return 1\n\nsnakepit.Pool([one]).start()\n", encoding="utf-8"
    )
    code, out, err = ran("--check", "--adapter", "app.py", cwd=tmp_path)
    assert (code, out) == (1, "")
    assert 'if __name__ == "__main__":\n    main()' in err


def test_usage() -> None:
    """An unknown option is a usage error: exit code 2."""
    code, out, err = ran("--adaptor", "json:x", "--chek")
    assert (code, out) == (2, "")
    assert "usage: python -m snakepit_bridge" in err


def test_by_hand() -> None:
    """Started by hand it prints `ready ADDRESS`, turns strangers away, and Ctrl-C ends it."""
    process = started("--adapter", "functions", SNAKEPIT_CHANNEL_SECRET="a secret")
    assert process.stdout is not None
    word, _, address = process.stdout.readline().strip().partition(" ")
    assert (word, address.rpartition(":")[0]) == ("ready", "127.0.0.1")
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_stream("/snakepit.channel.Channel/Attach")(iter(()), metadata=(("x-snakepit-secret", "guessed"),), timeout=20)
        with pytest.raises(grpc.RpcError) as caught:
            next(call)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode != 0


def test_an_address_that_is_taken() -> None:
    """A port that another worker has: exit code 1 and a sentence."""
    first = started("--adapter", "functions")
    assert first.stdout is not None
    address = first.stdout.readline().split()[1]
    code, out, err = ran("--adapter", "functions", "--listen", address)
    first.kill()
    first.communicate()
    assert (code, out) == (1, "")
    assert err.startswith(f"every port of {address.rpartition(':')[2]} is taken\n  hint: ")


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:abc", "127.0.0.1:70000", "127.0.0.1:20-10", "unix:/no/such/folder/x.sock"])
def test_an_address_that_cannot_be(address: str) -> None:
    """A sentence that shows what was given, not a traceback."""
    code, out, err = ran("--adapter", "functions", "--listen", address)
    assert code in (1, 2)
    assert out == ""
    assert address.rpartition(":")[2] in err
    assert "Traceback" not in err
