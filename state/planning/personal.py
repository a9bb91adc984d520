"""People at a shared account: each plan that is carried out from there has the signature of one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from state.api.approvals import CONFIRMING
from state.api.caller import Caller
from state.api.card import Card
from state.api.requests import Submission
from state.approvals.events import PlanSigned
from state.clock import Clock
from state.errors import Refused
from state.estate.model import Estate
from state.journal.events import Event
from state.journal.writer import Journal
from state.planning.signing import Signing
from state.policy.people import keys_of, same_human
from state.policy.statement import confirmation


class Personal:
    """Lets a caller at a shared account speak as a person, and proves it before anything is carried out."""

    def __init__(self, estate: Callable[[], Estate], signing: Signing, journal: Journal, clock: Clock) -> None:
        self._estate, self._signing, self._journal, self._clock = estate, signing, journal, clock

    def keys(self, person: str) -> tuple[str, ...]:
        """The public keys with which a person can sign now."""
        return keys_of(self._estate(), person, self._clock.wall())

    def speaking(self, caller: Caller, person: str) -> Caller:
        """The caller as a person of the estate, to be shown a card; nothing is proven yet. Raises Refused."""
        if caller.read_only or not caller.shared:
            fact = f"the account {caller.account or caller.uid} is not shared, or this connection is read-only"
            raise Refused("identity", fact, "Leave --as out: the kernel says who you are")
        entry = self._estate().people.get(person)
        if entry is None or not self.keys(person):
            fact = f"{person[:40]!r} is no person of this estate with a key that counts"
            raise Refused("known-person", fact, "Add people.NAME.keys, then recovery engine reload",
                          "the maintainers of the estate file")  # fmt: skip
        return replace(caller, person=person, roles=tuple(entry.roles), doubt="", shared=False)

    async def proven(self, caller: Caller, request: Submission, opened: Callable[[Caller], Card]) -> Caller:
        """The caller as the person whose key signed exactly this plan; recorded before it begins. `opened` gives the
        card of the plan that waits. Raises Refused and JournalUnavailable."""
        spoken, estate = self.speaking(caller, request.person), self._estate()
        card = opened(spoken)
        signed = self._signing.owner(request.signature, CONFIRMING)
        if not same_human(estate, signed.person, request.person):
            fact = f"the signature is by a key of {signed.person}, not of {request.person}"
            raise Refused("signature", fact, f"Sign with a key of {request.person}: --key FILE")
        text = confirmation(
            estate=estate.estate, environment=estate.environment, plan=card.plan, fingerprint=card.fingerprint,
            title=card.title, person=request.person,
        )  # fmt: skip
        if not await self._signing.over(signed.public, text.encode(), signed.parts.armored, CONFIRMING):
            fact = "the signature is not over this plan as its card shows it"
            raise Refused("signature", fact, "Preview again, and sign that plan")
        said = f"{request.person} signed {card.title} at the shared account {caller.account} (key {signed.name})"
        made = signed.parts.armored
        body = PlanSigned(card.plan, request.person, signed.name, signed.fingerprint, text, made, said)
        await self._journal.append(Event(body, request.person, caller.session))
        return spoken
