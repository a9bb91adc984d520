"""Calls over HTTP of an estate's own: sent once; done is what the reading call answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from state.api.card import Diff
from state.changes.hands import call_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.own import OwnArgs, OwnEffect, entry_of, related_names, values_for
from state.errors import EffectUnknown, ReadFailure, Trouble, UnsuitableArgument
from state.estate.arguments import UnfitValue, filled, filled_path
from state.estate.model import Estate, Name
from state.estate.own_calls import HttpCallEntry
from state.ports.outside import Outside
from state.ports.own import CallAnswer, CanCall
from state.ports.target import Identity, Receipt

KIND = "http.call"
BETWEEN = (408, 502, 503, 504)
"""Answers of a proxy that has none from the target, which may still be at it; so are those from 520 on."""


class CallArgs(OwnArgs):
    """A call of the estate, and the values of its parameters."""

    call: Name


class SendCall(OwnEffect):
    """Send one request."""

    def __init__(
        self,
        args: CallArgs,
        entry: HttpCallEntry,
        target: CanCall,
        undo: ChangeSpec | None,
        group: Sequence[str],
        delivery: float,
    ) -> None:
        late = Late(delivery, None, "the estate: timeout says how long the target may be at it")
        super().__init__(ChangeSpec(KIND, args.model_dump()), "http_calls", entry, undo, group, late)
        self._entry, self._target = entry, target
        values = values_for(KIND, entry.params, args.args)
        try:
            self._path = _path(filled_path(entry.url, values))
            self._reading = _path(filled_path(entry.read.url, values)) if entry.read is not None else ""
            self._identifying = None if entry.identity is None else _path(filled_path(entry.identity.url, values))
        except UnfitValue as error:
            raise UnsuitableArgument(f"{KIND}: args.{error}") from error
        self._body = filled(entry.body, values)
        self.verb = f"send {entry.method} {self._path}"
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        self.title = (entry.title or f"Call {args.call}") + (f" ({told})" if told else "")

    async def identify(self, *, deadline: float) -> Identity:
        """The origin, and what its identity call says."""
        field = "" if self._entry.identity is None else self._entry.identity.field
        return self.defined(await self._target.identify(self._identifying, field, deadline=deadline))

    async def preview(self, *, deadline: float) -> Preview:
        """What would be sent, and what the reading call answers now."""
        facts: dict[str, Any] = {"request": [self._entry.method, self._path], "body": self._body}
        if self._entry.read is None:
            diff, finding = Diff(self.subject, "not read", "not verified"), Finding.NOT_VERIFIED
        else:
            answer = await self._target.read(self._reading, deadline=deadline)
            finding = self._says(answer)
            if finding is Finding.UNKNOWN:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: the reading call says neither: {answer}")
            facts["reading"] = finding.value
            diff = Diff(self.subject, self.before(str(answer)), str(self._entry.read.done))
        return self.previewed(
            verb=self.verb,
            facts=facts,
            diff=diff,
            already=finding is not Finding.NOT_VERIFIED and self.reached(done=finding is Finding.DONE),
            read=finding is not Finding.NOT_VERIFIED,
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send it once. An answer that was not expected proves nothing."""
        answer = await self._target.send(self._entry.method, self._path, self._body, effect=effect, deadline=deadline)
        if not self._entry.expect.answered(answer.status, answer.data):
            over = 400 <= answer.status < 520 and answer.status not in BETWEEN
            raise EffectUnknown(f"{answer}, expected {self._entry.expect}", f"status-{answer.status}", over=over)
        return Receipt(f"status-{answer.status}", str(answer))

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What the reading call answers; without one, nothing is proven."""
        if self._entry.read is None:
            return self.unread()
        answer = await self._target.read(self._reading, deadline=deadline)
        return ReadBack(self._says(answer), (f"{self.name}: {answer}",))

    def _says(self, answer: CallAnswer) -> Finding:
        read = self._entry.read
        assert read is not None, "only a call with a reading is read"
        done = read.done.answered(answer.status, answer.data)
        not_done = read.not_done.answered(answer.status, answer.data)
        if done == not_done:
            return Finding.UNKNOWN
        return Finding.DONE if done else Finding.NOT_DONE


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def build(args: CallArgs, estate: Estate, outside: Outside) -> SendCall:
    """The change for one request. Raises NotFound for an unknown call and for unsuitable values."""
    entry = entry_of("call", args.call, estate.http_calls)
    undo: ChangeSpec | None = None
    if entry.undo is not None:
        values = values_for(KIND, entry.params, args.args)
        undo = ChangeSpec(KIND, {"call": entry.undo.call, "args": filled(entry.undo.args, values)})
    undone_by = {name: each.undo.call for name, each in estate.http_calls.items() if each.undo is not None}
    group = related_names(args.call, undone_by)
    return SendCall(args, entry, outside.http_calls[args.call], undo, group, estate.policies.delivery)


KINDS = (ChangeKind(KIND, "Send a call of the estate", CallArgs, Risk.B3, build, call_by_hand),)
