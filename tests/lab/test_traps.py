"""The traps of the systems underneath, sprung on real components and seen through the engine's socket."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.lab.client import LabClient
from state.api.requests import Decide, PlanChange, PlanRunbook, PlanUndo
from state.errors import Refused
from state.proof.lines import verify_export
from state.runs.events import EffectAnswered
from state.views.journal import chain_proof
from tests.crash.recorder import Recorder
from tests.crash.targets import Truth
from tests.crash.trials import recorded
from tests.support.real_engine import RealEngine, Tree, engine_home, lab_estate, until

pytestmark = pytest.mark.lab

STANDBY_LINKS = ("replication-{}", "engine-postgres-{}", "engine-patroni-{}")
SHIFT = """
runbook: shift
title: Shift and ask
steps:
  - id: shift
    title: Shift
    change: server.weight
    with: {balancer: edge-west, backend: catalog, server: b, weight: 64}
  - id: go-on
    title: Go on?
    decide: {question: Is it well?, options: {Yes: continue, No: stop}}
    timeout: 10m
"""


@pytest.fixture
def truth(lab: LabClient) -> Truth:
    return Truth(lab)


def traffic(lab: LabClient) -> Tree:
    return lab_estate(lab, "balancers", "services")


def write_book(engine: RealEngine, name: str, text: str) -> None:
    """Put a runbook where the estate's `runbooks: [books]` finds it."""
    assert engine.place.file is not None
    books = engine.place.file.parent / "books"
    books.mkdir(exist_ok=True)
    (books / f"{name}.yaml").write_text(text)


async def begin(engine: RealEngine, book: str, **params: str) -> str:
    return await engine.submit(await engine.plan(PlanRunbook(book, params)))


async def nodes(engine: RealEngine) -> dict[str, dict[str, Any]]:
    rows = (await engine.client.view("replication")).nodes
    return {row.node: row for row in rows.values()}


async def cluster(engine: RealEngine) -> dict[str, Any]:
    found: dict[str, Any] = (await engine.client.view("replication")).clusters["orders"]
    return found


async def test_trap_01_silent_or_broken_standbys_are_unknown_and_never_zero(
    lab: LabClient, engine: RealEngine, truth: Truth
) -> None:
    leader = (await truth.writer())[0]
    broken, silent = sorted({"n1", "n2", "n3"} - {leader})
    links = [f"replication-{broken}", *(link.format(silent) for link in STANDBY_LINKS)]

    async def whole() -> bool:
        found = await nodes(engine)
        return all(found[n].state == "streaming" and found[n].lag_bytes is not None for n in (broken, silent))

    async def unknown() -> bool:
        found = await nodes(engine)
        return (found[broken].state, found[silent].state) == ("not streaming", "no data")

    await until(whole, 30, "the standbys do not stream")
    try:
        for link in links:
            await lab.set_link(link, "reset")
        await until(unknown, 12, "it did not show")
        for _ in range(20):
            found, whole_cluster = await nodes(engine), await cluster(engine)
            assert found[broken].lag_bytes is None
            assert found[silent].lag_bytes is None
            assert {found[broken].health, found[silent].health} <= {"fail", "unknown"}
            assert whole_cluster.risk.lost_bytes is None
            assert whole_cluster.risk.health == "unknown"
            await asyncio.sleep(0.1)
        assert "at least" in found[broken].message, "what the primary wrote since is certain"
        header = await engine.client.view("header")
        assert header.risk.lost_bytes is None
    finally:
        for link in links:
            await lab.set_link(link, "pass")
    await until(whole, 30, "the standbys did not come back")


def http(status: int, message: str) -> bytes:
    body = message.encode()
    return f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


ANSWERS = {
    "failed-503": http(503, "Switchover failed"),
    "status-unknown-503": http(503, "Switchover status unknown"),
    "landed-elsewhere": http(200, 'Switched over to "n9" instead of the one that was asked for'),
    "impossible-412": http(412, "switchover is not possible: no good candidates have been found"),
    "reset": b"",
}


