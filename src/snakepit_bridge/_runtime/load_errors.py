"""Why an adapter cannot be used: the error, the user's own traceback without our frames, and near names.

Used by `references` and `loading`; the worker's program shows what the error holds.
"""

import importlib
import os
import sys
import traceback
from types import TracebackType
from typing import Iterable, List, Optional, Set

_MAX_TEXT = 400

#: Folders whose frames the user has no use for: this one, and the import system's.
_OURS = (os.path.dirname(__file__), os.path.dirname(importlib.__file__))


class AdapterLoadError(Exception):
    """An adapter cannot be used.

    Attributes:
        message: what is wrong.
        hint: how to mend it, or an empty string.
        traceback: the traceback of the user's own code, without our frames, when that code raised; else empty.
    """

    def __init__(self, message: str, hint: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.traceback = traceback

    def __str__(self) -> str:
        return "\n".join(part for part in (self.traceback.rstrip(), self.message, self.hint and "  hint: " + self.hint) if part)


def blame(error: BaseException, message: str, hint: str = "") -> AdapterLoadError:
    """The error for user code that raised: `message` and what was raised, with the user's own traceback."""
    try:
        text = str(error)
    except Exception:
        text = "<its text cannot be shown>"
    head = text.partition("\n")[0][:_MAX_TEXT]
    own_hint = getattr(error, "hint", "")
    message = "%s: %s%s" % (message, type(error).__name__, ": " + head if head else "")
    hint = hint or (own_hint if isinstance(own_hint, str) else "") or _hint_for(error)
    return AdapterLoadError(message, hint, _traceback_text(error))


def _hint_for(error: BaseException) -> str:
    """What the interpreter has to do with it: it need not be the host's."""
    python = "CPython %d.%d.%d, %s" % (*sys.version_info[:3], sys.executable)
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top == "snakepit":
            return "%s has the worker's half alone, snakepit_bridge: put the tools into a file that does not import snakepit" % python
        return "%s does not find %s: install it there, or name its folder in PYTHONPATH (env=)" % (python, top)
    if isinstance(error, (SyntaxError, TypeError, AttributeError, ImportError)) and sys.version_info < (3, 11):
        return "the workers run %s; is this written for a newer Python?" % python
    return ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for names near this one; empty if there are none."""
    import difflib

    by_lower = {item.lower(): item for item in known}
    near = [by_lower[item] for item in difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=0.6)]
    return "did you mean %s?" % " or ".join(repr(item) for item in near) if near else ""


def _is_ours(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or os.path.dirname(filename) in _OURS


def has_user_frames(below: Optional[TracebackType]) -> bool:
    """Did the error come from within the user's code, or from looking for it?"""
    while below is not None:
        if not _is_ours(below.tb_frame.f_code.co_filename):
            return True
        below = below.tb_next
    return False


def _traceback_text(error: BaseException) -> str:
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__)
        todo: List[Optional[traceback.TracebackException]] = [shown]
        seen: Set[int] = set()
        while todo:
            part = todo.pop()
            if part is None or id(part) in seen:
                continue
            seen.add(id(part))
            part.stack[:] = [frame for frame in part.stack if not _is_ours(frame.filename)]
            todo += [part.__cause__, part.__context__]
        return "".join(shown.format())
    except Exception:  # A broken __str__ of the user's exception must not hide where it came from.
        return "".join(traceback.format_tb(error.__traceback__))
