"""The part every monitor reached over HTTP has in common: its address, its TLS and its credential."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from adapters.context import AdapterContext
from adapters.net.http_read import HttpReader
from adapters.net.origin import Credential, Origin, printable
from state.estate.model import Entry, SecretRef


def locate(url: str) -> tuple[str, str]:
    """An address as its origin and its path with query. Raises ValueError."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if parts.fragment or not printable(path):
        raise ValueError(f"{url!r} is not an address that can be asked")
    origin = f"{parts.scheme}://{parts.netloc}"
    Origin.of(origin)
    return origin, path


class Endpoint(Entry):
    """How to reach a monitor: `ca` is a file of certificates, `user` with `password` or `token` a credential.

    `plaintext: true` allows http to other machines; without it only loopback addresses may go without TLS.
    """

    ca: str | None = None
    user: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    plaintext: bool = False

    @model_validator(mode="after")
    def _credential_is_one(self) -> Endpoint:
        if self.token is not None and (self.user is not None or self.password is not None):
            raise ValueError("either token, or user and password")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        return self

    def check_plain(self, *urls: str) -> None:
        """Raise ValueError when an address would be asked in plain text without leave."""
        for url in urls:
            origin = Origin.of(locate(url)[0])
            if origin.scheme == "http" and not origin.loopback and not self.plaintext:
                raise ValueError(f"{url} is plain text to another machine: use https, or say plaintext: true")

    def credential(self, context: AdapterContext) -> Credential | None:
        """The credential, read now. Raises ConfigError."""
        secret = context.secret(self.token or self.password)
        return None if secret is None else Credential(secret, self.user)

    def reader(self, origin: str, context: AdapterContext, accept: str = "application/json") -> HttpReader:
        """A reader of one origin with this credential. Raises ConfigError."""
        ca = context.path(self.ca)
        return HttpReader(origin, ca=ca, credential=self.credential(context), headers={"Accept": accept})


class Single(Endpoint):
    """A monitor at one address."""

    url: str

    @field_validator("url")
    @classmethod
    def _well_formed(cls, url: str) -> str:
        Origin.of(url)
        return url

    @model_validator(mode="after")
    def _plain_only_at_home(self) -> Single:
        self.check_plain(self.url)
        return self
