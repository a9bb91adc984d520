"""The estate that describes this lab to the engine: `estate.yaml` and the files of its secrets."""

from __future__ import annotations

import io
import os
import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from adapters.lab.files import write_private
from adapters.lab.powers import ACTING, SECOND
from adapters.lab.process.children import python
from adapters.lab.render import CONFIG, zone_records
from adapters.lab.topology import (
    CATALOG_RELEASE,
    CATALOG_SERVERS,
    COLOURS,
    KEY_ALGORITHM,
    KEY_NAME,
    LOCAL,
    SCOPE,
    SITES,
    STANDBY_SCOPE,
    ZONE,
    Credentials,
    Node,
    Topology,
)

Tree = dict[str, object]
SCHEMA_QUERY = "select max(version) from schema_migrations"
HARD_STOP = "3s"
"""As in HAProxy's configuration, `config/lab/haproxy.cfg`."""
MIGRATE = "migrate-checkout"
SCHEMA: Tree = {"database": SCOPE, "query": SCHEMA_QUERY, "undo": {"command": MIGRATE}}
POWERS: Tree = {
    "act_user": ACTING,
    "act_password": {"file": "secrets/ops"},
    "access": {"known": ["replication"]},
}
NODE_ACTS = ("fence", "rejoin", "rebuild")
"""What the estate can do at the host of a node."""


def estate(topology: Topology, present: set[str], control: Path, second: Tree | None = None) -> Tree:
    """The estate as plain data, in the shape of `config/recovery.yaml`. Only what is present appears. With a `second`
    person nobody hands out power alone."""
    monitors = _monitors(topology, present)
    tree: Tree = {
        "estate": "lab",
        "environment": "lab",
        "sites": {site: {"title": site.capitalize(), "addresses": [host]} for site, host in SITES.items()},
        "people": {
            "you": {
                "title": "You",
                "accounts": [pwd.getpwuid(os.geteuid()).pw_name],
                "roles": ["commander", "responder"],
            },
            **({SECOND: second} if second else {}),
        },
        "services": _services(present, monitors) if {"apps", "haproxy"} <= present else {},
        "databases": _databases(topology, managed="patroni" in present) if "postgres" in present else {},
        "commands": {
            **(_node_commands(control, topology.nodes) if {"postgres", "patroni"} <= present else {}),
            **(_schema_command(control) if {"postgres", "apps", "haproxy"} <= present else {}),
        },
        "balancers": _balancers(topology) if "haproxy" in present else {},
        "zones": {ZONE: _zone(topology)} if "dns" in present else {},
        "monitors": monitors,
        "polling": {"every": "1s", "deadline": "900ms", "stale_after": "3s"},
        "runbooks": [str(CONFIG / "runbooks")],
        "policies": {
            "confirm": {"arm": "500ms", "plan_expires": "2m"},
            "second_person": [],
            **({"authority": {"power": {"risk": ["B4"], "approvers": 1}}} if second else {}),
        },
        "faults": {"kind": "lab", "control": str(control)},
    }
    return tree


def _services(present: set[str], monitors: Tree) -> Tree:
    sources = [name for name in ("prometheus", "apps") if name in monitors]
    database = [SCOPE] if "postgres" in present else []
    return {
        "checkout": {
            "tier": 1,
            "rto": "5m",
            "rpo": "1MB",
            "owners": ["you"],
            "depends_on": list(database),
            "state": "stateless",
            "traffic": {**_traffic("checkout"), "colours": dict(COLOURS)},
            "objectives": {"error_ratio": "1%", "p99": "300ms"},
            "metrics": {"monitors": list(sources), "service": "checkout"},
            **({"releases": {"schema": dict(SCHEMA)}} if database else {}),
        },
        "catalog": {
            "tier": 2,
            "rto": "15m",
            "rpo": "10MB",
            "owners": ["you"],
            "depends_on": ["checkout", *database],
            "state": "stateless",
            "traffic": {**_traffic("catalog"), "colours": _standing()},
            "objectives": {"error_ratio": "2%", "p99": "500ms"},
            "metrics": {"monitors": sources, "service": "catalog"},
        },
    }


def _standing() -> Tree:
    """Each server of the catalog where it stands."""
    return {server: {"release": CATALOG_RELEASE, "site": site} for server, site in CATALOG_SERVERS.items()}


def _traffic(backend: str) -> Tree:
    return {"balancers": [f"edge-{site}" for site in SITES], "backend": backend, "floor": 1}


def _databases(topology: Topology, *, managed: bool) -> Tree:
    found: Tree = {SCOPE: _database(topology, topology.nodes, SCOPE, managed=managed)}
    if topology.standby:
        found[STANDBY_SCOPE] = _database(topology, topology.standby, STANDBY_SCOPE, managed=managed)
    return found


