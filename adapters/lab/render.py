"""The components' configuration files, rendered from the topology. Templates are in `config/lab`."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

import adapters
from adapters.lab.files import write_private
from adapters.lab.targets import Bench
from adapters.lab.topology import (
    KEY_ALGORITHM,
    KEY_NAME,
    LOCAL,
    SCOPE,
    SITES,
    STANDBY_SCOPE,
    TTL,
    UPSTREAM,
    ZONE,
    Credentials,
    Node,
    Topology,
)

LAB_SLOT = "lab_reader"
"""A slot of a consumer beside the cluster, which Patroni leaves alone."""
SHARED = {
    "wal_level": "logical",
    "wal_log_hints": "on",  # pg_rewind needs it where checksums are off
    "max_connections": 60,
    "max_wal_senders": 8,
    "max_replication_slots": 8,
    "track_commit_timestamp": "on",
    "archive_mode": "on",
    "archive_command": "true",  # the lab keeps no archive; a fault lets it fail
}
"""Settings of PostgreSQL that are alike on all nodes of a cluster."""
OWN = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "wal_keep_size": "64MB",
    "wal_sender_timeout": "10s",
    "wal_receiver_timeout": "5s",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "500ms",
}
"""Settings of each server."""
HBA = ("host all all 127.0.0.0/8 scram-sha-256", "host replication replication 127.0.0.0/8 scram-sha-256")
CONFIG = Path(adapters.__file__).parents[1] / "config"
TEMPLATES = CONFIG / "lab"


def _fill(template: str, **values: object) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)


def haproxy(topology: Topology, site: str, *, databases: bool, apps: bool) -> str:
    """One site's `haproxy.cfg`; backends are empty where their servers are not part of this lab."""
    here = topology.behind(site) if apps else []
    servers: dict[str, str] = {}
    for service in ("checkout", "catalog"):
        servers[service] = "\n".join(
            f"  server {app.server} {LOCAL}:{topology.links[f'haproxy-{site}-{app.server}']}"
            f" check inter 500ms fall 2 rise 1 weight {0 if app.server == 'green' else 100}"
            for app in here
            if app.service == service
        )
    listeners = []
    if databases:
        for name, port, role in (
            ("pg_rw", topology.pg_rw, "primary"),
            ("pg_ro", topology.pg_ro, "replica"),
        ):
            lines = "\n".join(_database_server(topology, site, node) for node in topology.nodes.values())
            listeners.append(
                _fill("haproxy-database.cfg", name=name, host=SITES[site], port=port, role=role, servers=lines)
            )
    return _fill(
        "haproxy.cfg",
        socket=topology.socket_of(site),
        host=SITES[site],
        stats=topology.stats,
        frontend=topology.frontend,
        databases="\n".join(listeners),
        **servers,
    )


def _database_server(topology: Topology, site: str, node: Node) -> str:
    port = topology.links[f"haproxy-{site}-{node.name}"]
    check = f"check addr {node.host} port {node.api} inter 500ms fall 2 rise 1"
    return f"  server {node.name} {LOCAL}:{port} {check} on-marked-down shutdown-sessions"


def patroni(topology: Topology, node: Node, credentials: Credentials, bin_dir: Path) -> str:
    """One member's configuration. JSON, which every YAML reader accepts."""
    others = [f"{peer.host}:{peer.raft}" for peer in topology.peers(node).values() if peer is not node]
    home = node.data.parent
    return json.dumps(
        {
            "scope": STANDBY_SCOPE if node.name in topology.standby else SCOPE,
            "name": node.name,
            "tags": {"failover_priority": 2 if node.site == "east" else 1},
            "restapi": {
                "listen": f"{node.host}:{node.api}",
                "connect_address": f"{node.host}:{node.api}",
                "authentication": {"username": "recovery", "password": credentials.api},
            },
            "raft": {
                "data_dir": str(home / "raft"),
                "self_addr": f"{node.host}:{node.raft}",
                "bind_addr": f"{node.host}:{node.raft_own}",
                "partner_addrs": others,
            },
            "bootstrap": {
                "dcs": {
                    "ttl": 20,  # Patroni raises lower values to this
                    "loop_wait": 1,
                    "retry_timeout": 3,
                    "primary_start_timeout": 5,
                    "ignore_slots": [{"name": LAB_SLOT}],
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": SHARED},
                    **_follows(topology, node),
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "scram-sha-256"}, "no-sync"],
            },
            "postgresql": _postgresql(topology, node, credentials, bin_dir),
        },
        indent=1,
    )


