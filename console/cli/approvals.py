"""`recovery approve` and `recovery approvals`: what waits for a second person, and the signature."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from console.card_text import plain_card
from console.cli.groups import Listing
from console.cli.look import SeenView, gather, heading
from console.cli.reach import ask, client_of, estate_option, json_option
from console.cli.shown import NOTHING, note, say, say_json, table
from console.client.engine_client import EngineClient
from state.api.approvals import (
    NAMESPACE,
    ApprovalCard,
    ApprovalVerb,
    Approve,
    Deny,
    GoAlone,
    HaltAlone,
    ReviewAlone,
    Withdraw,
)
from state.api.messages import Accepted
from state.api.views.approvals import ACTIVE, ApprovalRow, ApprovalState, ApprovalsView
from state.api.wire import named
from state.errors import ExitCode, NotFound, Refused
from state.host.regular import bounded
from state.units import clock, utc_date

HEAD = ("REQUEST", "STATE", "LEFT", "RISK", "BY", "DOES", "HAS", "WAITS FOR", "REASON")
MOST = 64 * 1024
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
CODES = {ApprovalState.APPROVED: ExitCode.DONE, ApprovalState.USED: ExitCode.DONE, ApprovalState.ALONE: ExitCode.DONE,
         ApprovalState.OPEN: ExitCode.NEEDS_PERSON, ApprovalState.COUNTING: ExitCode.NEEDS_PERSON}  # fmt: skip
"""What `show` ends with; of what is over without having been used: refused."""


@click.command()
@click.argument("request", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Write what is to be signed, for another host.")
@click.option("--signature", type=click.Path(path_type=Path), help="Hand in a signature that was made elsewhere.")
@click.option("--by", default="", metavar="PERSON", help="With --file and --signature: who signs.")
@click.option("--key", "key_file", default="", metavar="FILE", help="The key to sign with, where it is not found.")
@click.option("--yes", is_flag=True, help="Sign without a question.")
@click.option("--deny", default="", metavar="REASON", help="Refuse it instead.")
@estate_option
@json_option
def approve(
    estate: str | None,
    as_json: bool,
    request: str | None,
    file: Path | None,
    signature: Path | None,
    by: str,
    key_file: str,
    yes: bool,
    deny: str,
) -> int:
    """Show a plan that waits for an approval, made anew from its targets, and sign it with your own SSH key.

    Without REQUEST the only one that waits for you. Signing is done here, by ssh-keygen; the engine only verifies.
    """
    client = client_of(estate, quiet=as_json, acting=True)
    name = request or ask(_only(client))
    if deny:
        return _told(ask(client.approval(name, Deny(deny))), as_json)
    if signature is not None:
        made = bounded_text(signature)
        return _told(ask(client.approval(name, Approve(made, by))), as_json)
    shown = ask(client.approval_card(name, by))
    if not as_json:
        for line in [*plain_card(shown.card), "", *shown.statement.splitlines()]:
            say(line)
    if file is not None:
        file.write_text(shown.statement)
        say_json({"file": str(file), "sign": _command(file)}) if as_json else say(_how(file, name, shown.approver))
        return ExitCode.DONE
    if not yes:
        _confirmed(shown)
    from console.client.signing import sign

    note("signing with your key: touch it if it asks for that")
    made = sign(shown.statement, shown.keys, key_file=key_file, ask=sys.stdin.isatty())
    return _told(ask(client.approval(name, Approve(made))), as_json)


def bounded_text(path: Path) -> str:
    """A signature from a file, or from stdin for `-`, also as Windows rewrites it. Raises Refused."""
    if str(path) == "-":
        return sys.stdin.read(MOST)
    try:
        raw = bounded(path, MOST)
        return raw.decode("utf-16" if raw.startswith(UTF_16) else "utf-8-sig", "replace")
    except OSError as error:
        raise Refused("signature", f"{path} cannot be read: {error.strerror}", "Name the .sig file") from error


def _command(file: Path) -> str:
    return f"ssh-keygen -Y sign -n {NAMESPACE} -f KEY {file}"


def _how(file: Path, name: str, who: str) -> str:
    return (
        f"{file}: written. {who} signs it, on any host: {_command(file)}\n"
        f"then here: recovery approve {name} --by {who} --signature {file}.sig"
    )


def _confirmed(shown: ApprovalCard) -> None:
    if not sys.stdin.isatty():
        raise Refused("confirmation", "stdin is not a terminal", "Use --yes to sign, or --file to sign elsewhere")
    typed = str(click.prompt(f"type {shown.request} to sign", default="", show_default=False, err=True)).strip()
    if typed.casefold() != shown.request.casefold():
        raise Refused("confirmation", "cancelled, nothing was signed", "")


async def _only(client: EngineClient) -> str:
    """The one request that waits for the caller."""
    view, hello = await client.view("approvals"), await client.hello()
    waiting = [row.id for row in view.requests.values() if hello.person in row.may]
    if len(waiting) != 1:
        names = ", ".join(waiting) or "none"
        raise NotFound(f"requests that wait for {hello.person or 'you'}: {names}; name one, or recovery approvals list")
    return str(waiting[0])


def _told(accepted: Accepted, as_json: bool) -> int:
    if as_json:
        say_json(named(accepted))
    else:
        say(accepted.message)
    return ExitCode.DONE


@click.group(cls=Listing)
def approvals() -> None:
    """Requests for approval: list, show, withdraw, alone, halt, review."""


def _seen(estate: str | None, *, quiet: bool) -> SeenView[ApprovalsView]:
    seen: SeenView[ApprovalsView] = ask(gather(client_of(estate, quiet=quiet), "approvals"))
    return seen


@approvals.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@estate_option
@json_option
def list_(estate: str | None = None, as_json: bool = False, everything: bool = False) -> int:
    """What waits for an approval, and for whom; and what was done alone and is to be reviewed."""
    seen = _seen(estate, quiet=as_json)
    if as_json:
        say_json(seen.as_json())
        return ExitCode.DONE
    for line in heading(seen):
        say(line)
    rows = [row for row in seen.view.requests.values() if everything or row.state in ACTIVE or row.review_due_at]
    if not rows:
        say("nothing waits for an approval; --all lists what is over")
        return ExitCode.DONE
    for line in ["", *table(HEAD, [_cells(row, seen.hello.mono) for row in rows])]:
        say(line)
    return ExitCode.DONE


def _cells(row: ApprovalRow, mono: float) -> list[str]:
    left = NOTHING if row.until_mono is None else clock(row.until_mono - mono)
    has = f"{len(row.given)}/{row.needed} {', '.join(row.given)}".strip()
    waits = ", ".join(f"{who}{'' if who in row.told else ' (away)'}" for who in row.may) or NOTHING
    if row.review_due_at is not None:
        waits = f"review by {utc_date(row.review_due_at)}"
    return [row.id, row.state.value, left, row.risk, row.requester, row.title, has, waits, row.alone_by or row.reason]


@approvals.command()
@click.argument("request")
@estate_option
@json_option
def show(estate: str | None, as_json: bool, request: str) -> int:
    """One request. Exit code 0 approved or used, 7 while it waits, 4 when it is over without having been used."""
    seen = _seen(estate, quiet=as_json)
    row = seen.view.requests.get(request)
    if row is None:
        raise NotFound(f"no request {request}; recovery approvals list --all has those that are known")
    if as_json:
        say_json(named(row))
    else:
        for line in shown_lines(row, seen.hello.mono):
            say(line)
    return CODES.get(row.state, ExitCode.REFUSED)


def shown_lines(row: ApprovalRow, mono: float) -> list[str]:
    """One request as labelled lines."""
    left = "" if row.until_mono is None else f", {clock(row.until_mono - mono)} left"
    facts = [
        ("state", f"{row.state.value}{left}"),
        ("asked by", f"{row.requester} at {utc_date(row.asked_at)}"),
        ("reason", row.reason),
        ("change", row.change),
        ("rule", f"{row.rule} ({row.risk})"),
        ("approved by", f"{', '.join(row.given) or 'nobody'} of {row.needed}"),
        ("can approve", ", ".join(row.may)),
        ("said", row.message),
        ("run", row.run),
        ("review", row.review or ("" if row.review_due_at is None else f"due {utc_date(row.review_due_at)}")),
        ("look at", row.flagged),
        ("plan", row.plan),
    ]
    return [f"{row.id}   {row.title}", *(f"  {name}: {value}" for name, value in facts if value)]


def _act(estate: str | None, request: str, verb: ApprovalVerb, as_json: bool) -> int:
    return _told(ask(client_of(estate, quiet=as_json, acting=True).approval(request, verb)), as_json)


@approvals.command()
@click.argument("request")
@estate_option
@json_option
def withdraw(estate: str | None, as_json: bool, request: str) -> int:
    """Take your own request back."""
    return _act(estate, request, Withdraw(), as_json)


@approvals.command()
@click.argument("request")
@click.option("--reason", required=True, help="Why nobody else can be asked, in 20 characters or more.")
@estate_option
@json_option
def alone(estate: str | None, as_json: bool, request: str, reason: str) -> int:
    """Go on without the missing approvals, 60 s after everybody was told. It must be reviewed within 24 h."""
    return _act(estate, request, GoAlone(reason), as_json)


@approvals.command()
@click.argument("request")
@estate_option
@json_option
def halt(estate: str | None, as_json: bool, request: str) -> int:
    """Stop somebody who goes on alone."""
    return _act(estate, request, HaltAlone(), as_json)


@approvals.command()
@click.argument("request")
@click.option("--note", required=True, help="What the review found.")
@estate_option
@json_option
def review(estate: str | None, as_json: bool, request: str, note: str) -> int:
    """Say that you have looked at what somebody else did alone."""
    return _act(estate, request, ReviewAlone(note), as_json)
