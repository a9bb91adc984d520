"""Keys of the access screen."""

from __future__ import annotations

from console.access_text import new_grant_id
from console.tui.actions.base import Action, ActionContext, Effect, FormValues, Navigation
from state.api.requests import PlanChange
from state.api.views.access import AccessView, GrantRow, GrantState
from state.api.views.runbooks import Param
from state.granting.scram import new_secret, verifier
from state.units import counted

BUNDLES = ("read-all", "monitor", "terminate", "config-reload", "schema-fix", "superuser")
LIVE = (GrantState.ARMED, GrantState.OPEN, GrantState.EXPIRING)


class AskForAccess(Effect):
    """Propose access to a database for yourself: which rights, how long, why and for which ticket."""

    key, title, screens = "n", "ask for access", ("access",)

    def missing(self, ctx: ActionContext) -> str | None:
        return None if _databases(ctx) else "no database of the estate allows it: databases.NAME.access"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        hello = ctx.store.hello
        assert hello is not None, "an observer or a console without an engine does not get here"
        names = _databases(ctx)
        params = (
            Param("database", "database", names[0], names, True),
            Param("bundle", "choice", "read-all", BUNDLES, True, title="which rights"),
            Param("minutes", "number", "30", (), True, title="1 to 240"),
            Param("ticket", "text", "", (), True, title="the incident or change it is for"),
            Param("reason", "text", "", (), True, title="why, 10 characters or more"),
        )

        def then(answers: FormValues) -> None:
            seconds = int(answers["minutes"]) * 60
            args = {name: answers[name] for name in ("database", "bundle", "ticket", "reason")}
            more = {"grant": new_grant_id(), "person": hello.person, "seconds": seconds}
            navigator.preview(PlanChange("access.grant", {**args, **more}))

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
            args = {"database": row.database, "grant": row.id, "seconds": int(answers["minutes"]) * 60}
            navigator.preview(PlanChange("access.extend", {**args, "reason": answers["reason"]}))

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
        secret = new_secret()
        facts = (
            ("log in", f"as {row.role} at {row.database}"),
            ("secret", secret),
            ("note it", "it is shown here and nowhere else; y opens the login with it, anything else forgets it"),
        )
        proof = verifier(secret)
        navigator.confirm(f"Take the secret of {row.id}", facts, lambda: navigator.send_claim(row.id, proof))


class EndGrant(OwnGrant):
    """End the selected grant now: its login is closed, its sessions are ended everywhere, and that is proven."""

    key, title = "x", "end"

    def missing(self, ctx: ActionContext) -> str | None:
        live = isinstance(ctx.row, GrantRow) and ctx.row.state is not GrantState.ENDED
        return None if live else "select a grant that is not over"

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        row: GrantRow = ctx.row
        facts = (
            ("ends", f"{row.bundle} of {row.person} at {row.database}, with {counted(len(row.sessions), 'session')}"),
            ("then", "its login is closed, its sessions end at every node, what it made is handed over; proven here"),
        )
        navigator.confirm(f"End {row.id}", facts, lambda: navigator.send_end_grant(row.id))


def _databases(ctx: ActionContext) -> tuple[str, ...]:
    view = ctx.store.view(AccessView)
    return tuple(view.targets) if view is not None else ()


def _wrong(answers: FormValues) -> str | None:
    minutes = answers["minutes"]
    if not (minutes.isascii() and minutes.isdigit() and 1 <= int(minutes[:4]) <= 240):
        return "minutes: 1 to 240"
    return None if len(answers["reason"].strip()) >= 10 else "reason: 10 characters or more"
