"""What all monitors reached over HTTP have in common: address, TLS and credential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import model_validator

from adapters.context import AdapterContext
from adapters.net.http_read import HttpReader
from adapters.net.origin import BaseUrl, Credential, Origin, locate
from state.config_files.findings import refuse
from state.config_files.paths import Path
from state.estate.model import MonitorEntry, SecretRef
from state.estate.values import HostName


class Endpoint(MonitorEntry):
    """How to reach a monitor: `ca` is a file of certificates, `user` with `password` or `token` a credential.

    `cert` and `key` are files of a client certificate, `via` a host that leads there.
    http is for loopback addresses, and for other machines with `waive.tls`.
    """

    ca: str | None = None
    user: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    cert: str | None = None
    key: str | None = None
    via: HostName | None = None

    @model_validator(mode="after")
    def _one_credential(self) -> Endpoint:
        if self.token is not None and (self.user is not None or self.password is not None):
            refuse(type(self), [(("token",), self.token, "either token, or user and password")])
        if (self.user is None) != (self.password is None):
            present = "password" if self.user is None else "user"
            refuse(type(self), [((present,), getattr(self, present), "user and password together")])
        return self

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Endpoint:
        if (self.cert is None) != (self.key is None):
            present = "key" if self.cert is None else "cert"
            refuse(type(self), [((present,), getattr(self, present), "cert and key together")])
        return self

    @property
    def through(self) -> Sequence[str]:
        return () if self.via is None else (self.via,)

    @property
    def urls(self) -> Mapping[Path, str]:
        """The addresses, by their path in the entry."""
        return {}

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if self._plain() else ()

    def _plain(self) -> list[Path]:
        """Where plain text goes to another machine."""
        origins = {path: Origin.of(locate(url)[0]) for path, url in self.urls.items()}
        return [path for path, origin in origins.items() if origin.scheme == "http" and not origin.loopback]

    @model_validator(mode="after")
    def _plain_text_on_loopback(self) -> Endpoint:
        if self.waive.tls is None:
            message = "https:// (plain text to another machine needs waive: {tls: the reason})"
            refuse(type(self), [(path, self.urls[path], message) for path in self._plain()])
        return self

    def credential(self, context: AdapterContext) -> Credential | None:
        """The credential, read now. Raises ConfigError."""
        secret = context.secret(self.token or self.password)
        return None if secret is None else Credential(secret, self.user)

    def reader(
        self, name: str, origin: str, context: AdapterContext, accept: str = "application/json", *, cached: bool = False
    ) -> HttpReader:
        """A reader of one origin with the credential of the monitor `name`, which tells caches that it wants no stored
        answer, unless `cached` ones will do. Raises ConfigError."""
        headers = {"Accept": accept} if cached else {"Accept": accept, "Cache-Control": "no-cache"}
        return HttpReader(
            origin,
            ca=context.authorities(f"monitors.{name}", self.ca),
            credential=self.credential(context),
            headers=headers,
            client=context.client(self.cert, self.key),
            via=context.way(self.via),
        )


class Single(Endpoint):
    """A monitor at one address."""

    url: BaseUrl

    @property
    def urls(self) -> Mapping[Path, str]:
        return {("url",): self.url}
