"""Where calls wait: in the line for any worker, in the line of one worker, or behind the call that finds their session a worker.

Plain state, owned by the Scheduler, who decides whose turn it is. A call keeps its turn wherever it is moved to. Which worker a
session sticks to is known here, because that says where its calls wait.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from .turns import Turns


@dataclasses.dataclass(slots=True)
class Line:
    """Calls that wait for the same: for any worker, or for one."""

    unary: Turns[int] = dataclasses.field(default_factory=Turns)
    streams: Turns[int] = dataclasses.field(default_factory=Turns)
    _length: int = 0

    def __len__(self) -> int:
        return self._length

    def first(self, *, streams_too: bool) -> tuple[int, int] | None:
        """(the call that came first, its turn), among those that may be served now."""
        if not self._length:
            return None
        unary = self.unary.first()
        if not streams_too or (stream := self.streams.first()) is None:
            return unary
        return stream if unary is None or stream[1] < unary[1] else unary

    def put(self, call_id: int, turn: int, *, streaming: bool) -> None:
        """Add a call at the place of its turn."""
        (self.streams if streaming else self.unary).put(call_id, turn)
        self._length += 1

    def take(self, call_id: int) -> tuple[int, bool] | None:
        """Take a call out: (its turn, is it a stream?); None if it is not here."""
        for queue, streaming in ((self.unary, False), (self.streams, True)):
            turn = queue.pop(call_id)
            if turn is not None:
                self._length -= 1
                return turn, streaming
        return None

    def items(self) -> list[tuple[int, int]]:
        """All calls with their turns, in their order."""
        return sorted([*self.unary.items(), *self.streams.items()], key=lambda item: item[1])


class Wish(NamedTuple):
    """What a call of a session wants. `strict`: its session's worker and no other."""

    session: str
    strict: bool
    streaming: bool


