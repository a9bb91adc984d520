"""What pg_auto_failover 2.x prints with `pg_autoctl show state --json`.

Of the monitor: rows of pgautofailover.current_state() (manual, "pg_autoctl show state"); with `--local` the one row
of the node itself, with `timeline` and `reachable` in place of `reported_tli` and `health`. States: manual,
"Failover State Machine". A node that the monitor does not reach is reported as it last was: it has no role then.
"""

from __future__ import annotations

from typing import Any

from adapters.net.answers_read import Ambiguous, read_json
from state.errors import ReadFailure, Trouble
from state.text import clean
from state.world.manager_tables import ToldNode

PRIMARY_STATES = frozenset({"single", "primary", "wait_primary", "join_primary", "apply_settings"})
STANDBY_STATES = frozenset({
    "wait_standby", "secondary", "catchingup", "maintenance", "wait_maintenance", "join_secondary", "report_lsn",
})  # fmt: skip
ALONE = frozenset({"single", "wait_primary"})
"""It accepts writes and synchronous replication is off."""
ASIDE = frozenset({"maintenance", "wait_maintenance", "prepare_maintenance"})
REACHED = {0: False, 1: True, "bad": False, "good": True}
"""Of the column `health`, and of `reachable`; the monitor has not looked yet: -1, `unknown`."""
SYNC_NAME = "pgautofailover_standby_"


def parse_state(body: bytes, where: str) -> tuple[ToldNode, ...]:
    """The nodes of one formation and group. Raises ReadFailure."""
    try:
        answer = read_json(body)
    except Ambiguous as error:
        raise ReadFailure(Trouble.ERROR, f"{where}: {error}") from error
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, f"{where}: pg_autoctl show state did not print JSON") from error
    rows = [answer] if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ReadFailure(Trouble.ERROR, f"{where}: pg_autoctl show state has no rows of nodes")
    found = tuple(_node(row, where) for row in rows)
    if len({each.name for each in found}) != len(found):
        raise ReadFailure(Trouble.ERROR, f"{where}: pg_autoctl show state has two nodes of one name; name the group")
    return found


def _node(row: dict[str, Any], where: str) -> ToldNode:
    name, number = row.get("nodename"), row.get("node_id")
    state, target = row.get("current_group_state"), row.get("assigned_group_state")
    if not (isinstance(name, str) and name and isinstance(state, str) and isinstance(target, str)):
        raise ReadFailure(Trouble.ERROR, f"{where}: a row of pg_autoctl show state lacks its name or its states")
    health = row.get("health", row.get("reachable"))
    reached = REACHED.get(health) if isinstance(health, int | str) and not isinstance(health, bool) else None
    priority = row.get("candidate_priority")
    may_lead = None
    if isinstance(priority, int | float) and not isinstance(priority, bool):
        may_lead = priority > 0
    aside = state in ASIDE or target in ASIDE
    return ToldNode(
        clean(name, 100),
        _role(state, target, reached),
        reached,
        clean(state, 40),
        clean(target, 40),
        False if aside else may_lead,
        aside,
        state in ALONE,
        f"{SYNC_NAME}{number}" if type(number) is int else "",
    )


def _role(state: str, target: str, reached: bool | None) -> str:
    """What it is, where it is also to stay that."""
    for role, states in (("primary", PRIMARY_STATES), ("standby", STANDBY_STATES)):
        if state in states and target in states:
            return "" if reached is False else role
    return ""
