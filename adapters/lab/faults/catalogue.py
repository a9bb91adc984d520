"""Every fault of the lab."""

from __future__ import annotations

from adapters.lab.faults import clocks, faults, histories, replication, store
from adapters.lab.faults.fault import Fault

CATALOGUE: tuple[type[Fault], ...] = (
    faults.BadRelease,
    faults.ContractMigration,
    faults.FreezePrimary,
    faults.KillNode,
    faults.CutReplication,
    faults.SplitBrainFault,
    faults.HangSource,
    faults.WrongDns,
    faults.ReloadBalancer,
    replication.ReplayPaused,
    replication.SyncLost,
    replication.QuorumShort,
    replication.NoFailover,
    replication.SlotLost,
    replication.ArchiverFailing,
    histories.RestoreOlderBackup,
    histories.ForkSameTimeline,
    store.DcsDown,
    clocks.ClockApart,
)
