"""The worker's command line is read the same way with and without argparse."""

from __future__ import annotations

import pytest

from snakepit_bridge._runtime import arguments
from snakepit_bridge._runtime.arguments import options_of

AS_HOSTS_WRITE = (
    [],
    ["--adapter", "tools.py"],
    ["--adapter", "a:B", "--adapter", "c.d", "--worker-id", "worker-12", "--run-directory", "/tmp/snakepit-x", "--lifeline-fd", "7"],
    ["--stdio", "--leave-after-silence", "2.5", "--threads", "4"],
    ["--listen", "unix:/run/x", "--stacks-fd", "9", "--channel-fd", "11", "--template-fd", "13", "--preload-grpc", "--check"],
    ["--adapter", "", "--worker-id", "two words"],
)

FOR_ARGPARSE = (
    ["--adapter=tools.py"],
    ["--adap", "tools.py"],
    ["--threads", "-1"],
    ["--leave-after-silence", "-0.5"],
)

WRONG = (
    (["--adapter"], "argument --adapter: expected one argument"),
    (["--adapter", "--stdio"], "argument --adapter: expected one argument"),
    (["--threads", "many"], "argument --threads: invalid int value: 'many'"),
    (["tools.py"], "unrecognized arguments: tools.py"),
    (["--what", "tools.py"], "unrecognized arguments: --what tools.py"),
    (["--stdio", "--adapter", "/my", "tools.py"], "unrecognized arguments: tools.py\n  hint: does --adapter have a space in it"),
)


@pytest.mark.parametrize("argv", AS_HOSTS_WRITE, ids=" ".join)
def test_both_read_the_same(argv: list[str]) -> None:
    """What a host writes is read alone, and argparse would have read it so."""
    options = arguments._as_hosts_write_them(argv)
    assert options is not None
    assert vars(options) == vars(arguments._parsed(argv)) == vars(options_of(argv))


@pytest.mark.parametrize("argv", FOR_ARGPARSE, ids=" ".join)
def test_other_spellings_are_left_to_argparse(argv: list[str]) -> None:
    """They are good for a person who types them."""
    assert arguments._as_hosts_write_them(argv) is None
    assert vars(options_of(argv)) == vars(arguments._parsed(argv))


@pytest.mark.parametrize(("argv", "message"), WRONG, ids=lambda item: " ".join(item) if isinstance(item, list) else "")
def test_what_is_wrong_is_said(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors are argparse's, with its exit code."""
    with pytest.raises(SystemExit) as caught:
        options_of(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option, with its default where it says so."""
    with pytest.raises(SystemExit) as caught:
        options_of(["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert all(f"--{name}" in text for name in arguments._OPTIONS)
    assert "default 127.0.0.1:0" in " ".join(text.split())


def test_a_name_that_is_none() -> None:
    """A typing error in our own code is no default."""
    with pytest.raises(AttributeError, match="there is no option 'adaptor'"):
        _ = options_of([]).adaptor
