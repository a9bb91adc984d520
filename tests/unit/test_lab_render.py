"""What the lab writes for its components and for the engine."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from adapters.lab import render
from adapters.lab.errors import LabError
from adapters.lab.estate import estate, write_estate, write_secrets
from adapters.lab.links.wiring import Wiring
from adapters.lab.options import COMPONENTS, LabOptions, parse_arguments
from adapters.lab.process.directory import is_locked, lock, prepare_directory
from adapters.lab.progress import LabProgress
from adapters.lab.topology import SITES, Credentials, PortPlan, Topology, build, make_credentials
from adapters.registry import kinds
from state.config_files.located import Located
from state.estate.parse import parse_estate

EVERYTHING = {"postgres", "haproxy", "apps", "load", "dns", "prometheus", "alertmanager"}


@pytest.fixture
def credentials() -> Credentials:
    return make_credentials()


def plan(root: Path, present: set[str], nodes: int = 3) -> Topology:
    ports = PortPlan()
    topology = build(root, ports, nodes)
    Wiring(topology, ports.choose).build(present)
    ports.release()
    return topology


def test_every_port_is_its_own(tmp_path: Path) -> None:
    topology = plan(tmp_path, EVERYTHING)
    chosen = [port for node in topology.nodes.values() for port in (node.postgres, node.api, node.raft, node.inbound)]
    chosen += [app.port for app in topology.apps.values()]
    chosen += [*topology.ports().values(), *topology.links.values()]
    assert len(chosen) == len(set(chosen))


def test_haproxy_reaches_every_server_through_its_link(tmp_path: Path) -> None:
    topology = plan(tmp_path, EVERYTHING)
    for site in SITES:
        text = render.haproxy(topology, site, databases=True, apps=True)
        for server in ("blue", "green", "a", "b"):
            assert f"server {server} 127.0.0.1:{topology.links[f'haproxy-{site}-{server}']} " in text
        for node in topology.nodes.values():
            assert f"server {node.name} 127.0.0.1:{topology.links[f'haproxy-{site}-{node.name}']} check" in text
            assert f"addr {node.host} port {node.api}" in text
        assert "mode 600" in text
        assert text.count("on-marked-down shutdown-sessions") == 6
        assert "user " not in text
        assert "$" not in text


def test_green_starts_without_weight(tmp_path: Path) -> None:
    lines = render.haproxy(plan(tmp_path, EVERYTHING), "east", databases=False, apps=True).splitlines()
    weights = {line.split()[1]: line.split()[-1] for line in lines if line.startswith("  server")}
    assert weights == {"blue": "100", "green": "0", "a": "100", "b": "100"}


def test_nodes_reach_each_other_through_the_replication_links(tmp_path: Path, credentials: Credentials) -> None:
    topology = plan(tmp_path, EVERYTHING)
    for node in topology.nodes.values():
        config = json.loads(render.patroni(topology, node, credentials, Path("/bin")))
        assert config["postgresql"]["connect_address"] == f"{node.host}:{node.inbound}"
        assert config["postgresql"]["listen"] == f"{node.host}:{node.postgres}"
        assert config["restapi"]["authentication"]["password"] == credentials.api
        assert len(config["raft"]["partner_addrs"]) == 2


def test_a_standby_cluster_is_one_of_its_own_that_follows_through_its_link(
    tmp_path: Path, credentials: Credentials
) -> None:
    ports, present = PortPlan(), EVERYTHING | {"patroni"}
    topology = build(tmp_path, ports, 3, followed=True)
    Wiring(topology, ports.choose).build(present)
    ports.release()
    for node in topology.standby.values():
        config = json.loads(render.patroni(topology, node, credentials, Path("/bin")))
        other = next(each for each in topology.standby.values() if each is not node)
        assert (config["scope"], config["raft"]["partner_addrs"]) == ("orders-west", [f"{other.host}:{other.raft}"])
        follows = config["bootstrap"]["dcs"]["standby_cluster"]
        assert (follows["host"], follows["port"]) == ("127.0.0.1", topology.links["standby-upstream"])
    text = render.haproxy(topology, "west", databases=True, apps=True)
    assert not [name for name in topology.standby if f"server {name} " in text], "nobody leads there"
    read = parse_estate(Located(estate(topology, present, tmp_path / "control.sock"), "estate.yaml"), kinds())
    assert {name: (list(each.nodes), dict(each.frontends)) for name, each in read.databases.items()} == {
        "orders": (["n1", "n2", "n3"], {"pg_rw": "primary", "pg_ro": "standby"}),
        "orders-west": (["s1", "s2"], {}),
    }
    with pytest.raises(ValueError, match="follows its primary through haproxy"):
        LabOptions(shape="standby-cluster", without=frozenset({"haproxy"}))


@pytest.mark.parametrize(
    "present",
    [EVERYTHING, EVERYTHING - {"prometheus", "alertmanager"}, {"haproxy", "apps"}, {"postgres"}, {"dns"}, {"apps"}],
    ids=lambda present: "+".join(sorted(present)),
)
def test_the_estate_is_valid_and_names_only_what_is_present(tmp_path: Path, present: set[str]) -> None:
    tree = estate(plan(tmp_path, present), present, tmp_path / "control.sock")
    written = YAML(typ="safe").load(write_estate(tmp_path, tree).read_text())
    read = parse_estate(Located(written, "estate.yaml"), kinds())
    assert read.environment == "lab"
    assert bool(read.databases) == ("postgres" in present)
    assert bool(read.balancers) == ("haproxy" in present)
    assert ("prometheus" in read.monitors) == ("prometheus" in present)
    assert ("apps" in read.monitors) == ("apps" in present)
    for service in read.services.values():
        assert set(service.metrics.monitors if service.metrics else ()) <= set(read.monitors)


def test_no_secret_is_in_the_estate_and_files_are_private(tmp_path: Path, credentials: Credentials) -> None:
    path = write_estate(tmp_path, estate(plan(tmp_path, EVERYTHING), EVERYTHING, tmp_path / "control.sock"))
    text = path.read_text()
    assert not [secret for secret in astuple(credentials) if secret in text]
    for written in (path, *write_secrets(tmp_path, credentials).values()):
        assert written.stat().st_mode & 0o777 == 0o600


def test_options_survive_the_command_line(tmp_path: Path) -> None:
    options = LabOptions(
        postgres=Path("/pg"), debs=Path("/debs"), embedded=True, without=frozenset({"load", "dns"}), nodes=2, rate=5
    )
    assert parse_arguments(["--dir", str(tmp_path), *options.arguments()]) == (tmp_path, options, False, None)
    with pytest.raises(ValueError, match="no component docker; there are alertmanager"):
        LabOptions(without=frozenset({"docker"}))
    assert set(COMPONENTS) >= EVERYTHING


def test_progress_is_one_json_object_a_line() -> None:
    step = LabProgress.parse('{"component": "lab", "state": "live", "seconds": 5.2, "detail": "/d"}')
    assert step.final
    assert not LabProgress("n1", "ready", 1.0).final


def test_one_lab_in_a_directory(tmp_path: Path) -> None:
    prepare_directory(tmp_path / "lab")
    assert not is_locked(tmp_path / "lab")
    held = lock(tmp_path / "lab")
    assert held is not None
    assert is_locked(tmp_path / "lab")
    assert lock(tmp_path / "lab") is None


def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(LabError, match="chmod go-w"):
        prepare_directory(tmp_path)
