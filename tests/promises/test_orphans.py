"""Nothing outlives a host that was killed, nor a guardian that was."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
from typing import Any

import pytest

from orphans import KINDS, WITHIN, NastyHost, gone_within
from promise_figures import often
from snakepit._workers.guardian_proc import born

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the guardian is Linux's")]


@pytest.mark.parametrize("launcher", ["spawn", "template"])
@pytest.mark.parametrize("victim", ["host", "guardian"])
def test_nothing_outlives_it(figures: Any, tmp_path: pathlib.Path, victim: str, launcher: str) -> None:
    """Every descendant is gone in two seconds, whatever it did to stay, while a forked copy of the host lives on."""
    times = []
    for number in range(often(200 if launcher == "spawn" else 50, 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        host = NastyHost(folder, KINDS, launcher)
        try:
            os.kill(host.process.pid if victim == "host" else host.guardian, signal.SIGKILL)
            if victim == "guardian":
                del host.below[host.keeper]
            times.append(gone_within(host.below, 10.0))
            assert born(host.copy)
        finally:
            host.end()
    figures(f"SIGKILL of the {victim}, workers by {launcher}: everything below is gone").hold(times, max=WITHIN)
