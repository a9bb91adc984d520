"""What repmgr 5.x prints with `--csv`.

`cluster show` has three columns without a header (manual, "repmgr cluster show"): the node's ID, 0 where it can be
reached, and its recovery state: 0 not in recovery, 1 in recovery, -1 unknown. The two last are asked of each server at
that moment, from where the command runs. `node check` has lines of item, status and, where there are any, details;
quotes within them are not doubled, so it is no CSV.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from state.errors import ReadFailure, Trouble
from state.text import clean
from state.world.manager_tables import ToldNode

ROLES = {(0, 0): "primary", (0, 1): "standby"}
"""By reachability and recovery state; every other pair tells no role."""
STATUSES = frozenset({"OK", "WARNING", "CRITICAL", "UNKNOWN", "N/A"})
SEEN_AT_SERVERS = frozenset({"Upstream connection", "Downstream servers", "Replication lag"})
"""Items that receivers and senders tell themselves: repmgr judges them by its table of who should be attached."""
CHECKED = re.compile(r'"([^"]{1,200})","([^"]{0,200})"(?:,"(.*)")?')
WORDS = {"primary": "running as primary", "standby": "running as standby"}


def parse_cluster_show(
    text: str, names: Mapping[int, str], where: str, *, apart: frozenset[str] = frozenset()
) -> tuple[tuple[ToldNode, ...], tuple[str, ...]]:
    """The rows of the nodes in `names`, and the IDs of rows that have no name. A witness (`apart`) leads nothing: its
    server writes only its own table. Raises ReadFailure."""
    found: dict[str, ToldNode] = {}
    strange: list[str] = []
    for row in (line.split(",") for line in text.splitlines() if line):
        if len(row) != 3:
            raise ReadFailure(Trouble.ERROR, f"{where}: a row of repmgr cluster show has {len(row)} columns, not 3")
        try:
            number, reached, recovery = (int(each) for each in row)
        except ValueError as error:
            raise ReadFailure(Trouble.ERROR, f"{where}: a row of repmgr cluster show is no row of numbers") from error
        name = names.get(number)
        if name in found:
            raise ReadFailure(Trouble.ERROR, f"{where}: repmgr cluster show has two rows of node {number}")
        if name is None:
            strange.append(f"node {number}")
        elif name not in apart:
            role = ROLES.get((reached, recovery), "")
            word = WORDS.get(role, "running" if reached == 0 else "unreachable")
            found[name] = ToldNode(name, role, reached == 0, word, word)
    if not found:
        raise ReadFailure(Trouble.ERROR, f"{where}: repmgr cluster show has no row of a node of the estate")
    return tuple(found.values()), tuple(strange)


def parse_node_check(text: str, number: int, where: str) -> tuple[str, ...]:
    """What is not OK in `repmgr node check`, without what receivers and senders tell themselves. Raises ReadFailure,
    also when it is the answer of another node."""
    issues: list[str] = []
    told: str | None = None
    for line in text.split("\n"):
        if (found := CHECKED.fullmatch(line.rstrip("\r"))) is None:
            if line:
                raise ReadFailure(Trouble.ERROR, f"{where}: a line of repmgr node check cannot be read")
            continue
        item, status, details = found.groups()
        if item == "Node ID":
            told = status
        elif status in STATUSES - {"OK", "N/A"} and item not in SEEN_AT_SERVERS:
            because = f" ({clean(details, 200)})" if details else ""
            issues.append(f"{clean(item, 60)}: {status}{because}")
    if told is None:
        raise ReadFailure(Trouble.ERROR, f"{where}: repmgr node check does not name its node")
    if told != str(number):
        raise ReadFailure(Trouble.ERROR, f"{where}: repmgr node check answers for node {clean(told, 20)}, not {number}")
    return tuple(issues)
