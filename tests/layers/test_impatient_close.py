"""How a sync pool is closed by a thread that is interrupted meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from snakepit._api.closing import close_on


class _Engine:
    """Says how it is to be closed."""

    def close(self, **how: bool) -> dict[str, bool]:
        return how


class _Loop:
    """Is interrupted so often while it runs something."""

    def __init__(self, interruptions: int) -> None:
        self.ran: list[dict[str, bool]] = []
        self._left = interruptions

    def run(self, what: Any) -> None:
        self.ran.append(what)
        if self._left:
            self._left -= 1
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("interruptions", "expected"),
    [
        (0, [{"finish_unary": True}]),
        (1, [{"finish_unary": True}, {}]),
        (2, [{"finish_unary": True}, {}, {"kill": True}]),
    ],
)
def test_each_interruption_makes_it_less_patient(interruptions: int, expected: list[dict[str, bool]]) -> None:
    """It is closed to its end all the same, and the interruption comes out then."""
    loop, engine = _Loop(interruptions), _Engine()
    if interruptions:
        with pytest.raises(KeyboardInterrupt):
            close_on(loop, engine, finish_unary=True)  # type: ignore[arg-type]
    else:
        close_on(loop, engine, finish_unary=True)  # type: ignore[arg-type]
    assert loop.ran == expected
