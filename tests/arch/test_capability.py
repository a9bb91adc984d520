"""A capability is a folder: a toy is registered from outside, and everything that derives from registries has it."""

from __future__ import annotations

import asyncio
import importlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from adapters.api_server import EngineMetrics, LoopLag
from console.cli.verbs import recovery, registered_verb
from console.client.engine_client import EngineClient
from console.tui import screens
from console.tui.actions import registry
from console.tui.app import ConsoleApp
from console.tui.terminal.capabilities import Terminal
from state.capabilities import added
from tests.screens.fake_engine import Stage, serving
from tests.support.small_estate import ESTATE, Small, small

ROOT = Path(__file__).parents[2]
ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
MINE = {**ESTATE, "people": {"ada": {"accounts": [ACCOUNT], "roles": ["commander", "responder"]}}}


@asynccontextmanager
async def house(size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Stage, Small, str]]:
    """An engine and a console that know the toy, on a real socket; and the socket's path."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="toy-") as folder:
        stack.enter_context(registry.kept())
        toy = importlib.reload(importlib.import_module("tests.arch.toy_lamps"))
        toy.LAMPS.update(porch=False, cellar=False)
        stack.enter_context(added(toy.CAPABILITY))
        stack.enter_context(screens.registered("lamps", "tests.arch.toy_lamps:LampsScreen"))
        stack.enter_context(registered_verb("lamps", "tests.arch.toy_lamps:lamps", "Which lamps shine."))
        async with small(estate=MINE) as lab, serving(lab.engine, Path(folder)) as path:
            app = ConsoleApp(path, Terminal())
            async with app.run_test(size=size) as pilot:
                stage = Stage(app, pilot, lab.engine)
                await stage.until(lambda: all(app.store.view(tab.name) for tab in app.tabs), "the first views")
                await stage.settle()
                yield stage, lab, path


async def test_the_toy_is_seen_and_acted_on_by_keyboard_alone() -> None:
    async with house() as (stage, lab, _):
        assert [tab.title for tab in stage.app.tabs if tab.digit == "7"] == ["Lamps"]
        await stage.press("7")
        await stage.sees("porch", "dark", "light")
        await stage.press("L")
        await stage.sees("Light the porch lamp", "dark → shines")
        await stage.pilot.pause(0.3)
        await stage.press("y")
        await stage.until(lambda: "lamp.lit" in lab.kinds(), "the lamp")
        await stage.until(lambda: "effect.ended" in lab.kinds(), "the outcome")
        await stage.sees("porch", "shines")
        assert [k for k in lab.kinds() if k[:6] == "effect"] == ["effect.intended", "effect.answered", "effect.ended"]
        await stage.press("9")
        await stage.sees("lamp.lit", "the porch lamp shines")


async def test_the_toy_is_in_help_palette_and_go_to() -> None:
    async with house() as (stage, _, _path):
        await stage.press("7", "question_mark")
        await stage.sees("Propose to light the selected lamp")
        await stage.press("escape", "ctrl+p", *"lamps")
        await stage.sees("Lamps", "the screen")
        await stage.press("escape", "escape", "1", "colon", *"cellar")
        await stage.sees("cellar", "lamp")
        await stage.press("enter")
        await stage.until(lambda: stage.app.current_mode == "lamps", "the screen of the lamps")


async def test_the_toy_is_in_stream_metrics_verbs_and_banner() -> None:
    async with house() as (stage, lab, path):
        view = await EngineClient(path).view("lamps")
        assert {name: row.health for name, row in view.lamps.items()} == {"porch": "unknown", "cellar": "unknown"}
        metrics = CollectorRegistry()
        metrics.register(EngineMetrics(lab.engine, LoopLag(), lambda: 1))
        assert 'recovery_rows{health="unknown",table="lamps",topic="lamps"} 2.0' in generate_latest(metrics).decode()
        told = await asyncio.to_thread(CliRunner().invoke, recovery, ["lamps", path])
        assert (told.exit_code, told.output) == (0, "porch unknown, cellar unknown\n")
        assert "Which lamps shine." in CliRunner().invoke(recovery, ["--help"]).output
        toy = importlib.import_module("tests.arch.toy_lamps")
        toy.LAMPS.update(porch=True, cellar=True)
        await stage.sees("every lamp shines")
        assert lab.kinds().count("lamp.lit") == 2


async def test_the_toy_is_forgotten_when_it_is_no_longer_registered() -> None:
    async with house():
        pass
    async with small() as lab:
        assert "lamps" not in lab.engine.view("header").sources
        with pytest.raises(Exception, match="no topic lamps"):
            lab.engine.view("lamps")


def test_the_toy_is_small_and_no_product_file_knows_it() -> None:
    toy = ROOT / "tests/arch/toy_lamps.py"
    assert len(toy.read_text().splitlines()) <= 150
    found = subprocess.run(
        ["grep", "-rlIE", r"\blamps?\b", "state", "adapters", "console", "--include=*.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout == ""
