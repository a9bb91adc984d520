"""A run, followed to its end: progress on stderr, its result as the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from console.cli.shown import note, say, say_json
from console.client.engine_client import Connected, EngineClient, Line, Lost
from console.client.engine_errors import EngineUnreachable
from state.api.run_states import RunState, StepState
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.api.wire import Mirror, named
from state.config_files.suggestions import not_found
from state.errors import ExitCode
from state.units import clock

PATIENCE = 20.0
"""Seconds for which a verb waits while an outcome is unknown; the engine reads on for as long as it takes."""
GONE = 10.0
"""Seconds without an engine after which a verb no longer waits for it."""
SHOWN_OUTPUT = 10
"""Lines of a command's output at the end of a run; `recovery run show` has all that are kept."""
QUIET_STEPS = frozenset({StepState.PENDING, StepState.SUPERSEDED})
GRACE = 5.0  # seconds in which an accepted run must appear


class RunProgress:
    """Remembers what was printed about a run, and returns what is new."""

    def __init__(self) -> None:
        self._run = ""
        self._steps: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def news(self, run: RunRow, steps: list[StepRow]) -> list[str]:
        """Lines for everything that changed."""
        lines = []
        for step in steps:
            message = step.message
            if step.state is StepState.RUNNING and step.samples:  # no word of a verdict before there is one
                message = f"{step.passes} of {step.samples} in a row"
            line = f"{step.state.value}: {message}" if message else step.state.value
            if step.state not in QUIET_STEPS and self._steps.get(step.key) != line:
                self._steps[step.key] = line
                took = f" ({step.seconds:.1f} s)" if step.seconds is not None else ""
                lines.append(f"  {step.index + 1}. {step.title}: {line}{took}")
                lines += self._words(step)
        state = f"{run.id} {run.word}" + (f": {run.message}" if run.message else "")
        if run.question:
            state += f"; it asks: {run.question} ({', '.join(run.options)}); answer with recovery run decide"
        if state != self._run:
            self._run = state
            lines.append(state)
        return lines

    def _words(self, step: StepRow) -> list[str]:
        """What its author says to people, each once for an instance."""
        new = [(label, texts) for label, texts in _told_with(step) if texts and (step.key, label) not in self._told]
        self._told |= {(step.key, label) for label, _ in new}
        return [f"       {label}: {' '.join(texts)}" for label, texts in new]


def _told_with(step: StepRow) -> list[tuple[str, tuple[str, ...]]]:
    """The author's words that belong to a step as it is now."""
    if step.state in (StepState.RUNNING, StepState.WAITING):
        return [("why", step.why), ("look for", step.look_for)]
    failed = step.state in (StepState.FAILED, StepState.NOT_DONE)
    return [("if it fails", step.if_it_fails)] if failed else []


def steps_of(view: RunbooksView, run: str) -> list[StepRow]:
    """A run's step instances in order."""
    return sorted((s for s in view.steps.values() if s.run == run), key=lambda s: (s.index, s.instance))


def exit_code(row: RunRow) -> ExitCode | None:
    """What a run's state means for scripts; None while it goes on by itself."""
    if row.state is RunState.DONE:
        return ExitCode.DONE if row.verified else ExitCode.UNKNOWN
    if row.state in (RunState.FAILED, RunState.STOPPED):
        return ExitCode.FAILED
    return ExitCode.NEEDS_PERSON if row.state in (RunState.PAUSED, RunState.WAITING) else None


async def follow_run(client: EngineClient, run: str, *, within: float | None = None, as_json: bool = False) -> ExitCode:
    """Wait for the end of a run, print how it ended, and give its exit code; see `followed`."""
    code, view = await followed(client, run, within=within, tell=note)
    for line in standing_lines(view, run, code):
        note(line)
    if view is not None and as_json:
        say_json(run_as_json(view, run))
    elif view is not None and code not in (ExitCode.NEEDS_PERSON, ExitCode.OUTCOME_UNKNOWN):
        for line in evidence_lines(view, run):
            say(line)
    return code


async def followed(
    client: EngineClient, run: str, *, within: float | None, tell: Callable[[str], None]
) -> tuple[ExitCode, RunbooksView | None]:
    """The exit code of a run and its last view.

    It ends with the run. Without `within` also where the run needs a person, and where its outcome has been unknown
    for `PATIENCE` seconds; with it, after so many seconds. Raises NotFound for an unknown run, and EngineUnreachable
    when no engine answers for `GONE` seconds.
    """
    following = Following(run, tell, patient=within is not None)
    try:
        async with asyncio.timeout(within), aclosing(client.follow(("runbooks",))) as lines:
            return await following.until_ended(lines), following.view
    except TimeoutError:
        row = following.view.runs.get(run) if following.view is not None else None
        needs_person = row is not None and exit_code(row) is ExitCode.NEEDS_PERSON
        return ExitCode.NEEDS_PERSON if needs_person else ExitCode.OUTCOME_UNKNOWN, following.view


