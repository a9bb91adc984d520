"""Changed files: announced, taken whole without a restart, refused where an open run stands on them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from console.engine.files import FilesOfEstate
from console.engine.seats import Seats
from state.api.caller import KernelAccount
from state.api.requests import Decide, PlanRunbook
from state.engine.engine import Engine
from state.engine.events import EstateReloaded
from state.engine.reload import Pending
from state.engine.setup import FilesNow, Setup, differences
from state.errors import ConfigError, JournalUnavailable, Problem, Refused
from state.estate.model import Estate
from state.planning.library import Library
from state.ports.outside import Outside
from tests.support.small_estate import (
    COMMANDER,
    ESTATE,
    OBSERVER,
    RESPONDER,
    STRANGER,
    BalancerSource,
    LoopClock,
    Small,
    flip,
    runbook,
)

pytestmark = pytest.mark.virtual_time
_WEIGHT = {"balancer": "edge", "backend": "shop", "server": "green", "weight": 20}
WAITING: Mapping[str, Any] = {
    "runbook": "ask",
    "title": "Ask",
    "steps": [
        {"id": "sure", "decide": {"question": "Sure?", "options": {"yes": "continue", "no": "stop"}}},
        {"id": "weigh", "change": "server.weight", "with": _WEIGHT},
    ],
}


def tree(**changes: Any) -> dict[str, Any]:
    return {**ESTATE, **changes}


@dataclass
class Files:
    """Files that are what a test says. Balancers of the same entry are kept, as the product's wiring does."""

    now: Mapping[str, Any] = field(default_factory=lambda: ESTATE)
    books: tuple[Mapping[str, Any], ...] = ()
    problem: str = ""
    made: dict[str, MemoryBalancer] = field(default_factory=dict)

    def look(self) -> FilesNow:
        return FilesNow(self._digest(), 1_795_417_200.0, self.problem)

    def _digest(self) -> str:
        return f"{hash(repr((self.now, self.books))):x}"

    def load(self, now: Setup) -> Setup:
        if self.problem:
            raise ConfigError((Problem("estate.yaml", 3, 1, self.problem, "what it should be"),))
        estate = Estate.model_validate(self.now)
        balancers, entries = {}, {}
        for name, entry in estate.balancers.items():
            if now.estate.balancers.get(name) == entry:
                balancers[name] = now.outside.balancers[name]
                entries[f"balancers/{name}"] = now.outside.entries[f"balancers/{name}"]
            else:
                self.made[name] = balancers[name] = MemoryBalancer(name, {"shop": {"blue": 100, "green": 0}})
                entries[f"balancers/{name}"] = (BalancerSource(self.made[name], key=f"balancer:{name}"),)
        return self.setup(estate, Outside([s for e in entries.values() for s in e], balancers, {}, None, entries))

    def setup(self, estate: Estate, outside: Outside) -> Setup:
        books = {b["runbook"]: runbook(b) for b in self.books}
        return Setup(estate, outside, Library(books, estate, {}), self._digest(), {n: b.hash for n, b in books.items()})


class Keeping(MemoryJournal):
    """A journal whose disk may be full."""

    full = False

    def append(self, entries: Sequence[Any]) -> None:
        if self.full:
            raise JournalUnavailable("no space left")
        super().append(entries)


@asynccontextmanager
async def running(files: Files) -> AsyncIterator[Small]:
    """A started engine on files."""
    empty = Estate.model_validate({**ESTATE, "balancers": {}, "services": {}})
    setup = files.load(Setup(empty, Outside((), {}, {}), Library({}, empty, {})))
    store = Keeping()
    of_files = {"setup": setup, "files": files}
    engine = Engine(
        setup.estate, setup.outside, store, LoopClock(), setup.library, node="test", pid=1, uid=0, **of_files
    )
    await engine.start()
    try:
        yield Small(engine, files.made["edge"], store)
    finally:
        await engine.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not holds():
            await asyncio.sleep(0.02)


def bodies(lab: Small) -> list[EstateReloaded]:
    from state.journal.format import unseal

    return [b for b in (unseal(e).body for e in lab.store.rows()) if isinstance(b, EstateReloaded)]


SECOND = tree(balancers={"edge": ESTATE["balancers"]["edge"], "far": {"kind": "memory", "site": "east"}})
SLOWER = {**ESTATE["services"]["shop"], "rto": "9m"}


async def test_a_changed_file_is_announced_and_the_announcement_goes_when_it_is_changed_back() -> None:
    files = Files()
    async with running(files) as lab:
        await until(lambda: lab.engine.view("header").sources["balancer:edge"].mono is not None)
        assert lab.engine.view("header").estate_change is None
        files.now = SECOND
        await until(lambda: lab.engine.view("header").alarms != ())
        header = lab.engine.view("header")
        assert header.alarms == ("estate, runbook or calendar changed 07:00:00Z, not loaded: recovery engine reload",)
        files.problem = "estate.yaml:3:1: rto 5x"
        await until(lambda: "cannot be loaded" in lab.engine.view("header").alarms[0])
        assert lab.engine.view("header").estate_change.problem == files.problem
        files.now, files.problem = ESTATE, ""
        await until(lambda: lab.engine.view("header").alarms == ())


