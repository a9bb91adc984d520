"""Discovery and wiring: what is dropped in is found, and an estate gets a source for everything it names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

import adapters.balancers
from adapters import registry
from adapters.balancers import memory
from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml
from adapters.registry import added, kinds
from adapters.wiring import wire
from state.config_files.suggestions import one_of
from state.errors import ConfigError
from state.estate.model import Entry
from state.estate.parse import parse_estate

EXAMPLE = Path(__file__).parents[2] / "config" / "recovery.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    for name in ("postgres", "patroni", "tsig"):
        path = tmp_path / "secrets" / name
        path.write_text("s3cret\n")
        path.chmod(0o600)
    return tmp_path


def test_kinds_are_found_by_section() -> None:
    assert set(kinds()) >= {
        ("balancers", "haproxy"),
        ("balancers", "memory"),
        ("databases", "patroni"),
        ("faults", "lab"),
        ("monitors", "alertmanager"),
        ("monitors", "http"),
        ("monitors", "prometheus"),
        ("monitors", "scrape"),
        ("zones", "rfc2136"),
    }
    assert all(issubclass(model, BaseModel) for model in kinds().values())


def test_a_new_balancer_is_one_dropped_in_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dropped.py").write_text(
        "from state.estate.model import BalancerEntry\n"
        "KIND = 'dropped'\nclass DroppedOptions(BalancerEntry):\n    speed: int\n"
        "OPTIONS = DroppedOptions\ndef build(name, options, context): ...\n"
    )
    monkeypatch.setattr(adapters.balancers, "__path__", [*adapters.balancers.__path__, str(tmp_path)])
    registry.shipped.cache_clear()
    try:
        assert ("balancers", "dropped") in kinds()
    finally:
        registry.shipped.cache_clear()
        sys.modules.pop("adapters.balancers.dropped", None)


def test_the_example_estate_is_wired_completely(folder: Path) -> None:
    wired = wire(parse_estate(read_yaml(EXAMPLE), kinds()), folder)
    assert [source.key for source in wired.sources] == [
        "balancer:edge-east",
        "balancer:edge-west",
        *(f"{role}:orders/{node}" for node in ("n1", "n2", "n3") for role in ("postgres", "patroni")),
        "metrics:prometheus",
        "alerts:alertmanager",
        "metrics:apps",
        "probe:probes/checkout-east",
        "probe:probes/checkout-west",
        "dns:shop.example@10.1.0.53:53",
        "dns:shop.example@10.2.0.53:53",
    ]
    assert {(source.every, source.deadline, source.limit) for source in wired.sources} == {(1.0, 0.9, 3.0)}
    assert set(wired.balancers) == {"edge-east", "edge-west"}
    assert wired.databases["orders"].nodes == ["n1", "n2", "n3"]
    assert wired.faults is None


def test_an_open_secret_stops_the_wiring(folder: Path) -> None:
    (folder / "secrets" / "patroni").chmod(0o644)
    with pytest.raises(ConfigError, match="0644"):
        wire(parse_estate(read_yaml(EXAMPLE), kinds()), folder)


class Another(SimpleNamespace):
    """A balancer from outside the product."""

    KIND = "another"
    OPTIONS = memory.MemoryOptions
    build = staticmethod(memory.build)


BALANCERS = one_of({kind for section, kind in kinds() if section == "balancers"})
SMALL = "estate: e\nenvironment: lab\nsites: {east: {}}\n"
ENTRY = SMALL + "balancers:\n  x: {kind: another, site: east, backends: {app: {blue: 1}}}\n"


def test_an_adapter_from_outside_counts_for_a_while(tmp_path: Path) -> None:
    with added("balancers", Another):
        estate = parse_estate(parse_yaml(ENTRY, "e.yaml"), kinds())
        assert isinstance(wire(estate, tmp_path).balancers["x"], memory.MemoryBalancer)
        with pytest.raises(ValueError, match="already has the kind another"), added("balancers", Another):
            pass
    assert ("balancers", "another") not in kinds()
    with pytest.raises(ConfigError, match="kind 'another'"):
        wire(estate, tmp_path)


def test_what_is_no_adapter_of_a_section_is_refused() -> None:
    for module in (SimpleNamespace(KIND="x"), SimpleNamespace(KIND="x", OPTIONS=Entry, build=len)):
        with pytest.raises(TypeError, match="BalancerEntry"), added("balancers", module):
            pass


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        ("balancers", "{kind: nginx, site: east}", f"13: found 'nginx', expected an adapter: {BALANCERS}"),
        ("balancers", "{kind: haproxy, site: east}", "3: expected the key 'socket' in balancers.x"),
        (
            "balancers",
            "{kind: haproxy, site: east, socket: a.b:5}",
            "42: found 'a.b:5', expected a loopback address: the runtime API",
        ),
        ("monitors", "{kind: prometheus, url: 'http://192.0.2.1'}", "30: found 'http://192.0.2.1', expected https://"),
        ("monitors", "{kind: prometheus, url: 'http://127.0.0.1', speed: 1}", "50: found key 'speed'"),
        ("monitors", "{kind: prometheus, url: 'http://h/?a=b'}", "30: found 'http://h/?a=b', expected an address of"),
        ("monitors", "{kind: prometheus, url: 'https://h', user: u}", "49: found 'u', expected user and password"),
        (
            "monitors",
            "{kind: http, targets: {a: {site: east, service: s, url: 'http://192.0.2.1/'}}}",
            "54: found 's', expected a service, but none is defined",
        ),
        (
            "monitors",
            "{kind: scrape, targets: {a: {site: east, url: 'http://192.0.2.1/'}}}",
            "52: found 'http://192.0.2.1/', expected https:// (plain text to another machine needs waive:",
        ),
        ("zones", "{kind: rfc2136, servers: [10.1.0.53]}", "32: found '10.1.0.53', expected an address host:port"),
    ],
)
def test_what_an_adapter_does_not_take_is_told_at_its_place(section: str, entry: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_estate(parse_yaml(f"{SMALL}{section}:\n  x: {entry}\n", "e.yaml"), kinds())
    found = [str(problem) for problem in refused.value.problems]
    assert any(each.startswith(f"e.yaml:5:{message}") for each in found), found


def test_of_an_unknown_kind_only_the_common_keys_are_judged() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_estate(parse_yaml(f"{SMALL}balancers:\n  x: {{kind: nginx, socket: /run/x.sock}}\n", "e.yaml"), kinds())
    assert [str(problem) for problem in refused.value.problems] == [
        "e.yaml:5:3: expected the key 'site' in balancers.x",
        f"e.yaml:5:13: found 'nginx', expected an adapter: {BALANCERS}",
    ]
