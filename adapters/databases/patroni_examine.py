"""Which members and servers answer at a cluster's addresses, whether they belong together, and who may switch over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.context import AdapterContext, split_address
from adapters.databases.patroni import PatroniCluster, PatroniNode, cluster_of
from adapters.databases.patroni_options import PatroniNodeEntry, PatroniOptions
from adapters.databases.patroni_parse import NODE_ROLES, parse_members, parse_object
from adapters.databases.postgres_examine import SeenServer, look_at_server
from adapters.net.certificates import look_at_certificate
from adapters.net.examined import look_at_http, look_at_name
from state.diagnosis.model import Asked, Can, Diagnosis, Subject
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.verdicts.votes import STANDBY_LEADER, manager_role

SAME_START = 2.0
"""Seconds by which two readings of one process' start may differ."""
SWITCHES, OPEN = "switch over, restart and pause", "set restapi.authentication"
"""What the account of the REST API is for, and the way out where everybody may."""
LEADS = ("primary", STANDBY_LEADER)


async def examine(name: str, options: PatroniOptions, context: AdapterContext, *, deadline: float) -> list[Diagnosis]:
    """The answers about every node, asked at the same time, and about the cluster as a whole."""
    cluster, subject = cluster_of(name, options, context), Subject(f"databases/{name}")
    try:
        nodes = [
            _node(subject.part(node), cluster, node, entry, options, deadline) for node, entry in options.nodes.items()
        ]
        answers = await asyncio.gather(*nodes)
    finally:
        for node in cluster.nodes:
            await cluster.close_member(node)
    found = [diagnosis for diagnoses, _, _ in answers for diagnosis in diagnoses]
    told = {node: (role, proven) for node, (_, role, proven) in zip(cluster.nodes, answers, strict=True) if role}
    return [*found, *_as_a_whole(subject, told, len(cluster.nodes))]


async def _node(
    subject: Subject,
    cluster: PatroniCluster,
    node: str,
    entry: PatroniNodeEntry,
    options: PatroniOptions,
    deadline: float,
) -> tuple[list[Diagnosis], str, bool]:
    """The answers about one node, its role by its manager (empty when that is not known), and whether its server
    answered too."""
    host, port = split_address(entry.postgres)
    end = time.monotonic() + deadline
    found: list[Diagnosis | None] = []
    via = cluster.manager(node).reader.via
    if via is None:
        found.append(await look_at_name(subject, host, deadline=deadline))
    if options.tls == "verify-full" and not host.startswith("/"):
        looked = look_at_certificate(subject, host, port, time.time(), deadline=_left(end), postgres=True, via=via)
        found.append(await looked)
    manager = cluster.manager(node)
    (server_found, server), (http_found, page) = await asyncio.gather(
        look_at_server(subject, cluster.server(node), entry.postgres, deadline=_left(end)),
        look_at_http(subject, manager.reader, "/patroni", deadline=_left(end), what="Patroni at "),
    )
    found += [*server_found, *http_found]
    role = ""
    if page is not None:
        try:
            own = parse_object(page.body, f"Patroni {node}")
            cluster_page = await manager.cluster(end)
            role, told = await _identity(subject, manager, options.scope, own, cluster_page, server)
            found += told
            switches = await _may_switch_over(subject, manager, options, _left(end))
            found.append(switches.shows(SWITCHES, Can.YES if switches.next.startswith(OPEN) else None))
            found += _members(subject, cluster_page, options)
        except ReadFailure as failure:
            found.append(subject.failure(failure, at=Asked.IDENTIFIED))
    return [each for each in found if each is not None], role, server is not None


async def _identity(
    subject: Subject,
    manager: PatroniNode,
    scope: str,
    own: dict[str, Any],
    cluster: dict[str, Any] | None,
    server: SeenServer | None,
) -> tuple[str, list[Diagnosis]]:
    """Whether it is this member of this cluster, and manages the server that answers at the node's other address."""
    patroni = own.get("patroni") if isinstance(own.get("patroni"), dict) else {}
    assert isinstance(patroni, dict)
    node, its_scope = manager.node, str(patroni.get("scope") or "")
    role = NODE_ROLES.get(str(own.get("role")), str(own.get("role") or ""))
    if not its_scope or not role:
        way_out = "let `api` lead to Patroni's REST API"
        return "", [subject.fails(Asked.IDENTIFIED, "the answer at `api` is not Patroni's", way_out)]
    way_out = f"name the scope and the node as Patroni does, or correct the address of {node}"
    try:
        said = f"{await manager.name.prove(own, cluster)} of scope {its_scope}"
    except ReadFailure as failure:
        if failure.trouble is Trouble.EMPTY:
            way_out = "give `api` as GET /cluster has it (api_url), or update Patroni to 3.2"
            return "", [subject.unknown(Asked.IDENTIFIED, failure.message, way_out)]
        return "", [subject.fails(Asked.IDENTIFIED, f"{failure.message}, not member {node} of scope {scope}", way_out)]
    if its_scope != scope:
        return "", [subject.fails(Asked.IDENTIFIED, f"{said}, not member {node} of scope {scope}", way_out)]
    found = [subject.passes(Asked.IDENTIFIED, f"Patroni {patroni.get('version', '?')} {said}")]
    if own.get("pause") is True:
        way_out = f"when the maintenance is over: patronictl resume {scope}"
        found.append(subject.warns(Asked.ROLE, "Patroni is paused: nothing fails over by itself", way_out))
    state = str(own.get("state") or "unknown")
    if not manager_role(str(own.get("role")), state):
        reason = f"its server does not run: Patroni says {state}"
        return "", [*found, subject.fails(Asked.ROLE, reason, "read the logs of Patroni and PostgreSQL there")]
    if server is not None and (unlike := _unlike(own, role, server)):
        way_out = f"let `postgres` and `api` of {node} lead to the same host"
        found.append(
            subject.fails(Asked.ROLE, f"Patroni manages another server than the one that answers: {unlike}", way_out)
        )
    elif server is not None:
        found.append(subject.passes(Asked.ROLE, f"{role}, by Patroni and by its server"))
    return role, found


