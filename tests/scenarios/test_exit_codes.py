"""What every acting verb gives to a script: each verb against each way it can end.

The verbs are those that the command line has: one without a row here fails the first test. Each runs as a process
against the real engine behind its sockets; targets are in memory, so that they refuse, ignore, lose or never answer.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.cli.db_acts import DATABASE_VERBS
from state.api.releases import ReleaseRecord
from state.api.requests import Pause, PlanChange, PlanRunbook
from tests.contract.web import canned
from tests.support.acting_site import HERE, Site, acting_site
from tests.support.real_engine import folder
from tests.support.release_site import digest
from tests.support.run_books import SHOP
from tests.support.verb_server import ROOT, Ended, VerbServer, verb_server
from tests.support.verbs import by_path, options_of

DONE, POLICY, TARGET, NOT_DONE, UNKNOWN, GONE, LOST = (
    "done", "refused by policy", "refused by target", "not done", "unknown", "engine gone", "engine lost",
)  # fmt: skip
MODES = {TARGET: "refuses", NOT_DONE: "ignores", UNKNOWN: "vanishes", LOST: "hangs"}
"""What the targets do in a column."""
CARD = {DONE: 0, POLICY: 4, TARGET: 1, NOT_DONE: 1, UNKNOWN: 5, GONE: 6, LOST: 5}
"""A verb with a card: in the last column the engine is lost after it accepted and sent."""
CONTROL = {DONE: 0, POLICY: 4, UNKNOWN: 5, GONE: 6, LOST: 5}
"""A verb that asks the engine only; no target answers it. Unknown: the engine fails at it. Lost: it never answers."""
FAULT = {DONE: 0, TARGET: 1, NOT_DONE: 1, UNKNOWN: 5, GONE: 6, LOST: 5}
"""A verb that asks the lab, past engine and policy."""
Before = Callable[[Site], Awaitable[str]]


async def nothing(_site: Site) -> str:
    return ""


async def drained(site: Site) -> str:
    await site.engine.outside.balancers["edge"].set_state("shop", "green", "drain", deadline=1)  # type: ignore[attr-defined]
    return ""


async def shared(site: Site) -> str:
    await site.engine.outside.balancers["edge"].set_weight("shop", "green", 50, deadline=1)  # type: ignore[attr-defined]
    return ""


async def failed(site: Site) -> str:
    """A run that stands at a change that its target refused."""
    site.manners.mode = "refuses"
    run = await site.act(PlanRunbook("one"))
    await site.stands(run, "paused")
    site.manners.mode = "well"
    return run


async def ended(site: Site) -> str:
    run = await site.act(PlanChange("server.weight", {**SHOP, "server": "green", "weight": 7}))
    await site.stands(run, "done")
    return run


async def asking(site: Site) -> str:
    run = await site.act(PlanRunbook("asking"))
    await site.stands(run, "waiting")
    return run


async def resting(site: Site) -> str:
    run = await site.act(PlanRunbook("long"))
    await site.stands(run, "running")
    return run


async def paused(site: Site) -> str:
    run = await resting(site)
    await site.engine.control(HERE, run, Pause())
    return run


async def released(site: Site) -> str:
    """Green's release is the older one, blue's serves."""
    for number in (1, 2):
        await site.engine.releases.record(HERE, ReleaseRecord("shop", digest(number), str(3 - number)))
    async with asyncio.timeout(30):
        while site.engine.view("releases").services["shop"].offered != digest(1):
            await asyncio.sleep(0.05)
    return ""


@dataclass(frozen=True)
class Row:
    """One verb: its words, what must have happened before, and its code in each column that it has."""

    words: str
    codes: dict[str, int]
    before: Before = nothing


MATRIX = {
    "traffic weight": Row("edge shop green 5", CARD),
    "traffic drain": Row("edge shop green", CARD),
    "traffic ready": Row("edge shop green", CARD, drained),
    "traffic flip": Row("edge shop green", CARD),
    "traffic record": Row("shop.example www --a 10.2.0.10 --name www.shop.example", CARD),
    "traffic evacuate": Row("west", CARD, shared),
    "traffic route": Row("edge led b", CARD),
    "traffic share": Row("shop green 25", CARD),
    "traffic set": Row("both 'server.weight balancer=edge backend=shop server=green weight=5'", CARD),
    "db switchover": Row("orders n2 --name orders", CARD),
    "db pause": Row("orders", CARD),
    "rollback": Row("shop", CARD, released),
    "release record": Row(f"shop --digest sha256:{'5' * 64} --version v5", CONTROL),
    "run start": Row("single", CARD),
    "run retry": Row(
        "{run} w", {**CARD, TARGET: 7, NOT_DONE: 7}, failed
    ),  # its runbook pauses: a person says what follows
    "run undo": Row("{run}", CARD, ended),
    "run pause": Row("{run}", CONTROL, resting),
    "run resume": Row("{run}", CONTROL, paused),
    "run stop": Row("{run}", CONTROL, resting),
    "run skip": Row("{run} q --reason tested", CONTROL, asking),
    "run decide": Row("{run} go --step q#1", CONTROL, asking),
    "stop": Row("", CONTROL, resting),
    "engine reload": Row("", CONTROL),
    "lab fault inject": Row("bad-release", FAULT),
    "lab fault lift": Row("bad-release", FAULT),
}
READING = {
    "init", "status", "check", "doctor", "release list", "release show", "schema", "completion",
    "traffic show", "db show", "db comparisons",
    "runbook list", "runbook show", "runbook lint", "runbook score", "approvals list",
    "run list", "run show", "run watch", "journal tail", "journal show", "journal verify", "journal export",
    "engine status", "lab status", "lab fault list",
}  # fmt: skip
ELSEWHERE = {
    "approve": "tests/scenarios/test_approvals_verbs.py",
    "approvals show": "tests/scenarios/test_approvals_verbs.py",
    "approvals withdraw": "tests/scenarios/test_approvals_verbs.py",
    "approvals alone": "tests/scenarios/test_approvals_verbs.py",
    "approvals halt": "tests/scenarios/test_approvals_verbs.py",
    "approvals review": "tests/scenarios/test_approvals_verbs.py",
    "engine run": "tests/scenarios/test_unit_file.py",
    "engine start": "tests/scenarios/test_cli_engine_life.py",
    "engine stop": "tests/scenarios/test_cli_engine_life.py",
    "lab up": "tests/lab/test_lab_bonds.py",
    "lab down": "tests/lab/test_lab_bonds.py",
    "demo": "tests/lab/test_lab_bonds.py",
    "console": "tests/terminal/test_console.py",
    "bridge": "tests/scenarios/test_cli_host.py",
    "runbook new": "tests/unit/test_runbook_files_made.py",
    "db compare": "tests/contract/test_compare_verb.py",
    "db verify": "tests/contract/test_verify.py",
    "db restore-window": "tests/unit/test_restore_verbs.py",
    "db restore-command": "tests/unit/test_restore_verbs.py",
    "db lost": "tests/contract/test_lost.py",
    "access list": "tests/scenarios/test_access_verbs.py",
    "access end": "tests/scenarios/test_access_verbs.py",
    "access accept": "tests/scenarios/test_access_superuser.py",
    "access proof": "tests/scenarios/test_access_verbs.py",
    "access certificate": "tests/scenarios/test_access_host_verbs.py",
    "db prepare": "tests/contract/test_access_prepare.py",
    "host prepare": "tests/scenarios/test_access_host_verbs.py",
    "trust": "tests/attack/test_whose_estate.py",
    "journal retain": "tests/attack/test_journal_retention.py",
    "journal sessions": "tests/scenarios/test_session_log.py",
    "journal anchors": "tests/scenarios/test_audit.py",
}
"""Verbs that start, end or carry processes, or write files: where these are tested."""
ALIKE = {f"db {verb.name}": "db pause" for verb in DATABASE_VERBS if verb.name != "pause"}
"""Verbs that one function makes of one table, and the row that stands for them; see test_database_verbs.py."""
ALIKE |= {"access request": "db pause", "access extend": "db pause"}  # see test_access_verbs.py
CELLS = [(name, column) for name, row in MATRIX.items() for column in row.codes]


@pytest.fixture(scope="module")
def verbs() -> Iterator[VerbServer]:
    with verb_server() as server:
        yield server


def test_every_verb_has_its_row() -> None:
    known = by_path()
    assert set(MATRIX) | READING | set(ELSEWHERE) | set(ALIKE) == set(known)
    assert len(MATRIX) + len(READING) + len(ELSEWHERE) + len(ALIKE) == len(known)
    assert {name for name, row in MATRIX.items() if set(row.codes) == set(CARD)} | set(ALIKE) == {
        name for name, command in known.items() if "--yes-nonce" in options_of(command)
    }
    for name, where in ELSEWHERE.items():
        assert (ROOT / where).is_file(), name


async def card_or_control(verbs: VerbServer, name: str, column: str) -> Ended:
    row = MATRIX[name]
    async with acting_site(roles=("observer",) if column == POLICY else ("commander", "responder")) as site:
        run = await row.before(site)
        words = [*name.split(), *shlex.split(row.words.format(run=run)), "--estate", str(site.estate)]
        if row.codes.keys() == CARD.keys():
            words += ["--yes-nonce", *(["--within", "4"] if column == UNKNOWN else [])]
            site.manners.mode = MODES.get(column, "well")
        elif column in (UNKNOWN, LOST):
            misbehave(site, silent=column == LOST)
        if column == GONE:
            await site.lose()
        site.manners.told.clear()
        verb = asyncio.create_task(verbs.run(*words))
        if column == LOST:
            await asyncio.wait_for(site.manners.told.wait(), 60)
            if row.codes.keys() == CARD.keys():
                await site.followed()
            await site.lose()
        done = await verb
        if column in (TARGET, NOT_DONE) and name != "run retry":
            assert [r.id for r in site.engine.history.open()] == [], "its lease is given back"
        return done


def misbehave(site: Site, *, silent: bool) -> None:
    """From now on the engine fails at every control, or never answers one."""

    async def control(*_: Any) -> None:
        site.manners.told.set()
        if silent:
            await asyncio.Event().wait()
        raise ZeroDivisionError("a defect")

    for verb in ("control", "stop_all", "reload"):
        setattr(site.engine, verb, control)
    site.engine.releases.record = control  # type: ignore[method-assign]


@asynccontextmanager
async def lab_that(column: str) -> AsyncIterator[Path]:
    """The folder of a lab whose control socket answers as a column wants."""
    answer: tuple[int, Any] | bytes | None = {
        DONE: (200, {"state": "active", "target": "green"}),
        TARGET: (409, {"error": "bad-release is active on green; lift it first"}),
        NOT_DONE: (409, {"error": "green-east did not accept the fault"}),
        UNKNOWN: (504, {"error": "bad-release on green undone: not within 45 s"}),
        LOST: b"",
        GONE: b"",
    }[column]
    answers = {"POST /faults/bad-release": answer, "DELETE /faults/bad-release": answer}
    with folder() as place:
        (place / "LAB.json").write_text(f'{{"control": "{place}/c.sock"}}')
        async with canned(answers, place / "c.sock"):
            if column == GONE:
                (place / "c.sock").unlink()
            yield place


async def fault(verbs: VerbServer, name: str, column: str) -> Ended:
    async with lab_that(column) as place:
        return await verbs.run(*name.split(), MATRIX[name].words, "--dir", str(place))


@pytest.mark.parametrize("column", CARD)
async def test_each_verb_ends_with_the_code_of_what_happened(verbs: VerbServer, column: str) -> None:
    at_once = asyncio.Semaphore(9)

    async def cell(name: str) -> tuple[str, Ended]:
        async with at_once:
            return name, await (fault if name.startswith("lab") else card_or_control)(verbs, name, column)

    ends = await asyncio.gather(*(cell(name) for name, where in CELLS if where == column))
    wrong = {
        name: (MATRIX[name].codes[column], end.said) for name, end in ends if end.code != MATRIX[name].codes[column]
    }
    assert wrong == {}
    for name, end in ends:
        assert "Traceback" not in end.err, name
        if column == POLICY:
            assert "by rule role" in end.err, name
        if column in (UNKNOWN, LOST):
            assert "do not repeat it" in end.err or "Read the target before" in end.err, (name, end.said)
        if column == LOST and MATRIX[name].codes == CARD:
            assert "was accepted, then the engine was lost" in end.err, (name, end.said)


async def test_a_rule_of_the_card_is_4_and_its_way_out_is_told(verbs: VerbServer) -> None:
    async with acting_site() as site:
        where = ("--yes-nonce", "--estate", str(site.estate))
        floor = await verbs.run("traffic", "drain", "edge", "shop", "blue", *where)
        assert (floor.code, "by rule floor" in floor.err) == (4, True), floor.said
        run = await asking(site)
        held = [
            verbs.run(*name.split(), *MATRIX[name].words.split(), *where)
            for name in ("traffic weight", "traffic drain", "traffic flip", "run start")
        ]
        for end in await asyncio.gather(*held):
            assert (end.code, "by rule lease" in end.err, run in end.err) == (4, True, True), end.said
        retry = await verbs.run("run", "retry", run, "q", *where)
        assert (retry.code, "by rule step-held" in retry.err) == (4, True), retry.said


async def test_a_run_that_needs_a_person_is_7_and_names_the_verbs_that_go_on(verbs: VerbServer) -> None:
    async with acting_site() as site:
        where = ("--estate", str(site.estate))
        waits = await verbs.run("run", "start", "asking", "--yes-nonce", *where)
        assert waits.code == 7, waits.said
        assert "recovery run decide R-1 'go' --step q#1" in waits.err
        assert (await verbs.run("run", "decide", "R-1", "go", "--step", "q#1", *where)).code == 0
        watched = await verbs.run("run", "watch", "R-1", *where)
        assert watched.code == 0, watched.said


async def test_without_a_limit_a_verb_does_not_wait_for_ever_for_an_unknown_outcome(verbs: VerbServer) -> None:
    async with acting_site() as site:
        site.manners.mode = "vanishes"
        end = await verbs.run(
            "traffic", "weight", "edge", "shop", "green", "5", "--yes-nonce", "--estate", str(site.estate)
        )
        assert (end.code, "do not repeat it" in end.err) == (5, True), end.said


async def test_a_value_that_the_runbook_cannot_take_is_bad_input(verbs: VerbServer) -> None:
    async with acting_site() as site:
        end = await verbs.run("run", "start", "one", "nope=1", "--json", "--estate", str(site.estate))
        error = json.loads(end.out)["error"]
        assert (end.code, error["exit"], error["kind"], end.err) == (2, 2, "bad-input", ""), end.said
        assert error["problems"][0]["value"] == "'nope'"
        weight = ("traffic", "weight", "edge", "nowhere", "green", "5", "--json")
        error = json.loads((await verbs.run(*weight, "--estate", str(site.estate))).out)["error"]
        assert (error["kind"], error["exit"]) == ("not-found", 2)
