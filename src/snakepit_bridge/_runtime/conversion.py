"""Arguments as a tool's annotations have them: a path from text, a member from its value, a dataclass from a dict.

`conversion_for` looks at a tool's annotations once, when it is loaded; a tool that needs nothing converted has no
conversion at all. What an annotation does not tell stays as it came. `calls` runs a conversion before the tool.
"""

from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from ..tool_specs import annotations_of
from .converters import converter_for, items_of
from .readings import Convert, Misfit, short_repr


class InvalidArgument(Exception):
    """An argument cannot become what its parameter is annotated with; `facts` travel beside the message."""

    def __init__(self, tool: str, parameter: Dict[str, Any], name: str, misfit: Misfit) -> None:
        place = "argument %r" % name
        if misfit.where:
            place += " does not fit %s: %s%s" % (parameter["annotation"], name, misfit.where)
        came = type(misfit.value).__name__
        super().__init__("%s(): %s must be %s, got %s: %s" % (tool, place, misfit.allowed, came, short_repr(misfit.value)))
        self.facts = {"parameter": name, "expected": misfit.allowed, "got": came, "hint": misfit.reason}


class ArgumentConversion:
    """The arguments of one tool, from what came to what is annotated."""

    __slots__ = ("_extra", "_named", "_others", "_tool")

    def __init__(self, tool: str, parts: Sequence[Tuple[Dict[str, Any], Optional[Convert]]]) -> None:
        self._tool = tool
        self._named = {part["name"]: (part, convert) for part, convert in parts if convert and part["kind"] != "var_keyword"}
        self._extra = next(((part, convert) for part, convert in parts if convert and part["kind"] == "var_keyword"), None)
        self._others = frozenset(part["name"] for part, _convert in parts if part["kind"] != "var_keyword")

    def __call__(self, args: Dict[str, Any]) -> Dict[str, Any]:
        """The converted arguments; `args` stays as it is.

        Raises:
            InvalidArgument: one cannot be converted.
        """
        found = dict(args)
        for name, value in args.items():
            part, convert = self._named.get(name) or ((None, None) if name in self._others else self._extra) or (None, None)
            if part is None or convert is None or (value is None and part.get("default", value) is None and not part["required"]):
                continue
            try:
                found[name] = convert(value)
            except Misfit as misfit:
                raise InvalidArgument(self._tool, part, name, misfit) from None
        return found


def conversion_for(function: Callable[..., Any], spec: Dict[str, Any]) -> Optional[ArgumentConversion]:
    """What a tool's arguments go through before it runs; None if they are all passed on as they come."""
    hints = annotations_of(function)
    parts = []
    for part in spec["parameters"]:
        convert = converter_for(hints.get(part["name"], Any))
        if convert is not None and part["kind"] == "var_positional":
            convert = items_of(list, convert)
        parts.append((part, convert))
    return ArgumentConversion(spec["name"], parts) if any(convert for _part, convert in parts) else None
