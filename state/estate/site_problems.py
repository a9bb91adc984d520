"""What is said of sites and would lead a change astray: addresses of two sites, instances where they do not stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

from state.config_files.located import Located
from state.config_files.paths import Path, at, select
from state.errors import Problem
from state.estate.colours import fits


def site_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path."""
    yield from _addresses(located)
    yield from _instances(located)


def _instances(located: Located) -> Iterator[tuple[Path, Problem]]:
    """An instance at another site than its server: nobody would know what that one runs."""
    for base, target in select(located.data, ("monitors", "*", "targets", "*")):
        if at(located.data, (*base[:2], "kind")) != "version" or not isinstance(target, dict):
            continue
        colours = at(located.data, ("services", str(target.get("service")), "traffic", "colours"))
        server, site = str(target.get("server")), target.get("site")
        for name, colour in colours.items() if isinstance(colours, dict) else ():
            if not isinstance(colour, dict) or not isinstance(colour.get("site"), str):
                continue
            named = colour.get("servers") or [name]
            mine = isinstance(named, list) and any(fits(each, server) for each in named if isinstance(each, str))
            if mine and site != colour["site"]:
                path = (*base, "site")
                yield path, located.problem(path, repr(site)[:60], f"{colour['site']}, where {server} stands")


def _addresses(located: Located) -> Iterator[tuple[Path, Problem]]:
    """An address that two sites have."""
    owners: dict[str, str] = {}
    for base, addresses in select(located.data, ("sites", "*", "addresses")):
        site = str(base[1])
        for index, address in enumerate(addresses if isinstance(addresses, list) else ()):
            spelt = str(address)
            with suppress(ValueError):  # the model says what is no address
                spelt = str(ip_address(spelt))
            owner = owners.setdefault(spelt, site)
            if owner != site:
                path = (*base, index)
                yield path, located.problem(path, repr(spelt[:60]), f"an address that site {owner} does not have")
