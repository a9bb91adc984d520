"""The engine's metrics, its alert rules and its board: valid by promtool, and made for each other."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from adapters.api_server import EngineMetrics, LoopLag
from state.health import Health
from tests.support.small_estate import Small, small

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config/prometheus/recovery.rules.yml"
BOARD = ROOT / "config/grafana/recovery.json"
OWN = re.compile(r"\brecovery_[a-z_]+")


def promtool(*argv: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["promtool", *argv], input=given, capture_output=True, check=False, timeout=60)


def board_queries() -> Iterator[str]:
    """Every query of the board."""
    board: Mapping[str, Any] = json.loads(BOARD.read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$job", "recovery")


def scraped(lab: Small) -> bytes:
    registry = CollectorRegistry()
    registry.register(EngineMetrics(lab.engine, LoopLag(), lambda: 1))
    return generate_latest(registry)


def test_the_rules_are_valid_and_fire_when_they_should_and_only_then() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert checked.returncode == 0, checked.stderr.decode()
    tested = promtool("test", "rules", str(ROOT / "tests/fixtures/recovery.rules.test.yml"))
    assert tested.returncode == 0, tested.stdout.decode() + tested.stderr.decode()


def test_every_rule_is_tested() -> None:
    tests = (ROOT / "tests/fixtures/recovery.rules.test.yml").read_text()
    for rule in YAML(typ="safe", pure=True).load(RULES.read_text())["groups"][0]["rules"]:
        assert rule["alert"] in tests
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]


async def test_the_live_metrics_have_no_fault_that_promtool_knows() -> None:
    async with small() as lab:
        await lab.engine.changed(0)
        text = scraped(lab)
    checked = promtool("check", "metrics", given=text)
    assert (checked.returncode, checked.stderr.decode(), checked.stdout.decode()) == (0, "", "")


async def test_verdicts_are_in_the_metrics_as_the_screens_have_them() -> None:
    async with small() as lab:
        for server in ("blue", "green"):
            await lab.balancer.set_state("shop", server, "maint", deadline=1)
        while lab.engine.view("overview").services["shop"].rto is None:
            await asyncio.sleep(0.05)
        found = {f.name: f.samples for f in text_string_to_metric_families(scraped(lab).decode())}
        header, shop = lab.engine.view("header"), lab.engine.view("overview").services["shop"]
    healths = {s.labels["health"]: s.value for s in found["recovery_service_health"]}
    assert healths == {h.value: float(h is shop.health) for h in Health}
    [burned] = found["recovery_service_rto_burned_seconds"]
    [left] = found["recovery_service_rto_left_seconds"]
    assert burned.value > 0
    assert abs(burned.value + left.value - shop.rto_target) < 1e-6
    assert found["recovery_alarms"][0].value == len(header.alarms)
    assert found["recovery_journal_writable"][0].value == found["recovery_journal_valid"][0].value == 1
    assert found["recovery_estate_changed"][0].value == 0
    assert found["recovery_backend_servers_serving"][0].value == 0
    assert found["recovery_build_info"][0].labels["estate"] == "small"


async def test_what_rules_and_board_ask_for_exists() -> None:
    async with small() as lab:
        known = {f.name for f in text_string_to_metric_families(scraped(lab).decode())}
    known |= {"recovery_database_health", "recovery_database_rpo_bytes", "recovery_database_data_at_risk_bytes"}
    known |= {"recovery_node_health"}  # the small estate has no database
    asked = set(OWN.findall(RULES.read_text())) | {name for query in board_queries() for name in OWN.findall(query)}
    assert asked - known == set()


async def test_there_are_as_many_series_as_the_estate_has_entries() -> None:
    async with small() as lab:
        await lab.engine.changed(0)
        before = len(scraped(lab).splitlines())
        for weight in range(1, 8):
            await lab.balancer.set_weight("shop", "green", weight, deadline=1)
        assert len(scraped(lab).splitlines()) <= before + 2
