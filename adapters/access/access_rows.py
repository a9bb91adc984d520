"""What the servers of a cluster tell of grants, as data. Raises ReadFailure for an answer of another shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.net.answers_read import MALFORMED
from state.errors import ReadFailure, Trouble
from state.granting.model import AccessSeen, GrantSession, PoolerSeen, TargetGrant, TargetState
from state.text import clean

LONGEST = 200
"""Characters of a text that a server tells."""


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """What one node tells. Sessions are pairs of the role's OID and the rest."""

    standby: bool
    clock: float
    wal: int
    roles: Sequence[TargetGrant]
    sessions: Sequence[tuple[int, Mapping[str, Any]]]
    starting: Sequence[int]
    reapers: Sequence[int]
    unable: str
    logged: str
    there: Mapping[int, str]
    """Names of roles with the OIDs that were asked for."""
    system: str


def node_facts(row: Mapping[str, Any], version: int) -> NodeAccess:
    """The answer of one node. Raises ReadFailure."""
    try:
        if row["version"] != version:
            told = f"it was prepared by version {int(row['version'])}, {version} is needed: recovery db prepare"
            raise ReadFailure(Trouble.DENIED, told)
        return NodeAccess(
            standby=bool(row["standby"]),
            clock=float(row["clock"]),
            wal=int(row["wal"]),
            roles=[_role(each) for each in json.loads(row["roles"])],
            sessions=[(int(oid), dict(session)) for oid, session in json.loads(row["sessions"])],
            starting=[int(pid) for pid in json.loads(row["starting"])],
            reapers=[int(oid) for oid in json.loads(row["reapers"])],
            unable=clean(str(row["unable"]), LONGEST),
            logged=clean(str(row["logged"]), LONGEST),
            there={int(oid): clean(str(name), LONGEST) for oid, name in json.loads(row["there"])},
            system=f"system {int(row['system'])}",
        )
    except MALFORMED as error:
        raise ReadFailure(Trouble.ERROR, f"what it tells of grants is not as expected ({type(error).__name__})") from (
            error
        )


def seen_of(
    told: Mapping[str, NodeAccess | ReadFailure], poolers: Mapping[str, PoolerSeen | ReadFailure] | None = None
) -> AccessSeen:
    """All nodes together. Raises ReadFailure unless exactly one of those that are read accepts writes."""
    read = {node: each for node, each in told.items() if isinstance(each, NodeAccess)}
    unread = {node: each.message for node, each in told.items() if isinstance(each, ReadFailure)}
    behind = poolers or {}
    unread |= {f"pooler {name}": each.message for name, each in behind.items() if isinstance(each, ReadFailure)}
    leading = [node for node, each in read.items() if not each.standby]
    if len(leading) != 1:
        why = "; ".join(unread.values())
        names = " and ".join(leading) or "no node that was read"
        raise ReadFailure(Trouble.ERROR, f"{names} accepts writes{f': {why}' if why else ''}")
    if len({each.system for each in read.values()}) > 1:
        named = ", ".join(f"{node} is {each.system}" for node, each in read.items())
        raise ReadFailure(Trouble.ERROR, f"its nodes are not of one cluster: {named}")
    sessions: dict[int, list[GrantSession]] = {}
    for node, each in read.items():
        for oid, row in each.sessions:
            sessions.setdefault(oid, []).append(_session(node, row))
    return AccessSeen(
        roles=read[leading[0]].roles,
        sessions=sessions,
        starting={node: each.starting for node, each in read.items()},
        reapers={node: each.reapers for node, each in read.items()},
        clock=read[leading[0]].clock,
        primary=leading[0],
        unable=read[leading[0]].unable,
        logged=read[leading[0]].logged,
        system=read[leading[0]].system,
        wal={node: each.wal for node, each in read.items()},
        admitting={node: _admitting(each) for node, each in read.items()},
        unread=unread,
        poolers={name: each for name, each in behind.items() if isinstance(each, PoolerSeen)},
        unmarked=_unmarked(read[leading[0]]),
    )


def _unmarked(node: NodeAccess) -> Mapping[int, str]:
    """Whoever is a superuser can take a mark away, and the role stays."""
    marked = {each.oid for each in node.roles if each.ours}
    return {oid: name for oid, name in node.there.items() if oid not in marked}


def _admitting(node: NodeAccess) -> list[int]:
    """The grants that could log in there now."""
    return [
        each.oid
        for each in node.roles
        if each.ours and each.can_login and (each.valid_until is None or each.valid_until > node.clock)
    ]


def _role(row: Mapping[str, Any]) -> TargetGrant:
    mark = json.loads(row["mark"]) if row["mark"] else {}
    until = row["valid_until"]
    return TargetGrant(
        oid=int(row["role_oid"]),
        role=clean(str(row["role_name"]), LONGEST),
        ours=bool(row["ours"]),
        can_login=bool(row["can_login"]),
        superuser=bool(row["superuser"]),
        rights=clean(str(row["rights"] or ""), LONGEST),
        valid_until=None if until is None else float(until),
        **{name: clean(str(mark.get(name, "")), LONGEST) for name in TEXTS},
        made=float(mark["made"]) if "made" in mark else None,
        ends=float(mark["ends"]) if "ends" in mark else None,
        state=TargetState(mark["state"]) if "state" in mark else None,
    )


TEXTS = ("grant", "effect", "bundle", "person", "ticket", "secret", "extended_by")


def _session(node: str, row: Mapping[str, Any]) -> GrantSession:
    texts = {name: clean(str(row[name]), LONGEST) for name in ("database", "backend", "state", "program", "client")}
    return GrantSession(
        node=node, pid=int(row["pid"]), since=float(row["since"]), doing=clean(str(row["doing"]), 20), **texts
    )