async def test_what_is_new_is_in_force_and_what_is_the_same_goes_on_undisturbed() -> None:
    files = Files()
    async with running(files) as lab:
        await until(lambda: lab.engine.view("header").sources["balancer:edge"].mono is not None)
        edge = lab.engine.outside.balancers["edge"]
        read = lab.engine.world.observed["balancer:edge"]
        files.now = {
            **SECOND,
            "services": {"shop": SLOWER, "help": {"tier": 2, "rto": "1h", "rpo": "1MB"}},
            "people": {"ben": ESTATE["people"]["ben"]},
        }
        files.books = (WAITING,)
        accepted = await lab.engine.reload(COMMANDER)
        for part in ("added services/help, balancers/far, runbook/ask", "removed people/ada", "changed services/shop"):
            assert part in accepted.message
        assert lab.engine.outside.balancers["edge"] is edge
        assert (lab.engine.world.observed["balancer:edge"].mono or 0) >= (read.mono or 0)
        assert lab.engine.view("overview").services["shop"].rto_target == 540
        assert "help" in lab.engine.view("overview").services
        assert "ask" in lab.engine.view("runbooks").library
        found = [lab.engine.who(KernelAccount(*each))[:2] for each in ((1000, "ada"), (1001, "ben"))]
        assert found == [("", ()), ("ben", ("responder",))]
        await until(lambda: lab.engine.view("header").sources["balancer:far"].mono is not None)
        [body] = bodies(lab)
        assert (body.added, body.removed) == (("services/help", "balancers/far", "runbook/ask"), ("people/ada",))
        assert body.changed == ("services/shop",)
        assert (body.before, body.after) == (body.before, files.look().digest)
        files.now, files.books = ESTATE, ()
        await lab.engine.reload(COMMANDER)
        assert set(lab.engine.view("header").sources) == {"balancer:edge"}
        assert set(lab.engine.world.observed) == {"balancer:edge"}
        assert (await lab.engine.journal_verify()).problem == ""


async def test_a_card_that_was_shown_before_is_void_and_one_that_is_being_made_too() -> None:
    files = Files()
    async with running(files) as lab:
        card = await lab.preview(flip("green"))
        files.now = SECOND
        await lab.engine.reload(COMMANDER)
        with pytest.raises(Refused) as refused:
            await lab.submit(card)
        assert refused.value.refusal.rule == "plan-open"
        assert await lab.ended((await lab.submit(await lab.preview(flip("green")))).run) == "done"


async def test_what_an_open_run_stands_on_is_refused_naming_it_and_everything_stays() -> None:
    files = Files(books=(WAITING,))
    async with running(files) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("ask", {})))).run
        assert await lab.ended(run) == "waiting"
        before = lab.engine.estate
        for now, books, named in (
            (tree(balancers={}, services={}), (WAITING,), "balancers/edge"),
            (
                tree(balancers={"edge": {"kind": "memory", "site": "west"}}, sites={"west": {}, "east": {}}),
                (WAITING,),
                "balancers/edge",
            ),
            (tree(polling={"every": "9s"}), (WAITING,), "polling"),
            (ESTATE, ({**WAITING, "title": "Ask twice"},), "runbook/ask"),
            (ESTATE, (), "runbook/ask"),
        ):
            files.now, files.books = now, books
            with pytest.raises(Refused) as refused:
                await lab.engine.reload(COMMANDER)
            assert refused.value.refusal.rule == "estate-in-use"
            assert run in refused.value.refusal.fact
            assert named in refused.value.refusal.fact
            assert lab.engine.estate is before
        assert bodies(lab) == []
        files.now, files.books = tree(people={"ada": ESTATE["people"]["ada"]}), (WAITING,)
        await lab.engine.reload(COMMANDER)  # nothing the run stands on
        await lab.engine.control(COMMANDER, run, Decide("yes", "sure"))
        assert await lab.ended(run) == "done"
        assert (await lab.weights())["green"] == 20


