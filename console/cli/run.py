"""`recovery run`: executions of runbooks and single changes; and `recovery stop`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.following import follow_run, steps_of, ways_on
from console.cli.given import named_values
from console.cli.groups import Listing
from console.cli.look import SeenView, gather, heading
from console.cli.numbers import SECONDS
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, note, say, say_json, table
from console.cluster_text import integrity_lines
from state.api.requests import ControlRequest, Decide, Pause, PlanRetry, PlanRunbook, PlanUndo, Resume, Skip, Stop
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.api.wire import named
from state.config_files.suggestions import not_found
from state.errors import ExitCode, Refused
from state.units import clock, utc_date


@click.group(cls=Listing)
def run() -> None:
    """Runs: list, show, start, watch, and the verbs that control one."""


@run.command("list")
@estate_option
@json_option
def list_runs(estate: str | None, as_json: bool) -> int:
    """Runs: those that have not ended first, then newest first."""
    seen: SeenView[RunbooksView] = ask(gather(client_of(estate, quiet=as_json), "runbooks"))
    view = seen.view
    runs = [view.runs[key] for key in view.order if key in view.runs]
    if as_json:
        say_json(named(runs))
        return ExitCode.DONE
    rows = [
        [
            row.id,
            row.word,
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
    view = seen.view if run_id in seen.view.runs else ask(client_of(estate, quiet=True).run(run_id))
    row, steps = view.runs[run_id], steps_of(view, run_id)
    if as_json:
        say_json({"run": named(row), "steps": named(steps)})
        return ExitCode.DONE
    for line in [*heading(seen), "", *_run_lines(row), "", *_step_lines(steps)]:
        say(line)
    return ExitCode.DONE


def _run_lines(row: RunRow) -> list[str]:
    budget = "" if row.budget is None else f" of {clock(row.budget)}"
    lines = [
        f"{row.id} {row.title}   {row.word.upper()} {row.message}",
        f"started {utc_date(row.started_at)} by {row.actor}, took {_took(row.elapsed)}{budget},"
        f" {row.done} of {row.total} steps",
    ]
    if row.question:
        lines.append(f"asks: {row.question} ({', '.join(row.options)})")
    if row.next_actions:
        lines.append("possible now:")
        lines += [f"  {line}" for line in ways_on(row)]
    return lines


def _step_lines(steps: list[StepRow]) -> list[str]:
    rows = []
    for step in steps:
        took = NOTHING if step.seconds is None else f"{step.seconds:.1f} s"
        name = step.step + (f"#{step.instance}" if step.instance > 1 else "")
        rows.append([name, step.state.value, took, step.title, step.message])
        rows += [["", "", "", "", f"read: {message}"] for message in step.evidence]
        rows += [["", "", "", "", f"said: {line}"] for line in step.output]
        rows += [["", "", "", "", line] for line in integrity_lines(step)]
    return table(("STEP", "STATE", "TOOK", "WHAT", "MESSAGE"), rows, right=("TOOK",))


@run.command()
@click.argument("runbook")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
@estate_option
@acting_options
def start(estate: str | None, runbook: str, params: tuple[str, ...], manner: Manner) -> int:
    """Start a runbook."""
    return act(estate, PlanRunbook(runbook, named_values(params)), manner)


@run.command()
@click.argument("run_id", metavar="RUN")
@click.option("--within", type=SECONDS, metavar="SECONDS", help="How long to wait for its end.")
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


def _control_verb(name: str, message: str, request: Callable[[str | None, str], ControlRequest]) -> Callable[..., int]:
    @run.command(name, help=message)
    @click.argument("run_id", metavar="RUN")
    @estate_option
    @json_option
    def verb(estate: str | None, as_json: bool, run_id: str) -> int:
        return _control(estate, run_id, as_json, request(estate, run_id))

    return verb


def _seen(estate: str | None, run_id: str) -> tuple[RunRow, list[StepRow]]:
    """A run and its steps as they are now. Raises NotFound."""
    view = ask(gather(client_of(estate, quiet=True), "runbooks")).view
    row = view.runs.get(run_id)
    if row is None:
        raise not_found("run", run_id, view.order)
    return row, steps_of(view, run_id)


def _resume(estate: str | None, run_id: str) -> Resume:
    """Resume what the run stands at now, and nothing else."""
    return Resume(next(iter(_seen(estate, run_id)[0].steps_of.get(Resume.verb, ())), ""))


pause = _control_verb(Pause.verb, "Pause the run after its current step.", lambda _estate, _run: Pause())
resume = _control_verb(Resume.verb, "Continue a paused run.", _resume)
stop = _control_verb(
    Stop.verb,
    "Start nothing new in this run, read the outcome of what was sent, end it.",
    lambda _estate, _run: Stop(),
)


@run.command()
@click.argument("run_id", metavar="RUN")
@estate_option
@acting_options
def undo(estate: str | None, run_id: str, manner: Manner) -> int:
    """Undo everything an ended run did, last change first, as a run of its own."""
    return act(estate, PlanUndo(run_id), manner)


@run.command()
@click.argument("run_id", metavar="RUN")
@click.argument("step")
@click.option("--reason", required=True, help="Why; the journal records it.")
@estate_option
@json_option
def skip(estate: str | None, as_json: bool, run_id: str, step: str, reason: str) -> int:
    """Continue without a step."""
    _, steps = _seen(estate, run_id)
    latest = [row.name for row in steps if row.step == step]
    return _control(estate, run_id, as_json, Skip(latest[-1] if latest else step, reason))


@run.command()
@click.argument("run_id", metavar="RUN")
@click.argument("choice")
@click.option("--step", default="", help="The question that was read, as run show names it (step#instance).")
@estate_option
@json_option
def decide(estate: str | None, as_json: bool, run_id: str, choice: str, step: str) -> int:
    """Answer the question a run waits for. Without --step it is shown, and a person confirms it."""
    asked = _asked(estate, run_id, step)
    note(f"{run_id} asks at {asked.name}: {asked.question} ({' / '.join(asked.options)})")
    if not step and choice in asked.options:
        _confirm_answer(asked, choice)
    return _control(estate, run_id, as_json, Decide(choice, asked.name))


def _asked(estate: str | None, run_id: str, step: str) -> StepRow:
    """The question that is answered: the one named, else the only one. Raises NotFound or Refused."""
    open_ = {row.name: row for row in _seen(estate, run_id)[1] if row.question}
    named_ = [row for row in open_.values() if step in ("", row.step, row.name)]
    if len(named_) == 1:
        return named_[0]
    if step and open_:
        raise Refused("step-order", f"{step} asks nothing now; {run_id} asks at {', '.join(open_)}", "Read it again")
    if open_:
        raise Refused("step-order", f"{run_id} asks at {', '.join(open_)}", "Name one with --step")
    raise Refused("question-open", f"{run_id} waits for no decision", f"recovery run show {run_id}")


def _confirm_answer(asked: StepRow, choice: str) -> None:
    """On a terminal a person who named no question says yes to the one that is shown."""
    if sys.stdin.isatty() and not click.confirm(f"answer {choice!r}?", err=True):
        raise Refused("confirmation", "cancelled, nothing was sent", f"recovery run show {asked.run}")


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
