"""Colours of a backend: groups of its servers that run one release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from state.config_files.explain import OBJECT_PATTERN
from state.estate.entry import Entry
from state.estate.values import SiteName

PATTERN = OBJECT_PATTERN.replace("{0,254}$", r"{0,254}\*?[A-Za-z0-9_.:-]{0,254}$").replace("^[", r"^\*?[")
ServerPattern = Annotated[str, Field(pattern=PATTERN)]
"""A server's name; one `*` in it stands for any letters."""


class Colour(Entry):
    """The release that a colour runs, its servers, and where they stand; without servers the one of the colour's own
    name, without a site that of the balancer. Only a release may be written instead of the whole."""

    release: str = ""
    servers: tuple[ServerPattern, ...] = ()
    site: SiteName | None = None

    @model_validator(mode="before")
    @classmethod
    def _release_alone(cls, value: Any) -> Any:
        return {"release": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}

    def named(self, colour: str) -> tuple[str, ...]:
        """The names and patterns of its servers."""
        return self.servers or (colour,)


Colours = Mapping[str, Colour]


def is_pattern(name: str) -> bool:
    """Whether it stands for several servers."""
    return "*" in name


def fits(pattern: str, server: str) -> bool:
    """Whether a server has this name, or one like it."""
    begin, star, end = pattern.partition("*")
    if not star:
        return server == pattern
    return len(server) >= len(begin) + len(end) and server.startswith(begin) and server.endswith(end)


def colour_of(colours: Colours, server: str) -> str:
    """The colour of a server, empty when it has none."""
    return next((name for name, each in colours.items() if any(fits(p, server) for p in each.named(name))), "")


def release_of(colours: Colours, server: str) -> str:
    """The release that a server runs as its colour, empty when it has none."""
    colour = colour_of(colours, server)
    return colours[colour].release if colour else ""


def members(colours: Colours, to: str, servers: Iterable[str]) -> list[str]:
    """The servers of a colour; a name that is no colour is a server's own."""
    if to not in colours:
        return [name for name in servers if name == to]
    return [name for name in servers if colour_of(colours, name) == to]
