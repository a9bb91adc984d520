"""Cases of runs from public bug reports of other tools: limits are the author's, and verified is what was proven."""

import asyncio
import time
from pathlib import Path

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml
from adapters.journals.memory import MemoryJournal
from adapters.registry import kinds
from state.api.card import FactKind
from state.api.requests import Decide, PlanRunbook, PlanUndo, Skip
from state.api.run_states import UndoState
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.errors import ConfigError, EffectRefused, EffectUnknown
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.planning.library import Library
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node
from state.runs.offers import offers
from tests.support.run_books import SHOP, ask, book, check, started, told, until, weight
from tests.support.small_estate import COMMANDER, ESTATE, LoopClock, change, flip, small

pytestmark = pytest.mark.virtual_time

CONFIG = Path(__file__).parents[2] / "config"
CASES = Path(__file__).parents[1] / "fixtures" / "cases"


WITH_DEFAULT = """\
runbook: case
title: Case
params:
  zip: {{kind: {kind}, default: {written}}}
steps: [{{id: a, wait: 1s}}]
"""


def row_of(lab, run):
    return lab.engine.view("runbooks").runs[run]


def lint(text: str, estate: Estate | None = None):
    estate = estate or Estate.model_validate(ESTATE)
    return lint_runbook(parse_yaml(text, "case.yaml"), estate, change_kinds(), check_kinds())


class Shifted(LoopClock):
    """A machine whose wall clock is set while it runs."""

    off = 0.0

    def wall(self):
        return super().wall() + self.off


async def test_r05_timeout_of_a_decision_never_comes():
    steps = (ask("q", {"go": "continue", "no": "stop"}, timeout="300ms", on_failure="stop"), weight("w", "green", 5))
    async with small(book(*steps)) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].ended)
        assert row_of(lab, run).state == "failed"
        assert "nobody decided within" in row_of(lab, run).message
        assert lab.engine.history.open() == []


async def test_r05_the_limit_of_a_decision_counts_across_a_restart():
    store, clock = MemoryJournal(), Shifted()
    steps = book(ask("q", {"go": "continue", "no": "stop"}, timeout="1h", on_failure="stop"))
    async with small(steps, store=store, clock=clock) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
    clock.off = 3599.0  # the engine was down for an hour
    async with small(steps, store=store, clock=clock) as lab:
        assert row_of(lab, run).state == "waiting"
        await until(lambda: lab.engine.history.runs[run].ended)
        assert told(lab, run) == "q#1 failed"


async def test_r05_a_wait_continues_with_the_time_that_was_left():
    store, clock = MemoryJournal(), Shifted()
    steps = book({"id": "w", "wait": "1h"})
    async with small(steps, store=store, clock=clock) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("w").state == "running")
    clock.off = 3599.0
    async with small(steps, store=store, clock=clock) as lab:
        await until(lambda: lab.engine.history.runs[run].ended)
        assert told(lab, run) == "w#1 done"
        assert row_of(lab, run).elapsed == pytest.approx(3600, abs=5)


async def test_r08_pace_of_a_check_is_ignored():
    asked = []
    async with small(book(check("c", "server.serving", "blue", every="400ms", samples=4, **{"for": "20s"}))) as lab:
        run = await started(lab)
        step = lab.engine.history.runs[run].latest("c")
        while not lab.engine.history.runs[run].ended:
            if step.passes > len(asked):
                asked.append(time.monotonic())
                row = lab.engine.view("runbooks").steps[f"{run}/c#1"]
                assert (row.passes, row.samples, row.timeout) == (len(asked), 4, 20)
            await asyncio.sleep(0.005)
        assert step.message == "pass, 4 of 4 in a row"
        assert step.seconds >= 3 * 0.4


async def test_r08_a_failing_answer_is_asked_again_at_the_pace_and_starts_the_count_anew():
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    steps = book(check("c", "server.serving", "green", every="300ms", samples=2, **{"for": "20s"}))
    async with small(steps, balancer=balancer) as lab:
        run = await started(lab)
        step = lab.engine.history.runs[run].latest("c")
        await until(lambda: step.message.startswith("fail"))
        await balancer.set_weight("shop", "green", 5, deadline=1)
        await until(lambda: step.passes == 1)
        await balancer.set_weight("shop", "green", 0, deadline=1)
        await until(lambda: step.passes == 0 and step.message.startswith("fail"))
        await balancer.set_weight("shop", "green", 5, deadline=1)
        await until(lambda: lab.engine.history.runs[run].ended)
        assert (step.state, step.passes) == ("done", 2)


