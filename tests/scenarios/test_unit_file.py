"""The shipped systemd unit: it is valid, and the engine starts, acts and ends under its very filter."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.client.engine_client import EngineClient
from console.engine.control import listens
from console.places import EnginePlace, of_file
from state.api.views.header import HeaderView
from tests.support.sandbox import allowed, directives

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config/systemd/recovery-engine@.service"
ESTATE = """\
estate: small-unit
environment: drill
sites: {east: {title: East}}
people:
  ada: {accounts: [root], roles: [commander]}
balancers:
  edge: {kind: haproxy, site: east, socket: 127.0.0.1:9}
monitors:
  prometheus: {kind: prometheus, url: "http://127.0.0.1:9"}
zones:
  shop.example: {kind: rfc2136, servers: ["127.0.0.1:9"], records: []}
services:
  shop: {tier: 1, rto: 5m, rpo: 1MB}
runbooks: []
"""


@pytest.fixture
def place() -> Iterator[EnginePlace]:
    folder = Path(tempfile.mkdtemp(prefix="runit-", dir="/tmp"))
    (folder / "LAB.json").write_text("{}")
    (folder / "estate.yaml").write_text(ESTATE)
    yield of_file(folder / "estate.yaml", "test")
    shutil.rmtree(folder)


def sandboxed(*argv: str, unit: Path = UNIT) -> list[str]:
    return [sys.executable, "-P", "-m", "tests.support.sandbox", str(unit), *argv]


def outcome(code: str) -> str:
    done = subprocess.run(
        sandboxed(sys.executable, "-c", code),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("import ctypes; print(ctypes.CDLL(None, use_errno=True).mount(None, None, None, 0, None))", "-1"),
        ("import os; os.setuid(1)", "PermissionError"),
        ("import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "not supported by protocol"),
        ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "PermissionError"),
        ("import os; os.unshare(0x10000000)" if hasattr(os, "unshare") else "raise PermissionError", "PermissionError"),
        ("import os; os.sched_setaffinity(0, {0})", "PermissionError"),
    ],
)
def test_the_sandbox_of_these_tests_refuses_what_the_unit_refuses(code: str, refusal: str) -> None:
    assert refusal in outcome(code)


def test_the_filter_allows_what_the_engine_says_it_does_and_nothing_privileged() -> None:
    calls = allowed(directives(UNIT)["SystemCallFilter"])
    assert {"chown", "prctl", "prlimit64"} <= calls, "--group needs chown(2)"
    assert not {"mount", "ptrace", "setuid", "bpf", "reboot", "kexec_load", "init_module", "fchownat"} & calls


@contextmanager
def started(place: EnginePlace, unit: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The engine's process in the sandbox of a unit; its errors are in `said`, beside the estate."""
    program = [sys.executable, "-P", "-m", "console.engine.process", "--estate", str(place.file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    group = grp.getgrgid(os.getgid()).gr_name
    with (place.runtime.parent / "said").open("wb") as said:
        engine = subprocess.Popen(
            sandboxed(*program, "--group", group, unit=unit), stderr=said, env=environment, cwd="/"
        )
    try:
        yield engine
    finally:
        engine.kill()
        engine.wait()


def test_the_engine_starts_reads_and_ends_under_the_filter(place: EnginePlace) -> None:
    with started(place, UNIT) as engine:
        end = time.monotonic() + 60
        while not (place.index.exists() and listens(place)):
            assert engine.poll() is None, (place.runtime.parent / "said").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        seen = place.engine.stat()
        assert (stat.S_IMODE(seen.st_mode), seen.st_gid) == (0o660, os.getgid())
        assert "Seccomp:\t2" in Path(f"/proc/{engine.pid}/status").read_text()
        header: HeaderView = asyncio.run(tried(EngineClient(str(place.engine))))
        assert {key.partition(":")[0] for key in header.sources} == {"balancer", "metrics", "dns"}
        refused = [row for row in header.sources.values() if "ermi" in row.message]
        assert not refused, refused
        assert header.effects == ""
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(60) == 0
    assert [json.loads(line)["level"] for line in place.log.read_text().splitlines()].count("error") == 0


def test_without_chown_in_the_filter_the_engine_would_not_start(place: EnginePlace, tmp_path: Path) -> None:
    former = tmp_path / "former.service"
    former.write_text(UNIT.read_text().replace("prlimit64 prctl chown", "prlimit64 prctl"))
    with started(place, former) as engine:
        code = engine.wait(60)
    said = (place.runtime.parent / "said").read_text()
    assert (code, "not permitted" in said) == (2, True), said


async def tried(client: EngineClient) -> HeaderView:
    """The header, once every source was tried."""
    for _ in range(100):
        header: HeaderView = await client.view("header")
        if all(row.trouble for row in header.sources.values()):
            break
        await asyncio.sleep(0.1)
    return header


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "recovery"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "recovery-engine@eu-shop.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/recovery", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_unit_says_is_what_the_engine_expects() -> None:
    said = directives(UNIT)
    assert said["RuntimeDirectory"] == said["StateDirectory"] == ["recovery/%i"]
    assert said["RuntimeDirectoryMode"] == ["0755"], "observe.sock is for everybody on the host"
    assert said["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert "--group recovery" in said["ExecStart"][0]
    assert said["Group"] == ["recovery"], "an account can give a socket to its own groups only"
