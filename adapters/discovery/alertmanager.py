"""Alertmanager at an address: alerts that may be its watchdog, severities in use, the members of its cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.discovery.looking import Looking, answer_of, as_json
from adapters.monitors.alertmanager import PATH, STATUS
from adapters.net.http_read import HttpReader
from state.discovery.found import FoundAlerting
from state.errors import ReadFailure

WATCHDOG = re.compile(r"watch_?dog|dead_?mans?_?(?:snitch|switch)|always_?firing|heart_?beat", re.IGNORECASE)


def is_alertmanager(status: Any) -> bool:
    """Whether `GET /api/v2/status` was answered by an Alertmanager."""
    return isinstance(status, dict) and isinstance(status.get("cluster"), dict) and "versionInfo" in status


async def find_alerting(
    url: str, reader: HttpReader, status: Mapping[str, Any], looking: Looking
) -> list[FoundAlerting]:
    """The server at an address and the members of its cluster that answer at the same port. Raises ReadFailure."""
    first = await _one(url, reader, status, looking)
    found, silent = [first], []
    for address in _others(url, status):
        other = await _member(address, first.peers, looking)
        if other is None:
            silent.append(address)
        else:
            found.append(other)
    own = {each.address for each in found}
    quiet = tuple(address for address in silent if address not in own)
    lacking = quiet if len(found) < len(first.peers) else ()
    return [FoundAlerting(f.address, f.version, f.watchdogs, f.severities, f.peers, lacking, f.ca) for f in found]


async def _one(url: str, reader: HttpReader, status: Mapping[str, Any], looking: Looking) -> FoundAlerting:
    rows = as_json(await answer_of(reader, PATH, looking))
    labels = [row["labels"] for row in rows or () if isinstance(row, dict) and isinstance(row.get("labels"), dict)]
    names = dict.fromkeys(str(each.get("alertname", "")) for each in labels)
    severities = dict.fromkeys(str(each["severity"]) for each in labels if each.get("severity"))
    version = str((status.get("versionInfo") or {}).get("version", ""))
    looking.tell(f"{url}: Alertmanager {version}, {len(labels)} alerts")
    return FoundAlerting(
        address=url,
        version=version,
        watchdogs=tuple(name for name in names if WATCHDOG.search(name)),
        severities=tuple(severities),
        peers=_peers(status),
        ca=looking.ca if url.startswith("https:") else "",
    )


def _peers(status: Mapping[str, Any]) -> tuple[str, ...]:
    peers = status["cluster"].get("peers") or ()
    return tuple(sorted(str(peer.get("name", "")) for peer in peers if isinstance(peer, dict)))


def _others(url: str, status: Mapping[str, Any]) -> list[str]:
    """Where other members may answer: at their address of gossip, with the scheme and port of this one."""
    scheme, _, rest = url.partition("://")
    port = rest.rpartition(":")[2] if rest.rpartition(":")[2].isdecimal() else ""
    found = []
    for peer in status["cluster"].get("peers") or ():
        host = str(peer.get("address", "") if isinstance(peer, dict) else "").rpartition(":")[0]
        address = f"{scheme}://{host}:{port}" if port else f"{scheme}://{host}"
        if host and address != url:
            found.append(address)
    return list(dict.fromkeys(found))


async def _member(address: str, peers: tuple[str, ...], looking: Looking) -> FoundAlerting | None:
    """The member at an address, when what answers there has the same members; it may be this one by another name."""
    try:
        reader = looking.reader(address)
    except ValueError:
        return None
    try:
        status = as_json(await answer_of(reader, STATUS, looking))
        if not is_alertmanager(status) or _peers(status) != peers:
            return None
        return await _one(address, reader, status, looking)
    except ReadFailure:
        return None
    finally:
        await reader.close()
