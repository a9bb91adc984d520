"""The one way an effect happens: identify, re-read, intent durable, apply once, read back, outcome durable.

Nothing here retries an effect. No answer means unknown; unknown ends only by reading the target, for as long as it
takes. The deciding reading is made twice, `settle` seconds apart, by another path than the reply. What is read as
done is saved where its target has a file for it (`saving.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import Any

from state.api.run_states import StepState
from state.changes.model import Change, ChangeSpec, Finding, IsSaved, OfEffect, Preview, ReadBack, Speaks
from state.clock import Clock
from state.errors import EffectRefused, EffectUnknown, NotFound, ReadFailure
from state.journal.events import Body, Event
from state.journal.format import MAX_PAYLOAD, canonical
from state.journal.writer import Journal
from state.ports.target import Receipt
from state.runs.around import Around, NothingAround
from state.runs.captured import filled, told_of
from state.runs.events import EffectAnswered, EffectEnded, EffectIntended, StepEnded
from state.runs.fault_points import Reach
from state.runs.looking import LastLook, looked, obstacle_to, others_since
from state.runs.model import Run, StepRun
from state.runs.saving import saved
from state.runs.temporary import made
from state.runs.turns import EffectTurn, EffectTurns
from state.runs.witness import NoWitness, Witness

NOTHING_AROUND, NO_WITNESS = NothingAround(), NoWitness()
READ_DEADLINE = 4.0
"""Seconds one reading around an effect may take."""

LATE = 0.25
"""Seconds after the deadline of an effect in which the adapter's own account of it may still come."""

PREVIEW_AGE = 5.0
"""The greatest age in seconds of the readings before an effect when the effect is sent."""

CLOCKS_AGREE = 2.0
"""Seconds by which the age of an intent may differ by the monotonic and by the wall clock."""

INTERRUPTED, UNREADABLE = "interrupted", "unreadable"
"""The codes of an effect whose answer was not received because the engine ended, and of a target that could not be read
after its effect was sent."""

NO_EFFECT = {
    INTERRUPTED: "the engine ended before an answer came, and the target shows no effect",
    UNREADABLE: "the target could not be read for a while; it shows no effect",
    "silent": "the target raised no objection, and shows no effect",
}
"""Why an effect is not done, where the answer itself does not say it."""

MOST_EVIDENCE, LONGEST_EVIDENCE = 50, 2000
"""The most lines of evidence, and characters of each, in a journal entry."""

STATES = {
    Finding.DONE: StepState.DONE,
    Finding.NOT_DONE: StepState.NOT_DONE,
    Finding.PARTIAL: StepState.FAILED,
    Finding.NOT_VERIFIED: StepState.NOT_VERIFIED,
}


class Answered(Enum):
    """What the answer to an effect proves, where nothing can be read."""

    NOTHING_SENT = auto()
    WELL = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Sending:
    """What became of sending: the receipt, whether it proves nothing, and whether the target may still be at it."""

    receipt: Receipt
    unknown: bool = False
    open: bool = False

    @property
    def proves(self) -> Answered:
        """What the answer proves."""
        if not self.receipt.changed:
            return Answered.NOTHING_SENT
        return Answered.UNKNOWN if self.unknown else Answered.WELL


@dataclass(frozen=True, slots=True)
class Trial:
    """An effect whose outcome is read: how long "not done" must hold, what the answer proves, and when it can have
    been sent at the latest, None when the target has finished with it."""

    change: Change
    facts: Mapping[str, Any]
    quiet: float
    started: float
    answer: Answered
    sent: float | None


