"""`recovery approve`, `recovery approvals` and `--ask`, against an engine on its real socket, with real keys."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.api_server import ApiServer, Sockets
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from tests.support.signing import ADA, CARL, WHY, approve, asked, estate, key_file, people, person, sign
from tests.support.small_estate import Small, flip, small

HERE = getpass.getuser()
FLIP = ("traffic", "flip", "edge", "shop", "green")


@dataclass
class Desk:
    """An engine on its socket, and this account as one of its people."""

    lab: Small
    file: Path
    capsys: pytest.CaptureFixture[str]

    async def verb(self, *words: str) -> int:
        return await asyncio.to_thread(run_to_code, recovery, [*words, "--estate", str(self.file)])

    async def json(self, *words: str) -> tuple[int, Any]:
        self.capsys.readouterr()
        code = await self.verb(*words, "--json")
        return code, json.loads(self.capsys.readouterr().out or "null")

    def said(self) -> str:
        out, err = self.capsys.readouterr()
        return out + err


Serve = Callable[..., Any]


@pytest.fixture
def serve(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serve:
    """An engine in which this account is the person `me` with these roles and this key in ~/.ssh."""

    @asynccontextmanager
    async def serving(*roles: str, **policies: Any) -> AsyncIterator[Desk]:
        keys = tmp_path / "home" / ".ssh"
        keys.mkdir(parents=True, mode=0o700)
        for name in ("me", "me.pub"):
            shutil.copy(key_file("me").with_name(name), keys / name)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        found = {**people(), "me": person(*roles, accounts=(HERE, str(os.getuid())), keys=("me",))}
        with tempfile.TemporaryDirectory(prefix="ra-", dir="/tmp") as folder:  # a short path: it holds a socket
            file, runtime = Path(folder, "estate.yaml"), Path(folder, "run")
            file.write_text("estate: small\n")
            Path(folder, "LAB.json").write_text("{}")
            runtime.mkdir(mode=0o700)
            async with small(estate={**estate(**policies), "people": found}) as lab:
                server = ApiServer(lab.engine, Sockets(runtime))
                await server.start()
                yield Desk(lab, file, capsys)
                await server.stop()

    return serving


async def test_a_request_is_read_signed_and_used(serve: Serve) -> None:
    async with serve("approver") as desk:
        name, _ = await asked(desk.lab)
        code, listed = await desk.json("approvals", "list")
        assert code == 0
        assert listed["approvals"]["requests"][name]["may"] == ["ben", "carl", "me"]
        assert (await desk.json("approvals", "show", name))[0] == 7
        assert await desk.verb("approve", "--yes") == 0  # the only one that waits
        said = desk.said()
        assert f"{name}: me approved Flip edge/shop to green" in said
        assert "approved by: me" in said
        assert (await desk.json("approvals", "show", name))[0] == 0
        accepted = await desk.lab.submit(await desk.lab.preview(flip("green"), ADA), ADA)
        assert await desk.lab.ended(accepted.run) == "done"
        assert await desk.verb("approve", name, "--yes") == 4
        assert f"{name} is used" in desk.said()


async def test_a_text_is_signed_elsewhere_and_handed_in(serve: Serve, tmp_path: Path) -> None:
    async with serve("commander") as desk:
        code, told = await desk.json(*FLIP, "--ask", WHY, "--change", "CHG-7")
        assert (code, told["run"]) == (7, "A-1")
        text = tmp_path / "A-1.txt"
        assert await desk.verb("approve", "A-1", "--by", "ben", "--file", str(text)) == 0
        assert "change: CHG-7\n" in text.read_text()
        (tmp_path / "sig").write_text(sign("ben", text.read_bytes()))
        assert await desk.verb("approve", "A-1", "--signature", str(tmp_path / "sig")) == 4
        assert "Say who signed it: --by ben" in desk.said()
        assert await desk.verb("approve", "A-1", "--by", "ben", "--signature", str(tmp_path / "sig")) == 0
        assert await desk.verb(*FLIP, "--yes-nonce") == 0
        assert await desk.lab.weights() == {"blue": 0, "green": 100}
        assert await desk.verb("approve", "A-1", "--by", "ben", "--signature", str(tmp_path / "none")) == 4


async def test_without_an_approval_the_verb_is_refused_and_says_how_to_ask(serve: Serve) -> None:
    async with serve("commander") as desk:
        assert await desk.verb(*FLIP, "--yes-nonce") == 4
        assert "--ask REASON" in desk.said()
        assert "run.started" not in desk.lab.kinds()


async def test_an_own_request_is_withdrawn_and_denied_by_others_only(serve: Serve) -> None:
    async with serve("commander", "approver") as desk:
        await desk.json(*FLIP, "--ask", WHY)
        assert await desk.verb("approve", "A-1", "--yes") == 4
        assert "are the same person" in desk.said()
        assert await desk.verb("approve", "A-1", "--deny", "not by me") == 4
        assert await desk.verb("approvals", "withdraw", "A-1") == 0
        assert (await desk.json("approvals", "show", "A-1"))[0] == 4
        name, _ = await asked(desk.lab)
        assert await desk.verb("approve", name, "--deny", "not in the rush hour") == 0
        assert await desk.verb("approvals", "withdraw", name) == 4


async def test_alone_halt_and_review(serve: Serve) -> None:
    why = "nobody else answers and checkout is down"
    async with serve("commander", "approver") as desk:
        await desk.json(*FLIP, "--ask", WHY)
        assert await desk.verb("approvals", "alone", "A-1", "--reason", "short") == 4
        assert await desk.verb("approvals", "alone", "A-1", "--reason", why) == 0
        assert (await desk.json("approvals", "show", "A-1"))[0] == 7
        assert await desk.verb(*FLIP, "--yes-nonce") == 4
        assert "goes on alone in 00:" in desk.said()
        assert await desk.verb("approvals", "halt", "A-1") == 0
        assert await desk.verb("approvals", "halt", "A-1") == 4
        assert await desk.verb("approvals", "review", "A-1", "--note", "looked at it, right") == 4
        assert "no review of A-1 is due" in desk.said()
        assert await desk.verb("approvals", "show", "A-9") == 2


async def test_a_key_that_is_not_here_and_a_person_without_one(serve: Serve, tmp_path: Path) -> None:
    async with serve("approver") as desk:
        name, _ = await asked(desk.lab)
        shutil.rmtree(tmp_path / "home" / ".ssh")
        assert await desk.verb("approve", name, "--yes") == 4
        assert "none of your keys in the estate is in the agent or in ~/.ssh" in desk.said()
        assert await desk.verb("approve", name, "--yes", "--key", str(key_file("me"))) == 0


async def test_the_score_names_each_point_and_needs_a_change_above_the_limit(serve: Serve) -> None:
    async with serve("commander", authority={}, score={"above": 3}) as desk:
        card = await desk.lab.preview(flip("green"), ADA)
        assert {point.kind.value: point.points for point in card.score} == {"tier-1": 5, "never-done-here": 4}
        assert [refusal.rule for refusal in card.refusals] == ["approval"]
        assert "rule score of 9 above 3" in card.refusals[0].fact
        code, told = await desk.json(*FLIP, "--ask", WHY)
        assert code == 4
        code, told = await desk.json(*FLIP, "--ask", WHY, "--change", "CHG-1")
        assert (code, told["run"]) == (7, "A-1")
        await approve(desk.lab, "A-1", CARL)
        assert await desk.verb(*FLIP, "--yes-nonce") == 0
