"""Grants in each of their states, for pictures and for screens that show everything."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.access import (
    AccessTargetRow,
    AccessView,
    ElevatedRow,
    GrantCredential,
    GrantRow,
    GrantSessionRow,
    GrantState,
)

HOST = "host web1"


def access(mono: float, wall: float) -> AccessView:
    """One that does not end, one that soon does, one that waits for its secret, one that left something, one over."""
    session = GrantSessionRow("n2", 4711, "orders", "active", "SELECT", "10.1.0.7")
    base = GrantRow(
        "G-Q2M7XA", "orders", "bg_gq2m7xa_ada", "ada", "read-all", "INC-42", GrantState.ENDING, mono - 7,
        (session,), mono,
        obstacle="still open: n2 process 4711", way_out="On its host: kill -TERM 4711",
        address="host=n1,n2,n3 port=5432,5432,5432",
    )  # fmt: skip
    calm = replace(base, obstacle="", way_out="")
    left = "event-trigger in orders: seen (new). drop event trigger NAME"
    over = replace(calm, sessions=(), ended_at=wall - 60, by="its time is over")
    rows = (
        base,
        replace(calm, id="G-7HTR4K", person="ben", state=GrantState.EXPIRING, ends_mono=mono + 74),
        replace(
            calm, id="G-B5N8WE", role="bg_gb5n8we_eve", person="eve", bundle="shell", database=HOST, sessions=(),
            state=GrantState.ARMED, ends_mono=mono + 1500, takes=GrantCredential.PUBLIC_KEY, address="10.1.0.5",
        ),
        replace(
            over, id="G-K3P6ZD", person="carl", bundle="superuser", state=GrantState.RESIDUE, residue=(left,),
            obstacle=f"1 thing not as before it, the first: {left}", way_out="a accepts it",
        ),
        replace(
            over, id="G-2VY9MC", person="dora", state=GrantState.ENDED, late=1.25,
            proof="G-2VY9MC of dora at orders is over: no role, no session at n1, n2, n3",
        ),
    )  # fmt: skip
    others = {"orders/legacy": ElevatedRow("orders", "legacy", "", True, None)}
    targets = {
        "orders": AccessTargetRow("orders", mono, "", ("read-all", "monitor", "superuser")),
        HOST: AccessTargetRow(HOST, mono, "", ("shell",), GrantCredential.PUBLIC_KEY),
    }
    return AccessView({each.id: each for each in rows}, others, targets)
