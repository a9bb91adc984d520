"""`recovery rollback`: back to a release that is proven to fit what is there."""

from __future__ import annotations

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.reach import ask, client_of, estate_option
from console.release_text import whole_digest
from state.api.requests import PlanRollback


@click.command()
@click.argument("service")
@click.option(
    "--to",
    default="",
    metavar="sha256:HEX",
    help="The release, or the first 12 digits of it; without it the best one that is safe.",
)
@click.option("--ramp", is_flag=True, help="5, 25, 50, 100 percent of the traffic, each proven before the next.")
@estate_option
@acting_options
def rollback(estate: str | None, service: str, to: str, manner: Manner, *, ramp: bool) -> int:
    """Take a service back to an earlier release: flip to the colour that runs it, else deploy its artifact again.

    Refused, with the way forward, unless the release is proven to run on the schema that is there, no later release
    says that nothing goes back from it, its checks pass, and what would take the traffic is ready.
    """
    if to:
        to = whole_digest(ask(client_of(estate, quiet=True).view("releases")), service, to)
    return act(estate, PlanRollback(service, to, ramp), manner)