def _database(topology: Topology, nodes: Mapping[str, Node], scope: str, *, managed: bool) -> Tree:
    patroni = {"scope": scope, "api_user": "recovery", "api_password": {"file": "secrets/patroni"}}
    led = nodes is topology.nodes  # nobody leads to a standby cluster, and the lab fences none of its nodes
    return {
        "kind": "patroni" if managed else "streaming",
        **(patroni if managed else {}),
        "rpo": "1MB",
        "database": "postgres",
        "user": "recovery",
        "password": {"file": "secrets/postgres"},
        "tls": "loopback",
        **(
            {"act_user": ACTING, "act_password": {"file": "secrets/ops"}, "access": {"known": ["replication"]}}
            if led
            else {}
        ),
        "frontends": {"pg_rw": "primary", "pg_ro": "standby"} if led else {},
        "nodes": {
            name: {
                "site": node.site,
                "postgres": f"{LOCAL}:{topology.links[f'engine-postgres-{name}']}",
                **({"api": topology.url(f"engine-patroni-{name}")} if managed else {}),
                **({act: f"{act}-node" for act in NODE_ACTS} if managed and led else {}),
            }
            for name, node in nodes.items()
        },
    }


def _node_commands(control: Path, nodes: Iterable[str]) -> Tree:
    """What an operator's scripts do at a node's host; they ask the lab's supervisor, whose children the nodes are."""

    def argv(act: str) -> list[str]:
        return [*python("adapters.lab.node_command", str(control), act), "${node}"]

    names = list(nodes)
    fence: Tree = {"read": {"argv": argv("state"), "done": [0], "not_done": [1]}, "timeout": "35s"}
    more: dict[str, Tree] = {"fence": fence, "rejoin": {"timeout": "2m"}, "rebuild": {"timeout": "2m"}}

    def params() -> Tree:
        return {"node": {"kind": "choice", "choices": list(names)}}

    return {f"{act}-node": {"argv": argv(act), "params": params(), **more[act]} for act in NODE_ACTS}


def _schema_command(control: Path) -> Tree:
    """What migrates checkout's schema, down and, by its undo, up again."""

    def argv(act: str) -> list[str]:
        return [*python("adapters.lab.schema_command", str(control), act), "${version}"]

    version = {"kind": "text", "pattern": "[0-9]{1,9}"}
    command: Tree = {
        "title": "Migrate checkout's schema",
        "argv": argv("to"),
        "params": {"version": version, "from": version},
        "read": {"argv": argv("at"), "done": [0], "not_done": [1]},
        "undo": {"command": MIGRATE, "args": {"version": "${from}", "from": "${version}"}},
        "services": ["checkout"],
        "downtime": "none",
        "loses_data": False,
    }
    return {MIGRATE: command}


def _balancers(topology: Topology) -> Tree:
    return {
        f"edge-{site}": {
            "kind": "haproxy",
            "site": site,
            "socket": str(topology.proxied_socket_of(site)),
            "hard_stop_after": HARD_STOP,
        }
        for site in SITES
    }


def _zone(topology: Topology) -> Tree:
    records = [{"name": name, "type": "A", "expect": list(addresses)} for name, addresses in zone_records().items()]
    return {
        "kind": "rfc2136",
        "servers": [f"{LOCAL}:{topology.links['engine-dns']}"],
        "key": {"name": KEY_NAME, "algorithm": KEY_ALGORITHM, "secret": {"file": "secrets/tsig"}},
        "records": records,
    }


def _monitors(topology: Topology, present: set[str]) -> Tree:
    monitors: Tree = {
        name: {"kind": name, "url": topology.url(f"engine-{name}")}
        for name in ("prometheus", "alertmanager")
        if name in present
    }
    if "apps" in present:
        monitors["apps"] = {
            "kind": "scrape",
            "targets": {
                name: {"site": app.site, "url": topology.url(f"engine-metrics-{name}", "/metrics")}
                for name, app in topology.apps.items()
            },
        }
    if {"apps", "haproxy"} <= present:
        paths = {"checkout": "/order/health", "catalog": "/catalog/health"}
        targets = {
            f"{service}-{site}": {
                "site": site,
                "service": service,
                "url": topology.url(f"engine-probe-{site}", path),
            }
            for service, path in paths.items()
            for site in SITES
        }
        monitors["versions"] = {
            "kind": "version",
            "targets": {
                name: {
                    "site": app.site,
                    "service": app.service,
                    "server": app.server,
                    "url": topology.url(f"engine-metrics-{name}", "/version"),
                }
                for name, app in topology.apps.items()
            },
        }
        monitors["probes"] = {"kind": "http", "targets": targets}
    return monitors


def write_secrets(directory: Path, credentials: Credentials) -> dict[str, Path]:
    """The files that the estate names, and the superuser's password for tests."""
    values = {
        "postgres": credentials.recovery,
        ACTING: credentials.ops,
        "patroni": credentials.api,
        "tsig": credentials.tsig,
        "superuser": credentials.superuser,
    }
    return {name: write_private(directory / "secrets" / name, text + "\n") for name, text in values.items()}


def write_estate(directory: Path, tree: Tree) -> Path:
    """Write `estate.yaml`."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    text.write("# The running lab, written at its start. Gone when the lab goes down.\n")
    yaml.dump(tree, text)
    return write_private(directory / "estate.yaml", text.getvalue())
