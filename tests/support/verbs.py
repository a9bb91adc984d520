"""Every verb of the command line, as the command line itself knows them."""

from __future__ import annotations

from collections.abc import Iterator

import click

from console.cli.verbs import VERBS, recovery


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, command


def every_verb() -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(recovery)
    found = []
    for name in VERBS:
        command = recovery.get_command(context, name)
        assert command is not None
        found += leaves(command, (name,))
    return found


def by_path() -> dict[str, click.Command]:
    """Every verb by its words, such as `run start`."""
    return {" ".join(path): command for path, command in every_verb()}


def options_of(command: click.Command) -> set[str]:
    """The options of a verb."""
    return {opt for param in command.params for opt in param.opts if opt.startswith("-")}