async def test_what_its_checks_read_and_what_its_service_depends_on_stays_until_a_run_has_ended() -> None:
    base = tree(
        services={"front": SLOWER | {"depends_on": ["shop"], "traffic": None}, "shop": ESTATE["services"]["shop"]},
        monitors={"am": {"kind": "memory"}, "far": {"kind": "memory"}},
    )
    ask = WAITING["steps"][0]
    quiet = {"id": "quiet", "check": "alerts.none", "with": {}}
    well = {"id": "well", "check": "service.healthy", "with": {"service": "front"}}
    weigh = WAITING["steps"][1]
    for steps, now, named in (
        ((ask, quiet), {**base, "monitors": {"far": {"kind": "memory"}}}, "monitors/am"),
        ((ask, well), {**base, "services": {**base["services"], "shop": SLOWER}}, "services/shop"),
        ((ask, weigh), {**base, "services": {**base["services"], "shop": SLOWER}}, "services/shop"),
        ((ask, weigh), {**base, "monitors": {"far": {"kind": "memory"}}}, ""),
    ):
        files = Files(now=base, books=({**WAITING, "steps": list(steps)},))
        async with running(files) as lab:
            run = (await lab.submit(await lab.preview(PlanRunbook("ask", {})))).run
            assert await lab.ended(run) == "waiting"
            files.now = now
            if named:
                with pytest.raises(Refused, match=rf"estate-in-use: {run} stands on .*{named}"):
                    await lab.engine.reload(COMMANDER)
                await lab.engine.control(COMMANDER, run, Decide("no", "sure"))
                await until(lambda: lab.engine.history.runs["R-1"].ended)
            await lab.engine.reload(COMMANDER)
            assert bodies(lab)


@pytest.mark.parametrize(
    ("now", "rule"), [(tree(estate="big"), "estate-fixed"), (tree(environment="drill"), "estate-fixed")]
)
async def test_another_estate_is_another_engine(now: Mapping[str, Any], rule: str) -> None:
    files = Files()
    async with running(files) as lab:
        files.now = now
        with pytest.raises(Refused) as refused:
            await lab.engine.reload(COMMANDER)
        assert refused.value.refusal.rule == rule


async def test_an_invalid_file_a_full_disk_and_the_wrong_person_change_nothing() -> None:
    files = Files()
    async with running(files) as lab:
        before, files.now = lab.engine.estate, SECOND
        for caller in (OBSERVER, STRANGER):
            with pytest.raises(Refused):
                await lab.engine.reload(caller)
        files.problem = "rto 5x"
        with pytest.raises(ConfigError):
            await lab.engine.reload(RESPONDER)
        files.problem = ""
        assert isinstance(lab.store, Keeping)
        lab.store.full = True
        with pytest.raises(JournalUnavailable):
            await lab.engine.reload(RESPONDER)
        assert lab.engine.estate is before
        lab.store.full = False
        assert (await lab.engine.reload(RESPONDER)).message.startswith("estate ")
        assert (await lab.engine.reload(RESPONDER)).message == "nothing has changed"
        assert len(bodies(lab)) == 1


async def test_a_service_that_is_reloaded_while_it_fails_keeps_its_clock_with_the_new_objective() -> None:
    files = Files()
    async with running(files) as lab:
        for server in ("blue", "green"):
            await lab.balancer.set_state("shop", server, "maint", deadline=1)
        await until(lambda: lab.engine.view("overview").services["shop"].rto is not None)
        started = lab.engine.view("overview").services["shop"].rto.started_mono
        files.now = tree(services={"shop": SLOWER})
        await lab.engine.reload(COMMANDER)
        row = lab.engine.view("overview").services["shop"]
        assert row.rto_target == 540
        assert abs(row.rto.started_mono - started) < 1.0, "the clock goes on"


def test_what_differs_is_named() -> None:
    files = Files()
    estate = Estate.model_validate(ESTATE)
    setup = files.setup(estate, Outside((), {}, {}))
    assert not differences(setup, setup)
    files.books = (WAITING,)
    other = files.setup(Estate.model_validate(tree(policies={"second_person": ["B3"]})), Outside((), {}, {}))
    assert str(differences(setup, other)) == "added runbook/ask; changed policies"


class Strange(Files):
    """Files that make of a look what nobody has thought of."""

    strange = False

    def look(self) -> FilesNow:
        if self.strange:
            raise UnicodeEncodeError("utf-8", "go\udcff.yaml", 2, 3, "surrogates not allowed")
        return super().look()


async def test_a_look_that_fails_is_said_and_the_next_one_may_succeed() -> None:
    """Before: nobody looked any more, and nobody was told."""
    files = Strange()
    async with running(files) as lab:
        pending = lab.engine.folds.of(Pending)
        files.strange = True
        await until(lambda: pending.change is not None)
        assert pending.change is not None
        assert pending.change.problem == "the files cannot be looked at (UnicodeEncodeError)"
        files.strange = False
        await until(lambda: pending.change is None)


def test_a_runbook_whose_name_no_letter_has_is_loaded(tmp_path: Path) -> None:
    """Before: the engine ended without a word."""
    content = (
        "estate: odd\nenvironment: drill\nsites: {here: {}}\nrunbooks: [runbooks]\n"
        "services: {s: {tier: 1, rto: 5m, rpo: 1MB}}\n"
    )
    (tmp_path / "recovery.yaml").write_text(content)
    (tmp_path / "runbooks").mkdir()
    book = "runbook: go\ntitle: Go\nsteps: [{id: rest, wait: 1s}]\n"
    (tmp_path / os.fsdecode(b"runbooks/go\xff.yaml")).write_text(book)
    seats = Seats()
    files = FilesOfEstate(tmp_path / "recovery.yaml", seats)
    try:
        assert files.first().digest == files.look().digest
    finally:
        seats.release()
