"""The shape of the lab: two sites on loopback, their nodes and apps, every port, every link and its two ends.

All of 127.0.0.0/8 is local on Linux, so each site has an address of its own and the same port numbers as the other:
an A record really moves traffic.
"""

from __future__ import annotations

import base64
import hashlib
import random
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

SITES = {"east": "127.0.1.10", "west": "127.0.2.10"}
NODE_SITES = {"n1": "east", "n2": "east", "n3": "west"}
COLOURS = {"blue": "v41", "green": "v42"}
CATALOG_SERVERS = {"a": "east", "b": "west"}
"""The site of each; the balancers of both sites lead to both."""
CATALOG_RELEASE = "c12"
STANDBY_SITES = {"s1": "west", "s2": "west"}
SCHEMA_VERSION, CONTRACTED = 12, 13
"""The version of the schema at the start, and after a step that the older release does not survive."""
SCOPE = "orders"
STANDBY_SCOPE = "orders-west"
"""The standby cluster that follows the other one, where the lab has it."""
UPSTREAM = "standby-upstream"
"""The link by which it reaches the primary."""
ZONE = "lab.test"
TTL = 5
KEY_NAME = "recovery."
KEY_ALGORITHM = "hmac-sha256"
LOCAL = "127.0.0.1"
SINGLE_PORTS = ("frontend", "stats", "pg_rw", "pg_ro", "dns", "prometheus", "alertmanager", "exporter")
PORTS = range(15_000, 32_000)  # below the kernel's ephemeral range, so no outgoing connection takes one meanwhile


def digest_of(service: str, release: str) -> str:
    """The digest of a release's artifact; the lab builds none, so it is that of its name."""
    return f"sha256:{hashlib.sha256(f'{service} {release}'.encode()).hexdigest()}"


class PortPlan:
    """Chooses free ports and reserves them until `release`, so that no two components get the same one."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._random = random.SystemRandom()

    def choose(self) -> int:
        """A TCP and UDP port that is free on every local address. Raises OSError when 200 tries found none."""
        for _ in range(200):
            port = self._random.choice(PORTS)
            if self._reserve(port):
                return port
        raise OSError(f"no free port between {PORTS.start} and {PORTS.stop}")

    def _reserve(self, port: int) -> bool:
        pair = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        try:
            for each in pair:
                each.bind(("", port))
        except OSError:
            for each in pair:
                each.close()
            return False
        self._held += pair
        return True

    def release(self) -> None:
        for each in self._held:
            each.close()
        self._held.clear()


@dataclass(frozen=True, slots=True)
class Node:
    """A Patroni member and its PostgreSQL."""

    name: str
    site: str
    host: str
    postgres: int
    api: int
    raft: int  # the port where the other members reach its raft, through its link
    raft_own: int
    inbound: int  # the port where the other members reach its PostgreSQL, through the replication links
    data: Path


@dataclass(frozen=True, slots=True)
class App:
    """One server of a backend: a port of a demo app's process."""

    name: str  # blue-east
    server: str  # blue, as HAProxy calls it
    service: str
    release: str
    site: str
    host: str
    port: int
    process: str


@dataclass(slots=True)
class Topology:
    """Everything that has an address. Built once, before anything starts."""

    root: Path
    nodes: dict[str, Node]
    apps: dict[str, App]
    frontend: int
    stats: int
    pg_rw: int
    pg_ro: int
    dns: int
    prometheus: int
    alertmanager: int
    exporter: int
    links: dict[str, int] = field(default_factory=dict)  # link -> port where it listens
    standby: dict[str, Node] = field(default_factory=dict)  # members of the standby cluster

    def socket_of(self, site: str) -> Path:
        """HAProxy's own stats socket of a site."""
        return self.root / f"haproxy-{site}.sock"

    def proxied_socket_of(self, site: str) -> Path:
        """The engine's path to that socket, through its link."""
        return self.root / f"engine-haproxy-{site}.sock"

    def url(self, link: str, path: str = "") -> str:
        """The HTTP address of a link from the engine."""
        return f"http://{LOCAL}:{self.links[link]}{path}"

    def peers(self, node: Node) -> dict[str, Node]:
        """The members of a node's own cluster."""
        return self.standby if node.name in self.standby else self.nodes

    def ports(self) -> dict[str, int]:
        """The ports that are the same in both sites, and those of the single components."""
        return {name: getattr(self, name) for name in SINGLE_PORTS}

    def behind(self, site: str) -> list[App]:
        """The servers that a site's balancer leads to."""
        return [app for app in self.apps.values() if app.site == site or app.service == "catalog"]

    @property
    def processes(self) -> list[str]:
        return sorted({app.process for app in self.apps.values()})


def build(root: Path, ports: PortPlan, nodes: int, *, followed: bool = False) -> Topology:
    """Choose every port. Raises OSError when no free port is left."""
    members = {name: _node(root, ports, name, site) for name, site in list(NODE_SITES.items())[:nodes]}
    standby = {name: _node(root, ports, name, site) for name, site in STANDBY_SITES.items()} if followed else {}
    apps: dict[str, App] = {}
    for site, host in SITES.items():
        for colour, release in COLOURS.items():
            name = f"{colour}-{site}"
            apps[name] = App(name, colour, "checkout", release, site, host, ports.choose(), f"app-{name}")
    for server, site in CATALOG_SERVERS.items():
        name = f"catalog-{server}"
        apps[name] = App(name, server, "catalog", CATALOG_RELEASE, site, SITES[site], ports.choose(), f"app-{name}")
    return Topology(
        root=root,
        nodes=members,
        standby=standby,
        apps=apps,
        frontend=ports.choose(),
        stats=ports.choose(),
        pg_rw=ports.choose(),
        pg_ro=ports.choose(),
        dns=ports.choose(),
        prometheus=ports.choose(),
        alertmanager=ports.choose(),
        exporter=ports.choose(),
    )


def _node(root: Path, ports: PortPlan, name: str, site: str) -> Node:
    chosen = {key: ports.choose() for key in ("postgres", "api", "raft", "raft_own", "inbound")}
    return Node(name=name, site=site, host=SITES[site], data=root / name / "data", **chosen)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The lab's secrets, made anew for each lab."""

    superuser: str
    replication: str
    rewind: str
    recovery: str
    ops: str
    shop: str
    api: str
    tsig: str


def make_credentials() -> Credentials:
    """Random passwords (URL-safe) and a TSIG key (base64, as BIND expects)."""
    superuser, replication, rewind, recovery, ops, shop, api = (secrets.token_urlsafe(18) for _ in range(7))
    tsig = base64.b64encode(secrets.token_bytes(32)).decode()
    return Credentials(superuser, replication, rewind, recovery, ops, shop, api, tsig)
