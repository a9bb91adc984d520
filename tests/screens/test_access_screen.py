"""The Access screen: countdowns, what is against an end, the proof, and the secret that is shown once."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from console.access_text import extend_plan, grant_plan
from state.api.views.access import (
    AccessTargetRow,
    AccessView,
    ElevatedRow,
    GrantCredential,
    GrantRow,
    GrantSessionRow,
    GrantState,
)
from state.granting.scram import VERIFIER
from tests.screens.fake_engine import stage

SESSION = GrantSessionRow("n2", 4711, "orders", "active", "SELECT", "10.1.0.7")


def row(name: str, state: GrantState, lasts: float, **more: object) -> GrantRow:
    now = time.monotonic()
    made = GrantRow(
        id=name, database="orders", role=f"bg_{name[2:].lower()}_ada", person="ada", bundle="read-all", ticket="INC-42",
        state=state, ends_mono=now + lasts, sessions=(SESSION,), read_mono=now,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def view(*rows: GrantRow) -> AccessView:
    others = {"orders/legacy": ElevatedRow("orders", "legacy", "", True, None)}
    targets = {"orders": AccessTargetRow("orders", time.monotonic(), "", ("read-all",))}
    return AccessView({each.id: each for each in rows}, others, targets)


async def test_live_grants_count_down_and_what_is_not_over_is_red_with_its_way_out() -> None:
    stuck = row(
        "G-BBBBBB",
        GrantState.ENDING,
        -7,
        obstacle="still open: n2 process 4711",
        way_out="On its host: kill -TERM 4711",
    )
    async with stage(topics={"access": view(stuck, row("G-AAAAAA", GrantState.OPEN, 754))}) as st:
        await st.press("6")
        await st.sees("G-AAAAAA", "open", "12:3", "n2 select", "read-all", "ada")
        await st.sees("G-BBBBBB", "ENDING", "over", "still open: n2 process 4711", "kill -TERM 4711")
        await st.sees("legacy", "superuser")


async def test_what_ended_shows_its_proof() -> None:
    ended = row(
        "G-AAAAAA", GrantState.ENDED, -60, sessions=(), ended_at=1_795_400_000.0, late=1.25, by="its time is over",
        proof="G-AAAAAA of ada at orders is over: no role, no session at n1, n2",
        left=("owned in orders: table public.made",),
    )  # fmt: skip
    async with stage(topics={"access": view(ended)}) as st:
        await st.press("6")
        await st.sees("ended", "+1.2 s", "no role, no session at n1, n2", "table public.made")


async def test_a_target_that_is_not_read_makes_nothing_look_live() -> None:
    blind = replace(row("G-AAAAAA", GrantState.OPEN, 600), read_mono=time.monotonic() - 60)
    seen = view(blind)
    seen = replace(
        seen, targets={"orders": AccessTargetRow("orders", None, "no node that was read accepts writes", ())}
    )
    async with stage(topics={"access": seen}) as st:
        await st.press("6")
        await st.sees("unknown: its target is not read", "no node that was read accepts writes")


async def test_one_key_and_a_yes_end_a_grant() -> None:
    async with stage(topics={"access": view(row("G-AAAAAA", GrantState.OPEN, 600))}) as st:
        await st.press("6", "x")
        await st.sees("End G-AAAAAA", "with 1 session")
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        assert st.front.acts == [("end", {"grant": "G-AAAAAA"})]


async def test_the_secret_is_made_here_shown_once_and_only_its_verifier_is_sent() -> None:
    async with stage(topics={"access": view(row("G-AAAAAA", GrantState.ARMED, 600, person="u1"))}) as st:
        await st.press("6", "t")
        await st.sees("Take the secret of G-AAAAAA", "bg_aaaaaa_ada")
        shown = st.text
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        name, sent = st.front.acts[0]
        assert name == "claim"
        assert VERIFIER.fullmatch(sent["verifier"])
        assert sent["verifier"] not in shown


async def test_at_a_host_a_key_is_made_in_a_file_and_only_its_public_half_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    armed = row(
        "G-AAAAAA", GrantState.ARMED, 600, person="u1", database="host web1", bundle="shell", sessions=(),
        takes=GrantCredential.PUBLIC_KEY, address="10.1.0.5",
    )  # fmt: skip
    targets = {"host web1": AccessTargetRow("host web1", time.monotonic(), "", ("shell",), GrantCredential.PUBLIC_KEY)}
    key = tmp_path / "k"
    async with stage(topics={"access": replace(view(armed), targets=targets)}) as st:
        await st.press("6")
        await st.sees("host web1", "t opens it for a key of u1")
        await st.press("t")
        await st.sees("Key for G-AAAAAA", "your public key (.pub)")
        await st.press("ctrl+u", "k", "enter")
        await st.sees("Open the login of G-AAAAAA", "k: a new private key, only there")
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        name, sent = st.front.acts[0]
        assert name == "claim"
        assert sent["verifier"] == " ".join((tmp_path / "k.pub").read_text().split()[:2])
        await st.until((tmp_path / "k-cert.pub").exists, "the certificate")
        assert oct(key.stat().st_mode & 0o777) == "0o600"
        assert key.read_text().splitlines()[1] not in st.text


async def test_what_is_asked_for_at_a_host_is_its_own_change() -> None:
    asked = grant_plan("host web1", {"grant": "G-AAAAAA"})
    assert (asked.kind, asked.args) == ("access.grant-host", {"host": "web1", "grant": "G-AAAAAA"})
    longer = extend_plan(row("G-AAAAAA", GrantState.OPEN, 600, database="host web1"), 600, "it still runs")
    assert longer.kind == "access.extend-host"
    assert extend_plan(row("G-AAAAAA", GrantState.OPEN, 600), 600, "it still runs").kind == "access.extend"


async def test_what_is_not_as_before_is_accepted_as_it_was_shown_by_another_person() -> None:
    evil = "event-trigger in orders: seen (new). drop event trigger NAME"
    over = row(
        "G-AAAAAA", GrantState.RESIDUE, -60, bundle="superuser", sessions=(), ended_at=1_795_400_000.0, residue=(evil,),
        obstacle=f"1 thing not as before it, the first: {evil}", way_out="a accepts it",
    )  # fmt: skip
    async with stage(topics={"access": view(over)}) as st:
        await st.press("6")
        await st.sees("RESIDUE", "not as before", "drop event trigger")
        await st.press("a")
        await st.sees("Accept what G-AAAAAA left", "not as before", "event-trigger in orders")
        await st.press(*"it is audit's", "enter")
        await st.sees("why it may stay", "it is audit's")
        await st.pilot.pause(0.7)
        await st.press("y")
        await st.until(lambda: st.front.acts, "the request")
        assert st.front.acts[0] == (
            "accept", {"grant": "G-AAAAAA", "reason": "it is audit's", "residue": [evil]}
        )  # fmt: skip


async def test_what_was_left_by_oneself_another_person_looks_at() -> None:
    over = row("G-AAAAAA", GrantState.RESIDUE, -60, person="u1", sessions=(), residue=("owned: x",))
    async with stage(topics={"access": view(over)}) as st:
        await st.press("6")
        await st.press("a")
        await st.sees("another person looks at")
