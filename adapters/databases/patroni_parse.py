"""Reads Patroni's REST answers, of 3.x (`master`, no LSN in /cluster) and 4.x alike.

Source: Patroni documentation, "Patroni REST API"; shapes compared between 3.0.2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.net.answers_read import Ambiguous, read_json
from state.errors import ReadFailure, Trouble
from state.world.readings import PatroniMember, PatroniReading
from state.world.shapes import LARGEST

DEFAULT_MAXIMUM_LAG = 1_048_576
DEFAULT_TTL = 30.0
DEFAULT_LOOP_WAIT = 10.0
NODE_ROLES = {"master": "primary"}
MEMBER_ROLES = {"master": "leader", "primary": "leader"}


def parse_object(body: bytes, where: str) -> dict[str, Any]:
    """A JSON object. Raises ReadFailure."""
    try:
        answer = read_json(body)
    except Ambiguous as error:
        raise ReadFailure(Trouble.ERROR, f"{where}: {error}") from error
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, f"{where}: the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise ReadFailure(Trouble.ERROR, f"{where}: the answer is not a JSON object")
    return answer


def _integer(value: Any) -> int | None:
    """A number that can be one of bytes, seconds or a timeline; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _position(xlog: Mapping[str, Any]) -> int | None:
    """A primary's position; of a replica the farther of received and replayed, as Patroni itself compares."""
    names = ("location", "received_location", "replayed_location")
    return max((each for each in (_integer(xlog.get(name)) for name in names) if each is not None), default=None)


def _nofailover(tags: Mapping[str, Any]) -> bool:
    """Whether a member may not lead: by the tag, or by a priority of 0 or less (Patroni documentation, "Tags")."""
    if "nofailover" in tags:
        return tags["nofailover"] is not False
    priority = _integer(tags.get("failover_priority"))
    return priority is not None and priority <= 0


def parse_members(cluster: Mapping[str, Any]) -> tuple[PatroniMember, ...]:
    """The members of `GET /cluster`; a lag that is not a number (`unknown`) is None, never 0."""
    members = cluster.get("members")
    if not isinstance(members, list):
        return ()
    rows = [_mapping(each) for each in members]
    return tuple(
        PatroniMember(
            name=_text(row.get("name")),
            role=MEMBER_ROLES.get(_text(row.get("role")), _text(row.get("role"))),
            state=_text(row.get("state")),
            timeline=_integer(row.get("timeline")),
            lag=_integer(row.get("lag")),
            nofailover=_nofailover(_mapping(row.get("tags"))),
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Of the dynamic configuration: `maximum_lag` in bytes, the leader lock's `ttl` and the `loop_wait` in seconds."""

    maximum_lag: int | None = None
    ttl: float | None = None
    loop_wait: float | None = None


def parse_config(config: Mapping[str, Any]) -> Dynamic:
    """`GET /config`, Patroni's defaults where a key is not set."""
    lag, ttl, loop = (_integer(config.get(k)) for k in ("maximum_lag_on_failover", "ttl", "loop_wait"))
    return Dynamic(
        DEFAULT_MAXIMUM_LAG if lag is None else lag,
        DEFAULT_TTL if ttl is None else float(ttl),
        DEFAULT_LOOP_WAIT if loop is None else float(loop),
    )


def parse_node(
    node: str,
    answer: Mapping[str, Any],
    members: tuple[PatroniMember, ...],
    dynamic: Dynamic,
    now: float,
) -> PatroniReading:
    """`GET /patroni` of one node; `now` is epoch seconds. Raises ReadFailure when it is not Patroni's."""
    patroni = _mapping(answer.get("patroni"))
    role, scope = _text(answer.get("role")), _text(patroni.get("scope"))
    if not role or not scope:
        raise ReadFailure(Trouble.ERROR, f"{node}: the answer is not Patroni's")
    seen = answer.get("dcs_last_seen")
    age = max(0.0, now - seen) if isinstance(seen, int | float) and 0 < seen < LARGEST else None
    return PatroniReading(
        node=node,
        scope=scope,
        role=NODE_ROLES.get(role, role),
        state=_text(answer.get("state")),
        timeline=_integer(answer.get("timeline")),
        lsn=_position(_mapping(answer.get("xlog"))),
        system_id=_text(answer.get("database_system_identifier")),
        version=_text(patroni.get("version")),
        paused=answer.get("pause") is True,
        unlocked=answer.get("cluster_unlocked") is True,
        failsafe=answer.get("failsafe_mode_is_active") is True,
        dcs_age=age,
        maximum_lag=dynamic.maximum_lag,
        members=members,
        ttl=dynamic.ttl,
        loop_wait=dynamic.loop_wait,
    )