IN_DOUBT = ("failed-503", "status-unknown-503", "reset")
"""Answers after which it could still happen, as long as Patroni's leader lock lives."""
SHORT_LOCK = http(200, json.dumps({"ttl": 3, "loop_wait": 1, "retry_timeout": 1}))
"""What Patroni says of itself, but for all but one answer: of what never reached it nothing can come late."""


async def test_trap_06_five_answers_five_outcomes_and_each_was_sent_once(lab: LabClient, truth: Truth) -> None:
    """Patroni never hears of it: what the caller is told comes from here, what is true from the servers."""
    leader, timeline = await truth.writer()
    to = next(name for name in sorted(await truth.postgres()) if name != leader)
    recorder, tree = Recorder(), lab_estate(lab, "databases")

    async def ask(engine: RealEngine, code: str) -> tuple[str, str, str, set[str], list[str]]:
        recorder.answer = lambda command: ANSWERS[code] if b"/switchover" in command else None
        recorder.told = lambda question: SHORT_LOCK if code != IN_DOUBT[0] and b" /config " in question else None
        recorder.effects.clear()
        seen = set[str]()
        run = await engine.act("database.switchover", database="orders", to=to)

        async def settled() -> bool:
            seen.add((await engine.row(run)).state)
            return not seen.isdisjoint({"paused", "done", "failed"})

        await until(settled, 180)
        step = await engine.step(run)
        mine = [e for e in engine.entries() if e.event.run == run]
        [answer] = [e.body.code for e in mine if isinstance(e.body, EffectAnswered)]
        return step.state, step.message, answer, seen, [*recorder.effects]

    async with recorded(truth, tree, recorder):
        with engine_home(tree) as engine:
            await engine.start()
            told = {code: await ask(engine, code) for code in ANSWERS}
    for code, (state, message, answer, seen, effects) in told.items():
        assert state == "not-done", message
        assert answer == code
        assert effects == ["POST /switchover HTTP/1.1"]
        assert ("unknown" in seen) == (code in IN_DOUBT), (code, seen)
    assert len({message for _, message, _, _, _ in told.values()}) == len(ANSWERS)
    assert await truth.writer() == (leader, timeline)


async def test_trap_09_the_last_server_is_kept_though_haproxy_would_let_it_go(
    lab: LabClient, engine: RealEngine, truth: Truth
) -> None:
    place = {"balancer": "edge-east", "backend": "catalog"}
    run = await engine.act("server.drain", **place, server="a")
    assert (await engine.settled(run, 10)).state == "done"
    try:
        card = await engine.plan(PlanChange("server.drain", {**place, "server": "b"}))
        assert any(r.rule == "floor" and "0 of 2 servers" in r.fact for r in card.refusals)
        with pytest.raises(Refused, match="floor"):
            await engine.submit(card)
        assert not (await truth.servers("east", "catalog"))["b"][1]
        assert (await truth.haproxy("east", "set server catalog/b state drain")).strip() == ""
        assert (await truth.servers("east", "catalog"))["b"][1]
    finally:
        for server in ("a", "b"):
            await truth.haproxy("east", f"set server catalog/{server} state ready")


async def test_trap_10_a_reload_during_a_run_is_said_to_have_lost_runtime_state(lab: LabClient) -> None:
    with engine_home({**traffic(lab), "runbooks": ["books"]}) as engine:
        write_book(engine, "shift", SHIFT)
        await engine.start()
        run = await begin(engine, "shift")
        assert (await engine.settled(run, 15)).state == "waiting"

        async def seen() -> bool:
            backends = (await engine.client.view("traffic")).backends.values()
            return any(row.balancer == "edge-west" and row.backend == "catalog" for row in backends)

        async def alarmed() -> bool:
            rows = (await engine.client.view("traffic")).backends.values()
            drift = " ".join(row.drift for row in rows if row.balancer == "edge-west")
            alarms = " ".join((await engine.client.view("header")).alarms)
            return "runtime state lost" in drift and "b weight 64" in drift and "runtime state lost" in alarms

        async def recorded_once() -> bool:
            return engine.kinds().count("drift.detected") == 1

        await until(seen, 5)
        await lab.inject("reload-balancer", "west")
        await until(alarmed, 6, "the loss was not told")
        assert (await engine.row(run)).state == "waiting"
        await until(recorded_once, 5, "it was not recorded")


