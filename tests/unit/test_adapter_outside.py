"""Discovery and wiring: what is dropped in is found, and an estate gets a source for everything it names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import adapters.balancers
from adapters import wiring as outside
from adapters.files.read import read_yaml
from adapters.wiring import kinds, wire
from state.errors import ConfigError
from state.estate.model import Estate
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
    assert set(kinds()) == {
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
        "from state.estate.model import Entry\nKIND = 'dropped'\nclass Options(Entry):\n    speed: int\n"
    )
    monkeypatch.setattr(adapters.balancers, "__path__", [*adapters.balancers.__path__, str(tmp_path)])
    outside._modules.cache_clear()
    try:
        assert ("balancers", "dropped") in kinds()
    finally:
        outside._modules.cache_clear()
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


@pytest.mark.parametrize(
    ("section", "entry", "message"),
    [
        ("balancers", {"kind": "nginx", "site": "east"}, "haproxy, memory"),
        ("balancers", {"kind": "haproxy", "site": "east"}, "socket"),
        ("monitors", {"kind": "prometheus", "url": "http://192.0.2.1"}, "plain text"),
        ("monitors", {"kind": "prometheus", "url": "http://127.0.0.1", "speed": 1}, "speed"),
    ],
)
def test_what_an_adapter_does_not_take_is_refused(
    folder: Path, section: str, entry: dict[str, object], message: str
) -> None:
    given = {"estate": "e", "environment": "lab", "sites": {"east": {}}, section: {"x": entry}}
    with pytest.raises(ConfigError, match=message):
        wire(Estate.model_validate(given), folder)
