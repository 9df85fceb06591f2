"""Arguments that came as pickles: read where the host's word for this call and the tool's for the parameter agree, and nowhere else."""

from typing import Any, Dict, Sequence

from ..wire.typed import Pickled


class RefusedPickle(Exception):
    """An argument came as a pickle that may not, or cannot, be read here; `facts` travel beside the message."""

    def __init__(self, tool: str, name: str, reason: str, hint: str) -> None:
        super().__init__("%s(): argument %r came as a pickle, %s" % (tool, name, reason))
        self.facts = {"parameter": name, "expected": "a value", "got": "pickle", "hint": hint}


def unpickled(spec: Dict[str, Any], args: Dict[str, Any], allowed: Sequence[str]) -> Dict[str, Any]:
    """The arguments with those read that came as pickles.

    Args:
        spec: the tool's.
        allowed: of which the host says that it has pickled them itself.

    Raises:
        RefusedPickle: one may not be read, or cannot.
    """
    named = {part["name"] for part in spec["parameters"] if part.get("pickled")}
    return {name: _read(spec["name"], name, value, allowed, named) if type(value) is Pickled else value for name, value in args.items()}


def has_pickles(args: Dict[str, Any]) -> bool:
    """Did any of them come as a pickle?"""
    return Pickled in map(type, args.values())


def _read(tool: str, name: str, value: Pickled, allowed: Sequence[str], named: "set[str]") -> Any:
    if name not in named:
        raise RefusedPickle(tool, name, "which the tool does not say it takes", "@tool(pickled=[%r]) says so" % name)
    if name not in allowed:
        raise RefusedPickle(tool, name, "which the pool has not made", "only what a pool with allow_pickle=True has pickled is read")
    import pickle  # here: most workers never need it

    try:
        # Copies: whoever gets an object whole may write to its arrays.
        return pickle.loads(value.data, buffers=[bytearray(part) for part in value.buffers])  # noqa: S301 - both sides have said so
    except Exception as error:  # whatever reading it runs raises
        hint = "what it is made of must be importable in the worker, under the name that it has at the host, in a fitting version"
        if "__main__" in str(error):
            hint = "a class of the script itself is not found in a worker: move it into a module that both import"
        raise RefusedPickle(tool, name, "which cannot be read here: %s: %s" % (type(error).__name__, error), hint) from error
