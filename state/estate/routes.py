"""Colours as separate backends: an entry of a map file of the balancer says which of them has a service's traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from state.estate.entry import Entry, ObjectName

MAP_PATTERN = r"^[A-Za-z0-9/][A-Za-z0-9_./@+-]{0,254}$"
KEY_PATTERN = r"^[A-Za-z0-9_./:@*?=&%+,~-]{1,255}$"
"""What is one word of a command at HAProxy's socket, and refers to no other entry."""
MapFile = Annotated[str, Field(pattern=MAP_PATTERN)]
MapKey = Annotated[str, Field(pattern=KEY_PATTERN)]


class RoutesEntry(Entry):
    """The entry `key` of the map `map`, as the balancer's configuration names the file; its value is a backend.
    `backends`: the backend of each colour."""

    map: MapFile
    key: MapKey
    backends: Annotated[Mapping[ObjectName, ObjectName], Field(min_length=2)]

    def colour_of(self, backend: str) -> str:
        """The colour with this backend, empty when there is none."""
        return next((name for name, each in self.backends.items() if each == backend), "")
