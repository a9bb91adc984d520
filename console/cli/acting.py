"""How a verb acts: preview, card, confirmation, submit, and the run followed to its end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from console.card_text import plain_card
from console.cli.following import follow_run
from console.cli.numbers import SECONDS
from console.cli.reach import ask, client_of
from console.cli.shown import complain, neutral, note, say, say_json
from console.client.engine_client import EngineClient
from console.client.engine_errors import EngineUnreachable
from state.api.approvals import ASKABLE, AskApproval
from state.api.card import Card, Confirm
from state.api.requests import PlanRequest, Submission, Typed, overriding
from state.api.wire import named
from state.errors import EffectUnknown, ExitCode, Refused

F = TypeVar("F", bound=Callable[..., Any])
ARM_MARGIN = 0.05  # seconds added to the card's arming time, for the difference between two clocks


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
    override: tuple[str, ...]
    ask_why: str = ""
    change: str = ""
    speaks_as: str = ""
    key_file: str = ""


def acting_options(verb: F) -> F:
    """The options of every acting verb; the verb gets them as one `manner`."""
    options = (
        click.option("--plan-only", is_flag=True, help="Show the consequence card and change nothing."),
        click.option("--yes-nonce", is_flag=True, help="For scripts: confirm with the card's nonce."),
        click.option("--name", default="", metavar="TARGET", help="With --yes-nonce: the target's name, for B3."),
        click.option("--loss", default="", metavar="SIZE", help="With --yes-nonce: the loss to accept, as shown."),
        click.option("--no-wait", is_flag=True, help="Return as soon as the engine has accepted."),
        click.option("--within", type=SECONDS, metavar="SECONDS", help="How long to wait for the end of the run."),
        click.option(
            "--override", multiple=True, metavar="RULE=REASON", help="A safety rule that shall not hold it up, and why."
        ),
        click.option("--ask", "ask_why", default="", metavar="REASON", help="Ask for the approval that it needs."),
        click.option("--change", default="", metavar="ID", help="With --ask: the change that it belongs to."),
        click.option("--as", "speaks_as", default="", metavar="PERSON", help="At a shared account: who you are."),
        click.option("--key", "key_file", default="", metavar="FILE", help="With --as: the SSH key to sign with."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    )

    def gathered(**options: Any) -> int:
        fields = {name: options.pop(name) for name in Manner.__dataclass_fields__}
        return int(verb(manner=Manner(**fields), **options))

    gathered.__name__, gathered.__doc__ = verb.__name__, verb.__doc__
    gathered.__click_params__ = getattr(verb, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def act(estate: str | None, request: PlanRequest, manner: Manner) -> int:
    """Preview, confirm, submit and follow one request; returns the exit code of its run."""
    if manner.override:
        request = overriding(request, overrides_of(manner.override))
    client = client_of(estate, quiet=manner.as_json, acting=True)
    return ask(_act(client, request, manner))


def overrides_of(given: tuple[str, ...]) -> dict[str, str]:
    """The reason for each safety rule that is overridden. Raises click.UsageError."""
    found: dict[str, str] = {}
    for each in given:
        name, sign, reason = each.partition("=")
        if not sign or not name or not reason.strip():
            raise click.UsageError(f"--override {each!r}: RULE=REASON is wanted")
        found[name] = reason
    return found


async def _act(client: EngineClient, request: PlanRequest, manner: Manner) -> int:
    card, keys = await _previewed(client, request, manner)
    opened = time.monotonic()
    if manner.plan_only and manner.as_json:
        say_json(named(card))
    elif not manner.as_json:
        for line in plain_card(card):
            (say if manner.plan_only else note)(line)
    if manner.ask_why and any(refusal.rule == ASKABLE for refusal in card.refusals):
        return await _ask_approval(client, card, manner)
    require_confirmable(card)
    if manner.plan_only:
        return ExitCode.DONE
    typed = scripted(card, manner) if manner.yes_nonce else await asyncio.to_thread(asked, card)
    await asyncio.sleep(max(0.0, opened + card.confirmation.arm + ARM_MARGIN - time.monotonic()))
    signature = await _signature(client, card, keys, manner)
    accepted = await client.submit(Submission(card.plan, card.fingerprint, typed, manner.speaks_as, signature))
    note(f"{accepted.run}: {accepted.message}")
    if manner.no_wait:
        if manner.as_json:
            say_json(named(accepted))
        else:
            say(accepted.run)
        return ExitCode.DONE
    try:
        return await follow_run(client, accepted.run, within=manner.within, as_json=manner.as_json)
    except EngineUnreachable as gone:  # it was accepted: whether it happened, only the target tells
        raise EffectUnknown(f"{accepted.run} was accepted, then the engine was lost: {gone}") from gone


async def _previewed(client: EngineClient, request: PlanRequest, manner: Manner) -> tuple[Card, tuple[str, ...]]:
    """The card; at a shared account with the keys of the person who speaks."""
    if manner.speaks_as:
        return await client.preview_as(request, manner.speaks_as)
    return await client.preview(request), ()


async def _signature(client: EngineClient, card: Card, keys: tuple[str, ...], manner: Manner) -> str:
    """What a person at a shared account signs, by this process; empty elsewhere. Raises Refused."""
    if not manner.speaks_as:
        return ""
    from console.client.signing import sign
    from state.api.approvals import CONFIRMING
    from state.policy.statement import confirmation

    hello = await client.hello()
    text = confirmation(
        estate=hello.estate, environment=hello.environment, plan=card.plan, fingerprint=card.fingerprint,
        title=card.title, person=manner.speaks_as,
    )  # fmt: skip
    ask_for = sys.stdin.isatty()
    return await asyncio.to_thread(sign, text, keys, key_file=manner.key_file, ask=ask_for, namespace=CONFIRMING)


async def _ask_approval(client: EngineClient, card: Card, manner: Manner) -> int:
    """Ask for what is missing; the same verb again carries the plan out once it is approved."""
    asked = await client.ask_approval(AskApproval(card.plan, card.fingerprint, manner.ask_why, manner.change))
    if manner.as_json:
        say_json(named(asked))
    else:
        say(asked.message)
        note(f"once it is approved, the same verb without --ask carries it out; recovery approvals show {asked.run}")
    return ExitCode.NEEDS_PERSON


def require_confirmable(card: Card) -> None:
    """Raise the first refusal of a card, after naming the others."""
    for refusal in card.refusals[1:]:
        complain(f"{Refused.title}: {neutral(str(refusal))}")
    if card.refusals:
        raise Refused.because(card.refusals[0])


def scripted(card: Card, manner: Manner) -> Typed:
    """A script's confirmation. What a person types besides the nonce, a script gives as options.

    Raises Refused when one is missing.
    """
    wanted = card.confirmation
    if wanted.how is Confirm.NONCE_AND_NAME and manner.name != wanted.name:
        raise Refused(
            "name", f"a {card.risk} change of {wanted.name} needs the target's name", f"Add --name {wanted.name}"
        )
    if wanted.loss and manner.loss != wanted.loss:
        raise Refused("loss", f"up to {wanted.loss} of data may be lost", f"Accept it with --loss '{wanted.loss}'")
    return wanted.typed


def asked(card: Card) -> Typed:
    """A person's confirmation, typed on the terminal exactly as the card asks. Raises Refused without one."""
    if not sys.stdin.isatty():
        raise Refused(
            "confirmation", "stdin is not a terminal", "Use --yes-nonce to confirm, or --plan-only to change nothing"
        )
    asks = card.confirmation
    wanted = "y" if asks.how is Confirm.YES else asks.nonce
    nonce, name, loss = _typed(f"type {wanted} to confirm, anything else to cancel", wanted), "", ""
    if asks.how is Confirm.NONCE_AND_NAME:
        name = _typed(f"type the target's name, {asks.name}", asks.name)
    if asks.loss:
        loss = _typed(f"type the loss you accept, {asks.loss}", asks.loss)
    return Typed(nonce, name, loss)


def _typed(question: str, wanted: str) -> str:
    typed = str(click.prompt(question, default="", show_default=False, err=True)).strip()
    if typed.casefold() != wanted.casefold():
        raise Refused("confirmation", "cancelled, nothing was sent", "")
    return typed
