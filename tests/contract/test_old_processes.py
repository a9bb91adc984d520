"""Processes of HAProxy that a reload left behind: what they serve is in no answer, so nothing is called drained while
one may live. Without a master, and where it is read from another host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from state.health import Health
from tests.contract.components import answers, haproxies, listens, wait_for
from tests.contract.haproxy_sections import HEAD, checked, healthy, listening, until
from tests.contract.test_traffic_symptoms import WEB, Watched
from tests.support.ports import free_port

STREAM = HEAD + WEB.replace("frontend f", "frontend f\n  mode tcp").replace("  option httpchk", "  mode tcp")


def started(program: Path, config: Path, *more: str) -> subprocess.Popen[bytes]:
    argv: Sequence[str | Path] = [program, "-db", "-f", config, *more]
    return subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("program", haproxies().values(), ids=haproxies())
async def test_trap_08_an_old_process_without_a_master_is_counted_by_what_the_new_one_took_over(
    program: Path, folder: Path
) -> None:
    place, front = Path(tempfile.mkdtemp(dir=folder)), free_port()

    async def stream(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(stream) as (port,):
        (place / "h.cfg").write_text(STREAM.format(socket=place / "s", front=front, port=port))
        old = started(program, place / "h.cfg")
        new: subprocess.Popen[bytes] | None = None
        try:
            wait_for(lambda: answers(place / "s"))
            balancer, seen = HAProxy("edge", str(place / "s")), Watched()
            first = await checked(balancer, "web")
            assert first.leaving == 0
            _, client = await asyncio.open_connection("127.0.0.1", front)
            client.write(b"x")
            await until(balancer, lambda r: sum(s.sessions for s in r.of("web")) == 1)
            new = started(program, place / "h.cfg", "-sf", str(old.pid))
            await until(balancer, lambda r: r.process != first.process and r.leaving == 1)
            await balancer.set_state("web", "a", "drain", deadline=2)
            for _ in range(3):
                await seen.poll(balancer)
            assert seen.drained().health is Health.UNKNOWN
            assert "since a reload an old process serves on" in seen.drained().evidence[0]
            client.close()
            old.wait(10)
            await until(balancer, lambda r: r.leaving == 0)
            await seen.poll(balancer)
            assert seen.drained().health is Health.PASS
        finally:
            for process in (old, new):
                if process is not None:
                    process.kill()
                    process.wait()


@pytest.mark.parametrize("program", haproxies().values(), ids=haproxies())
async def test_trap_08_over_tcp_nobody_sees_old_processes_so_they_are_over_when_they_must_be(
    program: Path, folder: Path
) -> None:
    place, front, api = Path(tempfile.mkdtemp(dir=folder)), free_port(), free_port()
    more = f"  stats socket ipv4@127.0.0.1:{api} level admin\n  hard-stop-after 1s\n"
    async with listening(healthy) as (port,):
        text = (HEAD + WEB).format(socket=place / "s", front=front, port=port)
        (place / "h.cfg").write_text(text.replace("global\n", f"global\n{more}", 1))
        with started(program, place / "h.cfg") as process:
            try:
                wait_for(lambda: listens(api))
                unsaid, said = HAProxy("edge", f"127.0.0.1:{api}"), HAProxy("edge", f"127.0.0.1:{api}", None, (), 1.0)
                await checked(unsaid, "web")
                await unsaid.set_state("web", "a", "drain", deadline=2)
                for balancer, health in ((unsaid, Health.UNKNOWN), (said, Health.PASS)):
                    await until(said, lambda r: r.leaving == 0)
                    seen = Watched()
                    for _ in range(3):
                        await seen.poll(balancer)
                    assert seen.drained().health is health, seen.drained()
                assert (await unsaid.read(deadline=2)).leaving is None
            finally:
                process.kill()


@pytest.mark.parametrize("program", haproxies().values(), ids=haproxies())
async def test_the_first_of_three_processes_counts_though_the_last_names_only_the_second(
    program: Path, folder: Path
) -> None:
    """As init scripts do: `-D`, where the process that began to listen is gone at once, and `-sf` with the last pid."""
    place, front = Path(tempfile.mkdtemp(dir=folder)), free_port()

    async def stream(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    def next_one(*more: str) -> int:
        argv = [str(program), "-D", "-p", str(place / "pid"), "-f", str(place / "h.cfg"), *more]
        subprocess.run(argv, env={}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pids.append(int((place / "pid").read_text()))
        return pids[-1]

    pids: list[int] = []
    async with listening(stream) as (port,):
        (place / "h.cfg").write_text(STREAM.format(socket=place / "s", front=front, port=port))
        try:
            next_one()
            wait_for(lambda: answers(place / "s"))
            balancer = HAProxy("edge", str(place / "s"))
            assert (await checked(balancer, "web")).leaving == 0, "it runs here though its listener's process is gone"
            _, client = await asyncio.open_connection("127.0.0.1", front)
            client.write(b"x")
            await until(balancer, lambda r: sum(s.sessions for s in r.of("web")) == 1)
            for _ in range(2):
                before = (await balancer.read(deadline=2)).process
                next_one("-sf", str(pids[-1]))
                await until(balancer, lambda r, before=before: r.process != before)  # type: ignore[misc]
            wait_for(lambda: not _lives(pids[1]))
            assert (await balancer.read(deadline=2)).leaving == 1, "the first one serves on, and nobody names it"
            client.close()
            await until(balancer, lambda r: r.leaving == 0)
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        return b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
    except FileNotFoundError:
        return False
