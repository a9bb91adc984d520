"""What a check of the journal's chain says."""

from __future__ import annotations

from console.client.engine_client import EngineClient
from console.tui.session import ChainCheck, Session
from state.api.views.header import HeaderView
from state.errors import RecoveryError
from state.health import Health
from state.units import utc


def proving(session: Session) -> ChainCheck:
    """While it goes on."""
    header = session.store.view(HeaderView)
    count = f"{header.journal_seq} entries" if header is not None else "every entry"
    return ChainCheck(f"verifying {count} from the first on …", None)


async def prove(client: EngineClient, session: Session) -> ChainCheck:
    """Have the engine verify it."""
    try:
        proof = await client.journal_verify()
    except RecoveryError as failed:
        return ChainCheck(f"not verified: {failed}", Health.UNKNOWN)
    at = utc(session.store.wall)
    if proof.problem:
        return ChainCheck(f"THE CHAIN IS BROKEN ({at}): {proof.problem}", Health.FAIL)
    return ChainCheck(f"the chain is valid: {proof.entries} entries verified at {at}", Health.PASS)
