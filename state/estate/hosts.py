"""Hosts that are reached over ssh, by OpenSSH's own client."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from state.estate.access import HostAccessEntry
from state.estate.entry import Entry, Seconds
from state.estate.waivers import Reason, ReasonedWaivers

Account = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]


class HostWaivers(ReasonedWaivers):
    """`host_key`: nobody verifies that it is this host."""

    host_key: Reason | None = None


class SshHost(Entry):
    """A host: address, account, and the files of OpenSSH's client, relative to the estate's folder.

    `identity` is the private key, `certificate` what signs it, `known_hosts` the host's key; `config` an OpenSSH
    client configuration for what is not said here, such as a jump host. `environment` is how variables reach a command:
    as `env NAME=VALUE` before it, or sent, which a forced command needs and its sshd must accept (`AcceptEnv`).
    `access` allows grants of access to it that end by themselves.
    """

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9:][A-Za-z0-9._:-]{0,252}$")]
    user: Account | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    identity: str | None = None
    certificate: str | None = None
    known_hosts: str | None = None
    config: str | None = None
    connect_timeout: Seconds = 5.0
    environment: Literal["env", "send"] = "env"
    access: HostAccessEntry | None = None
    waive: HostWaivers = HostWaivers()
