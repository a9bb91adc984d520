"""Steps that ask what is true: checks, which have to pass, and conditions, whose answer leads on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from state.api.run_states import StepState
from state.checks.model import Answer
from state.clock import Clock
from state.health import Health
from state.journal.events import Body
from state.runs.captured import filled
from state.runs.events import ConditionAnswered, RunStopRequested, StepEnded, StepSkipped
from state.runs.model import UNDO, Run, StepRun
from state.runs.steps import PlannedStep

LOOK = 0.25
"""Seconds between two looks for the reading that a check waits for; it counts each reading once."""

AskCheck = Callable[[PlannedStep, float], Answer]
"""Evaluates a check step, with the monotonic instant before which readings do not count."""

Record = Callable[[Run, StepRun, Body], Awaitable[None]]
"""Appends what happened to a step."""

_WORDS = {Health.PASS: "pass", Health.FAIL: "fail"}
UNKNOWN = "unknown"


class Asking:
    """Asks at the author's pace. `woken` sleeps, at most so many seconds, until something is recorded of the run."""

    def __init__(
        self, ask: AskCheck, clock: Clock, record: Record, woken: Callable[[Run, float | None], Awaitable[None]]
    ) -> None:
        self._ask, self._clock, self._record, self._woken = ask, clock, record, woken

    async def check(self, run: Run, step: StepRun) -> None:
        """Ask at the author's pace until enough passes in a row, each from younger readings, or the limit.

        A pass is the first answer from younger readings once the pace allows it. Unknown is never a pass.
        """
        known = filled(run, step.step)
        if isinstance(known, str):
            await self._record(run, step, StepEnded(StepState.FAILED, known))
            return
        planned, began = known, self._clock.mono()
        passed = due = began
        best, answer = 0, Answer(Health.UNKNOWN, ("no reading yet",))
        while not (run.stopping or step.left_out):
            now = self._clock.mono()
            if now >= due:
                answer = self._ask(planned, began)
                step.message = f"{answer.health.value}: {'; '.join(answer.evidence)}"
                if answer.health is not Health.PASS:
                    step.passes = 0
                    due = now + (planned.every if answer.health is not Health.UNKNOWN else 0.0)
                elif self._ask(planned, passed).health is Health.PASS:
                    step.passes, passed, due = step.passes + 1, now, now + planned.every
                    best = max(best, step.passes)
            if step.passes >= planned.samples:
                return await self._check_ended(run, step, StepState.DONE, "pass", answer)
            if now - began >= planned.timeout:
                why = _why_not(answer, best, planned)
                return await self._check_ended(run, step, StepState.FAILED, why, answer)
            pause = due - now if due > now else min(planned.every, LOOK)
            await self._woken(run, min(pause, began + planned.timeout - now))
        if not step.left_out:
            await self._check_ended(run, step, StepState.STOPPED, "stopped", answer)

    async def _check_ended(self, run: Run, step: StepRun, state: StepState, message: str, answer: Answer) -> None:
        if state is StepState.DONE:
            message = f"pass, {step.passes} of {step.step.samples} in a row"
        figures = answer.figures if state is StepState.DONE else {}
        await self._record(run, step, StepEnded(state, message, answer.evidence, step.passes, figures=figures))

    async def condition(self, run: Run, step: StepRun) -> None:
        """Ask until so many equal answers in a row, each from younger readings; what they mean is done, then it ends.

        The answer is recorded first: after a crash in between it is applied again, and not asked again.
        """
        if not step.choice:
            word, answer = await self._answered(run, step)
            if step.left_out:
                return
            if run.stopping:
                await self._record(run, step, StepEnded(StepState.STOPPED, "stopped", answer.evidence))
                return
            meaning = step.step.answers.get(word, "pause")
            if meaning == "pause":
                message = f"{word}: {'; '.join(answer.evidence)}"
                await self._record(run, step, StepEnded(StepState.FAILED, message, answer.evidence))
                return
            await self._record(run, step, ConditionAnswered(word, _said(meaning), answer.evidence))
            if not step.choice:  # left out or stopped at the same instant
                return
        meaning = step.step.answers[step.choice]
        if step.reverts:
            message = f"{step.choice}: {'; '.join(step.evidence)}"
            await self._record(run, step, StepEnded(StepState.FAILED, message, step.evidence))
            return
        if meaning == "stop":
            await self._record(run, step, RunStopRequested(f"{step.step.title}: {step.choice}"))
        elif meaning != "continue":
            await skip_to(self._record, run, step, meaning, ruled=step.choice != UNKNOWN)
        await self._record(run, step, StepEnded(StepState.DONE, step.message, step.evidence))

    async def _answered(self, run: Run, step: StepRun) -> tuple[str, Answer]:
        """The word of the answer; unknown when there were not so many equal ones before its limit."""
        known = filled(run, step.step)
        if isinstance(known, str):
            return UNKNOWN, Answer(Health.UNKNOWN, (known,))
        planned, began = known, self._clock.mono()
        since = due = began
        word, count, answer = "", 0, Answer(Health.UNKNOWN, ("no reading yet",))
        while not (run.stopping or step.left_out):
            now = self._clock.mono()
            if now >= due:
                answer = self._ask(planned, began)
                found = _WORDS.get(answer.health, "")
                if found != word:
                    word, count = found, 0
                if found and self._ask(planned, since).health is answer.health:
                    count, since, due = count + 1, now, now + planned.every
                step.message = f"{answer.health.value}: {'; '.join(answer.evidence)}"
            if word and count >= planned.samples:
                return word, answer
            if now - began >= planned.timeout:
                break
            pause = due - now if due > now else min(planned.every, LOOK)
            await self._woken(run, min(pause, began + planned.timeout - now))
        return UNKNOWN, answer


async def skip_to(record: Record, run: Run, step: StepRun, target: str, *, ruled: bool = False) -> None:
    """Leave out what is between an answer and the step it leads to (empty: the end), and the others of its group."""
    end = next((s.index for s in run.steps if s.id == target), len(run.steps))
    group = run.group(step.step)
    for planned in run.steps:
        over = step.step.index < planned.index < end or (planned in group and planned is not step.step)
        if over and not run.settled(planned):
            await record(run, run.latest(planned.id), StepSkipped(step.message, ruled))


def _said(meaning: str) -> str:
    """What a meaning does, as text."""
    return {
        "continue": "it goes on",
        "stop": "the run stops",
        UNDO: "what was done is undone",
        "": "what follows is left out",
    }.get(meaning, f"on to {meaning}")


def _why_not(answer: Answer, best: int, planned: PlannedStep) -> str:
    """Why a check did not pass within its limit."""
    limit = f"within {planned.timeout:g} s"
    if best:
        return f"{best} of {planned.samples} passes in a row {limit}, the last reading is {answer.health.value}"
    if answer.health is Health.UNKNOWN:
        return f"unknown: no data is never a pass ({limit})"
    return f"{answer.health.value}: did not pass {limit}"
