"""Access to a database by keyboard at 80x24 on the real lab: asked for, agreed to at a second console, used with psql,
watched, ended under an open session, proven on the screen and by the offline verifier."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

from adapters.lab.client import LabClient
from adapters.lab.powers import SECOND
from tests.contract.anchor_places import rsyslog
from tests.support.keyboard import Keyboard, console
from tests.support.real_engine import RealEngine, engine_home, lab_estate
from tests.support.second_desk import (
    ACCOUNT,
    ask_for_access,
    ask_for_approval,
    begin,
    open_to_all,
    proven_elsewhere,
    second_agrees,
    take,
    with_group,
)


def test_access_to_a_database_by_keyboard(lab: LabClient, tmp_path: Path) -> None:
    tree = lab_estate(lab, "databases")
    tree["people"][SECOND]["accounts"] = [ACCOUNT]
    tree["policies"] |= {"authority": {"power": {"risk": ["B4"], "approvers": 1}}, "anchors": {"every": "1s"}}
    with rsyslog(tmp_path, tls=False) as (port, _, _):
        tree["anchors"] = {"log": {"kind": "syslog", "address": f"127.0.0.1:{port}", "tls": "plain"}}
        with engine_home(tree, with_group) as engine:
            asyncio.run(engine.start())
            open_to_all(engine)
            with console(engine) as terminal:
                _used_until_its_end(lab, engine, Keyboard(terminal), tmp_path)
            asyncio.run(asyncio.sleep(2.5))  # the anchors of the end
            told = proven_elsewhere(engine, tmp_path / "elsewhere", tmp_path / "messages")
    assert " is over: " in told


def _used_until_its_end(lab: LabClient, engine: RealEngine, person: Keyboard, place: Path) -> None:
    """One minute of `read-all`; a statement that runs at the end goes with its session."""
    terminal = person.terminal
    seen = ask_for_access(person, "read-all", 1)
    assert "Access read-all at orders for" in seen.first
    assert "needs 1 approval" in seen.first
    ask_for_approval(person)
    second_agrees(engine, lab.directory / "keys" / SECOND, place / "second")
    begin(person, "orders")
    said = take(person)
    login = re.search(r'psql "([^"]+)"', said)
    secret = re.search(r"secret ([\w-]{16,})", said)
    assert login is not None, said
    assert secret is not None, said
    psql = [shutil.which("psql") or "psql", login[1], "-XAtc"]
    environment = {**os.environ, "PGPASSWORD": secret[1]}
    with subprocess.Popen([*psql, "select pg_sleep(400)"], env=environment, stderr=subprocess.PIPE) as session:
        terminal.wait(lambda: re.search(r"(open|expiring) +G-.* select", person.look()), 30)
        terminal.wait(lambda: re.search(r"ended +G-", terminal.text()), 180)
        assert session.wait(10) != 0
    assert "no role, no session at" in " ".join(person.look().split())
    done = subprocess.run([*psql, "select 1"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0, "nobody gets in any more"
    assert "authentication failed" in done.stderr, done.stderr
    assert not [path for path in _files(engine) if secret[1].encode() in path.read_bytes()], "the secret is in no file"


def _files(engine: RealEngine) -> list[Path]:
    return [path for path in engine.place.file.parent.rglob("*") if path.is_file()]
