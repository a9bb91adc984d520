"""What every form of `recovery init` does with a person: tells what was found, asks what nobody can discover."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.shown import complain, neutral, note, say_json, say_json_line
from console.cli.streams import ENDS
from state.errors import ExitCode

if TYPE_CHECKING:
    from console.cli.init_work import Discovered
    from state.discovery.answers import Answers, InitQuestion


@dataclass(frozen=True, slots=True)
class InitManner:
    """How `init` was called."""

    yes: bool
    update: bool
    plan_only: bool
    as_json: bool
    events: bool

    def step(self, line: str) -> None:
        """One step for whoever waits."""
        if self.events:
            self.event("step", text=neutral(line))
        elif not self.as_json:
            note(neutral(line))

    def event(self, event: str, **fields: Any) -> None:
        """One line of `--events`, at once."""
        say_json_line({"event": event, **fields})
        ENDS.flush()


def tell_found(found: Discovered, manner: InitManner) -> None:
    """One line for each address."""
    from adapters.discovery.asking import USUAL_PLACES
    from console.cli.init_told import fact_line, kind_of

    if found.looked:
        manner.step(f"looked at the usual places of this host: {', '.join(USUAL_PLACES)}")
    for fact in found.facts:
        if manner.events:
            manner.event("found", address=neutral(fact.address), kind=kind_of(fact), text=fact_line(fact))
        elif not manner.as_json and (found.looked or not kind_of(fact)):
            note(fact_line(fact))


def nothing_found(found: Discovered, file: Path, manner: InitManner) -> int:
    """No address gave anything: nothing is written, and the reasons are told."""
    from console.cli.init_told import document

    told = document(found, None, file, (), written=False)
    if manner.events:
        manner.event("done", **told)
    elif manner.as_json:
        say_json(told)
    else:
        for each in found.silent:
            complain(neutral(f"{each.address}: {each.message}" + (f" → {each.way_out}" if each.way_out else "")))
        complain("nothing was found, so nothing was written; recovery init --help has the kinds of addresses")
    return ExitCode.UNKNOWN


def answers_of(
    found: Discovered, name: str, given: dict[str, str], manner: InitManner, written: Sequence[str] = ()
) -> tuple[Answers, list[InitQuestion]]:
    """The answers, and the questions that were left to their proposals. `written` are questions that a file answers."""
    from console.cli.init_work import to_ask
    from state.discovery.answers import WrongAnswer

    try:
        answers, asked, services = to_ask(found, name, given)
    except WrongAnswer as error:
        raise click.BadParameter(neutral(str(error)), param_hint="--answer") from error
    asked = [question for question in asked if question.key not in written]
    if manner.yes or manner.plan_only or not asked:
        return answers, asked
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask at: --yes takes every proposal, --answer KEY=VALUE answers one")
    for question in asked:
        answers = _ask(question, answers, services)
    return answers, []


def _ask(question: InitQuestion, answers: Answers, services: Sequence[str]) -> Answers:
    """One answer from the person, asked again until it can be taken. An empty line takes the proposal as confirmed."""
    from state.discovery.answers import WrongAnswer, answered

    while True:
        text = click.prompt(neutral(question.text), default=question.proposal, err=True, show_default=True)
        try:
            return answered(answers, {question.key: text}, services)
        except WrongAnswer as error:
            note(neutral(str(error)))
