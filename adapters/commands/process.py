"""One process and all that it starts: bounded in time, its output read to the end, nothing left behind.

It is a session of its own, gets no input, and ends with this process. Before its limit it is asked to end, and then
everything that it started is killed, also what has left its session: each carries a mark in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.net.child_process import ends_with_this_process
from state.host.processes import HeldProcess
from state.text import clean

MARK = "RECOVERY_CALL"
"""The variable that marks a process and what it starts."""
LINGER = 1.0
"""Seconds in which output may still come after the process itself has ended."""
NOTICE = 2.0
"""Seconds between the request to end and the kill; a fifth of the limit where that is less."""
GONE = 1.0
"""Seconds between the kill and the limit: until then everything is gone; a tenth of the limit where that is less."""
CHUNK = 1 << 16


class TakesOutput(Protocol):
    """Takes what a process says, and `notes` about it."""

    notes: list[str]

    def add(self, data: bytes) -> None:
        """Take what came."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`code` is the exit code, negative for a signal, None when it was killed at its limit. `killed`: what it had
    started and was killed with it. `gone`: none of it lives any more. `begun`: it is known to have been started."""

    code: int | None
    killed: int = 0
    gone: bool = True
    begun: bool = True


async def run_process(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    output: TakesOutput,
    *,
    deadline: float,
    errors: TakesOutput | None = None,
) -> Ended:
    """Run a program to its end; `errors` takes its stderr, `output` both where there is none.

    Raises OSError when it cannot be started; cancelled, it kills everything."""
    mark = secrets.token_hex(8)
    kept = [output] if errors is None else [output, errors]
    pipes = [os.pipe() for _ in kept]
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipes[0][1],
            stderr=pipes[-1][1],
            cwd=folder,
            env={**environment, MARK: mark},
            start_new_session=True,
            preexec_fn=ends_with_this_process(),
        )
    except BaseException:
        for reading, _ in pipes:
            os.close(reading)
        raise
    finally:
        for _, writing in pipes:
            os.close(writing)
    notice, gone = min(NOTICE, deadline * 0.2), min(GONE, deadline * 0.1)
    pumps = [
        asyncio.create_task(_pump(reading, each), name=f"output of {argv[0]}")
        for (reading, _), each in zip(pipes, kept, strict=True)
    ]
    try:
        async with asyncio.timeout(deadline - notice - gone):
            await process.wait()
    except TimeoutError:
        return await _cut_off(process, mark, kept[-1], notice, gone)
    except BaseException:
        _kill(process.pid, mark)
        raise
    else:
        _, open_still = await asyncio.wait(pumps, timeout=LINGER)
        if open_still:
            kept[-1].notes.append("a process that it started still runs and holds its output, which is read no longer")
        return Ended(process.returncode)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
        await process.wait()


async def _cut_off(
    process: asyncio.subprocess.Process, mark: str, output: TakesOutput, notice: float, gone: float
) -> Ended:
    """Ask it to end, then kill all that is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(notice):
            await process.wait()
    killed = _kill(process.pid, mark)
    loop = asyncio.get_running_loop()
    until = loop.time() + gone
    while (left := marked(MARK, mark)) and loop.time() < until:
        for pid in left:
            _signal(pid, mark)
        await asyncio.sleep(0.02)
    said = f"did not end in time: it was killed with {killed} processes" if killed else "was asked to end at its limit"
    output.notes.append(f"{said}; {len(left)} could not be killed" if left else said)
    return Ended(None, killed, gone=not left)


def _kill(group: int, mark: str) -> int:
    """Kill a session and everything that carries the mark; how many processes that were."""
    found = marked(MARK, mark)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    for pid in found:
        _signal(pid, mark)
    return len(found)


def _signal(pid: int, mark: str) -> None:
    """Kill a process that carries the mark: looked at again once it is held, its number may be another one's by now."""
    with contextlib.suppress(ProcessLookupError, PermissionError), HeldProcess(pid) as process:
        if _carries(pid, MARK, mark):
            process.send(signal.SIGKILL)


def title_of(pid: int) -> str:
    """A process in a word, cleaned: the name of its program."""
    with contextlib.suppress(OSError):
        return clean(Path("/proc", str(pid), "comm").read_text(errors="replace").strip(), 40)
    return "ended"


def marked(name: str, mark: str) -> list[int]:
    """The living processes with this variable in their environment, as far as this account may look."""
    pids = os.listdir("/proc") if os.path.isdir("/proc") else ()
    return [int(pid) for pid in pids if pid.isdigit() and _carries(int(pid), name, mark)]


def _carries(pid: int, name: str, mark: str) -> bool:
    """Whether a process lives and has this variable in its environment."""
    with contextlib.suppress(OSError):
        wanted = f"{name}={mark}".encode()
        return wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and _alive(str(pid))
    return False


def _alive(pid: str) -> bool:
    return Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")


async def _pump(descriptor: int, output: TakesOutput) -> None:
    """Read the output to its end, so that a full pipe never holds the process."""
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while data := await reader.read(CHUNK):
            output.add(data)
    finally:
        transport.close()