class Following:
    """One run, followed over the stream; `patient` waits also where the run needs a person or its outcome is open."""

    def __init__(self, run: str, tell: Callable[[str], None], *, patient: bool) -> None:
        self._run, self._tell, self._patient = run, tell, patient
        self._mirror: Mirror[RunbooksView] = Mirror(RunbooksView)
        self._progress = RunProgress()
        self._unknown_since: float | None = None
        self.view: RunbooksView | None = None

    async def until_ended(self, lines: AsyncIterator[Connected | Line | Lost]) -> ExitCode:
        """The exit code, once it is known."""
        loop = asyncio.get_running_loop()
        appear, lost = loop.time() + GRACE, 0.0
        async for item in lines:
            if isinstance(item, Connected):
                self._mirror, appear = Mirror(RunbooksView), loop.time() + GRACE
            elif isinstance(item, Lost):
                lost = lost or loop.time()
                self._tell(f"no connection to the engine: {item.reason}; the run continues")
                if item.fatal or loop.time() - lost >= GONE:
                    raise EngineUnreachable(f"{item.reason}; {self._run} is not followed any more")
            else:
                lost = 0.0
                code = self._look(item, loop.time(), appear)
                if code is not None:
                    return code
        raise AssertionError("following an engine never ends by itself")

    def _look(self, item: Line, now: float, appear: float) -> ExitCode | None:
        view = self._mirror.view if "topic" not in item.content else self._mirror.apply(item.content)
        if view is None:
            return None
        self.view = view
        row = view.runs.get(self._run)
        if row is None:
            if now > appear:
                raise not_found("run", self._run, view.order)
            return None
        for line in self._progress.news(row, steps_of(view, self._run)):
            self._tell(line)
        if row.state is not RunState.UNKNOWN:
            self._unknown_since = None
            code = exit_code(row)
            return None if code is ExitCode.NEEDS_PERSON and self._patient else code
        self._unknown_since = self._unknown_since or now
        over = not self._patient and now - self._unknown_since >= PATIENCE
        return ExitCode.OUTCOME_UNKNOWN if over else None


def standing_lines(view: RunbooksView | None, run: str, code: ExitCode) -> list[str]:
    """Why a verb returns before the end of its run, and what goes on from there."""
    row = view.runs.get(run) if view is not None else None
    if code is ExitCode.OUTCOME_UNKNOWN:
        state = f" ({': '.join(filter(None, (row.state.value, row.message)))})" if row is not None else ""
        return [f"{run} has not ended{state} and continues; do not repeat it. Follow it: recovery run watch {run}"]
    if code is not ExitCode.NEEDS_PERSON or row is None:
        return []
    return [f"{run} is {row.state.value} and needs a person:", *(f"  {line}" for line in ways_on(row))]


def ways_on(row: RunRow) -> list[str]:
    """The verbs that work on a run now, as they are typed; one for each step they are about."""
    lines = []
    for verb, steps in row.steps_of.items():
        if verb == "decide":
            lines += [f"recovery run decide {row.id} '{option}' --step {steps[0]}" for option in row.options]
        elif verb == "skip":
            lines += [f"recovery run skip {row.id} {step} --reason TEXT" for step in steps]
        elif verb == "retry":
            lines += [f"recovery run retry {row.id} {step}" for step in steps]
        else:
            lines.append(f"recovery run {verb} {row.id}")
    return lines


def evidence_lines(view: RunbooksView, run: str) -> list[str]:
    """How a run ended, with what was read at each step."""
    row = view.runs[run]
    took = clock(row.elapsed) if row.elapsed is not None else "--:--"
    lines = [f"{row.id} {row.title}: {row.word} after {took}" + (f", {row.message}" if row.message else "")]
    for step in steps_of(view, run):
        if step.state not in QUIET_STEPS:
            lines.append(f"  {step.state.value:<10} {step.title}")
            lines += [f"             {message}" for message in step.evidence]
            lines += [f"             | {said}" for said in step.output[-SHOWN_OUTPUT:]]
    return lines


def run_as_json(view: RunbooksView, run: str) -> dict[str, Any]:
    """A run with its steps, for scripts."""
    return {"run": named(view.runs[run]), "steps": [named(step) for step in steps_of(view, run)]}
