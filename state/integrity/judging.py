"""What the facts of a cluster mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from state.health import Health
from state.integrity.model import IntegrityAsked, IntegrityFacts, IntegrityFinding, ServerFacts, SlotFacts
from state.units import ago, counted

ASKED = IntegrityAsked
ONE_NODE = frozenset(
    (
        "application_name",
        "cluster_name",
        "config_file",
        "data_directory",
        "external_pid_file",
        "hba_file",
        "ident_file",
        "in_hot_standby",
        "listen_addresses",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "unix_socket_directories",
        "transaction_read_only",
        "default_transaction_read_only",
        "promote_trigger_file",
        "archive_cleanup_command",
        "recovery_end_command",
        "restore_command",
        "recovery_target",
        "recovery_target_action",
        "recovery_target_inclusive",
        "recovery_target_lsn",
        "recovery_target_name",
        "recovery_target_time",
        "recovery_target_timeline",
        "recovery_target_xid",
        "recovery_min_apply_delay",
        "synchronous_standby_names",
        "synchronized_standby_slots",
        "log_directory",
        "log_filename",
        "event_source",
        "huge_pages_status",
        "shared_memory_size",
        "shared_memory_size_in_huge_pages",
        "num_os_semaphores",
    )
)
"""Settings that are of one node by their nature, or that a manager sets by role."""
AS_LARGE = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
"""On a standby these must not be below the primary's: its replay stops."""
NAMED = 3
"""Indexes that are named where there are many."""
UNPROVEN = {
    "not validated": "rows from before were never looked at",
    "not enforced": "rows are never looked at",
}


