"""What a HAProxy's socket leads to, and what its level allows: by a command that it must refuse, whoever asks."""

from __future__ import annotations

import asyncio
import time

from adapters.balancers.haproxy import HAProxy, HaproxyOptions
from adapters.balancers.haproxy_address import EACH, RuntimeApi
from adapters.balancers.haproxy_config import ConfigurationReader, reads_it
from adapters.balancers.haproxy_process import process_info
from adapters.balancers.haproxy_replace import obstacle
from adapters.balancers.haproxy_starter import barrier, starter
from adapters.balancers.haproxy_state import BEGINS, present_in
from adapters.context import AdapterContext
from adapters.net.examined import look_at_name
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.discovery.proposal import listed
from state.errors import ReadFailure, Trouble

WRITABLE = "a folder of this account: install -d -o ACCOUNT -m 755 /var/lib/recovery/edge, and server-state-file there"
LOADED = "in HAProxy's configuration: `server-state-file` in global, `load-server-state-from-file global` in defaults"
TRIED = "tried with a server that is not there"
NOBODY = "recovery-check/no-such-server"
"""A server that no HAProxy has. `set server` names it with nothing to set: the level is judged before the name."""


async def examine(name: str, options: HaproxyOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about one balancer."""
    subject, api, end = Subject(f"balancers/{name}"), RuntimeApi.of(options.socket), time.monotonic() + deadline
    found: list[Diagnosis | None] = []
    if not isinstance(api.place, str):
        found.append(await look_at_name(subject, api.place[0], deadline=deadline))
    edge = HAProxy(name, options.socket, context.way(api.host))
    try:
        began = time.monotonic()
        info = process_info(await edge.ask("show info", deadline=_left(end)))
        took = (time.monotonic() - began) * 1000
        found.append(subject.passes(Asked.REACHED, f"{options.socket} answers in {took:.0f} ms"))
        who = f"{info['Name']} {info['Version']} on {info.get('node', 'an unnamed host')}, process {info['Pid']}"
        found.append(subject.passes(Asked.IDENTIFIED, f"{who}, up {info.get('Uptime', 'for an unknown time')}"))
        found.append((await _level(subject, edge, _left(end))).shows("set weights, states and maps"))
        if not (api.host or api.plain):
            found.append(await _reload(subject, edge, options, info["Pid"], _left(end)))
    except ReadFailure as failure:
        found.append(_failure(subject, options.socket, failure))
    return [each for each in found if each is not None]


async def _level(subject: Subject, edge: HAProxy, deadline: float) -> Diagnosis:
    """Admin may act; operator and user read only. Raises ReadFailure."""
    try:
        said = (await edge.ask(f"set server {NOBODY}", deadline=deadline)).decode("utf-8", "replace").strip()
    except ReadFailure as failure:
        if failure.trouble is not Trouble.DENIED:
            raise
        reason = "may read and may not act: the socket's level is below admin"
        way_out = "for drain, weight and flip: `stats socket … level admin`"
        return subject.warns(Asked.RIGHTS, reason, way_out)
    return subject.passes(Asked.RIGHTS, f"may read and act, level admin ({TRIED}: {said.splitlines()[0]})")


async def _reload(
    subject: Subject, edge: HAProxy, options: HaproxyOptions, pid: str, deadline: float
) -> Diagnosis | None:
    """What its configuration has the next process read. Raises ReadFailure."""
    path, reader = (
        options.state_file or "",
        ConfigurationReader(RuntimeApi.of(options.socket).here, options.config or ""),
    )
    loading = await asyncio.to_thread(reader.look, int(pid) if pid.isdecimal() else 0)
    if not path:
        if isinstance(loading, str) or not any(loading.loads.values()):
            return None
        reads = loading.common or ", ".join(sorted({each for each in loading.loads.values() if each}))
        reason = f"a reload keeps what is set where {reads} has it, and the engine does not write that"
        return subject.warns(Asked.RELOAD, reason, f"for the engine to write it: state_file: {reads}")
    backends = present_in((await edge.ask("show servers state", deadline=deadline)).lstrip(b"\n")).backends
    files = sorted({path.replace(EACH, backend) for backend in backends}) or [path]
    if stands := await asyncio.to_thread(lambda: next(filter(None, (obstacle(each, BEGINS) for each in files)), "")):
        return subject.fails(Asked.RELOAD, f"the state file would not be written: {stands}", WRITABLE)
    if isinstance(loading, str):
        reason = f"whether a reload reads {path} is not known: {loading}"
        return subject.unknown(
            Asked.RELOAD,
            reason,
            "let this account read HAProxy's configuration, and name it: config: /etc/haproxy/haproxy.cfg",
        )
    who = starter(int(pid) if pid.isdecimal() else 0, drops=loading.drops)
    if bars := await asyncio.to_thread(lambda: next(filter(None, (barrier(each, who) for each in files)), "")):
        return subject.fails(Asked.RELOAD, f"a reload does not get to the state file: {bars}", WRITABLE)
    left_out = sorted(each for each in backends if not reads_it(loading, each, path.replace(EACH, each)))
    if not left_out:
        return subject.passes(Asked.RELOAD, f"a reload reads {path}, and this account may write it")
    which = "nothing" if len(left_out) == len(backends) else f"not every backend ({listed(left_out)} does not)"
    verdict = subject.fails if len(left_out) == len(backends) else subject.warns
    return verdict(Asked.RELOAD, f"{which} reads {path} at a reload", LOADED)


def _failure(subject: Subject, socket: str, failure: ReadFailure) -> Diagnosis:
    """A Unix socket that this account may not open is a right of the file, not of HAProxy."""
    if failure.trouble is Trouble.DENIED and socket.startswith("/"):
        way_out = f"give this account the socket: `stats socket {socket} mode 660 group GROUP level admin`"
        return subject.fails(Asked.CREDENTIAL, failure.message, way_out)
    return subject.failure(failure)


def _left(end: float) -> float:
    return max(0.01, end - time.monotonic())
