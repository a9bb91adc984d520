"""Every kind of change: the KINDS of each module here, and those that capabilities register."""

from __future__ import annotations

from collections.abc import Mapping

from state.capabilities import kinds, unique
from state.changes.model import Change, ChangeKind, ChangeSpec
from state.config_files.arguments import arguments
from state.config_files.suggestions import not_found
from state.estate.model import Estate
from state.ports.outside import Outside


def change_kinds() -> Mapping[str, ChangeKind]:
    """Every kind of change by name. Raises ValueError for two kinds of one name."""
    return unique(((kind.kind, kind) for kind in kinds("changes")), "kinds of change")


def change_kind(name: str) -> ChangeKind:
    """One kind of change. Raises NotFound naming the known kinds."""
    known = change_kinds()
    if name not in known:
        raise not_found("change", name, known)
    return known[name]


def build(spec: ChangeSpec, estate: Estate, outside: Outside) -> Change:
    """A change from its data. Raises NotFound for an unknown kind, name or argument."""
    kind = change_kind(spec.kind)
    return kind.build(arguments(spec.kind, kind.args, spec.args), estate, outside)
