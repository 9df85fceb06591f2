"""What the interpreter says of its threads: may several of them run Python code at the same moment?"""

import sys


def is_free_threaded() -> bool:
    """Was this Python built to run without its global lock?"""
    if not hasattr(sys, "_is_gil_enabled"):  # before 3.13 there were none
        return False
    import sysconfig  # here: it reads a large module

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def is_gil_enabled() -> bool:
    """Does one thread at a time run Python code? On a free-threaded build, a library that is imported can switch the lock on."""
    ask = getattr(sys, "_is_gil_enabled", None)
    return bool(ask()) if ask is not None else True
