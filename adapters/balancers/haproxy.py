"""HAProxy through its runtime API (2.6 and newer): reads everything, sets weights and states.

A successful command has an empty answer, and run-time changes are lost at a reload: a receipt proves nothing and the
caller reads back. Reading needs a socket at level `user`, changing one at level `admin`.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shlex
import time
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from adapters.balancers import haproxy_maps, haproxy_socket, haproxy_tables
from adapters.balancers.haproxy_address import RuntimeApi, Socket, StatePath
from adapters.balancers.haproxy_keeper import StateKeeper
from adapters.balancers.haproxy_parse import Intake, led
from adapters.balancers.haproxy_process import (
    LOADING,
    LONGEST_INFO,
    alive,
    is_count,
    old_workers,
    parent_of,
    process_info,
    runs_here,
    text_of,
)
from adapters.context import AdapterContext
from adapters.net.tunnel import Tunnel
from state.config_files.findings import refuse
from state.errors import EffectRefused, ReadFailure, Trouble
from state.estate.entry import Seconds, TableName
from state.estate.model import BalancerEntry, HandStep
from state.estate.routes import MapFile
from state.ports.balancer import ServerState
from state.ports.target import Identity, Receipt, began
from state.world.balancer_parts import BalancerReading, SavedSettings, Server, StickTable

KIND = "haproxy"
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
"""HAProxy knows no limit; an estate, and `backend.route`, have this one."""
READ_ALL = ("show info", "show servers state", "show stat -1 7 -1")
"""The last one: frontends (1), backends (2) and servers (4)."""
STATES = ("ready", "drain", "maint")


class HaproxyOptions(BalancerEntry):
    """`socket`: an absolute path, host:port, or ssh://HOST/path; with `@1` behind it the master's socket.

    `maps`: the map files that lead to backends, as HAProxy's configuration names them.
    `stick_tables`: those whose entries are compared between balancers, as the check `sticky.kept` does.
    `hard_stop_after`: the setting of that name in HAProxy's configuration, after which a reload has no old process.
    `state_file`: the server-state file that its next process reads, written after each change; `{backend}` at its end
    stands for a backend's name, where each backend has its own. `config`: its configuration, a file or a folder, where
    this account does not see with which one its process was started; it tells who reads the state file.
    host:port is for loopback addresses, and for other machines with `waive.tls`: the protocol has no encryption.
    """

    maps: tuple[MapFile, ...] = ()
    hard_stop_after: Seconds | None = None
    config: StatePath | None = Field(default=None, examples=["/etc/haproxy/haproxy.cfg"])
    state_file: StatePath | None = Field(default=None, examples=["/var/lib/recovery/edge/state"])
    stick_tables: Annotated[tuple[TableName, ...], Field(max_length=8)] = ()
    socket: Socket = Field(examples=["/run/haproxy/admin.sock", "127.0.0.1:9999", "/run/haproxy-master.sock@1"])

    @property
    def through(self) -> Sequence[str]:
        host = RuntimeApi.of(self.socket).host
        return (host,) if host else ()

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if RuntimeApi.of(self.socket).plain else ()

    @model_validator(mode="after")
    def _encrypted_or_waived(self) -> HaproxyOptions:
        if self.goes_without and self.waive.tls is None:
            message = "a loopback address: the runtime API has no encryption (waive: {tls: the reason} allows it)"
            refuse(type(self), [(("socket",), self.socket, message)])
        return self

    @model_validator(mode="after")
    def _file_of_this_host(self) -> HaproxyOptions:
        api = RuntimeApi.of(self.socket)
        if self.state_file is not None and (api.host or api.plain):
            message = (
                "a balancer of this host, where the engine can write the file: leave it out, and let a command of the"
                " estate write it there as a step of the runbook (`show servers state` into the file)"
            )
            refuse(type(self), [(("state_file",), self.state_file, message)])
        return self

    def read_by_hand(self, backend: str) -> HandStep:
        return self._by_hand(super().read_by_hand(backend).what, f"show servers state {backend}", "show stat")

    def set_by_hand(self, backend: str, server: str, setting: str) -> HandStep:
        what = super().set_by_hand(backend, server, setting).what
        return self._by_hand(what, f"set server {backend}/{server} {setting}")

    def route_by_hand(self, name: str, key: str, value: str) -> HandStep:
        return self._by_hand(super().route_by_hand(name, key, value).what, f"set map {name} {key} {value}")

    def _by_hand(self, what: str, *commands: str) -> HandStep:
        api = RuntimeApi.of(self.socket)
        place = api.place if isinstance(api.place, str) else "tcp:{}:{}".format(*api.place)
        where = f"on {api.host}: " if api.host else ""
        sent = f"echo {shlex.quote(api.line(*commands).decode())} | socat stdio {shlex.quote(place)}"
        return HandStep(f"{where}{what}", sent)


OPTIONS = HaproxyOptions


class HAProxy:
    """One HAProxy process behind one socket; fulfils Balancer, KnowsTheWay, Forgets, CanSave, CanSetWeight,
    CanSetState, CanRoute and ActsAt."""

    forgets = "at a reload or restart, but for what its state file keeps"
    forgets_routes = "at a reload or restart"

    def __init__(
        self,
        name: str,
        socket: str,
        via: Tunnel | None = None,
        maps: Sequence[str] = (),
        hard_stop_after: float | None = None,
        tables: Sequence[str] = (),
        state_file: str | None = None,
        config: str | None = None,
    ) -> None:
        self.name, self._maps, self._ends, self._tables = name, tuple(maps), hard_stop_after, tuple(tables)
        self._api, self._via = RuntimeApi.of(socket), via
        self._keeper = StateKeeper(state_file, config or "", self._api, self.ask) if state_file else None
        self._intake = Intake()
        self._pid = self._listener = 0
        self._reading, self._acting = asyncio.Lock(), asyncio.Lock()  # never more than two connections

    def acts_at(self) -> tuple[str, ...]:
        """Its runtime API, and the file in which it is saved."""
        seen = self._api.seen_by_all("" if self._via is None else f"{self._via.name} ")
        return seen if self._keeper is None else (*seen, f"haproxy state {os.path.realpath(self._keeper.path)}")

    @property
    def saved(self) -> SavedSettings | None:
        """What was last read of its state file, None where it has none: fulfils CanSave."""
        return None if self._keeper is None else self._keeper.last

    async def save(self, backend: str, *, deadline: float) -> SavedSettings | None:
        """Write its state file and read it. Raises EffectRefused or EffectUnknown."""
        if self._keeper is None:
            return None
        return await self._keeper.save(backend, self._pid, deadline=deadline)

    async def ask(self, *commands: str, deadline: float) -> bytes:
        """One query at a time; waiting counts towards the deadline. Raises ReadFailure."""
        end = time.monotonic() + deadline
        if not await _taken(self._reading, deadline):
            raise ReadFailure(Trouble.TIMEOUT, f"HAProxy did not answer earlier queries within {deadline:g} s")
        try:
            place = await self._place(deadline)
            line, left = self._api.line(*commands), max(0.0, end - time.monotonic())
            return await haproxy_socket.read(place, line, left, last=self._api.at_master, heard=self._heard)
        except ReadFailure as failure:
            raise self._told(failure) from failure
        finally:
            self._reading.release()

    @property
    def direct(self) -> bool:
        """Whether HAProxy itself, or the master that started it, listens where commands go: fulfils KnowsTheWay."""
        pid = self._pid
        return bool(pid) and self._via is None and self._listener in (pid, parent_of(pid))

    def _leaving(self, info: dict[str, str]) -> int | None:
        """How many processes that a reload left behind serve on. Counted where HAProxy runs on this machine; elsewhere
        none does once the one that answers is older than they are let live."""
        local = self._via is None and isinstance(self._api.place, str)
        here = self.direct or (local and runs_here(self._pid, self._listener, alive(info)))
        found = old_workers(self._pid) if here else None
        gone = self._ends is not None and math.inf > alive(info) > self._ends + LOADING
        return 0 if found is None and gone else found

    def _heard(self, listener: int) -> None:
        self._listener = listener

    def _knows(self, info: dict[str, str]) -> dict[str, str]:
        self._pid = int(info["Pid"]) if is_count(info["Pid"]) else 0
        return info

    def _told(self, failure: ReadFailure) -> ReadFailure:
        """Behind a host, a socket that is not there looks like a connection that ends at once."""
        if self._via is None or failure.trouble not in (Trouble.EMPTY, Trouble.UNREACHABLE):
            return failure
        if failure.message.startswith(f"{self._via.name}: "):  # there is no way to the host itself
            return failure
        message = f"{self._via.name}: nothing answers at {self._api.place}, or this account may not open it there"
        return ReadFailure(Trouble.UNREACHABLE, message)

    async def _place(self, deadline: float) -> haproxy_socket.Address:
        """Where the socket is reached from here. Raises ReadFailure when the host between does not lead there."""
        if self._via is None or not isinstance(self._api.place, str):
            return self._api.place
        try:
            async with asyncio.timeout(deadline):
                return await self._via.forward(self._api.place)
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{self._via.name}: no way there within {deadline:g} s") from error

    async def identify(self, *, deadline: float) -> Identity:
        """Host, version and process (pid and start). Raises ReadFailure."""
        info = self._knows(process_info(await self.ask("show info", deadline=deadline)))
        return Identity(
            self.name,
            {
                "host": info.get("node", ""),
                "version": info["Version"],
                "process": info["Pid"],
                "started": began(float(info["Start_time_sec"])),
            },
        )

    async def read(self, *, deadline: float) -> BalancerReading:
        """The process and all its servers. Raises ReadFailure."""
        answer = await self.ask(*READ_ALL, deadline=deadline)
        first = answer.find(b"\n\n")
        second = answer.find(b"\n\n", first + 2)
        if first < 0 or second < 0 or first > LONGEST_INFO:
            raise ReadFailure(Trouble.ERROR, "HAProxy answered fewer commands than were sent")
        info = self._knows(process_info(answer[:first]))
        await asyncio.sleep(0)  # a large answer was just assembled: let other tasks run
        states, stats = answer[first + 2 : second].lstrip(b"\n"), answer[second + 2 :].lstrip(b"\n")
        servers = await self._intake.take(states, stats, alive(info))
        maps = await self._read_maps(deadline) if self._maps else {}
        keeper = self._keeper
        saved = None if keeper is None else await keeper.look(self._intake.present, self._pid, deadline=deadline)
        return BalancerReading(
            name=self.name,
            version=info["Version"],
            process=_process(info),
            started_at=float(info["Start_time_sec"]),
            servers=servers,
            empty=self._intake.empty,
            frontends=self._intake.frontends,
            listens=self._intake.listens,
            leaving=self._leaving(info),
            maps=maps,
            tables=await self._read_tables(deadline) if self._tables else {},
            saved=saved,
        )

    async def _read_maps(self, deadline: float) -> dict[str, tuple[tuple[str, str], ...]]:
        """The maps that can be read; one that cannot blinds nothing else."""
        end, found = time.monotonic() + deadline, dict[str, tuple[tuple[str, str], ...]]()
        for name in self._maps:
            try:
                found[name] = await self.read_map(name, deadline=max(0.0, end - time.monotonic()))
            except ReadFailure:
                continue
        return found

    async def _read_tables(self, deadline: float) -> dict[str, StickTable]:
        """The stick tables that can be read; a large one is counted only."""
        end, found = time.monotonic() + deadline, dict[str, StickTable]()
        try:
            sizes = haproxy_tables.used(await self.ask(haproxy_tables.LIST, deadline=deadline))
            for name in self._tables:
                if sizes.get(name, 0) > haproxy_tables.MOST:
                    found[name] = StickTable(sizes[name])
                elif name in sizes:
                    answer = await self.ask(haproxy_tables.show(name), deadline=max(0.0, end - time.monotonic()))
                    found[name] = haproxy_tables.entries(name, answer)
        except ReadFailure:
            return found
        return found

    async def read_backend(self, backend: str, *, deadline: float) -> tuple[Server, ...]:
        """The servers of one backend, read now. Raises ReadFailure, also when there is no such backend."""
        end, found, asked, missing = time.monotonic() + deadline, dict[str, Server](), set[str](), [backend]
        while missing:  # a follower is as its leader's check says, which may be of another backend
            asked.add(missing[0])
            found |= await self._servers_of(missing[0], max(0.0, end - time.monotonic()))
            leaders = {s.follows.partition("/")[0] for s in found.values() if s.follows}
            missing = sorted(leaders - asked)
        return tuple(server for server in led(found, {}).values() if server.backend == backend)

    async def _servers_of(self, backend: str, deadline: float) -> dict[str, Server]:
        """The servers of one backend by their keys, followers without what their leaders say. Raises ReadFailure."""
        if not NAME.fullmatch(backend):
            raise ReadFailure(Trouble.ERROR, f"{backend!r} is not a valid backend name")
        end = time.monotonic() + deadline
        told, _, states = (await self.ask("show info", f"show servers state {backend}", deadline=deadline)).partition(
            b"\n\n"
        )
        info, states = process_info(told), states.lstrip(b"\n")
        rows = states.splitlines()[2:3]
        if not states.startswith(b"1\n"):
            raise ReadFailure(Trouble.ERROR, f"HAProxy, asked for {backend}: {text_of(states)}")
        if not rows or not rows[0].strip():
            raise ReadFailure(Trouble.ERROR, f"HAProxy's backend {backend} has no server")
        number = (
            rows[0].split(b" ", 1)[0].decode("ascii", "replace")
        )  # a frontend may have the same name, not the number
        stats = await self.ask(f"show stat {number} 4 -1", deadline=max(0.0, end - time.monotonic()))
        servers = await Intake().take(states, stats, alive(info))
        if not servers:  # its servers have a state, and nobody counts what they get
            raise ReadFailure(Trouble.ERROR, f"HAProxy's backend {backend} is disabled in its configuration")
        return servers

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        """Set the absolute weight, 0 to 256. Raises EffectRefused or EffectUnknown."""
        if type(weight) is not int or not 0 <= weight <= 256:  # HAProxy would round
            raise EffectRefused(f"weight {weight} is no whole number from 0 to 256", "bad-weight")
        return await self._set(backend, server, f"weight {weight}", deadline)

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        """Take a server out (`drain`, `maint`) or back in (`ready`). Raises EffectRefused or EffectUnknown."""
        if state not in STATES:
            raise EffectRefused(f"{state!r} is not one of {', '.join(STATES)}", "bad-state")
        return await self._set(backend, server, f"state {state}", deadline)

    async def _target(self, backend: str, server: str, deadline: float) -> str:
        """`backend/server` for a command: valid names that the running process knows."""
        for name in (backend, server):
            if not NAME.fullmatch(name):
                raise EffectRefused(f"{name!r} is not a valid HAProxy name", "bad-name")
        key = f"{backend}/{server}"
        if self._intake.knows(key):
            return key
        try:
            servers = await self.read_backend(backend, deadline=deadline)
        except ReadFailure as error:
            raise EffectRefused(f"{key} could not be looked up: {error.message}", "unreachable") from error
        if server not in {each.name for each in servers}:
            raise EffectRefused(f"there is no server {key}", "no-such-server")
        return key

    async def read_map(self, name: str, *, deadline: float) -> tuple[tuple[str, str], ...]:
        """The entries of a map in memory, in its order. Raises ReadFailure, also when there is no such map."""
        return haproxy_maps.entries(name, await self.ask(haproxy_maps.show(name), deadline=deadline))

    async def look_up(self, name: str, key: str, *, deadline: float) -> str:
        """What HAProxy finds under a key, as it does for a request; empty when nothing. Raises ReadFailure."""
        return haproxy_maps.found(await self.ask(haproxy_maps.get(name, key), deadline=deadline))

    async def set_map(self, name: str, key: str, value: str, *, deadline: float) -> Receipt:
        """Set an entry that is there. Raises EffectRefused or EffectUnknown."""
        return await self._send(haproxy_maps.change(name, key, value), deadline)

    async def _set(self, backend: str, server: str, what: str, deadline: float) -> Receipt:
        began = time.monotonic()
        target = await self._target(backend, server, deadline)
        return await self._send(f"set server {target} {what}", deadline - (time.monotonic() - began))

    async def _send(self, command: str, deadline: float) -> Receipt:
        """One command, once. Raises EffectRefused or EffectUnknown."""
        began = time.monotonic()
        if not await _taken(self._acting, deadline - (time.monotonic() - began)):
            raise EffectRefused(f"HAProxy did not answer earlier commands within {deadline:g} s", "unreachable")
        try:
            place = await self._place(deadline - (time.monotonic() - began))
            left = deadline - (time.monotonic() - began)
            line = self._api.line(command)
            message = await haproxy_socket.act(place, line, left, last=self._api.at_master)
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        finally:
            self._acting.release()
        if message:
            raise EffectRefused(message, "denied" if message.startswith("Permission denied") else "refused")
        return Receipt("silent", "")


async def _taken(turn: asyncio.Lock, deadline: float) -> bool:
    """Acquire the lock; False when it is not free within the deadline."""
    if not turn.locked():
        return await turn.acquire()  # free: no timer needed
    try:
        async with asyncio.timeout(deadline):
            return await turn.acquire()
    except TimeoutError:
        return False


def _process(info: dict[str, str]) -> str:
    return f"{info['Pid']}@{info['Start_time_sec']}"


def build(name: str, options: HaproxyOptions, context: AdapterContext) -> HAProxy:
    """The adapter for one estate entry; connects to nothing yet."""
    via, tables = context.way(RuntimeApi.of(options.socket).host), options.stick_tables
    stop, state = options.hard_stop_after, options.state_file
    return HAProxy(name, options.socket, via, options.maps, stop, tables, state, options.config)
