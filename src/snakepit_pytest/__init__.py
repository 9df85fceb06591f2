"""The pytest plugin of snakepit: pools, a clock to turn and a look at leftovers as fixtures. pytest loads it by itself.

    @pytest.mark.snakepit(adapter=MyAdapter, size=2)
    def test_price(snakepit_pool):
        assert snakepit_pool.execute("price", {"article": "tea"}) == 2.0

Loads nothing of snakepit before a test asks for it: every pytest run of an environment that has snakepit begins with this module,
on Pythons that only the worker's side knows too.
"""

from typing import TYPE_CHECKING, Any, Callable, Iterator

import pytest

from . import leftovers

if TYPE_CHECKING:
    import snakepit
    from snakepit.testing import TurnedClock

_MARKER = (
    "snakepit(*, adapter, processes=False, clock_seed=None, **settings): what `snakepit_pool` is a pool of; settings are those of "
    "snakepit.Pool, and `faults`; processes: with real workers"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--snakepit-processes`."""
    group = parser.getgroup("snakepit")
    group.addoption(
        "--snakepit-processes",
        action="store_true",
        help="the pools of snakepit's fixtures have real processes as workers, in the place of threads of this one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known under --strict-markers."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def snakepit_clock(request: pytest.FixtureRequest) -> "Iterator[TurnedClock]":
    """A `snakepit.testing.TurnedClock`, entered before the test's pools are opened and left after they have been closed."""
    from snakepit.testing import TurnedClock

    with TurnedClock(seed=_marked(request).get("clock_seed")) as clock:
        yield clock


@pytest.fixture
def snakepit_pools(request: pytest.FixtureRequest) -> "Iterator[Callable[..., snakepit.Pool]]":
    """Opens pools: `snakepit_pools(MyAdapter, size=2)`. They are closed at the test's end, the newest first."""
    if "snakepit_clock" in request.fixturenames:
        request.getfixturevalue("snakepit_clock")  # first: the pools live by it
    opened = []

    def open_pool(adapter: Any = None, *, processes: bool = False, **settings: Any) -> "snakepit.Pool":
        made = _pool(request, adapter, processes, settings)
        opened.append(made)
        return made.__enter__()

    try:
        yield open_pool
    finally:
        while opened:
            opened.pop().close()


@pytest.fixture
def snakepit_pool(request: pytest.FixtureRequest, snakepit_pools: "Callable[..., snakepit.Pool]") -> "snakepit.Pool":
    """The pool that the test's marker describes, open; one worker unless it says otherwise."""
    settings = _marked(request)
    if "adapter" not in settings:
        raise pytest.UsageError(
            "%s uses snakepit_pool and does not say of what: mark it with @pytest.mark.snakepit(adapter=MyAdapter)" % request.node.nodeid
        )
    settings.pop("clock_seed", None)
    return snakepit_pools(settings.pop("adapter"), **{"size": 1, **settings})


@pytest.fixture
def snakepit_leaves_nothing() -> Iterator[None]:
    """Fails a test that leaves processes or snakepit's threads behind; they are given five seconds to end."""
    before = leftovers.seen()
    yield
    left = leftovers.wait_gone(before)
    if left:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)


def _marked(request: pytest.FixtureRequest) -> Any:
    """What the test's marker says. By keywords alone: pytest takes a marker that is called with a class alone for its decorator."""
    marker = request.node.get_closest_marker("snakepit")
    return {} if marker is None else dict(marker.kwargs)


def _pool(request: pytest.FixtureRequest, adapter: Any, processes: bool, settings: Any) -> "snakepit.Pool":
    import snakepit
    from snakepit.testing import MemoryPool

    clocked = "snakepit_clock" in request.fixturenames
    if processes and clocked:
        raise pytest.UsageError("%s: processes do not live by snakepit_clock; leave one of the two out" % request.node.nodeid)
    faulty = settings.get("faults") is not None
    if not processes and (clocked or faulty or not request.config.getoption("--snakepit-processes")):
        return MemoryPool(adapter, **settings)
    return snakepit.Pool(adapter, **settings)
