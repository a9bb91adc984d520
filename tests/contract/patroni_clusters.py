"""Clusters as Patroni 2 to 4 answers for them: shapes from public reports, served over HTTP on loopback addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

SYSTEM = "7443289212345678901"
Answers = dict[str, tuple[int, Any] | bytes | None]


def row(name: str, role: str, url: str, port: int, **more: Any) -> dict[str, Any]:
    """One member of `GET /cluster`; `port` is its PostgreSQL's."""
    base = {"name": name, "role": role, "state": "running", "api_url": f"{url}/patroni", "host": "127.0.0.1"}
    return {**base, "port": port, "timeline": 3, **more}


def own(scope: str, version: str, name: str = "", role: str = "replica", **more: Any) -> dict[str, Any]:
    """`GET /patroni` of one member."""
    patroni = {"version": version, "scope": scope, **({"name": name} if name else {})}
    base = {"state": "running", "role": role, "server_version": 150004, "timeline": 3}
    return {**base, "database_system_identifier": SYSTEM, "patroni": patroni, **more}


Build = Callable[[str, int], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]
"""From the URL of the server and a port to what it answers: /patroni, /cluster and /config."""


def _named(names: Sequence[str], roles: Sequence[str], version: str, scope: str = "orders", **more: Any) -> Build:
    def build(url: str, port: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        members = [row(name, role, url, port) for name, role in zip(names, roles, strict=True)]
        config = {"ttl": 30, "loop_wait": 10, "maximum_lag_on_failover": 2_097_152, **more.get("config", {})}
        return own(scope, version, role="master"), {"members": members, **more.get("cluster", {})}, config

    return build


def _odd_members(url: str, port: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    members = [
        row("n1", "leader", url, port),
        row("n2", "replica", url, port, state="creating replica"),
        row("n3", "replica", url, port, state="some new state", lag="unknown"),
        {"name": "n4", "role": "replica", "state": "starting"},
    ]
    return own("orders", "4.0.6"), {"members": members}, {"ttl": 30}


def _tagged(url: str, port: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    members = [
        row("pg-0", "leader", url, port, tags={"datacenter": "Frankfurt", "nofailover": True}),
        row("pg-1", "sync_standby", url, port, tags={"datacenter": "dublin"}),
    ]
    return own("orders", "3.3.2"), {"members": members}, {"ttl": 30, "synchronous_mode": True}


def _garbled(url: str, port: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    members: list[Any] = [None, 7, {}, {"name": None}, {"name": "n1", "port": "5432", "host": 9, "api_url": []}]
    return own("orders", "3.0.0"), {"members": members}, {"ttl": "often"}


CLUSTERS: Mapping[str, Build] = {
    "2.1 with master": _named(["pg1", "pg2"], ["leader", "replica"], "2.1.4"),
    "3.0 of three": _named(["n1", "n2", "n3"], ["leader", "replica", "replica"], "3.0.2"),
    "4.1 with quorum": _named(
        ["n0", "n1"], ["leader", "quorum_standby"], "4.1.0", config={"synchronous_mode": "quorum"}
    ),
    "standby cluster": _named(["dr1", "dr2"], ["standby_leader", "replica"], "3.2.1"),
    "no leader": _named(["n1", "n2"], ["replica", "replica"], "3.1.0"),
    "paused": _named(["n1", "n2"], ["leader", "replica"], "4.0.1", cluster={"pause": True}),
    "one member": _named(["only"], ["leader"], "3.3.0"),
    "names with dots": _named(["pg1.east.example.org", "pg2.west.example.org"], ["leader", "replica"], "3.3.0"),
    "names of 60 characters": _named(["a" * 60, "b" * 60], ["leader", "replica"], "3.3.0"),
    "names with colons": _named(["pg:1", "pg:2"], ["leader", "replica"], "3.3.0"),
    "names of other alphabets": _named(["база-1", "データ-2"], ["leader", "replica"], "3.3.0"),
    "a name with an escape": _named(["n1\x1b[31m", "n2"], ["leader", "replica"], "3.3.0"),
    "an odd scope": _named(["n1", "n2"], ["leader", "replica"], "3.3.0", scope="team/orders db"),
    "unknown states": _odd_members,
    "tags and synchronous": _tagged,
    "what is no cluster": _garbled,
}


def served(build: Build, url: str, port: int) -> Answers:
    """What the server answers by path."""
    told, cluster, config = build(url, port)
    return {"GET /patroni": (200, told), "GET /cluster": (200, cluster), "GET /config": (200, config)}
