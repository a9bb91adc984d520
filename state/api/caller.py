"""Who calls the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the other end, by the kernel's word.

    `person` and `roles` come from the estate's account map; `read_only` is true on the observers' socket, where
    no verb acts whatever the roles say. `session` tells two consoles of one person apart.
    """

    uid: int
    account: str
    person: str
    roles: tuple[str, ...]
    session: str
    read_only: bool
