"""Zones of DNS: the records that lead to what the estate has, with their answers of now."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from state.discovery.found import FoundRecord, FoundZone
from state.discovery.names import made_valid, same_service, valid
from state.discovery.proposal import Basis, Proposal, Tree, listed

TYPES = ("A", "AAAA", "CNAME")
MOST_RECORDS = 200


def propose_zones(
    proposal: Proposal, zones: Sequence[FoundZone], services: Collection[str], binds: Collection[str]
) -> None:
    """Write each zone with the records that have a service's name or point at a balancer."""
    for zone in zones:
        name = zone.zone.rstrip(".")
        if not valid(name):
            proposal.say(zone.address, f"zone {name}: an estate cannot hold its name", "")
            continue
        chosen, left = _chosen(zone, services, binds)
        records: list[Tree] = []
        for record, service in chosen:
            entry: Tree = {"name": record.name, "type": record.type, "expect": sorted(record.answers)}
            if service and service != record.name:
                entry["service"] = service
            records.append(entry)
        path = ("zones", made_valid(name, proposal.section("zones")))
        entry = {"kind": "rfc2136", "servers": list(zone.servers), "records": records}
        proposal.put(path, entry, Basis.MEASURED, f"{zone.address}; answers are what the server gives now")
        where = f"zones.{name}.records"
        if records:
            text = "expect is what is answered now, right or wrong"
            proposal.say(where, text, "compare it with what should be answered")
        elif zone.whole:
            proposal.say(
                where, "no record has a service's name or points at a balancer", "records: [{name: …, expect: […]}]"
            )
        if not zone.whole:
            text = "the server gives no whole zone, so only the names of services were asked for"
            proposal.say(where, text, "allow a transfer to this host, or add records by hand")
        if left:
            proposal.say(where, f"left out, since they lead to nothing here: {listed(left)}", "add those that matter")


def _chosen(
    zone: FoundZone, services: Collection[str], binds: Collection[str]
) -> tuple[list[tuple[FoundRecord, str]], list[str]]:
    """The records that are written with their service, and the names of the others."""
    pointing = {r.name for r in zone.records if set(r.answers) & set(binds)}
    targets = {f"{name}.{zone.zone.rstrip('.')}." for name in pointing}
    chosen: list[tuple[FoundRecord, str]] = []
    left: list[str] = []
    for record in zone.records:
        if record.type not in TYPES or not record.answers:
            continue
        alike = [service for service in services if service == record.name] or [
            service for service in services if same_service(service, record.name)
        ]
        leads = record.name in pointing or bool(targets & set(record.answers))
        fits = valid(record.name) and len(chosen) < MOST_RECORDS
        if fits and (len(alike) == 1 or leads):
            chosen.append((record, alike[0] if len(alike) == 1 else ""))
        else:
            left.append(record.name)
    return chosen, left
