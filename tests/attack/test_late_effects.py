"""Attacks on "not done": what was asked arrives after everybody gave up, or goes on after the engine was killed.

The journal says the truth in the end, nothing happens twice, and no "not done" is final that happened.
"""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanChange, PlanRetry, PlanUndo
from state.changes.model import Finding
from state.changes.registry import change_kinds
from state.errors import EffectUnknown, RecoveryError, Refused
from state.journal.format import unseal_any
from state.ports.target import Receipt
from state.runs.events import EffectAmended, EffectEnded
from tests.support.late_relay import deploy_through, late_relay, release_service
from tests.support.own_estate import own, script
from tests.support.real_engine import RealEngine, Tree, engine_home, folder, until
from tests.support.small_estate import ESTATE, Small, change, small

DEPLOY = PlanChange("http.call", {"call": "deploy", "args": {}})


def outcomes(lab: Small) -> list[Finding]:
    """Every recorded finding, amendments included, in order."""
    bodies = (unseal_any(each).body for each in lab.store.rows(0, 10_000))
    return [body.finding for body in bodies if isinstance(body, EffectEnded | EffectAmended)]


def promising(delivery: str) -> Mapping[str, Any]:
    """The policies of an estate whose network delivers within `delivery`."""
    return {**ESTATE["policies"], "delivery": delivery}


async def test_a_request_delivered_late_is_unknown_until_then_and_found_done(tmp_path: Path) -> None:
    """Before: not done after 300 ms, a retry was offered, and the retry was the second effect."""
    async with release_service() as held, late_relay(held.port, 3.0) as relay:
        calls = {"deploy": deploy_through(relay, held)}
        async with own(tmp_path, http_calls=calls, policies=promising("8s")) as lab:
            run = (await lab.submit(await lab.preview(DEPLOY))).run
            await until(lambda: waits(relay), 30)
            with pytest.raises(RecoveryError):
                await lab.preview(PlanRetry(run, "change#1"))
            assert await lab.ended(run, 60) == "done"
        assert (held.count, relay.delivered) == (1, 1)
        assert outcomes(lab) == [Finding.DONE]


async def waits(relay: Any) -> bool:
    return bool(relay.waiting)


async def test_what_is_seen_after_the_promise_was_broken_amends_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("state.runs.amending.LOOK", 0.3)
    async with release_service() as held, late_relay(held.port, 6.0) as relay:
        calls = {"deploy": deploy_through(relay, held)}
        async with own(tmp_path, http_calls=calls, policies=promising("100ms")) as lab:
            run = (await lab.submit(await lab.preview(DEPLOY))).run
            assert await lab.ended(run, 60) == "failed"
            assert (outcomes(lab), held.count) == ([Finding.NOT_DONE], 0)

            async def amended() -> bool:
                return len(outcomes(lab)) > 1

            await until(amended, 60)
            assert outcomes(lab) == [Finding.NOT_DONE, Finding.DONE]
            row = lab.engine.view("runbooks").runs[run]
            assert "recorded as not-done, now it reads done" in row.message
            step = lab.engine.history.runs[run].latest("change")
            assert (step.amended, step.finding) == (Finding.NOT_DONE, Finding.DONE)
            assert any(r.kind == "effect.amended" and "v2" in r.message for r in lab.engine.journal_rows(0, 999))
            await asyncio.sleep(1.0)
            assert outcomes(lab) == [Finding.NOT_DONE, Finding.DONE], "it is said once"


def tree(**sections: Any) -> Tree:
    me = {"accounts": [getpass.getuser()], "roles": ["responder", "commander"]}
    policies = {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "delivery": "12s"}
    base = {"estate": "late", "environment": "lab", "sites": {"east": {}}, "people": {"me": me}, "runbooks": []}
    return {**base, "policies": policies, **sections}


def found(engine: RealEngine, run: str) -> list[Finding]:
    bodies = (e.body for e in engine.entries() if e.event.run == run)
    return [body.finding for body in bodies if isinstance(body, EffectEnded | EffectAmended)]


