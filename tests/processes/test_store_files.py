"""Where the file of an SQLite store lies, and that nobody but its owner can read it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator

import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(autouse=True)
def _any_umask() -> Iterator[None]:
    """What is private is so without its help."""
    before = os.umask(0)
    yield
    os.umask(before)


def _modes(folder: pathlib.Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in sorted(folder.rglob("*"))}


def _open(path: pathlib.Path) -> dict[str, str]:
    """What a store makes in the folder of its path."""
    with contextlib.closing(snakepit.SQLiteSessionStore(path)) as store:
        store.open("a", ttl=60.0, metadata=None)
        return _modes(path.parent)


FILES = {"sessions.db": "0o600", "sessions.db-wal": "0o600", "sessions.db-shm": "0o600"}


def test_directories_are_made_private(tmp_path: pathlib.Path) -> None:
    """All that are missing, 0700, also those between; the file and SQLite's helpers are 0600."""
    with contextlib.closing(snakepit.SQLiteSessionStore(tmp_path / "one" / "two" / "sessions.db")) as store:
        store.open("a", ttl=60.0, metadata=None)
        found = _modes(tmp_path)
    assert found == {"one": "0o700", "one/two": "0o700", **{f"one/two/{name}": mode for name, mode in FILES.items()}}


def test_an_open_file_in_a_private_directory_is_closed(tmp_path: pathlib.Path) -> None:
    """It gets 0600 before anything is written to it."""
    (tmp_path / "sessions.db").touch(0o666)
    assert _open(tmp_path / "sessions.db") == FILES


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o1777])
def test_in_a_directory_of_others_it_has_one_of_its_own(tmp_path: pathlib.Path, mode: int) -> None:
    """A project's folder stays as it is; the file lies in a directory beside it, and is found there again."""
    project = tmp_path / "project"
    project.mkdir()
    project.chmod(mode)
    assert _open(project / "sessions.db") == {"sessions.db.d": "0o700", **{f"sessions.db.d/{name}": kind for name, kind in FILES.items()}}
    assert stat.S_IMODE(project.stat().st_mode) == mode
    project.chmod(0o700)  # also when the folder is private from now on
    with contextlib.closing(snakepit.SQLiteSessionStore(project / "sessions.db")) as again:
        assert again.get("a") is not None


def test_a_pool_in_a_project_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite:///sessions.db` works there without any preparation, and what it holds is private."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store="sqlite:///sessions.db") as pool:
        pool.session("a", metadata={"user": "ann"}).open()
    with snakepit.Pool("session_tools:SessionTools", size=1, session_store="sqlite:///sessions.db") as pool:
        assert pool.execute("metadata", session_id="a") == {"user": "ann"}
    assert _modes(tmp_path)["sessions.db.d"] == "0o700"
    assert _modes(tmp_path)["sessions.db.d/sessions.db"] == "0o600"


def _refused(path: pathlib.Path, message: str) -> None:
    with pytest.raises(snakepit.SessionStoreError, match=message):
        snakepit.SQLiteSessionStore(path)


def test_a_file_that_others_can_reach_is_not_left_behind_silently(tmp_path: pathlib.Path) -> None:
    """Sessions that lie there already would not be found at the other place: the cure is named."""
    (tmp_path / "sessions.db").touch(0o600)
    tmp_path.chmod(0o755)
    _refused(tmp_path / "sessions.db", r"sessions.db lies in .*, which others can enter(.|\n)*chmod 700 .*sessions.db.d")
    tmp_path.chmod(0o700)
    assert _open(tmp_path / "sessions.db") == FILES


def test_links_are_refused(tmp_path: pathlib.Path) -> None:
    """Whoever can make one would choose where sessions are written; nothing is made at the other end."""
    (tmp_path / "sessions.db").symlink_to(tmp_path / "elsewhere.db")
    _refused(tmp_path / "sessions.db", "sessions.db is a symbolic link")
    (tmp_path / "sessions.db").unlink()
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "sessions.db.d").symlink_to(tmp_path / "private")
    _refused(tmp_path / "sessions.db", "sessions.db.d is no directory of this user alone")
    assert not (tmp_path / "elsewhere.db").exists()
    assert not list((tmp_path / "private").iterdir())


@pytest.mark.parametrize("kind", ["wide", "file"])
def test_a_directory_that_is_not_private_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    """Where the file would lie in it: by name, with the cure."""
    own = tmp_path / "sessions.db.d"
    own.touch() if kind == "file" else own.mkdir()
    own.chmod(0o755)
    _refused(tmp_path / "sessions.db", r"sessions.db.d is no directory of this user alone(.|\n)*mode 700")


