"""What a run sent, read as not done, and found done at its retry is the run's own doing: its undo takes it back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from state.api.requests import PlanRetry, PlanUndo
from state.api.run_states import UndoState
from tests.support.own_estate import own, script
from tests.support.run_books import book, started
from tests.support.small_estate import Small

SET = """app, version = sys.argv[1:]
if os.path.exists(app + '.broken'):
    sys.exit(4)
open(app, 'w').write(version)"""
IS = "sys.exit(0 if open(sys.argv[1]).read() == sys.argv[2] else 1)"


def shop(folder: Path, program: str = "") -> dict[str, Any]:
    """The command of the outsider's shop: it sets a version on one of its applications."""
    for app in ("a", "b"):
        (folder / app).write_text("v1")
    (folder / "b.broken").touch()
    return {
        "set-version": {
            "argv": [program or script(folder, "set", SET), "${app}", "${version}"],
            "params": {"app": {"kind": "choice", "choices": ["a", "b"]}, "version": {"kind": "text"}},
            "risk": "B1",
            "quiet": "200ms",
            "settle": "50ms",
            "timeout": "20s",
            "read": {"argv": [script(folder, "is", IS), "${app}", "${version}"]},
            "undo": {"command": "set-version", "args": {"app": "${app}", "version": "v1"}},
        }
    }


STEPS = book(
    *(
        {
            "id": app,
            "change": "command.run",
            "with": {"command": "set-version", "args": {"app": app, "version": "v3"}},
        }
        for app in ("a", "b")
    )
)


async def retried_by_hand(lab: Small, folder: Path) -> str:
    """The run stands at b; a person sets b as the runbook says, and the retry finds it done."""
    run = await started(lab)
    assert await lab.ended(run, 60) == "paused"
    (folder / "b.broken").unlink()
    (folder / "b").write_text("v3")
    await lab.submit(await lab.preview(PlanRetry(run, "b#1")))
    assert await lab.ended(run, 60) == "done"
    assert lab.engine.history.runs[run].latest("b").message == "already done; nothing was sent"
    return run


async def test_what_was_sent_and_reads_done_at_its_retry_is_undone(tmp_path: Path) -> None:
    async with own(tmp_path, STEPS, commands=shop(tmp_path)) as lab:
        run = await retried_by_hand(lab, tmp_path)
        card = await lab.preview(PlanUndo(run))
        assert [undo.args["args"]["app"] for undo in card.undo] == ["b", "a"]
        assert card.refusals == ()
        assert await lab.ended((await lab.submit(card)).run, 60) == "done"
        assert [(tmp_path / app).read_text() for app in ("a", "b")] == ["v1", "v1"]
        assert lab.engine.view("runbooks").runs[run].undo is UndoState.DONE


async def test_after_a_restart_it_is_undone_too_and_never_over_a_newer_change(tmp_path: Path) -> None:
    async with own(tmp_path, STEPS, commands=shop(tmp_path)) as lab:
        run, store = await retried_by_hand(lab, tmp_path), lab.store
    async with own(tmp_path, STEPS, store=store, commands=shop(tmp_path)) as lab:
        (tmp_path / "a").write_text("v3")
        (tmp_path / "b").write_text("v4")
        card = await lab.preview(PlanUndo(run))
        assert [refusal.rule for refusal in card.refusals] == ["newer-change"]


async def test_what_no_change_undoes_is_said_on_the_undo_s_card_and_at_its_end(tmp_path: Path) -> None:
    commands = shop(tmp_path)
    restart = {key: value for key, value in commands["set-version"].items() if key != "undo"}
    (tmp_path / "b.broken").unlink()
    step = {"id": "b", "change": "command.run", "title": "Restart b"}
    steps = book(STEPS["steps"][0], step | {"with": {"command": "restart", "args": {"app": "b", "version": "v3"}}})
    async with own(tmp_path, steps, commands={**commands, "restart": restart}) as lab:
        run = await started(lab)
        assert await lab.ended(run, 60) == "done"
        card = await lab.preview(PlanUndo(run))
        assert [(each.subject, each.message) for each in card.warnings] == [
            ("Restart b", "not taken back: no change undoes it")
        ]
        back = (await lab.submit(card)).run
        assert await lab.ended(back, 60) == "done"
        assert "not taken back: Restart b" in lab.engine.history.runs[back].message


async def test_what_was_never_sent_is_not_the_run_s_and_stays(tmp_path: Path) -> None:
    """It could not be started: what reads done later is another one's doing."""
    async with own(tmp_path, STEPS, commands=shop(tmp_path, str(tmp_path / "nowhere"))) as lab:
        run = await started(lab)
        for app in ("a", "b"):
            assert await lab.ended(run, 60) == "paused"
            (tmp_path / app).write_text("v3")
            await lab.submit(await lab.preview(PlanRetry(run, f"{app}#1")))
        assert await lab.ended(run, 60) == "done"
        assert lab.engine.history.runs[run].undos() == []
        assert lab.engine.view("runbooks").runs[run].undo is UndoState.NONE