def _follows(topology: Topology, node: Node) -> dict[str, object]:
    """Whom the cluster of a node follows, where it is a standby cluster."""
    if node.name not in topology.standby:
        return {}
    upstream = {"host": LOCAL, "port": topology.links[UPSTREAM], "create_replica_methods": ["basebackup"]}
    return {"standby_cluster": upstream}


def _postgresql(topology: Topology, node: Node, credentials: Credentials, bin_dir: Path) -> dict[str, object]:
    return {
        "listen": f"{node.host}:{node.postgres}",
        "connect_address": f"{node.host}:{node.inbound}",
        "data_dir": str(node.data),
        "bin_dir": str(bin_dir),
        "pgpass": str(node.data.parent / "pgpass"),
        "basebackup": ["no-sync", {"checkpoint": "fast"}],
        "parameters": {
            "unix_socket_directories": str(topology.root),
            **OWN,
        },
        "authentication": {
            "superuser": {"username": "superuser", "password": credentials.superuser},
            "replication": {"username": "replication", "password": credentials.replication},
            "rewind": {"username": "rewind", "password": credentials.rewind},
        },
        "pg_hba": list(HBA),
    }


def prometheus(topology: Topology, present: set[str]) -> str:
    """Prometheus' configuration: scrapes every second, sends alerts to Alertmanager when that is present."""
    jobs: list[dict[str, object]] = []

    def scrape(job: str, targets: list[tuple[str, dict[str, str]]]) -> None:
        static = [{"targets": [address], "labels": labels} for address, labels in targets]
        jobs.append({"job_name": job, "static_configs": static})

    if "apps" in present:
        each = topology.apps.values()
        scrape("apps", [(f"{app.host}:{app.port}", {"site": app.site, "server": app.server}) for app in each])
    if "haproxy" in present:
        scrape("haproxy", [(f"{host}:{topology.stats}", {"site": site}) for site, host in SITES.items()])
    if "postgres" in present:
        nodes = topology.nodes.values()
        if "patroni" in present:
            scrape("patroni", [(f"{n.host}:{n.api}", {"node": n.name, "site": n.site}) for n in nodes])
        scrape("postgres", [(f"{LOCAL}:{topology.exporter}", {})])
    alertmanagers = [{"static_configs": [{"targets": [f"{LOCAL}:{topology.alertmanager}"]}]}]
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"},
            "rule_files": [str(TEMPLATES / "rules.yml")],
            "alerting": {"alertmanagers": alertmanagers if "alertmanager" in present else []},
            "scrape_configs": jobs,
        },
        indent=1,
    )


def alertmanager() -> str:
    """Alertmanager's configuration: it keeps alerts and silences, and sends no notifications."""
    route = {"receiver": "console", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"}
    return json.dumps({"route": route, "receivers": [{"name": "console"}]})


def named(topology: Topology, credentials: Credentials) -> str:
    """BIND's configuration for the one zone, which the key may update."""
    return _fill(
        "named.conf",
        root=topology.root,
        key=KEY_NAME,
        algorithm=KEY_ALGORITHM,
        secret=credentials.tsig,
        port=topology.dns,
        zone=ZONE,
    )


def write_all(bench: Bench) -> None:
    """Write the configuration of every component that is present into the lab's temporary directory."""
    topology, credentials, present = bench.topology, bench.credentials, bench.present
    files: dict[str, str] = {"shop-password": credentials.shop + "\n"}
    if "postgres" in present:
        bin_dir = bench.binaries["postgres"].path
        for name, node in {**topology.nodes, **topology.standby}.items():
            node.data.parent.mkdir(mode=0o700)
            if "patroni" in present:
                files[f"{name}.yml"] = patroni(topology, node, credentials, bin_dir)
    if "haproxy" in present:
        for site in SITES:
            text = haproxy(topology, site, databases="postgres" in present, apps="apps" in present)
            files[f"haproxy-{site}.cfg"] = text
    if "prometheus" in present:
        files["prometheus.yml"] = prometheus(topology, present)
    if "alertmanager" in present:
        files["alertmanager.yml"] = alertmanager()
    if "named" in bench.binaries:
        files["named.conf"] = named(topology, credentials)
        files["zone.db"] = zone()
    for name, text in files.items():
        write_private(topology.root / name, text)


def zone_records() -> dict[str, list[str]]:
    """The address records of the zone at the start: one name for each service, in both sites."""
    return {"checkout": sorted(SITES.values()), "catalog": sorted(SITES.values())}


def zone() -> str:
    """The zone as a master file for BIND."""
    lines = [f"{name} IN A {address}" for name, addresses in zone_records().items() for address in addresses]
    return _fill("zone.db", ttl=TTL, zone=ZONE, records="\n".join(lines))
