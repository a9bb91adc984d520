"""How durable a commit is now: synchronous_standby_names configures it, the standbys in sync decide it.

Grammar of the setting: PostgreSQL documentation, "synchronous_standby_names".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from state.world.readings import PostgresReading, WalSender

_ANY = re.compile(r"^\s*ANY\s+(\d+)\s*\(", re.IGNORECASE)
_SYNCED = ("sync", "quorum")
BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The actual guarantee: `kind` async, sync, quorum or blocked; `members` are the standbys in sync.

    `needed` of a quorum is how many members have every acknowledged commit; `detail` says which, or why there are none.
    """

    kind: str
    members: tuple[str, ...]
    needed: int
    detail: str

    @property
    def message(self) -> str:
        """Kind and detail in one line."""
        return guarantee_message(self.kind, self.detail)

    def survives(self, candidate: str, reachable: Collection[str]) -> bool:
        """Whether the candidate, the best of the reachable nodes, is proven to have every acknowledged commit."""
        if candidate not in self.members:
            return False
        if self.kind == "sync":
            return True
        missing = len(self.members) - len(set(reachable) & set(self.members))
        return self.kind == "quorum" and missing < self.needed


def sender_of(primary: PostgresReading, standby: str) -> WalSender | None:
    """The primary's row for a standby; a streaming one if there are several."""
    rows = [s for s in primary.senders if s.application_name == standby]
    return next((s for s in rows if s.state == "streaming"), rows[0] if rows else None)


def guarantee_message(kind: str, detail: str) -> str:
    """`sync: n2`, `commits wait: no standby of n2 is in sync`."""
    return ": ".join(filter(None, ({BLOCKED: "commits wait"}.get(kind, kind), detail)))


def guarantee(primary: PostgresReading) -> Guarantee:
    """The guarantee as the primary has it now, not as it is configured."""
    names, commit = primary.synchronous_standby_names.strip(), primary.synchronous_commit
    if not names:
        return Guarantee("async", (), 0, "")
    if commit in ("off", "local"):
        return Guarantee("async", (), 0, f"synchronous_commit is {commit}")
    in_sync = tuple(s.application_name for s in primary.senders if s.state == "streaming" and s.sync_state in _SYNCED)
    if not in_sync:
        return Guarantee(BLOCKED, (), 0, f"no standby of {names} is in sync")
    found = _ANY.match(names)
    level = "" if commit in ("on", "") else f" ({commit})"
    if found is not None:
        needed = int(found[1])
        return Guarantee("quorum", in_sync, needed, f"any {needed} of {', '.join(in_sync)}{level}")
    return Guarantee("sync", in_sync, 1, f"{', '.join(in_sync)}{level}")