async def test_a_request_under_way_when_the_engine_was_killed_is_not_called_not_done() -> None:
    async with release_service() as held, late_relay(held.port, 6.0) as relay:
        calls = {"deploy": deploy_through(relay, held, timeout="20s")}
        with engine_home(tree(http_calls=calls)) as engine:
            await engine.start()
            run = await engine.act("http.call", call="deploy", args={})
            await until(lambda: waits(relay), 60)
            engine.kill()
            await engine.start()
            assert (await engine.settled(run, 120)).state == "done"
            assert (found(engine, run), held.count) == ([Finding.DONE], 1)


LATE_CHILD = """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(7); open('done', 'a').write('x')"])
time.sleep(60)
"""


async def test_what_a_command_started_outlives_a_killed_engine_and_is_waited_for() -> None:
    """Before: "not done: the target shows no effect" 3 s after the restart, with a retry; then the effect came."""
    with folder() as place:
        read = {"argv": ["/usr/bin/test", "-e", str(place / "done")]}
        start = f"import os\nos.chdir({str(place)!r})\n{LATE_CHILD}"
        entry = {"argv": [script(place, "late", start)], "risk": "B1", "timeout": "5s", "read": read}
        with engine_home(tree(commands={"late": entry | {"timeout": "40s"}})) as engine:
            await engine.start()
            run = await engine.act("command.run", command="late", args={})
            await asyncio.sleep(1.5)
            engine.kill()
            await engine.start()

            async def named() -> bool:
                step = await engine.step(run)
                assert step.state in ("unknown", "running"), step.message
                return any("still runs" in line for line in (step.message, *step.evidence))

            await until(named, 60)
            row = await engine.settled(run, 120)
            assert (row.state, (place / "done").read_text()) == ("done", "x")
            assert found(engine, run) == [Finding.DONE]


class Late(MemoryBalancer):
    """Loses the answer of every command, and carries it out `after` seconds."""

    direct = False
    after = 2.0

    def __init__(self) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 0}})
        self.tasks: list[asyncio.Task[Receipt]] = []

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        async def later() -> Receipt:
            await asyncio.sleep(self.after)
            return await MemoryBalancer.set_weight(self, backend, server, weight, deadline=deadline)

        self.tasks.append(asyncio.create_task(later()))
        raise EffectUnknown("no answer", "timeout")


@pytest.mark.virtual_time
async def test_nobody_makes_the_opposite_change_while_one_may_still_come() -> None:
    balancer = Late()
    async with small(balancer=balancer, estate={**ESTATE, "policies": promising("6s")}) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        await asyncio.sleep(0.3)
        opposite = await lab.preview(change("server.weight", server="green", weight=7))
        with pytest.raises(Refused, match="lease"):
            await lab.submit(opposite)
        assert await lab.ended(run, 30) == "done"
        assert outcomes(lab) == [Finding.DONE]


@pytest.mark.virtual_time
async def test_another_effect_on_the_same_target_ends_the_looking_after() -> None:
    """What is read then would be the other one's: it must not be counted for the first."""
    balancer = Late()
    balancer.after = 3600.0
    async with small(balancer=balancer, estate={**ESTATE, "policies": promising("100ms")}) as lab:
        first = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        assert await lab.ended(first, 30) == "failed"
        second = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        await lab.ended(second, 30)
        waiting = lab.engine.amending.waiting()
        assert [each.run.id for each in waiting] == [second]
    for task in balancer.tasks:
        task.cancel()


@pytest.mark.virtual_time
async def test_the_next_engine_looks_after_what_the_former_one_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("state.runs.amending.LOOK", 0.2)
    balancer, store, estate = Late(), MemoryJournal(), {**ESTATE, "policies": promising("100ms")}
    balancer.after = 4.0
    async with small(balancer=balancer, store=store, estate=estate) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        assert await lab.ended(run, 30) == "failed"
    async with small(balancer=balancer, store=store, estate=estate) as lab:

        async def amended() -> bool:
            return outcomes(lab) == [Finding.NOT_DONE, Finding.DONE]

        await until(amended, 60)
        back = await lab.preview(PlanUndo(run))
        assert back.refusals == (), "what was amended can be undone"


def test_every_kind_of_change_says_when_it_can_no_longer_happen() -> None:
    """The table of the handbook names every kind, so that none is forgotten."""
    page = (Path(__file__).parents[2] / "docs" / "runbooks.md").read_text(encoding="utf-8")
    table = page.split("### When “not done” is final", 1)[1].split("\n#", 1)[0]
    assert [kind for kind in change_kinds() if f"`{kind}`" not in table] == []
