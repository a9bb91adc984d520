"""A lane for generated plans: three HAProxy processes, a name server and an engine on them; what is there is observed
all the time, past every adapter's memory, and somebody else works on the same targets."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest

from adapters.context import AdapterContext
from adapters.dns import powerdns, rfc2136
from adapters.journals.memory import MemoryJournal
from state.engine.engine import Engine
from state.errors import ReadFailure, RecoveryError, Trouble
from state.estate.model import Polling
from state.planning.library import Library
from state.ports.outside import Outside
from state.ports.source import Source
from state.verdicts.traffic import state_word
from state.world.readings import Reading
from tests.contract.components import answers, listens, wait_for
from tests.contract.dns_zones import (
    BIND,
    RECORDS,
    SECRET,
    ZONE,
    api_acting,
    embedded,
    estate_of,
    foreign,
    keep_secret,
    options,
    zone_of,
)
from tests.contract.haproxy_sections import HEAD
from tests.contract.pdns import rrset, running_pdns
from tests.contract.test_change_sets import BEFORE, EDGES, POLL, Desk, Fleet, estate
from tests.support.ports import free_port
from tests.support.small_estate import BalancerSource, LoopClock

FLOOR = 2
ADDRESSES = ("10.1.0.10", "10.2.0.10", "10.3.0.10")
WELL = "frontend well\n  bind 127.0.0.1:{port}\n  http-request return status 200\n"
PATIENT = 20.0
"""Seconds for a look or a command of others: a busy machine is not what is tested here."""
LOOK = 0.03
"""Seconds between two looks of the observer."""


@contextmanager
def wellness(program: Path) -> Iterator[int]:
    """The port of a server that is always well; a process of its own, so that checks never wait for the tests."""
    place, port = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp")), free_port()
    (place / "h.cfg").write_text((HEAD + WELL).format(socket=place / "a.sock", port=port))
    argv: list[str | Path] = [program, "-db", "-f", place / "h.cfg"]
    process = subprocess.Popen(argv, env={}, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


class Edges(Fleet):
    """A fleet that can also be reloaded, and whose sockets can be taken away."""

    old: list[subprocess.Popen[bytes]]

    def reload(self, name: str) -> None:
        """A new process takes over from the old one, as an init script does it."""
        self.old = [*getattr(self, "old", []), self.processes[name]]
        argv: list[str | Path] = [
            self._program,
            "-db",
            "-f",
            self._folder / f"{name}.cfg",
            "-sf",
            str(self.processes[name].pid),
        ]
        self.processes[name] = subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.old[-1].poll() is not None and answers(self.socket(name)))

    def cut(self, name: str) -> None:
        os.rename(self.socket(name), f"{self.socket(name)}.away")

    def join(self, name: str) -> None:
        os.rename(f"{self.socket(name)}.away", self.socket(name))


class Names(Protocol):
    """A name server with `www`; others may set it, and it may be lost for a while."""

    port: int

    async def set_by_others(self, values: tuple[str, ...]) -> None: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


class Bind:
    """BIND with a dynamic zone; a killed one has its journal."""

    def __init__(self) -> None:
        self._root, self.port = Path(tempfile.mkdtemp(prefix="rc-dns-", dir="/tmp")), free_port()
        (self._root / "named.conf").write_text(BIND.format(root=self._root, port=self.port, key=SECRET))
        (self._root / "zone.db").write_text(RECORDS)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._root / "log").open("ab") as said:
            argv: list[str | Path] = ["/usr/sbin/named", "-g", "-c", self._root / "named.conf"]
            self._process = subprocess.Popen(argv, stdout=said, stderr=said)
        wait_for(lambda: listens(self.port))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def set_by_others(self, values: tuple[str, ...]) -> None:
        await foreign(self.port, ("delete", "www", "A"), *(("add", "www", "60", "A", each) for each in values))


class Embedded:
    """The laboratory's own server; it lives in this process and is not killed."""

    def __init__(self, port: int) -> None:
        self.port = port

    def start(self) -> None:
        return

    def kill(self) -> None:
        return

    async def set_by_others(self, values: tuple[str, ...]) -> None:
        await foreign(self.port, ("delete", "www", "A"), *(("add", "www", "60", "A", each) for each in values))


