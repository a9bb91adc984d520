"""Journal, seals and anchors of a real engine, by its verbs; proven on a machine with nothing but Python."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.proof.anchors import AnchorsRead
from state.proof.sshsig import fingerprint
from tests.contract.anchor_places import rsyslog
from tests.support.real_engine import RealEngine, engine_home, until
from tests.support.sshd import Sshd, running_sshd

TREE: dict[str, Any] = {"estate": "proven", "environment": "lab", "sites": {"east": {}}, "runbooks": []}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rx-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def other(elsewhere: Path) -> Iterator[Sshd]:
    (elsewhere / "sshd").mkdir()
    with running_sshd(elsewhere / "sshd") as server:
        yield server


def told(engine: RealEngine, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RECOVERY_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "console.cli", *words, "--estate", str(engine.place.file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
        cwd="/",
    )


def connected(engine: RealEngine) -> list[dict[str, str]]:
    command = [sys.executable, "-P", "-m", "console.cli", "check", str(engine.place.file), "--connect", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd="/")
    answers: list[dict[str, str]] = json.loads(done.stdout)["answers"]
    return answers


async def test_a_journal_is_proven_elsewhere_by_the_lines_of_two_places(elsewhere: Path, other: Sshd) -> None:
    (elsewhere / "log").mkdir()
    kept = elsewhere / "anchors"
    host = other.host
    with rsyslog(elsewhere / "log", tls=False) as (port, _, _):
        tree = {
            **TREE,
            "hosts": {
                "ops2": {
                    "address": host.address,
                    "port": host.port,
                    "user": host.user,
                    "identity": host.identity,
                    "known_hosts": host.known_hosts,
                }
            },
            "anchors": {
                "log": {"kind": "syslog", "address": f"127.0.0.1:{port}", "tls": "plain"},
                "other": {"kind": "file", "host": "ops2", "path": str(kept)},
            },
            "policies": {"anchors": {"every": "1s"}},
        }
        with engine_home(tree) as engine:
            await engine.start()
            lines = elsewhere / "log" / "messages"

            async def both() -> bool:
                have = [path for path in (kept, lines) if path.exists() and b'"anchor":1' in path.read_bytes()]
                return len(have) == 2 and "journal.sealed" in engine.kinds()

            await until(both, 60)
            looked = await asyncio.to_thread(connected, engine)
            assert {row["target"]: row["health"] for row in looked if row["target"].startswith("anchors/")} == {
                "anchors/log": "pass",
                "anchors/other": "pass",
            }
            root = next(fingerprint(e.body.as_json()["public"]) for e in engine.entries() if e.kind == "journal.keyed")
            asked = told(engine, "journal", "anchors", "-o", str(elsewhere / "read.txt"))
            assert asked.returncode == 3, "a system log says nothing back"
            assert "anchors.log says nothing back" in asked.stderr
            found = told(engine, "journal", "verify", "--anchors", str(elsewhere / "read.txt"), "--key", root)
            assert found.returncode == 0, found.stderr
            assert "anchored up to entry" in found.stdout
            made = told(
                engine,
                "journal",
                "export",
                "--bundle",
                "--since",
                "1h",
                "-o",
                str(elsewhere / "day.tar"),
                "--anchors",
                str(kept),
            )
            assert made.returncode == 0, made.stderr
            engine.end()
            assert_last_is_anchored(engine, kept, lines)
        assert_proven_elsewhere(elsewhere, root, lines)


def assert_last_is_anchored(engine: RealEngine, *places: Path) -> None:
    """The end of the engine is its last entry but one; the seal of it is the last, and both places have that."""
    entries = engine.entries()
    assert [entry.kind for entry in entries[-2:]] == ["engine.stopped", "journal.sealed"]
    for path in places:
        read = AnchorsRead()
        read.take(path.read_bytes().splitlines(), path.name)
        assert max(each.seq for each in read.anchors) == entries[-1].seq
        assert {each.seq: each.hash for each in read.anchors}[entries[-1].seq] == entries[-1].hash
    folder = engine.place.journal.with_suffix(".keys")
    following = entries[-1].body.as_json()["period"] + 1
    assert [path.name for path in folder.glob("period-*[0-9]")] == [f"period-{following}"]


def assert_proven_elsewhere(folder: Path, root: str, log: Path) -> None:
    """In an empty folder, with an isolated Python without any package, and the lines of the system log as they are."""
    empty = folder / "empty"
    empty.mkdir()
    with tarfile.open(folder / "day.tar") as tar:
        held = tar.extractfile("verify.pyz")
        manifest = tar.extractfile("manifest.json")
        assert held is not None
        assert manifest is not None
        (empty / "verify.pyz").write_bytes(held.read())
        assert json.loads(manifest.read())["estate"] == "proven"
    command = [sys.executable, "-I", "-S", "verify.pyz", str(folder / "day.tar"), "--list"]
    done = subprocess.run(
        [*command, "--key", root, "--anchors", str(log)],
        cwd=empty,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "engine started" in done.stdout


async def test_a_killed_engine_goes_on_with_its_line_of_keys() -> None:
    with engine_home(TREE) as engine:
        for _ in range(3):
            await engine.start()
            before = engine.kinds().count("journal.sealed")

            async def sealed(before: int = before) -> bool:
                return engine.kinds().count("journal.sealed") > before

            await until(sealed, 60)
            engine.kill()
        found = told(engine, "journal", "verify")
        assert found.returncode == 0, found.stderr
        assert engine.kinds().count("journal.keyed") == 1
        await asyncio.sleep(0)
