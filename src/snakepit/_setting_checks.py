"""Checks of settings that take a few lines: texts, regular expressions, where sessions are kept and how long. Called by `config`."""

from __future__ import annotations

import os
import pathlib
import re
import reprlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from snakepit_bridge.frozen import freeze

from .errors import ConfigurationError, InvalidParameter

_STORES = ("sqlite:///", "redis://", "rediss://", "unix://")
_SCHEME = re.compile(r"\W*(?:(?:rediss?|unix|sqlite|memory)\b|[A-Za-z][A-Za-z0-9+.-]*(?=://))[:/]*", re.IGNORECASE)
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "a": re.ASCII}


#: The longest lifetime of a session without calls (seconds): ten years. Redis counts in milliseconds, and its scripts in doubles.
MAX_TTL = 10 * 365 * 86_400.0
#: The shortest: Redis counts in milliseconds.
MIN_TTL = 0.001


def check_ttl(name: str, value: Any, error: type[ConfigurationError | InvalidParameter] = ConfigurationError) -> float:
    """A session's lifetime without calls: from a millisecond to ten years, in seconds.

    Raises:
        ConfigurationError: it is not (or `error`, where it is a call's argument).
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not MIN_TTL <= value <= MAX_TTL:
        message = f"{name} is {reprlib.repr(value)}; allowed are seconds from {MIN_TTL} to {MAX_TTL:.0f} (ten years)"
        raise error(message, hint="a session that is done is ended with end()", field=name)
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        ConfigurationError: it is neither.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; allowed are True and False", field=name, value=value)
    return value


def check_texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts, none of them empty.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) and item for item in value):
        raise ConfigurationError(f"{name} is {value!r}; allowed is a list of texts", field=name, value=value)
    return tuple(value)


def check_exceptions(name: str, value: Any) -> tuple[str, ...]:
    """Classes of exceptions, or their names, as the names that workers tell.

    Raises:
        ConfigurationError: it is something else.
    """
    single = isinstance(value, (str, type)) or not isinstance(value, (Sequence, frozenset, set))
    items = [value] if single else list(value)
    kinds = [(isinstance(item, str) and item) or (isinstance(item, type) and issubclass(item, BaseException)) for item in items]
    if single or not all(kinds):
        hint = "for example (ConnectionError, 'requests.exceptions.Timeout')"
        raise ConfigurationError(f"{name} is {value!r}; allowed is a list of exception classes or their names", hint=hint, field=name)
    return tuple(item if isinstance(item, str) else _name_of(item) for item in items)


def _name_of(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"


def is_named(kind: str, names: Sequence[Any]) -> bool:
    """Is an exception, by the name its worker tells, among those of `check_exceptions`? With its module or without."""
    return kind in names or kind.rpartition(".")[2] in names


def check_environment(name: str, value: Any) -> Mapping[str, str]:
    """Environment variables that a process can be given.

    Raises:
        ConfigurationError: they are not; the message shows no value, which may be a secret.
    """
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ConfigurationError(f"{name} must map text to text", hint='for example env={"OMP_NUM_THREADS": "1"}', field=name)
    for variable, text in value.items():
        fault = "'=' in it" if "=" in variable else _fault_of(variable) if variable else "no letter"
        if fault:
            message = f"{name} has a variable named {variable!r}, a name with {fault}; allowed is what a shell could set"
            raise ConfigurationError(message, hint='for example env={"OMP_NUM_THREADS": "1"}', field=name)
        if _fault_of(text):
            message = f"{name}[{variable!r}] is a text with {_fault_of(text)}, which no environment variable can hold"
            raise ConfigurationError(message, hint="base64 makes letters of any bytes", field=name)
    return freeze(dict(value))  # type: ignore[no-any-return]


def check_command(name: str, value: Any) -> tuple[str, ...]:
    """A program and its arguments; none for None.

    Raises:
        ConfigurationError: it is not.
    """
    if value is None:
        return ()
    hint = 'for example command=["ssh", "gpu-1", "python3", "-m", "snakepit_bridge", "--stdio"]'
    if isinstance(value, str) or not isinstance(value, Sequence) or not value or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{name} is {value!r}; allowed is a list of texts, a program and its arguments", hint=hint, field=name)
    for place, word in enumerate(value):
        fault = _fault_of(word) if word or place else "no letter"
        if fault:
            message = f"{name}[{place}] is {word!r}, a text with {fault}, which no program can be given"
            raise ConfigurationError(message, hint=hint, field=name)
    return tuple(value)


def _fault_of(text: str) -> str:
    """What keeps the operating system from taking a text; empty: nothing."""
    if "\0" in text:
        return "a null character in it"
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return "half a pair of surrogates in it"
    return ""


def check_text(name: str, value: Any) -> str:
    """A text, which may be empty."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is a {type(value).__name__}; allowed is a text", field=name)
    return value


