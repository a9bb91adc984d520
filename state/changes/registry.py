"""Every kind of change there is. A new kind is one entry in its module's KINDS."""

from __future__ import annotations

from collections.abc import Mapping

from state.changes import database, faults, traffic
from state.changes.model import Change, ChangeKind, ChangeSpec
from state.config_files.arguments import arguments
from state.errors import NotFound
from state.estate.model import Estate
from state.ports.outside import Outside

CHANGES: Mapping[str, ChangeKind] = {kind.kind: kind for module in (traffic, database, faults) for kind in module.KINDS}


def build(spec: ChangeSpec, estate: Estate, outside: Outside) -> Change:
    """A change from its data. Raises NotFound for an unknown kind, name or argument."""
    kind = CHANGES.get(spec.kind)
    if kind is None:
        raise NotFound(f"no change {spec.kind}; there are {', '.join(CHANGES)}")
    args = arguments(spec.kind, kind.args, spec.args)
    return kind.build(args, estate, outside)
