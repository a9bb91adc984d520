"""`recovery traffic`: what the balancers and name servers report, and the changes to them."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click

from console.cli.acting import Manner, act, acting_options
from console.cli.groups import Defaulting
from console.cli.look import SeenView, gather, heading
from console.cli.numbers import DURATION, Whole
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import say, say_json, table
from state.api.requests import PlanChange, PlanEvacuate, PlanSet, PlanShare
from state.api.views.traffic import BackendRow, DnsRow, ServerRow, TrafficView
from state.units import percent, rate

F = TypeVar("F", bound=Callable[..., Any])
MOST_WEIGHT = 256


@click.group(cls=Defaulting)
def traffic() -> None:
    """Balancers and DNS; without a verb: show."""


@traffic.command()
@estate_option
@json_option
def show(estate: str | None = None, as_json: bool = False) -> int:
    """Backends, servers and DNS answers. Exit code 1 when something fails, 3 when something is unknown or old."""
    seen: SeenView[TrafficView] = ask(gather(client_of(estate, quiet=as_json), "traffic"))
    if as_json:
        say_json(seen.as_json())
    else:
        for line in [*heading(seen), "", *_backends(seen), "", *_servers(seen), *_dns(seen)]:
            say(line)
    rows: list[BackendRow | DnsRow] = [*seen.view.backends.values(), *seen.view.dns.values()]
    return seen.code([row.health for row in rows], [row.source for row in rows])


def _age(row: BackendRow | ServerRow | DnsRow, seen: SeenView[TrafficView]) -> str:
    return seen.age([row.source])


def _backends(seen: SeenView[TrafficView]) -> list[str]:
    rows = [
        [
            row.health.value.upper(),
            row.balancer,
            row.backend,
            f"{row.serving}/{row.total}",
            str(row.floor),
            row.active,
            str(row.sessions),
            _age(row, seen),
            " ".join(message for message in (row.message, row.drift) if message),
        ]
        for row in seen.view.backends.values()
    ]
    head = ("VERDICT", "BALANCER", "BACKEND", "SERVING", "FLOOR", "ACTIVE", "SESSIONS", "AGE", "WHY")
    return table(head, rows, right=("SERVING", "FLOOR", "SESSIONS", "AGE"))


def _servers(seen: SeenView[TrafficView]) -> list[str]:
    rows = [
        [
            row.health.value.upper(),
            row.balancer,
            row.backend,
            row.server,
            row.release,
            row.state,
            str(row.weight),
            percent(row.share),
            rate(row.rate),
            _age(row, seen),
        ]
        for row in seen.view.servers.values()
    ]
    head = ("VERDICT", "BALANCER", "BACKEND", "SERVER", "RELEASE", "STATE", "WEIGHT", "SHARE", "RATE", "AGE")
    return table(head, rows, right=("WEIGHT", "SHARE", "RATE", "AGE"))


def _dns(seen: SeenView[TrafficView]) -> list[str]:
    rows = [
        [
            row.health.value.upper(),
            row.name,
            row.server,
            row.answers,
            row.expected,
            _age(row, seen),
            "; ".join(each for each in (row.message, row.moved) if each),
        ]
        for row in seen.view.dns.values()
    ]
    head = ("VERDICT", "RECORD", "ASKED", "ANSWERS", "EXPECTED", "AGE", "WHY")
    return ["", *table(head, rows, right=("AGE",))] if rows else []


def _change(kind: str, **args: Any) -> PlanChange:
    return PlanChange(kind, args)


@traffic.command()
@click.argument("balancer")
@click.argument("backend")
@click.argument("server")
@click.argument("weight", type=Whole(0, MOST_WEIGHT))
@estate_option
@acting_options
def weight(estate: str | None, balancer: str, backend: str, server: str, weight: int, manner: Manner) -> int:
    """Set a server's absolute weight, 0 to 256."""
    args = {"balancer": balancer, "backend": backend, "server": server, "weight": weight}
    return act(estate, _change("server.weight", **args), manner)


@traffic.command()
@click.argument("balancer")
@click.argument("backend")
@click.argument("server")
@estate_option
@acting_options
def drain(estate: str | None, balancer: str, backend: str, server: str, manner: Manner) -> int:
    """Send a server no new connections; its open connections continue."""
    return act(estate, _change("server.drain", balancer=balancer, backend=backend, server=server), manner)


@traffic.command()
@click.argument("balancer")
@click.argument("backend")
@click.argument("server")
@estate_option
@acting_options
def ready(estate: str | None, balancer: str, backend: str, server: str, manner: Manner) -> int:
    """Return a server to rotation."""
    return act(estate, _change("server.ready", balancer=balancer, backend=backend, server=server), manner)