class WaitingRoom:
    """All waiting calls of a pool, and the sessions that they belong to.

    Args:
        line_changed: told the id of each worker in whose own line a call begins to wait, or waits no more though it was not taken.

    Attributes:
        anybody: the line for any worker.
    """

    def __init__(self, line_changed: Callable[[str], None]) -> None:
        self._line_changed = line_changed
        self.anybody = Line()
        # The mutable state.
        self._lines: dict[str, Line] = {}  # of one worker each, while anybody waits there
        self._turn = 0
        self._turns: dict[int, int] = {}  # of stranded calls, which keep their place
        self._wishes: dict[int, Wish] = {}  # of waiting and stranded calls of sessions
        self._bound: dict[str, str] = {}  # session -> worker
        self._sessions: dict[str, dict[str, None]] = {}  # and back
        self._leaders: dict[str, int] = {}  # session without a worker -> its strict call that will bind it
        self._followers: dict[str, Turns[int]] = {}  # and those that then want the same worker
        self._in_line: dict[str, set[int]] = {}  # session -> its calls in the line of its worker
        self._strict: dict[str, int] = {}  # session -> how many strict calls of it wait or run
        self._away: dict[int, Wish] = {}  # of strict calls that were sent ahead to their session's worker, until they have ended
        self._pinned: set[str] = set()  # sessions whose hint calls may wait in their worker's line, because of those
        self._elsewhere = 0  # calls that wait for one worker, or for their leader

    def __len__(self) -> int:
        return len(self.anybody) + self._elsewhere

    # Calls --------------------------------------------------------------------------------------------------------------------

    def enter(self, call_id: int, *, streaming: bool, session: str = "", strict: bool = False) -> None:
        """A call begins to wait, behind all others."""
        self._turn += 1
        if session:
            self._wishes[call_id] = Wish(session, strict, streaming)
            if strict:
                self._strict[session] = self._strict.get(session, 0) + 1
            self._place(call_id, self._turn)
        else:
            self.anybody.put(call_id, self._turn, streaming=streaming)

    def enter_again(self, call_id: int) -> None:
        """A stranded call waits again, at the place of its turn."""
        self._place(call_id, self._turns.pop(call_id))

    def take(self, call_id: int, worker_id: str) -> tuple[Wish | None, bool]:
        """A call is served, from the line of a worker or (empty) the line for any: (its wish, is it a stream?)."""
        wish = self._wishes.pop(call_id, None)
        found = self._take_from(worker_id, call_id, wish.session) if worker_id and wish is not None else self.anybody.take(call_id)
        assert found is not None, "it was the first of that line"
        return wish, found[1]

    def leave(self, call_id: int) -> bool:
        """A waiting or stranded call is given up; False if it is neither."""
        stranded = self._turns.pop(call_id, None) is not None
        wish = self._wishes.pop(call_id, None)
        found = stranded or self.anybody.take(call_id) is not None
        if wish is None:
            return found
        if self._leaders.get(wish.session) == call_id:
            self._next_leader(wish.session)
        elif not found:
            followers = self._followers.get(wish.session)
            if followers is None or followers.pop(call_id) is None:
                self._take_from(self._bound[wish.session], call_id, wish.session)
                self._line_changed(self._bound[wish.session])
            else:
                self._elsewhere -= 1
                if not followers:
                    del self._followers[wish.session]
        if wish.strict:
            self.strict_ended(wish.session)
        return True

    def first_for(self, worker_id: str, *, streams_too: bool) -> tuple[int, int] | None:
        """(the call that has waited longest for this worker alone, its turn), among those that may be served now."""
        line = self._lines.get(worker_id)
        return line.first(streams_too=streams_too) if line is not None else None

    def line_of(self, worker_id: str) -> Line | None:
        """What waits for this worker alone, for looking at; None: nothing."""
        return self._lines.get(worker_id)

    def waits_for(self, worker_id: str) -> bool:
        """Does a call wait for this worker alone?"""
        return worker_id in self._lines

    def pin(self, call_id: int) -> bool:
        """Let a call that would take any worker wait for its session's own: while strict calls need that, it must not move it.

        It is asked when its turn has come, not when it enters: most calls are served at once. False: it may go anywhere.
        """
        wish = self._wishes.get(call_id)
        if wish is None or wish.strict or wish.session not in self._strict or wish.session not in self._bound:
            return False
        found = self.anybody.take(call_id)
        assert found is not None, "only calls that would take any worker are pinned"
        self._pinned.add(wish.session)
        self._line_up(self._bound[wish.session], call_id, found[0], streaming=wish.streaming)
        return True

    def strict_ended(self, session: str) -> None:
        """One strict call fewer. After the last, hint calls that waited with them may go anywhere."""
        self._strict[session] -= 1
        if not self._strict[session]:
            del self._strict[session]
            if session in self._pinned:
                self._pinned.remove(session)
                self._spread(session, self._bound.get(session, ""))

    # Strict calls that are sent ahead to their session's worker --------------------------------------------------------------------

    def is_of_session(self, call_id: int) -> bool:
        """Is a call that waits here of a session?"""
        return call_id in self._wishes

    def send_ahead(self, call_id: int, line: str) -> bool:
        """A call is sent ahead, from the line of its worker or (empty) that for any. Is it of a session?"""
        wish, _ = self.take(call_id, line)
        if wish is not None:
            self._away[call_id] = wish
        return wish is not None

    def session_away(self, call_id: int) -> str:
        """The session of one that was; empty: it is of none."""
        return self._away[call_id].session if call_id in self._away else ""

    def taken_back(self, call_id: int, turn: int) -> None:
        """It does not run there, and waits here, in its turn."""
        wish = self._away.pop(call_id, None)
        if wish is None:
            self.anybody.put(call_id, turn, streaming=False)
        else:
            self._wishes[call_id] = wish
            self._place(call_id, turn)

    def ended_there(self, call_id: int) -> str:
        """It has ended, or is lost: its session, of which it was a strict call; empty: it is of none."""
        wish = self._away.pop(call_id, None)
        return wish.session if wish is not None else ""

    # Sessions and their workers -------------------------------------------------------------------------------------------------

    def bound_to(self, session: str) -> str:
        """The worker that a session sticks to; empty if none."""
        return self._bound.get(session, "")

    def is_led(self, session: str) -> bool:
        """Is a strict call about to find this session a worker?"""
        return session in self._leaders

    def is_strict(self, session: str) -> bool:
        """Do strict calls of this session wait or run, so that no call may move it?"""
        return session in self._strict

    def bind(self, session: str, worker_id: str) -> str:
        """A session sticks to this worker from now on; the worker that it leaves for it, or empty."""
        before = self._bound.get(session, "")
        if before == worker_id:
            return ""
        self.unbind(session)
        self._bound[session] = worker_id
        self._sessions.setdefault(worker_id, {})[session] = None
        leader = self._leaders.pop(session, None)
        followers = self._followers.pop(session, None)
        waiting = followers.items() if followers is not None else []
        self._elsewhere -= len(waiting)
        found = self.anybody.take(leader) if leader is not None else None
        if leader is not None and found is not None:  # a hint call bound it first: the leader is for this worker too now
            waiting = [(leader, found[0]), *waiting]
        for call_id, turn in waiting:
            self._place(call_id, turn)
        return before

    def unbind(self, session: str) -> None:
        """A session sticks to no worker any more. Its calls that waited for its worker wait for any."""
        worker_id = self._bound.pop(session, "")
        if worker_id:
            sessions = self._sessions[worker_id]
            del sessions[session]
            if not sessions:
                del self._sessions[worker_id]
            self._spread(session, worker_id)

    def strand(self, worker_id: str) -> tuple[list[int], list[str]]:
        """A worker takes no calls any more: (those that waited for it alone, in their order, the sessions that stuck to it)."""
        stranded = self._lines.pop(worker_id, Line()).items()
        for call_id, _ in stranded:
            self._in_line.pop(self._wishes[call_id].session, None)
        self._elsewhere -= len(stranded)
        self._turns.update(stranded)
        lost = list(self._sessions.pop(worker_id, ()))
        for session in lost:
            del self._bound[session]
        return [call_id for call_id, _ in stranded], lost

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _place(self, call_id: int, turn: int) -> None:
        """Put a session's call where it has to wait."""
        session, strict, streaming = self._wishes[call_id]
        bound = self._bound.get(session)
        if strict and bound is not None:
            self._line_up(bound, call_id, turn, streaming=streaming)
        elif strict and self._leaders.setdefault(session, call_id) != call_id:
            self._elsewhere += 1
            self._followers.setdefault(session, Turns()).put(call_id, turn)
        else:
            self.anybody.put(call_id, turn, streaming=streaming)

    def _line_up(self, worker_id: str, call_id: int, turn: int, *, streaming: bool) -> None:
        self._elsewhere += 1
        self._lines.setdefault(worker_id, Line()).put(call_id, turn, streaming=streaming)
        self._in_line.setdefault(self._wishes[call_id].session, set()).add(call_id)
        self._line_changed(worker_id)

    def _take_from(self, worker_id: str, call_id: int, session: str) -> tuple[int, bool]:
        line, mine = self._lines[worker_id], self._in_line[session]
        found = line.take(call_id)
        assert found is not None, "its session is bound to this worker"
        self._elsewhere -= 1
        mine.remove(call_id)
        if not mine:
            del self._in_line[session]
        if not line:
            del self._lines[worker_id]
        return found

    def _spread(self, session: str, worker_id: str) -> None:
        """Place a session's calls of its worker's line anew."""
        mine = tuple(self._in_line.get(session, ()))
        turns = [(self._take_from(worker_id, call_id, session)[0], call_id) for call_id in mine]
        if turns:
            self._line_changed(worker_id)
        for turn, call_id in sorted(turns):  # the oldest first: it leads, if they are strict
            self._place(call_id, turn)

    def _next_leader(self, session: str) -> None:
        del self._leaders[session]
        followers = self._followers.get(session)
        first = followers.first() if followers is not None else None
        if followers is not None and first is not None:
            followers.pop(first[0])
            self._elsewhere -= 1
            if not followers:
                del self._followers[session]
            self._place(*first)
