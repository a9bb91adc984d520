"""From the last confirming key in the console to the recorded outcome of a change, beside the same request by API.

The stamps of the journal are the engine's (CLOCK_BOOTTIME), and so is the stamp of the key.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from typing import Any

from console.client.engine_client import EngineClient
from state.api.requests import PlanChange, Submission
from state.changes.traffic import BackendChange
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended, RunEnded
from tests.bench.figures import Figure, Pairs
from tests.bench.pty_driver import Driven
from tests.bench.setting import Setting
from tests.bench.site import Site, small_site
from tests.bench.start import LIVE

GOAL = "key-to-effect"
CARD = r"type y to do it"
LIMIT = 15.0


def engine_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def stamps(site: Site, after: int) -> tuple[int, dict[str, float]]:
    """The last entry's number, and the engine's instant of each kind of event after another entry."""
    database = sqlite3.connect(f"file:{site.journal}?mode=ro", uri=True)
    rows = database.execute("SELECT seq, header FROM entries WHERE seq > ? ORDER BY seq", (after,)).fetchall()
    database.close()
    found: dict[str, float] = {}
    for _, header in rows:
        told: list[Any] = json.loads(header)
        found[told[7]] = told[3]
    return (rows[-1][0] if rows else after), found


def ended(site: Site, after: int, console: Driven) -> dict[str, float]:
    """Wait for the run to end; the console's terminal is read meanwhile, as a person's would be."""
    end = time.monotonic() + LIMIT
    while True:
        console.drain(0.02)
        _, found = stamps(site, after)
        if RunEnded.kind in found:
            assert EffectEnded.kind in found, f"no outcome: {sorted(found)}"
            return found
        assert time.monotonic() < end, f"no end of the run: {sorted(found)}\n{console.text()}"


def by_key(site: Site, console: Driven, key: str) -> tuple[float, dict[str, float]]:
    """The instant of the confirming key, and the events after it."""
    after, _ = stamps(site, 0)
    console.press(key)
    console.wait(CARD)
    console.drain(0.8)
    at = engine_time()
    console.press("y")
    return at, ended(site, after, console)


def by_api(site: Site, console: Driven, kind: str) -> tuple[float, dict[str, float]]:
    """The instant of submitting the same change, and the events after it."""
    after, _ = stamps(site, 0)

    async def submit() -> float:
        client = EngineClient(str(site.socket))
        card = await client.preview(PlanChange(kind, ARGS))
        await asyncio.sleep(card.confirmation.arm + 0.05)
        at = engine_time()
        await client.submit(Submission(card.plan, card.fingerprint, card.confirmation.typed))
        return at

    at = asyncio.run(submit())
    return at, ended(site, after, console)


ARGS = {"balancer": "edge-0", "backend": "be000", "server": "srv000"}


def measure(setting: Setting) -> Iterator[Figure]:
    """All figures."""
    whole, sent, until_sent = Pairs(), Pairs(), []
    with small_site(setting.folder("effect-site")) as (site, _), site.engine(), site.console() as console:
        console.wait(LIVE)
        console.press("4")
        console.wait(r"READY +srv000")
        console.press("\t")
        console.drain(0.5)
        for _ in range(setting.pick(15, 5)):
            key, found = by_key(site, console, "d")
            request, other = by_api(site, console, "server.ready")
            outcome, intent = EffectEnded.kind, EffectIntended.kind
            whole.add((found[outcome] - key) * 1e3, (other[outcome] - request) * 1e3)
            sent.add((found[intent] - key) * 1e3, (other[intent] - request) * 1e3)
            until_sent.append((found[EffectAnswered.kind] - key) * 1e3)
            console.drain(1.2)
    settle = f"the second reading comes {BackendChange.settle:g} s after the first, on purpose"
    gate = "a lone letter counts after 120 ms of silence, on purpose"
    yield whole.figure(GOAL, "confirming key to recorded outcome / the same by API", note=settle)
    yield sent.figure(GOAL, "confirming key to durable intent / the same by API", note=gate)
    receipt = statistics.median(until_sent)
    yield Figure(GOAL, "confirming key to the target's answer recorded", receipt, "ms", n=len(until_sent), note=gate)
