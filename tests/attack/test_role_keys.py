"""Who lacks a role has no effect by any key of any screen: the keys are those of the registry.

Each acting key is pressed in a console of its own that talks to the real engine, on a row where it would do something:
there it is dimmed with the engine's own refusal. Then what it leads to is sent anyway, as a console would that dims
nothing, and confirmed with everything that its card asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from console.client.engine_client import EngineClient
from console.tui.actions.base import KNOWN, Action
from console.tui.actions.registry import actions_of
from console.tui.app import ConsoleApp
from console.tui.navigator import Navigator
from console.tui.screens.base import MainScreen
from console.tui.session import ActionContext
from console.tui.store import Store
from console.tui.terminal.capabilities import Terminal
from state.api.requests import PlanRequest, Submission
from state.api.views.access import GrantRow, GrantState
from state.api.views.replication import SlotRow
from state.api.views.runbooks import Param
from state.api.views.traffic import DnsRow
from state.errors import NotFound, RecoveryError, Refused
from state.health import Health
from tests.attack.test_role_matrix import nothing_happens, prepared
from tests.screens.fake_engine import Stage, told
from tests.support.acting_site import Site, acting_site

ROWS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "traffic": {"servers": ["edge/shop/green"], "backends": ["edge/shop"], "dns": ["shop.example/www/A"]},
    "replication": {"nodes": ["orders/n2"], "clusters": ["orders"]},
    "runbooks": {"library": ["single"]},
    "releases": {"services": ["shop"]},
    "access": {"grants": ["G-AAAAAA"]},
}
"""A row of each table on which keys do something, where the first one of the view is none; runs are found by what they
can do."""
ANSWERS = {
    "weight": "7", "percent": "20", "minutes": "30", "reason": "because rows are missing", "ticket": "INC-1",
    "comment": "tested", "site": "west", "choice": "go", "seconds": "60", "answers": "10.2.0.10",
}  # fmt: skip
BY_STATE = {
    "compare-with-primary", "cancel-comparison", "undo-last", "undo-run", "retry-step", "pause-run", "resume-run",
}  # fmt: skip
"""Keys that need a state which this site has not: what they send is tried as verbs and routes."""
OTHERS_GRANT = {"take-secret"}
"""Keys that a grant's own person has, whatever the roles, and nobody else."""
WHO = ("role", "known-person", "grantee")
"""Rules about who asks; who may plan meets other rules before."""
MADE = {
    "drop-slot-of-primary": SlotRow("orders", "s1", "physical", False, 0, "", "postgres:orders/n2"),
    "set-addresses": DnsRow(
        "k", "www.shop.example", "ns", "10.1.0.10", "", Health.PASS, "", 60, "", "shop.example", "www", "A"
    ),
    "accept-residue": GrantRow(
        "G-AAAAAA",
        "orders",
        "bg_gaaaaaa_eve",
        "eve",
        "superuser",
        "INC-1",
        GrantState.RESIDUE,
        None,
        (),
        None,
        residue=("event-trigger in orders: seen (new)",),
    ),
}
"""Rows that this site does not show."""
STARTED_BY = {"ask-for-access", "extend-grant", "end-grant"}
"""Keys that the role access-admin is for."""


class Unrestrained(Navigator):
    """A console that asks nothing and sends everything; remembers what the engine said."""

    def __init__(self, client: EngineClient) -> None:
        self._client, self.sent, self.said = client, list[Any](), list[RecoveryError]()

    def preview(self, request: PlanRequest, former: Any = None) -> None:
        self.sent.append(self._carry_out(request))

    async def _carry_out(self, request: PlanRequest) -> None:
        card = await self._client.preview(request)
        await asyncio.sleep(card.confirmation.arm + 0.01)
        await self._client.submit(Submission(card.plan, card.fingerprint, card.confirmation.typed))

    def ask(self, title: str, params: Sequence[Param], then: Callable[[Any], None], *_: Any, **__: Any) -> None:
        then({p.name: ANSWERS.get(p.name) or p.default or next(iter(p.choices), "") for p in params})

    def confirm(self, title: str, facts: Any, send: Callable[[], Any]) -> None:
        self.sent.append(send())

    async def settle(self) -> None:
        """Send what was asked for."""
        for each in self.sent:
            try:
                await each
            except RecoveryError as error:
                self.said.append(error)


@asynccontextmanager
async def console(site: Site, socket: str = "engine.sock") -> AsyncIterator[Stage]:
    """A console on the socket of a site, once it has every view."""
    app = ConsoleApp(str(site.estate.parent / "run" / socket), Terminal())
    async with app.run_test(size=(200, 40)) as pilot:
        made = Stage(app, pilot, None)  # type: ignore[arg-type]
        await made.until(lambda: app._announced and all(told(app, tab.name) for tab in app.tabs), "the views")
        await pilot.pause(0.1)
        await made.settle()
        yield made


