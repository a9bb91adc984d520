"""Calls over HTTP of an estate's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.addresses import is_loopback, wrong_url
from state.estate.arguments import Value, placeholders
from state.estate.conditions import AnswerCondition
from state.estate.entry import Entry, Name, SecretRef
from state.estate.own import OwnChange
from state.estate.values import CallName
from state.estate.waivers import Waivers

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,1000}$")]
OF_THE_PROTOCOL = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "upgrade"})


class ReadingCall(Entry):
    """A GET that only reads: which answers mean done and not done; any other one is unknown."""

    url: str
    done: AnswerCondition
    not_done: AnswerCondition


class IdentityCall(Entry):
    """A GET whose field says who will act."""

    url: str
    field: str


class UndoCall(Entry):
    """The call that takes another one back."""

    call: CallName
    args: Mapping[Name, Value] = Field(default_factory=dict)


class HttpCallEntry(OwnChange):
    """A call of one's own, sent once and never redirected; `${name}` in the path, the query and the body stands for a
    parameter. All of its addresses have one origin, which gets the headers.
    """

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    url: str
    headers: Mapping[HeaderName, HeaderValue] = Field(default_factory=dict)
    secret_headers: Mapping[HeaderName, SecretRef] = Field(default_factory=dict)
    ca: str | None = None
    waive: Waivers = Waivers()
    body: Any = None
    expect: AnswerCondition = AnswerCondition()
    read: ReadingCall | None = None
    identity: IdentityCall | None = None
    undo: UndoCall | None = None

    @model_validator(mode="after")
    def _sound(self) -> HttpCallEntry:
        refuse(type(self), self._findings())
        self.waive.refuse_needless(type(self), needed_by(self.url))
        return self

    def _findings(self) -> Iterator[Finding]:
        urls: dict[tuple[str | int, ...], str] = {("url",): self.url}
        if self.read is not None:
            urls["read", "url"] = self.read.url
        if self.identity is not None:
            urls["identity", "url"] = self.identity.url
        yield from wrong_urls(urls, plain=self.waive.tls is not None)
        yield from self.undeclared(*urls.items(), (("body",), self.body))
        if self.undo is not None:
            yield from self.undeclared((("undo", "args"), self.undo.args))
        for key in ("headers", "secret_headers"):
            for name in getattr(self, key):
                if name.lower() in OF_THE_PROTOCOL:
                    yield (key, name), name, "another header: this one is set by the engine"


def needed_by(url: str) -> tuple[str, ...]:
    """Which waivers an address needs."""
    parts = urlsplit(url)
    return ("tls",) if parts.scheme == "http" and not is_loopback(parts.hostname or "") else ()


def wrong_urls(urls: Mapping[tuple[str | int, ...], str], *, plain: bool) -> Iterator[Finding]:
    """A finding for each address that cannot be asked, or has another origin than the first one."""
    first = ""
    for path, url in urls.items():
        if expected := wrong_url(url):
            yield path, url, expected
            continue
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        first = first or origin
        if "@" in parts.netloc or placeholders(origin) or not url.isascii() or parts.fragment:
            yield path, url, "an address in ASCII whose host is fixed, without user and fragment"
        elif origin != first:
            yield path, url, f"the origin of the call: {first}"
        elif needed_by(url) and not plain:
            yield path, url, "https:// (plain text to another machine needs waive: {tls: reason})"
