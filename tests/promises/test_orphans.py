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
from snakepit._workers.guardian_program import born

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the guardian is Linux's")]


@pytest.mark.parametrize("victim", ["host", "guardian"])
def test_nothing_outlives_it(figures: Any, tmp_path: pathlib.Path, victim: str) -> None:
    """Every descendant is gone in two seconds, whatever it did to stay, while a forked copy of the host lives on."""
    times = []
    for number in range(often(200, 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        host = NastyHost(folder, KINDS)
        try:
            os.kill(host.process.pid if victim == "host" else host.guardian, signal.SIGKILL)
            if victim == "guardian":
                del host.below[host.keeper]
            times.append(gone_within(host.below, 10.0))
            assert born(host.copy)
        finally:
            host.end()
    figures(f"SIGKILL of the {victim}: everything below is gone").hold(times, max=WITHIN)
