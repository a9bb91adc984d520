"""Two looks at a cluster, as before and after a switch: what is different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from state.health import Health
from state.integrity.judging import ONE_NODE, reference
from state.integrity.model import DatabaseFacts, IntegrityAsked, IntegrityFacts, IntegrityFinding

LOGGED_AHEAD = 32
"""Numbers by which a sequence of a standby is ahead of its primary at most: so many are logged at once."""
NOTHING_CHANGED = "settings, extensions, tables and sequences are as they were"


def changes(before: IntegrityFacts, after: IntegrityFacts) -> Iterator[IntegrityFinding]:
    """What is gone or went back fails; other differences warn."""
    found = list(_changes(before, after))
    yield from found or [IntegrityFinding(IntegrityAsked.CHANGES, "cluster", Health.PASS, NOTHING_CHANGED)]


def _changes(before: IntegrityFacts, after: IntegrityFacts) -> Iterator[IntegrityFinding]:
    if before.writers != after.writers:
        fact = f"the writer was {_names(before.writers)}, now it is {_names(after.writers)}"
        yield _told(Health.WARN, "cluster", fact, "expected after a switch")
    for name in sorted(before.nodes.keys() - after.nodes.keys()):
        yield _told(Health.UNKNOWN, name, "answered then and does not answer now", "look whether it runs")
    for name in sorted(before.nodes.keys() & after.nodes.keys()):
        then, now = before.nodes[name].settings, after.nodes[name].settings
        for setting in sorted((then.keys() | now.keys()) - ONE_NODE):
            if then.get(setting) != now.get(setting):
                fact = f"{setting} was {then.get(setting)}, now it is {now.get(setting)}"
                yield _told(Health.WARN, name, fact, "see who changed it")
        for slot in sorted({s.name for s in before.nodes[name].slots} - {s.name for s in after.nodes[name].slots}):
            yield _told(Health.WARN, f"{name}/{slot}", "the slot is gone", "see whether its consumer has another one")
    first, second = reference(before), reference(after)
    if first is None or second is None:
        return
    ran_ahead = before.nodes[first].in_recovery and not after.nodes[second].in_recovery
    ahead = LOGGED_AHEAD if ran_ahead else 0
    yield from _databases(second, before.nodes[first].databases, after.nodes[second].databases, ahead)


def _databases(
    node: str, before: Mapping[str, DatabaseFacts], after: Mapping[str, DatabaseFacts], ahead: int
) -> Iterator[IntegrityFinding]:
    """`ahead`: so many numbers a sequence was before where it was read."""
    for database in sorted(before.keys() - after.keys()):
        yield _told(Health.FAIL, f"{node}/{database}", "the database is gone", "see whether this is the right server")
    for database in sorted(before.keys() & after.keys()):
        then, now = before[database], after[database]
        where = f"{node}/{database}"
        for table in sorted(set(then.tables) - set(now.tables)):
            yield _told(Health.FAIL, f"{where}/{table}", "the table is gone", "see who dropped it, or what was lost")
        for table in sorted(set(now.tables) - set(then.tables)):
            yield _told(Health.WARN, f"{where}/{table}", "the table is new", "see who made it")
        yield from _sequences(where, then, now, ahead)
        for collation in sorted(then.collations.keys() & now.collations.keys()):
            (was, _), (now_is, _) = then.collations[collation], now.collations[collation]
            if was != now_is:
                named = f"collation {collation}" if collation else "the database's collation"
                fact = f"the recorded version of {named} was {was}, now it is {now_is}"
                yield _told(Health.WARN, where, fact, "was everything that it sorts rebuilt before? If not: REINDEX")
        for extension in sorted(then.extensions.keys() | now.extensions.keys()):
            if then.extensions.get(extension) != now.extensions.get(extension):
                fact = f"{extension} was {then.extensions.get(extension)}, now it is {now.extensions.get(extension)}"
                yield _told(Health.WARN, where, fact, "see who changed it")


def _sequences(where: str, then: DatabaseFacts, now: DatabaseFacts, ahead: int) -> Iterator[IntegrityFinding]:
    steps = {each.name: each.increment for each in then.sequences}
    for sequence, value in sorted(then.positions.items()):
        position, step = now.positions.get(sequence), steps.get(sequence, 1)
        way = 1 if step > 0 else -1
        if position is not None and position * way < (value - ahead * step) * way:
            fact = f"the sequence was at {value} and is at {position}: numbers are given out twice"
            yield _told(Health.FAIL, f"{where}/{sequence}", fact, f"compare with what was lost; then setval to {value}")


def _names(nodes: list[str]) -> str:
    return " and ".join(nodes) or "none"


def _told(health: Health, where: str, fact: str, way_out: str) -> IntegrityFinding:
    return IntegrityFinding(IntegrityAsked.CHANGES, where, health, fact, way_out)
