"""The tree of verbs. A module is imported when one of its verbs is called or completed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from console.cli.examples import show_example
from console.cli.given import refuse_empty
from console.cli.groups import Suggesting
from state.api.topics import load

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETING = "_RECOVERY_COMPLETE"
"""The variable by which a shell asks for completions."""

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("console.demo.verb:demo", "Start a lab, an engine and the console; --headless runs the whole story."),
    "lab": ("console.cli.lab:lab", "Real components on loopback: up, status, fault, down."),
    "engine": ("console.cli.engine:engine", "The engine of an estate: run, start, stop, status."),
    "console": ("console.cli.console_verb:console", "The command center in this terminal."),
    "init": ("console.cli.init:init", "Write an estate from what runs, with the reason of each value."),
    "status": ("console.cli.look:status", "Services and databases by recovery priority, with verdicts and ages."),
    "check": ("console.cli.files:check", "Validate an estate and its runbooks; --connect asks every target."),
    "doctor": ("console.cli.doctor:doctor", "What the accounts of an estate can do at each target."),
    "trust": ("console.cli.trusted:trust", "Let an estate that is found by itself run what it names."),
    "schema": ("console.cli.files:schema", "The estate's JSON Schema, for editors."),
    "traffic": ("console.cli.traffic:traffic", "Balancers and DNS: show, weight, drain, ready, flip."),
    "access": ("console.cli.access:access", "Access that ends by itself: request, list, extend, end, proof."),
    "host": ("console.cli.host:host", "Hosts: what access to them needs there: prepare."),
    "db": ("console.cli.db:db", "Database clusters: show, switchover, failover, fence, rejoin and more."),
    "release": ("console.cli.release:release", "Releases: list, show, record."),
    "rollback": ("console.cli.rollback:rollback", "Take a service back to a release that is safe."),
    "runbook": ("console.cli.runbook:runbook", "The library of runbooks: list, show, score, lint, new."),
    "run": ("console.cli.run:run", "Runs: list, show, start, watch, pause, resume, retry, skip, stop, decide."),
    "approve": ("console.cli.approvals:approve", "Read a plan that waits for you, and sign it with your SSH key."),
    "approvals": ("console.cli.approvals:approvals", "Approvals: list, show, withdraw, alone, halt, review."),
    "journal": ("console.cli.journal_proofs:journal", "What happened: tail, verify, export."),
    "stop": ("console.cli.run:stop_everything", "Start nothing new in any run, at once."),
    "bridge": ("console.cli.bridge:bridge", "The engine's socket on stdin and stdout, for ssh."),
    "completion": ("console.cli.completion:completion", "Shell completion for bash, zsh or fish."),
}
"""Every verb: its place as `module:name`, and its line in the help."""


@contextmanager
def registered_verb(name: str, place: str, help_line: str) -> Iterator[None]:
    """While the context lasts, a verb from outside, as `module:name`."""
    if name in VERBS:
        raise ValueError(f"there is a verb {name} already: {VERBS[name][0]}")
    VERBS[name] = (place, help_line)
    try:
        yield
    finally:
        del VERBS[name]


def _without_estate() -> bool:
    """Whether there is no estate here at all."""
    from console.places import NoEstate, find
    from state.errors import RecoveryError

    try:
        find()
    except NoEstate:
        return True
    except RecoveryError:
        return False
    return False


class Verbs(Suggesting):
    """A group that knows its verbs by name and imports them when needed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words after `recovery`; with none, on a terminal without any estate, the console: it helps to a first."""
        if not args and sys.stdin.isatty() and sys.stderr.isatty() and _without_estate():
            args = ["console"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = load(VERBS[cmd_name][0])
        show_example(command, cmd_name)
        refuse_empty(command)
        if COMPLETING in os.environ:
            from console.cli.completing import attach

            attach(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The names of the verbs, without importing them."""
        from click.shell_completion import CompletionItem

        items = [CompletionItem(name, help=line) for name, (_, line) in VERBS.items() if name.startswith(incomplete)]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, message) for name, (_, message) in VERBS.items()])


def _version(context: click.Context, _param: click.Parameter, asked: bool) -> None:
    """`--version`: the version, and exit code 2 where this is installed over other programs."""
    if not asked or context.resilient_parsing:
        return
    from importlib import metadata

    from console.cli.installation import DISTRIBUTION, installation
    from console.cli.shown import say

    say(f"recovery, version {metadata.version(DISTRIBUTION)}")
    installation().require_own()
    context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="The version.")
def recovery() -> None:
    """A terminal command center for recovery.

    Exit codes: 0 pass or done, 1 fail or not done, 2 bad usage or config, 3 unknown, 4 refused by a rule,
    5 outcome unknown, 6 engine unreachable, 7 needs a person.
    """
