"""The pytest plugin, as users of it see it: another pytest runs files of theirs."""

from __future__ import annotations

import pathlib
import sys

import pytest

from plugin_examples import HEAD, SHOP, run_pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


def test_pools_and_the_clock_are_there_as_fixtures(tmp_path: pathlib.Path) -> None:
    """Without a word in a conftest: the pool of the marker, pools of one's own, and the clock in whichever order they are named."""
    counts, said = run_pytest(sys.executable, tmp_path, SHOP, "-q")
    assert counts == {"passed": 4}, said


def test_the_marker_and_the_option_are_told(tmp_path: pathlib.Path) -> None:
    """`--markers`, `--fixtures` and `--help` have a line about each."""
    (tmp_path / "test_nothing.py").touch()
    assert "@pytest.mark.snakepit(*, adapter, processes=False" in run_pytest(sys.executable, tmp_path, "", "--markers")[1]
    assert "snakepit_leaves_nothing" in run_pytest(sys.executable, tmp_path, "", "--fixtures")[1]
    assert "--snakepit-processes" in run_pytest(sys.executable, tmp_path, "", "--help")[1]


def test_real_workers_by_the_marker_or_by_the_option(tmp_path: pathlib.Path) -> None:
    """The same test runs in this process, or in one of its own."""
    test = "\n\n{marker}\ndef test_where(snakepit_pool):\n    assert (snakepit_pool.execute('pid') == os.getpid()) is {inside}\n"
    plain, marked = "@pytest.mark.snakepit(adapter=Shop)", "@pytest.mark.snakepit(adapter=Shop, processes=True)"
    for marker, inside, options in ((plain, True, []), (plain, False, ["--snakepit-processes"]), (marked, False, [])):
        counts, said = run_pytest(sys.executable, tmp_path, HEAD + test.format(marker=marker, inside=inside), *options)
        assert counts == {"passed": 1}, said


def test_what_is_left_behind_fails_the_test(tmp_path: pathlib.Path) -> None:
    """A pool that was never closed and a process, each by its name; a test that uses the fixture well passes beside them."""
    text = """
import subprocess
from snakepit.testing import MemoryPool

pytestmark = pytest.mark.usefixtures("snakepit_leaves_nothing")
KEPT = []


def test_a_pool():
    KEPT.append(MemoryPool(Shop, size=1))
    KEPT[0].start()


def test_a_process():
    KEPT.append(subprocess.Popen(["sleep", "7"]))


def test_nothing():
    assert KEPT
    KEPT[1].kill()
    KEPT[1].wait()
"""
    counts, said = run_pytest(sys.executable, tmp_path, HEAD + text)
    assert (counts.get("passed"), counts.get("errors")) == (3, 2), said
    assert "thread snakepit-loop" in said
    assert "sleep 7" in said


def test_wrong_uses_say_what_to_write(tmp_path: pathlib.Path) -> None:
    """A pool of nothing; processes under the clock."""
    text = """

def test_of_what(snakepit_pool):
    pass


@pytest.mark.snakepit(adapter=Shop, processes=True)
def test_clock(snakepit_clock, snakepit_pool):
    pass
"""
    counts, said = run_pytest(sys.executable, tmp_path, HEAD + text)
    assert counts == {"errors": 2}, said
    assert "mark it with @pytest.mark.snakepit(adapter=MyAdapter)" in said
    assert "processes do not live by snakepit_clock" in said


def test_nothing_of_snakepit_is_loaded_before_it_is_needed(tmp_path: pathlib.Path) -> None:
    """Every pytest run of an environment that has snakepit begins with the plugin: it must cost next to nothing."""
    text = "import sys\n\ndef test_it():\n    assert 'snakepit_pytest' in sys.modules\n    assert 'snakepit' not in sys.modules\n"
    counts, said = run_pytest(sys.executable, tmp_path, text)
    assert counts == {"passed": 1}, said
