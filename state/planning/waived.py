"""Which protections the estate waives for what a plan uses: its targets, and what its checks read."""

from __future__ import annotations

from collections.abc import Iterator

from state.api.card import CardWarning, WarningKind
from state.changes.traffic import services_of
from state.estate.model import Adapted, Estate
from state.planning.plan import Draft
from state.runs.steps import PlannedStep


def waived(draft: Draft, estate: Estate) -> tuple[CardWarning, ...]:
    """One warning for each waiver of each entry that a step names or reads, in the order of the estate."""
    used = {name for step in draft.steps for name in _names(step, estate)}
    sections = (estate.databases, estate.balancers, estate.zones, estate.monitors)
    entries: list[tuple[str, Adapted]] = [
        (name, entry) for section in sections for name, entry in section.items() if name in used
    ]
    return tuple(
        CardWarning(WarningKind.WAIVED, name, reason, what)
        for name, entry in entries
        for what, reason in entry.waive.given.items()
    )


def _names(step: PlannedStep, estate: Estate) -> Iterator[str]:
    """Names in the arguments of a step, and what judges the services that it touches."""
    args = [value for value in step.args.values() if isinstance(value, str)]
    yield from args
    touched = services_of(estate, str(step.args.get("balancer", "")), str(step.args.get("backend", "")))
    for service in (*touched, *args):
        entry = estate.services.get(service)
        if entry is not None and entry.metrics is not None:
            yield from entry.metrics.monitors
        if entry is not None and entry.traffic is not None:
            yield from entry.traffic.balancers