def found_in(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    """All that the facts alone show, in reading order."""
    yield from _writer(cluster)
    yield from _timeline(cluster)
    for name, node in cluster.nodes.items():
        yield from _slots(cluster, name)
        yield from _prepared(name, node)
    yield from _settings(cluster)
    yield from _collations(cluster)
    yield from _extensions(cluster)
    yield from _objects(cluster)


def reference(cluster: IntegrityFacts) -> str | None:
    """The node whose catalog is looked at: the writer, else any that answered."""
    return next(iter([*cluster.writers, *cluster.nodes]), None)


def _writer(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    for name, why in cluster.silent.items():
        yield _unknown(ASKED.WRITER, name, f"no answer: {why}", "look whether it runs; it may accept writes")
    writers = cluster.writers
    if len(writers) > 1:
        fact = f"{' and '.join(writers)} accept writes: two histories"
        yield _fails(ASKED.WRITER, "cluster", fact, "stop all but one at once; then see the Replication screen")
    elif cluster.led_from_outside:
        yield _passes(ASKED.WRITER, "cluster", "no node accepts writes: all stream, their primary is outside")
    elif not writers and not cluster.silent:
        yield _fails(ASKED.WRITER, "cluster", "no node accepts writes", "see the Replication screen for who may lead")
    elif writers and not cluster.silent:
        yield _passes(ASKED.WRITER, "cluster", f"{writers[0]} alone accepts writes")
    systems = {node.system_id for node in cluster.nodes.values()}
    if len(systems) > 1:
        told = ", ".join(f"{name} {node.system_id}" for name, node in cluster.nodes.items())
        yield _fails(ASKED.WRITER, "cluster", f"not one cluster: system {told}", "see whether the addresses are right")


def _timeline(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    writers = cluster.writers
    if len(writers) != 1:
        return
    expected = cluster.nodes[writers[0]].timeline
    for name, node in cluster.nodes.items():
        if node.in_recovery and node.timeline != expected:
            fact = f"on timeline {node.timeline}, {writers[0]} writes on {expected}"
            yield _fails(ASKED.TIMELINE, name, fact, "it does not follow: rejoin it by pg_rewind, or rebuild it")
        elif node.in_recovery:
            yield _passes(ASKED.TIMELINE, name, f"on timeline {expected}, as {writers[0]}")


def _slots(cluster: IntegrityFacts, name: str) -> Iterator[IntegrityFinding]:
    slots = cluster.nodes[name].slots
    copies = [slot for slot in slots if _is_copy(cluster, name, slot)]
    for slot in slots:
        where = f"{name}/{slot.name}"
        if slot.state == "lost" or slot.lost_by:
            why = f" ({slot.lost_by})" if slot.lost_by else ""
            way_out = "make it anew: its consumer lacks what was written meanwhile"
            yield _fails(ASKED.SLOTS, where, f"{slot.kind} slot is lost{why}", way_out)
        elif slot.state == "unreserved":
            yield _warns(ASKED.SLOTS, where, f"{slot.kind} slot is about to be lost", "let its consumer catch up now")
        elif not slot.active and slot not in copies:
            yield _warns(ASKED.SLOTS, where, f"{slot.kind} slot has no consumer and keeps WAL", "start it, or drop it")
    if slots and all((each.active or each in copies) and each.state in ("reserved", "extended") for each in slots):
        kept = f", {len(copies)} kept for a switchover" if copies else ""
        yield _passes(ASKED.SLOTS, name, f"{counted(len(slots) - len(copies), 'slot')} in use{kept}")


def _is_copy(cluster: IntegrityFacts, name: str, slot: SlotFacts) -> bool:
    """Whether a standby has it for the day when it leads: Patroni keeps one for each member there since 4.0, and the
    logical ones of its `slots` since 2.1 (its documentation, `member_slots_ttl` and `slots`)."""
    if slot.active or not cluster.nodes[name].in_recovery:
        return False
    if slot.kind == "physical" and slot.name in {node.lower().replace("-", "_") for node in cluster.nodes}:
        return True
    led = (each for writer in cluster.writers for each in cluster.nodes[writer].slots)
    return any((each.name, each.kind, each.active) == (slot.name, slot.kind, True) for each in led)


def _prepared(name: str, node: ServerFacts) -> Iterator[IntegrityFinding]:
    for transaction, age in node.prepared.items():
        fact = f"prepared transaction, {ago(age)} old: it holds its locks, and comes back after a promotion"
        yield _warns(ASKED.PREPARED, f"{name}/{transaction}", fact, "COMMIT PREPARED or ROLLBACK PREPARED it")


def _settings(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    first = reference(cluster)
    if first is None or len(cluster.nodes) < 2:
        return
    mine = cluster.nodes[first].settings
    differing = 0
    for name, node in cluster.nodes.items():
        for setting in sorted((mine.keys() | node.settings.keys()) - ONE_NODE):
            one, other = mine.get(setting), node.settings.get(setting)
            if one == other:
                continue
            differing += 1
            fact = f"{setting} is {_value(other)}, on {first} {_value(one)}"
            if setting in AS_LARGE and node.in_recovery and _less(other, one):
                way_out = "raise it on the standby first: below the primary's its replay stops"
                yield _fails(ASKED.SETTINGS, name, fact, way_out)
            else:
                yield _warns(ASKED.SETTINGS, name, fact, "make them alike, or know why: after a switch it counts")
    if not differing:
        yield _passes(ASKED.SETTINGS, "cluster", f"{counted(len(set(mine) - ONE_NODE), 'setting')} alike on all nodes")


def _collations(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    """The recorded version is replicated; the libraries are each node's own. Refreshing without a rebuild hides it."""
    found = 0
    seen: dict[tuple[str, str], dict[str, str | None]] = {}
    for name, node in cluster.nodes.items():
        for database, facts in node.databases.items():
            for collation, (recorded, actual) in facts.collations.items():
                seen.setdefault((database, collation), {})[name] = actual
                if recorded is None and actual is not None:
                    found += 1
                    fact = f"{_collation(collation)} has no version recorded, this node has {actual}"
                    way_out = "REINDEX what is sorted by it, then ALTER … REFRESH COLLATION VERSION"
                    yield _warns(ASKED.COLLATION, f"{name}/{database}", fact, way_out)
                if recorded is not None and recorded != actual:
                    found += 1
                    fact = f"{_collation(collation)} was built with version {recorded}, this node has {actual}"
                    way_out = "REINDEX what is sorted by it, then ALTER … REFRESH COLLATION VERSION"
                    yield _fails(ASKED.COLLATION, f"{name}/{database}", fact, way_out)
    for (database, collation), versions in seen.items():
        if len(set(versions.values())) > 1:
            found += 1
            told = ", ".join(f"{name} {version}" for name, version in versions.items())
            way_out = "an index is read wrongly by the other library: give all nodes one version"
            yield _fails(ASKED.COLLATION, database, f"{_collation(collation)} has versions {told}", way_out)
    if not found and seen:
        known = sum(any(versions.values()) for versions in seen.values())
        told = f"{counted(known, 'collation')} of one version, as recorded"
        yield _passes(ASKED.COLLATION, "cluster", told if known else "no collation has a version: bytes, or none told")


def unproven_collations(cluster: IntegrityFacts, sound: Collection[str]) -> Iterator[IntegrityFinding]:
    """Indexes that are older than the record of their collation's version: who refreshed it without a rebuild has
    silenced the server's own warning. `sound` are those that amcheck has just read in order, as `node/database/index`;
    what is in order on every node that answers is proven."""
    first = reference(cluster)
    if first is None:
        return
    for database, facts in cluster.nodes[first].databases.items():
        for collation, indexes in facts.older.items():
            left = [each for each in indexes if not all(f"{n}/{database}/{each}" in sound for n in cluster.nodes)]
            recorded, actual = facts.collations.get(collation, (None, None))
            if not left or recorded != actual:
                continue  # what is known to be apart fails already
            named = ", ".join(left[:NAMED]) + (f" and {len(left) - NAMED} more" if len(left) > NAMED else "")
            fact = (
                f"the record of {_collation(collation)} was changed after {named} was built: whether it was rebuilt for"
                " a new library is not known"
            )
            way_out = "let amcheck read it (without --skip amcheck), or REINDEX INDEX CONCURRENTLY it"
            yield _warns(ASKED.COLLATION, f"{first}/{database}", fact, way_out)


def _extensions(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    first, found = reference(cluster), 0
    if first is None:
        return
    used = {
        name: version for each in cluster.nodes[first].databases.values() for name, version in each.extensions.items()
    }
    for name, node in cluster.nodes.items():
        for extension in sorted(used):
            there, expected = node.available.get(extension), cluster.nodes[first].available.get(extension)
            if there is None:
                found += 1
                way_out = "install its package there: after a promotion what uses it fails"
                yield _fails(ASKED.EXTENSIONS, name, f"has no files of the extension {extension}", way_out)
            elif there != expected:
                found += 1
                fact = f"has version {there} of the extension {extension}, {first} has {expected}"
                yield _warns(ASKED.EXTENSIONS, name, fact, "install one version on all nodes")
    for database, facts in cluster.nodes[first].databases.items():
        for extension, version in sorted(facts.extensions.items()):
            newest = cluster.nodes[first].available.get(extension)
            if newest is not None and newest != version:
                found += 1
                fact = f"{extension} is {version}, the files are of {newest}"
                yield _warns(ASKED.EXTENSIONS, f"{first}/{database}", fact, f"ALTER EXTENSION {extension} UPDATE")
    if used and not found:
        yield _passes(ASKED.EXTENSIONS, "cluster", f"{counted(len(used), 'extension')} of one version on all nodes")


def _objects(cluster: IntegrityFacts) -> Iterator[IntegrityFinding]:
    first = reference(cluster)
    if first is None:
        return
    for database, facts in cluster.nodes[first].databases.items():
        where = f"{first}/{database}"
        for table in facts.unlogged:
            fact = "unlogged table: empty after a failover and after a crash"
            yield _warns(ASKED.UNLOGGED, f"{where}/{table}", fact, "ALTER TABLE … SET LOGGED, or know that it is lost")
        for each in facts.constraints:
            fact = f"{each.kind} constraint {each.name} is {each.state}: {UNPROVEN[each.state]}"
            way_out = "ALTER TABLE … VALIDATE CONSTRAINT" if each.state == "not validated" else "ALTER … ENFORCED"
            yield _warns(ASKED.CONSTRAINTS, f"{where}/{each.table}", fact, way_out)
        for key in facts.keys:
            if key.state != "valid":
                fact = f"foreign key {key.name} is {key.state}: {UNPROVEN[key.state]}"
                yield _warns(ASKED.CONSTRAINTS, f"{where}/{key.table}", fact, "ALTER TABLE … VALIDATE CONSTRAINT")
        for index in facts.invalid:
            fact = "index is invalid: it is kept up to date and never read"
            yield _fails(ASKED.INDEXES, f"{where}/{index}", fact, "REINDEX INDEX CONCURRENTLY, or drop it")
        if not facts.invalid:
            yield _passes(ASKED.INDEXES, where, "no index is invalid")


def _less(text: str | None, than: str | None) -> bool:
    one, other = text or "", than or ""
    return one.isdigit() and other.isdigit() and int(one) < int(other)


def _value(text: str | None) -> str:
    return "not there" if text is None else text or "empty"


def _collation(name: str) -> str:
    return f"collation {name}" if name else "the database's collation"


def _passes(asked: IntegrityAsked, where: str, fact: str) -> IntegrityFinding:
    return IntegrityFinding(asked, where, Health.PASS, fact)


def _warns(asked: IntegrityAsked, where: str, fact: str, way_out: str) -> IntegrityFinding:
    return IntegrityFinding(asked, where, Health.WARN, fact, way_out)


def _fails(asked: IntegrityAsked, where: str, fact: str, way_out: str) -> IntegrityFinding:
    return IntegrityFinding(asked, where, Health.FAIL, fact, way_out)


def _unknown(asked: IntegrityAsked, where: str, fact: str, way_out: str) -> IntegrityFinding:
    return IntegrityFinding(asked, where, Health.UNKNOWN, fact, way_out)
