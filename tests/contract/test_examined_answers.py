"""Answers that are not what the product's manual has: judged as the engine judges them, and by their target alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.examining import examine_estate
from adapters.monitors import http, http_examine, scrape, scrape_examine
from adapters.registry import kinds
from state.config_files.located import Located
from state.diagnosis.model import Asked
from state.discovery.found import Unreached
from state.estate.model import Polling
from state.estate.parse import parse_estate
from state.health import Health
from tests.contract.test_examined import of
from tests.contract.web import canned
from tests.support.ports import free_port


@pytest.mark.parametrize(("status", "judged"), [(200, False), (204, False), (401, True), (404, True), (503, True)])
async def test_a_probe_is_judged_as_the_engine_judges_it(context: AdapterContext, status: int, judged: bool) -> None:
    async with canned({"GET /health": (status, "" if status == 204 else "x" * 100_000)}) as server:
        target = {"site": "east", "service": "shop", "url": f"{server.url}/health"}
        options = http.OPTIONS(kind="http", targets={"one": target})
        found = await http_examine.examine("probes", options, context, deadline=60)
    assert {each.target for each in found} == {"monitors/probes/one"}
    assert [text for health, text in of(found, Asked.REACHED) if f"answers {status}" in text and health is Health.PASS]
    wrong = [(Health.FAIL, f"answer {status} is a failure of the service")] if judged else []
    assert of(found, Asked.IDENTIFIED) == wrong


PAGE = '# TYPE http_requests_total counter\nhttp_requests_total{service="shop",code="200"} 7\n'


@pytest.mark.parametrize(
    ("page", "healths"),
    [
        (PAGE, [Health.PASS]),
        (PAGE.replace("shop", "cart"), [Health.PASS, Health.UNKNOWN]),
        ("go_goroutines 7\n", [Health.PASS, Health.UNKNOWN]),
        ('{"status": "ok"}', [Health.FAIL, Health.UNKNOWN]),
        ("<!doctype html><title>Log in</title>", [Health.FAIL, Health.UNKNOWN]),
    ],
)
async def test_a_page_of_metrics_is_read_as_the_engine_reads_it(
    tmp_path: Path, page: str, healths: list[Health]
) -> None:
    context = AdapterContext(tmp_path, Polling(), {"apps": ("shop",)})
    async with canned({"GET /metrics": (200, page)}) as server:
        options = scrape.OPTIONS(
            kind="scrape", targets={"one": {"site": "east", "url": f"{server.url}/metrics"}}, service="service"
        )
        found = await scrape_examine.examine("apps", options, context, deadline=60)
    judged = [h for asked in (Asked.IDENTIFIED, Asked.NAME) for h, text in of(found, asked) if "127.0.0.1" not in text]
    assert judged == healths


@pytest.mark.parametrize("body", ["[" * 60_000, '{"data": NaN}', "²", '{"data": [], "data": {"version": [1]}}'])
async def test_an_answer_of_another_shape_is_the_trouble_of_its_target_alone(
    context: AdapterContext, body: str
) -> None:
    """One bad target ended the whole examination, and all that was known of the others was lost."""
    answers: dict[str, tuple[int, Any] | bytes | None] = {
        f"GET {path}": (200, body)
        for path in ("/patroni", "/cluster", "/api/v1/query", "/api/v1/status/buildinfo", "/api/v2/status")
    }
    async with canned(answers) as server:
        raw = {
            "estate": "shop",
            "environment": "lab",
            "sites": {"east": {}},
            "monitors": {
                "p": {"kind": "prometheus", "url": server.url},
                "a": {"kind": "alertmanager", "url": server.url},
            },
            "databases": {
                "orders": {
                    "kind": "patroni",
                    "scope": "orders",
                    "user": "r",
                    "rpo": "1MB",
                    "tls": "loopback",
                    "nodes": {"n1": {"site": "east", "postgres": f"127.0.0.1:{free_port()}", "api": server.url}},
                }
            },
        }
        found = await examine_estate(parse_estate(Located(raw, "made"), kinds()), context.base, deadline=60)
        facts = await discover([server.url, server.url], Looking(deadline=60))
    assert {each.target.split("/")[1] for each in found} == {"p", "a", "orders"}
    assert not [each for each in found if each.asked is Asked.IDENTIFIED and each.health is Health.PASS]
    assert [type(fact) for fact in facts] == [Unreached, Unreached]
