"""What the estate waives stands in red on the cards that use it, with the reason, and on no other card."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.balancers.haproxy import HaproxyOptions
from adapters.files.located_yaml import parse_yaml
from adapters.monitors import alertmanager
from adapters.monitors.http import HttpOptions
from adapters.registry import kinds
from console.card_text import card_sections, plain_card
from console.tui.dialogs.card_rows import card_rows
from console.tui.glyphs import FAIL, UNICODE
from console.tui.parts.facts import LabelledText
from state.api.card import CardWarning, WarningKind
from state.errors import ConfigError
from state.estate.hosts import HostWaivers, SshHost
from state.estate.model import Estate, MonitorEntry
from state.estate.parse import parse_estate
from state.estate.waivers import Waivers
from state.health import Health
from state.planning.plan import Draft
from state.planning.waived import waived
from state.runs.steps import PlannedStep
from tests.support.cards import DRAIN, FLIP_TO_BLUE, preview
from tests.unit.verdict_world import ESTATE

REASON = "VLAN 12 has these hosts only, approved 2026-03-01 by u1"


def waiving(section: str, name: str) -> Estate:
    entries = dict(getattr(ESTATE, section))
    entries[name] = entries[name].model_copy(update={"waive": Waivers(tls=REASON)})
    return ESTATE.model_copy(update={section: entries})


def test_the_target_of_a_change() -> None:
    card = asyncio.run(preview(DRAIN, estate=waiving("balancers", "edge-east")))
    assert CardWarning(WarningKind.WAIVED, "edge-east", REASON, "tls") in card.warnings
    (line,) = [line for section in card_sections(card) for line in section.lines if line.label == "waived"]
    assert (line.text, line.health) == (f"edge-east: plain text, no TLS: {REASON}", Health.FAIL)
    (row,) = [each for each in plain_card(card) if REASON in each]
    assert "FAIL" not in row, "nothing fails"


def test_what_is_the_estates_own_tells_what_its_host_its_address_and_its_checks_go_without() -> None:
    host = {"address": "10.0.0.1", "waive": {"host_key": REASON}}
    plain = {"waive": {"tls": REASON}}
    command = {"argv": ["true"], "on": "app1"}
    own = {
        "hosts": {"app1": host},
        "commands": {"restart": command, "here": {"argv": ["true"]}},
        "http_calls": {"deploy": {"url": "http://deploy.example/", **plain}},
        "checks": {"page": {"http": {"url": "http://shop.example/", **plain}}, "job": {"command": command}},
    }
    estate = Estate.model_validate({"estate": "x", "environment": "lab", "sites": {}, **own})

    def told(what: str, **args: str) -> list[tuple[str, str]]:
        step = PlannedStep(id="s", index=0, do="change", title="s", timeout=1.0, what=what, args=args)
        return [(warning.subject, warning.rule) for warning in waived(Draft("case", (step,)), estate)]

    assert told("command.run", command="restart") == [("app1", "host_key")]
    assert told("command.run", command="here") == []
    assert told("http.call", call="deploy") == [("deploy", "tls")]
    assert told("own.check", check="page") == [("page", "tls")]
    assert told("own.check", check="job") == [("app1", "host_key")]


def test_it_is_red_on_the_screen() -> None:
    card = asyncio.run(preview(DRAIN, estate=waiving("balancers", "edge-east")))
    rows = [row for row in card_rows(card, None, UNICODE) if isinstance(row, LabelledText)]
    (row,) = [row for row in rows if REASON in row.message.plain]
    assert row.message.spans[0].style == FAIL
    assert row.message.plain.startswith("edge-east: plain text, no TLS")


def test_what_the_checks_of_a_service_read() -> None:
    monitor = next(iter(ESTATE.services["checkout"].metrics.monitors))  # type: ignore[union-attr]
    assert isinstance(ESTATE.monitors[monitor], MonitorEntry)
    card = asyncio.run(preview(FLIP_TO_BLUE, estate=waiving("monitors", monitor)))
    assert [w.subject for w in card.warnings if w.kind is WarningKind.WAIVED] == [monitor]


def test_what_judges_a_service_counts_whatever_it_depends_on() -> None:
    """The health of a service is judged by its probes, and by the services and databases below it."""
    probing = HttpOptions(
        kind="http",
        targets={"one": {"site": "east", "service": "checkout", "url": "http://10.9.9.9/health"}},
        waive={"tls": REASON},
    )
    alerts = alertmanager.OPTIONS(kind="alertmanager", url="http://10.9.9.8:9093", waive={"tls": REASON})
    below = waiving("databases", "orders").databases
    monitors = {**ESTATE.monitors, "outside": probing, "alerts": alerts}
    estate = ESTATE.model_copy(update={"monitors": monitors, "databases": below})

    def told(what: str, **args: Any) -> set[str]:
        step = PlannedStep(id="s", index=0, do="check", title="s", timeout=1.0, what=what, args=args)
        return {warning.subject for warning in waived(Draft("case", (step,)), estate)}

    assert told("service.healthy", service="catalog") == {"orders", "outside"}
    assert told("service.healthy", service="checkout") == {"orders", "outside"}
    assert told("alerts.none", severity="critical") == {"alerts"}
    assert told("evidence.alerts") == {"alerts"}
    assert told("backend.floor", backend="none", balancer="edge-east", at_least=1) == set()


def test_a_card_that_does_not_use_it_says_nothing() -> None:
    estate = waiving("databases", "orders")
    assert not [w for w in asyncio.run(preview(DRAIN, estate=estate)).warnings if w.kind is WarningKind.WAIVED]


def test_the_host_that_leads_to_a_target() -> None:
    host = SshHost(address="10.1.0.5", waive=HostWaivers(host_key=REASON))
    edge = HaproxyOptions(kind="haproxy", site="east", socket="ssh://edge1/run/haproxy.sock")
    entries = {**ESTATE.balancers, "edge-east": edge}
    estate = ESTATE.model_copy(update={"balancers": entries, "hosts": {"edge1": host, "unused": host}})
    card = asyncio.run(preview(DRAIN, estate=estate))
    assert CardWarning(WarningKind.WAIVED, "edge1", REASON, "host_key") in card.warnings
    assert "unused" not in {warning.subject for warning in card.warnings}


def test_a_host_that_the_estate_does_not_have_is_refused_with_the_nearest_one() -> None:
    text = """estate: e
environment: lab
sites: {east: {}}
hosts: {edge1: {address: 10.1.0.5}}
balancers:
  edge: {kind: haproxy, site: east, socket: "ssh://egde1/run/haproxy.sock"}
"""
    with pytest.raises(ConfigError, match=r"'egde1', expected a host: edge1; did you mean 'edge1'"):
        parse_estate(parse_yaml(text, "e.yaml"), kinds())
