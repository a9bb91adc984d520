"""From the lab's addresses to a true first screen, with nothing typed but the addresses and one secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.lab.client import LabClient
from console.cli.ending import run_to_code
from console.cli.init_update import addresses_of
from console.cli.verbs import recovery
from state.api.views.overview import OverviewView
from state.discovery.found import FoundMetrics
from state.health import Health
from tests.support.real_engine import engine_home, read_estate, until

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("monitors")]


async def test_what_init_writes_of_the_lab_is_green_with_evidence(
    lab: LabClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = read_estate(lab.estate)
    addresses = addresses_of(known)[-6:]  # one member tells of the others

    async def scraped() -> bool:
        facts = await discover([known["monitors"]["prometheus"]["url"]], Looking(deadline=60))
        return any(isinstance(fact, FoundMetrics) and fact.families for fact in facts)

    await until(scraped, 60, "a young Prometheus has no series yet")
    words = [
        "init",
        *addresses,
        "-o",
        str(tmp_path),
        "--yes",
        "--json",
        "--within",
        "60",
        "--answer",
        "environment=drill",
    ]
    assert await asyncio.to_thread(run_to_code, recovery, words) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in document["found"]] == [
        "patroni", "haproxy", "haproxy", "prometheus", "alertmanager", "dns",
    ]  # fmt: skip
    assert document["withheld"] == []
    tree = read_estate(tmp_path / "recovery.yaml")
    database = tree["databases"]["orders"]
    assert set(database["nodes"]) == set(known["databases"]["orders"]["nodes"])
    assert database["frontends"] == known["databases"]["orders"]["frontends"]
    assert set(tree["services"]["checkout"]["traffic"]["colours"]) == {"blue", "green"}
    assert "colours" not in tree["services"]["catalog"]["traffic"], "a and b both serve"
    records = {record["name"]: record["expect"] for record in tree["zones"]["lab.test"]["records"]}
    assert records["checkout"] == sorted(known["zones"]["lab.test"]["records"][0]["expect"])
    (secret,) = document["secrets"]
    assert (secret["file"], secret["mode"]) == ("secrets/orders-postgres", "0600")
    assert secret["what"] == "the password of the PostgreSQL role recovery of orders"
    assert secret["by"].startswith("install -m 600 /dev/stdin ")
    database["password"] = {"file": str(lab.directory / "secrets" / "postgres")}
    tree["runbooks"] = []
    with engine_home(tree) as engine:
        await engine.start()

        seen: list[OverviewView] = []

        async def green() -> bool:
            seen.append(await engine.client.view("overview"))
            return len(seen[-1].recover) == 3 and seen[-1].health is Health.PASS

        await until(green, 60, lambda: str(seen[-1]))
        engine.end()
