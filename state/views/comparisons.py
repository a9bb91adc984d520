"""The comparisons that the engine makes."""

from __future__ import annotations

from state.api.views.comparisons import ComparisonsView
from state.comparisons.history import Comparisons
from state.views.context import ViewContext


def build(context: ViewContext) -> ComparisonsView:
    """Each that is known, the newest last."""
    return context.memory.keep("comparisons", ComparisonsView(dict(context.of(Comparisons).rows)))
