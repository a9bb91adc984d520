"""What access an estate allows to be given at a database, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, field_validator

from state.estate.addresses import is_loopback
from state.estate.entry import Entry, Name, Seconds, SecretRef
from state.estate.values import HostPort
from state.granting.model import Bundle

HOUR = 3600.0
MOST = 4 * HOUR
RoleName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class PoolerEntry(Entry):
    """A PgBouncer in front of this cluster, on this machine. `user` is one of its `admin_users` or `stats_users`."""

    address: HostPort
    user: RoleName
    password: SecretRef | None = None

    @field_validator("address")
    @classmethod
    def _here(cls, address: str) -> str:
        if not is_loopback(address.rpartition(":")[0].strip("[]")):
            raise ValueError("a loopback address: what its console tells is not encrypted")
        return address


class AccessEntry(Entry):
    """Grants at this cluster: the bundles that may be given, and how long one lasts unless something else is asked for,
    and at most (seconds).

    `poolers` are asked whose sessions they keep. `schema_owner` is the role that owns the tables which schema-fix is
    for; without one there is no schema-fix. What the cluster must be prepared with says `recovery db prepare`.
    """

    bundles: tuple[Bundle, ...] = (Bundle.READ_ALL, Bundle.MONITOR, Bundle.TERMINATE, Bundle.CONFIG_RELOAD)
    usual: Seconds = 1800.0
    longest: Annotated[Seconds, Field(ge=60, le=MOST)] = MOST
    schema_owner: RoleName | None = None
    poolers: Mapping[Name, PoolerEntry] = Field(default_factory=dict)
