"""Builds the sources of an estate's own checks."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.commands.building import place_of, secrets_of
from adapters.commands.command import OwnCommand
from adapters.commands.own_checks import CommandSource, HttpSource, PromqlSource, SqlSource
from adapters.commands.session_checks import Asked, KeysSource, SessionSource
from adapters.concealed import Concealed
from adapters.context import AdapterContext, Polled, misconfigured
from adapters.databases.schema_version import SchemaSource
from adapters.databases.statements import HasServers
from adapters.monitors.endpoint import Single
from adapters.monitors.promql import PromApi
from adapters.net.http_read import HttpReader
from adapters.net.origin import locate
from adapters.net.ssh import SshConnections
from state.estate.model import Estate
from state.estate.own_checks import CommandCheck, HttpCheck, OwnCheck, PromqlCheck, SqlCheck
from state.estate.own_sessions import KeysCheck, SessionCheck
from state.estate.releases import SchemaEntry
from state.ports.database import Database
from state.verdicts.instances import schema_source
from state.verdicts.own_checks import check_key

SCHEMA_PACE = (2.0, 2.0, 7.0)
"""How often a schema's version is read, how long one reading may take, and when it is old; in seconds."""


class CheckSources:
    """Builds them from what the estate has. It connects to nothing."""

    def __init__(
        self,
        estate: Estate,
        context: AdapterContext,
        hosts: SshConnections,
        databases: Mapping[str, Database],
        concealed: Concealed,
    ) -> None:
        self._estate, self._context, self._hosts = estate, context, hosts
        self._databases, self._concealed = databases, concealed

    def build(self, name: str, entry: OwnCheck) -> Polled:
        """The source of one check. Raises ConfigError."""
        source: PromqlSource | HttpSource | SqlSource | CommandSource | SessionSource | KeysSource
        if entry.promql is not None:
            source = self._promql(name, entry.promql)
        elif entry.http is not None:
            source = self._http(name, entry.http)
        elif entry.sql is not None:
            source = self._sql(name, entry.sql)
        elif entry.session is not None:
            source = self._session(name, entry.session)
        elif entry.keys is not None:
            source = self._keys(name, entry.keys)
        else:
            assert entry.command is not None, "a check asks exactly one thing"
            source = self._command(name, entry.command)
        return Polled(
            check_key(name),
            entry.every,
            entry.timeout,
            entry.stale_after,
            source.read,
            source.close,
            self._concealed.hide,
        )

    def schema(self, service: str, entry: SchemaEntry) -> Polled:
        """The source of a service's schema version. Raises ConfigError."""
        cluster = self._databases[entry.database]
        if not isinstance(cluster, HasServers):
            place = f"services.{service}.releases.schema.database"
            raise misconfigured(place, entry.database, "a database whose servers can be asked")
        source = SchemaSource(service, entry, cluster.servers)
        every, timeout, stale_after = SCHEMA_PACE
        hide = self._concealed.hide
        return Polled(schema_source(service), every, timeout, stale_after, source.read, source.close, hide)

    def _promql(self, name: str, check: PromqlCheck) -> PromqlSource:
        entry = self._estate.monitors[check.monitor]
        if entry.kind != "prometheus" or not isinstance(entry, Single):
            raise misconfigured(f"checks.{name}.promql.monitor", check.monitor, "a monitor of kind prometheus")
        return PromqlSource(name, check, PromApi(check.monitor, entry.reader(check.monitor, entry.url, self._context)))

    def _http(self, name: str, check: HttpCheck) -> HttpSource:
        origin, path = locate(check.url)
        secret = {key: value.reveal() for key, value in secrets_of(check.secret_headers, self._context).items()}
        headers = {"Cache-Control": "no-cache", **check.headers, **secret}
        reader = HttpReader(origin, ca=self._context.authorities(f"checks.{name}.http", check.ca), headers=headers)
        return HttpSource(name, check, reader, path, self._concealed.hide)

    def _sql(self, name: str, check: SqlCheck) -> SqlSource:
        cluster = self._databases[check.database]
        if not isinstance(cluster, HasServers):
            raise misconfigured(f"checks.{name}.sql.database", check.database, "a database whose servers can be asked")
        return SqlSource(name, check, cluster.servers)

    def _command(self, name: str, check: CommandCheck) -> CommandSource:
        place = place_of(check.on, self._context, self._hosts)
        return CommandSource(name, check, OwnCommand(f"checks/{name}", place, (), self._concealed))

    def _session(self, name: str, check: SessionCheck) -> SessionSource:
        ask = _Asking(self._context, f"checks.{name}.session", check.ca, check.headers)
        accept = {place: ask.at(url) for place, url in check.accept.items()}
        secrets = secrets_of(check.secret_fields, self._context)
        return SessionSource(name, check, ask.at(check.login), accept, secrets)

    def _keys(self, name: str, check: KeysCheck) -> KeysSource:
        ask = _Asking(self._context, f"checks.{name}.keys", check.ca, {})
        return KeysSource(name, {place: ask.at(url) for place, url in check.at.items()})


class _Asking:
    """One reader for each origin of a check."""

    def __init__(self, context: AdapterContext, where: str, ca: str | None, headers: Mapping[str, str]) -> None:
        self._ca = context.authorities(where, ca)
        self._headers = {"Cache-Control": "no-cache", **headers}
        self._readers: dict[str, HttpReader] = {}

    def at(self, url: str) -> Asked:
        """Who is asked for an address. Raises ValueError for one that the estate would have refused."""
        origin, path = locate(url)
        if origin not in self._readers:
            self._readers[origin] = HttpReader(origin, ca=self._ca, headers=self._headers)
        return self._readers[origin], path