async def test_trap_11_silence_of_the_balancer_is_no_success_until_it_is_read_back(
    lab: LabClient, truth: Truth
) -> None:
    """The command is swallowed and answered as HAProxy answers a success: with an empty line."""
    before = await truth.servers("west", "catalog")
    recorder = Recorder(answer=lambda command: b"\n")
    tree = traffic(lab)
    async with recorded(truth, tree, recorder):
        with engine_home(tree) as engine:
            await engine.start()
            run = await engine.act("server.weight", balancer="edge-west", backend="catalog", server="a", weight=11)
            assert (await engine.settled(run, 10)).state == "failed"
            step = await engine.step(run)
            assert step.state == "not-done"
            assert "weight reads 100" in step.evidence[0]
            assert len(recorder.effects) == 1
    assert await truth.servers("west", "catalog") == before


NO_DATA = """
runbook: {book}
title: Verify, then act
params:
  service: {{kind: service, default: {service}, title: Service}}
steps:
  - id: verify
    title: Few errors
    check: service.errors-below
    with: {{service: "${{service}}", ratio: 1%}}
    every: 500ms
    for: 4s
  - id: act
    title: Act
    change: server.weight
    with: {{balancer: {balancer}, backend: {backend}, server: {server}, weight: 33}}
"""


@pytest.mark.usefixtures("monitors")
async def test_trap_12_no_data_is_unknown_and_blocks(lab: LabClient, truth: Truth) -> None:
    """An empty answer, samples that are too old, and no answer: none lets the step after the check begin."""
    tree = lab_estate(lab, "balancers", "services", "monitors")
    tree["runbooks"] = ["books"]
    url = tree["monitors"]["prometheus"]["url"]
    hung = "engine-alertmanager"
    tree["monitors"] = {
        "prometheus": {"kind": "prometheus", "url": url},
        "late": {"kind": "prometheus", "url": url, "stale_after": "1ms"},
        "hung": {"kind": "prometheus", "url": f"http://{lab.description()['links'][hung]}"},
    }
    promise = {"tier": 3, "rto": "1h", "rpo": "1MB", "owners": ["you"]}
    for name, monitor, label in (
        ("nobody", "prometheus", "nobody"),
        ("old", "late", "checkout"),
        ("mute", "hung", "checkout"),
    ):
        tree["services"][name] = {**promise, "metrics": {"monitors": [monitor], "service": label}}
    for name in ("checkout", "catalog"):
        tree["services"][name]["metrics"]["monitors"] = ["prometheus"]
    places = {
        "nobody": ("edge-east", "catalog", "a"),
        "old": ("edge-west", "catalog", "a"),
        "mute": ("edge-west", "checkout", "green"),
        "checkout": ("edge-east", "checkout", "green"),
    }
    await lab.set_link(hung, "blackhole")
    try:
        with engine_home(tree) as engine:
            for service, (balancer, backend, server) in places.items():
                text = NO_DATA.format(
                    book=f"act-{service}", service=service, balancer=balancer, backend=backend, server=server
                )
                write_book(engine, f"act-{service}", text)
            await engine.start()

            async def figures() -> bool:
                return (await engine.client.view("overview")).services["checkout"].rate is not None

            await until(figures, 20, "Prometheus gives no figures")
            runs = {service: await begin(engine, f"act-{service}") for service in places}
            rows = {service: await engine.settled(run, 20) for service, run in runs.items()}
            assert rows.pop("checkout").state == "done", "with data the same run goes through"
            for service, row in rows.items():
                step = await engine.step(row.id)
                steps = (await engine.client.view("runbooks")).steps
                assert (row.state, step.state) == ("paused", "pending"), (service, row.message)
                message = steps[f"{row.id}/verify#1"].message
                assert message.startswith("unknown: no data is never a pass"), (service, message)
                assert (await engine.client.view("overview")).services[service].health == "unknown"
        assert (await truth.servers("east", "catalog"))["a"][0] == 100
        assert (await truth.servers("west", "catalog"))["a"][0] == 100
        assert (await truth.servers("west", "checkout"))["green"][0] == 0
    finally:
        await lab.set_link(hung, "pass")
        await truth.haproxy("east", "set server checkout/green weight 0")


