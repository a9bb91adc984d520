"""The valid name that was probably meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

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
