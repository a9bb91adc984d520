"""A process of another account that speaks like an engine is told nothing and believed in nothing (kind 1)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.client.engine_client import EngineClient
from console.client.peer import connect_engine
from console.engine.control import EngineNotStopped, listens, terminate
from console.places import EnginePlace
from state.errors import Refused
from state.host.processes import HeldLock, ProcessProof, held_lock
from tests.attack.strangers import FAKE_ENGINE, ROOT, STRANGER, as_stranger, give_away

RECOVERY = Path(sys.executable).with_name("recovery")


@pytest.fixture
def stage() -> Iterator[Path]:
    """A folder that everybody may enter, below /tmp."""
    folder = Path(tempfile.mkdtemp(prefix="rf-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def verb(stage: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    own = {"HOME": str(stage), "XDG_STATE_HOME": str(stage / "own")}
    environment = {**os.environ, **own}
    environment.pop("XDG_RUNTIME_DIR", None)
    return subprocess.run(
        [RECOVERY, *argv], env=environment, cwd=stage, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


VERBS = (
    ("status",), ("engine", "status"), ("engine", "stop"), ("engine", "reload"), ("stop",), ("bridge",),
    ("traffic", "drain", "edge", "shop", "a"), ("db", "show"), ("run", "list"), ("console",), ("journal", "verify"),
)  # fmt: skip


async def test_nothing_is_sent_to_a_fake_engine_in_a_strangers_folder(stage: Path) -> None:
    if not ROOT:
        return
    lab = stage / "bait"
    (lab / "run").mkdir(parents=True)
    (lab / "LAB.json").write_text("{}")
    (lab / "estate.yaml").write_text("estate: bait\nenvironment: lab\nsites: {here: {}}\nrunbooks: []\n")
    (lab / "run" / "engine.json").write_text(json.dumps({"pid": 1, "started": "now"}))
    give_away(lab)
    told = stage / "told"
    told.touch()
    told.chmod(0o666)
    with as_stranger(FAKE_ENGINE, str(lab / "run" / "engine.sock"), str(told)):
        os.chmod(lab / "run" / "engine.sock", 0o777)
        for argv in VERBS:
            done = verb(stage, *argv, "--estate", str(lab / "estate.yaml"))
            assert done.returncode in (2, 4), (argv, done.stdout, done.stderr)
            assert str(lab) in done.stderr, (argv, done.stderr)
        with pytest.raises(Refused, match="engine-account"):
            await EngineClient(str(lab / "run" / "engine.sock")).hello()
        with pytest.raises(Refused, match="engine-account"):
            connect_engine(lab / "run" / "engine.sock")
    assert told.read_text() == ""


async def test_the_kernel_names_the_account_behind_a_socket_in_our_own_folder(stage: Path) -> None:
    """The folder was open for a moment, and now looks as it should."""
    if not ROOT:
        return
    run, told = stage / "run", stage / "told"
    run.mkdir()
    run.chmod(0o777)
    told.touch()
    told.chmod(0o666)
    with as_stranger(FAKE_ENGINE, str(run / "engine.sock"), str(told)) as fake:
        run.chmod(0o755)
        os.chown(run / "engine.sock", 0, 0)
        place = EnginePlace("shop", None, run, stage / "state", "test")
        for ask in (lambda: listens(place), lambda: connect_engine(place.engine)):
            with pytest.raises(Refused, match=f"process {fake.pid} of account {STRANGER}"):
                ask()
        with pytest.raises(Refused, match=f"process {fake.pid}"):
            await EngineClient(str(place.engine)).hello()
    assert told.read_text() == ""


def test_an_engine_in_a_folder_that_a_group_may_write_is_not_believed(stage: Path) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        (stage / "run").mkdir(mode=0o700)
        ours.bind(str(stage / "run" / "engine.sock"))
        ours.listen()
        connect_engine(stage / "run" / "engine.sock").close()
        (stage / "run").chmod(0o707)
        with pytest.raises(Refused, match="chmod go-w"):
            connect_engine(stage / "run" / "engine.sock")


LOCKER = """
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("proof", ["none", "old", "garbage", "a number that was given again"])
def test_a_number_in_a_file_ends_no_process_that_is_not_the_engine(stage: Path, proof: str) -> None:
    """The lock is held, and its file names an innocent process."""
    place = EnginePlace("shop", None, stage / "run", stage, "test")
    with subprocess.Popen(["sleep", "600"]) as innocent:
        its = ProcessProof.of(innocent.pid)
        assert its is not None
        third = {
            "none": "",
            "old": f"{its.started - 100} {its.command}\n",
            "garbage": f"{'9' * 400} \x1b[31m\n",
            "a number that was given again": f"{its.started} {'0' * 32}\n",
        }[proof]
        place.lock.write_text(f"{innocent.pid}\n{stage}/run\n{third}")
        with subprocess.Popen([sys.executable, "-I", "-c", LOCKER, str(place.lock)], stdout=subprocess.PIPE) as locker:
            assert locker.stdout is not None
            locker.stdout.readline()
            with pytest.raises(EngineNotStopped, match="got no signal"):
                terminate(place)
            time.sleep(0.1)
            assert innocent.poll() is None
            locker.kill()
        innocent.kill()


OWN_LOCK = """
import sys, time
from pathlib import Path
from console.engine.host import EngineLock
EngineLock(Path(sys.argv[1]), Path("/run")).take("shop")
print("locked", flush=True)
time.sleep(600)
"""


def test_the_process_that_wrote_its_own_proof_is_ended(stage: Path) -> None:
    place = EnginePlace("shop", None, stage / "run", stage, "test")
    program = [sys.executable, "-P", "-c", OWN_LOCK, str(place.lock)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, cwd="/") as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"locked\n"
        held = held_lock(place.lock)
        assert isinstance(held, HeldLock)
        assert held.pid == engine.pid
        terminate(place)
        assert engine.wait(60) == -signal.SIGTERM
