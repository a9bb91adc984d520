"""Addresses become facts. What stands at an address is found by asking it; nothing is ever sent that could act.

Without addresses the usual places of this host are looked at.
"""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path

from adapters.discovery import alertmanager, patroni, prometheus
from adapters.discovery.dns import find_zone, zone_address
from adapters.discovery.haproxy import find_balancer, read_configuration
from adapters.discovery.looking import Looking, answer_of, as_json, unreached
from adapters.discovery.plain_address import has_a_credential, without_credential
from adapters.monitors.alertmanager import STATUS
from adapters.net.answers_read import MALFORMED
from state.discovery.found import Fact, FoundBalancer, Unreached
from state.discovery.names import service_in
from state.errors import ReadFailure, Trouble
from state.estate.addresses import host_and_scheme, wrong_address, wrong_url

SOCKETS = (
    "/run/haproxy/*.sock",
    "/run/haproxy/*.socket",
    "/run/haproxy.sock",
    "/var/lib/haproxy/stats",
    "/tmp/haproxy.sock",  # noqa: S108 - it is only read, and named to the person
)
CONFIGURATION = "/etc/haproxy/haproxy.cfg"
URLS = (
    "https://127.0.0.1:8008",
    "http://127.0.0.1:8008",
    "http://127.0.0.1:9090",
    "http://127.0.0.1:9093",
)
USUAL_PLACES = (*SOCKETS, CONFIGURATION, *URLS)
"""Where this host is looked at when no address was given."""
KINDS = "a Patroni, Prometheus or Alertmanager URL, a socket of HAProxy (path or host:port), a haproxy.cfg, dns://server/zone"
SECONDS_IN_ALL = 120.0
WORKER = re.compile(r"@[1-9][0-9]{0,3}$")
"""How a worker behind a master's socket is named."""


async def discover(addresses: Sequence[str], looking: Looking) -> list[Fact]:
    """What stands at these addresses, in their order; one that gives nothing is an `Unreached`. Never raises for it."""
    zones = [each for each in addresses if each.startswith("dns://") and not has_a_credential(each)]
    others = [each for each in addresses if each not in zones]
    found = [fact for facts in await asyncio.gather(*(_one(each, looking) for each in others)) for fact in facts]
    names = [service_in(b.name) for fact in found if isinstance(fact, FoundBalancer) for b in fact.backends]
    for address in zones:
        found += await _bounded(address, _zone(address, names, looking))
    return found


async def look_around(looking: Looking) -> list[Fact]:
    """What stands at the usual places of this host; a place without anything is no fact."""
    facts = await discover([*await asyncio.to_thread(_here), *URLS], looking)
    return [fact for fact in facts if not _nothing_there(fact)]


def _here() -> list[str]:
    sockets = {str(path) for pattern in SOCKETS for path in Path("/").glob(pattern[1:]) if _is_socket(path)}
    return [*sorted(sockets), *([CONFIGURATION] if Path(CONFIGURATION).is_file() else [])]


def _nothing_there(fact: Fact) -> bool:
    return isinstance(fact, Unreached) and fact.address in URLS


