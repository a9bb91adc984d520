"""Stick tables of real HAProxy processes that are peers: how many of the sessions of one the other one knows."""

from __future__ import annotations

import asyncio
import math
import subprocess
import tempfile
from pathlib import Path

import aiohttp
import pytest

from adapters.balancers.haproxy import HAProxy, HaproxyOptions
from adapters.balancers.haproxy_tables import MOST, entries, used
from state.checks.model import Answer
from state.checks.registry import check_kinds
from state.errors import NotFound, ReadFailure
from state.estate.model import Estate
from state.health import Health
from state.world.balancer_parts import BalancerReading
from state.world.observed import Observed
from state.world.shapes import misfit
from state.world.world import World
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import HEAD, by_hand, healthy, listening, until
from tests.support.ports import free_port

MESH = """
peers mesh
  peer one 127.0.0.1:{one}
  peer two 127.0.0.1:{two}
frontend f
  bind 127.0.0.1:{front}
  default_backend web
backend web
  stick-table type string len 64 size 20k expire 5m peers mesh
  stick on req.hdr(x-session)
  server a 127.0.0.1:{port}
  server b 127.0.0.1:{port}
"""
ESTATE = Estate.model_validate(
    {
        "estate": "sticky",
        "environment": "lab",
        "sites": {"east": {}, "west": {}},
        "balancers": {"one": {"kind": "haproxy", "site": "east"}, "two": {"kind": "haproxy", "site": "west"}},
    }
)


class Mesh:
    """Two processes that tell each other whom they led where."""

    def __init__(self, program: Path, folder: Path, port: int, sections: str = MESH) -> None:
        self.place = Path(tempfile.mkdtemp(dir=folder))
        self.ports = {"one": free_port(), "two": free_port()}
        self.fronts = {"one": free_port(), "two": free_port()}
        self.running: list[subprocess.Popen[bytes]] = []
        for name in self.ports:
            text = (HEAD + sections).format(socket=self.socket(name), front=self.fronts[name], port=port, **self.ports)
            (self.place / f"{name}.cfg").write_text(text)
            argv = [program, "-db", "-L", name, "-f", self.place / f"{name}.cfg"]
            quiet = subprocess.DEVNULL
            self.running.append(subprocess.Popen(argv, env={}, stdout=quiet, stderr=quiet))
        for name in self.ports:
            wait_for(lambda name=name: answers(self.socket(name)))  # type: ignore[misc]
        self.balancers = {name: HAProxy(name, str(self.socket(name)), tables=("web",)) for name in self.ports}

    def socket(self, name: str) -> Path:
        return self.place / f"{name}.s"

    async def come(self, name: str, *sessions: str) -> None:
        async with aiohttp.ClientSession() as client:
            for each in sessions:
                url = f"http://127.0.0.1:{self.fronts[name]}/"
                async with client.get(url, headers={"x-session": each}) as answer:
                    assert answer.status == 200

    async def asked(self, **changed: object) -> Answer:
        world, now = World(), 100.0
        for name, balancer in self.balancers.items():
            reading = await balancer.read(deadline=2)
            assert misfit(reading) is None
            world.observed[f"balancer:{name}"] = Observed(f"balancer:{name}", 3.0, reading, 1_000.0, now)
        kind = check_kinds()["sticky.kept"]
        args = kind.args.model_validate({"balancer": "one", "table": "web", "at": "two", **changed})
        return kind.ask(args, world, ESTATE, now, -math.inf)

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture(params=haproxies())
def program(request: pytest.FixtureRequest) -> Path:
    return haproxies()[request.param]


async def test_sessions_that_peers_told_each_other_are_kept_and_others_are_not(program: Path, folder: Path) -> None:
    def filled(reading: BalancerReading) -> bool:
        return "web" in reading.tables and reading.tables["web"].used == 20

    async with listening(healthy) as (port,):
        mesh = Mesh(program, folder, port)
        try:
            assert (await mesh.asked()).health is Health.UNKNOWN, "an empty table proves nothing"
            await mesh.come("one", *(f"s{n} with a space" for n in range(20)))
            await until(mesh.balancers["one"], filled)
            await until(mesh.balancers["two"], filled)
            assert (await mesh.asked()).evidence == (
                "two knows 100.0% of 20 entries of one in web, at least 95% is wanted",
            )
            assert (await mesh.asked()).health is Health.PASS
            await by_hand(mesh.balancers["two"], "clear table web data.server_id eq 1")
            half = await mesh.asked()
            assert (half.health, half.evidence[0][:15]) == (Health.FAIL, "two knows 50.0%")
            assert (await mesh.asked(percent=50)).health is Health.PASS
            await by_hand(mesh.balancers["two"], "clear table web")
            assert (await mesh.asked(percent=1)).health is Health.FAIL
            assert (await mesh.asked(table="nope")).health is Health.UNKNOWN
            with pytest.raises(NotFound):
                await mesh.asked(at="three")
        finally:
            mesh.end()


async def test_a_table_that_is_too_large_is_counted_only(program: Path, folder: Path) -> None:
    async with listening(healthy) as (port,):
        mesh = Mesh(program, folder, port)
        try:
            one = mesh.balancers["one"]
            for start in range(0, MOST + 1, 100):
                names = range(start, min(start + 100, MOST + 1))
                await by_hand(one, ";".join(f"set table web key k{n} data.server_id 1" for n in names))
            answer = await mesh.asked()
            assert answer.health is Health.UNKNOWN
            assert f"too large to be compared: {MOST + 1} entries" in answer.evidence[0]
        finally:
            mesh.end()