def check_instance_name(name: str, value: Any) -> str:
    """A short word, which lists of processes show."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{0,40}", value):
        hint = "for example instance_name='models'"
        raise ConfigurationError(f"{name} is {value!r}; allowed are up to 40 letters, digits, '_', '.' and '-'", hint=hint, field=name)
    return value


def check_trace(name: str, value: Any) -> tuple[str, ...] | None:
    """Calls that are to be traced, as a list or as one text with commas; None where nobody says.

    Raises:
        ConfigurationError: it can be no number of a call and no correlation id.
    """
    if value is None:
        return None
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, Sequence) else [value]
    wanted = tuple(word.strip() if isinstance(word, str) else word for word in words)
    for word in wanted:
        if not isinstance(word, str) or not re.fullmatch(r"\*|[0-9]{1,20}|[A-Za-z0-9_.-]{1,80}-[0-9]{1,20}|", word):
            allowed = "'*', the number of a call ('7'), its correlation id ('3f9a1c07-7'), or several with commas"
            raise ConfigurationError(f"{name} is {value!r}; allowed is {allowed}", field=name, value=value)
    return tuple(filter(None, wanted))


def check_patterns(name: str, value: Any) -> tuple[str, ...]:
    """Regular expressions, as text or compiled; as text.

    Raises:
        ConfigurationError: one of them is none.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = [_with_flags(item) if isinstance(item, re.Pattern) and isinstance(item.pattern, str) else item for item in value]
    patterns = check_texts(name, value)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            hint = "to find a text as it is, write it with re.escape(...)"
            raise ConfigurationError(f"{name} holds {pattern!r}, which is no regular expression: {error}", hint=hint, field=name) from error
    return patterns


def _with_flags(pattern: re.Pattern[str]) -> str:
    """A compiled pattern as the text that means the same."""
    flags = "".join(letter for letter, flag in _FLAGS.items() if pattern.flags & flag)
    return f"(?{flags}){pattern.pattern}" if flags else pattern.pattern


def without_password(url: str) -> str:
    """A URL, well written or not, as it may be shown: of what stands before the last `@` the scheme alone, if that is one for certain."""
    before, at, host = url.rpartition("@")
    scheme = _SCHEME.match(before)
    return f"{scheme.group() if scheme else ''}***@{host}" if at else url


def check_store(name: str, value: Any) -> Any:
    """What may name a session store; whether there is one shows when it is opened.

    Raises:
        ConfigurationError: it can name none.
    """
    text = value if isinstance(value, str) else str(value) if isinstance(value, pathlib.PurePath) else ""
    if text.rpartition("/")[2].startswith(":memory:"):
        hint = "None keeps sessions in memory; SQLite would make a file of that name"
        raise ConfigurationError(f"{name} is {value!r}, which is no file", hint=hint, field=name)
    wrong = isinstance(value, str) and value != "memory" and not value.startswith(_STORES)
    if wrong or isinstance(value, (bytes, int, float, type)):
        shown = without_password(repr(value)) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
        allowed = 'None (memory), "sqlite:///file.db", "redis://host:port/db", a path, or an object with the methods of SessionStore'
        hint = f"did you mean 'sqlite:///{text}' or pathlib.Path({text!r})?" if wrong and ":" not in text and "@" not in text else ""
        raise ConfigurationError(f"{name} is {shown}; allowed is {allowed}", hint=hint, field=name)
    return value


def check_interpreter(name: str, value: Any) -> str | None:
    """The path of a Python; not resolved, because a virtual environment's is a link. None for the host's own.

    Raises:
        ConfigurationError: there is none.
    """
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if text and "\0" not in text:
        found = shutil.which(text)  # a name on PATH, or a path that can be run
        for path in (found, str(pathlib.Path(text) / "bin" / "python")):
            if path is not None and os.access(path, os.X_OK) and not pathlib.Path(path).is_dir():
                return str(pathlib.Path(path).absolute())
    hint = "give the path of a Python, a name on PATH, or the directory of a virtual environment; None for the host's own"
    raise ConfigurationError(f"{name} is {value!r}, which does not exist or cannot be run", hint=hint, field=name, value=value)


def check_directory(name: str, value: Any) -> str | None:
    """The path of a directory; None for the host's own.

    Raises:
        ConfigurationError: there is none.
    """
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not pathlib.Path(value).exists():
        raise ConfigurationError(f"{name} is {value!r}, which does not exist; give a path, or None for the host's own", field=name)
    if not pathlib.Path(value).is_dir():
        raise ConfigurationError(f"{name} is {value!r}, which is no directory; give one, or None for the host's own", field=name)
    return str(pathlib.Path(value).absolute())
