"""A HAProxy with a master, so that it can be reloaded, and a state file of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.balancers.haproxy import HAProxy
from state.errors import ReadFailure
from state.world.balancer_parts import BalancerReading
from tests.contract.components import answers, wait_for
from tests.contract.haproxy_sections import HEAD

LOADED = """
global
  server-state-file {state}
defaults
  load-server-state-from-file global
backend shop
  option httpchk
  server blue 127.0.0.1:{port} check inter 200ms weight {weight}
  server green 127.0.0.1:{port} check inter 200ms weight 100
  server third 127.0.0.1:{port} check inter {slow} weight 100
"""
UNREAD = LOADED.replace("load-server-state-from-file global", "load-server-state-from-file none")
OWN = LOADED.replace("server-state-file {state}", "server-state-base {folder}").replace("file global", "file local")


@dataclass
class Reloadable:
    """One HAProxy and its master. `state` is the path of its state file."""

    program: Path
    folder: Path
    text: str
    values: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        return self.folder / "a.sock"

    def edge(self, state: str | None = None, config: str | None = None) -> HAProxy:
        """The adapter with a state file."""
        return HAProxy("edge", str(self.socket), state_file=state or str(self.state), config=config)

    def configure(self, text: str = "", **values: Any) -> None:
        """Write the configuration that the next process reads."""
        self.text = text or self.text
        self.values |= values
        known = {"weight": 100, "slow": "200ms", "port": 1, "state": self.state, "folder": self.folder, **self.values}
        (self.folder / "h.cfg").write_text((HEAD + self.text).format(socket=self.socket, **known))

    def start(self) -> None:
        argv = [self.program, "-W", "-db", "-S", f"{self.folder}/m.sock", "-f", self.folder / "h.cfg"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env={}, stdout=log, stderr=log)
        wait_for(lambda: answers(self.socket) and b"Uptime_sec" in self.master("@1 show info"))

    def master(self, command: str) -> bytes:
        """What the master answers. It starts itself anew in between: what came too early is cut off."""
        return asked(self.folder / "m.sock", command)

    async def reload(self, edge: HAProxy) -> BalancerReading:
        """Another worker; the first reading of it."""
        before = (await edge.read(deadline=2)).process
        wait_for(lambda: b"Uptime_sec" in self.master("@1 show info"))
        self.master("reload")  # a signal may wait until something else wakes it
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(ReadFailure):  # between two processes nobody answers
                    if (reading := await edge.read(deadline=2)).process != before:
                        return reading
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            self.process.kill()
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
            self.process.wait()


def asked(way: Path, command: str) -> bytes:
    """What a socket of HAProxy answers, as far as it came."""
    told = b""
    with socket.socket(socket.AF_UNIX) as runtime, contextlib.suppress(OSError):
        runtime.connect(str(way))
        runtime.sendall(command.encode() + b"\n")
        runtime.shutdown(socket.SHUT_WR)
        while part := runtime.recv(65536):
            told += part
    return told


@contextmanager
def reloadables(program: Path, folder: Path) -> Iterator[Callable[..., Reloadable]]:
    """Starts HAProxy processes that can be reloaded; all are gone afterwards."""
    started: list[Reloadable] = []

    def start(text: str, **values: Any) -> Reloadable:
        made = Reloadable(program, Path(tempfile.mkdtemp(dir=folder)), text)
        made.configure(**values)
        made.start()
        started.append(made)
        return made

    yield start
    for each in started:
        each.stop()
