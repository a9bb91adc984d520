"""Who is the same human being, whose a key is, and by what policy people act."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import NamedTuple

from state.estate.model import Estate
from state.estate.people import PersonalKey
from state.journal.format import canonical


def fingerprint_of(blob: bytes) -> str:
    """The fingerprint of a key as OpenSSH shows it."""
    return "SHA256:" + b64encode(sha256(blob).digest()).decode().rstrip("=")


def human(estate: Estate, person: str) -> str:
    """One name for one human being: that of the entry that this one is the same as, in any case of letters."""
    entry = estate.people.get(person)
    return ((entry.same_as if entry is not None else None) or person).casefold()


def marks_of(estate: Estate, person: str) -> frozenset[str]:
    """What tells a human being: the one name, and the accounts in any case of letters."""
    entry = estate.people.get(person)
    accounts = () if entry is None else entry.accounts
    return frozenset((f"person {human(estate, person)}", *(f"account {each.casefold()}" for each in accounts)))


def same_human(estate: Estate, one: str, other: str) -> bool:
    """Whether two names, or entries of the estate by their accounts, are one human being."""
    return not marks_of(estate, one).isdisjoint(marks_of(estate, other))


class KeyOwner(NamedTuple):
    """A key of the estate, its name and its person."""

    person: str
    name: str
    key: PersonalKey


def owner_of(estate: Estate, blob: bytes) -> KeyOwner | None:
    """Whose a public key is; None when it is nobody's."""
    for person, entry in estate.people.items():
        for name, key in entry.keys.items():
            if key.blob == blob:
                return KeyOwner(person, name, key)
    return None


def keys_of(estate: Estate, person: str, wall: float) -> tuple[str, ...]:
    """The public keys of a person that count at this time."""
    entry = estate.people.get(person)
    return tuple(key.public for key in entry.keys.values() if not key.not_valid(wall)) if entry is not None else ()


def who_may_approve(
    estate: Estate, roles: Collection[str], requester: str, given: Iterable[str], wall: float
) -> tuple[str, ...]:
    """The people who can approve a request now, each human being once: with the role, a key that counts, and nothing to
    do with the requester or those who have approved already."""
    taken = set[str]().union(*(marks_of(estate, each) for each in (requester, *given)))
    found: list[str] = []
    for name, person in estate.people.items():
        if set(roles) & set(person.roles) and keys_of(estate, name, wall):
            marks = marks_of(estate, name)
            if marks.isdisjoint(taken):
                found.append(name)
                taken |= marks
    return tuple(found)


def policy_digest(estate: Estate) -> str:
    """A hash of who may do what: people with their accounts, roles and keys, and the rules."""
    body = {"people": people_rules(estate), "policies": table(estate), "environment": estate.environment}
    return sha256(canonical(body)).hexdigest()


def people_rules(estate: Estate) -> dict[str, object]:
    """Who has which roles, accounts and keys, as JSON."""
    return {name: entry.model_dump(mode="json", exclude_defaults=True) for name, entry in estate.people.items()}


def table(estate: Estate) -> dict[str, object]:
    """The rules about authority, as JSON."""
    policies = estate.policies.model_dump(mode="json", exclude_defaults=True)
    return {k: v for k, v in policies.items() if k in ("authority", "second_person", "shared_accounts", "score")}
