"""Whether a cluster is prepared for access that ends by itself: read by the account that acts, nothing is tried."""

from __future__ import annotations

from contextlib import suppress

from adapters.access.postgres_access import PostgresAccess
from adapters.databases.postgres_cluster import PostgresCluster
from state.diagnosis.model import Asked, Can, Diagnosis, Subject
from state.errors import ReadFailure, Trouble
from state.estate.access import AccessEntry
from state.ports.database import Database

GIVES, ENDS = "give access", "end access"
PREPARE = "recovery db prepare"


async def look_at_access(subject: Subject, database: Database, entry: AccessEntry, deadline: float) -> list[Diagnosis]:
    """What the account that acts can do there about grants, as the prepared functions and every node tell it."""
    if not isinstance(database, PostgresCluster) or database.account is None:
        told = subject.fails(Asked.RIGHTS, "access is allowed, and the estate names no act_user", "name act_user")
        return [told.shows(GIVES)]
    target, user = PostgresAccess(database, database.account, entry), database.account.user
    try:
        seen = await target.seen([], deadline=deadline)
    except ReadFailure as failure:
        unread = failure.trouble in (Trouble.TIMEOUT, Trouble.UNREACHABLE)
        way_out = "bring the node back" if unread else f"{PREPARE} {database.name}"
        made = subject.unknown if unread else subject.fails
        return [made(Asked.RIGHTS, f"access by {user}: {failure.message}", way_out).shows(GIVES)]
    finally:
        with suppress(ReadFailure):
            await target.close()
        for node in database.nodes:
            await database.close_node(node)
    bundles = ", ".join(target.bundles)
    if seen.unable:
        told = subject.fails(Asked.RIGHTS, f"{user}: {seen.unable}", f"{PREPARE} {database.name}")
        return [told.shows(GIVES), told.shows(ENDS)]
    found = [
        subject.passes(Asked.RIGHTS, f"{user} may give access ({bundles}); {seen.primary} is prepared").shows(GIVES)
    ]
    if seen.unread:
        reason = f"access cannot be proven to be over: {'; '.join(seen.unread.values())}"
        return [
            *found,
            subject.warns(Asked.RIGHTS, reason, "bring the node back, or fence it").shows(ENDS, Can.UNKNOWN),
        ]
    nodes = ", ".join(database.nodes)
    return [*found, subject.passes(Asked.RIGHTS, f"{user} may end access, and sees sessions at {nodes}").shows(ENDS)]