def test_nobodys_key_is_kept_and_damaged_answers_are_none() -> None:
    head = b"# table: web, type: string, size:100, used:2\n"
    row = b"0x55d0: key=secret-session use=0 exp=100 server_id=%d server_key=%b\n"
    table = entries("web", head + row % (1, b"a") + row % (2, b"a"))
    assert table.used == 2
    assert table.entries is not None
    assert len(table.entries) == 1, "one key, one server by its name"
    assert "secret" not in repr(table)
    assert used(b"# table: " + b"x" * 100_000) == {}
    for damaged in (b"", b"No such table\n", b"# table: other, type: ip, size:1, used:0\n"):
        with pytest.raises(ReadFailure, match="asked for the table web"):
            entries("web", damaged)


def test_tables_are_names() -> None:
    for wrong in ("web; show info", "", "a b"):
        with pytest.raises(ValueError, match="stick_tables"):
            HaproxyOptions.model_validate({"kind": "haproxy", "site": "e", "socket": "/s", "stick_tables": [wrong]})


def test_an_entry_that_leads_to_no_server_is_no_session() -> None:
    """haproxy/haproxy#842 and #1216 are about tables that count requests, too: their entries lead nowhere."""
    head = b"# table: web, type: string, size:100, used:3\n"
    rows = (
        b"0x1: key=anna use=0 exp=9 server_id=0 http_req_cnt=1 server_key=-\n"
        b"0x2: key=bert use=0 exp=9 http_req_cnt=1\n"
        b"0x3: key=carl use=0 exp=9 server_id=2 server_key=-\n"
    )
    table = entries("web", head + rows)
    assert table.entries is not None
    assert (table.used, len(table.entries)) == (3, 1)


async def test_a_table_that_only_counts_proves_nothing_of_sessions(program: Path, folder: Path) -> None:
    async with listening(healthy) as (port,):
        text = MESH.replace(
            "peers mesh\n  stick on req.hdr(x-session)",
            "peers mesh store http_req_cnt\n  http-request track-sc0 req.hdr(x-session)",
        )
        assert text != MESH
        mesh = Mesh(program, folder, port, text)
        try:
            await mesh.come("one", "anna", "bert")
            await until(mesh.balancers["two"], lambda reading: reading.tables["web"].used == 2)
            answer = await mesh.asked()
            said = "table web of one has no entry that leads to a server: there is nothing to compare"
            assert (answer.health, answer.evidence) == (Health.UNKNOWN, (said,))
        finally:
            mesh.end()


async def test_slots_that_peers_fill_in_another_order_are_other_servers(program: Path, folder: Path) -> None:
    """haproxy/haproxy#814: the slots of a template are filled as each process hears of addresses."""
    async with listening(healthy, healthy) as (port, other):
        mesh = Mesh(program, folder, port)
        try:
            for name, (first, second) in {"one": (port, other), "two": (other, port)}.items():
                balancer = mesh.balancers[name]
                for server, at in (("a", first), ("b", second)):
                    await balancer.ask(f"set server web/{server} addr 127.0.0.1 port {at}", deadline=2)
            await mesh.come("one", *(f"s{n}" for n in range(4)))
            await until(mesh.balancers["two"], lambda reading: reading.tables["web"].used == 4)
            answer = await mesh.asked()
            assert answer.health is Health.FAIL
            assert answer.evidence[0].startswith("servers have other names at two, and entries are by name: 127.0.0.1:")
        finally:
            mesh.end()


async def test_a_table_of_the_peers_section_is_read_and_one_that_is_full_proves_nothing(
    program: Path, folder: Path
) -> None:
    """Five people come, three are remembered: that the other one knows these three says nothing of the two."""
    sections = MESH.replace("frontend f", "  table shared type string len 64 size 3 expire 5m\nfrontend f").replace(
        "  stick-table type string len 64 size 20k expire 5m peers mesh\n", ""
    )
    sections = sections.replace("stick on req.hdr(x-session)", "stick on req.hdr(x-session) table mesh/shared")
    options = {"kind": "haproxy", "site": "east", "socket": "/run/s", "stick_tables": ["mesh/shared"]}
    assert HaproxyOptions.model_validate(options).stick_tables == ("mesh/shared",)
    async with listening(healthy) as (port,):
        mesh = Mesh(program, folder, port, sections)
        tables = ("mesh/shared",)
        mesh.balancers = {name: HAProxy(name, str(mesh.socket(name)), tables=tables) for name in mesh.ports}
        try:
            for group in range(20):  # a table that forgets while it is being taught may have room again
                await mesh.come("one", *(f"s{group}-{n}" for n in range(5)))
                read = [await balancer.read(deadline=2) for balancer in mesh.balancers.values()]
                if all("mesh/shared" in each.tables and each.tables["mesh/shared"].full for each in read):
                    break
                await asyncio.sleep(0.2)
            answer = await mesh.asked(table="mesh/shared", percent=1)
            assert answer.health is Health.UNKNOWN, answer
            assert "in mesh/shared, which is full at one and two: it forgets people" in answer.evidence[0]
        finally:
            mesh.end()
