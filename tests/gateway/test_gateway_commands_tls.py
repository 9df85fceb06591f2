"""`snakepit serve` and `call` with TLS, certificates and tokens, as they are typed; and the sync face of a client."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import snakepit
from gateway_tls import TOKENS, files, issue
from snakepit import errors
from test_serve_command import _TOOLS, run, serving

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


def _settings(folder: Path, **tls: Any) -> str:
    path = folder / "gateway.toml"
    lines = ["[tls]", *(f"{name} = {json.dumps(value)}" for name, value in tls.items())]
    path.write_text("\n".join([*lines, '[tokens.shop]\nenv = "SHOP_TOKEN"', f"[pools.main]\nadapter = {json.dumps(_TOOLS)}\nsize = 1"]))
    return str(path)


def test_commands_and_the_sync_face_over_tls(tmp_path: Path) -> None:
    """With authority, certificate and token, calls come through; without one they do not. No command line, output or worker has the token."""
    _, own = files(tmp_path)
    token = {"SNAKEPIT_GATEWAY_TOKEN": TOKENS["shop"]}
    config = _settings(tmp_path, cert="server.pem", key="server.key", client_ca="ca.pem")
    with serving("--config", config, env={"SHOP_TOKEN": TOKENS["shop"], "SNAKEPIT_LOG_LEVEL": "DEBUG"}) as (process, address):
        pair = ("--cert", own.client_cert, "--key", own.client_key)
        assert run("call", "add", "a=2", "b=3", "--target", address, "--ca", own.ca, *pair, env=token).stdout == "5\n"
        refused = run("call", "add", "a=2", "--target", address, "--ca", own.ca, *pair, env={"SNAKEPIT_GATEWAY_TOKEN": TOKENS["app"]})
        assert (refused.returncode, "does not know this token" in refused.stderr) == (1, True)
        assert "cannot be reached" in run("call", "add", "a=2", "--target", address, "--ca", own.ca, env=token).stderr
        assert "belong together" in run("call", "add", "a=2", "--target", address, "--ca", own.ca, "--cert", own.client_cert).stderr
        tls = {"ca": own.ca, "cert": own.client_cert, "key": own.client_key}
        with snakepit.connect(address, token=TOKENS["shop"], tls=tls) as pool:
            assert pool.execute("add", {"a": 2}) == 3
            assert pool.execute("holders", {"text": "token of the shop"}) == []
        with pytest.raises(errors.ConfigurationError, match="is not that of the certificate"):
            snakepit.connect(address, token=TOKENS["shop"], tls={**tls, "key": own.key}).start()
        listed = subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True, check=True).stdout
        process.terminate()
        assert process.wait(20) == 0
        assert process.stderr is not None
        said = process.stderr.read()
    for secret in TOKENS.values():
        assert secret not in said + refused.stderr + refused.stdout + listed
    assert "refused ipv4:127.0.0.1" in said
    assert "TLS with certificates of clients; 1 tokens" in said
    assert "drains" in said


def test_a_wrong_certificate_ends_the_command_at_once(tmp_path: Path) -> None:
    """`serve` with an expired certificate, or a digest that is none, says so and exits with 2."""
    authority, _ = files(tmp_path)
    issue(authority, tmp_path / "old", "127.0.0.1", expired=True)
    wrong = run("serve", "--config", _settings(tmp_path, cert="old.pem", key="old.key"), env={"SHOP_TOKEN": TOKENS["shop"]})
    assert (wrong.returncode, "old.pem', which is refused: certificate has expired" in wrong.stderr) == (2, True), wrong.stderr
    file = tmp_path / "digest.toml"
    file.write_text(f'[tokens."a:b"]\nsha256 = "{hashlib.sha256(b"x").hexdigest()}"\n')
    wrong = run("serve", "--config", str(file))
    assert (wrong.returncode, "letters, digits" in wrong.stderr) == (2, True), wrong.stderr