async def test_r16_timeout_of_a_change_is_ignored():
    given = []

    class Hangs(MemoryBalancer):
        async def set_weight(self, backend, server, weight, *, deadline):
            given.append(deadline)
            await asyncio.sleep(30)

    balancer = Hangs("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(book(weight("w", "green", 5, timeout="700ms", on_failure="stop")), balancer=balancer) as lab:
        run = await started(lab)
        assert lab.engine.view("runbooks").steps[f"{run}/w#1"].timeout == pytest.approx(0.7)
        await until(lambda: lab.engine.history.runs[run].latest("w").answered == "no-answer")
        await until(lambda: lab.engine.history.runs[run].ended)
        assert given == [pytest.approx(0.7)]
        assert told(lab, run) == "w#1 not-done"


async def test_r16_without_a_timeout_the_deadline_is_that_of_the_kind():
    async with small(book(weight("w", "green", 5))) as lab:
        run = await started(lab)
        assert lab.engine.view("runbooks").steps[f"{run}/w#1"].timeout == 5.0


@pytest.mark.parametrize("off", [3600.0, -3600.0])
async def test_r17_duration_follows_the_wall_clock(off):
    clock = Shifted()
    async with small(book({"id": "w", "wait": "600ms"}), clock=clock) as lab:
        run = await started(lab)
        await asyncio.sleep(0.2)
        clock.off = off
        await until(lambda: lab.engine.history.runs[run].ended)
        view = lab.engine.view("runbooks")
        assert 0.5 < view.runs[run].elapsed < 60
        assert 0.5 < view.steps[f"{run}/w#1"].seconds < 60


async def test_r17_a_run_does_not_start_in_the_future_after_a_restart():
    clock, store = Shifted(), MemoryJournal()
    steps = book(ask("q", {"go": "continue"}))
    async with small(steps, clock=clock, store=store) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "waiting"
    clock.off = -3600.0
    async with small(steps, clock=clock, store=store) as lab:
        assert row_of(lab, run).started_mono <= clock.mono()


def test_r19_samples_that_cannot_fit():
    with pytest.raises(ConfigError, match=r"samples.yaml:4:\d+: found 100, expected passes that fit into 3 s"):
        lint_runbook(
            read_yaml(CASES / "r19-samples-that-cannot-fit" / "samples.yaml"),
            Estate.model_validate(ESTATE),
            change_kinds(),
            check_kinds(),
        )


async def test_r19_the_message_counts_the_passes():
    async with small(book(check("c", "server.serving", "blue", samples=100, every="100ms", **{"for": "1s"}))) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        message = lab.engine.history.runs[run].latest("c").message
        passes = lab.engine.history.runs[run].latest("c").passes
        assert 1 <= passes <= 11
        assert message == f"{passes} of 100 passes in a row within 1 s, the last reading is pass"


@pytest.mark.parametrize("written", ["007", "1.10", "0x1F", "1e3", "7", "true"])
@pytest.mark.parametrize("kind", ["text", "choice, choices: [a]", "server"])
def test_r20_leading_zeros_of_a_text_default(written, kind):
    text = WITH_DEFAULT.format(kind=kind, written=written)
    with pytest.raises(ConfigError, match=r"case.yaml:4:\d+: found .*quotes"):
        lint(text)


def test_r20_the_file_of_the_case():
    with pytest.raises(ConfigError) as refused:
        lint((CASES / "r20-leading-zeros-of-a-text-default" / "params.yaml").read_text())
    assert [p.line for p in refused.value.problems] == [4, 5]


@pytest.mark.parametrize("written", ['"007"', "yes", "2026-01-01", "12:30"])
def test_r20_what_yaml_leaves_as_it_is_needs_no_quotes(written):
    text = WITH_DEFAULT.format(kind="text", written=written)
    runbook, _ = lint(text)
    assert runbook.params["zip"].default == written.strip('"')


BAD = check("bad", "server.serving", "green", on_failure="continue", **{"for": "300ms"})


@pytest.mark.parametrize(
    ("steps", "unmet"),
    [
        ((BAD,), ("server.serving edge shop green (failed)",)),
        ((ask("q", {"Yes": "continue"}, timeout="200ms", on_failure="continue"),), ("Go on? (failed)",)),
        (
            (ask("way", {"go": "end"}), BAD, {"id": "end", "wait": "10ms"}),
            ("server.serving edge shop green (skipped)",),
        ),
    ],
)
async def test_verified_means_that_every_proof_passed(steps, unmet):
    async with small(book(*steps)) as lab:
        run = await started(lab)
        if await lab.ended(run) == "waiting" and steps[0]["id"] == "way":
            await lab.engine.control(COMMANDER, run, Decide("go", "way#1"))
        await until(lambda: lab.engine.history.runs[run].ended)
        row = row_of(lab, run)
        assert (row.state, row.word, row.verified, row.unmet) == ("done", "unproven", False, unmet)
        assert row.message == f"not verified: {unmet[0]}"
        proven = next(f for f in (await lab.preview(PlanRunbook("case"))).of(FactKind.RUNBOOK))
        assert (proven.age, proven.health) == (None, "warn")


async def test_a_skipped_proof_is_listed_and_a_full_one_is_verified():
    steps = book(check("c", "server.serving", "green", **{"for": "300ms"}))
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(steps, balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run) == "paused"
        await lab.engine.control(COMMANDER, run, Skip("c#1", "known"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert row_of(lab, run).unmet == ("server.serving edge shop green (skipped)",)
        await balancer.set_weight("shop", "green", 5, deadline=1)
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].ended)
        assert row_of(lab, run).verified
        assert next(f for f in (await lab.preview(PlanRunbook("case"))).of(FactKind.RUNBOOK)).health == "pass"


class Stubborn(MemoryBalancer):
    """Does what it likes."""

    mode = "well"

    async def set_weight(self, backend, server, weight, *, deadline):
        if self.mode == "refuses":
            raise EffectRefused("not now")
        if self.mode == "loses":
            raise EffectUnknown("lost", "reset")
        return await super().set_weight(backend, server, weight, deadline=deadline)


@pytest.mark.parametrize("mode", ["refuses", "loses"])
async def test_a_single_change_that_did_not_happen_ends_its_run_and_gives_the_lease_back(mode):
    balancer = Stubborn("edge", {"shop": {"blue": 100, "green": 0}})
    balancer.mode = mode
    async with small(balancer=balancer) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        await until(lambda: lab.engine.history.runs[run].ended)
        assert row_of(lab, run).state == "failed"
        balancer.mode = "well"
        again = (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
        await until(lambda: lab.engine.history.runs[again].ended)
        assert row_of(lab, again).verified


async def test_an_undo_that_could_not_start_is_a_state_with_its_next_key():
    steps = book(weight("w", "green", 5), check("c", "server.drained", "blue", on_failure="undo", **{"for": "1500ms"}))
    balancer = MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})

    class Gone(MemoryBalancer):
        gone = False

        async def identify(self, *, deadline):
            from state.errors import ReadFailure, Trouble

            if self.gone:
                raise ReadFailure(Trouble.TIMEOUT, "no answer")
            return await super().identify(deadline=deadline)

    balancer = Gone("edge", {"shop": {"blue": 100, "green": 0}})
    async with small(steps, balancer=balancer) as lab:
        run = await started(lab)
        await until(lambda: lab.engine.history.runs[run].latest("c").state == "running")
        balancer.gone = True
        await until(lambda: row_of(lab, run).undo is UndoState.REFUSED)
        assert row_of(lab, run).next_actions == ("undo",)
        assert "The key z undoes it, or: recovery run undo R-1" in row_of(lab, run).message
        balancer.gone = False
        for _ in range(26):
            await lab.ended(
                (await lab.submit(await lab.preview(change("server.weight", server="green", weight=5)))).run
            )
        assert run in lab.engine.view("runbooks").order
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        assert row_of(lab, run).undo is UndoState.RUNNING
        await until(lambda: lab.engine.history.runs[back].ended)
        undone = lab.engine.history.runs[run]
        assert (undone.undo_state, undone.undone_by, offers(undone)) == ("done", back, {})
        assert (await lab.weights())["green"] == 0


