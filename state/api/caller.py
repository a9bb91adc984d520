"""Who calls the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the other end, as the kernel reports it.

    `person` and `roles` come from the estate's account map; `read_only` is true on the observers' socket, where
    no verb acts, whatever the roles allow. `session` distinguishes two consoles of one person. `login_uid` is the
    account that logged in, None where the kernel does not know it; `doubt` says why it is not clear who acts, empty
    when it is. `shared`: the account is one of several people, and the login does not say which of them.
    """

    uid: int
    account: str
    person: str
    roles: tuple[str, ...]
    session: str
    read_only: bool
    login_uid: int | None = None
    doubt: str = ""
    shared: bool = False


class KernelAccount(NamedTuple):
    """An account as the kernel has it: its number, and its name or number."""

    uid: int
    name: str


class Identified(NamedTuple):
    """A person with roles, and why it is not clear who acts, if so; `shared` as in `Caller`."""

    person: str
    roles: tuple[str, ...]
    doubt: str = ""
    shared: bool = False
