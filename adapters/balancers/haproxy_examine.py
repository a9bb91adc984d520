"""What a HAProxy's socket leads to, and what its level allows: by a command that it must refuse, whoever asks."""

from __future__ import annotations

import time

from adapters.balancers.haproxy import HAProxy, HaproxyOptions
from adapters.balancers.haproxy_address import RuntimeApi
from adapters.balancers.haproxy_process import process_info
from adapters.context import AdapterContext
from adapters.net.examined import look_at_name
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure, Trouble

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
        found.append(await _level(subject, edge, _left(end)))
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


def _failure(subject: Subject, socket: str, failure: ReadFailure) -> Diagnosis:
    """A Unix socket that this account may not open is a right of the file, not of HAProxy."""
    if failure.trouble is Trouble.DENIED and socket.startswith("/"):
        way_out = f"give this account the socket: `stats socket {socket} mode 660 group GROUP level admin`"
        return subject.fails(Asked.CREDENTIAL, failure.message, way_out)
    return subject.failure(failure)


def _left(end: float) -> float:
    return max(0.01, end - time.monotonic())
