"""The valid name that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

from state.errors import NotFound

_LONGEST = 64  # matching is quadratic in the length, and no name is longer
_LISTED = 8
_DIGITS = re.compile(r"[0-9]+")


def nearest(name: str, names: Collection[str]) -> str:
    """The most similar of the names, empty when none is close. A name that differs by its digits alone is a sibling and
    no slip of the pen: to act on it instead would be to act on another one."""
    digitless = _DIGITS.sub("", name.casefold())
    by_fold = {each.casefold(): each for each in names}
    by_fold = {fold: each for fold, each in by_fold.items() if fold == name.casefold() or not _sibling(fold, digitless)}
    close = get_close_matches(name[:_LONGEST].casefold(), by_fold, n=1)
    return by_fold[close[0]] if close else ""


def _sibling(fold: str, digitless: str) -> bool:
    return any(sign.isdigit() for sign in fold) and _DIGITS.sub("", fold) == digitless


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
