"""Real SSH keys for people of a test, signatures with them, and an estate whose flips need a second person."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from state.api.approvals import NAMESPACE, Approve, AskApproval
from state.api.caller import Caller
from state.api.card import Card
from tests.support.small_estate import ESTATE, Small, flip

ADA = Caller(1000, "ada", "ada", ("commander", "responder"), "s1", read_only=False)
BEN = Caller(1001, "ben", "ben", ("approver",), "s2", read_only=False)
CARL = Caller(1002, "carl", "carl", ("approver", "responder"), "s3", read_only=False)
DORA = Caller(1003, "dora", "dora", ("responder",), "s4", read_only=False)
KEYS = TemporaryDirectory(prefix="rk-")
"""Of this process; gone with it."""
WHY = "the green release is broken"


@cache
def key_file(name: str) -> Path:
    """The private key of a name; made once."""
    path = Path(KEYS.name, name)
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    return path


def public_key(name: str) -> str:
    """Its public key, as in the .pub file."""
    return key_file(name).with_suffix(".pub").read_text().strip()


def sign(name: str, text: str | bytes, namespace: str = NAMESPACE) -> str:
    """A signature over a text."""
    words = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key_file(name))]
    raw = text.encode() if isinstance(text, str) else text
    return subprocess.run(words, input=raw, capture_output=True, check=True).stdout.decode()


def person(*roles: str, accounts: tuple[str, ...] = (), keys: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A person of the estate, with keys by the names they were made for."""
    named = {name: {"public": public_key(name)} for name in keys}
    return {"roles": list(roles), "accounts": list(accounts), "keys": named, **more}


def people() -> dict[str, Any]:
    """Ada starts, ben and carl approve, dora only starts, and ada has a second entry."""
    return {
        "ada": person("commander", "responder", accounts=("ada",), keys=("ada",)),
        "ben": person("approver", accounts=("ben",), keys=("ben",)),
        "carl": person("approver", "responder", accounts=("carl",), keys=("carl",)),
        "dora": person("responder", accounts=("dora",), keys=("dora",)),
        "ada-admin": person("approver", accounts=("root2",), keys=("ada-admin",), same_as="ada"),
    }


def estate(**policies: Any) -> Mapping[str, Any]:
    """The small estate, whose B2 changes need one approval unless the policies say otherwise."""
    table = {"second": {"risk": ["B2"], "roles": ["responder", "commander"], "approvers": 1}}
    return {**ESTATE, "people": people(), "policies": {**ESTATE["policies"], "authority": table, **policies}}


async def asked(lab: Small, caller: Caller = ADA, reason: str = WHY, to: str = "green") -> tuple[str, Card]:
    """A flip for which an approval was asked: the id of the request, and the card."""
    card = await lab.preview(flip(to), caller)
    accepted = await lab.engine.approvals.ask(caller, AskApproval(card.plan, card.fingerprint, reason))
    return accepted.run, card


async def approve(lab: Small, name: str, caller: Caller = BEN, key: str = "", by: str = "") -> str:
    """Approve a request as a person does: read its card, sign its statement. What the engine answers."""
    who = by or caller.person
    shown = await lab.engine.approvals.card(caller, name, by)
    signature = sign(key or who, shown.statement)
    return (await lab.engine.approvals.act(caller, name, Approve(signature, by))).message
