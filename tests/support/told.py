"""Targets and callers that say the given bytes, for the parsers of what they say."""

from __future__ import annotations

from typing import Any

import dns.exception
import dns.message

from adapters.balancers.haproxy import HAProxy
from adapters.dns.rfc2136 import NameServer
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from state.estate.model import DnsRecord


class ToldReader(HttpReader):
    """A reader of HTTP that is given its answer."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__("http://127.0.0.1:1")
        self.body = body

    async def fetch(self, path: str, *, deadline: float, **_other: Any) -> Reply:
        return Reply(200, self.body, "", "application/json", "Fri, 27 Nov 2026 10:00:00 GMT")


class ToldBalancer(HAProxy):
    """HAProxy that is given its answers."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("edge", "/nowhere")
        self.answer = answer

    async def ask(self, *commands: str, deadline: float) -> bytes:
        return self.answer


class ToldServer(NameServer):
    """A name server that is given its answer."""

    def __init__(self, answer: dns.message.Message) -> None:
        record = DnsRecord(name="www", type="A", expect=("192.0.2.1",))
        super().__init__("example.test", "127.0.0.1:53", [record])
        self.answer = answer

    async def _ask(self, name: Any, kind: str) -> dns.message.Message:
        return self.answer


class ToldRequest:
    """A request whose body is given."""

    content_type = "application/json"

    def __init__(self, body: bytes) -> None:
        self._read = body

    async def read(self) -> bytes:
        return self._read