def _unlike(own: dict[str, Any], role: str, server: SeenServer) -> str:
    """Why the server that answers is not the one that is managed; empty when nothing tells them apart."""
    identifier = str(own.get("database_system_identifier") or "")
    if identifier and identifier != server.system_id:
        return f"system {identifier} is not {server.system_id}"
    try:
        started = datetime.fromisoformat(str(own.get("postmaster_start_time"))).timestamp()
    except ValueError:
        started = server.started_at
    if abs(started - server.started_at) > SAME_START:
        return "they began at different times"
    if role in LEADS and server.in_recovery and role != STANDBY_LEADER:
        return "Patroni says primary, the server is a standby"
    if role not in LEADS and not server.in_recovery:
        return f"Patroni says {role}, the server accepts writes"
    return ""


async def _may_switch_over(
    subject: Subject, manager: PatroniNode, options: PatroniOptions, deadline: float
) -> Diagnosis:
    """Who may change something, by a change of nothing: 400 says that only its content was refused."""
    account = f"account {options.api_user}" if options.api_user is not None else "nobody, without a credential"
    try:
        answer = await manager.refused(signed=True, deadline=deadline)
        if answer.status == 400 and options.api_user is not None:
            anybody = (await manager.refused(signed=False, deadline=deadline)).status == 400
        else:
            anybody = answer.status == 400
    except (EffectRefused, EffectUnknown) as error:
        reason = f"whether {account} may switch over could not be tried: {error.message}"
        return subject.unknown(Asked.RIGHTS, reason, "ask again")
    if anybody:
        reason = "everybody who reaches the REST API may switch over: it asks for no credential"
        way_out = f"{OPEN} in Patroni, then name api_user and api_password"
        return subject.warns(Asked.RIGHTS, reason, way_out)
    if answer.status == 400:
        return subject.passes(Asked.RIGHTS, f"{account} may switch over (a change of nothing was refused as such)")
    if answer.status == 401:
        reason, way_out = (
            f"{account} may not switch over: {answer.text}",
            "let api_user and api_password be username and password of restapi.authentication in Patroni",
        )
        if options.api_user is None:
            return subject.warns(Asked.RIGHTS, reason, way_out)
        return subject.fails(Asked.CREDENTIAL, reason, way_out)
    if answer.status == 403:
        way_out = "let restapi.allowlist have this host, or show the client certificate that Patroni asks for"
        return subject.fails(Asked.RIGHTS, f"{account} may not switch over from here: {answer.text}", way_out)
    reason = f"whether {account} may switch over is not known: Patroni answered {answer.status}"
    return subject.unknown(Asked.RIGHTS, reason, "look at Patroni's log")


def _members(subject: Subject, cluster: dict[str, Any] | None, options: PatroniOptions) -> Sequence[Diagnosis]:
    """Members of the cluster that the estate does not have, as this one knows them."""
    if cluster is None:
        reason = "the members are not told: Patroni does not read its store (DCS)"
        return (subject.unknown(Asked.NAME, reason, "repair the store, then ask again"),)
    names = {member.name for member in parse_members(cluster)}
    missing = sorted(names - set(options.nodes) - {""})
    if not missing:
        return ()
    reason = f"the cluster also has {', '.join(missing)}, which the estate does not have"
    return (subject.warns(Asked.NAME, reason, "add it below nodes: a leader there would not be seen"),)


def _as_a_whole(subject: Subject, told: dict[str, tuple[str, bool]], nodes: int) -> list[Diagnosis]:
    """Exactly one node leads, by its manager and its server."""
    leaders = [node for node, (role, _) in told.items() if role in LEADS]
    unread = [node for node, (_, proven) in told.items() if not proven]
    if len(leaders) == 1:
        said = f"{leaders[0]} leads, {len(told) - 1} of {nodes - 1} others follow"
        if not unread:
            return [subject.passes(Asked.ROLE, said)]
        reason = f"{said}, by Patroni's word alone: PostgreSQL of {', '.join(unread)} was not reached"
        return [subject.unknown(Asked.ROLE, reason, "let this host reach it at `postgres`, then ask again")]
    if len(leaders) > 1:
        way_out = "look at the cluster now: patronictl list"
        return [subject.fails(Asked.ROLE, f"{' and '.join(leaders)} say that they lead", way_out)]
    reason = f"no node that answers leads ({len(told)} of {nodes} told their role)"
    return [subject.unknown(Asked.ROLE, reason, "look at the cluster: patronictl list")]


def _left(end: float) -> float:
    return max(0.01, end - time.monotonic())
