"""Screen 6: grants as the targets tell of them, and what the journal knows besides."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.access import (
    AccessTargetRow,
    AccessView,
    ElevatedRow,
    GrantCredential,
    GrantRow,
    GrantSessionRow,
    GrantState,
)
from state.estate.access import AccessEntry
from state.estate.model import Estate
from state.granting.model import host_target
from state.grants.fold import Grant, Grants, TargetLook
from state.units import clock, counted
from state.views.context import Alarm, Contribution, ViewContext

UNSEEN = 10.0
"""Seconds without a reading after which a live grant is told as one that nobody watches."""
LATE = 5.0
"""Seconds after its time at which a grant whose end has not begun is told."""
SETTLE = "Resolve each; what may stay another person accepts: a on screen 6, recovery access accept {}"
EXPIRING = 120.0
"""Seconds before its end from which a grant counts as expiring."""


def build(context: ViewContext) -> AccessView:
    """All grants, open ones first, and other accounts with raised rights."""
    grants = context.of(Grants)
    looks = grants.looks
    rows = sorted(grants.all.values(), key=lambda each: (each.ended is not None, -max(each.seqs, default=0)))
    others = {
        f"{name}/{role.role}": ElevatedRow(name, role.role, role.rights, role.superuser, role.valid_until)
        for name, look in looks.items()
        if look.seen is not None
        for role in look.seen.roles
        if not role.ours and role.role not in _known(context.estate, name)
    }
    targets = {
        name: AccessTargetRow(name, look.mono, look.error, look.bundles, look.takes) for name, look in looks.items()
    }
    found = {each.id: _row(each, looks.get(each.database)) for each in rows}
    ways = _ways(context.estate)
    found = {name: replace(row, address=ways.get(row.database, "")) for name, row in found.items()}
    view = AccessView(found, others, targets)
    return context.memory.keep("access", view)


def _ways(estate: Estate) -> dict[str, str]:
    """What ssh is told of each host, and libpq of each cluster: the names and ports of all its servers."""
    found = {
        host_target(name): f"{host.address}{f' -p {host.port}' if host.port else ''}"
        for name, host in estate.hosts.items()
    }
    for name, entry in estate.databases.items():
        servers = [server for node in entry.nodes.values() if (server := node.server)[0]]
        found[name] = " ".join(
            f"{word}={','.join(values)}"
            for word, values in zip(("host", "port"), zip(*servers, strict=True), strict=False)
        )
    return found


def _known(estate: Estate, database: str) -> tuple[str, ...]:
    """The accounts with raised rights that belong there."""
    entry = estate.databases.get(database)
    access: AccessEntry | None = getattr(entry, "access", None)
    return access.known if access is not None else ()


def contribute(context: ViewContext) -> Contribution:
    """What every screen must show: grants that are not proven to be over though they should be, that end soon, or whose
    target is not read."""
    grants = context.of(Grants)
    told = [_alarm(each, grants.looks.get(each.database), context.now_mono) for each in grants.open]
    told += [f"{each.id} of {each.person} at {each.database}: {_not_as_before(each)}" for each in grants.unsettled]
    return Contribution(alarms=tuple(Alarm(f"{each}; 6 shows it") for each in told if each))


def _not_as_before(grant: Grant) -> str:
    """What is open of a grant that is over; empty when nothing."""
    if grant.ended is None or grant.settled:
        return ""
    if not grant.compared:
        return "it is not compared yet what it left"
    return f"{counted(len(grant.residue), 'thing')} not as before it, the first: {grant.residue[0]}"


def _alarm(grant: Grant, look: TargetLook | None, now_mono: float) -> str:
    """In whole words; empty when nothing is to be said."""
    who = f"{grant.id}, {grant.bundle} of {grant.person} at {grant.database},"
    held = look.held_up.get(grant.id) if look is not None else None
    if held is not None:
        return f"{who} is not over: {held.told}. {held.way_out}"
    if look is None or look.seen is None or look.mono is None or now_mono - look.mono > UNSEEN:
        why = f": {look.error}" if look is not None and look.error else ""
        return f"{who} cannot be watched{why}"
    left = grant.ends - look.seen.clock - (now_mono - look.mono)
    if left <= -LATE and grant.ending_since is None:
        return f"{who} should be over and is not"
    if 0 < left <= EXPIRING and grant.ending_since is None and grant.opened:
        return f"{who} ends in {clock(left)}"
    return ""


def _row(grant: Grant, look: TargetLook | None) -> GrantRow:
    seen = look.seen if look is not None else None
    held = look.held_up.get(grant.id) if look is not None else None
    left = None
    if seen is not None and look is not None and look.mono is not None:
        left = look.mono + grant.ends - seen.clock
    sessions = () if seen is None else tuple(
        GrantSessionRow(each.node, each.pid, each.database, each.state, each.doing, each.client)
        for each in seen.sessions.get(grant.oid, ())
    )  # fmt: skip
    for name, pooler in seen.poolers.items() if seen is not None else ():
        if many := pooler.clients.get(grant.role):
            sessions += (GrantSessionRow(f"pooler {name}", 0, "", counted(many, "client"), "", ""),)
    ended, role = grant.ended, seen.role(grant.oid) if seen is not None else None
    return GrantRow(
        id=grant.id,
        database=grant.database,
        role=grant.role,
        person=grant.person,
        bundle=grant.bundle,
        ticket=grant.ticket,
        state=_state(grant, seen.clock if seen is not None else None),
        ends_mono=left,
        sessions=() if ended is not None else sessions,
        read_mono=look.mono if look is not None else None,
        obstacle=held.told if held is not None else _not_as_before(grant) or grant.obstacle,
        way_out=held.way_out if held is not None else SETTLE.format(grant.id) if grant.residue else "",
        ended_at=None if ended is None else ended.at,
        late=0.0 if ended is None else ended.late,
        proof="" if ended is None else ended.message,
        left=() if ended is None else ended.left,
        residue=() if ended is None else grant.residue,
        by=grant.reason,
        takes=look.takes if look is not None else GrantCredential.VERIFIER,
        certificate=role.certificate if role is not None and ended is None else "",
    )


def _state(grant: Grant, clock: float | None) -> GrantState:
    if grant.ended is not None:
        return GrantState.ENDED if grant.settled else GrantState.RESIDUE
    if grant.ending_since is not None:
        return GrantState.ENDING
    if not grant.opened:
        return GrantState.ARMED
    return GrantState.EXPIRING if clock is not None and grant.ends - clock <= EXPIRING else GrantState.OPEN
