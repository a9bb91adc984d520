"""HAProxy at a socket of its runtime API, or by its configuration files.

Columns of `show stat`: HAProxy management guide, section 9.1 "CSV format".
"""

from __future__ import annotations

import asyncio
import csv
import errno
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adapters.balancers.haproxy import HAProxy
from adapters.balancers.haproxy_address import RuntimeApi
from adapters.balancers.haproxy_config import ConfigurationReader
from adapters.discovery.looking import Looking
from state.discovery.found import FoundBackend, FoundBalancer, FoundServer
from state.discovery.haproxy_cfg import parse_haproxy_cfg
from state.discovery.haproxy_state_cfg import state_loading
from state.errors import ReadFailure, Trouble
from state.host.regular import bounded
from state.world.balancer_parts import Server

LARGEST_FILE = 16 << 20
INTERNAL = "<"
"""How the names of HAProxy's own proxies begin."""
_BACKEND, _SERVER = "1", "2"


async def find_balancer(socket: str, looking: Looking) -> FoundBalancer:
    """What the process behind a socket serves. Raises ReadFailure."""
    balancer = HAProxy(socket, socket)
    reading = await balancer.read(deadline=looking.deadline)
    facts = (await balancer.identify(deadline=looking.deadline)).facts
    modes, backups = await _details(balancer, looking)
    backends: dict[str, list[FoundServer]] = {}
    for each in reading.servers.values():
        if not each.backend.startswith(INTERNAL):
            backends.setdefault(each.backend, []).append(_server(each, f"{each.backend}/{each.name}" in backups))
    looking.tell(f"{socket}: HAProxy {reading.version}, {len(backends)} backends, {len(reading.servers)} servers")
    return FoundBalancer(
        address=socket,
        socket=socket,
        backends=tuple(FoundBackend(n, tuple(servers), modes.get(n, "")) for n, servers in backends.items()),
        node=str(facts.get("host", "")),
        version=reading.version,
        level=await _level(balancer, looking),
        state_file=await _state_file(balancer, facts.get("process", "")),
    )


def _server(each: Server, backup: bool) -> FoundServer:
    return FoundServer(
        name=each.name,
        address=each.address,
        weight=each.weight,
        serving=each.serving,
        up=each.up,
        backup=backup,
        checked=each.status.lower() != "no check",
        disabled=(each.drained and not each.aside) or each.maintenance,
    )


async def _details(balancer: HAProxy, looking: Looking) -> tuple[Mapping[str, str], frozenset[str]]:
    """The mode of each backend, and which servers are backups. Raises ReadFailure."""
    answer = await balancer.ask("show stat -1 6 -1", deadline=looking.deadline)
    rows = list(csv.DictReader(io.StringIO(answer.decode("utf-8", "replace").removeprefix("# "))))
    modes = {row["pxname"]: row.get("mode") or "" for row in rows if row.get("type") == _BACKEND}
    spare = (row for row in rows if row.get("type") == _SERVER and row.get("bck") == "1")
    return modes, frozenset(f"{row['pxname']}/{row['svname']}" for row in spare)


async def _level(balancer: HAProxy, looking: Looking) -> str:
    """What the socket allows, empty where it is not told."""
    try:
        answer = await balancer.ask("show cli level", deadline=looking.deadline)
    except ReadFailure:
        return ""
    word = answer.decode("utf-8", "replace").strip()
    return word if word in ("user", "operator", "admin") else ""


async def _state_file(balancer: HAProxy, process: str) -> str:
    """The file that its configuration has its next process read, empty where that is not known."""
    reader = ConfigurationReader(RuntimeApi.of(balancer.name).here)
    loading = await asyncio.to_thread(reader.look, int(process) if process.isdecimal() else 0)
    return "" if isinstance(loading, str) else loading.common


def read_configuration(path: Path, looking: Looking) -> FoundBalancer:
    """What a configuration file says, or the `*.cfg` of a folder in their order. Raises ReadFailure."""
    files = sorted(path.glob("*.cfg")) if path.is_dir() else [path]
    text = "\n".join(_text(file) for file in files)
    found = parse_haproxy_cfg(text, str(path))
    if found is None:
        raise ReadFailure(Trouble.ERROR, f"{path} is no configuration of HAProxy: it has no section of one")
    found = replace(found, state_file=state_loading(text).common)
    looking.tell(f"{path}: a configuration with {len(found.backends)} backends; only the file was read")
    return found


def _text(path: Path) -> str:
    try:
        return bounded(path, LARGEST_FILE).decode("utf-8", "replace")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ReadFailure(Trouble.ERROR, f"{path} is larger than {LARGEST_FILE >> 20} MiB") from error
        denied = isinstance(error, PermissionError)
        raise ReadFailure(Trouble.DENIED if denied else Trouble.ERROR, f"{path}: {error.strerror}") from error
