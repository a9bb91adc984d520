"""`recovery run`: executions of runbooks and single changes; and `recovery stop`."""

from __future__ import annotations

from collections.abc import Callable

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.following import follow_run
from console.cli.groups import Listing
from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, note, say, say_json, table
from state.api.requests import ControlRequest, Decide, Pause, PlanRetry, PlanRunbook, Resume, Skip, Stop
from state.api.run_states import StepState
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.api.wire import named
from state.errors import ExitCode, NotFound
from state.units import clock, utc_date


@click.group(cls=Listing)
def run() -> None:
    """Runs: list, show, start, watch, and the verbs that control one."""


@run.command("list")
@estate_option
@json_option
def list_runs(estate: str | None, as_json: bool) -> int:
    """All runs, newest first."""
    seen: SeenView[RunbooksView] = ask(gather(client_of(estate, quiet=as_json), "runbooks"))
    view = seen.view
    runs = [view.runs[key] for key in view.order if key in view.runs]
    if as_json:
        say_json(named(runs))
        return ExitCode.DONE
    rows = [
        [
            row.id,
            row.state.value,
            f"{row.done}/{row.total}",
            _took(row.elapsed),
            utc_date(row.started_at),
            row.actor,
            row.title,
            row.message,
        ]
        for row in runs
    ]
    head = ("RUN", "STATE", "STEPS", "TOOK", "STARTED", "BY", "WHAT", "MESSAGE")
    for line in table(head, rows, right=("STEPS", "TOOK")):
        say(line)
    return ExitCode.DONE


def _took(seconds: float | None) -> str:
    return NOTHING if seconds is None else clock(seconds)


@run.command()
@click.argument("run_id", metavar="RUN")
@estate_option
@json_option
def show(estate: str | None, as_json: bool, run_id: str) -> int:
    """One run with its steps, evidence and the verbs that are safe now."""
    seen: SeenView[RunbooksView] = ask(gather(client_of(estate, quiet=as_json), "runbooks"))
    row = seen.view.runs.get(run_id)
    if row is None:
        raise NotFound(f"no run {run_id}; there are {', '.join(seen.view.order[:9]) or 'none'}")
    steps = [step for step in seen.view.steps.values() if step.run == run_id]
    steps.sort(key=lambda step: (step.index, step.instance))
    if as_json:
        say_json({"run": named(row), "steps": named(steps)})
        return ExitCode.DONE
    for line in [*heading(seen), "", *_run_lines(row), "", *_step_lines(steps)]:
        say(line)
    return ExitCode.DONE


def _run_lines(row: RunRow) -> list[str]:
    budget = "" if row.budget is None else f" of {clock(row.budget)}"
    lines = [
        f"{row.id} {row.title}   {row.state.value.upper()} {row.message}",
        f"started {utc_date(row.started_at)} by {row.actor}, took {_took(row.elapsed)}{budget},"
        f" {row.done} of {row.total} steps",
    ]
    if row.question:
        lines.append(f"asks: {row.question} ({', '.join(row.options)})")
    if row.next_actions:
        lines.append(f"possible now: {', '.join(row.next_actions)}")
    return lines


def _step_lines(steps: list[StepRow]) -> list[str]:
    rows = []
    for step in steps:
        took = NOTHING if step.seconds is None else f"{step.seconds:.1f} s"
        name = step.step + (f"#{step.instance}" if step.instance > 1 else "")
        rows.append([name, step.state.value, took, step.title, step.message])
        rows += [["", "", "", "", f"read: {message}"] for message in step.evidence]
    return table(("STEP", "STATE", "TOOK", "WHAT", "MESSAGE"), rows, right=("TOOK",))


@run.command()
@click.argument("runbook")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@estate_option
@acting_options
def start(estate: str | None, runbook: str, params: tuple[str, ...], manner: Manner) -> int:
    """Start a runbook."""
    values = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name:
            raise click.UsageError(f"a parameter is written NAME=VALUE, not {param!r}")
        values[name] = value
    return act(estate, PlanRunbook(runbook, values), manner)


@run.command()
@click.argument("run_id", metavar="RUN")
@click.option("--within", type=float, metavar="SECONDS", help="How long to wait for its end.")
@estate_option
@json_option
def watch(estate: str | None, as_json: bool, run_id: str, within: float | None) -> int:
    """Follow a run to its end."""
    return ask(follow_run(client_of(estate, quiet=as_json), run_id, within=within, as_json=as_json))


@run.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step")
@estate_option
@acting_options
def retry(estate: str | None, run_id: str, step: str, manner: Manner) -> int:
    """Repeat a step that is proven not done."""
    return act(estate, PlanRetry(run_id, step), manner)


def _control(estate: str | None, run_id: str, as_json: bool, request: ControlRequest) -> int:
    accepted = ask(client_of(estate, quiet=as_json, acting=True).control(run_id, request))
    if as_json:
        say_json(named(accepted))
    else:
        note(f"{accepted.run}: {accepted.message}")
    return ExitCode.DONE


def _control_verb(request: ControlRequest, message: str) -> Callable[..., int]:
    @run.command(request.verb, help=message)
    @click.argument("run_id", metavar="RUN")
    @estate_option
    @json_option
    def verb(estate: str | None, as_json: bool, run_id: str) -> int:
        return _control(estate, run_id, as_json, request)

    return verb


pause = _control_verb(Pause(), "Pause the run after its current step.")
resume = _control_verb(Resume(), "Continue a paused run.")
stop = _control_verb(Stop(), "Start nothing new in this run, read the outcome of what was sent, end it.")


@run.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step")
@click.option("--reason", required=True, help="Why; the journal records it.")
@estate_option
@json_option
def skip(estate: str | None, as_json: bool, run_id: str, step: str, reason: str) -> int:
    """Continue without a step."""
    return _control(estate, run_id, as_json, Skip(step, reason))


@run.command()
@click.argument("run_id", metavar="RUN")
@click.argument("choice")
@click.option("--step", default="", help="The step to decide, when several wait.")
@estate_option
@json_option
def decide(estate: str | None, as_json: bool, run_id: str, choice: str, step: str) -> int:
    """Answer the question a run waits for."""
    return _control(estate, run_id, as_json, Decide(choice, step or _asking_step(estate, run_id)))


def _asking_step(estate: str | None, run_id: str) -> str:
    """The step of a run that waits for an answer."""
    seen: SeenView[RunbooksView] = ask(gather(client_of(estate, quiet=True), "runbooks"))
    for step in seen.view.steps.values():
        if step.run == run_id and step.state is StepState.WAITING:
            return step.step
    raise NotFound(f"no step of {run_id} waits for an answer")


@click.command()
@estate_option
@json_option
def stop_everything(estate: str | None, as_json: bool) -> int:
    """Start nothing new in any run, at once; read the outcome of what was sent. Asks for no confirmation."""
    accepted = ask(client_of(estate, quiet=as_json, acting=True).stop_all())
    if as_json:
        say_json(named(accepted))
    else:
        note(accepted.message)
    return ExitCode.DONE


stop_everything.name = "stop"
