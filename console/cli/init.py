"""`recovery init`: from what already runs to an estate. It reads addresses and writes new files, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.cli.init_asking import InitManner, answers_of, nothing_found, tell_found
from console.cli.numbers import SECONDS
from console.cli.reach import host_option, json_option, run_there
from console.cli.shown import note, say, say_json
from console.cli.trusted import remember
from state.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from console.cli.init_work import Discovered

ESTATE_FILE = "recovery.yaml"


@click.command()
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("-o", "--output", default=".", metavar="DIR", help="Where recovery.yaml and runbooks/ are written.")
@click.option("--name", default="", metavar="NAME", help="The estate's name; else that of DIR, else of this host.")
@click.option("--ca", default="", metavar="FILE", help="Certificates to trust; the estate will name this file.")
@click.option("--answer", "answers", multiple=True, metavar="KEY=VALUE", help="Answer a question beforehand.")
@click.option("--yes", is_flag=True, help="Take every proposal; each is marked `proposed, confirm`.")
@click.option("--update", is_flag=True, help="Add what is new to the estate that is there; see the difference first.")
@click.option("--plan-only", is_flag=True, help="Print the estate, write nothing.")
@click.option("--within", type=SECONDS, default=5.0, metavar="SECONDS", help="How long one question may take.")
@json_option
@host_option
@click.option("--events", is_flag=True, help="Progress as JSON, one object a line.")
def init(addresses: tuple[str, ...], output: str, name: str, ca: str, within: float, **options: Any) -> int:
    """Write an estate from what runs: ask ADDRESS and propose every entry, each with its reason.

    \b
    ADDRESS is one of
      https://HOST:8008           a member of a Patroni cluster
      /run/haproxy/admin.sock     HAProxy's runtime API, or HOST:PORT
      /etc/haproxy/haproxy.cfg    its configuration, where the socket cannot be asked
      http://HOST:9090            Prometheus
      http://HOST:9093            Alertmanager
      dns://SERVER/ZONE           a zone

    Without ADDRESS the usual places of this host are looked at. Nothing is sent that could act, and no credential.
    With --update the addresses of the estate that is there are asked again. What is new is added, with comments and
    order kept; expectations and names stay as they are. Exit code 3 when an address gave nothing.
    """
    if (code := run_there()) is not None:
        return code
    from adapters.discovery.looking import Looking
    from console.cli.init_work import estate_name, look
    from console.cli.installation import installation
    from state.discovery.names import valid

    installation().require_own()
    given = _pairs(options.pop("answers"))
    manner = InitManner(**options)
    file = Path(output).expanduser() / ESTATE_FILE
    named = name or estate_name(output)
    if not valid(named):
        raise click.BadParameter("letters, digits, dot, dash and underscore, at most 63", param_hint="--name")
    if file.exists() and not (manner.plan_only or manner.update):
        raise click.UsageError(f"{file} is there already: --update, or -o DIR for another folder")
    if manner.update and not file.is_file():
        raise click.UsageError(f"{file} is not there: without --update it is written")
    if ca and not Path(ca).is_absolute():
        ca = str(Path(ca).absolute())
    if ca and not Path(ca).is_file():
        raise click.BadParameter(f"{ca} is no file", param_hint="--ca")
    looking = Looking(within, ca, Path(), manner.step)
    if manner.update:
        from console.cli.init_update import update

        return update(file, addresses, looking, given, manner)
    found = asyncio.run(look(addresses, looking))
    tell_found(found, manner)
    if found.empty:
        return nothing_found(found, file, manner)
    return _write(found, file, named, given, manner)


def _pairs(answers: tuple[str, ...]) -> dict[str, str]:
    pairs = [answer.partition("=") for answer in answers]
    for key, sign, _ in pairs:
        if not sign:
            raise click.BadParameter(f"{key!r} is not KEY=VALUE", param_hint="--answer")
    return {key: value for key, _, value in pairs}


def _write(found: Discovered, file: Path, name: str, given: dict[str, str], manner: InitManner) -> int:
    from console.cli.init_told import document, report_lines
    from console.cli.init_work import draft, write

    answers, asked = answers_of(found, name, given, manner)
    drafted = draft(found, answers, name, time.time())
    if not manner.plan_only and not write(drafted, file):
        raise click.UsageError(f"{file} was written by somebody else meanwhile: nothing was changed")
    written = not manner.plan_only
    if written:
        _prove(file)
        with contextlib.suppress(ConfigError):  # an account without a home is asked when it uses the file
            remember(file)
    told = document(found, drafted, file, asked, written=written)
    if manner.events:
        manner.event("done", **told)
    elif manner.as_json:
        say_json(told)
    else:
        if manner.plan_only:
            say(drafted.text)
        for line in report_lines(drafted, file, written=written):
            (note if manner.plan_only else say)(line)
    return ExitCode.UNKNOWN if found.silent else ExitCode.DONE


def _prove(file: Path) -> None:
    """Read what was written as every verb will. Raises ConfigError, also for a folder that everybody may write."""
    from console.engine.loading import checked

    if problems := checked(file).problems:
        raise ConfigError(problems)