def test_another_version_is_refused(tmp_path: pathlib.Path) -> None:
    """Its tables may mean something else; they stay as they were."""
    with contextlib.closing(sqlite3.connect(tmp_path / "sessions.db")) as db:
        db.execute("PRAGMA user_version = 7")
    _refused(tmp_path / "sessions.db", "has version 7; this library reads 1")


_STARTS = """
import sys, time
from snakepit import SQLiteSessionStore
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    store = SQLiteSessionStore(f"{sys.argv[1]}/{number}/sessions.db")
    store.open(sys.argv[2], ttl=60.0, metadata=None)
    store.close()
"""


def test_hosts_that_start_together_wait_for_each_other(tmp_path: pathlib.Path) -> None:
    """On a file that none of them has made yet: each has its session there."""
    command = [sys.executable, "-c", _STARTS, str(tmp_path)]
    hosts = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    for host in hosts:
        assert host.stdout is not None
        host.stdout.readline()
    for host in hosts:
        assert host.stdin is not None
        host.stdin.write("\n")
        host.stdin.flush()
    for host in hosts:
        _, errors = host.communicate(timeout=50)
        assert (host.returncode, errors) == (0, ""), errors


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_is_noticed(tmp_path: pathlib.Path, replaced: bool) -> None:
    """What would be kept from then on would be lost; nothing is said to have been kept."""
    with contextlib.closing(snakepit.SQLiteSessionStore(tmp_path / "own" / "sessions.db")) as store:
        store.open("a", ttl=60.0, metadata=None)
        for path in (tmp_path / "own").iterdir():
            path.unlink()
        if replaced:
            (tmp_path / "own" / "sessions.db").touch()
        with pytest.raises(snakepit.SessionStoreError, match="was removed or replaced while it was open"):
            store.put_program("a", "p", 1)


_OTHERS = {
    "a table": "CREATE TABLE notes (id TEXT)",
    "a table of our name": "CREATE TABLE sessions (id TEXT)",
    "our version": "CREATE TABLE notes (id TEXT); PRAGMA user_version = 1",
    "our version and no table": "PRAGMA user_version = 1",
    "our names": "CREATE TABLE sessions (id); CREATE TABLE programs (id); CREATE TABLE totals (name); PRAGMA user_version = 1",
    "names that are no text": "CREATE TABLE notes (id); PRAGMA writable_schema = 1; UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT)",
}


def _state(path: pathlib.Path) -> tuple[bytes, bytes, str, set[str]]:
    """The file and its log, its mode, what lies beside it. A process of its own reads: to close a file drops this process's locks on it."""
    names = {item.name for item in path.parent.iterdir()}
    log = path.with_name(path.name + "-wal")
    data = [subprocess.run(["cat", item], capture_output=True, check=True).stdout if item.exists() else b"" for item in (path, log)]
    return data[0], data[1], oct(path.stat().st_mode), names


@pytest.mark.parametrize("used", ["closed", "with a log", "in a transaction", "killed in a transaction"])
@pytest.mark.parametrize("what", list(_OTHERS))
def test_a_database_of_another_program_stays_as_it_is(tmp_path: pathlib.Path, what: str, used: str) -> None:
    """It is refused by name, whatever is like ours in it; its bytes, its mode, its journal and what lies beside it do not change."""
    folder, path = tmp_path / "own", tmp_path / "own" / "app.db"
    folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        if used == "with a log":
            db.execute("PRAGMA journal_mode=WAL").fetchone()
        db.executescript(_OTHERS[what])
        if used == "closed":
            db.close()
        elif used != "with a log":  # which is all that holds its tables, as long as it is open
            db.executescript("BEGIN; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; CREATE TABLE more (id)")
            db.execute("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO more SELECT randomblob(999) FROM n")
        if used == "killed in a transaction":  # its journal is hot: whoever opens it to write would roll it back
            assert path.with_name("app.db-journal").stat().st_size > 0
            shutil.copytree(folder, tmp_path / "killed")
            path = tmp_path / "killed" / "app.db"
            (tmp_path / "killed").chmod(0o700)
        path.chmod(0o644)
        before = _state(path)
        said = "failed: .*" if what == "names that are no text" else "is a database of another program"
        with pytest.raises(snakepit.SessionStoreError, match=rf"app\.db {said}"):
            snakepit.SQLiteSessionStore(path)
        assert _state(path) == before


_OTHER_HOST = """
import sys
from snakepit import SQLiteSessionStore
store = SQLiteSessionStore(sys.argv[1])
print(*(info.id for info in store.sessions()))
store.close()
"""


def _another_host_finds(path: pathlib.Path) -> str:
    return subprocess.run([sys.executable, "-c", _OTHER_HOST, str(path)], capture_output=True, text=True, check=True).stdout.strip()


