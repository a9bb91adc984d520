"""Screen 9: the newest entries in words, and how the chain stands."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from state.api.views.journal import JournalRow, JournalView
from state.journal.events import EventKind, Recorded

KEPT = 400
"""Entries a console is sent; older ones are read page by page."""


def journal_row(recorded: Recorded) -> JournalRow:
    """One entry for people."""
    event = recorded.event
    return JournalRow(
        seq=recorded.seq,
        at=recorded.at,
        actor=event.actor,
        kind=event.kind.value,
        run=event.run,
        step=event.step,
        message=journal_message(recorded),
        hash=recorded.hash[:8],
    )


def journal_message(recorded: Recorded) -> str:
    """What happened, in one line."""
    if recorded.erased:
        return "payload erased by retention; the chain still holds"
    try:
        return _words(recorded)
    except (KeyError, TypeError, ValueError):
        return "this entry does not read as its kind"


def _words(recorded: Recorded) -> str:
    body = recorded.event.body
    message = str(body.get("words") or body.get("reason") or body.get("question") or "")
    match recorded.event.kind:
        case EventKind.OUTCOME_RECORDED:
            return f"{body['state']} after {body['seconds']:.1f} s: {'; '.join(body['evidence'])}"
        case EventKind.RECEIPT_RECORDED:
            return f"{body['code']}: {message}" if message else str(body["code"])
        case EventKind.STEP_ENDED | EventKind.RUN_ENDED:
            return f"{body['state']}: {message}"
        case EventKind.LEASE_TAKEN:
            return f"epoch {body['epoch']} on {', '.join(body['targets']) or 'nothing'}"
        case EventKind.STEP_SKIPPED:
            return f"skipped: {body['reason']}"
        case _:
            return message


class JournalTail:
    """The newest rows, kept as entries are recorded."""

    def __init__(self, recorded: Iterable[Recorded]) -> None:
        self._rows: deque[JournalRow] = deque((journal_row(r) for r in recorded), maxlen=KEPT)

    def add(self, recorded: Recorded) -> None:
        """Take in one more entry; of heartbeats in a row only the newest, they say no more together."""
        beat = EventKind.HEARTBEAT.value
        if recorded.event.kind is EventKind.HEARTBEAT and self._rows and self._rows[-1].kind == beat:
            self._rows.pop()
        self._rows.append(journal_row(recorded))

    def view(self, *, seq: int, head: bytes, durable: str, verified: str) -> JournalView:
        """The screen; `durable` is empty or says why nothing can be recorded."""
        return JournalView(seq, head.hex(), durable, verified, {str(r.seq): r for r in self._rows})
