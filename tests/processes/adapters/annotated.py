"""Tools whose parameters are annotated with what does not travel as it is; they tell what arrived."""

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Iterator

from snakepit_bridge import BaseAdapter, tool


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    color: Color = Color.RED


@dataclasses.dataclass
class Shape:
    points: list[Point]
    file: pathlib.Path | None = None


class Annotated(BaseAdapter):
    """Every tool gives the repr of what arrived."""

    @tool
    def path(self, value: pathlib.PurePosixPath) -> str:
        return repr(value)

    @tool
    def color(self, value: Color) -> str:
        return repr(value)

    @tool
    def moment(self, value: datetime.datetime) -> str:
        return repr(value)

    @tool
    def day(self, value: datetime.date) -> str:
        return repr(value)

    @tool
    def clock(self, value: datetime.time) -> str:
        return repr(value)

    @tool
    def duration(self, value: datetime.timedelta) -> str:
        return repr(value)

    @tool
    def identity(self, value: uuid.UUID) -> str:
        return repr(value)

    @tool
    def amount(self, value: decimal.Decimal) -> str:
        return repr(value)

    @tool
    def buffer(self, value: bytearray) -> str:
        return repr(value)

    @tool
    def numbers(self, value: set[int]) -> str:
        return repr(value)

    @tool
    def frozen(self, value: frozenset[tuple[int, str]]) -> str:
        return repr(value)

    @tool
    def pair(self, value: tuple[Color, int]) -> str:
        return repr(value)

    @tool
    def run(self, value: tuple[int, ...]) -> str:
        return repr(value)

    @tool
    def shape(self, value: Shape) -> str:
        return repr(value)

    @tool
    def either(self, value: int | datetime.date | None = None) -> str:
        return repr(value)

    @tool
    def table(self, value: dict[str, list[pathlib.PurePosixPath]]) -> str:
        return repr(value)

    @tool
    async def later(self, value: Color) -> str:
        return repr(value)

    @tool
    def each(self, *value: Color, **others: datetime.date) -> Iterator[str]:
        for item in (*value, *others.values()):
            yield repr(item)
