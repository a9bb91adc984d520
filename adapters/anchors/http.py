"""Anchors at an HTTP endpoint: each is sent once by POST as JSON, and taken when the answer is 2xx."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import model_validator

from adapters.context import AdapterContext
from adapters.net.http_act import HttpActor
from adapters.net.http_client import Reply
from adapters.net.origin import Credential, Origin, PageUrl, locate
from adapters.net.own_call import IDEMPOTENCY
from state.config_files.findings import refuse
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.model import AnchorEntry, SecretRef
from state.estate.values import HostName
from state.text import clean

KIND = "http"
SAID = 200


class HttpAnchorOptions(AnchorEntry):
    """`url` to send to, with `token` as bearer. `ca` is a file of certificates, `cert` and `key` those of a client
    certificate, `via` a host that leads there. http to another machine needs `waive.tls`."""

    url: PageUrl
    token: SecretRef | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    via: HostName | None = None

    @property
    def through(self) -> Sequence[str]:
        return () if self.via is None else (self.via,)

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if self._plain() else ()

    @model_validator(mode="after")
    def _encrypted_or_waived(self) -> HttpAnchorOptions:
        if (self.cert is None) != (self.key is None):
            present = "key" if self.cert is None else "cert"
            refuse(type(self), [((present,), getattr(self, present), "cert and key together")])
        if self._plain() and self.waive.tls is None:
            message = "https:// (plain text to another machine needs waive: {tls: the reason})"
            refuse(type(self), [(("url",), self.url, message)])
        return self

    def _plain(self) -> bool:
        origin = Origin.of(locate(self.url)[0])
        return origin.scheme == "http" and not origin.loopback


OPTIONS = HttpAnchorOptions


class AnchorEndpoint:
    """Fulfils AnchorPlace."""

    def __init__(self, name: str, actor: HttpActor, path: str) -> None:
        self._name, self._actor, self._path = name, actor, path

    async def look(self, *, deadline: float) -> str:
        """Ask by HEAD; which status that gets says nothing about POST."""
        await self._sent("HEAD", None, {}, deadline)
        return "answers; whether it takes anchors is shown by one only"

    async def keep(self, line: str, *, deadline: float) -> None:
        """Send it."""
        told = json.loads(line)
        reply = await self._sent("POST", told, {IDEMPOTENCY: f"{told['journal'][:16]}-{told['seq']}"}, deadline)
        if not 200 <= reply.status < 300:
            said = clean(reply.text[:SAID], SAID)
            raise ReadFailure(Trouble.ERROR, f"{self._name} answered {reply.status}{f': {said}' if said else ''}")

    async def _sent(self, method: str, body: Any, more: Mapping[str, str], deadline: float) -> Reply:
        try:
            return await self._actor.send(method, self._path, body, deadline=deadline, more=more)
        except EffectRefused as error:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self._name}: {error.message}") from error
        except EffectUnknown as error:
            trouble = Trouble.TIMEOUT if error.code == "timeout" else Trouble.ERROR
            raise ReadFailure(trouble, f"{self._name}: {error.message}") from error


def build(name: str, options: HttpAnchorOptions, context: AdapterContext) -> AnchorEndpoint:
    """The place. Raises ConfigError."""
    origin, path = locate(options.url)
    token = context.secret(options.token)
    actor = HttpActor(
        Origin.of(origin),
        ca=context.authorities(f"anchors.{name}", options.ca),
        credential=None if token is None else Credential(token),
        client=context.client(options.cert, options.key),
        via=context.way(options.via),
    )
    return AnchorEndpoint(f"anchors.{name}", actor, path)
