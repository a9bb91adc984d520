"""What access an estate allows to be given at a database, and for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from state.estate.entry import Entry, Seconds
from state.granting.model import Bundle

HOUR = 3600.0
MOST = 4 * HOUR
RoleName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class AccessEntry(Entry):
    """Grants at this cluster: the bundles that may be given, and how long one lasts unless something else is asked for,
    and at most (seconds).

    `schema_owner` is the role that owns the tables which schema-fix is for; without one there is no schema-fix. What
    the cluster must be prepared with says `recovery db prepare`.
    """

    bundles: tuple[Bundle, ...] = (Bundle.READ_ALL, Bundle.MONITOR, Bundle.TERMINATE, Bundle.CONFIG_RELOAD)
    usual: Seconds = 1800.0
    longest: Annotated[Seconds, Field(ge=60, le=MOST)] = MOST
    schema_owner: RoleName | None = None
