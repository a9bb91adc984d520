"""People of an estate: accounts, roles, and the keys with which they sign."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from state.estate.entry import Entry, Name
from state.estate.values import PersonName

Role = Literal["observer", "responder", "commander", "approver", "access-admin", "auditor", "pipeline"]

TOUCHED = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
"""Kinds of keys that live in hardware and tell whether somebody touched it."""
KEY_TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", *TOUCHED,
)  # fmt: skip
"""Kinds of public keys that may sign."""
WHEN = "%Y-%m-%dT%H:%M:%SZ"
"""How times are written: in UTC and so marked, as a time without a zone is another one on each machine."""


@lru_cache(maxsize=4096)
def key_blob(public: str) -> bytes:
    """The bytes of a public key written as `TYPE BASE64 [comment]`. Raises ValueError saying what was expected."""
    words = public.split()
    if len(words) < 2 or words[0] not in KEY_TYPES:
        raise ValueError(f"a public key as in a .pub file: its kind ({', '.join(KEY_TYPES)}), then its base64")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a public key as in a .pub file: its second word is no base64") from None
    size = int.from_bytes(blob[:4], "big")
    if len(blob) < 36 or blob[4 : 4 + size] != words[0].encode():
        raise ValueError(f"a whole public key of the kind {words[0]}: this one is cut off or of another kind")
    return blob


def instant(text: str) -> float:
    """Epoch seconds of `2026-12-01T00:00:00Z`. Raises ValueError."""
    try:
        return datetime.strptime(text, WHEN).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ValueError("a time in UTC that ends with Z: 2026-12-01T00:00:00Z") from None


def _a_key(text: str) -> str:
    key_blob(text)
    return text


def _a_time(text: str) -> str:
    instant(text)
    return text


PublicKey = Annotated[str, Field(max_length=4000), AfterValidator(_a_key)]
UtcTime = Annotated[str, AfterValidator(_a_time)]


class PersonalKey(Entry):
    """A public SSH key of one person, as in a .pub file. `touch`: its hardware must say that it was touched. It counts
    from `since` until `until`; `revoked` says why it counts no more."""

    public: PublicKey
    touch: bool = False
    since: UtcTime | None = None
    until: UtcTime | None = None
    revoked: Annotated[str, Field(max_length=200)] = ""

    @property
    def blob(self) -> bytes:
        """Its bytes."""
        return key_blob(self.public)

    def not_valid(self, at: float) -> str:
        """Why it does not count at this time (epoch seconds), empty when it does."""
        if self.revoked:
            return f"it is revoked: {self.revoked}"
        if self.since is not None and at < instant(self.since):
            return f"it counts from {self.since} on"
        if self.until is not None and at >= instant(self.until):
            return f"it counted until {self.until}"
        return ""


class Person(Entry):
    """A person with roles; `accounts` are operating-system accounts, which the kernel identifies, `keys` what the
    person signs with. `same_as` names the entry that is the same human being under another name."""

    title: str = ""
    accounts: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    keys: Mapping[Name, PersonalKey] = Field(default_factory=dict)
    same_as: PersonName | None = None
