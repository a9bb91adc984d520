"""The configurations in tests/fixtures/haproxy, and how a real HAProxy runs them without privileges, ports or servers.

What needs root, files or a network of its own is left out, every listener is a socket in a folder of its own, and
every server is one address that accepts, so that what serves does not depend on time.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.files.read import read_yaml
from tests.contract.components import answers

FOLDER = Path(__file__).parents[1] / "fixtures" / "haproxy"
LEFT_OUT = re.compile(
    r"^\s*(?:chroot|user|group|daemon|log|pidfile|ca-base|crt-base|errorfile|stats socket|stats timeout|node|peers?)\b"
)
LISTENER = re.compile(r"^(\s*bind\s+)\S+(.*)$")
SERVER = re.compile(r"^(\s*server\s+\S+\s+)(?:\"[^\"]*\"|\S+)(.*)$")
TEMPLATE = re.compile(r"^(\s*server-template\s+\S+\s+\S+\s+)\S+(.*)$")
TLS = re.compile(
    r"\s(?:ssl(?:\s+crt\s+\S+)?|check-ssl|verify\s+none|sni\s+\S+|alpn\s+\S+|resolvers\s+\S+|init-addr\s+\S+)(?=\s|$)"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One configuration and what a person would make of it."""

    name: str
    file: Path
    expected: dict[str, Any]

    @property
    def text(self) -> str:
        return self.file.read_bytes().decode()


def shapes() -> list[Shape]:
    """All of them, by name."""
    expected = read_yaml(FOLDER / "expected.yaml").data
    assert {path.stem for path in FOLDER.glob("*.cfg")} == set(expected)
    return [Shape(name, FOLDER / f"{name}.cfg", facts) for name, facts in sorted(expected.items())]


def runnable(text: str, socket: Path, port: int) -> str:
    """The configuration as it can run here, with its runtime API at a socket."""
    numbers = itertools.count()
    lines = ["global", f"    stats socket {socket} level admin", f"    node {socket.stem}"]
    skipping = False
    for line in text.splitlines():
        if line[:1].isalpha():
            skipping = line.split()[0] in ("peers", "resolvers")
            if line.strip() == "global":
                continue
        if skipping or LEFT_OUT.match(line):
            continue
        bare = TLS.sub("", line)
        if found := LISTENER.match(bare):
            lines.append(f"{found[1]}unix@{socket}.{next(numbers)}")
        elif found := SERVER.match(bare) or TEMPLATE.match(bare):
            options = re.sub(r" port [0-9]+", f" port {port}", found[2])
            lines.append(f"{found[1]}127.0.0.1:{port}{options}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def running(program: Path, text: str, folder: Path, name: str, port: int) -> AsyncIterator[Path]:
    """HAProxy with a configuration, gone afterwards; its socket."""
    socket, file = folder / f"{name}.sock", folder / f"{name}.cfg"
    file.write_text(runnable(text, socket, port))
    environment = {"TIMEOUT": "5s", "APP_HOST": "10.0.0.1", "HAPROXY_SOCKET": str(socket)}
    process = subprocess.Popen([str(program), "-db", "-f", str(file)], env=environment, stderr=subprocess.PIPE)
    try:
        for _ in range(1200):
            if answers(socket) or process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        assert process.poll() is None, (process.stderr.read() if process.stderr else b"").decode()
        yield socket
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
