"""The client of a lab: start it, read its state, inject and undo faults, stop it.

lab = await start_lab(progress=print)
await lab.inject("bad-release")
await lab.undo("bad-release")
await lab.down()
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from adapters.bond import Bond
from adapters.lab.errors import LabError, LabNotRunningError, LabUnknownError, NoSuchFaultError
from adapters.lab.options import LabOptions, default_directory
from adapters.lab.process.directory import LOG, PROGRESS, is_locked
from adapters.lab.progress import LabProgress
from adapters.lab.waiting import until
from state.host.trust import offence
from state.units import time_limit

START_LIMIT = 90.0  # seconds
CALL_DEADLINE = 25.0  # seconds
UNDO_DEADLINE = 90.0  # seconds; an undo is answered once a reading confirms it
DOWN_LIMIT = 15.0  # seconds


class LabClient:
    """Talks to the lab in one directory. Every method raises LabNotRunningError when no lab runs there, and
    LabUnknownError when no reliable answer comes."""

    def __init__(self, directory: Path | None = None) -> None:
        """Raises LabError for a directory that somebody else could have made up."""
        self.directory = (directory or default_directory()).absolute()
        if (found := offence(self.directory, to_make=True)) is not None:
            raise LabError(str(found))

    @property
    def estate(self) -> Path:
        """The estate file of this lab."""
        return self.directory / "estate.yaml"

    def description(self) -> dict[str, Any]:
        """LAB.json: addresses, ports, pids, versions, files of secrets."""
        try:
            parsed: dict[str, Any] = json.loads((self.directory / "LAB.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LabNotRunningError(f"no lab runs in {self.directory}") from error
        return parsed

    async def status(self) -> dict[str, Any]:
        """State, processes, nodes, load counts, faults, links; times are seconds since the epoch."""
        return await self._call("GET", "/status")

    async def faults(self) -> dict[str, Any]:
        """`catalogue`: every kind of fault; `injected`: those injected in this lab."""
        return await self._call("GET", "/faults")

    async def inject(
        self, name: str, target: str | None = None, seconds: float | None = None, *, within: float = CALL_DEADLINE
    ) -> dict[str, Any]:
        """Inject a fault, which is undone by itself after `seconds`. Raises NoSuchFaultError, LabError."""
        asked = {"target": target, "seconds": seconds}
        return await self._call("POST", f"/faults/{quote(name)}", asked, deadline=within)

    async def undo(self, name: str, *, within: float = UNDO_DEADLINE) -> dict[str, Any]:
        """Undo a fault and return once a reading confirms it. Raises NoSuchFaultError, LabError."""
        return await self._call("DELETE", f"/faults/{quote(name)}", deadline=within)

    async def set_link(self, name: str, mode: str, delay: float | None = None) -> dict[str, Any]:
        """Set a link to pass, latency, blackhole, refuse, reset or garbage. Raises NoSuchFaultError."""
        return await self._call("PUT", f"/links/{quote(name)}", {"mode": mode, "delay": delay})

    async def lost_orders(self) -> dict[str, Any]:
        """Acknowledged orders that are missing on the primary: `acknowledged`, `lost`, `numbers` (the first 100)."""
        return await self._call("GET", "/orders/lost")

    async def down(self) -> None:
        """Stop the lab; return when none of its processes and files is left. Raises LabError after 15 seconds."""
        if not is_locked(self.directory):
            raise LabNotRunningError(f"no lab runs in {self.directory}")
        with contextlib.suppress(LabUnknownError):  # the lock tells whether it is down
            await self._call("POST", "/down")
        await self.ended()

    async def ended(self) -> None:
        """Wait until no process and no file of the lab is left. Raises LabError after 15 seconds."""

        async def free() -> bool:
            return not is_locked(self.directory)

        await until(f"the lab in {self.directory} is down", free, DOWN_LIMIT, every=0.05)

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, deadline: float = CALL_DEADLINE
    ) -> dict[str, Any]:
        control = self.description()["control"]
        timeout = aiohttp.ClientTimeout(total=deadline)
        connector = aiohttp.UnixConnector(control)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.request(method, f"http://lab{path}", json=body) as response,
            ):
                answer: dict[str, Any] = json.loads(await response.text())
                status = response.status
        except TimeoutError as error:
            raise LabUnknownError(f"the lab did not answer within {time_limit(deadline)}") from error
        except aiohttp.ClientConnectorError as error:
            raise LabNotRunningError(f"no lab answers in {self.directory}: {error}") from error
        except (OSError, aiohttp.ClientError, ValueError) as error:
            raise LabUnknownError(f"the lab gave no whole answer: {error or type(error).__name__}") from error
        if status >= 500:
            raise LabUnknownError(str(answer.get("error", status)))
        if status == 404:
            raise NoSuchFaultError(str(answer.get("error", "not found")))
        if status >= 400:
            raise LabError(str(answer.get("error", status)))
        return answer


async def start_lab(
    directory: Path | None = None,
    options: LabOptions | None = None,
    progress: Callable[[LabProgress], None] | None = None,
    bond: Bond | None = None,
) -> LabClient:
    """Start a lab in a session of its own and return when it is live; if a lab runs there already, return that one.

    `progress` is called with each step. Until it is live, the lab ends when this process ends or is interrupted; with
    `bond` for as long as the caller keeps it. Raises LabError with the reason when it did not become live.
    """
    client = LabClient(directory)
    starting = bond or Bond()
    try:
        await _start(client, options or LabOptions(), progress, starting)
    except BaseException:
        if starting.held:
            starting.cut()
            with contextlib.suppress(LabError):  # what went wrong before is the reason
                await client.ended()
        raise
    if bond is None:
        starting.let_go()
    return client


async def _start(
    client: LabClient, options: LabOptions, progress: Callable[[LabProgress], None] | None, bond: Bond
) -> None:
    arguments = ["--dir", str(client.directory), "--detach", "--bond", str(bond.reading), *options.arguments()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "adapters.lab.supervisor",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(bond.reading,),
        start_new_session=True,
    )
    output, _ = await process.communicate()
    steps = [LabProgress.parse(line) for line in output.decode().splitlines()]
    if steps:
        bond.let_go()
    for step in steps:  # before it detaches it prints only its last state: failed, or running already
        if progress is not None:
            progress(step)
        if step.state == "failed":
            raise LabError(step.detail)
    await _follow(client, None if steps else progress)


async def _follow(client: LabClient, progress: Callable[[LabProgress], None] | None) -> None:
    """Read the progress file until the lab is live. Raises LabError."""
    offset = 0
    path = client.directory / PROGRESS
    loop = asyncio.get_running_loop()
    ending = loop.time() + START_LIMIT
    while loop.time() < ending:
        alive = is_locked(client.directory)
        with path.open(encoding="utf-8") as file:
            file.seek(offset)
            text = file.read()
        complete = text[: text.rfind("\n") + 1]
        offset += len(complete.encode())
        for step in map(LabProgress.parse, complete.splitlines()):
            if progress is not None:
                progress(step)
            if step.state == "failed" and step.final:
                await client.ended()
                raise LabError(step.detail)
            if step.final:
                return
        if not alive:
            raise LabError(f"the lab ended while starting; see {client.directory / LOG}")
        await asyncio.sleep(0.05)
    raise LabError(f"the lab was not live after {START_LIMIT:.0f} s; it may still start")
