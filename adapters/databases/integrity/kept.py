"""A snapshot of a cluster in a file, to be held against a later look."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from state.errors import ConfigError, Problem
from state.host.regular import bounded
from state.integrity.model import IntegrityFacts

LARGEST = 64 << 20
KEPT = TypeAdapter(IntegrityFacts)


def snapshot(cluster: IntegrityFacts) -> bytes:
    """The facts as JSON."""
    return KEPT.dump_json(cluster, indent=1) + b"\n"


def read_snapshot(path: Path) -> IntegrityFacts:
    """Raises ConfigError for anything that is no snapshot."""
    try:
        return KEPT.validate_json(bounded(path, LARGEST))
    except (OSError, ValidationError, RecursionError) as error:
        what = error.strerror or str(error) if isinstance(error, OSError) else "something else"
        raise ConfigError((Problem(str(path), 0, 0, what, "what `recovery db verify --save` has written"),)) from error
