"""Back from a bad release on real HAProxy processes with instances that tell what they run: colours as groups of eight,
at once and by a ramp, and colours as backends of their own that a map leads to."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from state.api.releases import ReleaseRecord
from state.api.requests import PlanChange, PlanRollback, PlanUndo
from state.api.views.releases import ReleaseStanding, Way
from state.errors import Refused
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import HEAD
from tests.support.ports import free_port
from tests.support.real_engine import RealEngine, Tree, engine_home, until
from tests.support.release_site import digest

V41, V42 = digest(41), digest(42)
EACH = 8
EDGES = ("edge1", "edge2")
RECORDS = (ReleaseRecord("shop", V41, "v41"), ReleaseRecord("shop", V42, "v42"))
PAGE = """
frontend {name}
  bind 127.0.0.1:{port}
  http-request return status 200 content-type application/json string '{text}'
"""


class Site:
    """Two edges before sixteen instances: `mapped`, each colour has a backend of its own; else both share one."""

    def __init__(self, folder: Path, *, mapped: bool) -> None:
        self.folder, self.mapped = folder, mapped
        self.program = next(iter(haproxies().values()))
        self.ports = {f"{c}-{n}": free_port() for c in ("blue", "green") for n in range(1, EACH + 1)}
        self.fronts = {edge: free_port() for edge in EDGES}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.balancers = {edge: HAProxy(edge, str(folder / f"{edge}.sock")) for edge in EDGES}
        self.map = str(folder / "colours.map")
        Path(self.map).write_text("shop web-green\n")

    def start(self) -> None:
        said = {c: json.dumps({"digest": d, "version": v, "started": "1"}) for c, d, v in
                (("blue", V41, "v41"), ("green", V42, "v42"))}  # fmt: skip
        pages = [PAGE.format(name=n, port=p, text=said[n.partition("-")[0]]) for n, p in self.ports.items()]
        self._run("pages", "".join(pages))
        for edge, front in self.fronts.items():
            self._run(edge, self._backends(front))

    def _backends(self, front: int) -> str:
        led = f"%[str(shop),map_str({self.map},none)]" if self.mapped else "web"
        lines = [f"frontend f\n  bind 127.0.0.1:{front}\n  use_backend {led} if TRUE"]
        for names in (["blue"], ["green"]) if self.mapped else (["blue", "green"],):
            lines.append(f"backend {'web-' + names[0] if self.mapped else 'web'}\n  option httpchk")
            for name, port in self.ports.items():
                colour = name.partition("-")[0]
                weight = 0 if colour == "blue" and not self.mapped else 10
                if colour in names:
                    lines.append(f"  server {name} 127.0.0.1:{port} check inter 300ms weight {weight}")
        return "\n".join([*lines, ""])

    def _run(self, name: str, text: str) -> None:
        socket = self.folder / f"{name}.sock"
        (self.folder / f"{name}.cfg").write_text(HEAD.format(socket=socket) + text)
        argv: list[str | Path] = [self.program, "-db", "-f", self.folder / f"{name}.cfg"]
        self.processes.append(subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(lambda: answers(socket))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def tree(self) -> Tree:
        """The estate: what a pipeline has recorded is not in it."""
        way: dict[str, Any] = {"balancers": list(EDGES), "backend": "web-green" if self.mapped else "web", "floor": 6}
        if self.mapped:
            way["routes"] = {
                "map": self.map, "key": "shop", "backends": {"blue": "web-blue", "green": "web-green"},
            }  # fmt: skip
        else:
            way["colours"] = {c: {"release": v, "servers": [f"{c}-*"]} for c, v in (("blue", "v41"), ("green", "v42"))}
        maps = {"maps": [self.map]} if self.mapped else {}
        targets = {
            name: {"site": "east", "service": "shop", "server": name, "url": f"http://127.0.0.1:{port}/version"}
            for name, port in self.ports.items()
        }
        probes = {
            edge: {"site": "east", "service": "shop", "url": f"http://127.0.0.1:{port}/"}
            for edge, port in self.fronts.items()
        }
        return {
            "estate": "ways",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {
                "ada": {
                    "accounts": [pwd.getpwuid(os.geteuid()).pw_name],
                    "roles": ["commander", "responder", "pipeline"],
                }
            },
            "balancers": {
                edge: {"kind": "haproxy", "site": "east", "socket": str(self.folder / f"{edge}.sock"), **maps}
                for edge in EDGES
            },
            "services": {"shop": {"tier": 1, "rto": "5m", "rpo": "0B", "traffic": way}},
            "monitors": {
                "versions": {"kind": "version", "targets": targets},
                "probes": {"kind": "http", "targets": probes},
            },
            "runbooks": [],
            "policies": {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "second_person": [], "delivery": "1s"},
        }

    async def answers(self, edge: str) -> str:
        """The version that a client gets."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.fronts[edge])
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        told = await reader.read()
        writer.close()
        return str(json.loads(told.partition(b"\r\n\r\n")[2])["version"])


@contextmanager
def site(*, mapped: bool) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="rb-", dir="/tmp") as folder:
        made = Site(Path(folder), mapped=mapped)
        try:
            made.start()
            yield made
        finally:
            made.close()


