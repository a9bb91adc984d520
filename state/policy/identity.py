"""Who calls, from what the kernel says: the account, and the one that logged in. Nothing that a caller says counts."""

from __future__ import annotations

from state.api.caller import Identified, KernelAccount
from state.estate.model import Estate
from state.policy.people import same_human


def named(account: KernelAccount) -> frozenset[str]:
    """By which an estate may name an account: its number, and its name unless that reads as the number of another."""
    return frozenset({str(account.uid)} if account.name.isdecimal() else {account.name, str(account.uid)})


def person_of(estate: Estate, account: KernelAccount) -> str:
    """The person of the estate who has the account; empty when nobody has."""
    names = named(account)
    return next((name for name, person in estate.people.items() if names & set(person.accounts)), "")


def identify(estate: Estate, account: KernelAccount, login: KernelAccount | None) -> Identified:
    """Who acts. `login` is the account that logged in, which survives su and sudo; None where it is not known.

    A shared account acts as the person who logged in, and as nobody where that is not known. An account of one person
    that was reached from the login of another one acts as neither.
    """
    person, by_login = person_of(estate, account), "" if login is None else person_of(estate, login)
    if named(account) & set(estate.policies.shared_accounts):
        if not by_login:
            doubt = f"the account {account.name} is shared, and the login does not say whose it is"
            return Identified("", (), doubt, shared=True)
        person = by_login
    doubt = ""
    if person and by_login and not same_human(estate, person, by_login):
        doubt = f"the account {account.name} of {person} was reached from a login of {by_login}"
    return Identified(person, tuple(estate.people[person].roles) if person else (), doubt)
