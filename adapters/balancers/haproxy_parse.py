"""Turns HAProxy's `show servers state` and `show stat` into Server values, in slices, reusing what did not change.

Columns: HAProxy management guide, section 9.1 "CSV format", and 9.3 "show servers state". All columns but those of
the agent come before those that may have quoted text, so a plain split is exact.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from time import perf_counter
from typing import NamedTuple

from adapters.balancers.haproxy_rows import STATE_HEADER, StateRow, key_of, row_of
from adapters.balancers.haproxy_state import PresentRows
from state.errors import ReadFailure, Trouble
from state.world.balancer_parts import Server

STAT_HEADER = (
    b"# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,"
    b"act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
    b"check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,"
)
UNRESOLVED = 0x20
MAINTENANCE = 0x01 | 0x02 | UNRESOLVED
"""Forced, inherited, and no address known. Not 0x04: it says that the configuration had the server disabled, and stays
after it was made ready."""
DRAIN = 0x08 | 0x10
STOPPED, STOPPING = 0, 3
FRONTEND_ROW, BACKEND_ROW = b"0", b"1"
"""The types of the rows of a frontend and of a whole backend; a server's is 2."""
WHOLE = (b",BACKEND,", b",FRONTEND,")
"""How the second column of such a row begins; a server may have the same name."""
FIRST = "INI"
UNCHECKED = ("", FIRST, "UNK")
"""Check statuses of a server that no health check has answered for: there is none, or its first is under way."""
GOING_DOWN = "UP "
"""How the status of a server begins that is up though its last check failed: `UP 2/3`, else `UP` alone."""
AGENT_SAID = "via agent : "
ANSWERED = ("L7OK", "L7STS")
"""Of an agent's statuses those that are a word of its own: up, and down. Silence, half an answer and a refused
connection are none (`L7TOUT`, `L7RSP`, `L4CON`): HAProxy lets them change nothing."""
STILL_DOWN = "it said down, and has not said up since"
CHECK_CODE, CHECK_TOOK, CHECK_WORDS, AGENT_WORDS, AGENT_STATUS = 37, 38, 56, 57, 62
"""Columns of the last check's code, milliseconds and words, of what the agent said last, and of the kind of its last
answer."""
LAST_CHANGE = 23
"""Column of the seconds since the server went up or down."""
FIRST_ROUND = 60.0
"""Seconds of a process after which each check is taken to have answered in it: what a state file brought is told from
an answer only where the answer has a code, a duration or words, and one from nearby may have none of them."""
SLICE_SECONDS = 0.003
LOOK_EVERY = 128
SEGMENT = 256 << 10
LONGEST_LINE = 64 << 10
SOME = 10_000


class _CsvRow(NamedTuple):
    """A row of `show stat` cut into the parts that are used, between the columns that only count time.

    `head` ends before lastchg; `middle` runs from qlimit up to check_duration; `tail` are the answers counted by
    status class.
    """

    head: bytes
    middle: bytes
    tail: bytes
    key: str
    server: Server


