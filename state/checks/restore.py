"""Whether a database could be restored now, by what its backups and its archive show."""

from __future__ import annotations

from state.api.views.restore import RestoreFault
from state.checks.database import OneDatabase
from state.checks.model import Answer, CheckKind, answered, unknown
from state.config_files.suggestions import not_found
from state.estate.model import Estate
from state.health import Health
from state.units import utc_date
from state.verdicts.replication import cluster_verdict
from state.verdicts.restore_window import restore_row
from state.world.world import World


def restorable(args: OneDatabase, world: World, estate: Estate, now_mono: float) -> Answer:
    """Nothing of its restore window fails, and nothing is unknown; whether a restore was proven is not asked here, as
    runbooks that prove one begin with this. Warnings are evidence. Raises NotFound for an unknown name."""
    if args.database not in estate.databases:
        raise not_found("database", args.database, estate.databases)
    entry = estate.databases[args.database]
    row = restore_row(cluster_verdict(args.database, entry, world, now_mono).facts, entry.backups, world, now_mono)
    if row.store is None:
        return unknown(f"{args.database}: {row.message}")
    faults = [each for each in row.faults if each.code is not RestoreFault.UNPROVEN]
    evidence = [each.message for each in faults]
    kinds = {each.health for each in faults}
    if Health.UNKNOWN in kinds and Health.FAIL not in kinds:
        return unknown(*evidence)
    if not row.ranges and Health.FAIL not in kinds:
        return unknown(f"{args.database}: to what it can be restored is not known")
    ends = [utc_date(each.until) for each in row.ranges[-1:] if each.until is not None]
    window = [f"{utc_date(row.ranges[0].since)} to {ends[0]}"] if ends else []
    return answered(Health.FAIL not in kinds, *window, *evidence)


KINDS = (CheckKind("database.restorable", "backups and archive are whole", OneDatabase, restorable),)