def acting() -> Iterator[tuple[Action, str]]:
    """Every acting action, with a screen where it exists."""
    seen = set[str]()
    for tab in ("traffic", "replication", "runbooks", "access", "releases", "journal", "overview", "history"):
        for action in actions_of(tab):
            if action.acts and action.id not in seen:
                seen.add(action.id)
                yield action, action.screens[0] if action.screens else "traffic"


def test_every_screen_that_an_acting_key_is_on_is_walked() -> None:
    actions_of("")
    assert {action.id for action, _ in acting()} == {action.id for action in KNOWN.values() if action.acts}


def row_of(store: Store, action: Action, screen: str) -> Any:
    """A row on which the action would do something; None where there is none."""
    view = store.view(screen)
    for table in action.on:
        rows = getattr(view, table, {})
        first = [rows[key] for key in ROWS.get(screen, {}).get(table, ()) if key in rows]
        for row in [*first, *rows.values()]:
            if action.missing(ActionContext(store, screen, row)) is None:
                return row
    return None


async def sent_anyway(st: Stage, site: Site, action: Action, screen: str) -> list[RecoveryError] | None:
    """What the engine says to everything that the key leads to; None where the site has no state for it."""
    row = MADE.get(action.id) or row_of(st.app.store, action, screen)
    ctx = ActionContext(st.app.store, screen, row)
    if action.id in OTHERS_GRANT:
        row = next(iter(st.app.store.view("access").grants.values()))
        ctx = ActionContext(st.app.store, screen, row)
    elif action.missing(ctx) is not None:
        return None
    client = Unrestrained(st.app.client)
    action.perform(ctx, client)
    assert client.sent, action.id
    await client.settle()
    return client.said


@pytest.mark.parametrize("roles", [("observer",), ("approver",), ("auditor",), ("access-admin",), ()], ids=str)
async def test_no_key_has_an_effect_without_the_role(roles: tuple[str, ...]) -> None:
    async with acting_site(roles) as site:
        await prepared(site)
        async with console(site) as st:
            nothing, tried, by_role = set[str](), 0, 0
            for action, screen in acting():
                if "access-admin" in roles and action.id in STARTED_BY:
                    continue
                with nothing_happens(site):
                    said = await sent_anyway(st, site, action, screen)
                if said is None:
                    nothing.add(action.id)
                    continue
                tried += 1
                assert said, f"{action.id}: the engine took it"
                for error in said:
                    assert isinstance(error, Refused | NotFound), (action.id, error)
                for error in (each for each in said if isinstance(each, Refused)):
                    assert error.way_out, action.id
                    assert error.rule in WHO or "access-admin" in roles, (action.id, error)
                    by_role += error.rule in WHO
            assert nothing <= BY_STATE, nothing - BY_STATE
            assert tried >= by_role >= (15 if "access-admin" in roles else 55)


@pytest.mark.parametrize(("roles", "socket"), [(("observer",), "engine.sock"), (("commander",), "observe.sock")])
async def test_every_key_is_dimmed_with_the_refusal_of_the_engine(roles: tuple[str, ...], socket: str) -> None:
    async with acting_site(roles) as site:
        await prepared(site)
        reason = "Connect again without --observe" if socket == "observe.sock" else "acting needs responder"
        async with console(site, socket) as st:
            for tab in st.app.tabs:
                await st.press(tab.digit)
                front = st.app.screen
                assert isinstance(front, MainScreen)
                for action in [each for each in actions_of(tab.name) if each.acts]:
                    with nothing_happens(site):
                        if action.key:
                            await st.press(action.key)
                        else:
                            front.do(action)
                    assert st.app.screen is front, action.id
                    assert reason in st.app.recent.notice, (action.id, st.app.recent.notice)


async def test_a_responder_has_no_key_of_the_classes_b3_and_b4() -> None:
    async with acting_site(("responder",)) as site:
        await prepared(site)
        async with console(site) as st:
            for action, screen in acting():
                if action.id in ("switch-over", "set-addresses", "ask-for-access", "extend-grant"):
                    with nothing_happens(site):
                        said = await sent_anyway(st, site, action, screen)
                    assert said, action.id
                    assert all("commander" in str(error) for error in said), said


async def test_with_the_role_the_same_keys_have_effects() -> None:
    """The matrix would see an effect: what is not refused arrives at the targets."""
    async with acting_site() as site, console(site) as st:
        for wanted in ("change-weight", "ask-for-access", "switch-over"):
            action, screen = next(each for each in acting() if each[0].id == wanted)
            site.manners.told.clear()
            said = await sent_anyway(st, site, action, screen)
            async with asyncio.timeout(30):
                while said is None:  # its targets are not read yet
                    await asyncio.sleep(0.05)
                    said = await sent_anyway(st, site, action, screen)
            assert said == [], wanted
            await asyncio.wait_for(site.manners.told.wait(), 30)
            async with asyncio.timeout(30):
                while site.engine.history.open():
                    await asyncio.sleep(0.05)
