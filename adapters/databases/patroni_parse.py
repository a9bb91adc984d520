"""Reads Patroni's REST answers, of 3.x (`master`, no LSN in /cluster) and 4.x alike.

Source: Patroni documentation, "Patroni REST API"; shapes compared between 3.0.2 and 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.net.answers_read import Ambiguous, read_json
from state.errors import ReadFailure, Trouble
from state.world.manager_parts import ScheduledSwitchover, SyncMode
from state.world.readings import PatroniMember, PatroniReading
from state.world.shapes import LARGEST

DEFAULT_MAXIMUM_LAG = 1_048_576
DEFAULT_TTL = 30.0
DEFAULT_LOOP_WAIT = 10.0
DEFAULT_START_TIMEOUT = 300.0
NODE_ROLES = {"master": "primary"}
MEMBER_ROLES = {"master": "leader", "primary": "leader"}
WHOLE = re.compile(r"\s{0,8}([+-]?[0-9]{1,9})\s{0,8}")


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
    if tags.get("nofailover") is not None:
        return bool(tags["nofailover"])
    return _priority(tags) <= 0


def _priority(tags: Mapping[str, Any]) -> int:
    """Higher ones lead first among those with equal WAL; 1 where none is set."""
    priority = _written(tags.get("failover_priority"))
    return 1 if priority is None else priority


def _written(value: Any) -> int | None:
    """A whole number, also one in quotes: Patroni reads tags so (utils.py `parse_int`)."""
    if isinstance(value, str) and (found := WHOLE.fullmatch(value)) is not None:
        return int(found[1])
    return _integer(value)


def _nosync(tags: Mapping[str, Any]) -> bool:
    """Whether a member is never synchronous: by the tag, or by a priority of 0 or less (4.1)."""
    if tags.get("nosync") is not None:
        return bool(tags["nosync"])
    priority = _written(tags.get("sync_priority"))
    return priority is not None and priority <= 0


def _before_priorities(version: str) -> bool:
    """Whether a Patroni knows no failover_priority: it came with 3.2."""
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major[:3]), int(minor[:3])) < (3, 2)


def _member(row: Mapping[str, Any], version: str = "") -> PatroniMember:
    tags, role = _mapping(row.get("tags")), _text(row.get("role"))
    if _before_priorities(version):
        tags = {name: value for name, value in tags.items() if name != "failover_priority"}
    return PatroniMember(
        name=_text(row.get("name")),
        role=MEMBER_ROLES.get(role, role),
        state=_text(row.get("state")),
        timeline=_integer(row.get("timeline")),
        lag=_integer(row.get("lag")),
        nofailover=_nofailover(tags),
        priority=_priority(tags),
        nosync=_nosync(tags),
        noloadbalance=bool(tags.get("noloadbalance")),
        replicatefrom=_text(tags.get("replicatefrom")),
        pending_restart=row.get("pending_restart") is True,
        nostream=_true(tags.get("nostream")),
    )


def parse_members(cluster: Mapping[str, Any], version: str = "") -> tuple[PatroniMember, ...]:
    """The members of `GET /cluster` by a Patroni of a version. A lag that is no number (`unknown`) is None, not 0."""
    members = cluster.get("members")
    if not isinstance(members, list):
        return ()
    return tuple(_member(_mapping(each), version) for each in members)


def parse_scheduled(cluster: Mapping[str, Any]) -> ScheduledSwitchover | None:
    """The hand-over that waits, if one does; a time that cannot be read is none that could be told."""
    row = _mapping(cluster.get("scheduled_switchover"))
    try:
        at = datetime.fromisoformat(_text(row.get("at")))
    except ValueError:
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return ScheduledSwitchover(aware.timestamp(), _text(row.get("from")), _text(row.get("to")))


@dataclass(frozen=True, slots=True)
class Dynamic:
    """Of the dynamic configuration: `maximum_lag` in bytes, the leader lock's `ttl` and the `loop_wait` in seconds.

    `sync_nodes` standbys are to confirm; `start_timeout` are the seconds for which a leader may start its server again.
    `standby`: it makes a standby cluster of it; None before it was read.
    """

    maximum_lag: int | None = None
    ttl: float | None = None
    loop_wait: float | None = None
    sync_mode: SyncMode | None = None
    sync_strict: bool = False
    check_timeline: bool = False
    sync_nodes: int = 1
    start_timeout: float = DEFAULT_START_TIMEOUT
    standby: bool | None = None


def parse_config(config: Mapping[str, Any]) -> Dynamic:
    """`GET /config`, Patroni's defaults where a key is not set."""
    lag, ttl, loop = (_integer(config.get(k)) for k in ("maximum_lag_on_failover", "ttl", "loop_wait"))
    start = _integer(config.get("primary_start_timeout", config.get("master_start_timeout")))  # the second before 3.1
    return Dynamic(
        DEFAULT_MAXIMUM_LAG if lag is None else lag,
        DEFAULT_TTL if ttl is None else float(ttl),
        DEFAULT_LOOP_WAIT if loop is None else float(loop),
        _sync_mode(config.get("synchronous_mode")),
        _true(config.get("synchronous_mode_strict")),
        _true(config.get("check_timeline")),
        max(1, *(_integer(config.get(k)) or 1 for k in ("synchronous_node_count", "min_synchronous_nodes"))),
        DEFAULT_START_TIMEOUT if start is None else float(start),
        _standby(config.get("standby_cluster")),
    )


def _standby(section: Any) -> bool:
    """Whether Patroni takes the section for one (global_config.py, `is_standby_cluster`)."""
    return isinstance(section, dict) and any(section.get(each) for each in ("host", "port", "restore_command"))


def _true(value: Any) -> bool:
    """A switch as Patroni reads one (utils.py `parse_bool`)."""
    return _text(value).lower() in ("true", "on", "yes", "1")


def _sync_mode(value: Any) -> SyncMode:
    if _text(value).lower() == "quorum":
        return SyncMode.QUORUM
    return SyncMode.ON if _true(value) else SyncMode.OFF


def parse_node(
    node: str,
    answer: Mapping[str, Any],
    cluster: Mapping[str, Any],
    dynamic: Dynamic,
    dcs_age: float | None,
) -> PatroniReading:
    """`GET /patroni` of one node and the cluster as it shows it. Raises ReadFailure when it is not Patroni's."""
    patroni = _mapping(answer.get("patroni"))
    role, scope = _text(answer.get("role")), _text(patroni.get("scope"))
    if not role or not scope:
        raise ReadFailure(Trouble.ERROR, f"{node}: the answer is not Patroni's")
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
        dcs_age=dcs_age,
        maximum_lag=dynamic.maximum_lag,
        members=parse_members(cluster, _text(patroni.get("version"))),
        ttl=dynamic.ttl,
        loop_wait=dynamic.loop_wait,
        scheduled=parse_scheduled(cluster),
        sync_mode=dynamic.sync_mode,
        sync_strict=dynamic.sync_strict,
        check_timeline=dynamic.check_timeline,
        pending_restart=answer.get("pending_restart") is True,
        watchdog_failed=answer.get("watchdog_failed") is True,
        sync_nodes=dynamic.sync_nodes,
        start_timeout=dynamic.start_timeout,
        standby_set=dynamic.standby,
    )


def last_contact(answer: Mapping[str, Any]) -> float | None:
    """When the node last had contact to its store, by the clock of its own host: only that it moves on means something.

    None where it says nothing, or that it never had any.
    """
    seen = answer.get("dcs_last_seen")
    return float(seen) if isinstance(seen, int | float) and 0 < seen < LARGEST else None
