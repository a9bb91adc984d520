"""Authoritative name servers read one by one: serial and records as each of them has them.

Protocol: RFC 1035; changes go to one of them by RFC 2136 (dynamic update) under a TSIG key, which reading needs only
where the key chooses the view.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from adapters.context import AdapterContext, Polled, split_address
from adapters.dns.name_server import NameServer
from adapters.dns.name_states import NameQueries
from adapters.dns.signing import Key, Signer
from adapters.dns.updates import UpdateChannel
from adapters.dns.zone_servers import ZoneServers
from state.estate.dns_names import whole_name
from state.estate.model import HandStep, ZoneEntry
from state.estate.values import HostPort

KIND = "rfc2136"


class Rfc2136Options(ZoneEntry):
    """`servers`: every authoritative server as address:port. Changes go to `primary`, by default the first of them,
    signed with `key`.

    `view`: the name of the view that this entry is about; with `ask_with_key` the key chooses it for questions too.
    """

    servers: tuple[HostPort, ...] = Field(min_length=1)
    primary: HostPort | None = None
    key: Key | None = None
    view: str = Field(default="", max_length=63)
    ask_with_key: bool = False

    @model_validator(mode="after")
    def _has_what_it_asks_with(self) -> Self:
        if self.ask_with_key and self.key is None:
            raise ValueError("ask_with_key needs a key")
        return self

    def read_by_hand(self, zone: str, record: str) -> Sequence[HandStep]:
        kinds = dict.fromkeys(each.type for each in self.records if each.name == record)
        name = shlex.quote(whole_name(record, self.domain or zone))
        places = [(server, split_address(server), kind) for server in self.servers for kind in kinds or ("A",)]
        return [
            HandStep(f"{server}: {record} {kind}", f"dig +norecurse +short @{host} -p {port} {name} {kind}")
            for server, (host, port), kind in places
        ]

    def set_by_hand(self, zone: str, record: str, updates: Sequence[str]) -> Sequence[HandStep]:
        host, port = split_address(self.primary or self.servers[0])
        lines = [f"server {host} {port}", f"zone {self.domain or zone}", *updates, "send"]
        command = f"printf '%s\\n' {' '.join(shlex.quote(each) for each in lines)} | nsupdate -k KEYFILE"
        return [HandStep("one message, which changes all or nothing", command)]

    @property
    def changeable(self) -> bool:
        return self.key is not None

    @property
    def asked(self) -> tuple[str, ...]:
        return self.servers


OPTIONS = Rfc2136Options


def build(zone: str, options: Rfc2136Options, context: AdapterContext) -> Sequence[Polled]:
    """The sources `dns:{zone}@{server}`, and `resolver:{zone}@{server}` for each resolver."""
    signer = _signer(options, context) if options.ask_with_key else None
    return sources(zone, options, options.servers, context, signer)


def sources(
    zone: str, entry: ZoneEntry, servers: Sequence[str], context: AdapterContext, signer: Signer | None = None
) -> Sequence[Polled]:
    """What is read of a zone all the time, whatever changes it."""
    own = [NameServer(zone, server, entry.records, entry.domain, signer) for server in servers]
    others = [NameServer(zone, each, entry.records, entry.domain, recursive=True) for each in entry.resolvers]
    return [
        *(context.source(f"dns:{zone}@{each.server}", each.read) for each in own),
        *(context.source(f"resolver:{zone}@{each.server}", each.read) for each in others),
    ]


def acting(zone: str, options: Rfc2136Options, context: AdapterContext) -> ZoneServers:
    """The zone as changes reach it; nothing is connected yet."""
    domain, signer = options.domain or zone, _signer(options, context)
    always = signer if options.ask_with_key else None
    at = options.primary or options.servers[0]
    asked = [NameQueries(domain, server, always) for server in dict.fromkeys((at, *options.servers))]
    keyed = asked[0] if always is not None else None if signer is None else NameQueries(domain, at, signer)
    channel = None if signer is None else UpdateChannel(domain, at, signer)
    return ZoneServers(zone, domain, options.view, at, asked, asked[0], keyed, channel)


def _signer(options: Rfc2136Options, context: AdapterContext) -> Signer | None:
    if options.key is None:
        return None
    secret = context.secret(options.key.secret)
    return None if secret is None else Signer(options.key, secret)
