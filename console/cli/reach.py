"""From a verb to its engine: which estate, on which host, and which socket this account may open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from console.cli.shown import neutral, note
from console.cli.streams import ENDS
from console.client.engine_client import EngineClient
from console.client.engine_errors import EngineUnreachable
from console.engine.control import require_same_file
from console.places import EnginePlace, find, no_engine

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
HOST = "console.cli.host"
"""Where the context of a verb keeps `--host`."""


def host_option(verb: F) -> F:
    """`--host ssh://HOST`; `host_of` has it."""
    return click.option(
        "--host",
        metavar="ssh://HOST",
        expose_value=False,
        callback=_keep_host,
        help="The engine on another host, through ssh; --estate is then looked up there.",
    )(verb)


def estate_option(verb: F) -> F:
    """`--estate FILE|NAME` and `--host ssh://HOST`: which engine is meant."""
    estate = click.option(
        "--estate",
        metavar="FILE|NAME",
        type=click.Path(),
        help="The estate's file, its folder, or the estate name of a running engine.",
    )
    return estate(host_option(verb))


def _keep_host(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    context.meta[HOST] = value or ""


def host_of() -> str:
    """What `--host` named; empty for this host."""
    return str(click.get_current_context().meta.get(HOST, ""))


def json_option(verb: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(verb)


def client_of(estate: str | None, *, quiet: bool = False, acting: bool = False) -> EngineClient:
    """A client on the socket this account may open: the engine's, or for reading the observers'.

    With `--host` its requests go through ssh until the verb ends. Prints which estate is used when none was named.
    Raises NotFound, ConfigError, EngineUnreachable, FarAddressError.
    """
    ENDS.acted = ENDS.acted or acting
    if host_of():
        from console.client.far import FarEngine

        path = click.get_current_context().with_resource(FarEngine(host_of(), estate=estate))
        return EngineClient(str(path))
    place = find(estate)
    if not (quiet or estate):
        note(used_estate(place))
    if not (place.engine.exists() or place.observe.exists()):
        raise EngineUnreachable(no_engine(place))
    return EngineClient(str(socket_of(place, acting=acting)))


def used_estate(place: EnginePlace) -> str:
    """Which estate is used and why, as one line that is safe to show."""
    return neutral(f"estate {place.estate}: {place.file or place.runtime} ({place.chosen})")


def run_there() -> int | None:
    """With `--host`: the same verb run on that host, and its exit code; else None. Raises FarError.

    For what is no request to an engine: its start, its files.
    """
    if not host_of():
        return None
    argv: tuple[str, ...] = click.get_current_context().find_root().obj
    from console.client.far import run_far

    return run_far(host_of(), without_host(argv), note)


def without_host(argv: tuple[str, ...]) -> list[str]:
    """The same words without `--host`."""
    kept: list[str] = []
    skip = False
    for word in argv:
        if skip or word.startswith("--host="):
            skip = False
            continue
        skip = word == "--host"
        if not skip:
            kept.append(word)
    return kept


def socket_of(place: EnginePlace, *, acting: bool, observe: bool = False) -> os.PathLike[str]:
    """The socket for a purpose. Acting always names the engine's, so that a missing permission is reported as such.

    Raises Refused when the engine there is of another estate file.
    """
    require_same_file(place)
    if observe:
        return place.observe
    open_to_us = acting or not place.observe.exists() or os.access(place.engine, os.R_OK | os.W_OK)
    return place.engine if open_to_us else place.observe


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run a verb's requests to the engine."""
    return asyncio.run(work)
