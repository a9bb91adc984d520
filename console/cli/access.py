"""`recovery access`: time-limited access to databases and hosts: asked for, taken, extended, ended, proven."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from console.access_text import (
    OVER,
    doing_words,
    extend_plan,
    grant_plan,
    is_bad,
    left_words,
    login_words,
    new_grant_id,
    others_words,
)
from console.cli.acting import Manner, act, acting_options
from console.cli.groups import Listing
from console.cli.look import SeenView, gather, heading
from console.cli.numbers import DURATION, SECONDS
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import neutral, note, say, say_json, table
from console.client.engine_client import EngineClient
from console.client.login_keys import command_of, keep_certificate, login_key
from state.api.views.access import AccessView, GrantRow, GrantState
from state.api.wire import named
from state.config_files.suggestions import not_found
from state.errors import EffectUnknown, ExitCode, Refused
from state.granting.model import Bundle
from state.granting.scram import new_secret, verifier

HEAD = ("STATE", "GRANT", "DATABASE", "PERSON", "BUNDLE", "TICKET", "LEFT", "NOW")
APPEARS = 15.0
"""Seconds until a grant that was made is read at its target."""


@click.group(cls=Listing)
def access() -> None:
    """Access to databases and hosts that ends by itself; without a verb: list."""


@access.command(name="list")
@estate_option
@json_option
def list_(estate: str | None = None, as_json: bool = False) -> int:
    """Grants as their targets tell of them, and other accounts with raised rights.

    Exit code 1 when a grant should be over and is not proven to be, 3 when a target is not read.
    """
    seen: SeenView[AccessView] = ask(gather(client_of(estate, quiet=as_json), "access"))
    view, mono = seen.view, seen.hello.mono
    if as_json:
        say_json(seen.as_json())
    else:
        rows = [_cells(row, mono) for row in view.grants.values()]
        for line in [*heading(seen), "", *table(HEAD, rows), "", *others_words(view.others.values())]:
            say(neutral(line))
        for target in view.targets.values():
            if target.error:
                say(neutral(f"{target.database} is not read: {target.error}"))
    if any(is_bad(row, mono) for row in view.grants.values()):
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if any(each.error for each in view.targets.values()) else ExitCode.DONE


def _cells(row: GrantRow, mono: float) -> list[str]:
    told = (row.state.value, row.id, row.database, row.person, row.bundle, row.ticket)
    return [*told, left_words(row, mono), doing_words(row, mono)]


@access.command()
@click.argument("place")
@click.argument("bundle")
@click.option("--reason", required=True, help="Why, for the record: 10 characters or more.")
@click.option("--ticket", required=True, help="The incident or change that it is for.")
@click.option("--for", "lasts", type=DURATION, default="30m", metavar="TIME", help="How long; 30m, at most 4h.")
@click.option("--secret-file", type=click.Path(path_type=Path), help="Write the secret to a new file (mode 0600).")
@click.option("--login-key", "key", metavar="FILE", help="At a host: your public key, or a new file.")
@click.option("--secret-fd", type=click.IntRange(1), help="Write the secret to this open file descriptor.")
@estate_option
@acting_options
def request(
    place: str,
    bundle: str,
    reason: str,
    ticket: str,
    lasts: float,
    secret_file: Path | None,
    key: str | None,
    secret_fd: int | None,
    estate: str | None,
    manner: Manner,
) -> int:
    """Ask for a BUNDLE of rights at PLACE, a database or host:NAME, confirm the card, and take the secret.

    The secret is made by this process, shown once, and sent to nobody: the server gets what it can prove it with. At a
    host it is a private key; the certificate is put beside it.
    """
    host = place.removeprefix("host:") if place.startswith("host:") else ""
    _require_place(host, bundle, key, secret_file, secret_fd, plan_only=manner.plan_only)
    grant = new_grant_id()
    client = client_of(estate, quiet=manner.as_json, acting=True)
    person = ask(client.hello()).person
    args = {"grant": grant, "person": person, "bundle": bundle, "seconds": round(lasts)}
    asked = grant_plan(f"host {host}" if host else place, {**args, "ticket": ticket, "reason": reason})
    code = act(estate, asked, replace(manner, no_wait=False))
    if code != ExitCode.DONE or manner.plan_only:
        return code
    if host:
        assert key is not None, "it was looked at before"
        return ask(_certified(client, grant, key, as_json=manner.as_json))
    return ask(_taken(client, grant, secret_file, secret_fd, as_json=manner.as_json))


def _require_place(
    host: str, bundle: str, key: str | None, file: Path | None, fd: int | None, *, plan_only: bool
) -> None:
    """Raise Refused where the secret would have no place, BadParameter for rights that no database has."""
    if host:
        if file is not None or fd is not None or (key is None and not plan_only):
            way_out = "Add --login-key FILE, and nothing else"
            raise Refused("secret-place", "at a host the secret is a private key", way_out)
        return
    if fd is not None and not _is_open(fd):
        raise Refused("secret-place", f"descriptor {fd} is not open", f"Open it: {fd}>FILE, or --secret-file FILE")
    known = [each.value for each in Bundle]
    if bundle not in known:
        raise click.BadParameter(f"{bundle!r} is not one of {', '.join(known)}.", param_hint="BUNDLE")
    if not plan_only and file is None and fd is None and not sys.stdout.isatty():
        fact = "stdout is not a terminal, where the secret would be shown once"
        raise Refused("secret-place", fact, "Add --secret-file FILE or --secret-fd N")


def _is_open(fd: int) -> bool:
    try:
        return os.fstat(fd) is not None
    except OSError:
        return False


async def _certified(client: EngineClient, grant: str, told: str, *, as_json: bool) -> int:
    """Hand in a public key, and put the certificate beside it."""
    row = await _row_of(client, grant, APPEARS)
    key = login_key(told, grant)
    accepted = await client.claim_grant(grant, key.public)
    keep_certificate(key, accepted.certificate)
    if as_json:
        say_json({"grant": grant, "role": row.role, "key": str(key.file), "certificate": str(key.certificate)})
    else:
        say(neutral(f"{grant}: {command_of(key, row.role, row.address)}"))
        say(neutral(f"The private key is in {key.file}, and nowhere else. Ended by: recovery access end {grant}"))
    return ExitCode.DONE


async def _taken(client: EngineClient, grant: str, file: Path | None, fd: int | None, *, as_json: bool) -> int:
    """Make a secret, have the login opened with its verifier, and hand it over once."""
    row = await _row_of(client, grant, APPEARS)
    secret = new_secret()
    if file is not None:  # before it is any good: a file that cannot be written must not cost the grant
        _write_new(file, secret)
    role = (await client.claim_grant(grant, verifier(secret))).message
    if fd is not None:
        os.write(fd, f"{secret}\n".encode())
    where = f"in {file}" if file is not None else "on the file descriptor" if fd is not None else "below, once"
    if as_json:
        say_json({"grant": grant, "role": role, "address": row.address, "secret": where})
    else:
        say(neutral(f"{grant}: {login_words(row)}"))
        say(neutral(f"The secret is {where}. Ended by: recovery access end {grant}"))
    if file is None and fd is None:
        sys.stdout.write(f"{secret}\n")
        sys.stdout.flush()
    return ExitCode.DONE


def _write_new(file: Path, secret: str) -> None:
    """Raises Refused when it is there."""
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused("secret-place", f"{file} is there already", "Name a new file") from None
    with os.fdopen(made, "w") as out:
        out.write(f"{secret}\n")


async def _row_of(client: EngineClient, grant: str, within: float) -> GrantRow:
    """The grant as soon as it was read at its target. Raises EffectUnknown."""
    try:
        async with asyncio.timeout(within):
            while True:
                view: AccessView = await client.view("access")
                if grant in view.grants:
                    return view.grants[grant]
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise EffectUnknown(f"{grant} was made and is not read at its target yet; recovery access list") from None


@access.command()
@click.argument("grant")
@click.option("--by", "seconds", type=DURATION, default="30m", metavar="TIME", help="How much later it ends; 30m.")
@click.option("--reason", required=True, help="Why, for the record.")
@estate_option
@acting_options
def extend(grant: str, seconds: float, reason: str, estate: str | None, manner: Manner) -> int:
    """Let GRANT end later; decided anew, as if it were asked for."""
    view: AccessView = ask(client_of(estate, quiet=manner.as_json).view("access"))
    row = _known(view, grant)
    return act(estate, extend_plan(row, round(seconds), reason), manner)


@access.command()
@click.argument("grant")
@estate_option
@json_option
def certificate(grant: str, estate: str | None, as_json: bool) -> int:
    """The certificate of GRANT at a host, up to its end as it is now: for your key, and of no use without it. Exit code
    3 where there is none."""
    view: AccessView = ask(client_of(estate, quiet=as_json).view("access"))
    row = _known(view, grant)
    if as_json:
        say_json({"grant": grant, "role": row.role, "address": row.address, "certificate": row.certificate})
    elif row.certificate:
        say(neutral(row.certificate))
    else:
        note(f"{grant} has no certificate: it is {row.state.value} at {row.database}")
    return ExitCode.DONE if row.certificate else ExitCode.UNKNOWN


@access.command()
@click.argument("grant")
@click.option("--within", type=SECONDS, default="60", metavar="SECONDS", help="How long to wait for the proof; 60.")
@estate_option
@json_option
def end(grant: str, within: float, estate: str | None, as_json: bool) -> int:
    """End GRANT now, and wait until that is proven. Exit code 5 when it is not proven in time: it is tried further."""
    return ask(_ended(client_of(estate, quiet=as_json, acting=True), grant, within, as_json=as_json))


async def _ended(client: EngineClient, grant: str, within: float, *, as_json: bool) -> int:
    note((await client.end_grant(grant)).message)
    row: GrantRow | None = None
    try:
        async with asyncio.timeout(within):
            while row is None or row.state not in OVER:
                row = _known(await client.view("access"), grant)
                await asyncio.sleep(0.2)
    except TimeoutError:
        against = f": {row.obstacle}. {row.way_out}" if row is not None and row.obstacle else ""
        raise EffectUnknown(f"{grant} is not proven to be over{against}") from None
    _tell_proof(row, as_json=as_json)
    return ExitCode.DONE


@access.command()
@click.argument("grant")
@click.option("--reason", required=True, help="Why what it left may stay: 10 characters or more.")
@estate_option
@json_option
def accept(grant: str, reason: str, estate: str | None, as_json: bool) -> int:
    """Take what GRANT left at its database as it is: by another person than its holder, and recorded."""
    client = client_of(estate, quiet=as_json, acting=True)
    row = _known(ask(client.view("access")), grant)
    accepted = ask(client.accept_residue(grant, reason, row.residue))
    if as_json:
        say_json({"grant": grant, "accepted": accepted.message, "left": list(row.residue)})
        return ExitCode.DONE
    say(neutral(accepted.message))
    _tell_residue(row)
    return ExitCode.DONE


@access.command()
@click.argument("grant")
@estate_option
@json_option
def proof(grant: str, estate: str | None, as_json: bool) -> int:
    """What was read when GRANT was over. Exit code 3 while it is not."""
    view: AccessView = ask(client_of(estate, quiet=as_json).view("access"))
    row = _known(view, grant)
    _tell_proof(row, as_json=as_json)
    return ExitCode.DONE if row.state is GrantState.ENDED else ExitCode.UNKNOWN


def _known(view: AccessView, grant: str) -> GrantRow:
    if grant not in view.grants:
        raise not_found("grant", grant, view.grants)
    return view.grants[grant]


def _tell_proof(row: GrantRow, *, as_json: bool) -> None:
    if as_json:
        say_json(named(row))
        return
    say(neutral(row.proof or f"{row.id} is {row.state.value}: {row.obstacle or 'it is not over'}"))
    _tell_residue(row)
    for each in row.left:
        say(neutral(f"  left: {each}"))


def _tell_residue(row: GrantRow) -> None:
    for each in row.residue:
        say(neutral(f"  not as before: {each}"))
