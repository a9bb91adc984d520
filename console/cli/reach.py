"""From a verb to its engine: which estate, and which socket this account may open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from console.cli.shown import note
from console.client.engine_client import EngineClient
from console.places import EnginePlace, find

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def estate_option(verb: F) -> F:
    """`--estate FILE|NAME`."""
    return click.option(
        "--estate", metavar="FILE|NAME", help="The estate's file, its folder, or the estate name of a running engine."
    )(verb)


def json_option(verb: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(verb)


def client_of(estate: str | None, *, quiet: bool = False, acting: bool = False) -> EngineClient:
    """A client on the socket this account may open: the engine's, or for reading the observers'.

    Prints which estate is used when none was named. Raises NotFound and ConfigError.
    """
    place = find(estate)
    if not (quiet or estate):
        note(f"estate {place.estate}: {place.file or place.runtime} ({place.chosen})")
    return EngineClient(str(socket_of(place, acting=acting)))


def socket_of(place: EnginePlace, *, acting: bool) -> os.PathLike[str]:
    """The socket for a purpose. Acting always names the engine's, so that a missing permission is reported as such."""
    open_to_us = acting or not place.observe.exists() or os.access(place.engine, os.R_OK | os.W_OK)
    return place.engine if open_to_us else place.observe


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run a verb's requests to the engine."""
    return asyncio.run(work)
