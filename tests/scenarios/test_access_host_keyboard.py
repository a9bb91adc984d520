"""A shell on a host by keyboard at 80x24: asked for, agreed to at a second console, used, watched, ended, proven."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import subprocess
import tempfile
from pathlib import Path

from tests.contract.anchor_places import rsyslog
from tests.support.host_site import HostSite, host_site
from tests.support.keyboard import Keyboard, console, press
from tests.support.real_engine import RealEngine, engine_home
from tests.support.second_desk import (
    ACCOUNT,
    ask_for_access,
    ask_for_approval,
    begin,
    open_to_all,
    proven_elsewhere,
    second_agrees,
    with_group,
)
from tests.support.signing import key_file, public_key

TREE = {
    "estate": "hosted",
    "environment": "lab",
    "sites": {"east": {}},
    "people": {
        "you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander"]},
        "ben": {"accounts": [ACCOUNT], "roles": ["approver"], "keys": {"file": {"public": public_key("ben")}}},
    },
    "policies": {
        "authority": {"power": {"risk": ["B4"], "approvers": 1}},
        "confirm": {"arm": "20ms", "plan_expires": "2m"},
        "anchors": {"every": "1s"},
    },
    "runbooks": [],
}


def test_a_shell_on_a_host_by_keyboard() -> None:
    with tempfile.TemporaryDirectory() as folder, host_site(Path(folder)) as site:
        place = Path(folder)
        (place / "syslog").mkdir()
        with rsyslog(place / "syslog", tls=False) as (port, _, _):
            anchors = {"log": {"kind": "syslog", "address": f"127.0.0.1:{port}", "tls": "plain"}}
            with engine_home({**TREE, "hosts": {"web1": site.tree}, "anchors": anchors}, with_group) as engine:
                asyncio.run(engine.start())
                open_to_all(engine)
                with console(engine) as terminal:
                    _used_until_its_end(site, engine, Keyboard(terminal), place)
                asyncio.run(asyncio.sleep(2.5))  # the anchors of the end
                told = proven_elsewhere(engine, place / "elsewhere", place / "syslog" / "messages")
    assert " is over: " in told


def _used_until_its_end(site: HostSite, engine: RealEngine, person: Keyboard, place: Path) -> None:
    """One minute of a shell; a session that is open at the end goes with it."""
    terminal = person.terminal
    seen = ask_for_access(person, "shell", 1)
    assert "Access shell at host web1 for you, 1 min" in seen.first
    assert "needs 1 approval" in seen.first
    assert "ctrl+a asks for the approval" in seen.first
    ask_for_approval(person)
    second_agrees(engine, key_file("ben"), place / "ben")
    begin(person, "web1")
    press(terminal, "t")
    terminal.wait("Key for G-", 10)
    press(terminal, "\x15", *f"{place}/night\r")
    terminal.wait("Open the login", 10)
    person.type()
    terminal.wait(lambda: re.search(r"(open|expiring) +G-\w+ +0\d:\d\d", person.look()), 30)
    role = re.search(r"as (bg_\w+)", terminal.text())
    assert role is not None
    known = f"UserKnownHostsFile={place / 'known_hosts'}"
    words = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", known, "-i", str(place / "night"), "-p", str(site.port)]
    with subprocess.Popen([*words, f"{role[1]}@127.0.0.1", "sleep 400"], stdin=subprocess.DEVNULL) as session:
        terminal.wait(lambda: re.search(r"(open|expiring) +G-.*web1", person.look()), 30)
        terminal.wait(lambda: re.search(r"ended +G-", terminal.text()), 150)
        assert session.wait(10) == 255
    assert "login refused: its certificate, its key, its serial" in " ".join(person.look().split())
    done = subprocess.run([*words, f"{role[1]}@127.0.0.1", "true"], capture_output=True, check=False, timeout=30)
    assert done.returncode == 255, "nobody gets in any more"
