"""Rows of a PostgreSQL server as a reading. Values may be of any type here: `misfit` judges them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from adapters.databases.postgres_descent import Descent, DescentAsked
from adapters.databases.postgres_progress import Progress
from adapters.net.answers_read import read_json
from state.world.postgres_parts import (
    ReplicationSlot,
    ServerSettings,
    Transport,
    Waits,
    WalArchiver,
    WalReceiver,
    WalSender,
)
from state.world.readings import PostgresReading

LARGEST = 256 << 10
"""Characters of all rows of senders or slots."""
STRONG = ("on", "remote_apply")
"""What a commit may wait for to be on another disk when it returns."""


def timeline_of(row: Mapping[str, Any]) -> int | None:
    """The timeline that a row tells."""
    if row["wal_timeline"] is not None:
        return int(row["wal_timeline"], 16)
    if row["received_tli"]:
        return int(row["received_tli"])
    return max(row["recovery_timeline"] or 0, row["checkpoint_timeline"] or 0) or None


def descent_of(row: Mapping[str, Any], timeline: int | None) -> DescentAsked:
    """What is to be read of the descent of the server that a row tells of."""
    server = (row["system_id"], row["started_at"], row["in_recovery"])
    held = max(row[name] or 0 for name in ("write_lsn", "receive_lsn", "replay_lsn"))
    return DescentAsked(server, timeline, held, row["reads_files"], row["reads_wal"])


def reading_of(
    node: str, row: Mapping[str, Any], timeline: int | None, descent: Descent, progress: Progress, began: float
) -> PostgresReading:
    """The reading of one row that was asked for when this process's monotonic clock said `began`."""
    fields = dict(row)
    address, in_recovery = fields["address"], fields["in_recovery"]
    receiver, heard = _receiver(fields["receiver"])
    sessions, waiting, oldest = read_json(_bounded(fields["activity"]))
    slots = _slots(fields["slots"])
    made = PostgresReading(
        node=node,
        in_recovery=in_recovery,
        timeline=timeline,
        system_id=fields["system_id"],
        version=fields["version"].partition(" ")[0],
        started_at=fields["started_at"],
        server_address=f"{address}:{fields['port']}" if address else "",
        write_lsn=fields["write_lsn"],
        receive_lsn=fields["receive_lsn"],
        replay_lsn=fields["replay_lsn"],
        replay_pause=fields["replay_pause"],
        replayed_at=fields["replayed_at"] if in_recovery else None,
        receiver_state=fields["receiver_state"],
        synchronous_standby_names=fields["synchronous_standby_names"],
        synchronous_commit=fields["synchronous_commit"],
        history=descent.history,
        branches=descent.branches,
        senders=_senders(fields["senders"], progress, began, _decoding(slots)),
        slots=_moving(slots, progress, began),
        sessions=sessions,
        sessions_limit=fields["sessions_limit"],
        receiver=receiver,
        clock=fields["clock"],
        next_xid=fields["next_xid"],
        privileged=fields["privileged"],
    )
    held = (made.receive_lsn, made.replay_lsn, made.receiver_state == "streaming" and heard)
    made = replace(
        made,
        upstream_quiet=progress.still("upstream", held, began) if in_recovery else None,
        waits=_waits(waiting, oldest, progress, began) if made.privileged else None,
        earlier=progress.earlier((made.started_at, made.system_id, timeline, in_recovery), made.held, began),
    )
    progress.forget_others()
    return made


def settings_of(row: Mapping[str, Any]) -> ServerSettings:
    """What changes slowly."""
    limits: dict[str, Any] = read_json(_bounded(row["limits"]))
    weaker = [
        (f"role {role}" if role else "") + (" in " if role and base else "") + (f"database {base}" if base else "")
        + f": {level}"
        for role, base, level in read_json(_bounded(row["commits"]))
        if level not in STRONG
    ]  # fmt: skip
    return ServerSettings(
        limits={name: int(value) for name, value in limits.items()},
        apply_delay=row["apply_seconds"] or 0.0,
        status_interval=row["status_interval"] if row["status_interval"] is not None else 10.0,
        weaker=tuple(weaker),
        restores=row["restores"],
        follows=row["follows"],
        has_target=row["has_target"],
        refuses_writes=bool(row["refuses_writes"]),
        read_only=tuple(read_json(_bounded(row["read_only"]))),
    )


def archiver_of(row: Mapping[str, Any], backlog: int | None) -> WalArchiver:
    """What the archiver has done."""
    archived, failed, last, last_failed, failing, since = read_json(_bounded(row["archiver"]))
    return WalArchiver(
        row["archive_mode"], archived, failed, last, last_failed, failing, backlog, since, row["archives"]
    )


def _receiver(text: str | None) -> tuple[WalReceiver | None, float | None]:
    if text is None:
        return None, None
    name, host, port, slot, upstream, heard = read_json(_bounded(text))
    return WalReceiver(name or "", host or "", port, slot or "", upstream), heard


def _waits(count: int, oldest: float | None, progress: Progress, began: float) -> Waits:
    """The oldest is known by when its statement began, and waits at least since it was first seen to."""
    still = progress.still("waits", oldest, began)
    return Waits(count, still or 0.0 if count else 0.0)


def _decoding(slots: tuple[ReplicationSlot, ...]) -> frozenset[int]:
    """The processes that send decoded changes: none does without a logical slot."""
    return frozenset(s.active_pid for s in slots if s.slot_type == "logical" and s.active_pid is not None)


def _senders(text: str, progress: Progress, began: float, decoding: frozenset[int]) -> tuple[WalSender, ...]:
    if text == "[]":
        return ()
    rows: list[list[Any]] = read_json(_bounded(text))
    found = []
    for name, state, sync, sent, flush, replay, replied, write, pid, priority, *way in rows:
        quiet = None if replied is None else progress.still(("sender", pid), replied, began)
        found.append(
            WalSender(
                name or "",
                state or "",
                sync or "",
                sent,
                flush,
                replay,
                quiet,
                write,
                pid,
                priority,
                _transport(*way),
                pid in decoding,
            )
        )
    return tuple(found)


def _transport(ssl: bool | None, version: str | None, cipher: str | None, local: bool) -> Transport | None:
    """None where the role may not see it."""
    if ssl is None:
        return None
    return Transport(version or "TLS", cipher or "", local) if ssl else Transport(local=local)


def _bounded(text: str) -> str:
    """Raises ValueError for more rows than a server can have."""
    if len(text) > LARGEST:
        raise ValueError(f"rows of {len(text)} characters")
    return text


def _moving(slots: tuple[ReplicationSlot, ...], progress: Progress, began: float) -> tuple[ReplicationSlot, ...]:
    """With how long each that nobody uses has not moved; of one in use nobody asks."""
    return tuple(
        each if each.active else replace(each, still=progress.still(("slot", each.name), each.restart_lsn, began))
        for each in slots
    )


@lru_cache(maxsize=64)  # slots of an idle cluster read the same every time
def _slots(text: str) -> tuple[ReplicationSlot, ...]:
    if text == "[]":
        return ()
    return tuple(_slot(*row) for row in read_json(_bounded(text)))


def _slot(
    name: str, kind: str, active: bool, restart: int | None, status: str | None, plugin: str | None,
    database: str | None, pid: int | None, confirmed: int | None, safe: int | None, *flags: Any,
) -> ReplicationSlot:  # fmt: skip
    temporary, conflicting, failover, synced, reason = flags
    return ReplicationSlot(
        name, kind, active, restart, status, plugin or "", database or "", pid, confirmed, safe, temporary,
        conflicting, failover, synced, reason or "",
    )  # fmt: skip
