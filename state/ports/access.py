"""A target where access is given for a while. Each end is idempotent; that it came is told by reading only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from state.api.views.access import GrantCredential
from state.granting.model import AccessSeen, Armed, Residue
from state.granting.picture import PictureItem
from state.ports.target import Identity


@runtime_checkable
class NamesItself(Protocol):
    """A place of access that says which machine it is."""

    async def identify(self, *, deadline: float) -> Identity:
        """The machine, and since which start it runs. Raises ReadFailure."""


class CanGrant(Protocol):
    """One cluster, or one host. `bundles` are those that it is prepared for, `longest` the most seconds of a grant,
    `takes` what opens a login, `idle` the seconds between two looks while no grant is live there."""

    bundles: Sequence[str]
    longest: float
    takes: GrantCredential

    @property
    def idle(self) -> float: ...

    async def seen(self, oids: Collection[int], *, deadline: float) -> AccessSeen:
        """Roles with raised rights, the sessions of these OIDs and of all grants, at every node. Raises ReadFailure
        when the node that accepts writes is not read."""

    async def arm(
        self,
        grant: str,
        role: str,
        bundle: str,
        person: str,
        ticket: str,
        *,
        effect: str,
        seconds: int,
        deadline: float,
    ) -> Armed:
        """Make the role without a login, with its end. Raises EffectRefused and EffectUnknown."""  # fmt: skip

    async def watch(self, oid: int, *, deadline: float) -> Mapping[str, str]:
        """Have each server wait for the end by itself where none does; why not, by node."""

    async def rehearse(self, oid: int, role: str, *, deadline: float) -> Sequence[str]:
        """Whether each node asks for the password of this role and takes it, tried while it cannot log in; what is
        against it. Raises EffectRefused and EffectUnknown."""

    async def open_login(self, oid: int, verifier: str, *, window: float, deadline: float) -> float:
        """Open the login, once; until when, epoch seconds of the target. Raises EffectRefused and EffectUnknown."""

    async def keep_open(self, oid: int, *, window: float, deadline: float) -> float | None:
        """Open it for another while; None when the grant is over. Raises EffectRefused and EffectUnknown."""

    async def extend(self, oid: int, seconds: int, *, effect: str, deadline: float) -> float:
        """Move its end; the new one. Raises EffectRefused and EffectUnknown."""

    async def block(self, oid: int, *, deadline: float) -> None:
        """Close its login for good. Raises EffectRefused and EffectUnknown."""

    async def terminate(
        self, oid: int, starting: Mapping[str, Sequence[int]], *, sure: bool, deadline: float
    ) -> Mapping[str, str]:
        """End its sessions at every node, and processes that have not said yet whose they are; why not, by node.

        `sure`: its end has begun, also where a node has not heard of that; else a node ends what it finds to be over.
        """

    async def residue(self, oid: int, role: str, *, deadline: float) -> Sequence[Residue]:
        """What it has left in all databases. Raises ReadFailure."""

    async def clear(self, oid: int, databases: Collection[str], *, deadline: float) -> Mapping[str, str]:
        """Hand over what it made and revoke what it had, in each database; why not, by database."""

    async def picture(self, oids: Collection[int], *, deadline: float) -> Sequence[PictureItem]:
        """All that is compared before and after a grant of the tier of superusers, but for the roles of these OIDs.
        Raises ReadFailure; what cannot be read is an item itself."""

    async def finish(self, oid: int, *, deadline: float) -> None:
        """Remove the role. Raises EffectRefused and EffectUnknown."""
