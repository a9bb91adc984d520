"""How a verb acts: preview, card, confirmation, submit, and the run followed to its end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from console.cli.following import follow_run
from console.cli.reach import ask, client_of
from console.cli.shown import note, say, say_json
from console.client.engine_client import EngineClient
from state.api.card import Card, Confirm
from state.api.requests import PlanRequest, Submission, Typed
from state.api.wire import named
from state.errors import ExitCode, Refused
from state.health import Health

F = TypeVar("F", bound=Callable[..., Any])
MARKS = {Health.PASS: "ok", Health.WARN: "WARN", Health.FAIL: "FAIL", Health.UNKNOWN: "UNKNOWN"}
ARM_MARGIN = 0.05  # seconds past the card's arming, for the difference between two clocks


@dataclass(frozen=True, slots=True)
class Manner:
    """How an acting verb was called."""

    plan_only: bool
    yes_nonce: bool
    name: str
    loss: str
    no_wait: bool
    within: float | None
    as_json: bool


def acting_options(verb: F) -> F:
    """The options every acting verb has; they arrive as one `manner`."""
    options = (
        click.option("--plan-only", is_flag=True, help="Show the consequence card and change nothing."),
        click.option("--yes-nonce", is_flag=True, help="For scripts: confirm with the card's own nonce."),
        click.option("--name", default="", metavar="TARGET", help="With --yes-nonce: the target's name, for B3."),
        click.option("--loss", default="", metavar="SIZE", help="With --yes-nonce: the loss to accept, as shown."),
        click.option("--no-wait", is_flag=True, help="Return as soon as the engine has accepted."),
        click.option("--within", type=float, metavar="SECONDS", help="How long to wait for the end of the run."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    )

    def gathered(**given: Any) -> int:
        fields = {name: given.pop(name) for name in Manner.__dataclass_fields__}
        return int(verb(manner=Manner(**fields), **given))

    gathered.__name__, gathered.__doc__ = verb.__name__, verb.__doc__
    gathered.__click_params__ = getattr(verb, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def act(estate: str | None, request: PlanRequest, manner: Manner) -> int:
    """The whole way of one request, to the exit code of its run."""
    client = client_of(estate, quiet=manner.as_json, acting=True)
    return ask(_act(client, request, manner))


async def _act(client: EngineClient, request: PlanRequest, manner: Manner) -> int:
    card = await client.preview(request)
    opened = time.monotonic()
    if manner.plan_only and manner.as_json:
        say_json(named(card))
    elif not manner.as_json:
        for line in card_lines(card):
            (say if manner.plan_only else note)(line)
    if card.refusals:
        raise Refused("preconditions", "; ".join(card.refusals), "Nothing was sent")
    if manner.plan_only:
        return ExitCode.DONE
    typed = scripted(card, manner) if manner.yes_nonce else await asyncio.to_thread(asked, card)
    await asyncio.sleep(max(0.0, opened + card.arm + ARM_MARGIN - time.monotonic()))
    accepted = await client.submit(Submission(card.plan, card.fingerprint, typed))
    note(f"{accepted.run}: {accepted.message}")
    if manner.no_wait:
        if manner.as_json:
            say_json(named(accepted))
        return ExitCode.DONE
    return await follow_run(client, accepted.run, within=manner.within, as_json=manner.as_json)


def card_lines(card: Card) -> list[str]:
    """The consequence card for a plain terminal."""
    lines = [f"{card.title}   risk {card.risk}"]
    width = max((len(fact.label) for fact in card.facts), default=0)
    for fact in card.facts:
        mark = f"   [{MARKS[fact.health]}]" if fact.health else ""
        lines.append(f"  {fact.label:<{width}}  {fact.message}{mark}")
    lines += [f"  change   {change}" for change in card.changes]
    lines += [f"  warning  {warning}" for warning in card.warnings]
    lines += [f"  REFUSED  {refusal}" for refusal in card.refusals]
    return lines


def scripted(card: Card, manner: Manner) -> Typed:
    """A script's confirmation. What a person would have to type beyond the nonce, a script has to state.

    Raises Refused when it did not.
    """
    if card.confirm is Confirm.NONCE_AND_NAME and manner.name != card.name:
        raise Refused("name", f"a {card.risk} change of {card.name} needs its name", f"Add --name {card.name}")
    if card.loss_to_type and manner.loss != card.loss_to_type:
        raise Refused(
            "loss", f"up to {card.loss_to_type} of data may be lost", f"Accept it with --loss '{card.loss_to_type}'"
        )
    return Typed(card.nonce, card.name, card.loss_to_type)


def asked(card: Card) -> Typed:
    """A person's confirmation, typed on the terminal exactly as the card asks. Raises Refused without one."""
    if not sys.stdin.isatty():
        raise Refused("confirmation", "there is no terminal to confirm on", "Use --yes-nonce, or --plan-only to look")
    wanted = "y" if card.confirm is Confirm.YES else card.nonce
    nonce, name, loss = _typed(f"type {wanted} to confirm, anything else to cancel", wanted), "", ""
    if card.confirm is Confirm.NONCE_AND_NAME:
        name = _typed(f"type the target's name, {card.name}", card.name)
    if card.loss_to_type:
        loss = _typed(f"type the loss you accept, {card.loss_to_type}", card.loss_to_type)
    return Typed(nonce, name, loss)


def _typed(question: str, wanted: str) -> str:
    given = str(click.prompt(question, default="", show_default=False, err=True)).strip()
    if given.casefold() != wanted.casefold():
        raise Refused("confirmation", "cancelled, nothing was sent", "")
    return given
