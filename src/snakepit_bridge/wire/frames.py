"""The frame vocabulary: every kind, its fields, and the messages a reader turns frames into.

A frame is an array `[kind, call_id, ...]`; `call_id` is 0 where a frame is about no call. Kinds keep their numbers for
ever; an unknown kind is ignored with one warning, so either side can be newer.

    host to worker                                   worker to host
    CALL    id, tool, args, options                  HOST_CALL id, host tool, args, options
    CALLS   0, tool, numbers, args of each, options
    PING    0, token                                 HELLO    0, info
    DRAIN   0                                        PROGRESS id, payload
    END_SESSION 0, session id, reason                PONG     0, token
    LOOK     0, token                                STACKS   0, token, text
    TELEMETRY 0, settings                            EVENTS   0, events, dropped
    MORE_EVENTS 0                                    NO_EVENTS 0, reason
    SETUP    0, settings                             SHARED   0, what is shared
    RECALL   0, numbers of calls
                                                     BYE      0, reason
                                                     STALLED  id, info
    about a call, from who asked                     about a call, from who answers
    CANCEL  id, reason                               CHUNK    id, first sequence, payloads, bytes, extra
    CREDIT  id, chunks, bytes                        RESULT   id, value, metadata
                                                     ERROR    id, info
    both ways
    PIECE   id, last?, part of an encoded frame; an empty one that is not the last: forget the parts so far
    ATTACHED id, table, encoded frame: its attachments follow, or lie in shared memory, see `attachments`
    RETURNED 0, numbers: leases of shared memory that are no longer looked at

Either side asks, and is answered by the same kinds: the ids that a worker gives to its calls of host tools begin at
`HOST_CALL_BASE`, those of the host stay below. An event is `[name, measurements, metadata, seconds since the epoch, correlation id]`;
`dropped` counts those lost since the beginning. CALLS: as many calls, with the same options; their correlation ids are the option `cid`
and their numbers. RECALL: the host has the tickets of those calls again, see `shared.tickets`, and has perhaps had others for a
moment. After EVENTS a worker waits for MORE_EVENTS before it sends any again.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Union

PROTOCOL_VERSION = 1

CALL, CANCEL, CREDIT, PING, DRAIN, END_SESSION, LOOK, TELEMETRY, MORE_EVENTS, SETUP, RECALL = 1, 2, 4, 6, 7, 9, 10, 11, 12, 13, 14
CALLS = 15
HELLO, CHUNK, RESULT, ERROR, PROGRESS, HOST_CALL, EVENTS, PONG, BYE, STALLED, STACKS, NO_EVENTS = (
    20,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
    31,
    32,
    33,
)
SHARED = 34
PIECE, ATTACHED, RETURNED = 40, 41, 43
#: Not a frame: what traces and faults call a message that is part of an attachment.
PART = 42

HOST_CALL_BASE = 2**40

#: No frame leaves in parts larger than this (bytes): a cancel or a ping never waits for more than one of them per call.
PIECE_BYTES = 256 * 1024


class Window(NamedTuple):
    """How far a stream may run ahead of its consumer. One chunk larger than `bytes` may pass when nothing else is on its way."""

    chunks: int = 1024
    bytes: int = 4 * 1024 * 1024


# What a reader hands on ------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """The host asks for one run of a tool."""

    call_id: int
    tool: str
    args: Dict[str, Any]
    options: Dict[str, Any]


class Calls(NamedTuple):
    """The host asks for one run of a tool for each of these arguments; they are sent ahead, and each is a call by itself."""

    tool: str
    numbers: List[int]
    args: List[Dict[str, Any]]
    options: Dict[str, Any]


class HostCall(NamedTuple):
    """A tool asks for one run of a host tool. `args`: `{"args": [...], "kwargs": {...}}`; `options["parent"]`: the tool's own call."""

    call_id: int
    name: str
    args: Dict[str, Any]
    options: Dict[str, Any]


class Cancel(NamedTuple):
    """Who asked has no more use for a call."""

    call_id: int
    reason: str


class Credit(NamedTuple):
    """A stream may go on; its credit is already booked."""

    call_id: int


class Drain(NamedTuple):
    """No further calls will come; finish and leave."""


class EndSession(NamedTuple):
    """A session is over, or its state here is out of date: what it left here may go."""

    session_id: str
    reason: str


class Look(NamedTuple):
    """Where are this worker's threads? A `Stacks` answers."""

    token: int


class Telemetry(NamedTuple):
    """Which events the host wants from now on; `EventFilter.read` reads it."""

    settings: Dict[str, Any]


class Setup(NamedTuple):
    """What the host would have this worker's end of the channel do; see `shared.store`."""

    settings: Dict[str, Any]


class Recall(NamedTuple):
    """Calls that had been sent ahead do not run here; of others the tickets may have been away for a moment."""

    numbers: List[Any]


class Shared(NamedTuple):
    """What the worker says of shared memory; see `shared.store`."""

    info: Dict[str, Any]


class Events(NamedTuple):
    """Telemetry events, oldest first; `dropped`: how many were lost since the beginning."""

    events: List[Any]
    dropped: int


class NoEvents(NamedTuple):
    """Why events do not come from here; empty: they do."""

    reason: str


class Hello(NamedTuple):
    """A worker introduces itself."""

    info: Dict[str, Any]


class Chunks(NamedTuple):
    """Consecutive chunks of one stream. `extra` (flags and metadata) belongs to the last of them."""

    call_id: int
    first: int
    payloads: List[Any]
    nbytes: int
    extra: Optional[Dict[str, Any]]


class Result(NamedTuple):
    """A call has ended well."""

    call_id: int
    value: Any
    metadata: Dict[str, Any]


class Failure(NamedTuple):
    """A call has ended with an error."""

    call_id: int
    info: Dict[str, Any]


class Progress(NamedTuple):
    """A unary call says how far it is."""

    call_id: int
    payload: Dict[str, Any]


class Pong(NamedTuple):
    """The other side is alive."""

    token: int


class Stacks(NamedTuple):
    """Where a worker's threads are, as `faulthandler` writes it."""

    token: int
    text: str


class Stalled(NamedTuple):
    """A call hangs: `info["where"]`, for `info["seconds"]`; `info["stacks"]`: where all threads are.

    Only told of calls whose options have `hang_timeout`.
    """

    call_id: int
    info: Dict[str, Any]


class Bye(NamedTuple):
    """The worker leaves of its own will."""

    reason: str


class Fault(NamedTuple):
    """The other side sent something that is not the protocol. Nothing more will be read from it."""

    reason: str


class Unknown(NamedTuple):
    """A frame of a kind this version does not know; reported once per kind."""

    kind: Any


HostEvent = Union[
    Hello, Chunks, Result, Failure, Progress, HostCall, Cancel, Credit, Pong, Stacks, Stalled, Events, NoEvents, Shared, Bye, Fault, Unknown
]
WorkerEvent = Union[Call, Calls, Cancel, Credit, Chunks, Result, Failure, Drain, EndSession, Look, Telemetry, Setup, Recall, Fault, Unknown]
