"""Types for texts in an estate file: the name of another entry, or an address. Each type has its own rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from state.config_files.explain import NAME_PATTERN
from state.config_files.references import Reference
from state.estate.addresses import wrong_address, wrong_url

_name = Field(pattern=NAME_PATTERN)
SiteName = Annotated[str, _name, Reference("site", "sites")]
PersonName = Annotated[str, _name, Reference("person", "people")]
ServiceName = Annotated[str, _name, Reference("service", "services")]
BalancerName = Annotated[str, _name, Reference("balancer", "balancers")]
MonitorName = Annotated[str, _name, Reference("monitor", "monitors")]
CommandName = Annotated[str, _name, Reference("command", "commands")]
CallName = Annotated[str, _name, Reference("call", "http_calls")]
DatabaseName = Annotated[str, _name, Reference("database", "databases")]
HostName = Annotated[str, _name, Reference("host", "hosts")]
HostOrLocal = Annotated[str, _name, Reference("host, or local", "hosts", besides=("local",))]
OwnCheckName = Annotated[str, _name, Reference("check of its own", "checks")]
StatementName = Annotated[str, _name, Reference("statement", "sql_calls")]
NeededName = Annotated[str, _name, Reference("service or database", "services", "databases")]
"""What a service depends on."""


def _host_port(text: str) -> str:
    if expected := wrong_address(text):
        raise ValueError(expected)
    return text


def _http_url(text: str) -> str:
    if expected := wrong_url(text):
        raise ValueError(expected)
    return text


HostPort = Annotated[str, AfterValidator(_host_port)]
"""`host:port` or `[v6]:port`."""
HttpUrl = Annotated[str, AfterValidator(_http_url)]
"""An http or https address."""
