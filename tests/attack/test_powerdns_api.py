"""An API of PowerDNS that means no good: what it answers is bounded in time and size, believed of its own zone only,
followed nowhere, and never tells the key that it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from adapters.dns import powerdns
from adapters.dns.powerdns import PowerDnsZone
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.estate.model import Polling
from state.world.record_sets import RecordSet

KEY = "k3y-of-the-api-0123456789"
ZONE = {"name": "lab.test.", "kind": "Native", "rrsets": [], "soa_edit_api": "DEFAULT"}
BEFORE = {"A": RecordSet("A", 60, ("10.1.0.10",), ())}
AFTER = {"A": RecordSet("A", 60, ("10.2.0.10",), ())}
HERE = [{"name": "www.lab.test.", "type": "A", "ttl": 60, "records": [{"content": "10.1.0.10", "disabled": False}]}]
Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def said(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def good(writer: asyncio.StreamWriter) -> None:
    writer.write(said("200 OK", json.dumps({**ZONE, "rrsets": HERE}).encode(), "Content-Type: application/json"))


class Hostile:
    """Answers as it was told; `asked` are the methods and paths that came, and what followed a redirect."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, list[str]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path = head.split()[:2]
        self.asked.append(f"{method} {path}")
        try:
            await self.answer(method, writer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def zone_at(folder: Path, answer: Answer) -> AsyncIterator[tuple[PowerDnsZone, Hostile]]:
    (folder / "key").write_text(KEY)
    (folder / "key").chmod(0o600)
    hostile = Hostile(answer)
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = powerdns.OPTIONS.model_validate(
        {
            "kind": "powerdns",
            "domain": "lab.test",
            "url": f"http://127.0.0.1:{port}",
            "api_key": {"file": "key"},
            "servers": ["127.0.0.1:1"],
            "records": [],
        }
    )
    async with server:
        yield powerdns.acting("lab", options, AdapterContext(folder, Polling())), hostile


async def of_a_reading(zone: PowerDnsZone) -> str:
    with pytest.raises(ReadFailure) as failed:
        await zone.identify(deadline=1.0)
    return failed.value.message


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_leads_nowhere(tmp_path: Path, status: str) -> None:
    async def away(method: str, writer: asyncio.StreamWriter) -> None:
        del method
        writer.write(said(status, b"", "Location: /elsewhere"))

    async with zone_at(tmp_path, away) as (zone, hostile):
        await of_a_reading(zone)
        with pytest.raises(EffectRefused, match="nothing was sent"):
            await zone.set_records("www", BEFORE, AFTER, deadline=2.0)
        assert all("elsewhere" not in each for each in hostile.asked)
        assert all(each.startswith("GET") for each in hostile.asked)


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary", "200", "500 No", "204 ", "garbage"])
async def test_what_a_change_is_answered_proves_nothing(tmp_path: Path, status: str) -> None:
    async def answer(method: str, writer: asyncio.StreamWriter) -> None:
        if method == "GET":
            return await good(writer)
        writer.write(said(status, b"", "Location: /elsewhere"))

    async with zone_at(tmp_path, answer) as (zone, hostile):
        try:
            receipt = await zone.set_records("www", BEFORE, AFTER, deadline=2.0)
            assert "no proof" in receipt.message
        except EffectUnknown:
            pass
        assert [each.split()[0] for each in hostile.asked].count("PATCH") == 1
        assert all("elsewhere" not in each for each in hostile.asked)


DRIP = 0.05


async def slowly(method: str, writer: asyncio.StreamWriter) -> None:
    del method
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(DRIP)


async def hugely(method: str, writer: asyncio.StreamWriter) -> None:
    del method
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    part = b"%x\r\n" % (1 << 20) + b"[" * (1 << 20) + b"\r\n"
    for _ in range(64):
        writer.write(part)
        await writer.drain()


async def packed(method: str, writer: asyncio.StreamWriter) -> None:
    del method
    writer.write(said("200 OK", b"\x1f\x8b" + b"\0" * 1000, "Content-Encoding: gzip"))


@pytest.mark.parametrize("answer", [slowly, hugely, packed])
async def test_an_answer_without_end_ends(tmp_path: Path, answer: Answer) -> None:
    async with zone_at(tmp_path, answer) as (zone, hostile):
        async with asyncio.timeout(30):
            assert await of_a_reading(zone)
            with pytest.raises(EffectRefused):
                await zone.set_records("www", BEFORE, AFTER, deadline=1.0)
        assert all(each.startswith("GET") for each in hostile.asked)


OTHERS = [
    {**ZONE, "name": "other.test."},
    {**ZONE, "name": KEY},
    {**ZONE, "name": ["lab.test."]},
    {**ZONE, "rrsets": {}},
    {**ZONE, "rrsets": [1]},
    {**ZONE, "rrsets": [{**HERE[0], "ttl": True}]},
    {**ZONE, "rrsets": [{**HERE[0], "ttl": -1}]},
    {**ZONE, "rrsets": [{**HERE[0], "records": [{"content": 5, "disabled": False}]}]},
    {"error": f"no such key {KEY}"},
    [],
    KEY,
    None,
]


@pytest.mark.parametrize("body", OTHERS, ids=range(len(OTHERS)))
async def test_another_zone_or_shape_is_no_reading(tmp_path: Path, body: object) -> None:
    async def answer(method: str, writer: asyncio.StreamWriter) -> None:
        del method
        writer.write(said("200 OK", json.dumps(body).encode()))

    async with zone_at(tmp_path, answer) as (zone, _):
        told = await of_a_reading(zone)
        assert KEY not in told
        with pytest.raises(EffectRefused) as refused:
            await zone.set_records("www", BEFORE, AFTER, deadline=2.0)
        assert KEY not in refused.value.message


@pytest.mark.parametrize("to", ["GET", "PATCH"])
@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No", "422 No", "500 No", "503 No"])
async def test_the_key_is_never_said_again(tmp_path: Path, status: str, to: str) -> None:
    async def echo(method: str, writer: asyncio.StreamWriter) -> None:
        if method != to:
            return await good(writer)
        writer.write(said(f"{status[:4]}{KEY}", f"X-API-Key: {KEY} is {KEY[:12]}".encode(), f"X: {KEY}"))

    async with zone_at(tmp_path, echo) as (zone, _):
        with pytest.raises((EffectRefused, EffectUnknown)) as failed:
            await zone.set_records("www", BEFORE, AFTER, deadline=2.0)
        assert KEY[:12] not in failed.value.message


async def test_a_zone_whose_records_have_the_key_is_no_reading(tmp_path: Path) -> None:
    """What it says of records is shown on cards, and recorded."""
    telling = {**HERE[0], "records": [{"content": KEY, "disabled": False}]}

    async def answer(method: str, writer: asyncio.StreamWriter) -> None:
        del method
        writer.write(said("200 OK", json.dumps({**ZONE, "rrsets": [telling]}).encode()))

    async with zone_at(tmp_path, answer) as (zone, _):
        assert "has the key in it" in await of_a_reading(zone)
