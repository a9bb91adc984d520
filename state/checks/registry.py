"""Every kind of check: the KINDS of each module here, and those that capabilities register."""

from __future__ import annotations

from collections.abc import Mapping

from state.capabilities import kinds, unique
from state.checks.model import CheckKind


def check_kinds() -> Mapping[str, CheckKind]:
    """Every kind of check by name. Raises ValueError for two kinds of one name."""
    return unique(((kind.kind, kind) for kind in kinds("checks")), "kinds of check")
