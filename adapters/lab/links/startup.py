"""A proxy in front of a PostgreSQL server which distinguishes its clients by `application_name`.

Standbys of one primary reach it over one address. To cut just one of them the proxy reads the StartupMessage
(PostgreSQL protocol 3.0, "Message Formats") and applies the link of the standby that connects.
"""

from __future__ import annotations

import asyncio
import struct

from adapters.lab.links.links import NetworkLink
from adapters.lab.links.proxies import ProxyAddress, StreamProxy, Streams

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
STARTUP_LIMIT = 10_000  # bytes; the server's own limit, MAX_STARTUP_PACKET_LENGTH


class StartupProxy(StreamProxy):
    """Replication into one node: the member named in a connection's startup decides its link."""

    def __init__(
        self, by_name: dict[str, NetworkLink], other: NetworkLink, address: ProxyAddress, upstream: ProxyAddress
    ) -> None:
        super().__init__(other, address, upstream)
        self._by_name = by_name

    async def serve(self, client: Streams) -> None:
        packet = await _read_startup(client)
        if packet is None:
            client[1].transport.abort()
            return
        link = self._by_name.get(application_name(packet), self.link)
        await self.forward(client, link, packet)


async def _read_startup(client: Streams) -> bytes | None:
    """The first packet that is not a request for encryption; those are declined, as by a server without TLS."""
    reader, writer = client
    while True:
        try:
            head = await reader.readexactly(8)
        except asyncio.IncompleteReadError:
            return None
        length, code = struct.unpack("!II", head)
        if code not in (SSL_REQUEST, GSSENC_REQUEST):
            break
        writer.write(b"N")
        await writer.drain()
    if not 8 <= length <= STARTUP_LIMIT:
        return None
    return head + await reader.readexactly(length - 8)


def application_name(packet: bytes) -> str:
    """The `application_name` of a StartupMessage, or an empty string."""
    fields = packet[8:].split(b"\0")
    pairs = dict(zip(fields[::2], fields[1::2], strict=False))
    return pairs.get(b"application_name", b"").decode("utf-8", "replace")
