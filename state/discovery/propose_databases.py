"""Clusters under Patroni become entries of an estate, and the backends that lead to them its frontends."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from state.discovery.answers import Answers
from state.discovery.found import FoundBackend, FoundCluster, FoundMember
from state.discovery.names import made_valid, role_in, valid
from state.discovery.placing import Placing
from state.discovery.proposal import Basis, Note, Proposal, Tree, listed
from state.estate.addresses import host_and_scheme, is_loopback, wrong_address, wrong_url

READER = "recovery"
"""The name of the reading role in docs/security.md."""
_DATABASE_WORDS = re.compile(
    r"(?:^|[^a-z])(?:pg|postgres|postgresql|pgsql|psql|patroni|pgbouncer)(?:rw|ro|primary|replicas?|master|standby)?\d*(?:[^a-z]|$)"
)
_DATABASE_SHORT = re.compile(r"(?:^|[^a-z])(?:db|database|mysql|mariadb)(?:[^a-z]|$)")
_DATABASE_PORTS = ("5432", "5433", "6432")
_LEADERS = frozenset({"leader", "standby_leader"})


@dataclass(frozen=True, slots=True)
class Frontend:
    """A backend that leads to a cluster. `role` is empty when nothing tells it; `renamed` when its servers are not
    called like the members."""

    cluster: FoundCluster
    backend: str
    role: str
    how: str
    renamed: bool = False


def merged(clusters: Iterable[FoundCluster]) -> list[FoundCluster]:
    """One entry for each cluster, whichever of its members were given as addresses: by scope and members."""
    found: dict[tuple[str, frozenset[str]], FoundCluster] = {}
    for each in clusters:
        found.setdefault((each.scope, frozenset(member.name for member in each.members)), each)
    return list(found.values())


def frontend_of(backend: FoundBackend, clusters: Sequence[FoundCluster]) -> Frontend | None:
    """The cluster that the servers of a backend are members of, and the role they have there."""
    for cluster in clusters:
        members = {member.name: member for member in cluster.members}
        by_host = {member.host: member for member in cluster.members if member.host}
        hosts = [server.address.rpartition(":")[0].strip("[]") for server in backend.servers]
        named = all(server.name in members for server in backend.servers)
        ported = [server.address.rpartition(":")[2] for server in backend.servers]
        known = {str(member.port) for member in cluster.members} | set(_DATABASE_PORTS)
        placed = all(host in by_host for host in hosts) and all(port in known for port in ported)
        if not placed and not (named and _looks_like_database(backend)):
            continue
        role, how = _role(backend, members if named else {}, by_host)
        return Frontend(cluster, backend.name, role, how, renamed=not named)
    return None


def is_database(backend: FoundBackend) -> bool:
    """Whether a backend looks like the way to a database that nobody named an address of."""
    return _looks_like_database(backend)


def _looks_like_database(backend: FoundBackend) -> bool:
    """By how its servers are checked, by their ports or names, or by its own name."""
    if backend.by_role or _DATABASE_WORDS.search(backend.name.lower()):
        return True
    ported = all(server.address.rpartition(":")[2] in _DATABASE_PORTS for server in backend.servers)
    named = all(_DATABASE_WORDS.search(server.name.lower()) for server in backend.servers)
    short = backend.mode != "http" and _DATABASE_SHORT.search(backend.name.lower()) is not None
    return ported or named or short


def _role(backend: FoundBackend, members: dict[str, FoundMember], by_host: dict[str, FoundMember]) -> tuple[str, str]:
    """By which members its servers are up now, and by its name; nothing where the two disagree."""
    said = role_in(backend.name)
    up = [
        members.get(server.name) or by_host.get(server.address.rpartition(":")[0].strip("[]"))
        for server in backend.servers
        if server.up
    ]
    leading = {member is not None and member.role in _LEADERS for member in up}
    seen = {frozenset({True}): "primary", frozenset({False}): "standby"}.get(frozenset(leading), "")
    if seen and said and seen != said:
        return "", f"its name says {said}, its servers that are up say {seen}"
    if seen and len(up) < len(backend.servers):
        return seen, "its servers that are up now" + (" and its name" if said else "")
    return said, "its name" if said else "neither its name nor its servers tell the role"


def propose_databases(
    proposal: Proposal,
    clusters: Sequence[FoundCluster],
    frontends: Sequence[Frontend],
    answers: Answers,
    placing: Placing,
    taken: Collection[str],
) -> None:
    """Write every cluster that an estate can hold; the others are withheld with their reason."""
    names = set(taken)
    for cluster in clusters:
        name = made_valid(cluster.scope, names, "database")
        if name != cluster.scope and cluster.scope in names:
            name = made_valid(f"{cluster.scope}-db", names)
        names.add(name)
        _propose(proposal, cluster, name, [each for each in frontends if each.cluster is cluster], answers, placing)


def _propose(
    proposal: Proposal,
    cluster: FoundCluster,
    name: str,
    frontends: Sequence[Frontend],
    answers: Answers,
    placing: Placing,
) -> None:
    path = ("databases", name)
    entry: Tree = {"kind": "patroni", "scope": cluster.scope}
    nodes = _nodes(proposal, cluster, name, placing)
    wire = _wire(cluster, nodes)
    rpo = _rpo(cluster, answers)
    entry |= {"rpo": rpo[0], "database": "postgres", "user": READER, "password": {"file": f"secrets/{name}-postgres"}}
    entry["tls"] = wire.tls
    if cluster.ca:
        entry["ca"] = cluster.ca
    if fronts := _frontends(proposal, name, frontends):
        entry["frontends"] = fronts
    entry["nodes"] = nodes
    why, way_out = _refused(cluster, nodes)
    if why:
        proposal.withhold(path, entry, why, way_out)
        proposal.say(f"databases.{name}", why, way_out)
        return
    if wire.plain and not proposal.goes_plain(path, entry, wire.plain, answers.waive):
        return
    proposal.put(path, entry, Basis.MEASURED, f"{cluster.address}, Patroni {cluster.version or 'of unknown version'}")
    proposal.put((*path, "tls"), wire.tls, wire.basis, wire.how)
    proposal.put((*path, "rpo"), *rpo)
    _say_of(proposal, cluster, name, frontends)


def _say_of(
    proposal: Proposal,
    cluster: FoundCluster,
    name: str,
    frontends: Sequence[Frontend],
) -> None:
    path = ("databases", name)
    proposal.put((*path, "user"), READER, Basis.PROPOSED, "the reading role, see docs/security.md")
    password = f"secrets/{name}-postgres"
    proposal.secrets[password] = f"the password of the PostgreSQL role {READER} of {name}"
    for each in frontends:
        if each.role and not each.renamed and valid(each.backend):
            basis = Basis.MEASURED if "up now" in each.how else Basis.GUESSED
            proposal.notes[(*path, "frontends", each.backend)] = Note(basis, each.how)
    for member in cluster.members:
        if member.name not in proposal.tree["databases"][name]["nodes"]:
            continue
        if member.answered:
            where = f"databases.{name}.nodes.{member.name}"
            proposal.notes[(*path, "nodes", member.name)] = Note(Basis.UNKNOWN, f"its API: {member.answered}")
            proposal.say(
                where, f"{member.api} did not confirm the member: {member.answered}", "see that it can be reached"
            )
    _say_state(proposal, cluster, name)


def _say_state(proposal: Proposal, cluster: FoundCluster, name: str) -> None:
    where = f"databases.{name}"
    proposal.say(
        where,
        "whether a switchover needs a credential is not known before one is tried",
        f"where Patroni asks for one: api_user: NAME, api_password: {{file: secrets/{name}-patroni}}",
    )
    roles = {member.role for member in cluster.members}
    if not roles & _LEADERS:
        proposal.say(where, "no member leads now", "the cluster is as it was found; look at it before anything else")
    if "standby_leader" in roles:
        text = "a standby cluster: it follows a primary of another cluster, and this version does not judge how well"
        proposal.say(where, text, "watch it where it is followed; the other cluster is an entry of its own")
    if cluster.paused:
        proposal.say(
            where,
            "Patroni is paused: nothing fails over by itself",
            f"when the maintenance is over: patronictl resume {cluster.scope}",
        )


def _nodes(proposal: Proposal, cluster: FoundCluster, name: str, placing: Placing) -> Tree:
    nodes: Tree = {}
    for member in cluster.members:
        server = f"[{member.host}]:{member.port}" if ":" in member.host else f"{member.host}:{member.port}"
        where = f"databases.{name}.nodes"
        missing = (
            "its name is none that an estate can hold"
            if not valid(member.name)
            else "Patroni tells no address of its server"
            if not member.host or wrong_address(server)
            else "Patroni tells no address of its API"
            if wrong_url(member.api)
            else ""
        )
        if missing:
            proposal.say(where, f"member {member.name} is left out: {missing}", "name it so that it can be read")
            continue
        hosts = [member.name, member.host, host_and_scheme(member.api)[0]]
        site = placing.site(("databases", name, "nodes", member.name), hosts, member.tags)
        nodes[member.name] = {"site": site, "postgres": server, "api": member.api}
    return nodes


@dataclass(frozen=True, slots=True)
class _Wire:
    """How the servers are reached: the value of `tls` and why; `plain` says what goes unencrypted to others."""

    tls: str
    basis: Basis
    how: str
    plain: str = ""


def _wire(cluster: FoundCluster, nodes: Tree) -> _Wire:
    offered = {member.name: member.encrypted for member in cluster.members if member.name in nodes}
    bare = [name for name, encrypted in offered.items() if encrypted is False]
    http = [name for name, node in nodes.items() if node["api"].startswith("http:")]
    far_servers = [n for n, node in nodes.items() if not is_loopback(node["postgres"].rpartition(":")[0].strip("[]"))]
    far_apis = [name for name, node in nodes.items() if not is_loopback(host_and_scheme(node["api"])[0])]
    if not far_servers and not far_apis and (bare or http):
        return _Wire("loopback", Basis.MEASURED, "plain text, on loopback addresses only")
    clear = [name for name in http if name in far_apis]
    said = f"Patroni of {listed(clear)} answers over http" if clear else ""
    if bare:
        servers = f"PostgreSQL of {listed(bare)} offers no TLS" if far_servers else ""
        both = "; ".join(each for each in (servers, said) if each)
        return _Wire("plain", Basis.MEASURED, "a server offers no TLS", both)
    if any(offered.values()):
        return _Wire("verify-full", Basis.MEASURED, "the servers offer TLS; whose certificate: not read", said)
    return _Wire("verify-full", Basis.UNKNOWN, "no server told whether it offers TLS", said)


def _refused(cluster: FoundCluster, nodes: Tree) -> tuple[str, str]:
    """Why the entry cannot be in an estate at all, and the way out."""
    if not nodes:
        return "none of its members can be written", "give the address of a member whose cluster lists them"
    left = [member.name for member in cluster.members if member.name not in nodes]
    if left:
        why = f"without {listed(left)} the cluster would be half of itself"
        return why, "give the members names and addresses that can be written, or add them by hand"
    if not valid(cluster.scope):
        return f"its scope is no name that an estate can hold: {cluster.scope}", "it cannot be read in this version"
    return "", ""


def _rpo(cluster: FoundCluster, answers: Answers) -> tuple[str, Basis, str]:
    if answers.rpo:
        return answers.rpo, Basis.ASKED, ""
    if cluster.synchronous:
        return "0B", Basis.PROPOSED, "it replicates synchronously"
    if cluster.tolerated is not None:
        return f"{cluster.tolerated}B", Basis.PROPOSED, "maximum_lag_on_failover of the cluster"
    return "0B", Basis.PROPOSED, "what it tolerates was not told"


def _frontends(proposal: Proposal, name: str, frontends: Sequence[Frontend]) -> Tree:
    found: Tree = {}
    for each in frontends:
        where = f"databases.{name}.frontends"
        if each.renamed:
            what = f"backend {each.backend} leads to it, but its servers are not called like the members"
            proposal.say(where, what, "call the servers in haproxy.cfg as Patroni calls the members")
        elif not valid(each.backend):
            proposal.say(where, f"backend {each.backend} leads to it, but an estate cannot hold its name", "")
        elif not each.role:
            proposal.say(
                where, f"backend {each.backend} leads to it: {each.how}", f"{each.backend}: primary or standby"
            )
        else:
            found[each.backend] = each.role
    return found
