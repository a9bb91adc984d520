"""View models from the world: pure functions, milliseconds each.

A view keeps the row objects, the tables or all of the former view wherever nothing changed, so sending the
difference costs only what really changed (see `state.api.wire.Differ`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

V = TypeVar("V")


@dataclass(slots=True)
class Memory:
    """The former views of one engine: views by topic, and each balancer's rows."""

    views: dict[str, Any] = field(default_factory=dict)
    balancers: dict[str, Any] = field(default_factory=dict)

    def keep(self, topic: str, view: V) -> V:
        """The view to hand out: the former one where it is equal."""
        kept = reuse(cast("V | None", self.views.get(topic)), view)
        self.views[topic] = kept
        return kept


def reuse(old: V | None, new: V) -> V:
    """The new view built from the old one's objects wherever they are equal; the old view when all are."""
    if old is None or old is new:
        return new
    changes: dict[str, Any] = {}
    same = True
    view: Any = new
    for spot in fields(view):
        before, now = getattr(old, spot.name), getattr(new, spot.name)
        kept = _reuse_rows(before, now) if isinstance(now, dict) else before if before == now else now
        same = same and kept is before
        if kept is not now:
            changes[spot.name] = kept
    if same:
        return old
    return cast("V", replace(view, **changes)) if changes else new


def _reuse_rows(old: Mapping[str, Any], new: dict[str, Any]) -> Mapping[str, Any]:
    same = len(old) == len(new)
    kept: dict[str, Any] = {}
    for key, row in new.items():
        before = old.get(key)
        if before is row or (before is not None and before == row):
            kept[key] = before
        else:
            kept[key] = row
            same = False
    return old if same and list(old) == list(new) else kept
