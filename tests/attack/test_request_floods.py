"""One person asks for as much as possible: the requests of others stay, and what must be there stays required."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.signatures.openssh import OpenSshSignatures
from state.api.approvals import Approve, AskApproval, Withdraw
from state.approvals.fold import KEPT, Approvals
from state.errors import Refused
from state.planning.approving import MOST_OPEN
from tests.support.signing import ADA, BEN, CARL, DORA, approve, asked, estate, sign
from tests.support.small_estate import Small, flip, small


async def flood(lab: Small, many: int) -> None:
    """One asks and withdraws, again and again."""
    for _ in range(many):
        card = await lab.preview(flip("green"), DORA)
        made = await lab.engine.approvals.ask(DORA, AskApproval(card.plan, card.fingerprint, "again and again"))
        await lab.engine.approvals.act(DORA, made.run, Withdraw())


async def test_what_waits_and_what_is_carried_out_is_not_forgotten_for_what_is_over() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await flood(lab, KEPT + 5)
        assert lab.engine.view("approvals").requests[name].state.value == "open"
        assert "ben approved" in await approve(lab, name)
        accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        await lab.ended(accepted.run)
        await lab.balancer.set_weight("shop", "blue", 100, deadline=1)
        await lab.balancer.set_weight("shop", "green", 0, deadline=1)
        await flood(lab, KEPT + 5)
        found = lab.engine.folds.of(Approvals)
        assert found.of_run(accepted.run) is not None, "whoever must be present stays required"
        assert len(found.requests) <= 2 * KEPT + 1
        with pytest.raises(Refused, match="is used"):
            await lab.engine.approvals.act(BEN, name, Approve(sign("ben", "x")))


async def test_so_many_requests_of_one_person_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans are the same; that one cannot be asked for twice is another rule."""
    async with small(estate=estate()) as lab:
        monkeypatch.setattr(lab.engine.approvals._standing, "found", lambda person, fingerprint: None)
        names = [(await asked(lab))[0] for _ in range(MOST_OPEN)]
        with pytest.raises(Refused, match=f"{MOST_OPEN} requests of ada wait"):
            await asked(lab)
        assert (await asked(lab, CARL))[0], "others ask"
        await lab.engine.approvals.act(ADA, names[0], Withdraw())
        assert (await asked(lab))[0]


class Counted(OpenSshSignatures):
    """Counts how many programs run at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.all = 0

    async def verify(self, *given: Any) -> bool:
        self.now, self.all = self.now + 1, self.all + 1
        self.most = max(self.most, self.now)
        try:
            return await super().verify(*given)
        finally:
            self.now -= 1


async def test_wrong_signatures_of_one_account_are_looked_at_one_after_the_other() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        counted = Counted()
        lab.engine.approvals._signing._verifies = lambda: counted
        wrong = [lab.engine.approvals.act(BEN, name, Approve(sign("ben", f"another text {n}"))) for n in range(12)]
        told = await asyncio.gather(*wrong, return_exceptions=True)
        assert all(isinstance(each, Refused) for each in told)
        assert counted.all > 12
        assert counted.most == 1
