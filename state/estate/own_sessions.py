"""Checks of an estate's own about people who are logged in: whether a session outlives a move to another place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.estate.conditions import AnswerCondition
from state.estate.entry import Entry, Name, SecretRef
from state.estate.own_calls import HeaderName, HeaderValue, needed_by, wrong_urls
from state.estate.waivers import Waivers

FieldName = Annotated[str, Field(min_length=1, max_length=120)]
FieldValue = Annotated[str, Field(max_length=1000)]
Places = Annotated[Mapping[Name, str], Field(max_length=16)]


class SessionCheck(Entry):
    """A session made at one place is accepted at others. A POST of the fields to `login`, as JSON or as a `form`; what
    it gives (the token in the field `token` of its answer, else its cookies) is shown to every address of `accept` with
    a GET, whose answer must fit `pass`, and must not without a session. The account is one for this alone: each check
    leaves a session behind.
    """

    login: str
    fields: Mapping[FieldName, FieldValue] = Field(default_factory=dict)
    secret_fields: Mapping[FieldName, SecretRef] = Field(default_factory=dict)
    form: bool = False
    token: str = ""
    accept: Places
    headers: Mapping[HeaderName, HeaderValue] = Field(default_factory=dict)
    ca: str | None = None
    waive: Waivers = Waivers()
    passes: AnswerCondition = Field(default=AnswerCondition(), alias="pass")

    @model_validator(mode="after")
    def _sound(self) -> SessionCheck:
        refuse(type(self), self._findings())
        self.waive.refuse_needless(type(self), _needed(self.login, *self.accept.values()))
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from _each_fits({("login",): self.login}, self.waive)
        yield from _each_fits({("accept", name): url for name, url in self.accept.items()}, self.waive)
        if not self.accept:
            yield ("accept",), {}, "at least one place, as west: https://…/me"
        for name in set(self.fields) & set(self.secret_fields):
            yield ("secret_fields", name), name, "another field than those of fields"


class KeysCheck(Entry):
    """Every place publishes the same signing keys (a JSON Web Key Set each), so that a token of one is valid at all."""

    at: Places
    ca: str | None = None
    waive: Waivers = Waivers()

    @model_validator(mode="after")
    def _sound(self) -> KeysCheck:
        refuse(type(self), self._findings())
        self.waive.refuse_needless(type(self), _needed(*self.at.values()))
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from _each_fits({("at", name): url for name, url in self.at.items()}, self.waive)
        if len(self.at) < 2:
            yield ("at",), dict(self.at), "two places or more"


def _each_fits(urls: Mapping[tuple[str | int, ...], str], waive: Waivers) -> Iterator[Finding]:
    """A finding for each address that cannot be asked; they may be of different origins."""
    for path, url in urls.items():
        yield from wrong_urls({path: url}, plain=waive.tls is not None)


def _needed(*urls: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(need for url in urls for need in needed_by(url)))
