"""`recovery init` on a real Prometheus and a pair of real Alertmanagers."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.files.estate_text import render
from adapters.files.located_yaml import parse_yaml
from adapters.monitors.figures import Naming
from adapters.registry import kinds
from state.discovery.answers import Answers
from state.discovery.found import Fact, FoundAlerting, FoundFamily, FoundMetrics
from state.discovery.propose import propose
from state.estate.model import Estate
from state.estate.parse import parse_estate
from tests.contract.alertmanagers import alertmanagers, named, post_alerts
from tests.contract.components import serving
from tests.contract.histories import started
from tests.contract.test_prometheus_live import pages
from tests.support.real_engine import until
from tests.support.shipped_library import held_against

LOOKING = Looking(deadline=60)
SCRAPES = """
scrape_configs:
  - job_name: apps
    scrape_interval: 1s
    scrape_timeout: 1s
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def page(spent: float) -> str:
    """Every family as its exporter writes it, after so many seconds."""
    lines = []
    for service, env in (("checkout", "prod"), ("checkout", "staging"), ("catalog", "prod")):
        labels = f'service="{service}",env="{env}",version="v7"'
        lines += [f'http_requests_total{{{labels},status="{code}"}} {int(spent * 5)}' for code in (200, 500)]
        lines.append(f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}} {int(spent * 10)}')
    otel = 'service_name="mail",http_response_status_code="200"'
    lines.append(f"http_server_request_duration_seconds_count{{{otel}}} {int(spent)}")
    lines.append(f'http_server_request_duration_seconds_bucket{{{otel},le="+Inf"}} {int(spent)}')
    old = 'service_name="legacy",http_status_code="200"'
    lines.append(f"http_server_duration_milliseconds_count{{{old}}} {int(spent)}")
    istio = 'destination_canonical_service="cart",response_code="200"'
    lines += [f'istio_requests_total{{{istio},reporter="{who}"}} {int(spent)}' for who in ("source", "destination")]
    lines.append(
        f'envoy_cluster_upstream_rq_xx{{envoy_cluster_name="catalog",envoy_response_code_class="2"}} {int(spent)}'
    )
    lines += [f'haproxy_backend_http_responses_total{{proxy="bk_pay",code="{c}xx"}} {int(spent)}' for c in (2, 5)]
    lines.append(f"haproxy_process_start_time_seconds {int(time.time())}")
    lines += [f"nginx_http_requests_total {int(spent)}", f"go_gc_cycles_total {int(spent)}"]
    return "\n".join(lines) + "\n"


def accepted(facts: list[Fact]) -> tuple[Estate, str, list[str]]:
    proposal, _ = propose(facts, Answers(("ada",)), "shop", "ada")
    text = render(proposal, [])
    estate = parse_estate(parse_yaml(text, "estate"), kinds())
    held_against(estate)
    return estate, text, [f"{point.where}: {point.what}" for point in proposal.open]


async def measured(url: str) -> FoundMetrics:
    """What is found once Prometheus has the samples from which an interval can be told."""
    end = time.monotonic() + 120
    while True:
        (fact,) = await discover([url], LOOKING)
        if isinstance(fact, FoundMetrics) and fact.families and all(f.interval for f in fact.families):
            return fact
        assert time.monotonic() < end, fact
        await asyncio.sleep(0.5)


async def test_families_services_and_the_interval_are_found(tmp_path: Path) -> None:
    began = time.monotonic()
    async with serving(pages(lambda: page(time.monotonic() - began))) as port:
        with started(tmp_path, SCRAPES.format(port=port)) as running:
            found = await measured(running.url)
    families: dict[str, FoundFamily] = {each.family: each for each in found.families}
    assert list(families) == ["prometheus", "otel", "otel-old", "istio", "envoy", "haproxy", "nginx"]
    first = families["prometheus"]
    assert (first.service, first.code, first.release) == ("service", "status", "version")
    assert first.services == ("catalog", "checkout")
    assert first.interval is not None
    assert 0.5 < first.interval < 5, "one second, but for what a busy machine adds"
    pace = Naming().scraping(first.interval)
    assert (first.window, first.stale_after) == (pace.window, pace.limit), "as the engine takes them from that interval"
    assert first.split == {"env": ("prod", "staging")}
    assert families["istio"].split == {"reporter": ("destination", "source")}
    estate, text, said = accepted([found])
    assert set(estate.services) == {"catalog", "checkout", "mail", "legacy", "cart"}
    assert estate.monitors["prometheus"].labels == {"env": ("prod",)}  # type: ignore[attr-defined]
    assert estate.monitors["prometheus-istio"].labels == {"reporter": ("destination",)}  # type: ignore[attr-defined]
    assert "labels: {env: [prod]}  # guessed: env is one of prod, staging" in text
    assert re.search(r"a sample every \S+, from which follow by themselves window: \S+, stale_after: \S+", text)
    assert any("HAProxy's own exporter, but no service of this estate" in each for each in said)


async def test_a_pair_of_alertmanagers_is_found_by_one_of_them(tmp_path: Path) -> None:
    with alertmanagers(tmp_path, 2) as urls:
        post_alerts(urls[0], named("DeadMansSwitch", "none"), named("HostDown", "critical"), named("Odd", "wobbly"))
        facts: list[Fact] = []

        async def told() -> bool:
            """The one that got the alerts shows them; it does not tell the other one."""
            facts[:] = await discover(urls, LOOKING)
            return any(isinstance(fact, FoundAlerting) and len(fact.severities) == 3 for fact in facts)

        await until(told, 60)
    estate, text, said = accepted(facts)
    assert list(estate.monitors) == ["alertmanager", "alertmanager-2"]
    assert {monitor.alert_cluster for monitor in estate.monitors.values()} == {"alerting-1"}
    assert "watchdog: DeadMansSwitch  # guessed: an alert with such a name fires" in text
    assert any("severities wobbly are known nowhere" in each for each in said)
