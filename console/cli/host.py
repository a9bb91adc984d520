"""`recovery host`: what a host needs so that access to it can be given for a while."""

from __future__ import annotations

import click

from console.cli.db_verify import place_of
from console.cli.groups import Suggesting
from console.cli.reach import estate_option, json_option, run_there
from console.cli.shown import say, say_json
from state.errors import ExitCode


@click.group(cls=Suggesting)
def host() -> None:
    """Hosts of the estate: what an administrator prepares there."""


@host.command()
@click.argument("name", metavar="HOST")
@estate_option
@json_option
def prepare(name: str, estate: str | None, as_json: bool) -> int:
    """Print the script that prepares HOST for grants: one program, its settings, and the lines of sshd.

    Reviewed and run there as root by an administrator; it may be run again. Nothing is sent from here.
    """
    if (code := run_there()) is not None:
        return code
    place = place_of(estate, quiet=as_json)
    from adapters.access.preparing_host import PreparingHost
    from console.engine.loading import load

    assert place.file is not None
    text = PreparingHost(load(place.file).estate, place.file.parent, name).script()
    if as_json:
        say_json({"host": name, "script": text})
    else:
        say(text)
    return ExitCode.DONE
