"""Addresses of sites that would lead a change astray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

from state.config_files.located import Located
from state.config_files.paths import Path, select
from state.errors import Problem


def site_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path: an address that two sites have."""
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
