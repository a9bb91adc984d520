"""Real name servers whose records can be changed: BIND, PowerDNS, and the laboratory's own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dns.asyncquery
import dns.message
import dns.name
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from adapters.context import AdapterContext
from adapters.dns import powerdns, rfc2136
from adapters.dns.zone_servers import ZoneServers
from adapters.lab.services.dns_server import DnsServer, Zone
from state.changes.model import Change, ChangeSpec, Preview, ReadBack
from state.changes.registry import build
from state.estate.model import Estate
from state.ports.outside import Outside
from tests.contract.pdns import API_KEY, RunningPdns
from tests.support.ports import free_port

ZONE = "lab.test"
SECRET = base64.b64encode(b"secret-of-the-zone-1234567890123").decode()
WRONG = base64.b64encode(b"another-secret-1234567890123456!").decode()
KEY = "recovery."

BIND = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
key "recovery." {{ algorithm hmac-sha256; secret "{key}"; }};
zone "lab.test" {{ type primary; file "{root}/zone.db"; update-policy {{ grant recovery. zonesub ANY; }}; }};
"""
RECORDS = """$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 30
@ NS ns
ns A 127.0.0.1
www A 10.1.0.10
www A 10.2.0.10
api A 10.1.0.10
"""


async def rows(port: int, name: str, kind: str, signed: Any = None) -> tuple[int, list[str]]:
    """TTL and values as a server answers them, asked by nobody's adapter; TTL -1 for none."""
    question = dns.message.make_query(f"{name}.{ZONE}" if name != "@" else ZONE, kind, flags=0)
    if signed is not None:
        question.use_tsig(signed)
    answer = await dns.asyncquery.tcp(question, "127.0.0.1", port=port, timeout=3)
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.from_text(kind) and rrset.name == question.question[0].name:
            return rrset.ttl, sorted(each.to_text() for each in rrset)
    return -1, []


async def serial(port: int) -> int:
    _, (text,) = await rows(port, "@", "SOA")
    return int(text.split()[2])


async def foreign(port: int, *lines: tuple[str, ...], secret: str = SECRET) -> None:
    """Somebody else's update: `("add", "www", "5", "A", "10.9.0.1")` or `("delete", "www", "A")`."""
    update = dns.update.UpdateMessage(ZONE, keyring=dns.tsigkeyring.from_text({KEY: ("hmac-sha256.", secret)}))
    for how, *rest in lines:
        getattr(update, how)(*rest)
    answer = await dns.asyncquery.tcp(update, "127.0.0.1", port=port, timeout=3)
    assert answer.rcode() == 0, answer


def options(port: int, *more: int, secret: str = "key", **extra: Any) -> dict[str, Any]:
    servers = [f"127.0.0.1:{each}" for each in (port, *more)]
    key = {"name": KEY, "algorithm": "hmac-sha256", "secret": {"file": secret}}
    return {"kind": "rfc2136", "servers": servers, "key": key, **extra}


def keep_secret(context: AdapterContext, text: str = SECRET, name: str = "key") -> None:
    path = context.base / name
    path.write_text(text)
    path.chmod(0o600)


def zone_of(context: AdapterContext, made: Mapping[str, Any], name: str = ZONE) -> ZoneServers:
    return rfc2136.acting(name, rfc2136.OPTIONS.model_validate(made), context)


def estate_of(made: Mapping[str, Any], name: str = ZONE, model: Any = rfc2136.OPTIONS) -> Estate:
    entry = model.model_validate(made)
    plain = {
        "estate": "names",
        "environment": "lab",
        "sites": {"east": {}},
        "services": {"www": {"tier": 1, "rto": 300, "rpo": 1}},
    }
    return Estate.model_validate(plain).model_copy(update={"zones": {name: entry}})


def api_acting(context: AdapterContext, pdns: RunningPdns, *more: int, key: str = API_KEY, **extra: Any) -> Acting:
    """The zone over the API of PowerDNS; `more` are ports of further authoritative servers."""
    keep_secret(context, key, "api")
    servers = [f"127.0.0.1:{each}" for each in (pdns.port, *more)]
    made = {"kind": "powerdns", "url": pdns.url, "api_key": {"file": "api"}, "servers": servers, **extra}
    zone = powerdns.acting(ZONE, powerdns.OPTIONS.model_validate(made), context)
    return Acting(zone, estate_of(made, model=powerdns.OPTIONS))


def take_updates(pdns: RunningPdns) -> None:
    """From now on its zone takes updates signed with the key of the suite."""
    pdns.tool("import-tsig-key", "recovery", "hmac-sha256", SECRET)
    pdns.tool("set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", "recovery")
    pdns.tool("set-meta", ZONE, "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8")


class Acting:
    """A change through the door by which the engine uses it, without the engine: preview, apply, read back."""

    def __init__(self, zone: Any, estate: Estate) -> None:
        self.zone, self.estate = zone, estate

    def change(self, record: str, **args: Any) -> Change:
        outside = Outside((), {}, {}, zones={self.zone.name: self.zone})
        spec = ChangeSpec("dns.set", {"zone": self.zone.name, "record": record, **args})
        return build(spec, self.estate, outside)

    async def card(self, record: str, **args: Any) -> Preview:
        """As the planner reads it."""
        change = self.change(record, **args)
        await change.identify(deadline=4)
        return await change.preview(deadline=4)

    async def refused(self, record: str, **args: Any) -> dict[str, str]:
        return {each.rule: each.fact for each in (await self.card(record, **args)).refusals}

    async def done(self, record: str, **args: Any) -> tuple[Preview, ReadBack]:
        """Sent once and read back."""
        change = self.change(record, **args)
        card = await change.preview(deadline=4)
        assert not card.refusals, card.refusals
        await change.apply(card.facts, effect="R-1/a", deadline=5)
        return card, await change.read_back(card.facts, deadline=4)

    async def undone(self, card: Preview) -> ReadBack:
        assert card.undo is not None
        args = {name: value for name, value in card.undo.args.items() if name not in ("zone", "record")}
        return (await self.done(card.undo.args["record"], **args))[1]


@asynccontextmanager
async def embedded(records: Mapping[str, list[str]], ttl: int = 60) -> AsyncIterator[int]:
    server, port = DnsServer(Zone(ZONE, records, ttl), (KEY, SECRET, "hmac-sha256")), free_port()
    await server.start("127.0.0.1", port)
    try:
        yield port
    finally:
        await server.stop()
        await asyncio.sleep(0)
