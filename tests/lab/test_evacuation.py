"""A site evacuated by keyboard with the shipped runbook, and brought back with one key: shares, addresses and the
leader role, with what clients counted meanwhile."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from adapters.lab.client import LabClient
from adapters.lab.topology import CATALOG_SERVERS, SITES
from state.runs.events import EffectIntended
from tests.crash.targets import Truth
from tests.support.keyboard import Keyboard, console, press
from tests.support.real_engine import RealEngine, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

LONGEST = 300.0


class Around:
    """What is true around the engine: who leads and where, the weights, the addresses, the clients' counts."""

    def __init__(self, lab: LabClient) -> None:
        self.lab, self.truth = lab, Truth(lab)
        self.nodes: dict[str, Any] = lab.description()["nodes"]

    async def site(self) -> str:
        return str(self.nodes[(await self.truth.writer())[0]]["site"])

    async def weights(self) -> dict[str, dict[str, int]]:
        found = {site: await self.truth.servers(site, "catalog") for site in SITES}
        return {site: {name: weight for name, (weight, _) in servers.items()} for site, servers in found.items()}

    async def addresses(self) -> list[str]:
        return (await self.truth.addresses("catalog"))[0]

    async def whole(self) -> None:
        async def streams() -> bool:
            nodes = (await self.lab.status())["nodes"].values()
            following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
            return len(following) == len(nodes) - 1

        await until(streams, 120, "the cluster is not whole")

    async def counted(self) -> dict[str, tuple[int, int]]:
        """Requests that clients had answered and that failed, by service and site."""
        services = (await self.lab.status())["load"]["services"]
        return {name: (each["acknowledged"], each["failed"]) for name, each in services.items()}


def ended(person: Keyboard, run: str) -> None:
    """Answer what is asked, and wait until the run is done."""
    press(person.terminal, "3")
    end, answered = time.monotonic() + LONGEST, False
    while not re.search(rf"DONE +{run}\b", screen := person.look()):
        assert time.monotonic() < end, screen
        assert not re.search(rf"(FAIL|STOPPED|PAUSED) +{run}\b", screen), screen
        if not answered and re.search(rf"WAITING +{run}\b", screen):
            press(person.terminal, "d")
            person.terminal.wait("It is reached from nowhere else", 20)
            press(person.terminal, "\x1b[C", "\r")
            person.type()
            answered = True


def evacuated(engine: RealEngine, site: str) -> None:
    """From the list of runbooks to the proof, by keyboard."""
    with console(engine) as terminal:
        person = Keyboard(terminal)
        terminal.wait(". stop all", 30)
        press(terminal, "3", "\t", "\t")
        person.select("evacuate-site", "Library")
        press(terminal, "s")
        terminal.wait("Site to leave", 20)
        press(terminal, *site, "\r", *"catalog", "\r", "\r", "\r")
        card = person.allowed("Evacuate a site")
        assert f"edge-east/catalog share of {site} 50.0% → 20.0%" in card.text
        assert "catalog.lab.test A 127.0.1.10, 127.0.2.10 → " in card.text
        assert "orders leader" in card.text
        person.confirm("catalog.lab.test")
        ended(person, "R-1")


def back(engine: RealEngine) -> None:
    """One key on the run, and its card."""
    with console(engine) as terminal:
        person = Keyboard(terminal)
        terminal.wait(". stop all", 30)
        press(terminal, "3")
        terminal.wait("R-1", 20)
        press(terminal, "z")
        person.allowed("Undo R-1")
        person.confirm("orders")
        ended(person, "R-2")


async def test_a_site_is_evacuated_by_keyboard_and_comes_back_with_one_key(lab: LabClient) -> None:
    around = Around(lab)
    await around.whole()
    site = await around.site()
    before, led = await around.weights(), (await around.truth.writer())[0]
    counts = await around.counted()
    with engine_home(lab_estate(lab)) as engine:
        await engine.start()
        await asyncio.to_thread(evacuated, engine, site)
        row = (await engine.client.view("runbooks")).runs["R-1"]
        gone = {name for name, stands in CATALOG_SERVERS.items() if stands == site}
        assert await around.site() != site
        assert await around.addresses() == [address for name, address in SITES.items() if name != site]
        assert all(
            (weights[name] == 0) is (name in gone) for weights in (await around.weights()).values() for name in weights
        )
        left = await around.counted()
        await asyncio.sleep(3)
        assert (await around.counted())[f"catalog-{site}"] == left[f"catalog-{site}"], "no client comes to the site"
        kinds = [e.body.change.kind for e in engine.entries() if isinstance(e.body, EffectIntended)]
        assert kinds == [*["backend.leave-site"] * 4, "dns.leave-site", "database.leave-site"]
        assert row.elapsed is not None
        assert row.budget is not None
        assert row.elapsed < row.budget, "within the RTO of the service"
        await asyncio.to_thread(back, engine)
        assert await around.weights() == before
        assert await around.addresses() == sorted(SITES.values())
        assert (await around.truth.writer())[0] == led
        engine.end()
        assert engine.chain() == ""
    failed = sum(n for _, n in (await around.counted()).values()) - sum(n for _, n in counts.values())
    reads = {name: n for name, (_, n) in (await around.counted()).items() if name.startswith("catalog")}
    was = {name: n for name, (_, n) in counts.items() if name.startswith("catalog")}
    print(f"evacuated in {row.elapsed:.0f} s of {row.budget:.0f} s; clients: {failed} failed, reads {was} → {reads}")