class Effects:
    """Performs and reconciles the change steps of runs."""

    def __init__(
        self,
        build: Callable[[ChangeSpec], Change],
        journal: Journal,
        clock: Clock,
        reach: Reach,
        around: Around = NOTHING_AROUND,
        together: Callable[[Sequence[str]], Iterable[str]] = frozenset,
        witness: Witness = NO_WITNESS,
    ) -> None:
        self._build, self._around, self._together, self._witness = build, around, together, witness
        self._turns = EffectTurns()
        self._journal = journal
        self._clock = clock
        self._reach = reach
        self._born = clock.mono()

    def targets(self, step: StepRun) -> set[str]:
        """What a step changes; nothing unless it is a change."""
        planned = step.step
        if planned.do != "change" or planned.late:  # what is not known yet is not sent yet
            return set()
        return set(self._build(ChangeSpec(planned.what, planned.args)).targets)

    async def perform(self, run: Run, step: StepRun) -> None:
        """Carry out one change step; afterwards its state is the outcome."""
        if step.step.late:
            return await self._hold(run, step)
        effect = f"{run.id}/{step.key}"
        try:
            change = self._build(ChangeSpec(step.step.what, step.step.args))
            self._around.before(change.spec, effect)
            take = partial(self._turns.take, effect, self._together(change.targets))
            look = await looked(run, step, change, self._clock, take)
        except (ReadFailure, NotFound) as error:
            self._around.left(effect)
            return await self._end(run, step, StepState.FAILED, f"nothing was sent: {error}")
        try:
            await self._judged(run, step, change, effect, look)
        finally:
            look.turn.end()

    async def _judged(self, run: Run, step: StepRun, change: Change, effect: str, look: LastLook) -> None:
        """Send it where nothing is against it."""
        preview = look.preview
        obstacle = obstacle_to(step, change, look.identity, preview)
        obstacle = obstacle or await others_since(run, step, preview, self._build)
        if step.step.ends and made(run, step) is None:
            await self._end(run, step, StepState.SKIPPED, "nothing to take back: the change was not made")
        elif obstacle:
            await self._end(run, step, StepState.FAILED, f"nothing was sent: {obstacle}")
        elif preview.already:
            await self._already(run, step, change, preview)
        elif run.stopping:
            await self._end(run, step, StepState.STOPPED, "stopped before anything was sent")
        elif step.left_out:
            pass  # skipped while its target was read
        elif self._clock.mono() - look.read_at > PREVIEW_AGE:
            await self._end(run, step, StepState.FAILED, f"nothing was sent: its readings took over {PREVIEW_AGE:g} s")
        else:
            await self._around.kept(effect)
            await self._act(run, step, change, look)
            return
        self._around.left(effect)

    async def _hold(self, run: Run, step: StepRun) -> None:
        """What was not known when the run was confirmed is shown on a card of its own before anything is sent."""
        known = filled(run, step.step)
        if isinstance(known, str):
            await self._end(run, step, StepState.FAILED, f"nothing was sent: {known}")
            return
        told = told_of(run, step.step)
        await self._end(run, step, StepState.STOPPED, f"{told}: retry shows what it would do, nothing was sent")

    async def _act(self, run: Run, step: StepRun, change: Change, look: LastLook) -> None:
        identity, preview = look.identity, look.preview
        effect = f"{run.id}/{step.key}"
        started = self._clock.mono()
        self._reach("before_intent")
        intent = EffectIntended(
            effect=effect,
            epoch=run.epoch,
            change=change.spec,
            targets=change.targets,
            identity=identity.facts,
            facts=preview.facts,
            diffs=tuple(str(d) for d in preview.diffs),
            undo=preview.undo,
            message=f"{change.title}: {'; '.join(str(d) for d in preview.diffs)}{_saved_then(change)}",
        )
        if len(canonical(intent.as_json())) > MAX_PAYLOAD:
            await self._end(
                run, step, StepState.FAILED, "nothing was sent: its preview is too large for one journal entry"
            )
            return
        await self._record(run, step, intent)
        self._reach("after_intent")
        unseen = await self._witness.before(step.step.risk)
        sent: float | None = None
        if self._clock.mono() - look.read_at > PREVIEW_AGE:  # this process was suspended meanwhile
            reply = _held(f"its readings are over {PREVIEW_AGE:g} s old")
        elif run.stopping or step.state is StepState.SKIPPED:  # while the intent was written
            reply = _held("stopped" if run.stopping else "skipped")
        elif unseen:
            reply = _held(unseen)
        else:
            step.heard = change.heard if isinstance(change, Speaks) else None
            sent = self._clock.mono()
            reply = await self._apply(change, preview, run.reference(step), _limit(step, change))
        look.turn.doubt() if reply.unknown else look.turn.end()
        self._reach("after_effect")
        output, sent = step.heard() if step.heard is not None else (), sent if reply.open else None
        receipt, until = reply.receipt, self._until(step, change, sent)
        answered = EffectAnswered(receipt.code, receipt.message, reply.unknown, output, receipt.changed, until)
        await self._record(run, step, answered)
        self._reach("after_receipt")
        quiet = change.quiet if receipt.changed else min(change.quiet, 1.0)
        trial = Trial(change, preview.facts, quiet, started, reply.proves, sent)
        await self._conclude(run, step, trial)

    def _until(self, step: StepRun, change: Change, sent: float | None) -> float | None:
        """By the wall clock, until when what was sent may be carried out; None when it is over."""
        if sent is None:
            return None
        left = sent + change.late.after(_limit(step, change)) - self._clock.mono()
        return self._clock.wall() + left if left > 0 else None

    async def _apply(self, change: Change, preview: Preview, effect: str, deadline: float) -> Sending:
        """Send once. The deadline is the author's; an adapter that does not keep it is cut off soon afterwards."""
        try:
            async with asyncio.timeout(deadline + LATE):
                return Sending(await change.apply(preview.facts, effect=effect, deadline=deadline))
        except EffectRefused as error:
            return Sending(Receipt(error.code, f"refused: {error.message}", changed=False))
        except EffectUnknown as error:
            said = error.message if error.over else f"no reliable answer: {error.message}"
            receipt = Receipt(error.code, said)
            return Sending(receipt, unknown=True, open=not error.over)
        except (TimeoutError, ReadFailure, NotFound) as error:
            receipt = Receipt("no-answer", f"no reliable answer: {error or 'deadline passed'}")
            return Sending(receipt, unknown=True, open=True)

    async def reconcile(self, run: Run, step: StepRun) -> None:
        """Classify an effect that was intended before a crash, by reading; nothing is sent."""
        intent = step.intent
        assert intent is not None, "only a step with an intent is in doubt"
        sent = self._sent_before(step)
        if step.answered != INTERRUPTED:  # recorded once, even when reading has to start again
            until: float | None = None
            with suppress(NotFound):  # then it is recorded first, and raised below
                until = self._until(step, self._build(intent.change), sent)
            answer = EffectAnswered(INTERRUPTED, "interrupted; reading the target", unknown=True, until=until)
            await self._record(run, step, answer)
        change, now = self._build(intent.change), self._clock.mono()
        turn = await self._turns.take(step.effect, self._together(change.targets))
        if isinstance(turn, EffectTurn):  # another one in doubt is no reason not to read this one
            turn.doubt()
        try:
            await self._conclude(run, step, Trial(change, intent.facts, change.quiet, now, Answered.UNKNOWN, sent))
        finally:
            if isinstance(turn, EffectTurn):
                turn.end()

    def _sent_before(self, step: StepRun) -> float:
        """The latest monotonic instant at which an effect can have been sent of which only the intent is known.

        It is sent soon after its intent or not at all, and no later than its engine lived. Where the two clocks do not
        agree on the age of the intent, as after a reboot of the machine, now counts.
        """
        now, intended = self._clock.mono(), step.intended
        if intended is None:
            return now
        age = now - intended.mono
        if age < 0 or abs(self._clock.wall() - intended.at - age) > CLOCKS_AGREE:
            return now
        sent = intended.mono + PREVIEW_AGE
        return min(sent, now if intended.mono >= self._born else self._born)

    async def _conclude(self, run: Run, step: StepRun, trial: Trial) -> None:
        change, answer = trial.change, trial.answer
        if isinstance(change, OfEffect):
            change.effect = run.reference(step)
        found = await self._settle(run, step, trial)
        if found.finding is Finding.NOT_VERIFIED and answer is Answered.NOTHING_SENT:
            found = replace(found, finding=Finding.NOT_DONE)
        self._reach("before_outcome")
        kept = await saved(change, found.finding)
        found = replace(found, evidence=(*found.evidence, *kept.evidence))
        state, message = STATES[found.finding], _outcome_message(found, step)
        if found.finding is Finding.NOT_VERIFIED and answer is Answered.UNKNOWN:
            state, message = StepState.FAILED, f"outcome unknown, and nothing can be read: {step.message}"
        seconds = round(self._clock.mono() - trial.started, 3)
        evidence, unsaved = _shortened(found.evidence), kept.unsaved[:LONGEST_EVIDENCE]
        message = f"{message}; {unsaved}" if unsaved else message
        outcome = EffectEnded(
            step.effect, state, found.finding, evidence, found.figures, seconds, message, found.leaves, unsaved
        )
        await self._record(run, step, outcome)
        self._reach("after_outcome")
        self._witness.after(step.step.risk)
        if answer is Answered.NOTHING_SENT:
            self._around.left(step.effect)
        else:
            self._around.after(change.spec, run.id, step.key, run.actor, step.effect)
        await self._end(run, step, state, message, found.evidence)

    async def _settle(self, run: Run, step: StepRun, trial: Trial) -> ReadBack:
        """Read until one finding has been stable: done for `settle`, anything else for `quiet` seconds, and no longer
        than the target may still be at it."""
        change, limit = trial.change, _limit(step, trial.change)
        since, last, pause, doubted = self._clock.mono(), Finding.UNKNOWN, 0.1, step.state is StepState.UNKNOWN
        while True:
            found = await self._read_back(change, trial.facts)
            step.evidence = _shortened(found.evidence)  # shown while it is in doubt
            now = self._clock.mono()
            over = trial.sent is None or now >= trial.sent + change.late.after(limit)
            if found.finding is not last:
                since, last, pause = now, found.finding, 0.1
            self._reach("during_read_back")
            done, readable = found.finding is Finding.DONE, found.finding is not Finding.NOT_VERIFIED
            hold = change.settle if done else max(trial.quiet, change.settle) if readable else 0.0
            if found.finding is not Finding.UNKNOWN and now - since >= hold and (done or over):
                return found
            if found.finding is Finding.UNKNOWN and now - since > 2.0 and not doubted:
                doubted = True
                message = "; ".join(found.evidence) or "the target cannot be read"
                await self._record(run, step, EffectAnswered(UNREADABLE, message, unknown=True))
            left = hold - (now - since)
            await asyncio.sleep(min(pause, left) if left > 0 and found.finding is not Finding.UNKNOWN else pause)
            pause = min(pause * 1.5, 2.0 if found.finding is Finding.UNKNOWN or left <= 0 else 0.5)

    async def _read_back(self, change: Change, facts: Mapping[str, Any]) -> ReadBack:
        try:
            return await change.read_back(facts, deadline=READ_DEADLINE)
        except (ReadFailure, NotFound) as error:
            return ReadBack(Finding.UNKNOWN, (str(error),))

    async def _already(self, run: Run, step: StepRun, change: Change, preview: Preview) -> None:
        found = await self._read_back(change, preview.facts)
        if found.finding is Finding.DONE:
            message, evidence = "already done; nothing was sent", _shortened(found.evidence)
            await self._record(run, step, StepEnded(StepState.DONE, message, evidence, found=found.leaves))
        else:
            why = "the target changed while it was read"
            if found.finding is not Finding.NOT_DONE:
                why = f"it was so already when it was read, and is not proven: {'; '.join(found.evidence[:1])}"
            await self._end(run, step, StepState.FAILED, f"nothing was sent: {why}", found.evidence)

    async def _end(
        self, run: Run, step: StepRun, state: StepState, message: str, evidence: tuple[str, ...] = ()
    ) -> None:
        await self._record(run, step, StepEnded(state, message, _shortened(evidence)))

    async def _record(self, run: Run, step: StepRun, body: Body) -> None:
        """An entry in the name of the person who confirmed the run."""
        await self._journal.append(Event(body, run.actor, run=run.id, step=step.key))


def _limit(step: StepRun, change: Change) -> float:
    """The deadline of a change: its runbook's, else its own."""
    return step.step.timeout or change.timeout


def _held(why: str) -> Sending:
    return Sending(Receipt("held", f"not sent: {why}", changed=False))


def _saved_then(change: Change) -> str:
    """The file that is written as a part of the effect."""
    after = change.saved_after if isinstance(change, IsSaved) else None
    return "" if after is None else f"; then it is saved in {after.path}"


def _shortened(evidence: Sequence[str]) -> tuple[str, ...]:
    return tuple(message[:LONGEST_EVIDENCE] for message in evidence[:MOST_EVIDENCE])


def _outcome_message(found: ReadBack, step: StepRun) -> str:
    if found.finding is Finding.DONE:
        return "done, read back twice"
    if found.finding is Finding.NOT_VERIFIED:
        return f"not verified: {'; '.join(found.evidence)}"
    if found.finding is Finding.NOT_DONE:
        return f"not done: {NO_EFFECT.get(step.answered) or step.message or step.answered}"
    return f"partly done: {found.evidence[0] if found.evidence else step.message}"
