"""Builds the links: which proxies exist, what each connects, and how to set their modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from adapters.lab.links.links import Mode, NetworkLink
from adapters.lab.links.proxies import DatagramProxy, StreamProxy
from adapters.lab.links.startup import StartupProxy
from adapters.lab.topology import LOCAL, SITES, UPSTREAM, Node, Topology


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A link as people see it: its listening address, its mode, and how often it was used."""

    name: str
    description: str
    mode: str
    delay: float
    accepted: int
    connections: int
    listens: str


class Wiring:
    """All links of one lab."""

    def __init__(self, topology: Topology, choose: Callable[[], int]) -> None:
        self._topology = topology
        self._choose = choose
        self._links: dict[str, NetworkLink] = {}
        self._listens: dict[str, str] = {}
        self._proxies: list[StreamProxy | DatagramProxy] = []

    def build(self, present: set[str]) -> None:
        """Plan every link whose far end is part of this lab. Nothing listens before `start`."""
        if "postgres" in present:
            self._postgres(present)
        if "apps" in present:
            self._apps(present)
        if "haproxy" in present:
            self._haproxy()
        for monitor in ("prometheus", "alertmanager"):
            if monitor in present:
                port: int = getattr(self._topology, monitor)
                self._tcp(f"engine-{monitor}", f"engine to {monitor}", (LOCAL, port))
        if "dns" in present:
            link = self._tcp("engine-dns", "engine to the DNS server, TCP and UDP", (LOCAL, self._topology.dns))
            here = (LOCAL, self._topology.links[link.name])
            self._proxies.append(DatagramProxy(link, here, (LOCAL, self._topology.dns)))

    def _add(self, name: str, description: str) -> NetworkLink:
        self._links[name] = NetworkLink(name, description)
        return self._links[name]

    def _tcp(self, name: str, description: str, upstream: tuple[str, int]) -> NetworkLink:
        link = self._add(name, description)
        port = self._choose()
        self._topology.links[name] = port
        self._listens[name] = f"{LOCAL}:{port}"
        self._proxies.append(StreamProxy(link, (LOCAL, port), upstream))
        return link

    def _postgres(self, present: set[str]) -> None:
        nodes = {**self._topology.nodes, **self._topology.standby}
        if self._topology.standby:
            about = "the standby cluster to the primary, through HAProxy east"
            self._tcp(UPSTREAM, about, (SITES["east"], self._topology.pg_rw))
        standbys = {name: self._add(f"replication-{name}", f"{name} to its primary") for name in nodes}
        other = self._add("replication-other", "base backups and rewinds between nodes")
        for name, node in nodes.items():
            self._tcp(f"engine-postgres-{name}", f"engine to PostgreSQL {name}", (node.host, node.postgres))
            if "patroni" in present:
                self._patroni(name, node)
            inbound = (node.host, node.inbound)
            self._proxies.append(StartupProxy(standbys, other, inbound, (node.host, node.postgres)))
            self._listens[f"replication-{name}"] = "the inbound address of every other node"
            if "haproxy" in present and name in self._topology.nodes:
                for site in SITES:
                    about = f"HAProxy {site} to PostgreSQL {name}"
                    self._tcp(f"haproxy-{site}-{name}", about, (node.host, node.postgres))
        self._listens["replication-other"] = "the inbound address of every node"

    def _patroni(self, name: str, node: Node) -> None:
        self._tcp(f"engine-patroni-{name}", f"engine to Patroni {name}", (node.host, node.api))
        raft = self._add(f"raft-{name}", f"the other members to the raft of {name}")
        self._listens[raft.name] = f"{node.host}:{node.raft}"
        self._proxies.append(StreamProxy(raft, (node.host, node.raft), (node.host, node.raft_own)))

    def _apps(self, present: set[str]) -> None:
        for app in self._topology.apps.values():
            about = f"engine to the metrics of {app.name}"
            self._tcp(f"engine-metrics-{app.name}", about, (app.host, app.port))
        for site in SITES if "haproxy" in present else ():
            for app in self._topology.behind(site):
                about = f"HAProxy {site} to {app.service} server {app.server}"
                self._tcp(f"haproxy-{site}-{app.server}", about, (app.host, app.port))

    def _haproxy(self) -> None:
        for site, host in SITES.items():
            link = self._add(f"engine-haproxy-{site}", f"engine to HAProxy {site}")
            here = self._topology.proxied_socket_of(site)
            self._listens[link.name] = str(here)
            self._proxies.append(StreamProxy(link, here, self._topology.socket_of(site)))
            frontend = (host, self._topology.frontend)
            self._tcp(f"engine-probe-{site}", f"engine's own requests to the frontend {site}", frontend)

    async def start(self) -> None:
        """Open every listening address. Raises OSError when one is taken."""
        for proxy in self._proxies:
            await proxy.start()

    async def stop(self) -> None:
        for proxy in self._proxies:
            await proxy.stop()

    def names(self) -> list[str]:
        return sorted(self._links)

    def link(self, name: str) -> NetworkLink:
        """The link of that name. Raises KeyError."""
        return self._links[name]

    async def set(self, name: str, mode: Mode, delay: float = 0.3) -> LinkStatus:
        """Change a link. Raises KeyError when there is no such link."""
        await self._links[name].set(mode, delay)
        return self.status_of(name)

    def status_of(self, name: str) -> LinkStatus:
        link = self._links[name]
        listens = self._listens.get(name, "")
        return LinkStatus(name, link.description, link.mode.value, link.delay, link.accepted, link.connections, listens)

    def status(self) -> dict[str, dict[str, object]]:
        return {name: asdict(self.status_of(name)) for name in self.names()}
