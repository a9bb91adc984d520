"""Attacks on "not started": a command that runs while the host withholds what following it needs.

Without descriptors of processes (Linux before 5.3, gVisor, seccomp), without free descriptors or threads, the engine
must neither say that nothing was started, nor leave running what it can still end.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.commands.command import LocalPlace, OwnCommand
from adapters.concealed import Concealed
from state.errors import EffectRefused, EffectUnknown
from state.host.processes import HeldProcess, ProcessProof

STUBBORN = (
    "import os, pathlib, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
    "time.sleep(120)\n"
)


def command(folder: Path) -> OwnCommand:
    return OwnCommand("commands/stubborn", LocalPlace(folder, (), {}), (0,), Concealed(()))


async def effect(folder: Path, deadline: float) -> tuple[EffectUnknown, int]:
    """Run a program that leaves its number and does not end when it is asked to: how it ended, and its number."""
    pid, ours = folder / "pid", command(folder)
    with pytest.raises(EffectUnknown) as found:
        await ours.run([sys.executable, "-c", STUBBORN, str(pid)], ours.output(), effect="E-1", deadline=deadline)
    return found.value, int(pid.read_text())


def refusing(code: int) -> Any:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EMFILE])
async def test_a_command_is_cut_off_without_descriptors_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Before: "refused: cannot be started", not done, and the retry was the second effect."""
    monkeypatch.setattr(os, "pidfd_open", refusing(code))
    error, pid = await effect(tmp_path, 6.0)
    assert (error.code, error.over) == ("timeout", True)
    assert not Path(f"/proc/{pid}").exists()


async def test_a_command_whose_processes_cannot_be_listed_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listdir", refusing(errno.EMFILE))
    error, _ = await effect(tmp_path, 6.0)
    assert (error.code, error.over) == ("lost-sight", False)
    assert (await LocalPlace(tmp_path, (), {}).at_work("E-1")) != []


async def test_a_command_that_nobody_can_wait_for_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no thread left after the program was started."""

    def none_left(_: threading.Thread) -> None:
        time.sleep(1.0)  # the program leaves its number meanwhile
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    monkeypatch.setattr(os, "pidfd_open", refusing(errno.EMFILE))
    error, pid = await effect(tmp_path, 30.0)
    monkeypatch.undo()
    assert (error.code, error.over) == ("lost-sight", False)
    os.waitpid(pid, 0)


async def test_what_cannot_be_started_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = command(tmp_path)
    for argv in (["/nowhere/at/all"], [sys.executable, "-c", "x" * (1 << 20)], [sys.executable, "-c", "\0"]):
        with pytest.raises(EffectRefused):
            await ours.run(argv, ours.output(), effect="E-1", deadline=6.0)
    monkeypatch.setattr(os, "pipe", refusing(errno.EMFILE))
    with pytest.raises(EffectRefused):
        await ours.run([sys.executable, "-c", "pass"], ours.output(), effect="E-1", deadline=6.0)


def test_a_process_is_held_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pidfd_open", refusing(errno.ENOSYS))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]) as child:
        proof = ProcessProof.of(child.pid)
        assert proof is not None
        with HeldProcess(child.pid) as held:
            assert held.is_the(proof)
            assert not held.ends_within(0.1)
            held.send(signal.SIGKILL)
            assert held.ends_within(60)
    with pytest.raises(ProcessLookupError):
        HeldProcess(child.pid)
