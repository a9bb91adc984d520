"""The session log of a real engine: a console's keys come out of the verb and the bundle, with who pressed them."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.api.requests import PlanChange
from tests.attack.test_role_keys import console
from tests.support.acting_site import Site, acting_site
from tests.support.run_books import SHOP

Capture = pytest.CaptureFixture[str]


async def lines_of(site: Site, capsys: Capture) -> list[dict[str, Any]]:
    capsys.readouterr()
    words = ["journal", "sessions", "--estate", str(site.estate)]
    assert await asyncio.to_thread(run_to_code, recovery, words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("socket", ["engine.sock", "observe.sock"])
async def test_what_was_pressed_is_kept_with_who_and_where(socket: str, capfdbinary: Any, tmp_path: Path) -> None:
    async with acting_site() as site:
        async with console(site, socket) as st:
            await st.press("4", "question_mark", "escape")
            async with asyncio.timeout(30):
                while b'"what": "help"' not in await site.engine.sessions.lines():
                    await asyncio.sleep(0.1)
        run = await site.act(PlanChange("server.weight", {**SHOP, "server": "green", "weight": 7}))
        await site.stands(run, "done")
        out = tmp_path / "log"
        words = ["journal", "sessions", "--estate", str(site.estate), "-o", str(out)]
        assert await asyncio.to_thread(run_to_code, recovery, words) == 0
        told = [json.loads(line) for line in out.read_text().splitlines()]
        assert ("screen", "traffic") in {(each["kind"], each["what"]) for each in told}
        (pressed,) = [each for each in told if each["what"] == "help"]
        assert (pressed["person"], pressed["read_only"]) == ("u1", socket == "observe.sock")
        bundle = tmp_path / "b.tar"
        words = ["journal", "export", "--bundle", "--run", run, "-o", str(bundle), "--estate", str(site.estate)]
        assert await asyncio.to_thread(run_to_code, recovery, words) == 0
        with tarfile.open(fileobj=io.BytesIO(bundle.read_bytes())) as tar:
            member = tar.extractfile("sessions.ndjson")
            assert member is not None
            assert b'"what": "help"' in member.read()
