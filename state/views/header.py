"""The header on every screen: clocks, worst risk, alarms, and every source with its age."""

from __future__ import annotations

from collections.abc import Iterable

from state.api.views.header import DataRisk, HeaderView, ProtectedWindow, SourceRow
from state.errors import ViewFailed
from state.estate.model import Estate
from state.verdicts.clocks import most_urgent
from state.verdicts.evidence import rank
from state.verdicts.windows import all_open, next_of_all, unknown_windows
from state.views.context import Alarm, JournalState, ViewContext, as_cause
from state.world.world import World

HEADER = "header"
"""The topic that every screen shows."""


def build(context: ViewContext) -> HeaderView:
    """Build the header from what is wrong and from what every capability contributes."""
    estate, journal, found = context.estate, context.journal, context.picture
    added = context.contributions
    view = HeaderView(
        estate=estate.estate,
        environment=estate.environment,
        rto=most_urgent(found.clocks, context.now_mono),
        risk=worst_risk(risk for each in added for risk in each.risks),
        running=tuple(name for each in added for name in each.running),
        effects=journal.unavailable,
        journal_seq=journal.seq,
        journal_head=journal.head,
        journal_verified=journal.verified,
        alarms=tuple(dict.fromkeys(cause.detail for cause in context.causes if cause.loud)),
        causes=context.causes,
        sources=sources(context.world),
        waiting={run.run: run for each in added for run in each.waiting},
        consoles=context.consoles,
        journal_doubt=journal.doubt,
        journal_verified_seq=journal.verified_seq,
        journal_erased=journal.erased,
        estate_change=next((each.estate_change for each in added if each.estate_change is not None), None),
        window=window(estate, context.wall),
        windows_unknown=tuple(unknown_windows(estate.windows, context.wall) if context.wall is not None else ()),
    )
    return context.memory.keep(HEADER, view)


def window(estate: Estate, wall: float | None) -> ProtectedWindow | None:
    """The protected window that is open for longest, else the next one."""
    if wall is None or not estate.windows:
        return None
    opened = all_open(estate.windows, wall)
    found = opened[-1] if opened else next_of_all(estate.windows, wall)
    if found is None:
        return None
    said = found.name, found.title, found.start, found.end, found.local, bool(opened)
    return ProtectedWindow(*said, found.file, found.written)


def bare(estate: Estate, journal: JournalState, failure: ViewFailed) -> HeaderView:
    """What stands in the header when it could not be built: that, and what the journal says of itself. Without its
    sources every value on every screen is withheld."""
    return HeaderView(
        estate=estate.estate,
        environment=estate.environment,
        rto=None,
        risk=None,
        running=(),
        effects=journal.unavailable,
        journal_seq=journal.seq,
        journal_head=journal.head,
        journal_verified=journal.verified,
        alarms=(str(failure),),
        sources={},
        causes=(as_cause(Alarm(str(failure))),),
        journal_doubt=journal.doubt,
        journal_verified_seq=journal.verified_seq,
    )


def worst_risk(risks: Iterable[DataRisk]) -> DataRisk | None:
    """The database with the highest risk: by verdict, then by share of its objective."""
    return max(risks, key=lambda r: (rank(r.health), (r.lost_bytes or 0) / (r.target or 1)), default=None)


def sources(world: World) -> dict[str, SourceRow]:
    """Every source: when it last gave a good reading, its age limit, and its last error if any."""
    return {
        key: SourceRow(
            key,
            None if seen.mono is None else round(seen.mono, 3),
            seen.limit,
            str(seen.error.trouble) if seen.error is not None else "",
            seen.error.message if seen.error is not None else "",
        )
        for key, seen in world.observed.items()
    }
