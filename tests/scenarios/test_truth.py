"""Every fault of the lab, seen by a tired person at 80×24 and 120×40: the cause in words, the advice, the next key. And
on every frame of every fault header, screens, verbs and journal say the same, value by value."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from adapters.lab.client import LabClient
from console.client.engine_client import Line
from console.tui.store import Store
from state.api.messages import Hello
from state.api.views.causes import Cause, SubjectKind
from state.api.views.header import HeaderView
from state.api.views.overview import OverviewView
from state.api.views.replication import ReplicationView
from state.api.views.traffic import TrafficView
from state.capabilities import topics
from state.detection.events import DriftDetected, ServiceImpaired, SplitBrainDetected
from state.detection.observations import BalancerRestarted, NodeLost
from state.health import Health
from state.verdicts.clocks import remaining
from state.verdicts.evidence import rank, worst
from tests.scenarios.cells import CellWatch, Found
from tests.scenarios.told import FAULTS, SELDOM, Told
from tests.support.real_engine import RealEngine, engine_home, lab_estate
from tests.terminal.ptys import Terminal

SIZES = ((80, 24), (120, 40))
SCREENS = "1124"
"""What the wide watched console goes through; the narrow one stays on the Overview."""
CLEAR = 180.0
"""Seconds within which everything is well again after a fault: replication settles, windows of figures pass."""


class Watched(NamedTuple):
    """One engine, on it a terminal of each size, and consoles whose cells are compared on every frame."""

    engine: RealEngine
    terminals: dict[tuple[int, int], Terminal]
    cells: tuple[CellWatch, ...]


@pytest.fixture(scope="module")
def watched(lab: LabClient) -> Iterator[Watched]:
    """The same engine and consoles for all faults."""
    with engine_home(lab_estate(lab)) as engine:
        asyncio.run(engine.start())
        argv = [sys.executable, "-m", "console.cli", "console", "--estate", str(engine.place.file)]
        terminals = {size: Terminal(argv, size=size, env={"HOME": str(engine.place.runtime)}) for size in SIZES}
        home, path = engine.place.runtime, str(engine.place.engine)
        cells = tuple(CellWatch(home, path, size, cycle) for size, cycle in zip(SIZES, ("", SCREENS), strict=True))
        try:
            for terminal in terminals.values():
                terminal.__enter__()
                terminal.wait("Recover in this order", 60)
            yield Watched(engine, terminals, cells)
        finally:
            for watch in cells:
                watch.stop()
            for terminal in terminals.values():
                terminal.__exit__(None, None, None)
            engine.end()


@pytest.mark.parametrize(
    "told",
    [*FAULTS, *(pytest.param(each, marks=pytest.mark.torture) for each in SELDOM)],
    ids=lambda told: told.fault,
)
def test_a_fault_is_told_and_nothing_contradicts(lab: LabClient, watched: Watched, told: Told) -> None:
    engine, terminals, cells = watched
    asyncio.run(_well(engine))
    before = [watch.found() for watch in cells]
    asyncio.run(lab.inject(told.fault, told.target or None, 120, within=120))
    try:
        cause, frames = asyncio.run(_until_told(engine, told))
        assert frames > 3
        for size, terminal in terminals.items():
            assert _judged(cause, told)
            terminal.wait(lambda t=terminal, wide=size[0] >= 120: _says(_sentence(t), told, wide=wide), 60)  # type: ignore[misc]
            for word in told.screen:
                assert word in terminal.text(), f"{word!r} is not on the first screenful:\n{terminal.text()}"
            terminal.press(told.key)
            terminal.wait(lambda t=terminal: all(w in " ".join(t.text().split()) for w in told.opens), 60)  # type: ignore[misc]
            terminal.press("1" if told.key == "t" else "\x1b")  # another screen, or a dialog
            terminal.wait("Recover in this order", 60)
        _verbs_agree(engine)
        if told.health is Health.FAIL and told.begins:
            _journal_agrees(engine, cause)
    finally:
        asyncio.run(lab.undo(told.fault))
    asyncio.run(_well(engine))
    for terminal in terminals.values():
        terminal.wait(lambda t=terminal: "within their objectives" in t.text(), 60)  # type: ignore[misc]
    _cells_agreed(cells, before)


def test_a_reload_that_loses_what_was_set_is_told_until_it_is_set_again(lab: LabClient, watched: Watched) -> None:
    engine, terminals, cells = watched
    asyncio.run(_well(engine))
    before = [watch.found() for watch in cells]
    weight = {"balancer": "edge-east", "backend": "catalog", "server": "b"}
    _set(engine, **weight, weight=60)
    asyncio.run(lab.inject("reload-balancer", "east"))
    told = Told("reload-balancer", ("edge-east", "runtime state lost"), ("runtime state lost",), "t", Health.WARN)
    cause, _ = asyncio.run(_until_told(engine, told))
    assert "b weight 60 → 100" in cause.what
    for terminal in terminals.values():
        terminal.wait(lambda t=terminal: "runtime state lost" in _sentence(t), 60)  # type: ignore[misc]
        assert " t" in _sentence(terminal)
        terminal.press("t")
        terminal.wait("Servers of edge-east/catalog", 60)
        terminal.wait(lambda t=terminal: "drift runtime state lost" in " ".join(t.text().split()), 60)  # type: ignore[misc]
        terminal.press("1")
        terminal.wait("Recover in this order", 60)
    assert any(isinstance(e.body, DriftDetected) and "b weight 60" in e.body.line for e in engine.entries())
    assert any(isinstance(e.body, BalancerRestarted) and "edge-east" in e.body.line for e in engine.entries())
    _verbs_agree(engine)
    _set(engine, **weight, weight=100)
    asyncio.run(_well(engine))
    _cells_agreed(cells, before)


def _set(engine: RealEngine, **args: object) -> None:
    """Set a weight and wait until that is proven."""

    async def act() -> None:
        row = await engine.settled(await engine.act("server.weight", **args), 60)
        assert row.state.value == "done", row.message

    asyncio.run(act())


def _cells_agreed(cells: Sequence[CellWatch], before: Sequence[Found]) -> None:
    """The consoles were compared meanwhile, and nothing differed."""
    now = [watch.found() for watch in cells]
    for found in now:
        nothing_differed(found)
    assert sum(found.frames for found in now) > sum(found.frames for found in before)


def nothing_differed(found: Found) -> None:
    """The first difference stands last in the output, without the frames of all others."""
    if found.wrong:
        pytest.fail(f"{len(found.wrong)} frames differ, the first one:\n{found.wrong[0]}", pytrace=False)


def test_both_consoles_were_compared_with_documents_of_the_verbs(watched: Watched) -> None:
    for watch in watched.cells:
        found = watch.found()
        nothing_differed(found)
        assert found.frames > found.documents > 0
        assert len(found.passing) * 20 < found.frames, found.passing[0]


def _sentence(terminal: Terminal) -> str:
    """The sentence, also where it takes two lines."""
    terminal.read(0.05)
    lines = terminal.text().splitlines()
    title = next((place for place, line in enumerate(lines) if "Recover in this order" in line), 3)
    return " ".join(line.strip() for line in lines[2 : max(3, title)])


def _says(line: str, told: Told, *, wide: bool) -> bool:
    """Whether the sentence is about the fault and ends with its key. What pages stands before what warns."""
    paged = told.health is Health.WARN and "alert fires" in line
    words = told.sentence[: 1 if paged else None if wide else 2]
    return f" {told.key}" in line and all(word in line for word in words)


async def _well(engine: RealEngine) -> None:
    """Wait until everything is well, without any cause; every frame on the way is compared."""
    await _follow(engine, lambda store: not _header(store).causes and _overview(store).health is Health.PASS, CLEAR)


def _judged(cause: Cause, told: Told) -> bool:
    """As it is expected; where the lab has alerts, one that pages fails, and names what only warns."""
    paged = cause.kind is SubjectKind.ALERT and told.health is Health.WARN
    return cause.health is (Health.FAIL if paged else told.health)


def _words(cause: Cause, told: Told) -> tuple[str, ...]:
    return told.sentence[:1] if cause.kind is SubjectKind.ALERT else told.sentence


async def _until_told(engine: RealEngine, told: Told) -> tuple[Cause, int]:
    found: list[Cause] = []

    def seen(store: Store) -> bool:
        causes = _header(store).causes
        first = causes[0] if causes else None
        judged = first is not None and _judged(first, told)  # a frozen primary is unknown until it is proven
        if first is not None and judged and all(word in first.sentence(store.mono) for word in _words(first, told)):
            found.append(first)
        return bool(found)

    frames = await _follow(engine, seen, told.within)
    assert found[0].next is not None
    assert found[0].next.key == told.key
    return found[0], frames + await _follow(engine, lambda store: len(found) > 4 or not seen(store), 60.0)


async def _follow(engine: RealEngine, reached, seconds: float) -> int:  # type: ignore[no-untyped-def]
    """Follow the stream until something is reached; every whole frame of it is compared. Gives their number."""
    store, frames, end = Store(), 0, time.monotonic() + seconds
    store.connected(await _hello(engine))
    async for told in engine.client.follow(tuple(topics())):
        if not isinstance(told, Line):
            continue
        if "tick" in told.content and store.view(OverviewView) is not None:  # all topics of one version are there
            agree(store)
            frames += 1
            if reached(store):
                return frames
        store.apply(told.content)
        causes = _header(store).causes if store.view(HeaderView) is not None else ()
        said = [c.sentence(store.mono) for c in causes]
        assert time.monotonic() < end, f"not after {seconds:.0f} s; the causes are {said}"
    raise AssertionError("the stream ended")


async def _hello(engine: RealEngine) -> Hello:
    return await engine.client.hello()


def _header(store: Store) -> HeaderView:
    view = store.view(HeaderView)
    assert view is not None
    return view


def _overview(store: Store) -> OverviewView:
    view = store.view(OverviewView)
    assert view is not None
    return view


def agree(store: Store) -> None:
    """Header, Overview, Replication and Traffic of one version say the same."""
    header, overview = _header(store), _overview(store)
    replication, traffic = store.view(ReplicationView), store.view(TrafficView)
    assert replication is not None
    assert traffic is not None
    healths = {row.name: row.health for row in overview.recover.values()}
    assert healths == {n: r.health for n, r in overview.services.items()} | {
        n: r.health for n, r in replication.clusters.items()
    }
    _clocks_and_risks_agree(store)
    everything = [*healths.values(), *(c.health for c in header.causes)]
    assert rank(overview.health) >= rank(worst(everything))
    assert (overview.health is Health.PASS) == overview.summary.startswith("all ")
    if overview.health is Health.PASS:
        assert not header.causes
        assert overview.alerts_health is Health.PASS
    if Health.FAIL in healths.values():
        assert header.causes
        first = header.causes[0]
        assert Health.FAIL in {first.health, *(healths[victim.name] for victim in first.victims)}
    if any(cause.kind.value == "record" for cause in header.causes):
        assert any(dns.health is not Health.PASS for dns in traffic.dns.values())
    _rows_agree(header, overview)


def _clocks_and_risks_agree(store: Store) -> None:
    """One RTO, one figure of the data at risk."""
    header, overview, replication = _header(store), _overview(store), store.view(ReplicationView)
    assert replication is not None
    running = [row.rto for row in overview.recover.values() if row.rto is not None]
    if running:
        assert header.rto is not None
        now = store.mono
        assert remaining(header.rto, now) == min(remaining(clock, now) for clock in running)
    for name, row in overview.services.items():
        mine = overview.recover[f"service/{name}"].rto
        assert mine is None or mine == row.rto
    risks = [row.risk for row in replication.clusters.values()]
    assert header.risk is None or header.risk in risks
    assert header.risk is None or rank(header.risk.health) == max(rank(r.health) for r in risks)


def _rows_agree(header: HeaderView, overview: OverviewView) -> None:
    """A cause and its row have one instant and one next step; what waits stands below what it waits for."""
    rows = overview.recover
    for cause in header.causes:
        row = next((r for r in rows.values() if r.name == cause.name and r.next == cause.next), None)
        same = row is not None and row.health is cause.health and not row.waits_for and row.message == cause.what
        if row is not None and same and row.since_mono is not None:
            assert row.since_mono == cause.since_mono
    for row in rows.values():
        if row.waits_for:
            above = [r for r in rows.values() if r.name == row.waits_for]
            assert [r.order < row.order and r.health is not Health.PASS for r in above] == [True]
        elif row.health is Health.FAIL:
            assert row.next is not None, f"{row.name} fails and names no next step"


def _verbs_agree(engine: RealEngine) -> None:
    """`recovery status --json` tells what the stream tells, within one document and against the next frame."""
    for _ in range(20):
        argv = [sys.executable, "-m", "console.cli", "status", "--json", "--estate", str(engine.place.file)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        document = json.loads(done.stdout)
        verb = {row["name"]: row["health"] for row in document["overview"]["recover"].values()}
        said = [(c["key"], c["what"].split("%")[0][-3:] if "%" in c["what"] else c["what"])
                for c in document["header"]["causes"][:1]]  # fmt: skip
        header, overview = asyncio.run(_views(engine))
        stream = {row.name: row.health.value for row in overview.recover.values()}
        told = [c.key for c in header.causes[:1]]
        if verb == stream and [key for key, _ in said] == told:
            return
    raise AssertionError(f"the verb says {verb}, {said}; the stream says {stream}, {told}")


async def _views(engine: RealEngine) -> tuple[HeaderView, OverviewView]:
    return await engine.client.view("header"), await engine.client.view("overview")


def _journal_agrees(engine: RealEngine, cause: Cause) -> None:
    """The journal has the service as impaired since the same instant as the screen; of a database what was observed of
    it when its clock began."""
    header, overview = asyncio.run(_views(engine))
    end = time.monotonic() + 60
    while time.monotonic() < end:
        current = next((c for c in header.causes if c.key == cause.key), None)
        if current is not None and current.since_mono is not None:
            row = next(r for r in overview.recover.values() if r.name == cause.name)
            assert row.rto is not None
            if any(abs(at - row.rto.started_mono) < near for at, near in _told_at(engine, cause.name)):
                return
        header, overview = asyncio.run(_views(engine))
        time.sleep(0.3)
    raise AssertionError(f"no entry that {cause.name} fails since the same instant")


def _told_at(engine: RealEngine, name: str) -> Iterator[tuple[float, float]]:
    """When the journal says that this began to fail, on the engine's clock, and how exactly it can know."""
    for entry in engine.entries():
        body = entry.body
        if isinstance(body, ServiceImpaired) and body.service == name:
            yield entry.mono - body.since, 0.3
        elif isinstance(body, SplitBrainDetected) and body.database == name:
            yield entry.mono, 2.0  # seen at one tick, recorded at the next one
        elif isinstance(body, NodeLost):
            yield from ((entry.mono - node.age, 1.0) for node in body.nodes if node.database == name and node.age)
