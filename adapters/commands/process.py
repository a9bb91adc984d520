"""One process and all that it starts: bounded in time, its output read to the end, nothing left behind.

It is a session of its own, gets no input, and ends with this process. Before its limit it is asked to end, and then
everything that it started is killed, also what has left its session: each carries a mark in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
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


OF_EXEC = frozenset(
    {
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.ENOEXEC,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.E2BIG,
        errno.ETXTBSY,
        errno.EINVAL,
        errno.ELIBBAD,
        errno.EIO,
        errno.ENODEV,
    }
)
"""How the system refuses to make a child another program (execve(2)); no other step has these."""


class NotStarted(Exception):
    """The program was not started, for certain; the message is the reason."""

    def __init__(self, error: Exception) -> None:
        super().__init__((error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__)


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

    Raises NotStarted when it was not started for certain, and OSError for what fails later: then it may have run.
    Cancelled, it kills everything."""
    mark = secrets.token_hex(8)
    kept = [output] if errors is None else [output, errors]
    process, reading = await _with_pipes(argv, {**environment, MARK: mark}, folder, len(kept), mark)
    notice, gone = min(NOTICE, deadline * 0.2), min(GONE, deadline * 0.1)
    pumps = [
        asyncio.create_task(_pump(descriptor, each), name=f"output of {argv[0]}")
        for descriptor, each in zip(reading, kept, strict=True)
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


def opened_pipe() -> tuple[int, int]:
    """A pipe. Raises NotStarted where there is no descriptor left."""
    try:
        return os.pipe()
    except OSError as error:
        raise NotStarted(error) from error


async def _with_pipes(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, count: int, mark: str
) -> tuple[asyncio.subprocess.Process, list[int]]:
    """Start it; the ends of one or two pipes from which its output is read."""
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            pipes.append(opened_pipe())
        process = await _start(argv, environment, folder, (pipes[0][1], pipes[-1][1]), mark)
    except BaseException:
        for reading, _ in pipes:
            os.close(reading)
        raise
    finally:
        for _, writing in pipes:
            os.close(writing)
    return process, [reading for reading, _ in pipes]


async def _start(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path, outputs: tuple[int, int], mark: str
) -> asyncio.subprocess.Process:
    """Start it. What fails is told by what the child said of itself before it became the program: no error alone tells
    whether there is one, since watching over it can fail too."""
    told, tell = opened_pipe()
    bind = ends_with_this_process()

    def begin() -> None:
        bind()
        os.write(tell, b"+")

    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=outputs[0],
            stderr=outputs[1],
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=begin,
        )
    except (OSError, ValueError, RuntimeError) as error:
        os.set_blocking(told, False)
        with contextlib.suppress(BlockingIOError):
            if os.read(told, 1) and getattr(error, "errno", None) not in OF_EXEC:
                _kill_all(marked(MARK, mark), mark)
                raise OSError(errno.ECHILD, f"it was started and is not followed ({error})") from error
        raise NotStarted(error) from error
    finally:
        os.close(told)
        os.close(tell)


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
    try:
        found = marked(MARK, mark)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    return _kill_all(found, mark)


def _kill_all(found: Sequence[int], mark: str) -> int:
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
    """The living processes with this variable in their environment, as far as this account may look. Raises OSError
    where nobody can look now: for want of descriptors, say."""
    pids = os.listdir("/proc") if os.path.isdir("/proc") else ()
    return [int(pid) for pid in pids if pid.isdigit() and _carries(int(pid), name, mark)]


def _carries(pid: int, name: str, mark: str) -> bool:
    """Whether a process lives and has this variable in its environment. Raises OSError as `marked` does."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
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
