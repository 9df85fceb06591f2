"""When gRPC is missing or broken, the error says where, and which command mends it."""

from __future__ import annotations

import pathlib
import sys

import pytest

from pool_helpers import finished, script

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_ASK = """
import snakepit
try:
    snakepit.Pool(size=1, protocol="grpc").execute("ping")
except snakepit.ProtocolUnavailable as error:
    print(error.code, "pip install" in error.hint)
"""


def test_grpc_is_missing_in_the_host() -> None:
    """The host finds out before it starts a worker."""
    hide = (
        "import importlib.util as u; found = u.find_spec; u.find_spec = lambda name, *rest: name != 'grpc' and found(name, *rest) or None"
    )
    assert finished(script(hide + _ASK)) == (0, "grpc_unavailable True\n", "")


def test_grpc_does_not_import_anywhere(tmp_path: pathlib.Path) -> None:
    """A broken installation is told as such, by the worker that meets it first."""
    (tmp_path / "grpc.py").write_text("raise ImportError('no grpc for you')\n", encoding="utf-8")
    code, out, err = finished(script(f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + _ASK))
    assert (code, out) == (0, "grpc_unavailable True\n")
    assert "Traceback" not in err
    assert sys.executable in err
