"""What was set is saved where its target has a file for its next process: after it is read as done, before its outcome
is recorded. A crash in between saves again, which writes what is so then.

What becomes of it never makes the effect another one: it is told beside.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from state.changes.model import Change, Finding, IsSaved
from state.errors import EffectRefused, EffectUnknown, NotFound, ReadFailure
from state.health import Health

DEADLINE = 5.0
"""Seconds that a save may take, reading included."""
LATE = 0.25
"""Seconds after them in which the adapter's own account of it may still come."""
SET = (Finding.DONE, Finding.PARTIAL)


class Saved(NamedTuple):
    """What is told of it: `evidence` of what a reload would do, `unsaved` where it does not keep what is set."""

    evidence: tuple[str, ...] = ()
    unsaved: str = ""


async def saved(change: Change, finding: Finding) -> Saved:
    """Save what a change has set, where there is a file for it."""
    if not isinstance(change, IsSaved) or (after := change.saved_after) is None or finding not in SET:
        return Saved()
    try:
        async with asyncio.timeout(DEADLINE + LATE):
            found = await change.save(deadline=DEADLINE)
    except EffectRefused as error:
        return _not(f"set, and not saved: {error.message}; a reload forgets it")
    except (EffectUnknown, ReadFailure, NotFound) as error:
        return _not(f"set; whether it is saved is not known: {error}")
    except TimeoutError:
        return _not(f"set; whether it is saved in {after.path} is not known: no answer within {DEADLINE:g} s")
    if found is None:
        return Saved((f"as configured, and {after.path} says nothing else",))
    return Saved((found.message,)) if found.health is not Health.WARN else _not(found.message)


def _not(message: str) -> Saved:
    return Saved((message,), message)
