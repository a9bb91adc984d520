"""What is wrong with what a database can be restored from, found before it is needed."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.views.causes import Cause, NextKind, NextStep, SubjectKind
from state.api.views.restore import FaultRow, RestoreFault, RestoreRow
from state.estate.model import Estate
from state.health import Health
from state.verdicts.cause_parts import hand
from state.verdicts.evidence import rank
from state.verdicts.replication import ClusterVerdict

FAULT = RestoreFault
TOLD = (FAULT.NOT_READ, FAULT.ARCHIVER)
"""Of these a silent source tells, and the node whose archiver fails."""
WAITS = (FAULT.ARCHIVING_UNKNOWN, FAULT.BRANCH_UNKNOWN)
"""What is not known for want of a primary, which is a cause itself."""
STEPS: Mapping[RestoreFault, str] = {
    FAULT.STORE: "ask its program on the host of the backups: pgbackrest info, then pgbackrest check",
    FAULT.STRANGE: "see whether stanza or folders in `backups` are of this database, and whether it was made anew",
    FAULT.FROZEN: (
        "look what archive_command really does, and whether its queue was dropped (archive-push-queue-max); then take a"
        " new full backup, since WAL that is gone does not come back"
    ),
    FAULT.ARCHIVING_UNKNOWN: "let the server archive a segment (select pg_switch_wal()), and look at pg_stat_archiver",
    FAULT.BRANCH_UNKNOWN: "see whether .history files are missing in the archive, and copy them there from a server",
    FAULT.NO_BACKUP: "take a full backup now, and see why its schedule did not",
    FAULT.MISSING_WAL: "take a full backup now: what lies behind a gap can be restored from a new one only",
    FAULT.GAPS: "nothing can be restored to a time within them; see why WAL was removed between backups that are kept",
    FAULT.END_UNKNOWN: "name `waldump` in its backups, and see whether it runs on their host",
    FAULT.DAMAGED: "take a full backup, then look for damaged pages (pg_amcheck, the error list of pgbackrest info)",
    FAULT.FOREIGN: "restore with --target-timeline; see which copy was promoted with production's archive_command",
    FAULT.UNPROVEN: (
        "restore into a scratch folder and look at what is there; name what does it as `proven_by` in its backups"
    ),
}


def restore_causes(
    estate: Estate, clusters: Mapping[str, ClusterVerdict], restores: Mapping[str, RestoreRow]
) -> list[Cause]:
    """One for each database whose backups cannot be relied on; none where the estate names no backups."""
    found = (_cause(estate, clusters[name], row) for name, row in restores.items() if row.store is not None)
    return [each for each in found if each is not None]


def _cause(estate: Estate, cluster: ClusterVerdict, row: RestoreRow) -> Cause | None:
    faults = [each for each in row.faults if each.code not in TOLD and not _waits(cluster, each)]
    if not faults:
        return None
    worst = max(faults, key=lambda each: (rank(each.health), each.code is not FAULT.UNPROVEN))
    return Cause(
        key=f"backup/{row.database}",
        kind=SubjectKind.BACKUP,
        name=row.database,
        health=worst.health,
        since_mono=None,
        what=worst.message,
        detail=f"{row.database}: {'; '.join(each.message for each in faults)}",
        victims=(),
        forecast=None,
        next=_next(estate, row, worst),
        sources=row.sources,
        loud=worst.health is Health.FAIL and worst.code is not FAULT.UNPROVEN,
    )


def _waits(cluster: ClusterVerdict, fault: FaultRow) -> bool:
    primary = cluster.facts.primary
    return fault.code in WAITS and (primary is None or primary.postgres is None)


def _next(estate: Estate, row: RestoreRow, fault: FaultRow) -> NextStep:
    entry = estate.databases[row.database].backups
    if fault.code is FAULT.UNPROVEN and entry is not None and entry.proven_by is not None:
        command = entry.proven_by
        if not estate.commands[command].params:
            said = f"Run {command}, the command of the estate that proves a restore of {row.database}."
            return NextStep(NextKind.CHANGE, "command.run", {"command": command}, "b", "prove a restore", said)
    host = "this machine" if row.store is None or row.store.on == "local" else row.store.on
    said = f"By hand on {host}: {STEPS[fault.code]}. See recovery db restore-window {row.database}."
    return hand("by hand", said)
