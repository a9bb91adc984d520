"""What every database of the estate can be restored to."""

from __future__ import annotations

from state.api.views.restore import RestoreView
from state.views.context import ViewContext


def build(context: ViewContext) -> RestoreView:
    """Every database has a row, also one without backups."""
    return context.memory.keep("restore", RestoreView(dict(context.restores)))
