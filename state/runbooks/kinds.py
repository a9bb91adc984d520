"""Kinds of checks and changes, as the file of a runbook needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pydantic import BaseModel


class KnownKind(Protocol):
    """A kind of check or change: its arguments, and what it captures with the kind of parameter each is."""

    @property
    def args(self) -> type[BaseModel]: ...
    @property
    def figures(self) -> Mapping[str, str]: ...


StepKinds = Mapping[str, KnownKind]
"""Kinds by name."""
