"""Steady traffic over both sites, and the count of orders that were acknowledged.

Orders go where the A record of `checkout` points and reads where that of `catalog` does, asked again every two seconds
as a client that honours TTLs does. Each order has a number of its own, so that after any fault the numbers acknowledged
can be compared with the rows in the database: the difference is lost data.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.rdatatype

from adapters.lab.topology import LOCAL, SITES, ZONE, Topology

IN_FLIGHT = 60  # requests; further ones are skipped, not queued, so the load itself causes no fault
REMEMBERED = 200_000  # acknowledged order numbers kept for comparison
RESOLVE_EVERY = 2.0  # seconds
REQUEST_DEADLINE = 3.0  # seconds


@dataclass(slots=True)
class OrderTally:
    """Results of the requests of one service at one address."""

    acknowledged: int = 0
    failed: int = 0
    skipped: int = 0
    last_ok: float | None = None  # seconds since the epoch
    errors: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        self.failed += 1
        self.errors[reason] = self.errors.get(reason, 0) + 1


class Load:
    """The traffic. `orders` and `reads` are rates per second over all sites."""

    def __init__(self, topology: Topology, *, orders: float, reads: float, resolve: bool) -> None:
        self._topology = topology
        self._rates = {"checkout": orders, "catalog": reads}
        self._resolve = resolve
        self.tallies: dict[tuple[str, str], OrderTally] = {}
        self.acknowledged: deque[int] = deque(maxlen=REMEMBERED)
        self.addresses = {service: sorted(SITES.values()) for service in self._rates}
        self._numbers = itertools.count(1)
        self._flying: set[asyncio.Task[None]] = set()
        self._runners: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_DEADLINE, connect=1),
            connector=aiohttp.TCPConnector(limit=IN_FLIGHT),
        )
        self._runners = [asyncio.create_task(self._run(service)) for service in self._rates]
        if self._resolve:
            self._runners.append(asyncio.create_task(self._follow_records()))

    async def stop(self) -> None:
        tasks = [*self._runners, *self._flying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _tally(self, service: str, address: str) -> OrderTally:
        return self.tallies.setdefault((service, address), OrderTally())

    async def _run(self, service: str) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for turn in itertools.count():
            addresses = self.addresses[service]
            address = addresses[turn % len(addresses)]
            if len(self._flying) >= IN_FLIGHT:
                self._tally(service, address).skipped += 1
            else:
                task = asyncio.create_task(self._request(service, address))
                self._flying.add(task)
                task.add_done_callback(self._flying.discard)
            due = max(due + 1 / self._rates[service], loop.time() - 1)  # after a stall: no burst to catch up
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _request(self, service: str, address: str) -> None:
        tally = self._tally(service, address)
        session = self._session
        if session is None:
            return
        base = f"http://{address}:{self._topology.frontend}"
        number = next(self._numbers) if service == "checkout" else 0
        try:
            if service == "checkout":
                request = session.post(f"{base}/order", json={"number": number})
            else:
                request = session.get(f"{base}/catalog")
            async with request as response:
                await response.read()
                status = response.status
        except (OSError, TimeoutError, aiohttp.ClientError) as error:
            tally.fail(type(error).__name__)
            return
        if status >= 400:
            tally.fail(str(status))
            return
        tally.acknowledged += 1
        tally.last_ok = time.time()
        if number:
            self.acknowledged.append(number)

    async def _follow_records(self) -> None:
        while True:
            for service, known in self.addresses.items():
                self.addresses[service] = await self._resolved(service) or known
            await asyncio.sleep(RESOLVE_EVERY)

    async def _resolved(self, service: str) -> list[str]:
        """The addresses of a service; none where nobody answers: the last ones stay in use, as in a resolver that
        serves stale."""
        question = dns.message.make_query(f"{service}.{ZONE}", "A")
        try:
            answer = await dns.asyncquery.udp(question, LOCAL, port=self._topology.dns, timeout=1)
        except (OSError, dns.exception.DNSException):
            return []
        return sorted(r.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for r in rrset)

    def status(self) -> dict[str, object]:
        """Counts per service and site, and in all."""
        names = {address: site for site, address in SITES.items()}
        each = {
            f"{service}-{names.get(address, address)}": {
                "acknowledged": tally.acknowledged,
                "failed": tally.failed,
                "skipped": tally.skipped,
                "last_ok": tally.last_ok,
                "errors": dict(tally.errors),
            }
            for (service, address), tally in sorted(self.tallies.items())
        }
        return {
            "acknowledged": sum(tally.acknowledged for tally in self.tallies.values()),
            "failed": sum(tally.failed for tally in self.tallies.values()),
            "orders_acknowledged": sum(t.acknowledged for (s, _), t in self.tallies.items() if s == "checkout"),
            "addresses": self.addresses["checkout"],
            "services": each,
        }
