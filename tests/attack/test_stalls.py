"""No answer holds the event loop: large ones, and those made to be slow to read, on every way that one comes in."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.balancers.haproxy_parse import STAT_HEADER, STATE_HEADER
from adapters.databases.postgres_progress import Progress
from adapters.databases.postgres_rows import _senders
from adapters.dns.asking_servers import ask_server
from adapters.monitors.alertmanager import MOST, Alertmanager, AlertmanagerOptions
from adapters.monitors.exposition import Exposition
from adapters.monitors.promql import PromApi
from adapters.monitors.scrape import ScrapeOptions, _Scraped
from adapters.net.answers_read import MALFORMED
from adapters.net.http_read import HttpReader
from state.errors import ReadFailure
from state.world.readings import AlertsReading
from tests.support.heartbeat import MOST as MOST_UNITS
from tests.support.heartbeat import Heartbeat, heartbeat

LARGE = 8 << 20
DEADLINE = 60.0


@contextmanager
def answering(*answers: bytes, family: int = socket.AF_INET, place: str = "") -> Iterator[Any]:
    """A server in a thread of its own that gives these bytes, one after the other, to every connection."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(place or ("127.0.0.1", 0))
    listener.listen(16)
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                for answer in answers:
                    if not connection.recv(1 << 16):
                        return
                    connection.sendall(answer)
            except OSError:
                return

    def accept() -> None:
        while not ended.is_set():
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def http(body: bytes, *fields: str) -> bytes:
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def filled(piece: bytes, before: bytes = b"[", after: bytes = b"]", between: bytes = b",") -> bytes:
    """A body of about 8 MB."""
    return before + between.join([piece] * ((LARGE - 4096) // (len(piece) + 1))) + after


def alert(number: int, **other: Any) -> dict[str, Any]:
    status = {"state": "suppressed", "silencedBy": [], "inhibitedBy": [f"{number ^ 1:08x}"], "mutedBy": []}
    return {
        "labels": {"alertname": "Disk", "instance": f"node{number}", "severity": "critical"},
        "annotations": {"summary": "x" * 300},
        "startsAt": "2026-11-27T10:00:00Z",
        "updatedAt": "2026-11-27T10:00:00Z",
        "fingerprint": f"{number:08x}",
        "receivers": [{"name": "a"}],
        "status": status,
        **other,
    }


ALERTS = json.dumps([alert(number) for number in range(13_000)]).encode()
SERIES = json.dumps({"metric": {"service": "shop", "code": "200"}, "value": [1.5, "2"]}).encode()
OF_PROMETHEUS = b'{"status":"success","data":{"resultType":"vector","result":['
JSON_BODIES = {
    "alerts": ALERTS,
    "series": filled(SERIES, OF_PROMETHEUS, b"]}}"),
    "empty lists": filled(b"[]"),
    "numbers": filled(b"1"),
    "objects": filled(b'{"a":1}'),
    "deep": b"[" * (LARGE // 2) + b"]" * (LARGE // 2),
    "one text": b'["' + b"x" * (LARGE - 8) + b'"]',
    "escapes": b'["' + b"\\u00e9" * ((LARGE - 8) // 6) + b'"]',
    "one number": b"[" + b"9" * (LARGE - 8) + b"]",
    "fraction": b"[0." + b"9" * (LARGE - 8) + b"]",
    "blanks": b"[" + b" " * (LARGE - 8) + b"]",
    "not UTF-8": b'["' + b"\xff" * (LARGE - 8) + b'"]',
}


def held(beat: Heartbeat, name: str) -> None:
    print(f"{name}: longest hold {beat.seconds * 1000:.1f} ms, {beat.units:.1f} units")
    assert beat.beats > 0
    assert beat.units < MOST_UNITS, f"{name} held the loop for {beat.units:.0f} units of work"


@pytest.mark.parametrize("name", JSON_BODIES)
async def test_a_large_json_answer_holds_nothing(name: str) -> None:
    with answering(http(JSON_BODIES[name])) as (host, port):
        for kind in (_alerts, _series):
            async with heartbeat() as beat:
                reader = HttpReader(f"http://{host}:{port}")
                try:
                    await kind(reader)
                except ReadFailure:
                    pass
                finally:
                    await reader.close()
            held(beat, f"{kind.__name__} of {name}")


async def _alerts(reader: HttpReader) -> AlertsReading:
    server = Alertmanager("am", reader, AlertmanagerOptions(kind="alertmanager", url="http://127.0.0.1:1"))
    server._status_due = float("inf")
    return await server.read(deadline=DEADLINE)


async def _series(reader: HttpReader) -> Any:
    return await PromApi("prom", reader).query("up", deadline=DEADLINE)


async def test_of_a_storm_of_alerts_the_worst_are_kept_and_the_others_counted() -> None:
    with answering(http(ALERTS)) as (host, port):
        reader = HttpReader(f"http://{host}:{port}")
        try:
            reading = await _alerts(reader)
        finally:
            await reader.close()
    assert len(reading.alerts) == MOST
    assert reading.omitted == 13_000 - MOST
    suppressed = reading.alerts[0].suppressed
    assert suppressed is not None
    assert suppressed.kind == "inhibited"


ZIPPED = {
    "one member": (gzip.compress(b"[" + b" " * (LARGE - 8) + b"]"), str(LARGE - 6)),
    "empty members": (gzip.compress(b"", mtime=0) * (LARGE // 20 - 1), "more than 1000 parts"),
    "small members": (gzip.compress(b"[1]", mtime=0) * (LARGE // 23 - 1), "more than 1000 parts"),
    "a bomb": (gzip.compress(b"\0" * (64 << 20)), f"longer than {LARGE} bytes"),
}


@pytest.mark.parametrize("name", ZIPPED)
async def test_a_compressed_answer_holds_nothing(name: str) -> None:
    """Empty members took minutes: each made a copy of all that followed."""
    with answering(http(ZIPPED[name][0], "Content-Encoding: gzip")) as (host, port):
        reader = HttpReader(f"http://{host}:{port}")
        async with heartbeat() as beat:
            try:
                told = str(len(await reader.get("/", deadline=DEADLINE)))
            except ReadFailure as failure:
                told = failure.message
            finally:
                await reader.close()
        assert ZIPPED[name][1] in told
        held(beat, name)


LINE = b'http_requests_total{service="shop",code="200",path="%06d"} %d\n'
PAGES = {
    "samples": b"".join(LINE % (n, n) for n in range(LARGE // 70)),
    "letters": b"a" * 120_000 + b"\n",
    "one line": b"http_requests_total{" + b"a" * LARGE + b"\n",
    "blanks among labels": b'http_requests_total{service="shop",' + b" " * 60_000 + b"} 1\n",
    "blanks": b'http_requests_total{service="shop",' + b" " * 120_000 + b"} 1\n",
    "escapes": b'http_requests_total{a="' + b"\\a" * 30_000 + b"\n",
    "types": b"# TYPE" + b" " * 60_000 + b"\n",
    "empty lines": b"\n" * LARGE,
    "many labels": b"http_requests_total{" + b'a="",' * 12_000 + b"} 1\n",
    "hashes": b"http_requests_total " + b"#" * 60_000 + b"\n",
}


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_of_metrics_holds_nothing(name: str) -> None:
    with answering(http(PAGES[name])) as (host, port):
        reader = HttpReader(f"http://{host}:{port}")
        options = ScrapeOptions(kind="scrape", targets={})
        target = _Scraped("one", reader, "/metrics", Exposition(options, ["shop"], 30.0), 0.2)
        async with heartbeat() as beat:
            try:
                await target.ask(DEADLINE)
            finally:
                await target.close()
        held(beat, name)
        whole = name in ("samples", "blanks among labels", "blanks", "empty lines", "types")
        assert (target.failure is None) is whole, target.failure


STAT = STAT_HEADER + b"\nshop,s%06d,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,1,0,,1,3,1,,0,,2,0,,0,L4OK,,0,0,0,0,0,0,\n"
RUNTIME = {
    "servers": lambda: _servers(12_000),
    "one row": lambda: _tables(b"1 shop 1 " + b" " * LARGE, b""),
    "one line of info": lambda: b"Name: HAProxy\nVersion: 2.6\nPid: 1\nStart_time_sec: 1" + b"1" * LARGE + b"\n\n\n",
    "empty rows": lambda: _tables(b"\n" * LARGE, b""),
    "lines of info": lambda: b"a: b\n" * (LARGE // 5) + b"\n\n",
}


def _tables(states: bytes, stats: bytes) -> bytes:
    info = b"Name: HAProxy\nVersion: 2.6.12\nPid: 7\nStart_time_sec: 1700000000\n"
    return info + b"\n1\n" + STATE_HEADER + b"\n" + states + b"\n\n" + STAT_HEADER + b"\n" + stats + b"\n\n"


def _servers(count: int) -> bytes:
    state = b"3 shop %d s%06d 10.0.0.1 2 0 1 1 5 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n"
    stat = b"shop,s%06d,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,1,0,,1,3,%d,,0,,2,0,,0,L4OK,,0,0,0,0,0,0,\n"
    states, stats = b"".join(state % (n, n) for n in range(count)), b"".join(stat % (n, n) for n in range(count))
    return _tables(states.rstrip(b"\n"), stats.rstrip(b"\n"))


@pytest.mark.parametrize("name", RUNTIME)
async def test_an_answer_of_haproxy_holds_nothing(name: str, tmp_path: Path) -> None:
    place = str(tmp_path / "h.sock")
    answer: Callable[[], bytes] = RUNTIME[name]
    with answering(answer(), family=socket.AF_UNIX, place=place):
        balancer = HAProxy("edge", place)
        async with heartbeat() as beat:
            try:
                reading = await balancer.read(deadline=DEADLINE)
                assert len(reading.servers) == (12_000 if name == "servers" else 0)
            except ReadFailure:
                assert name != "servers"
        held(beat, name)


async def test_rows_of_postgres_are_bounded() -> None:
    async with heartbeat() as beat:
        await asyncio.sleep(0)
        with pytest.raises(MALFORMED):
            _senders("[" + "[]," * 2_000_000 + "[]]", Progress(), 1.0)
        await asyncio.sleep(0)
    held(beat, "senders")


def dns_answer(number: bytes, kind: int, records: int, labels: int) -> bytes:
    """An answer to the question for the A record of `a.`: names of so many labels that point to one another."""
    question = b"\x01a\x00" + struct.pack("!HH", 1, 1)
    first = b"\x01a" * labels + b"\0" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes(4)
    place = struct.pack("!H", 0xC000 | (12 + len(question)))
    rows = b"".join(place + struct.pack("!HHIH", kind, 1, 60, 2) + place for _ in range(records))
    return number + struct.pack("!HHHHH", 0x8400, 1, records + 1, 0, 0) + question + first + rows


@pytest.mark.parametrize(("records", "labels"), [(18, 120), (249, 120), (4600, 120), (249, 3)])
async def test_an_answer_of_a_name_server_holds_nothing(records: int, labels: int) -> None:
    """64 kB of names that point to one another took 20 s."""
    loop = asyncio.get_running_loop()

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(dns_answer(data[:2], 2, records, labels)[:65_000], address)

    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    query = dns.message.make_query("a.", "A", flags=0)
    async with heartbeat() as beat:
        try:
            answer = await ask_server(query, *transport.get_extra_info("sockname"))
            assert len(answer.answer) == 2
        except ReadFailure as failure:
            assert (records > 249, "is not read" in failure.message) == (True, True)  # noqa: PT017
        finally:
            transport.close()
    held(beat, f"{records} records of {labels} labels")
