"""Keys of the access screen."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from console.access_text import OVER, extend_plan, grant_plan, login_words, new_grant_id, sessions_counted
from console.client.login_keys import command_of, keep_certificate, login_key
from console.tui.actions.base import Action, ActionContext, Effect, FormValues, Navigation
from state.api.messages import Accepted
from state.api.views.access import AccessView, GrantCredential, GrantRow, GrantState
from state.api.views.runbooks import Param
from state.granting.scram import new_secret, verifier

NOWHERE = "nothing in the estate allows it: databases.NAME.access, hosts.NAME.access"
BUNDLES = ("read-all", "monitor", "terminate", "config-reload", "schema-fix", "superuser")
LIVE = (GrantState.ARMED, GrantState.OPEN, GrantState.EXPIRING)


class AskForAccess(Effect):
    """Propose access to a database or a host for yourself: which rights, how long, why and for which ticket."""

    key, title, screens = "n", "ask for access", ("access",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if _places(ctx) else NOWHERE

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        hello = ctx.store.hello
        assert hello is not None, "an observer or a console without an engine does not get here"
        names = _places(ctx)
        params = (
            Param("at", "choice", names[0], names, True, title="the database or host"),
            Param("bundle", "choice", _bundles(ctx)[0], _bundles(ctx), True, title="which rights"),
            Param("minutes", "number", "30", (), True, title="1 to 240"),
            Param("ticket", "text", "", (), True, title="the incident or change it is for"),
            Param("reason", "text", "", (), True, title="why, 10 characters or more"),
        )

        def then(answers: FormValues) -> None:
            seconds = int(answers["minutes"]) * 60
            args = {name: answers[name] for name in ("bundle", "ticket", "reason")}
            more = {"grant": new_grant_id(), "person": hello.person, "seconds": seconds}
            navigator.preview(grant_plan(answers["at"], {**args, **more}))

        navigator.ask("Access for yourself", params, then, _wrong)


class ExtendGrant(Effect):
    """Propose to let the selected grant end later; decided anew, as if it were asked for."""

    key, title, screens, on = "e", "extend", ("access",), ("grants",)

    def missing(self, ctx: ActionContext) -> str | None:
        live = isinstance(ctx.row, GrantRow) and ctx.row.state in LIVE
        return None if live else "select a grant that is not ending"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: GrantRow = ctx.row

        def then(answers: FormValues) -> None:
            navigator.preview(extend_plan(row, int(answers["minutes"]) * 60, answers["reason"]))

        minutes = Param("minutes", "number", "30", (), True, title="how much later it ends, 1 to 240")
        reason = Param("reason", "text", "", (), True, title="why, 10 characters or more")
        navigator.ask(f"Extend {row.id}", (minutes, reason), then, _wrong)


class OwnGrant(Action):
    """Something about the selected grant that its own person may do, whatever the roles."""

    screens, on, acts = ("access",), ("grants",), True

    def barred(self, ctx: ActionContext) -> str | None:
        refused, hello = super().barred(ctx), ctx.store.hello
        if hello is None or not ctx.store.live or (hello.barred is not None and hello.barred.rule != "role"):
            return refused
        return None if isinstance(ctx.row, GrantRow) and ctx.row.person == hello.person else refused


class TakeSecret(OwnGrant):
    """Make a secret in this process, open the login with it, and show it once. Nobody else gets it."""

    key, title = "t", "take the secret"

    def missing(self, ctx: ActionContext) -> str | None:
        row = ctx.row
        if not isinstance(row, GrantRow) or row.state is not GrantState.ARMED:
            return "select a grant whose secret was not taken yet"
        mine = ctx.store.hello is not None and ctx.store.hello.person == row.person
        return None if mine else f"its secret is for {row.person}"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: GrantRow = ctx.row
        if row.takes is GrantCredential.PUBLIC_KEY:
            _take_key(row, navigator)
            return
        secret = new_secret()
        facts = (
            ("log in", login_words(row)),
            ("secret", secret),
            ("note it", "it is shown here and nowhere else; y opens the login with it, anything else forgets it"),
        )
        proof = verifier(secret)
        navigator.confirm(f"Take the secret of {row.id}", facts, lambda: navigator.send_claim(row.id, proof))


class EndGrant(OwnGrant):
    """End the selected grant now: its login is closed, its sessions are ended everywhere, and that is proven."""

    key, title = "x", "end"

    def missing(self, ctx: ActionContext) -> str | None:
        live = isinstance(ctx.row, GrantRow) and ctx.row.state not in OVER
        return None if live else "select a grant that is not over"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: GrantRow = ctx.row
        facts = (
            ("ends", f"{row.bundle} of {row.person} at {row.database}, with {sessions_counted(row)}"),
            (
                "then",
                "its login is closed, its sessions end everywhere, what it made is handed over; proven here",
            ),
        )
        navigator.confirm(f"End {row.id}", facts, lambda: navigator.send_end_grant(row.id))


class AcceptResidue(Action):
    """Take what the selected grant left as it is shown, with a reason; another person than its holder does."""

    key, title, screens, on, acts = "a", "accept what it left", ("access",), ("grants",), True

    def missing(self, ctx: ActionContext) -> str | None:
        row, hello = ctx.row, ctx.store.hello
        if not isinstance(row, GrantRow) or row.state is not GrantState.RESIDUE or not row.residue:
            return "select a grant that left something"
        mine = hello is not None and hello.person.casefold() == row.person.casefold()
        return "it was for you: another person looks at what it left" if mine else None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: GrantRow = ctx.row
        facts = [("not as before", each) for each in row.residue]

        def then(answers: FormValues) -> None:
            given = answers["reason"].strip()
            navigator.confirm(
                f"Accept what {row.id} left",
                [*facts, ("why it may stay", given)],
                lambda: navigator.send_accept_residue(row.id, given, row.residue),
            )

        reason = Param("reason", "text", "", (), True, title="why it may stay, 10 characters or more")
        navigator.ask(f"Accept what {row.id} left", (reason,), then, about=facts)


def _take_key(row: GrantRow, navigator: Navigation) -> None:
    """Have a certificate signed for a public key, and put it beside the key."""

    def then(answers: FormValues) -> None:
        told = answers["key"].strip()
        whose = "yours, its private half is not read" if told.endswith(".pub") else "a new private key, only there"
        facts = (
            ("log in", f"as {row.role} at {row.address}"),
            ("key", f"{told}: {whose}"),
            ("open it", "y opens the login for this key; the certificate is put beside it"),
        )

        async def send() -> Accepted:
            key = await asyncio.to_thread(login_key, told, row.id)
            accepted: Accepted = await navigator.send_claim(row.id, key.public)
            await asyncio.to_thread(keep_certificate, key, accepted.certificate)
            return replace(accepted, message=command_of(key, row.role, row.address))

        navigator.confirm(f"Open the login of {row.id}", facts, send)

    about = "a new file for a new private key, or your public key (.pub)"
    key = Param("key", "text", f"~/.ssh/recovery-{row.id}", (), True, title=about)
    navigator.ask(f"Key for {row.id}", (key,), then)


def _bundles(ctx: ActionContext) -> tuple[str, ...]:
    """Those of any place; the card says what the place that was chosen has."""
    view = ctx.store.view(AccessView)
    known = [each for target in view.targets.values() for each in target.bundles] if view is not None else []
    return tuple(dict.fromkeys(known)) or BUNDLES


def _places(ctx: ActionContext) -> tuple[str, ...]:
    view = ctx.store.view(AccessView)
    return tuple(view.targets) if view is not None else ()


def _wrong(answers: FormValues) -> str | None:
    minutes = answers["minutes"]
    if not (minutes.isascii() and minutes.isdigit() and 1 <= int(minutes[:4]) <= 240):
        return "minutes: 1 to 240"
    return None if len(answers["reason"].strip()) >= 10 else "reason: 10 characters or more"
