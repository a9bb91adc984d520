"""The valid name that was probably meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from state.errors import NotFound

_LONGEST = 64  # matching is quadratic in the length, and no name is longer
_LISTED = 8


def nearest(name: str, names: Collection[str]) -> str:
    """The most similar of the names, empty when none is close."""
    by_fold = {each.casefold(): each for each in names}
    close = get_close_matches(name[:_LONGEST].casefold(), by_fold, n=1)
    return by_fold[close[0]] if close else ""


def one_of(names: Collection[str]) -> str:
    """The names as text: `a`, `a or b`, `a, b or c`; long lists are cut."""
    listed = sorted(names)
    if len(listed) > _LISTED:
        return f"{', '.join(listed[:_LISTED])} or {len(listed) - _LISTED} more"
    return " or ".join(filter(None, (", ".join(listed[:-1]), *listed[-1:])))


def not_found(what: str, name: str, names: Collection[str]) -> NotFound:
    """The error for a name that does not exist: the most similar name first, then what there is."""
    close = nearest(name, names)
    listed = one_of(names) if names else "none"
    there = f"did you mean {close}? There are {listed}" if close else f"there are {listed}"
    return NotFound(f"no {what} {name}; {there}")
