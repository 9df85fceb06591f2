"""Tools that give what no codec holds, or plain forms of it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy

from snakepit_bridge import BaseAdapter, HostToolError, StreamChunk, current_call, is_unserializable, tool


class Client:
    """An object of somebody's."""

    def __repr__(self) -> str:
        return "Client(password='hunter2secret', host='db')"


class Report:
    """One with a plain form."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def model_dump(self) -> dict[str, Any]:
        """As pydantic's models have it."""
        return {"rows": self.rows}


@dataclasses.dataclass
class Layer:
    """One that is looked into."""

    weights: Any


class OddTools(BaseAdapter):
    """See the module."""

    @tool
    def odd(self) -> Any:
        """A result of which one part has no form."""
        return {"score": 0.5, "layers": (Layer(numpy.zeros(5000)), Layer(Client())), "report": Report({1, 2})}

    @tool
    def zeros(self) -> Any:
        """A large one."""
        return numpy.zeros(50_000)

    @tool
    def takes(self, client: Any) -> str:
        """What it is given."""
        return repr(client)

    @tool
    def waiting(self) -> Any:
        """A result that has to be awaited."""

        async def later() -> int:
            return 1

        return {"x": later()}

    @tool
    def odd_chunks(self) -> Iterator[Any]:
        """Chunks of which one is odd."""
        yield {"n": 1}
        yield {"n": Client()}
        yield StreamChunk([3], metadata={"by": Client()})

    @tool
    async def odd_async_chunks(self) -> AsyncIterator[Any]:
        """The same."""
        yield {"n": 1}
        yield {"n": Client()}

    @tool
    def odd_report(self) -> None:
        """A report with an odd part."""
        current_call().progress(1, 2, about=Client())

    @tool
    def asks(self) -> Any:
        """What a host tool answers, and what becomes of an argument that cannot travel."""
        try:
            found = self.host_tools["lookup"]()
            refused = ""
        except HostToolError as error:
            found, refused = None, str(error)
        try:
            self.host_tools["lookup"](key=Client())
        except TypeError as error:
            return is_unserializable((found or {}).get("client")), refused, str(error)
        raise AssertionError("an argument that cannot travel was sent")
