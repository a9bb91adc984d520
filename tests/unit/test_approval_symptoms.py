"""Signatures and accounts as users of other tools met them: rewritten by Windows, made with SHA-1, named by digits."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from console.cli.approvals import bounded_text
from state.api.approvals import NAMESPACE, Approve
from state.api.caller import KernelAccount
from state.errors import Refused
from state.estate.model import Estate
from state.policy.identity import person_of
from tests.support.signing import BEN, asked, estate, people, sign
from tests.support.small_estate import small

REWRITTEN: dict[str, Callable[[str], bytes]] = {
    "other line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "a mark in front": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "blanks before its lines": lambda text: "".join(f"  {line}\n" for line in text.splitlines()).encode(),
}


@pytest.mark.parametrize("how", list(REWRITTEN))
async def test_a_signature_that_another_program_has_rewritten_is_the_same_one(how: str, tmp_path: Path) -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        text = (await lab.engine.approvals.card(BEN, name)).statement
        good, file = sign("ben", text), tmp_path / "A.sig"
        file.write_bytes(REWRITTEN[how](good))
        await lab.engine.approvals.act(BEN, name, Approve(bounded_text(file)))
        (given,) = [each.payload for each in lab.store.rows() if b'"approval.given"' in each.header]
        assert json.loads(given)["signature"] == good, "as ssh-keygen reads it, for who verifies it later"


ALTERED: dict[str, tuple[Callable[[str], bytes], str]] = {
    "Notepad": (
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        r"with a byte order mark and other line ends",
    ),
    "an editor": (lambda text: text.encode("utf-8-sig"), "with a byte order mark in front"),
    "PowerShell": (lambda text: b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le"), "rewritten in UTF-16"),
}


@pytest.mark.parametrize("how", list(ALTERED))
async def test_a_statement_that_another_program_has_rewritten_is_refused_with_what_it_did(how: str) -> None:
    alter, reason = ALTERED[how]
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        text = (await lab.engine.approvals.card(BEN, name)).statement
        with pytest.raises(Refused, match=f"the statement was signed {reason}"):
            await lab.engine.approvals.act(BEN, name, Approve(sign("ben", alter(text))))


def _string(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw


def old_signature(key: rsa.RSAPrivateKey, text: bytes, kind: bytes, how: str, by: hashes.HashAlgorithm) -> str:
    """As old agents make it: the kind of the signature, and the hash of the text."""
    blob = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    space, named = NAMESPACE.encode(), how.encode()
    inner = b"SSHSIG" + _string(space) + _string(b"") + _string(named) + _string(hashlib.new(how, text).digest())
    signed = _string(kind) + _string(key.sign(inner, padding.PKCS1v15(), by))
    parts = (base64.b64decode(blob.split()[1]), space, b"", named, signed)
    code = base64.b64encode(b"SSHSIG\0\0\0\1" + b"".join(map(_string, parts))).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{code}\n-----END SSH SIGNATURE-----\n"


async def test_a_signature_with_sha_1_is_refused_as_that_and_not_as_one_over_another_text() -> None:
    key, found = rsa.generate_private_key(65537, 2048), people()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    found["ben"]["keys"]["card"] = {"public": public}
    async with small(estate={**estate(), "people": found}) as lab:
        name, _ = await asked(lab)
        text = (await lab.engine.approvals.card(BEN, name)).statement.encode()
        for kind, how, by in ((b"ssh-rsa", "sha512", hashes.SHA1()), (b"rsa-sha2-512", "sha1", hashes.SHA512())):
            with pytest.raises(Refused, match="made with SHA-1"):
                await lab.engine.approvals.act(BEN, name, Approve(old_signature(key, text, kind, how, by)))
        good = old_signature(key, text, b"rsa-sha2-512", "sha256", hashes.SHA512())
        await lab.engine.approvals.act(BEN, name, Approve(good))
        assert "approval.given" in lab.kinds()


def test_an_account_whose_name_is_a_number_is_not_the_account_with_that_number() -> None:
    told = {**estate(), "people": {"ada": {"accounts": ["1001"], "roles": ["commander"]}, "ben": {"accounts": ["ben"]}}}
    made = Estate.model_validate(told)
    assert person_of(made, KernelAccount(1001, "whoever")) == "ada"
    assert person_of(made, KernelAccount(1777, "1001")) == ""
    assert person_of(made, KernelAccount(1777, "ben")) == "ben"