def _is_socket(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISSOCK(path.stat().st_mode)
    return False


async def _one(address: str, looking: Looking) -> list[Fact]:
    if has_a_credential(address):
        text = "an address with a password or user in it is not used"
        way_out = "the address without it; recovery init needs no credential"
        return [Unreached(without_credential(address), Trouble.DENIED, text, way_out)]
    if address.startswith(("http://", "https://")):
        return await _bounded(address, _url(address.rstrip("/"), looking))
    if address.startswith("ssh://"):
        text = "sockets behind ssh are not looked at here"
        return [Unreached(address, Trouble.ERROR, text, "run recovery init on that host")]
    if "://" in address:
        return [Unreached(address, Trouble.ERROR, "no address of a kind that is known", KINDS)]
    path = await asyncio.to_thread(_file, address)
    if path is not None:
        return await _bounded(address, _path(path, looking))
    if not wrong_address(address):
        return await _bounded(address, _host_port(address, looking))
    return [Unreached(address, Trouble.ERROR, "no such file, and no address of a kind that is known", KINDS)]


def _file(address: str) -> Path | None:
    """The path that an address is, if it is one: it looks like one, or something is there."""
    path = Path(address).expanduser() if address.startswith("~/") else Path(address)
    return path.absolute() if address.startswith(("/", ".", "~")) or path.exists() else None


async def _bounded(address: str, work: Awaitable[list[Fact]]) -> list[Fact]:
    """The facts, or why there are none; a target that answers slowly for ever is bounded in all."""
    try:
        async with asyncio.timeout(SECONDS_IN_ALL):
            return await work
    except TimeoutError:
        text = f"it was not done within {SECONDS_IN_ALL:g} s"
        return [Unreached(address, Trouble.TIMEOUT, text, "see how it is, then --update")]
    except ReadFailure as error:
        return [unreached(address, error)]
    except MALFORMED as error:
        text = f"its answer is not as expected ({type(error).__name__})"
        return [Unreached(address, Trouble.ERROR, text, "see what answers at this address; write this entry by hand")]


async def _path(path: Path, looking: Looking) -> list[Fact]:
    if _is_socket(path):
        return [await _behind(str(path), looking)]
    if WORKER.search(str(path)):
        return [await find_balancer(str(path), looking)]
    return [await asyncio.to_thread(read_configuration, path, looking)]


async def _behind(socket: str, looking: Looking) -> Fact:
    """The process behind a socket, or behind its master's: the current worker."""
    try:
        return await find_balancer(socket, looking)
    except ReadFailure as error:
        if error.trouble is not Trouble.ERROR:
            raise
        with suppress(ReadFailure):
            return await find_balancer(f"{socket}@1", looking)
        raise


async def _host_port(address: str, looking: Looking) -> list[Fact]:
    """HAProxy's runtime API, or one of the others without its scheme."""
    try:
        return [await find_balancer(address, looking)]
    except ReadFailure as error:
        if error.trouble in (Trouble.UNREACHABLE, Trouble.DENIED):
            raise
    for scheme in ("https", "http"):
        with suppress(ReadFailure):
            return await _url(f"{scheme}://{address}", looking)
    raise ReadFailure(Trouble.ERROR, f"{address} is neither HAProxy's runtime API nor a kind of HTTP that is known")


async def _url(url: str, looking: Looking) -> list[Fact]:
    """What answers at a URL, by the one page that each kind has."""
    if wrong := wrong_url(url):
        raise ReadFailure(Trouble.ERROR, f"{host_and_scheme(url)[0] or url}: expected {wrong}")
    try:
        reader = looking.reader(url)
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, "an address of scheme, host, port and path only is expected") from error
    try:
        first = await answer_of(reader, "/patroni", looking)
        own = as_json(first)
        if patroni.is_patroni(own):
            return [await patroni.find_cluster(url, reader, own, looking)]
        status = as_json(await answer_of(reader, STATUS, looking))
        if alertmanager.is_alertmanager(status):
            return list(await alertmanager.find_alerting(url, reader, status, looking))
        if await prometheus.speaks_promql(reader, looking):
            return [await prometheus.find_metrics(url, reader, looking)]
    finally:
        await reader.close()
    if first is not None and first.status in (401, 403):
        raise ReadFailure(Trouble.DENIED, f"answer {first.status}: not allowed without a credential")
    raise ReadFailure(Trouble.ERROR, "what answers there is neither Patroni nor Prometheus nor Alertmanager")


async def _zone(address: str, names: Sequence[str], looking: Looking) -> list[Fact]:
    try:
        zone_address(address)
    except ValueError as error:
        raise ReadFailure(Trouble.ERROR, "expected dns://server/zone, such as dns://10.0.0.53/shop.example") from error
    return [await find_zone(address, names, looking)]