class Pdns:
    """PowerDNS, changed over its API by everybody."""

    def __init__(self, running: Any) -> None:
        self._running, self.port = running, running.port

    def start(self) -> None:
        self._running.start()

    def kill(self) -> None:
        self._running.kill()

    async def set_by_others(self, values: tuple[str, ...]) -> None:
        await asyncio.to_thread(self._running.patch, rrset("www", "A", 60, *values))


@dataclass
class Counted:
    """A source whose readings are counted: two polls are two readings, however slow the machine is."""

    source: Source
    begun: int = 0
    key: str = field(init=False)
    every: float = POLL
    deadline: float = 0.25
    limit: float = 1.0

    def __post_init__(self) -> None:
        self.key = self.source.key

    async def read(self) -> Reading:
        self.begun += 1
        return await self.source.read()

    async def close(self) -> None:
        await self.source.close()


@dataclass
class Lane:
    """Targets, an engine, and what was seen of the targets. `low` are observed states below the floor."""

    edges: Edges
    names: Names
    desk: Desk
    sources: dict[str, Counted]
    chance: random.Random
    low: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    looks: int = 0
    young: set[str] = field(default_factory=lambda: set(EDGES))

    async def observed(self) -> dict[str, str]:
        """Every weight, state and record, under the names that cards have for them."""
        found: dict[str, str] = {}
        for edge in EDGES:
            for s in await self.edges.balancers[edge].read_backend("web", deadline=PATIENT):
                found[f"{edge}/web/{s.name} weight"] = str(s.weight)
                found[f"{edge}/web/{s.name}"] = state_word(s)
        found[f"www.{ZONE} A"] = ", ".join(await self.addresses())
        return found

    async def addresses(self) -> list[str]:
        """As the server answers; an error is no answer. Raises ValueError for one."""
        asked = dns.message.make_query(f"www.{ZONE}", "A", flags=0)
        answer = await dns.asyncquery.tcp(asked, "127.0.0.1", port=self.names.port, timeout=PATIENT)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise ValueError(dns.rcode.to_text(answer.rcode()))
        return sorted(each.to_text() for rrset in answer.answer for each in rrset)

    async def well(self) -> None:
        """All targets answer, and a check has answered for every server."""
        for edge in EDGES:
            while not await self._whole(edge):
                await asyncio.sleep(0.02)
        while not await self._named():
            await asyncio.sleep(0.02)

    async def _whole(self, edge: str) -> bool:
        with suppress(RecoveryError, OSError):
            servers = await self.edges.balancers[edge].read_backend("web", deadline=PATIENT)
            return all(s.checked and s.up for s in servers)
        return False

    async def _named(self) -> bool:
        with suppress(OSError, EOFError, dns.exception.DNSException, ValueError):
            return bool(await self.addresses())
        return False

    async def watch(self) -> None:
        """Look all the time. A process that has just begun has no checked servers, whoever began it: it counts from
        when it has."""
        while True:
            for edge in EDGES:
                with suppress(RecoveryError, OSError):
                    serving = await self.edges.serving(edge)
                    self.looks += 1
                    if serving >= FLOOR:
                        self.young.discard(edge)
                    elif edge not in self.young:
                        told = f"{edge} {serving} at {asyncio.get_running_loop().time():.2f}"
                        self.low.append(f"{told}, after {self.others[-4:]}, {self._runs()}")
                        self.young.add(edge)  # one transition is told once
            with suppress(OSError, EOFError, dns.exception.DNSException, ValueError):
                found = await self.addresses()
                self.looks += 1
                if not found:
                    self.low.append(f"www has no address, after {self.others[-4:]}, {self._runs()}")
            await asyncio.sleep(LOOK)

    def _runs(self) -> list[str]:
        return [f"{run.id} {run.title}" for run in self.desk.engine.history.runs.values() if not run.ended]

    async def begins_anew(self, edge: str, how: Callable[[str], None]) -> None:
        """Somebody reloads or starts a process."""
        self.tell(f"{how.__name__} {edge}")
        self.young.add(edge)
        await asyncio.to_thread(how, edge)
        self.young.add(edge)

    async def hand(self, edge: str, server: str, what: str) -> bool:
        """Somebody else's command, unless it would itself leave too few; whether it was given."""
        servers = await self.edges.balancers[edge].read_backend("web", deadline=PATIENT)
        takes = what in ("state drain", "weight 0") and any(s.serving for s in servers if s.name == server)
        if takes and sum(s.serving for s in servers) <= FLOOR:
            return False
        self.tell(f"by hand {edge}/{server} {what}")
        with pytest.raises(ReadFailure) as failure:
            await self.edges.balancers[edge].ask(f"set server web/{server} {what}", deadline=PATIENT)
        assert failure.value.trouble is Trouble.EMPTY, failure.value.message  # how HAProxy answers what is done
        return True

    def tell(self, what: str) -> None:
        """Something that others did, for what is said when a state is wrong."""
        self.others.append(f"{asyncio.get_running_loop().time():.2f} {what}")

    def alarms(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self.desk.engine.view("header").alarms
        return found

    async def polled(self, source: str, times: int) -> None:
        """Until a source was read so many times more."""
        counted = self.sources[source]
        most = counted.begun + times
        while counted.begun < most:
            await asyncio.sleep(0.01)

    async def alarmed(self, source: str, words: tuple[str, ...], before: tuple[str, ...]) -> int:
        """The polls of a source, from now on, after which an alarm with these words is there; 0 for none."""
        counted = self.sources[source]
        started, most = counted.begun, counted.begun + 4
        while counted.begun < most:
            if any(all(word in alarm for word in words) for alarm in self.alarms() if alarm not in before):
                return max(1, counted.begun - started)
            await asyncio.sleep(0.01)
        return 0

    async def give_back(self) -> None:
        """Everything as it was configured, by somebody else's hand."""
        for edge in EDGES:
            for server, weight in BEFORE.items():  # those that get a weight come first
                await self.hand(edge, server, "state ready")
                await self.hand(edge, server, f"weight {weight}")
        await self.names.set_by_others(ADDRESSES[:2])


@asynccontextmanager
async def lane(program: Path, dns_kind: str, port: int, place: Path, seed: int) -> AsyncIterator[Lane]:
    """A lane at its configured state, watched."""
    context = AdapterContext(place, Polling())
    keep_secret(context)
    async with AsyncExitStack() as stack:
        names, zone, entry, polled = await _names(dns_kind, context, stack)
        edges = Edges(program, port)
        stack.callback(edges.close)
        model = estate(both={"colours_on": 1}, two={"at_least": FLOOR}) if seed % 2 else estate()
        model = model.model_copy(update={"zones": {ZONE: entry}})
        plain: list[Source] = [
            BalancerSource(balancer, f"balancer:{name}", POLL, 0.25, 1.0)  # type: ignore[arg-type]
            for name, balancer in edges.balancers.items()
        ]
        counted = {each.key: Counted(each) for each in (*plain, *polled)}
        outside = Outside(tuple(counted.values()), edges.balancers, {}, zones={ZONE: zone})
        engine = Engine(model, outside, MemoryJournal(), LoopClock(), Library({}, model, {}), node="test", pid=1, uid=0)
        made = Lane(edges, names, Desk(engine), counted, random.Random(seed))
        await made.well()
        await engine.start()
        stack.push_async_callback(engine.stop)
        watching = asyncio.create_task(made.watch())
        stack.callback(watching.cancel)
        yield made


async def _names(kind: str, context: AdapterContext, stack: AsyncExitStack) -> tuple[Names, Any, Any, Any]:
    """A name server of a kind, the zone as changes reach it, its entry in the estate, its sources."""
    records = [{"name": "www", "expect": list(ADDRESSES)}]
    if kind == "powerdns":
        running = stack.enter_context(running_pdns())
        running.patch(rrset("www", "A", 60, *ADDRESSES[:2]))
        acting = api_acting(context, running, records=records)
        api = acting.estate.zones[ZONE]
        assert isinstance(api, powerdns.PowerDnsOptions)
        return Pdns(running), acting.zone, api, powerdns.build(ZONE, api, context)
    names: Bind | Embedded
    if kind == "bind":
        names = Bind()
        names.start()
        stack.callback(names.kill)
    else:
        names = Embedded(await stack.enter_async_context(embedded({"www": list(ADDRESSES[:2])})))
    made = options(names.port, records=records)
    entry = estate_of(made).zones[ZONE]
    assert isinstance(entry, rfc2136.Rfc2136Options)
    return names, zone_of(context, made), entry, rfc2136.build(ZONE, entry, context)
