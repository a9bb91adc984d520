"""Whether replication is encrypted on its way, by the living connection: a setting changes only the next one."""

from __future__ import annotations

from dataclasses import dataclass

from state.api.views.causes import Cause
from state.diagnosis.judging import RENEW_WITHIN
from state.health import Health
from state.units import counted
from state.verdicts.cause_parts import database_cause
from state.verdicts.cluster import ClusterFacts
from state.verdicts.replication import ClusterVerdict
from state.verdicts.senders import sender_of, upstream_of
from state.world.postgres_parts import WalSender
from state.world.readings import PatroniReading, PostgresReading

RENEW_NOW = 3
"""Days of a certificate that are red; those within which `check --connect` warns are amber."""


@dataclass(frozen=True, slots=True)
class ReplicationEdge:
    """One stream in the direction now in force: from a node to a node, and the sender's row of it."""

    upstream: str
    node: str
    between_sites: bool
    sender: WalSender

    @property
    def plain(self) -> bool:
        """Whether it is known to go over a network without encryption."""
        transport = self.sender.transport
        return transport is not None and not transport.version and not transport.local


def edges(facts: ClusterFacts) -> tuple[ReplicationEdge, ...]:
    """Every stream between nodes of the estate whose sender answers."""
    servers = [node.postgres for node in facts.nodes.values() if node.postgres is not None]
    found = []
    for node in facts.nodes.values():
        reading = node.postgres
        upstream = None if reading is None or not reading.in_recovery else upstream_of(node.node, reading, servers)
        sender = None if upstream is None else sender_of(upstream, node.node, reading)
        if upstream is not None and sender is not None:
            apart = facts.nodes[upstream.node].site != node.site
            found.append(ReplicationEdge(upstream.node, node.node, apart, sender))
    return tuple(found)


def transport_words(sender: WalSender | None) -> str:
    """How a stream travels, in words; empty where there is none."""
    if sender is None:
        return ""
    transport = sender.transport
    if transport is None:
        return "not told"
    if transport.version:
        return f"{transport.version} {transport.cipher}".strip()
    return "not over a network" if transport.local else "plain text"


def edge_transport(sender: WalSender | None, upstream: PostgresReading | None) -> str:
    """The same with how long the certificate is good for that the upstream serves to a stream that is made anew."""
    words = transport_words(sender)
    if not words.startswith("TLS"):
        return words
    days = upstream.certificate_days if upstream is not None else None
    return f"{words}, certificate {days_left(days) if days is not None else 'not known'}"


def agent_certificate(agent: PatroniReading | None) -> str:
    """The same of a manager's agent; empty where it has none."""
    if agent is None or (agent.certificate_days is None and not agent.certificate_unread):
        return ""
    return "cannot be read" if agent.certificate_days is None else days_left(agent.certificate_days)


def days_left(days: int) -> str:
    """`for 45 days`, `for less than a day`, `expired`."""
    if days < 0:
        return "expired"
    return "for less than a day" if days < 1 else f"for {counted(days, 'day')}"


def certificate_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Certificates of servers and agents that end soon or have ended: streams and sessions that are open go on, and
    the next one of them is refused."""
    found = []
    for node in cluster.facts.nodes.values():
        for reading, whose, code, refused in (
            (node.postgres, node.node, "certificate", f"who connects anew to {node.node}"),
            (node.patroni, f"Patroni at {node.node}", "agent-certificate", "members and engine that ask it"),
        ):
            if reading is not None and reading.certificate_unread:
                found.append(_unread(cluster, f"{node.node}/{code}-unread", whose))
            if reading is not None and reading.certificate_refused:
                found.append(_refused(cluster, f"{node.node}/{code}-refused", whose, reading.certificate_refused))
            days = None if reading is None else reading.certificate_days
            if days is None or days >= RENEW_WITHIN:
                continue
            ended = "has expired" if days < 0 else f"is good {days_left(days)}"
            what = f"the certificate of {whose} {ended}"
            will = "are" if days < 0 else "will be"
            steps = (
                "By hand: renew it and let the server read it (select pg_reload_conf(), or patronictl reload)."
                f" Connections that are open go on; {refused} with verification {will} refused."
            )
            health = Health.FAIL if days < RENEW_NOW else Health.WARN
            found.append(database_cause(cluster, f"{node.node}/{code}", health, what, steps))
    return found


def _refused(cluster: ClusterVerdict, code: str, whose: str, why: str) -> Cause:
    """It was renewed and does not belong to the CA, or to the name that is asked for: what is open goes on."""
    steps = (
        "By hand: hold what it serves (openssl s_client -connect HOST:PORT -showcerts, for PostgreSQL with -starttls"
        " postgres) against the CA that its clients have: put back the former certificate, or give clients, members and"
        " this engine the new CA. Connections that are open go on; who connects anew with verification is refused."
    )
    what = f"the certificate that {whose} serves now is not believed here ({why.removeprefix('TLS refused: ')})"
    return database_cause(cluster, code, Health.FAIL, what, steps)


def _unread(cluster: ClusterVerdict, code: str, whose: str) -> Cause:
    """The server or agent answers over an open connection, and shows no certificate to one that is made anew."""
    steps = (
        "By hand: connect anew as its clients do (openssl s_client -connect HOST:PORT, for PostgreSQL with -starttls"
        " postgres), look at the certificate and at its server's log. Connections that are open go on."
    )
    what = f"the certificate of {whose} cannot be read: when it ends is not known"
    return database_cause(cluster, code, Health.WARN, what, steps)


def transport_causes(cluster: ClusterVerdict) -> list[Cause]:
    """Plain text between sites; inside one site it is only shown."""
    found = []
    for edge in edges(cluster.facts):
        if not (edge.plain and edge.between_sites):
            continue
        what = f"replication from {edge.upstream} to {edge.node} is plain text between sites"
        steps = (
            f"By hand: ssl = on at {edge.upstream}, hostssl in its pg_hba.conf, sslmode=verify-full in primary_conninfo"
            f" of {edge.node}; then restart the receiver of {edge.node}: a stream that is open stays as it is."
        )
        found.append(database_cause(cluster, f"{edge.node}/plain", Health.FAIL, what, steps))
    return found
