"""Whether a signature is one of the person, over the statement of the request; each refusal says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from state.api.approvals import NAMESPACE
from state.approvals.fold import Request
from state.clock import Clock
from state.errors import ReadFailure, Refused
from state.estate.model import Estate
from state.policy.people import fingerprint_of, owner_of
from state.policy.sshsig import NoSignature, SignatureParts, parse_signature
from state.policy.statement import altered, statement
from state.ports.signatures import VerifiesSignatures

MOST_TRIED = 20
"""Other statements that are tried to say what a signature is over."""
SIGN = "Sign what recovery approve shows now, with your own key"


class Signed(NamedTuple):
    """Whose key made a signature: the person, the key's name in the estate, its fingerprint and itself."""

    person: str
    name: str
    fingerprint: str
    public: str
    parts: SignatureParts


def statement_for(request: Request, estate: Estate, approver: str) -> str:
    """What this approver signs for a request."""
    asked = request.asked
    return statement(
        estate=estate.estate, environment=estate.environment, request=asked.name, plan=asked.plan, risk=asked.risk,
        title=asked.title, loss=asked.loss, requester=request.requester, reason=asked.reason, change=asked.change,
        approver=approver, until=request.at + asked.limits[0],
    )  # fmt: skip


class Signing:
    """Judges signatures; `verifies` is what verifies them now."""

    def __init__(
        self, estate: Callable[[], Estate], verifies: Callable[[], VerifiesSignatures | None], clock: Clock
    ) -> None:
        self._estate, self._verifies, self._clock = estate, verifies, clock

    def owner(self, signature: str, namespace: str = NAMESPACE) -> Signed:
        """Whose key made it, as it says itself: nothing is proven yet. Raises Refused."""
        try:
            parts = parse_signature(signature)
        except NoSignature as error:
            raise Refused("signature", f"this is no signature of an SSH key: {error}", SIGN) from None
        if parts.namespace != namespace:
            fact = f"the signature is for {parts.namespace!r}, not for {namespace!r}"
            raise Refused("signature", fact, f"Sign with ssh-keygen -Y sign -n {namespace}")
        found = owner_of(self._estate(), parts.blob)
        if found is None:
            fact = f"the key {fingerprint_of(parts.blob)} belongs to nobody in this estate"
            raise Refused("signature", fact, "Add it under people.NAME.keys, then recovery engine reload")
        wrong = found.key.not_valid(self._clock.wall())
        if wrong:
            raise Refused("signature", f"the key {found.name} of {found.person} does not count: {wrong}", SIGN)
        if found.key.touch and not parts.touched:
            fact = f"the key {found.name} of {found.person} must be touched, and the signature does not say so"
            raise Refused("signature", fact, "Sign again and touch the key")
        return Signed(found.person, found.name, fingerprint_of(parts.blob), found.key.public, parts)

    async def require(self, request: Request, signed: Signed, known: Iterable[Request]) -> None:
        """Refuse a signature that is not over the statement of this request."""
        signature = signed.parts.armored
        text = statement_for(request, self._estate(), signed.person)
        if await self.over(signed.public, text.encode(), signature):
            return
        for how, changed in altered(text).items():
            if await self.over(signed.public, changed, signature):
                raise Refused("signature", f"the statement was signed {how}: not the bytes that were shown", SIGN)
        for other in [each for each in known if each is not request][-MOST_TRIED:]:
            if await self.over(signed.public, statement_for(other, self._estate(), signed.person).encode(), signature):
                raise Refused("signature", f"it is the signature of {other.name}, not of {request.name}", SIGN)
        fact = f"the signature is not over the statement of {request.name} for {signed.person}: another text was signed"
        raise Refused("signature", fact, SIGN)

    async def over(self, public: str, signed: bytes, signature: str, namespace: str = NAMESPACE) -> bool:
        """Whether a key made a signature over these bytes. Raises Refused where nobody can say."""
        verifies = self._verifies()
        if verifies is None:
            raise Refused("signature", "this engine cannot verify signatures", "Install OpenSSH (ssh-keygen) there")
        try:
            return await verifies.verify(public, namespace, signed, signature)
        except ReadFailure as error:
            raise Refused("signature", f"it cannot be verified: {error.message}", "Install OpenSSH there") from error
