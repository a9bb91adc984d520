"""What every acting verb gives to a script: each verb against each way it can end, with the real engine process.

The balancer is a peer that speaks HAProxy's protocol and refuses, ignores or loses what it is told. Each verb is a
process of its own with at most 30 s.
"""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from state.api.requests import PlanRunbook, Stop
from tests.support.haproxy_peer import Peer, haproxy_peer
from tests.support.real_engine import RealEngine, engine_home, folder
from tests.support.served_desk import run_verb

LIMIT = 30.0
SHOP = {"balancer": "edge", "backend": "shop"}
RUNBOOKS = {
    "one": {
        "runbook": "one",
        "title": "One change",
        "params": {"weight": {"kind": "number", "default": 5}},
        "steps": [
            {"id": "w", "change": "server.weight", "with": {**SHOP, "server": "green", "weight": "${weight}"}},
            {"id": "c", "check": "server.serving", "with": {**SHOP, "server": "green"}, "for": "5s"},
        ],
    },
    "failing": {
        "runbook": "failing",
        "title": "A change that ends its run",
        "steps": [
            {
                "id": "w",
                "change": "server.weight",
                "with": {**SHOP, "server": "green", "weight": 5},
                "on_failure": "stop",
            },
            {"id": "c", "check": "server.serving", "with": {**SHOP, "server": "green"}, "for": "5s"},
        ],
    },
    "holding": {
        "runbook": "holding",
        "title": "Holds the backend",
        "steps": [
            {"id": "q", "decide": {"question": "Go on?", "options": {"go": "continue"}}},
            {"id": "w", "change": "server.weight", "with": {**SHOP, "server": "green", "weight": 9}},
        ],
    },
}
VERBS = {
    "weight": ("traffic", "weight", "edge", "shop", "green", "5"),
    "drain": ("traffic", "drain", "edge", "shop", "green"),
    "ready": ("traffic", "ready", "edge", "shop", "green"),
    "flip": ("traffic", "flip", "edge", "shop", "green"),
    "start": ("run", "start", "failing"),
    "retry": ("run", "retry", "{run}", "w"),
    "undo": ("run", "undo", "{run}"),
}


def estate() -> dict[str, Any]:
    return {
        "estate": "matrix",
        "environment": "lab",
        "sites": {"east": {}},
        "people": {"u1": {"accounts": [getpass.getuser()], "roles": ["commander", "responder"]}},
        "services": {
            "shop": {
                "tier": 1, "rto": "5m", "rpo": "1MB", "owners": ["u1"],
                "traffic": {"balancers": ["edge"], "backend": "shop", "floor": 1,
                            "colours": {"blue": "1", "green": "2"}},
            }
        },
        "polling": {"every": "200ms", "deadline": "190ms", "stale_after": "1s"},
        "runbooks": ["books"],
        "policies": {"confirm": {"arm": "20ms", "plan_expires": "2m"}},
    }  # fmt: skip


class Site:
    """One engine process with its balancer's peer."""

    def __init__(self, engine: RealEngine, peer: Peer) -> None:
        self.engine, self.peer = engine, peer

    def verb(self, *argv: str, within: str = "") -> subprocess.CompletedProcess[bytes]:
        more = ["--within", within] if within else []
        return run_verb(
            *argv, "--yes-nonce", *more, "--estate", str(self.engine.place.file), limit=LIMIT, RECOVERY_ESTATE=""
        )

    async def prepared(self, name: str) -> tuple[str, ...]:
        """The verb's words, after what must have happened before it."""
        run = ""
        if name == "ready":
            self.peer.admin["green"] = 0x08
        if name == "retry":
            self.peer.mode = "refuses"
            run = await self.engine.submit(await self.engine.plan(PlanRunbook("one")))
            assert (await self.engine.settled(run, 10)).state == "paused"
            self.peer.mode = "well"
        if name == "undo":
            run = await self.engine.act("server.weight", **SHOP, server="green", weight=7)
            assert (await self.engine.settled(run, 10)).state == "done"
        return tuple(word.format(run=run) for word in VERBS[name])

    async def free(self) -> None:
        """End every run and heal the peer."""
        self.peer.reset()
        await self.engine.client.stop_all()
        for run, row in (await self.engine.client.view("runbooks")).runs.items():
            if row.state not in ("done", "failed", "stopped"):
                await self.engine.settled(run, 20)


@pytest.fixture
async def site() -> Any:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        peer = stack.enter_context(haproxy_peer(place))
        tree = estate()
        tree["balancers"] = {"edge": {"kind": "haproxy", "site": "east", "socket": str(peer.socket)}}
        engine = stack.enter_context(engine_home(tree))
        _write_books(engine)
        await engine.start()
        yield Site(engine, peer)


