"""The processes that the supervisor starts, each with a log file of its own in the lab's temporary directory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.lab.process.processes import memory_mb, state_of

USER_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TZ", "TMPDIR")


def unprivileged(argv: list[str]) -> list[str]:
    """The same command as uid 1000 of a user namespace when this process is root: PostgreSQL refuses to run as root."""
    return [*USER_NAMESPACE, *argv] if os.geteuid() == 0 else argv


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-P", "-m", module, *arguments]


class Children:
    """Child processes by name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str, argv: list[str], environment: Mapping[str, str] | None = None) -> int:
        """Start a process with a clean environment, and return its pid. Raises OSError when it cannot be run."""
        clean = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        with (self._root / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._root,
                env={**clean, **(environment or {})},
            )
        self._processes[name] = process
        return process.pid

    def names(self) -> list[str]:
        return sorted(self._processes)

    def pid(self, name: str) -> int:
        """The pid of a child. Raises KeyError when no child of that name was started."""
        return self._processes[name].pid

    def exit_code(self, name: str) -> int | None:
        """The exit code of a child that ended, else None."""
        process = self._processes.get(name)
        return None if process is None else process.returncode

    def state(self, name: str) -> str:
        """`running`, `stopped` or `exited N`."""
        code = self.exit_code(name)
        return state_of(self.pid(name)) if code is None else f"exited {code}"

    async def wait(self, name: str) -> None:
        await self._processes[name].wait()

    async def end(self, name: str) -> None:
        """SIGKILL a child and wait for its end."""
        process = self._processes[name]
        if process.returncode is None:
            process.kill()
        await process.wait()

    def forget(self, name: str) -> None:
        """Of a child that has ended, nothing is told any more."""
        self._processes.pop(name, None)

    def log_tail(self, name: str, size: int = 600) -> str:
        """The end of a child's log, for messages about its failure."""
        try:
            text = (self._root / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text[-size:].strip()

    def status(self) -> dict[str, dict[str, object]]:
        return {name: {"pid": self.pid(name), "state": self.state(name)} for name in self.names()}

    def memory(self) -> dict[str, float]:
        """Proportional memory (MB) of each child with its descendants."""
        return {name: memory_mb(self.pid(name)) for name in self.names() if self.exit_code(name) is None}
