"""What a pipeline tells of a release. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from state.errors import NotFound

LISTS = ("blockers", "needs")
MOST = 20
"""So many blockers and needed checks may one release have."""
LONGEST = 200
"""So many characters may each text have."""


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """See `state.world.release_parts.Release` for what each field says."""

    service: str
    digest: str
    version: str
    schema_min: str = ""
    schema_max: str = ""
    commit: str = ""
    change: str = ""
    reversible_until: str = ""
    blockers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def read_record(body: Mapping[str, Any]) -> ReleaseRecord:
    """A record from JSON. Raises NotFound naming what is missing, unknown or of another type."""
    known = [each.name for each in fields(ReleaseRecord)]
    strange = [name for name in body if name not in known]
    if strange:
        raise NotFound(f"a release has no {strange[0][:LONGEST]!r}; it has {', '.join(known)}")
    values: dict[str, Any] = {}
    for name in known:
        value = body.get(name, () if name in LISTS else "")
        if name in LISTS:
            if not isinstance(value, list | tuple) or len(value) > MOST or not all(map(_is_text, value)):
                raise NotFound(f"{name} must be a list of at most {MOST} texts")
            values[name] = tuple(value)
        elif _is_text(value):
            values[name] = value
        else:
            raise NotFound(f"{name} must be text of at most {LONGEST} characters")
    return ReleaseRecord(**values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST
