"""A run, followed to its end: progress on stderr, its result as the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from console.cli.shown import note, say, say_json
from console.client.engine_client import Connected, EngineClient, Line, Lost
from state.api.run_states import RunState, StepState
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.api.wire import Mirror, named
from state.errors import ExitCode, NotFound
from state.units import clock

ENDINGS = {
    RunState.DONE: ExitCode.DONE,
    RunState.FAILED: ExitCode.FAILED,
    RunState.STOPPED: ExitCode.FAILED,
}
QUIET_STEPS = frozenset({StepState.PENDING, StepState.SUPERSEDED})
GRACE = 5.0  # seconds in which an accepted run must appear


class RunProgress:
    """Remembers what was printed about a run, and returns what is new."""

    def __init__(self) -> None:
        self._run = ""
        self._steps: dict[str, str] = {}

    def news(self, run: RunRow, steps: list[StepRow]) -> list[str]:
        """Lines for everything that changed."""
        lines = []
        for step in steps:
            line = f"{step.state.value}: {step.message}" if step.message else step.state.value
            if step.state not in QUIET_STEPS and self._steps.get(step.key) != line:
                self._steps[step.key] = line
                took = f" ({step.seconds:.1f} s)" if step.seconds is not None else ""
                lines.append(f"  {step.index + 1}. {step.title}: {line}{took}")
        state = f"{run.id} {run.state.value}" + (f": {run.message}" if run.message else "")
        if run.question:
            state += f"; it asks: {run.question} ({', '.join(run.options)}); answer with recovery run decide"
        if state != self._run:
            self._run = state
            lines.append(state)
        return lines


def steps_of(view: RunbooksView, run: str) -> list[StepRow]:
    """A run's step instances in order."""
    return sorted((s for s in view.steps.values() if s.run == run), key=lambda s: (s.index, s.instance))


async def follow_run(client: EngineClient, run: str, *, within: float | None = None, as_json: bool = False) -> ExitCode:
    """Wait for the end of a run, print how it ended, and give its exit code. Raises NotFound for an unknown run."""
    code, view = await followed(client, run, within=within, tell=note)
    if view is None:
        note(f"{run} has not ended within {within:.0f} s and continues; follow it with recovery run watch {run}")
    elif as_json:
        say_json(run_as_json(view, run))
    else:
        for line in evidence_lines(view, run):
            say(line)
    return code


async def followed(
    client: EngineClient, run: str, *, within: float | None, tell: Callable[[str], None]
) -> tuple[ExitCode, RunbooksView | None]:
    """The exit code of a run and the view it ended in. After `within` seconds the outcome is unknown, never failed."""
    try:
        async with asyncio.timeout(within), aclosing(client.follow(("runbooks",))) as lines:
            view = await _until_ended(lines, run, tell)
    except TimeoutError:
        return ExitCode.OUTCOME_UNKNOWN, None
    return ENDINGS[view.runs[run].state], view


async def _until_ended(
    lines: AsyncIterator[Connected | Line | Lost], run: str, tell: Callable[[str], None]
) -> RunbooksView:
    mirror: Mirror[RunbooksView] = Mirror(RunbooksView)
    progress = RunProgress()
    loop = asyncio.get_running_loop()
    appear = loop.time() + GRACE
    async for item in lines:
        if isinstance(item, Connected):
            mirror = Mirror(RunbooksView)
        elif not isinstance(item, Line):
            tell(f"no connection to the engine: {item.reason}; the run continues")
            appear = loop.time() + GRACE
        else:
            view = mirror.view if "topic" not in item.content else mirror.apply(item.content)
            if view is None:
                continue
            row = view.runs.get(run)
            if row is None:
                if loop.time() > appear:
                    raise NotFound(f"no run {run}; there are {', '.join(view.order[:9]) or 'none'}")
                continue
            for line in progress.news(row, steps_of(view, run)):
                tell(line)
            if row.state in ENDINGS:
                return view
    raise AssertionError("following an engine never ends by itself")


def evidence_lines(view: RunbooksView, run: str) -> list[str]:
    """How a run ended, with what was read at each step."""
    row = view.runs[run]
    took = clock(row.elapsed) if row.elapsed is not None else "--:--"
    lines = [f"{row.id} {row.title}: {row.state.value} after {took}" + (f", {row.message}" if row.message else "")]
    for step in steps_of(view, run):
        if step.state not in QUIET_STEPS:
            lines.append(f"  {step.state.value:<10} {step.title}")
            lines += [f"             {message}" for message in step.evidence]
    return lines


def run_as_json(view: RunbooksView, run: str) -> dict[str, Any]:
    """A run with its steps, for scripts."""
    return {"run": named(view.runs[run]), "steps": [named(step) for step in steps_of(view, run)]}