async def test_a_half_done_change_that_was_skipped_can_still_be_undone():
    class Halfway(Stubborn):
        async def set_weight(self, backend, server, weight, *, deadline):
            if self.mode == "half" and (server, weight) == ("blue", 0):
                raise EffectRefused("denied")
            return await super().set_weight(backend, server, weight, deadline=deadline)

    balancer = Halfway("edge", {"shop": {"blue": 100, "green": 0}})
    balancer.mode = "half"
    over = {"id": "f", "change": "backend.flip", "with": {**SHOP, "to": "green"}}
    async with small(book(over), balancer=balancer) as lab:
        run = await started(lab)
        assert await lab.ended(run, 10) == "paused"
        await lab.engine.control(COMMANDER, run, Skip("f#1", "go on without"))
        await until(lambda: lab.engine.history.runs[run].ended)
        assert row_of(lab, run).next_actions == ("undo",)
        balancer.mode = "well"
        back = (await lab.submit(await lab.preview(PlanUndo(run)))).run
        await until(lambda: lab.engine.history.runs[back].ended)
        assert await lab.weights() == {"blue": 100, "green": 0}


@pytest.fixture(scope="module")
def shipped() -> tuple[Library, Estate]:
    estate = parse_estate(read_yaml(CONFIG / "recovery.yaml"), kinds())
    books, warnings = {}, {}
    for path in sorted((CONFIG / "runbooks").glob("*.yaml")):
        runbook, found = lint_runbook(read_yaml(path), estate, change_kinds(), check_kinds())
        books[runbook.runbook], warnings[runbook.runbook] = runbook, tuple(str(each) for each in found)
    return Library(books, estate, warnings), estate


