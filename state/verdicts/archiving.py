"""Whether WAL reaches the archive: an archiver that fails, or that never succeeded, is found when it is too late."""

from __future__ import annotations

from state.health import Health
from state.units import counted
from state.verdicts.cluster import NodeFacts


def archiver_finding(node: NodeFacts) -> tuple[Health, str] | None:
    """Of a server that is to archive; nothing has been tried yet is no finding."""
    reading = node.postgres
    archiver = reading.archiver if reading is not None else None
    if reading is None or archiver is None or archiver.mode == "off":
        return None
    if reading.in_recovery and archiver.mode != "always":
        return None
    waits = "waits" if archiver.backlog == 1 else "wait"
    backlog = f", {counted(archiver.backlog, 'file')} {waits}" if archiver.backlog else ""
    if not archiver.configured:
        return Health.FAIL, f"{node.node} is to archive and has no command for it: nothing is archived{backlog}"
    if archiver.archived == 0 and archiver.failed:
        return Health.FAIL, f"the archiver of {node.node} never succeeded, {archiver.failed} failures{backlog}"
    if archiver.failing:
        return Health.FAIL, f"the archiver of {node.node} fails at {archiver.last_failed or 'its last try'}{backlog}"
    return None