def _write_books(engine: RealEngine) -> None:
    books = engine.place.file.parent / "books"  # type: ignore[union-attr]
    books.mkdir()
    for name, book in RUNBOOKS.items():
        (books / f"{name}.yaml").write_text(json.dumps(book))


def lines_of(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode() + done.stdout.decode()


async def test_done_is_0_and_verified(site: Site) -> None:
    for name in VERBS:
        done = site.verb(*await site.prepared(name))
        assert done.returncode == 0, f"{name}: {lines_of(done)}"
        await site.free()


@pytest.mark.parametrize("mode", ["refuses", "ignores"])
async def test_refused_by_the_target_or_not_done_is_1_and_the_lease_is_given_back(site: Site, mode: str) -> None:
    for name in VERBS:
        words = await site.prepared(name)
        site.peer.mode = mode
        done = site.verb(*words)
        code = 7 if name == "retry" else 1  # its runbook pauses there: a person says what follows
        assert done.returncode == code, f"{name}: {lines_of(done)}"
        if name == "retry":
            assert "recovery run retry" in lines_of(done)
            await site.free()
        open_ = [r for r in (await site.engine.client.view("runbooks")).runs.values() if "stop" in r.next_actions]
        assert open_ == [], name
        await site.free()


async def test_refused_by_policy_is_4(site: Site) -> None:
    words = {name: await site.prepared(name) for name in VERBS if name != "retry"}
    holder = await site.engine.submit(await site.engine.plan(PlanRunbook("holding")))
    words["retry"] = ("run", "retry", holder, "q")
    for name, argv in words.items():
        done = site.verb(*argv)
        assert done.returncode == 4, f"{name}: {lines_of(done)}"
        assert b"by rule" in done.stderr
    site.peer.weights = {"blue": 100, "green": 100}
    await site.engine.client.control(holder, Stop())
    await site.engine.settled(holder, 10)
    site.peer.admin["green"] = 0x08
    done = site.verb("traffic", "drain", "edge", "shop", "blue")
    assert (done.returncode, b"rule floor" in done.stderr) == (4, True), lines_of(done)


async def test_an_unknown_outcome_is_5(site: Site) -> None:
    for name in VERBS:
        words = await site.prepared(name)
        site.peer.mode = "vanishes"
        done = site.verb(*words, within="3")
        assert done.returncode == 5, f"{name}: {lines_of(done)}"
        assert b"do not repeat it" in done.stderr
        site.peer.mode, site.peer.readable = "well", True
        await site.free()


async def test_without_a_limit_a_verb_does_not_wait_for_ever_for_an_unknown_outcome(site: Site) -> None:
    site.peer.mode = "vanishes"
    done = site.verb(*VERBS["weight"])
    assert done.returncode == 5, lines_of(done)


async def test_an_engine_that_is_gone_is_6_and_one_that_is_lost_after_it_accepted_is_5(site: Site) -> None:
    words = {name: await site.prepared(name) for name in VERBS if name != "retry"}
    words["retry"] = ("run", "retry", "R-1", "w")
    site.peer.reset("hangs")
    argv = [*VERBS["weight"], "--yes-nonce", "--estate", str(site.engine.place.file)]
    verb = subprocess.Popen(
        [sys.executable, "-m", "console.cli", *argv], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert site.peer.commanded.wait(10)
    site.engine.kill()
    _, said = verb.communicate(timeout=LIMIT)
    assert verb.returncode == 5, said.decode()
    assert b"was accepted, then the engine was lost" in said
    for name, each in words.items():
        done = site.verb(*each)
        assert done.returncode == 6, f"{name}: {lines_of(done)}"


async def test_a_waiting_run_is_7_and_names_the_verbs_that_go_on(site: Site) -> None:
    done = site.verb("run", "start", "holding")
    assert done.returncode == 7, lines_of(done)
    assert b"recovery run decide R-1 'go' --step q#1" in done.stderr
    plan = await site.engine.plan(PlanRunbook("one", {"weight": "3"}))
    assert plan.refusals[0].rule == "lease"
    decided = run_verb("run", "decide", "R-1", "go", "--estate", str(site.engine.place.file), RECOVERY_ESTATE="")
    assert decided.returncode == 0, lines_of(decided)
    watched = run_verb("run", "watch", "R-1", "--estate", str(site.engine.place.file), RECOVERY_ESTATE="", limit=LIMIT)
    assert watched.returncode == 0, lines_of(watched)