class _Pace:
    """Lets other tasks run after every few milliseconds of parsing."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def pause(self) -> None:
        if perf_counter() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = perf_counter()


def _garbled(what: str) -> ReadFailure:
    return ReadFailure(Trouble.ERROR, f"HAProxy's answer cannot be read as {what}")


async def _lines(text: bytes, pace: _Pace) -> list[bytes]:
    """The lines that are not empty, split off segment by segment."""
    lines: list[bytes] = []
    start, end = 0, len(text)
    while start < end:
        cut = text.find(b"\n", start + SEGMENT)
        stop = end if cut < 0 else cut
        if stop - start > SEGMENT + LONGEST_LINE:
            raise ValueError("a line that is too long")
        lines += text[start:stop].split(b"\n")
        start = stop + 1
        await pace.pause()
    found: list[bytes] = []
    for place in range(0, len(lines), SOME):
        found += (line for line in lines[place : place + SOME] if line)
        await pace.pause()
    return found


class Intake:
    """Parses answer after answer of one balancer and remembers the last one.

    A server whose row did not change is the same object as before.
    """

    def __init__(self) -> None:
        self._state_heads: list[tuple[bytes, bytes]] = []
        self._states: dict[str, StateRow] = {}
        self._unlike: dict[str, StateRow] = {}
        self._rows: list[_CsvRow] = []
        self._servers: dict[str, Server] = {}
        self._backends: frozenset[str] = frozenset()
        self._alive = inf
        self.frontends: Mapping[str, str] = {}

    @property
    def empty(self) -> frozenset[str]:
        """The backends of the last answer that have no server."""
        if not self._backends:
            return self._backends
        return self._backends - {server.backend for server in self._servers.values()}

    @property
    def present(self) -> PresentRows:
        """The servers of the last answer as a state file has them."""
        return PresentRows(self._states, self._unlike, self._backends)

    def knows(self, key: str) -> bool:
        """Whether `backend/server` was in the last answer."""
        return key in self._servers

    async def take(self, states: bytes, stats: bytes, alive: float = inf) -> dict[str, Server]:
        """All servers keyed `backend/server`, in the balancer's order. `alive`: seconds that the process runs.

        Raises ReadFailure on anything unexpected.
        """
        self._alive = alive
        version, _, states = states.partition(b"\n")
        if version != b"1" or not states.startswith(STATE_HEADER):
            raise _garbled("`show servers state` (unknown version or columns)")
        if not stats.startswith(STAT_HEADER):
            raise _garbled("`show stat` (unknown columns)")
        pace = _Pace()
        try:
            touched = await self._take_states((await _lines(states, pace))[1:], pace)
            rows = await self._servers_of((await _lines(stats, pace))[1:], pace)
            changed = await self._take_stats(rows, touched, pace)
        except (IndexError, ValueError, UnicodeDecodeError) as error:
            self._state_heads, self._rows = [], []
            raise _garbled("a table of servers") from error
        except KeyError as error:
            self._state_heads, self._rows = [], []
            raise ReadFailure(Trouble.ERROR, f"HAProxy gave no state for server {error.args[0]}") from error
        if changed:
            self._servers = led({row.key: row.server for row in self._rows}, self._servers)
        return self._servers

    async def _take_states(self, lines: list[bytes], pace: _Pace) -> set[str]:
        """Bring the states up to date and return the keys of those that changed."""
        heads = self._state_heads
        if len(heads) != len(lines):
            heads, self._states, self._unlike = [(b"\n", b"")] * len(lines), {}, {}
        touched: set[str] = set()
        for place, line in enumerate(lines):
            before, after = heads[place]
            if not (line.startswith(before) and line.endswith(after)):
                fields = line.split(b" ")
                # Between the two: the time since the last change, and what the last check said.
                heads[place] = b" ".join(fields[:9]) + b" ", b" " + b" ".join(fields[13:])
                moved = before != b"\n" and before.split(b" ")[:4] != fields[:4]
                if fields[14] != b"0":  # it has an agent, which may be taken out at any time: read each time
                    heads[place] = heads[place][0], b"\n"
                if moved:
                    self._state_heads = []  # another set of servers: forget the old one
                    return await self._take_states(lines, pace)
                key = key_of(fields)
                row = self._states[key] = row_of(fields)
                if row.as_configured:
                    self._unlike.pop(key, None)
                else:
                    self._unlike[key] = row
                touched.add(key)
            if not place % LOOK_EVERY:
                await pace.pause()
        self._state_heads = heads
        return touched

    async def _servers_of(self, lines: list[bytes], pace: _Pace) -> list[bytes]:
        """The rows of servers; of the others the names of backends are kept, and the states of frontends."""
        servers: list[bytes] = []
        backends: set[str] = set()
        frontends: dict[str, str] = {}
        for place, line in enumerate(lines):
            fields = line.split(b",", 33) if line.startswith(WHOLE, line.find(b",")) else None
            if fields is not None and fields[32] == BACKEND_ROW:
                backends.add(fields[0].decode())
            elif fields is not None and fields[32] == FRONTEND_ROW:
                frontends[fields[0].decode()] = fields[17].decode()
            else:
                servers.append(line)
            if not place % LOOK_EVERY:
                await pace.pause()
        if backends != self._backends:
            self._backends = frozenset(backends)
        if frontends != self.frontends:
            self.frontends = frontends
        return servers

    @property
    def listens(self) -> frozenset[str]:
        """The names that are a frontend and a backend."""
        return frozenset(self._backends & self.frontends.keys())

    async def _take_stats(self, lines: list[bytes], touched: set[str], pace: _Pace) -> bool:
        old = self._rows
        changed = len(old) != len(lines)
        rows: list[_CsvRow] = []
        for place, line in enumerate(lines):
            if not place % LOOK_EVERY:
                await pace.pause()
            if place < len(old):
                row = old[place]
                if row.key not in touched and _same(line, row):
                    rows.append(row)
                    continue
            rows.append(self._parse(line))
            changed = True
        self._rows = rows
        return changed

    def _parse(self, line: bytes) -> _CsvRow:
        parts = line.split(b",", 44)
        backend, name, status, check = (parts[i].decode() for i in (0, 1, 17, 36))
        key = f"{backend}/{name}"
        state = self._states[key]
        check = check.removeprefix("* ")  # so it is written while the next check is under way
        agent_answered, agent_says = _agent(line) if state.agent else (False, "")
        if restored := _restored(line, parts, self._alive):
            check = FIRST
        server = Server(
            backend=backend,
            name=name,
            address=state.address,
            status=status,
            weight=state.weight,
            configured_weight=state.configured,
            drained=bool(state.admin & DRAIN) or state.operational == STOPPING,
            maintenance=bool(state.admin & MAINTENANCE),
            up=state.operational != STOPPED,
            sessions=int(parts[4] or 0),
            queued=int(parts[2] or 0),
            check=check,
            requests=int(parts[7] or 0),
            errors_5xx=int(parts[43] or 0),
            agent=state.agent,
            aside=state.operational == STOPPING and not state.admin & DRAIN,
            agent_says=agent_says,
            backup=parts[20] == b"1",
            checked=check not in UNCHECKED or agent_answered,
            follows=parts[31].decode(),
            unresolved=bool(state.admin & UNRESOLVED),
            throttle=int(parts[29] or 100),
            check_off=state.check_off,
            failing=status.startswith(GOING_DOWN),
        )
        if (known := self._servers.get(key)) == server:
            server = known
        if state.agent or restored:  # what tells more stands behind what is compared: read each time
            return _CsvRow(b"\n", b"", b"", key, server)
        head = b",".join(parts[:23]) + b","
        middle = b"," + b",".join(parts[25:38]) + b","
        tail = b"," + b",".join(parts[39:44]) + b","
        return _CsvRow(head, middle, tail, key, server)


def _restored(line: bytes, parts: list[bytes], alive: float) -> bool:
    """Whether what the row says of a check may come from a state file, and not from a check of this process.

    HAProxy takes over the status of checks and the time of the last change (`load-server-state-from-file`): a change
    before the process began is not its own. Code, duration and words of a check are never taken over.
    """
    if alive >= FIRST_ROUND or int(parts[LAST_CHANGE] or 0) <= alive + 1:
        return False
    if not parts[36] or parts[CHECK_CODE] not in (b"", b"0") or parts[CHECK_TOOK] not in (b"", b"0"):
        return False
    fields = next(csv.reader([line.decode("utf-8", "replace")]), [])
    return len(fields) <= CHECK_WORDS or not fields[CHECK_WORDS]


def led(servers: dict[str, Server], before: dict[str, Server]) -> dict[str, Server]:
    """Servers that follow another one are checked by its check; those that are as before are the same objects."""
    for key, server in servers.items():
        if server.follows:
            leader = _leader(server, servers)
            followed = replace(server, checked=leader.checked, failing=server.up and leader.failing)
            servers[key] = known if (known := before.get(key)) == followed else followed
    return servers


def _leader(server: Server, servers: dict[str, Server]) -> Server:
    """The server at the end of a chain of followers."""
    seen: set[str] = set()
    while server.follows in servers and server.follows not in seen:
        seen.add(server.follows)
        server = servers[server.follows]
    return server


def _agent(line: bytes) -> tuple[bool, str]:
    """Whether the agent of a server has answered, and its words where it holds the server out of rotation.

    An agent that does not answer changes nothing (HAProxy configuration manual, `agent-check`).
    """
    fields = next(csv.reader([line.decode("utf-8", "replace")]), [])
    status = fields[AGENT_STATUS].removeprefix("* ") if len(fields) > AGENT_STATUS else ""
    down = len(fields) > 17 and fields[17].startswith("DOWN (agent)")  # of a drain by hand it says "(agent)" too
    if not status.startswith(ANSWERED):
        return False, STILL_DOWN if down else ""
    words = fields[AGENT_WORDS].removeprefix(AGENT_SAID).strip()
    _, bracket, reason = words.partition(" (")
    return True, ((reason.removesuffix(")") if bracket else words) or status) if down else ""


def _same(line: bytes, row: _CsvRow) -> bool:
    """Whether a row has the same values as before, apart from lastchg, downtime and check_duration."""
    head, middle, tail, _, _ = row
    if not line.startswith(head):
        return False
    place = line.find(b",", line.find(b",", len(head)) + 1)
    if not line.startswith(middle, place):
        return False
    return line.startswith(tail, line.find(b",", place + len(middle)))