def verb(engine: RealEngine, *argv: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-P", "-m", "console.cli", *argv, "--estate", str(engine.place.file)]
    return subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def test_trap_14_console_and_engine_die_mid_step_and_the_open_question_survives(
    lab: LabClient, truth: Truth
) -> None:
    with engine_home({**traffic(lab), "runbooks": ["books"]}) as engine:
        write_book(engine, "shift", SHIFT)
        await engine.start("after_effect")
        with verb(engine, "run", "start", "shift", "--yes-nonce") as console:
            assert await engine.died() == -signal.SIGKILL
            console.kill()
        assert (await truth.servers("west", "catalog"))["b"][0] == 64, "the effect had left"
        await engine.start()
        assert (await engine.settled("R-1", 8)).state == "waiting"
        answers = [e.body for e in engine.entries() if isinstance(e.body, EffectAnswered)]
        assert [(a.code, a.unknown) for a in answers] == [("interrupted", True)], "unknown, then read"
        assert (await engine.client.view("runbooks")).steps["R-1/shift#1"].state == "done"
        engine.kill()
        await engine.start()
        row = await engine.row("R-1")
        assert (row.state, row.question, row.options) == ("waiting", "Is it well?", ("Yes", "No"))
        await engine.client.control("R-1", Decide("Yes"))
        assert (await engine.settled("R-1", 5)).state == "done"
        assert engine.kinds("R-1").count("decision.asked") == 1
        undone = await engine.submit(await engine.plan(PlanUndo("R-1")))
        assert (await engine.settled(undone, 8)).state == "done"
    assert (await truth.servers("west", "catalog"))["b"][0] == 100


async def test_trap_17_any_byte_and_any_line_of_the_journal_counts(lab: LabClient, tmp_path: Path) -> None:
    with engine_home(traffic(lab)) as engine:
        await engine.start()
        run = await engine.act("server.weight", balancer="edge-east", backend="catalog", server="a", weight=100)
        await engine.settled(run, 8)
        lines = (await engine.client.journal_export()).splitlines()
        assert (await engine.client.journal_verify()).problem == ""
        head = json.loads(lines[-1])["hash"]
        assert verify_export(lines, known=head).known == len(lines)
        for number, line in enumerate(lines):
            for at in range(number % 11, len(line), 11):
                changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
                found = verify_export([*lines[:number], changed, *lines[number + 1 :]], known=head)
                said = found.problem or found.torn
                assert any(f" {n}" in said for n in (number + 1, number + 2)), (number + 1, at, said)
            lacking = chain_proof(verify_export([*lines[:number], *lines[number + 1 :]], known=head), head).problem
            assert any(f"entry {n}" in lacking for n in (number, number + 1, number + 2)), lacking
        exported = tmp_path / "journal.jsonl"
        exported.write_bytes(b"\n".join([*lines[:1], *lines[2:]]) + b"\n")
        with verb(engine, "journal", "verify", "--file", str(exported)) as console:
            assert console.wait(20) == 1
        engine.end()
        with closing(sqlite3.connect(engine.place.journal)) as db:
            db.executescript("DROP TRIGGER entries_stay")
            db.execute("UPDATE entries SET payload = CAST(replace(payload, 'engine', 'Engine') AS BLOB) WHERE seq = 1")
            db.commit()
        await engine.start()
        assert "entry 1" in (await engine.client.journal_verify()).problem
        assert "entry 1" in (await engine.client.view("journal")).verified
