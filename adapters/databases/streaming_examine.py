"""Which servers answer at a cluster's addresses, whether they belong together, and what its accounts may do."""

from __future__ import annotations

import asyncio
import time

from adapters.context import AdapterContext, split_address
from adapters.databases.postgres_examine import SeenServer, look_at_server
from adapters.databases.streaming import StreamingCluster, StreamingOptions, cluster_of
from adapters.net.certificates import look_at_certificate
from adapters.net.examined import look_at_name
from state.diagnosis.model import Asked, Can, Diagnosis, Subject
from state.errors import EffectRefused, EffectUnknown

RIGHTS = """
select has_function_privilege('pg_promote(boolean, integer)', 'execute') as promotes,
  has_function_privilege('pg_reload_conf()', 'execute') as reloads,
  coalesce((select rolreplication or rolsuper from pg_roles where rolname = current_user), false) as replicates
"""
"""Asked as the account that acts."""
NEEDS = {
    "promotes": ("promote", "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {user};"),
    "reloads": ("repoint a standby", "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {user};"),
    "replicates": ("drop a slot", "ALTER ROLE {user} REPLICATION;"),
}


async def examine(name: str, options: StreamingOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every server, asked at the same time, and about the cluster as a whole."""
    cluster, subject = cluster_of(name, options, context), Subject(f"databases/{name}")
    nodes = [_node(subject.part(node), cluster, node, options, deadline) for node in options.nodes]
    answers = await asyncio.gather(*nodes)
    found = [diagnosis for diagnoses, _ in answers for diagnosis in diagnoses]
    seen = {node: server for node, (_, server) in zip(options.nodes, answers, strict=True) if server is not None}
    return [*found, *_as_a_whole(subject, seen, len(options.nodes))]


async def _node(
    subject: Subject, cluster: StreamingCluster, node: str, options: StreamingOptions, deadline: float
) -> tuple[list[Diagnosis], SeenServer | None]:
    place = options.nodes[node].postgres
    host, port = split_address(place)
    found: list[Diagnosis | None] = []
    via = cluster.server(node).via
    if via is None:
        found.append(await look_at_name(subject, host, deadline=deadline))
    if options.tls == "verify-full" and not host.startswith("/"):
        found.append(
            await look_at_certificate(subject, host, port, time.time(), deadline=deadline, postgres=True, via=via)
        )
    told, server = await look_at_server(subject, cluster.server(node), place, deadline=deadline)
    found += told
    if server is not None:
        found += await _may_act(subject, cluster, node, options, deadline)
    return [each for each in found if each is not None], server


async def _may_act(
    subject: Subject, cluster: StreamingCluster, node: str, options: StreamingOptions, deadline: float
) -> list[Diagnosis]:
    """What the acting account may do; nothing is tried."""
    user = options.act_user
    if user is None:
        reason = "the estate names no act_user: nothing can be promoted, repointed or dropped from here"
        told = subject.warns(Asked.RIGHTS, reason, "name act_user and act_password")
        return [told.shows("promote, repoint or drop a slot")]
    try:
        async with cluster.acting(node, deadline) as session:
            row = await session.fetchrow(RIGHTS)
    except (EffectRefused, EffectUnknown) as error:
        told = subject.fails(Asked.CREDENTIAL, f"act_user {user}: {error.message}", "mend act_user and act_password")
        unknown = Can.UNKNOWN if isinstance(error, EffectUnknown) else Can.NO
        return [told.shows("promote, repoint or drop a slot", unknown)]
    assert row is not None, "the query has one row"
    return [
        subject.passes(Asked.RIGHTS, f"act_user {user} may {what}").shows(what)
        if row[key]
        else subject.warns(Asked.RIGHTS, f"act_user {user} may not {what}", grant.format(user=user)).shows(what)
        for key, (what, grant) in NEEDS.items()
    ]


def _as_a_whole(subject: Subject, seen: dict[str, SeenServer], nodes: int) -> list[Diagnosis]:
    """One database system, and exactly one server that accepts writes."""
    systems = {server.system_id for server in seen.values()}
    if len(systems) > 1:
        reason = f"its servers are of {len(systems)} different database systems"
        return [subject.fails(Asked.IDENTIFIED, reason, "look at the addresses of its nodes")]
    writers = [node for node, server in seen.items() if not server.in_recovery]
    if len(writers) > 1:
        reason = f"{' and '.join(writers)} accept writes"
        return [subject.fails(Asked.ROLE, reason, "fence one of them: recovery db fence")]
    if writers:
        said = f"{writers[0]} accepts writes, {len(seen) - 1} of {nodes - 1} others are standbys"
        return [subject.passes(Asked.ROLE, said)]
    reason = f"no server that answers accepts writes ({len(seen)} of {nodes} answered)"
    return [subject.unknown(Asked.ROLE, reason, "look at the servers that did not answer")]
