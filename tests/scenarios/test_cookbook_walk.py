"""The walk of the cookbook as a newcomer takes it: the files as they stand, the verbs that lint, a run, its undo."""

from __future__ import annotations

import getpass
import signal
import tempfile
from pathlib import Path

from state.api.requests import Decide, PlanRunbook, PlanUndo
from state.api.run_states import RunState
from tests.support.cookbook import write_all
from tests.support.real_engine import engine_home, read_estate
from tests.support.served_desk import run_verb

LIMIT = 90.0


async def test_the_walk_shows_the_page_asks_and_takes_it_away_though_the_engine_is_killed() -> None:
    with tempfile.TemporaryDirectory(prefix="cw-", dir="/tmp") as folder:
        write_all(Path(folder))
        first = Path(folder) / "first"
        tree = read_estate(first / "recovery.yaml")
        tree["people"]["me"]["accounts"] = [getpass.getuser()]
        with engine_home(tree) as engine:
            estate = engine.place.file
            (estate.parent / "banner").mkdir()
            (first / "runbooks").rename(estate.parent / "runbooks")
            page = estate.parent / "banner" / "shop"
            checked = run_verb("check", str(estate), RECOVERY_ESTATE="")
            assert checked.returncode == 0, checked.stderr
            file = str(estate.parent / "runbooks" / "announce.yaml")
            linted = run_verb("runbook", "lint", file, "--estate", str(estate), RECOVERY_ESTATE="")
            assert linted.returncode == 0, linted.stderr
            await engine.start("after_effect")
            planned = run_verb("run", "start", "announce", "page=shop", "--plan-only", "--estate", str(estate))
            assert planned.returncode == 0, planned.stderr
            assert b"Show the maintenance page" in planned.stdout
            assert b"since an earlier step takes it back" in planned.stdout, "the card shows both commands"
            assert not page.exists(), "a plan changes nothing"
            run = await engine.submit(await engine.plan(PlanRunbook("announce", {"page": "shop"})))
            assert await engine.died(LIMIT) == -signal.SIGKILL
            assert page.exists()
            await engine.start()
            row = await engine.settled(run, LIMIT)
            assert (row.state, row.question) == (RunState.WAITING, "Is the work done?"), row.message
            assert engine.kinds(run).count("effect.intended") == 1, "what was sent is read, never sent twice"
            await engine.client.control(run, Decide("It is done"))
            row = await engine.settled(run, LIMIT)
            while row.state is RunState.WAITING:  # the answer is on its way
                row = await engine.settled(run, LIMIT)
            assert row.verified, row
            assert not page.exists()
            back = await engine.submit(await engine.plan(PlanUndo(run)))
            row = await engine.settled(back, LIMIT)
            assert row.verified, row
            assert [e.body.change.args["command"] for e in engine.entries() if e.kind == "effect.intended"] == [
                "banner-on", "banner-off", "banner-on", "banner-off",
            ]  # fmt: skip
            assert not page.exists()
            engine.end()
            assert engine.chain() == ""
