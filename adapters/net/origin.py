"""The address of an HTTP target, how TLS to it is verified, and the credential that is sent to it alone."""

from __future__ import annotations

import base64
import errno
import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from adapters.secrets import Secret
from state.estate.addresses import is_loopback
from state.estate.values import HttpUrl
from state.host.regular import bounded, opened

LONGEST_CA = 4 << 20
"""Bytes of a file of certificates: those of a whole system have half a million."""


def printable(text: str) -> bool:
    """Whether a text is allowed in a request line: printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL, the only place its credential is sent to; `prefix` is the path before ours."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @classmethod
    def of(cls, url: str) -> Origin:
        """Parse a URL. Raises ValueError on anything but plain http(s) without user, query and fragment."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http or https address")
        if parts.username is not None or parts.password is not None:
            raise ValueError("an address must not have credentials")
        if parts.query or parts.fragment or not printable(parts.path):
            raise ValueError(f"{url!r} has more than scheme, host, port and path")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))

    @property
    def netloc(self) -> str:
        """`host:port`, as in the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def locate(url: str) -> tuple[str, str]:
    """An address as its origin and its path with query. Raises ValueError."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if parts.fragment or not printable(path):
        raise ValueError(f"{url!r} is not an address that can be asked")
    origin = f"{parts.scheme}://{parts.netloc}"
    Origin.of(origin)
    return origin, path


def _base(url: str) -> str:
    try:
        Origin.of(url)
    except ValueError:
        raise ValueError("an address of scheme, host, port and path only, without user, query and fragment") from None
    return url


def _page(url: str) -> str:
    try:
        locate(url)
    except ValueError:
        raise ValueError("an address in printable ASCII, without user and fragment") from None
    return url


BaseUrl = Annotated[HttpUrl, AfterValidator(_base)]
"""Where an API begins: paths are added to it."""
PageUrl = Annotated[HttpUrl, AfterValidator(_page)]
"""The address of one page, with its query if it has one."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Basic (user and secret) or bearer (secret only) authorization."""

    secret: Secret
    user: str | None = None

    def header(self) -> str:
        """The value of the Authorization header; made when it is sent, never kept."""
        if self.user is None:
            return f"Bearer {self.secret.reveal()}"
        pair = f"{self.user}:{self.secret.reveal()}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files of a certificate that this engine shows, and of its key, in PEM without a passphrase."""

    cert: Path
    key: Path


@lru_cache(maxsize=32)
def tls_context(ca: Path | None, *, client: ClientCertificate | None = None) -> ssl.SSLContext:
    """TLS with host name and chain verified, on loopback too: there another account may listen while a service is down.

    Raises OSError for a file that cannot be used, also for a key with a passphrase: nobody is asked for one.
    """
    context = ssl.create_default_context(cadata=None if ca is None else _authorities(ca))
    if client is not None:
        for each in (client.cert, client.key):
            opened(each).close()
        context.load_cert_chain(client.cert, client.key, password="")
    return context


def _authorities(ca: Path) -> str:
    try:
        text = bounded(ca, LONGEST_CA).decode("ascii", "ignore")  # comments may have other letters
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(ca)) from error
    if "-----BEGIN" not in text:  # without any, those of the system would be believed
        raise OSError(errno.EINVAL, "no certificate in PEM", str(ca))
    return text


def unproven_context() -> ssl.SSLContext:
    """TLS that verifies nothing: for a look at a certificate, over a connection that sends and believes nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def context_for(origin: Origin, ca: Path | None, client: ClientCertificate | None = None) -> ssl.SSLContext | None:
    """The TLS an origin needs, None for plain text."""
    return None if origin.scheme == "http" else tls_context(ca, client=client)