@traffic.command()
@click.argument("balancer")
@click.argument("backend")
@click.argument("to")
@estate_option
@acting_options
def flip(estate: str | None, balancer: str, backend: str, to: str, manner: Manner) -> int:
    """Move all traffic of a backend to one of its servers (blue-green)."""
    return act(estate, _change("backend.flip", balancer=balancer, backend=backend, to=to), manner)


@traffic.command()
@click.argument("zone")
@click.argument("record")
@click.option("--a", "four", multiple=True, metavar="ADDRESS", help="An IPv4 address; once for each.")
@click.option("--aaaa", "six", multiple=True, metavar="ADDRESS", help="An IPv6 address; once for each.")
@click.option("--cname", metavar="NAME", help="The whole name that it is to be an alias of.")
@click.option("--ttl", metavar="DURATION", help="How long answers may be kept, such as 30s; by default as now.")
@click.option("--remove", type=click.Choice(("a", "aaaa")), multiple=True, help="Remove this family.")
@click.option("--empty", is_flag=True, help="The name may be left without an answer.")
@estate_option
@acting_options
def record(
    estate: str | None,
    zone: str,
    record: str,
    four: tuple[str, ...],
    six: tuple[str, ...],
    cname: str | None,
    ttl: str | None,
    remove: tuple[str, ...],
    empty: bool,
    manner: Manner,
) -> int:
    """Set the addresses of a DNS name; a family that is not given stays as it is."""
    if not (four or six or cname or remove):
        raise click.UsageError(f"say what {record} is to be: at least one of --a, --aaaa, --cname and --remove")
    given = {"a": list(four), "aaaa": list(six)}
    args: dict[str, Any] = {name: values for name, values in given.items() if values or name in remove}
    args |= {"cname": cname} if cname is not None else {}
    args |= {"ttl": ttl} if ttl is not None else {}
    args |= {"empty": True} if empty else {}
    return act(estate, _change("dns.set", zone=zone, record=record, **args), manner)


@traffic.command()
@click.argument("balancer")
@click.argument("service")
@click.argument("to")
@estate_option
@acting_options
def route(estate: str | None, balancer: str, service: str, to: str, manner: Manner) -> int:
    """Lead a service to the backend of another colour, by the map of its balancer."""
    return act(estate, _change("backend.route", balancer=balancer, service=service, to=to), manner)


def together_options(verb: F) -> F:
    """The options of a verb that makes several changes as one set."""
    options = (
        click.option(
            "--for", "lasts", type=DURATION, metavar="TIME", help="Take it back by itself after this, as 30m."
        ),
        click.option("--comment", default="", help="Why; required with --for."),
        click.option("--pace", type=DURATION, metavar="TIME", help="The time between two of its changes."),
        click.option("--keep", is_flag=True, help="When one fails keep the others and wait; else they are undone."),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


@traffic.command()
@click.argument("service")
@click.argument("to")
@click.argument("percent", type=Whole(0, 100))
@click.option("--balancer", "balancers", multiple=True, help="On this balancer only; may be repeated.")
@together_options
@estate_option
@acting_options
def share(
    estate: str | None,
    service: str,
    to: str,
    percent: int,
    balancers: tuple[str, ...],
    manner: Manner,
    **how: Any,
) -> int:
    """Give a colour of a service this share of its traffic, in percent, on all its balancers."""
    request = PlanShare(service=service, to=to, percent=percent, balancers=balancers, **_together(how))
    return act(estate, request, manner)


@traffic.command()
@click.argument("site")
@together_options
@estate_option
@acting_options
def evacuate(estate: str | None, site: str, manner: Manner, **how: Any) -> int:
    """Give the servers that stand at a site no traffic, on every balancer."""
    return act(estate, PlanEvacuate(site=site, **_together(how)), manner)


@traffic.command(name="set")
@click.argument("title")
@click.argument("changes", nargs=-1, required=True, metavar="'KIND NAME=VALUE ...' ...")
@together_options
@estate_option
@acting_options
def set_(estate: str | None, title: str, changes: tuple[str, ...], manner: Manner, **how: Any) -> int:
    """Make several changes of any kind as one set: all of them, or none."""
    written = tuple(_written(each) for each in changes)
    return act(estate, PlanSet(title=title, changes=written, **_together(how)), manner)


def _together(how: dict[str, Any]) -> dict[str, Any]:
    return {**how, "lasts": how["lasts"] or 0.0, "pace": how["pace"] or 0.0}


def _written(change: str) -> dict[str, Any]:
    """A change as a person writes it. Raises click.UsageError."""
    try:
        kind, *given = shlex.split(change)
    except ValueError as error:
        raise click.UsageError(f"{change!r}: {error}") from error
    args = dict(each.split("=", 1) for each in given if "=" in each)
    if len(args) != len(given):
        raise click.UsageError(f"{change!r}: a kind and NAME=VALUE are wanted, each name once")
    return {"kind": kind, "args": args}
