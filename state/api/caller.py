"""Who calls the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the other end, as the kernel reports it.

    `person` and `roles` come from the estate's account map; `read_only` is true on the observers' socket, where
    no verb acts, whatever the roles allow. `session` distinguishes two consoles of one person.
    """

    uid: int
    account: str
    person: str
    roles: tuple[str, ...]
    session: str
    read_only: bool
