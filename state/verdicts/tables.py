"""What the tables of managers say that are asked by command: votes, what is in motion, what endangers commits.

Each place has its own table. None is preferred: what they say of a role are votes beside the server's own, and where
they differ it is said. Whether a standby is attached is told by receivers and senders alone, never by a table.
"""

from __future__ import annotations

from collections.abc import Iterator

from state.errors import Refusal
from state.health import Health
from state.verdicts.cluster import ClusterFacts
from state.verdicts.sync_names import sync_rule
from state.verdicts.votes import PRIMARY, Vote
from state.world.manager_tables import ManagerTable, ToldNode

Told = tuple[Health, str]


def table_votes(facts: ClusterFacts, node: str) -> tuple[Vote, ...]:
    """What each table says of one node; one without an answer is a silent witness."""
    found: list[Vote] = []
    for place, table in facts.tables.items():
        row = table.of(node) if table is not None else None
        if table is None or row is not None:
            witness = table.witness if table is not None else f"manager at {place}"
            found.append(Vote(witness, row.role if row is not None else ""))
    return tuple(found)


def table_findings(facts: ClusterFacts) -> list[Told]:
    """None of it stops the service now."""
    tables = _answers(facts)
    found: list[Told] = []
    silent = [place for place, table in facts.tables.items() if table is None]
    if silent:
        health = Health.WARN if tables else Health.UNKNOWN
        found.append((health, f"the manager does not answer at {', '.join(silent)}"))
    found += [(Health.WARN, f"{t.witness}: {issue}") for t in tables for issue in t.issues]
    found += [(Health.WARN, text) for text in (*_different(facts, tables), *_rows(tables), *forks_to_come(facts))]
    found += [(Health.WARN, text) for text in _unheard(facts, tables)]
    return found


def table_obstacles(facts: ClusterFacts, node: str) -> list[Refusal]:
    """Why a manager would not let a node lead; of two answers the one that forbids counts."""
    rows = [row for table in _answers(facts) if (row := table.of(node)) is not None]
    if any(row.aside for row in rows):
        fact = f"{node} is in maintenance by its manager, which does not let it lead"
        return [Refusal("may-lead", fact, f"End the maintenance of {node}, or choose another node")]
    if any(row.may_lead is False for row in rows):
        return [Refusal("may-lead", f"{node} has priority 0: its manager does not let it lead", "Choose another node")]
    return []


def forks_to_come(facts: ClusterFacts) -> list[str]:
    """Standbys whose manager does not reach a primary that lives by another witness: a promotion there forks."""
    found: list[str] = []
    for table in _answers(facts):
        if not table.node:
            continue
        for row in table.nodes:
            if row.reached is False and row.name != table.node and (by := _alive(facts, row.name, table)):
                found.append(
                    f"{table.node} does not reach {row.name}, which lives and leads by {by}:"
                    f" if the manager promotes {table.node}, two nodes write"
                )
    return found


def _alive(facts: ClusterFacts, node: str, but: ManagerTable) -> str:
    """The witnesses by which a node leads now: its own server, and the other tables."""
    server = facts.nodes[node].postgres if node in facts.nodes else None
    found = ["its own server"] if server is not None and not server.in_recovery else []
    for table in _answers(facts):
        row = table.of(node)
        if table is not but and row is not None and row.role == PRIMARY and row.reached is not False:
            found.append(table.witness)
    return " and ".join(found)


def _answers(facts: ClusterFacts) -> list[ManagerTable]:
    return [table for table in facts.tables.values() if table is not None]


def _different(facts: ClusterFacts, tables: list[ManagerTable]) -> Iterator[str]:
    """Tables that lack a node of the estate, or have one that it does not have."""
    for table in tables:
        missing = [node for node in facts.nodes if table.of(node) is None] if table.whole else []
        if missing:
            yield f"{table.witness} has no row of {', '.join(missing)}"
        strange = (*table.unknown_rows, *(row.name for row in table.nodes if row.name not in facts.nodes))
        if strange:
            yield f"{table.witness} has rows that are not in the estate: {', '.join(strange)}"


def _rows(tables: list[ManagerTable]) -> list[str]:
    """Nodes that a place apart does not reach, nodes in motion, leaders that are alone: each once."""
    found: dict[str, None] = {}
    for table in tables:
        for row in table.nodes:
            if row.reached is False and not table.node:
                found[f"{table.witness} does not reach {row.name}"] = None
            if row.alone:
                found[f"{row.name} is {row.state} by its manager: commits wait for no standby"] = None
            if row.in_motion:
                found[f"{row.name} is {row.state} by its manager and is to be {row.target}"] = None
    return list(found)


def _unheard(facts: ClusterFacts, tables: list[ManagerTable]) -> Iterator[str]:
    """Confirmations that no election hears, and too few standbys that one would hear.

    A commit is on `needed` of the names that confirm. Any `names - needed + 1` of them have it; fewer may not.
    """
    setting = _sync_setting(facts)
    rule = sync_rule(setting) if setting else None
    if rule is None or rule.everyone:
        return
    rows = {row.standby_name: row for table in tables if not table.node for row in table.nodes if row.standby_name}
    named = [row for name, row in rows.items() if rule.names_node(name)]
    if len(named) != len(rule.names):
        return
    for row in named:
        if row.aside:
            yield f"{row.name} confirms commits, and no election hears it: it is in maintenance"
    heard = [row for row in named if _heard(facts, row)]
    least = len(named) - rule.needed + 1
    if len(heard) < least:
        yield (
            f"a failover now may lose commits: {least} of the {len(named)} nodes that confirm them must be heard,"
            f" {len(heard)} can be"
        )


def _heard(facts: ClusterFacts, row: ToldNode) -> bool:
    node = facts.nodes.get(row.name)
    return not row.aside and row.reached is not False and node is not None and node.postgres is not None


def _sync_setting(facts: ClusterFacts) -> str:
    """synchronous_standby_names of the primary, of one that is silent as it was last read."""
    if facts.primary is not None and facts.primary.postgres is not None:
        return facts.primary.postgres.synchronous_standby_names
    read = [n.last_postgres for n in facts.nodes.values() if n.postgres is None and n.last_postgres is not None]
    return next((each.synchronous_standby_names for each in read if not each.in_recovery), "")
