"""Functions as tools, in a module that does not say whether it is thread-safe."""

from snakepit_bridge.base_adapter import tool


@tool
def double(value: int) -> int:
    return 2 * value
