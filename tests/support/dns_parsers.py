"""Parsers of what name servers answer to updates and over APIs, as the fuzzer calls them."""

from __future__ import annotations

from adapters.dns.powerdns_zone import replacement, zone_of
from adapters.dns.signing import refusal_of
from adapters.net.answers_read import read_json


def dns_refusal(data: bytes) -> None:
    refusal_of(data, "10.1.0.53:53", "lab.test", "recovery.")


def powerdns_zone(data: bytes) -> None:
    zone = zone_of(read_json(data))
    name = next((each.name for each in zone.sets), "www.lab.test")
    zone.shaded(f"x.{name}")
    replacement(zone, name, zone.held(name), {})