def test_another_host_that_comes_and_goes_takes_nothing_away(tmp_path: pathlib.Path) -> None:
    """Two pools of one process share a file, and a host beside them opens and closes it: what is kept from then on is kept."""
    path = tmp_path / "own" / "sessions.db"
    with contextlib.closing(snakepit.SQLiteSessionStore(path)) as one, contextlib.closing(snakepit.SQLiteSessionStore(path)) as two:
        one.open("a", ttl=60.0, metadata=None)
        assert _another_host_finds(path) == "a"
        two.open("b", ttl=60.0, metadata=None)
        assert _another_host_finds(path) == "a b"
        with contextlib.closing(snakepit.SQLiteSessionStore(path)):
            pass
        one.open("c", ttl=60.0, metadata=None)
        assert _another_host_finds(path) == "a b c"


def test_a_log_that_is_removed_is_noticed(tmp_path: pathlib.Path) -> None:
    """It holds the newest sessions: nothing is said to have been kept in one that nobody will find."""
    path = tmp_path / "own" / "sessions.db"
    with contextlib.closing(snakepit.SQLiteSessionStore(path)) as store:
        store.open("a", ttl=60.0, metadata=None)
        path.with_name("sessions.db-wal").unlink()
        with pytest.raises(snakepit.SessionStoreError, match="was removed or replaced while it was open"):
            store.open("b", ttl=60.0, metadata=None)


def test_a_file_with_two_names_is_refused(tmp_path: pathlib.Path) -> None:
    """Its other name may lie where others can enter."""
    tmp_path.chmod(0o700)
    (tmp_path / "sessions.db").touch()
    (tmp_path / "other.db").hardlink_to(tmp_path / "sessions.db")
    with pytest.raises(snakepit.SessionStoreError, match="has another name too"):
        snakepit.SQLiteSessionStore(tmp_path / "sessions.db")


def _told(act: Callable[[], object]) -> str:
    """All that a refused url shows of itself, with what its error was made of."""
    with pytest.raises(snakepit.ConfigurationError, match="session_store is") as caught:
        act()
    told, error = [f"{caught.value.details} {caught.value.hint}"], caught.value
    while error is not None:  # their lines of source, which are the tests', aside
        told += traceback.format_exception_only(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return "".join(told)


_NO_URLS = [
    "redis:/u:hunter2@h/0",
    "redis//u:hunter2@h/0",
    "redis//hunter2@h",
    "redis/hunter2@h",
    "redis//u:hun/hunter2@h",
    "redis//u:hun@hunter2@h:1/0",
    "redis//u:hun hunter2@h",
    "redis:/:hunter2@h",
    "rediss:hunter2@h",
    "u:hunter2@h",
    "hunter2@h",
    "hunter2:@h",
    "redis:/h?password=hunter2",
    "Redis://u:hunter2@h",
    " redis://u:hunter2@h",
    "postgres://u:hunter2@h/0",
    "sqlite:u:hunter2@h",
]


@pytest.mark.parametrize("url", _NO_URLS)
def test_a_url_that_is_none_shows_no_password(url: str) -> None:
    """A typo is shown without what it gives away."""
    assert "hunter2" not in _told(lambda: snakepit.Pool(session_store=url))


@pytest.mark.parametrize("url", ["redis:/u:hunter2@h/0", "redis//h:1/0", "postgres://u:hunter2@h:1/0"])
def test_the_rest_of_it_is_shown(url: str) -> None:
    """The scheme and the host, where the typo is looked for."""
    shown = url.replace("u:hunter2", "***")
    with pytest.raises(snakepit.ConfigurationError, match=f"session_store is '{re.escape(shown)}'"):
        snakepit.Pool(session_store=url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:hunter2@h:port",
        "redis://u:hunter2#x@h:6379",
        "redis://u:hunter2/x@h:6379",
        "redis://u:1/hunter2@h",
        "redis://hunter2/x@h:6379",
        "redis://u:1?hunter2@h",
        "redis://u:hunter2@[h",
        "redis://127.0.0.1:1/0?password=hunter2&unknown=1",
        "redis://u:hunter2@127.0.0.1:99999",
    ],
)
def test_a_url_that_redis_cannot_read_shows_nothing(url: str) -> None:
    """Neither do the errors behind that: they quote a part of the password as a port. The cure is named."""
    shown = _told(lambda: snakepit.RedisSessionStore(url))
    assert "hunter2" not in shown
    assert "%23" in shown


def test_what_a_pool_was_told_is_not_shown() -> None:
    """A picture of the settings, in a debugger or a traceback, has no password."""
    assert "hunter2" not in repr(snakepit.Pool(session_store="redis://u:hunter2@h/0")._config)
