"""Until when a server's certificate is valid: asked over a connection of its own that sends and trusts nothing.

What is needed of X.509 (RFC 5280, 4.1) is read here; whether the chain is good the real connection says.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.net.origin import unproven_context
from adapters.net.tls_reasons import tls_refusal
from adapters.net.tunnel import Tunnel
from state.diagnosis.judging import ends
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's request for TLS on a connection (manual, "Message Formats")."""
EXPIRED = 10
"""OpenSSL's number of a certificate that has ended (X509_V_ERR_CERT_HAS_EXPIRED)."""
_EXPLICIT_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18


async def look_at_certificate(
    subject: Subject,
    host: str,
    port: int,
    now: float,
    *,
    deadline: float,
    postgres: bool = False,
    via: Tunnel | None = None,
) -> Diagnosis | None:
    """Until when the certificate is valid; None where no certificate comes, of which other answers tell."""
    end = await certificate_end(host, port, postgres=postgres, via=via, deadline=deadline)
    return None if end is None else ends(subject, Asked.CERTIFICATE, "the server's certificate", end, now)


@dataclass(frozen=True, slots=True)
class ServedCertificate:
    """What a server serves to who connects now: `end` epoch seconds, None where none comes. `refused`: why it is not
    believed, but for its end; empty where it is, or nobody looked."""

    end: float | None
    refused: str = ""


async def served_certificate(
    host: str,
    port: int,
    *,
    deadline: float,
    postgres: bool = False,
    via: Tunnel | None = None,
    trusted: ssl.SSLContext | None = None,
) -> ServedCertificate:
    """The certificate, and with the context of the real connections whether they would take it. Never raises."""
    if trusted is None:
        return ServedCertificate(await certificate_end(host, port, postgres=postgres, via=via, deadline=deadline))
    loop = asyncio.get_running_loop()
    until, refused = loop.time() + deadline, ""
    try:
        async with asyncio.timeout(deadline):
            der = await _certificate(host, port, postgres=postgres, via=via, context=trusted)
        return ServedCertificate(None if der is None else not_after(der))
    except ssl.SSLCertVerificationError as error:
        refused = "" if error.verify_code == EXPIRED else tls_refusal(error)
    except (OSError, ValueError, IndexError, EOFError, ReadFailure):
        pass
    end = await certificate_end(host, port, postgres=postgres, via=via, deadline=max(0.0, until - loop.time()))
    return ServedCertificate(end, refused)


async def certificate_end(
    host: str, port: int, *, deadline: float, postgres: bool = False, via: Tunnel | None = None
) -> float | None:
    """When the certificate ends that is served now, epoch seconds; None where none comes. Never raises."""
    try:
        async with asyncio.timeout(deadline):
            der = await _certificate(host, port, postgres=postgres, via=via)
        return None if der is None else not_after(der)
    except (OSError, ValueError, IndexError, EOFError, ReadFailure):  # ssl.SSLError is an OSError, a timeout too
        return None


async def _certificate(
    host: str, port: int, *, postgres: bool, via: Tunnel | None, context: ssl.SSLContext | None = None
) -> bytes | None:
    context = context or unproven_context()
    if via is not None:
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reader, writer = await asyncio.open_unix_connection(await via.forward(netloc))
    else:
        reader, writer = await asyncio.open_connection(host, port)
    if not postgres:
        await writer.start_tls(context, server_hostname=host)
    else:
        writer.write(SSL_REQUEST)
        if await reader.readexactly(1) != b"S":
            writer.close()
            return None
        await writer.start_tls(context, server_hostname=host)
    try:
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        return None if tls is None else tls.getpeercert(binary_form=True)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def not_after(der: bytes) -> float:
    """The end of a certificate's validity, epoch seconds. Raises ValueError or IndexError for other bytes."""
    at = _inside(der, _inside(der, 0))  # the certificate, then what is signed in it
    if der[at] == _EXPLICIT_VERSION:
        at = _behind(der, at)
    for _ in ("serial number", "signature", "issuer"):
        at = _behind(der, at)
    at = _behind(der, _inside(der, at))  # within the validity, behind its beginning
    tag, text = der[at], der[_inside(der, at) : _behind(der, at)].decode("ascii")
    if tag == _UTC_TIME:  # of two digits of the year those below 50 are of this century
        text = f"{'20' if text < '50' else '19'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _length(der: bytes, at: int) -> tuple[int, int]:
    """How many bytes of length stand behind a tag, and the length of the content."""
    first = der[at + 1]
    if first < 0x80:
        return 1, first
    more = first & 0x7F
    return 1 + more, int.from_bytes(der[at + 2 : at + 2 + more], "big")


def _inside(der: bytes, at: int) -> int:
    return at + 1 + _length(der, at)[0]


def _behind(der: bytes, at: int) -> int:
    head, length = _length(der, at)
    return at + 1 + head + length
