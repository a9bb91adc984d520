"""Two people at two consoles of one engine: who asks, and who agrees, as another account of this host."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from state.api.approvals import NAMESPACE
from state.proof.seals import KEYED
from state.proof.sshsig import fingerprint
from tests.support.keyboard import CardSeen, Keyboard, press
from tests.support.real_engine import EngineProcess, RealEngine, as_program
from tests.terminal.ptys import Terminal

ROOT = os.geteuid() == 0
OTHER, GROUP, ACCOUNT = 65_534, "nogroup", "nobody"
"""The account of the second person, where this process may become it."""
READS = "+dac_read_search"
"""What that account needs beside its own: the interpreter may lie where it cannot go."""


def with_group(argv: Sequence[str], environment: Mapping[str, str], said: Path) -> EngineProcess:
    """An engine whose acting socket is open to the second person's group."""
    return as_program([*argv, "--group", GROUP] if ROOT else argv, environment, said)


def open_to_all(engine: RealEngine) -> None:
    """Other accounts find the engine's sockets; its secrets stay closed."""
    for each in (engine.place.file.parent, engine.place.runtime):
        each.chmod(0o755)
    engine.place.file.chmod(0o644)


@contextmanager
def second_console(engine: RealEngine, key: Path, home: Path) -> Iterator[Keyboard]:
    """The console of the second person, under an account and with a home of its own; `key` signs."""
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for name in (key.name, f"{key.name}.pub"):
        at = home / ".ssh" / name.replace(key.name, "id_ed25519")
        at.write_bytes((key.parent / name).read_bytes())
        at.chmod(0o600)
    for each in (home, *home.rglob("*")):
        os.chown(each, OTHER, OTHER)
    become = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", f"--inh-caps={READS}"]
    argv = [*become, f"--ambient-caps={READS}", sys.executable, "-m", "console.cli", "console"]
    with Terminal([*argv, "--estate", str(engine.place.file)], env={"HOME": str(home)}) as terminal:
        yield Keyboard(terminal)


def ask_for_access(person: Keyboard, bundle: str, minutes: int) -> CardSeen:
    """Fill in the form of the Access screen, and read its card."""
    terminal = person.terminal
    terminal.wait(". stop all", 30)
    press(terminal, "6")
    terminal.wait("Access, read from the targets", 10)
    terminal.wait(lambda: "nothing in the estate allows it" not in person.look(), 30)
    press(terminal, "n")
    terminal.wait("Access for yourself", 10)
    press(terminal, "\r")
    for _ in range(12):
        if f"[{bundle}]" in person.look():
            break
        press(terminal, "\x1b[C")
    press(terminal, "\r", "\x15", *f"{minutes}\r", *"INC-42\r", *"the disk is full\r")
    return person.card("Access ")


def ask_for_approval(person: Keyboard) -> None:
    """From a card that needs one."""
    press(person.terminal, "\x01")
    person.terminal.wait("Ask for an approval", 10)
    press(person.terminal, *"somebody has to look\r", "\r")
    person.terminal.wait(lambda: "A 1 asked" in person.look().splitlines()[0], 20)


def second_agrees(engine: RealEngine, key: Path, home: Path) -> None:
    """At a console of their own; where no other account can be had, with a file from another host."""
    if ROOT:
        with second_console(engine, key, home) as other:
            _agree(other)
        return
    home.mkdir(exist_ok=True)
    file, words = home / "A-1.txt", ["approve", "A-1", "--by", "ben", "--estate", str(engine.place.file)]
    for each in (
        [sys.executable, "-m", "console.cli", *words, "--file", str(file)],
        ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)],
        [sys.executable, "-m", "console.cli", *words, "--signature", f"{file}.sig"],
    ):
        subprocess.run(each, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _agree(other: Keyboard) -> None:
    """Read the card that the engine makes anew, and sign it."""
    other.terminal.wait("A 1 to approve", 20)
    press(other.terminal, "A")
    other.terminal.wait("asked by", 10)
    press(other.terminal, "\r")
    assert "somebody has to look" in other.card("Approve A-1 of you: Access ").text
    other.type()
    other.terminal.wait("ben approved", 20)


def begin(person: Keyboard, name: str) -> None:
    """Carry out what was approved: from the queue, by its card, to the armed grant."""
    person.terminal.wait("A-1 approved", 20)
    press(person.terminal, "A")
    person.terminal.wait("approved by", 10)
    press(person.terminal, "\r")
    assert "approved A-1" in person.allowed("Access ").text
    person.type(name)
    person.terminal.wait(lambda: re.search(r"armed +G-", person.look()), 60)


def proven_elsewhere(engine: RealEngine, folder: Path, anchors: Path) -> str:
    """The bundle of what happened, verified in an empty folder by an isolated Python without any package, with the
    lines of a system log as anchors: what it lists."""
    stored = zip(engine.sealed(), engine.entries(), strict=False)
    root = next(fingerprint(json.loads(raw.payload or "{}")["public"]) for raw, each in stored if each.kind == KEYED)
    folder.mkdir()
    made = folder / "all.tar"
    words = ["journal", "export", "--bundle", "--since", "1h", "-o", str(made), "--estate", str(engine.place.file)]
    done = subprocess.run([sys.executable, "-m", "console.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(made) as tar:
        held = tar.extractfile("verify.pyz")
        assert held is not None
        (folder / "verify.pyz").write_bytes(held.read())
    command = [sys.executable, "-I", "-S", "verify.pyz", made.name, "--key", root, "--anchors", str(anchors)]
    done = subprocess.run([*command, "--list"], cwd=folder, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def take(person: Keyboard) -> str:
    """Take the secret of the selected grant: what is shown once, in one line. Then its login is open."""
    press(person.terminal, "t")
    person.terminal.wait("Take the secret of G-", 10)
    said = " ".join(person.look().split())
    person.type()
    person.terminal.wait(lambda: re.search(r"(open|expiring) +G-\w+ +0\d:\d\d", person.look()), 30)
    return said
