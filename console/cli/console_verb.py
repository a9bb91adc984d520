"""`recovery console`: the command center. Nothing slow is imported before the first frame."""

from __future__ import annotations

import os
from pathlib import Path

import click

from console.tui.terminal.lean import lean

with lean():
    from console.cli.reach import estate_option, host_of, socket_of, used_estate
    from console.cli.shown import complain, note


@click.command()
@estate_option
@click.option("--observe", is_flag=True, help="Read only: use the socket that cannot act.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII characters only.")
@click.option("--mouse", is_flag=True, help="Use the mouse; the terminal's own text selection is then off.")
@click.option("--theme", default="", help="dark, light, high-contrast or terminal.")
def console(estate: str | None, observe: bool, ascii_only: bool, mouse: bool, theme: str) -> int:
    """The command center in this terminal. Starts an engine when none runs; quitting stops nothing."""
    if host_of():
        from console.client.far import FarEngine

        with FarEngine(host_of(), estate=estate, observe=observe) as path:
            return open_console(str(path), ascii_only=ascii_only, mouse=mouse, theme=theme)
    from console.engine.control import listens, start
    from console.places import NoEstate, find

    try:
        place = find(estate)
    except NoEstate:
        file = first_estate(ascii_only=ascii_only, mouse=mouse, theme=theme)
        if file is None:
            raise
        place = find(str(file))
    used = used_estate(place)
    if not estate:
        note(used)
    if not observe and not listens(place):
        from console.cli.trusted import require_yes

        require_yes(place)
        start(place, tell=note)
    socket = socket_of(place, acting=False, observe=observe)
    notice = used if place.by_itself else ""
    return open_console(os.fspath(socket), ascii_only=ascii_only, mouse=mouse, theme=theme, notice=notice)


def first_estate(*, ascii_only: bool, mouse: bool, theme: str) -> Path | None:
    """The pages for somebody without an estate; None where no screens can be drawn, or nothing is to be opened."""
    from console.tui import wizard
    from console.tui.terminal.capabilities import UnsuitableTerminal

    try:
        file = wizard.run(ascii_only=ascii_only, mouse=mouse, theme=theme)
    except UnsuitableTerminal:
        return None
    if file is None:
        raise click.exceptions.Exit(0)
    return file


def open_console(
    socket: str, *, ascii_only: bool = False, mouse: bool = False, theme: str = "", notice: str = ""
) -> int:
    """Run the screens on a socket, with a notice at their begin; returns their exit code."""
    from console import tui
    from console.tui.terminal.capabilities import UnsuitableTerminal

    try:
        return tui.run(socket, ascii_only=ascii_only, mouse=mouse, theme=theme, notice=notice)
    except UnsuitableTerminal as error:
        complain(str(error))
        return error.exit_code
