"""Whether a host is prepared for access that ends by itself: read through its own program, nothing is tried."""

from __future__ import annotations

from functools import partial

from adapters.access.host_access import host_access
from adapters.context import AdapterContext
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure, Trouble
from state.estate.access import HostAccessEntry
from state.estate.hosts import SshHost

GIVES, ENDS = "give access", "end access"
PREPARE = "recovery host prepare"


async def look_at_host_access(
    subject: Subject, name: str, host: SshHost, entry: HostAccessEntry, context: AdapterContext, deadline: float
) -> list[Diagnosis]:
    """What the account that ssh logs in can do there about grants. Raises ConfigError where the files of the authority
    are not ours alone."""
    target = host_access(name, entry, host, context.base, partial(context.command, name, name))
    try:
        seen = await target.seen([], deadline=deadline)
    except ReadFailure as failure:
        unread = failure.trouble in (Trouble.TIMEOUT, Trouble.UNREACHABLE)
        made = subject.unknown if unread else subject.fails
        way_out = "bring the host back" if unread else f"{PREPARE} {name}"
        return [made(Asked.RIGHTS, f"access: {failure.message}", way_out).shows(GIVES)]
    if seen.unable:
        told = subject.fails(Asked.RIGHTS, f"access: {seen.unable}", f"{PREPARE} {name}")
        return [told.shows(GIVES), told.shows(ENDS)]
    bundles = ", ".join(target.bundles) or "none"
    given = subject.passes(Asked.RIGHTS, f"may give access ({bundles}): the host and its sshd are prepared")
    ended = subject.passes(Asked.RIGHTS, "may end access, and sees every process there")
    return [given.shows(GIVES), ended.shows(ENDS)]
