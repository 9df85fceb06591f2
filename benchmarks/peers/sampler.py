"""The most memory that this process and all below it have held for a while, beyond what they held before."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Self

from . import processes

#: Between two looks: seconds.
_EVERY = 0.05


class Sampler:
    """Looks from time to time; processes that are started meanwhile count too.

    Attributes:
        host: of this process; others: of those below it; all: of both together at one time. MiB of PSS, at least 0.
    """

    def __enter__(self) -> Self:
        self.host = self.others = self.all = 0.0
        self._ended = threading.Event()
        self._before = self._held()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self._look()
        self._look()

    def _look(self) -> None:
        host, others = (now - before for now, before in zip(self._held(), self._before, strict=True))
        self.host, self.others, self.all = max(self.host, host), max(self.others, others), max(self.all, host + others)

    @staticmethod
    def _held() -> tuple[float, float]:
        host = processes.find(os.getpid())
        return processes.held([host] if host else []), processes.held(processes.family(os.getpid()))
