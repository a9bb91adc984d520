"""What a person hands in to have a login opened."""

from __future__ import annotations

from state.api.views.access import GrantCredential
from state.errors import Refused
from state.granting.certificates import NoKey, public_key
from state.granting.scram import VERIFIER


def require_credential(takes: GrantCredential, given: str) -> None:
    """Raise Refused unless it is what the target takes: never a secret itself."""
    if takes is GrantCredential.VERIFIER:
        if not VERIFIER.fullmatch(given):
            raise Refused("verifier", "this is not a SCRAM-SHA-256 verifier", "recovery access request")
        return
    try:
        public_key(given)
    except NoKey as error:
        raise Refused("public-key", f"this is no public key: {error}", "Name the file that ends in .pub") from error