@asynccontextmanager
async def bad_release(*, mapped: bool) -> AsyncIterator[tuple[Site, RealEngine]]:
    """v42 serves, v41 is warm, both are recorded."""
    with site(mapped=mapped) as made, engine_home(made.tree()) as engine:
        await engine.start()
        for each in RECORDS:
            await engine.client.record_release(each)
        await until(lambda: stands(engine, V41, ReleaseStanding.OFFERED), 40, "v41 is not offered")
        assert [await made.answers(edge) for edge in EDGES] == ["v42", "v42"]
        yield made, engine
        engine.end()
        assert engine.chain() == ""


async def stands(engine: RealEngine, of: str, standing: ReleaseStanding) -> bool:
    return (await engine.client.view("releases")).releases[f"shop/{of}"].standing is standing


async def rolled_back(made: Site, engine: RealEngine, request: PlanRollback) -> str:
    """The run, done and proven: by the instances themselves, and as a client sees it."""
    run = await engine.submit(await engine.plan(request))
    row = await engine.settled(run, 200)
    steps = [s for s in (await engine.client.view("runbooks")).steps.values() if s.run == run]
    assert row.state == "done", (row.message, [f"{s.step} {s.state} {s.evidence}" for s in steps])
    (proof,) = [s.evidence for s in steps if s.step == "runs"]
    assert list(proof) == [f"{EACH} instances with traffic run {V41[:19]}"]
    assert [await made.answers(edge) for edge in EDGES] == ["v41", "v41"]
    await until(lambda: stands(engine, V41, ReleaseStanding.SERVES), 20)
    return run


async def colours(made: Site) -> list[Mapping[str, int]]:
    """The servers with a weight at each edge, by colour."""
    found = []
    for balancer in made.balancers.values():
        servers = await balancer.read_backend("web", deadline=2)
        found.append({c: sum(s.weight > 0 for s in servers if s.name.startswith(c)) for c in ("blue", "green")})
    return found


async def test_groups_of_eight_go_back_at_once_on_both_edges() -> None:
    async with bad_release(mapped=False) as (made, engine):
        run = await rolled_back(made, engine, PlanRollback("shop"))
        assert await colours(made) == [{"blue": EACH, "green": 0}] * 2
        assert engine.kinds(run).count("effect.intended") == 2
        undo = await engine.submit(await engine.plan(PlanUndo(run)))
        assert (await engine.settled(undo, 60)).state == "done"
        assert await colours(made) == [{"blue": 0, "green": EACH}] * 2


@asynccontextmanager
async def clients(made: Site) -> AsyncIterator[list[str]]:
    """Requests all the time; what went wrong."""
    failed: list[str] = []

    async def ask(edge: str) -> None:
        while True:
            try:
                await made.answers(edge)
            except (OSError, ValueError) as error:
                failed.append(f"{edge}: {error}")
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(ask(edge)) for edge in EDGES]
    try:
        yield failed
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_groups_of_eight_go_back_by_a_ramp_each_share_counted_at_the_servers() -> None:
    async with bad_release(mapped=False) as (made, engine), clients(made) as failed:
        run = await rolled_back(made, engine, PlanRollback("shop", ramp=True))
        shares = [
            s for s in (await engine.client.view("runbooks")).steps.values() if s.run == run and "share-" in s.step
        ]
        assert [s.step.rpartition("-")[2] for s in sorted(shares, key=lambda s: s.index)] == [
            percent for percent in ("5", "25", "50", "100") for _ in EDGES
        ]
        assert await colours(made) == [{"blue": EACH, "green": 0}] * 2
        assert failed == []


async def test_colours_as_backends_go_back_by_the_map_and_a_ramp_of_them_is_refused() -> None:
    async with bad_release(mapped=True) as (made, engine):
        row = (await engine.client.view("releases")).releases[f"shop/{V41}"]
        assert row.way is Way.MAP
        with pytest.raises(Refused) as refused:
            await engine.client.preview(PlanRollback("shop", ramp=True))
        assert refused.value.rule == "ramp"
        async with clients(made) as failed:
            run = await rolled_back(made, engine, PlanRollback("shop"))
        assert failed == []
        for balancer in made.balancers.values():
            assert await balancer.read_map(made.map, deadline=2) == (("shop", "web-blue"),)
        assert engine.kinds(run).count("effect.intended") == 2


async def test_no_way_leads_traffic_to_a_release_that_nobody_goes_back_to() -> None:
    """A blocker refuses the roll-back and every other change that would give the colour traffic."""
    async with bad_release(mapped=False) as (_, engine):
        await engine.client.record_release(ReleaseRecord("shop", V42, "v42", blockers=("writes order lines v2",)))
        await until(lambda: stands(engine, V41, ReleaseStanding.BLOCKED), 20)
        for ramp in (False, True):
            with pytest.raises(Refused) as refused:
                await engine.client.preview(PlanRollback("shop", ramp=ramp))
            assert "Go forward" in str(refused.value)
        place = {"balancer": "edge1", "backend": "web"}
        for kind, more in (("backend.flip", {}), ("backend.share", {"percent": 5})):
            card = await engine.client.preview(PlanChange(kind, {**place, "to": "blue", **more}))
            assert "release-fits" in [rule.rule for rule in card.refusals], kind
        taken = await engine.client.preview(PlanChange("backend.share", {**place, "to": "green", "percent": 100}))
        assert "release-fits" not in [rule.rule for rule in taken.refusals]
