"""A module of tool functions, with what is no tool among them."""

from snakepit_bridge import tool

FACTOR = 2


@tool(description="Twice as much")
def double(x: int) -> int:
    return helper(x)


@tool(name="thrice")
def triple(x: int) -> int:
    return x * 3


@tool
async def later(x: int) -> int:
    return x


@tool
def numbers(n: int):
    yield from range(n)


def helper(x):
    return x * FACTOR


def unmarked(x: int) -> int:
    """No @tool, but may be named on its own."""
    return x + 1