def test_another_service_recomputes_what_follows_it(shipped):
    library, estate = shipped
    leads = any_node(estate)
    drained = library.draft("drain-server", {"service": "checkout", "server": "green"}, leads)
    assert {s.args["backend"] for s in drained.steps if "backend" in s.args} == {"checkout"}
    flipped = library.draft("roll-back-release", {"service": "checkout", "to": "blue"}, leads)
    assert {s.args["backend"] for s in flipped.steps if s.do == "change"} == {"checkout"}
    with pytest.raises(ConfigError, match="to: a colour of catalog, but it has none"):
        library.draft("roll-back-release", {"service": "catalog", "to": "blue"}, leads)
    with pytest.raises(ConfigError, match="backend: a backend of catalog: catalog"):
        library.draft("drain-server", {"service": "catalog", "backend": "checkout", "server": "a"}, leads)
    over = library.draft("switch-database", {"service": "catalog"}, leads)
    assert {s.args["database"] for s in over.steps if "database" in s.args} == {"orders"}


def test_forms_know_what_a_parameter_follows(shipped):
    library, _ = shipped
    backend = next(p for p in library.rows()["drain-server"].params if p.name == "backend")
    assert (backend.of, backend.default, dict(backend.follows)) == (
        "service",
        "",
        {"checkout": "checkout", "catalog": "catalog"},
    )


@pytest.mark.parametrize("written", ["checkout", "${other}"])
def test_lint_finds_a_service_that_is_not_what_is_changed(shipped, written):
    _, estate = shipped
    text = (
        "runbook: case\ntitle: Case\nservice: ${service}\nparams:\n  service: {kind: service, default: catalog}\n"
        "  other: {kind: backend, default: checkout}\nsteps:\n"
        f"  - {{id: f, change: backend.flip, with: {{balancer: edge-east, backend: '{written}', to: blue}}}}\n"
        "  - {id: c, check: service.healthy, with: {service: '${service}'}}\n"
    )
    _, warnings = lint(text, estate)
    assert any("a backend of the service that the run is for" in str(each) for each in warnings)


async def test_the_card_says_for_which_service_it_acts():
    async with small() as lab:
        card = await lab.preview(flip("green"))
        assert [(f.subject, f.value) for f in card.of(FactKind.SERVICE)] == [("shop", "")]
