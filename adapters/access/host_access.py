"""Grants at a host, through the program that `recovery host prepare` has put there: an account for each, let in by a
certificate, watched and ended by the host itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from adapters.access.authority import Authority, nobodys_key, wanted_certificate
from adapters.access.host_rows import TRIED, HostFacts, HostGrant, host_answer, host_facts, host_residue
from adapters.access.knocking import Knocking
from adapters.context import HostCommand
from state.api.views.access import GrantCredential
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.access import PROGRAM, HostAccessEntry, HostBundle
from state.estate.hosts import SshHost
from state.granting.certificates import NoKey, WantedCertificate, parse_certificate, public_key
from state.granting.model import AccessSeen, Armed, Door, Residue, TargetState
from state.granting.picture import PictureItem
from state.granting.scram import fingerprint
from state.ports.target import Identity
from state.text import clean

SESSION = f"{PROGRAM} session"
"""What every certificate forces: the bundle's command or a shell, under the host's own record."""

SOON, SELDOM, EXPECTED = 0.5, 20.0, 60.0
"""Seconds between two looks where no grant is known, after one was made and else; for how long it is expected."""


class HostAccess:
    """Fulfils CanGrant for one host. Connects to nothing before it is asked."""

    def __init__(
        self,
        name: str,
        entry: HostAccessEntry,
        command: Callable[[], HostCommand],
        authority: Authority,
        knocking: Knocking,
    ) -> None:
        self.name, self._entry, self._command = name, entry, command
        self._authority, self._knocking = authority, knocking
        self.bundles: Sequence[str] = tuple(entry.bundles)
        self.longest = entry.longest
        self.takes = GrantCredential.PUBLIC_KEY
        self._made = float("-inf")

    @property
    def idle(self) -> float:
        """A look starts a program there: often only for a while after an account was made."""
        return SOON if time.monotonic() - self._made < EXPECTED else SELDOM

    async def identify(self, *, deadline: float) -> Identity:
        """The machine, and since which start it runs. Raises ReadFailure."""
        told = await self._read(["where"], deadline)
        return Identity(self.name, {key: clean(str(told.get(key, "")), 100) for key in ("name", "machine", "boot")})

    async def seen(self, oids: Collection[int], *, deadline: float) -> AccessSeen:
        """What the host tells; of grants that end or are over also what sshd says to their certificates."""
        facts = await self._facts(oids, deadline)
        shut = {oid: facts.grants[oid] for oid in oids if oid in facts.grants and _is_shut(facts.grants[oid])}
        return facts.seen(self.name, {oid: await self._doors(each, deadline) for oid, each in shut.items()})

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
        """Make the account. Raises EffectRefused and EffectUnknown."""  # fmt: skip
        words = ["arm", grant, role, bundle, person, ticket, effect, str(seconds)]
        self._made = time.monotonic()
        told = await self._act(words, deadline)
        try:
            return Armed(int(told["uid"]), float(told["ends"]))
        except (KeyError, TypeError, ValueError) as error:
            raise EffectUnknown(f"{self.name}: the answer has no account", "no-row", over=True) from error

    async def watch(self, oid: int, *, deadline: float) -> Mapping[str, str]:
        """Have the host wait for the end where nothing does."""
        return await self._tried(["watch", str(oid)], deadline)

    async def rehearse(self, oid: int, role: str, *, deadline: float) -> Sequence[str]:
        """Nothing before it is open: its certificate is tried then, and it is closed again where that is refused."""
        return ()

    async def picture(self, oids: Collection[int], *, deadline: float) -> Sequence[PictureItem]:
        """The host compares by itself what it had before."""
        return ()

    async def open_login(self, oid: int, verifier: str, *, window: float, deadline: float) -> float:
        """Let the holder of a public key in, and look that sshd does. Raises EffectRefused and EffectUnknown."""
        try:
            key = public_key(verifier)
            facts = await self._facts([oid], deadline)
        except NoKey as error:
            raise EffectRefused(f"that is no public key: {error}", "public-key") from error
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        had = facts.grants.get(oid)
        if had is None or had.over or had.told.ends is None:
            raise EffectRefused(f"{self.name} has no grant of the uid {oid}", "no-grant")
        grant, ends, bundle = had.told.grant, had.told.ends, self._bundle(had)
        wanted = wanted_certificate(key, grant, facts.clock, ends, SESSION, _extensions(bundle))
        lines = [await self._authority.sign(each) for each in (wanted, *_controls(wanted))]
        words = ["open", str(oid), fingerprint(verifier), str(round(window)), str(wanted.serial), key, *lines]
        try:
            told = await self._act(words, deadline)
        except EffectUnknown:  # it may be open: it is tried as if it were, and closed unless that shows
            told = {}
        doors = await self._knocking.doors(had.told.role, dict(zip(TRIED, lines, strict=True)), deadline=deadline)
        if shut := [each for each in doors if not each.accepted]:
            await self._tried(["block", str(oid)], deadline)
            why = "; ".join(f"{each.name} was {each.told or 'refused'}" for each in shut)
            raise EffectRefused(f"sshd of {self.name} does not let it in: {why}", "login-refused")
        return float(told.get("until", 0.0))

    async def keep_open(self, oid: int, *, window: float, deadline: float) -> float | None:
        """Open it again, with a certificate up to its end. Raises EffectRefused and EffectUnknown."""
        until = (await self._act(["keep", str(oid), str(round(window))], deadline)).get("until")
        if until is None:
            return None
        await self._renewed(oid, deadline)
        return float(until)

    async def extend(self, oid: int, seconds: int, *, effect: str, deadline: float) -> float:
        """Move its end. Raises EffectRefused and EffectUnknown."""
        told = await self._act(["extend", str(oid), effect, str(seconds)], deadline)
        with suppress(EffectRefused, EffectUnknown):  # the end was moved; the next look at it signs again
            await self._renewed(oid, deadline)
        return float(told["ends"])

    async def block(self, oid: int, *, deadline: float) -> None:
        """Close the login for good. Raises EffectRefused and EffectUnknown."""
        await self._act(["block", str(oid)], deadline)

    async def terminate(
        self, oid: int, starting: Mapping[str, Sequence[int]], *, sure: bool = True, deadline: float
    ) -> Mapping[str, str]:
        """End what runs under it; why not, by host."""
        return await self._tried(["terminate" if sure else "overdue", str(oid)], deadline)

    async def residue(self, oid: int, role: str, *, deadline: float) -> Sequence[Residue]:
        """What it has left. Raises ReadFailure."""
        return host_residue(self.name, await self._read(["residue", str(oid)], max(deadline, 12.0)))

    async def clear(self, oid: int, databases: Collection[str], *, deadline: float) -> Mapping[str, str]:
        """Hand over what it owns; why not, by host."""
        return await self._tried(["clear", str(oid)], max(deadline, 12.0))

    async def finish(self, oid: int, *, deadline: float) -> None:
        """Remove the account. Raises EffectRefused and EffectUnknown."""
        await self._act(["finish", str(oid)], max(deadline, 12.0))

    async def close(self) -> None:
        """Nothing of it is kept here: the connection belongs to the host."""

    def _bundle(self, had: HostGrant) -> HostBundle:
        found = self._entry.bundles.get(had.told.bundle)
        if found is None:
            raise EffectRefused(f"the estate has no bundle {had.told.bundle} at {self.name}", "bundle")
        return found

    async def _renewed(self, oid: int, deadline: float) -> None:
        """Where its end was moved, a certificate for the same key up to the new end."""
        try:
            facts = await self._facts([oid], deadline)
        except ReadFailure:
            return
        had = facts.grants.get(oid)
        if had is None or had.over or not had.told.certificate or had.told.ends is None:
            return
        known = parse_certificate(had.told.certificate)
        if had.told.ends - known.before < 1:
            return
        wanted = wanted_certificate(
            known.key, had.told.grant, facts.clock, had.told.ends, SESSION, _extensions(self._bundle(had))
        )
        line = await self._authority.sign(wanted)
        await self._act(["renew", str(oid), str(wanted.serial), line], deadline)

    async def _doors(self, grant: HostGrant, deadline: float) -> Sequence[Door]:
        return await self._knocking.doors(grant.told.role, grant.certificates, deadline=deadline)

    async def _facts(self, oids: Collection[int], deadline: float) -> HostFacts:
        return host_facts(self.name, await self._read(["seen", *map(str, sorted(oids))], deadline))

    async def _read(self, words: Sequence[str], deadline: float) -> Mapping[str, Any]:
        answer = await self._command().ask([*self._entry.helper, *words], deadline=deadline)
        if not answer.body.strip():
            why = f"recovery-access gave no answer ({answer.warned or f'exit code {answer.code}'})"
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {why}: recovery host prepare {self.name}")
        told = host_answer(self.name, answer.body)
        if "refused" in told:
            raise ReadFailure(Trouble.DENIED, clean(f"{self.name}: {told['refused']}", 500))
        return told

    async def _act(self, words: Sequence[str], deadline: float) -> Mapping[str, Any]:
        """Raises EffectRefused for what the host refuses, EffectUnknown for what is not known to have been done."""
        try:
            return await self._read(words, deadline)
        except ReadFailure as error:
            _raise(error)

    async def _tried(self, words: Sequence[str], deadline: float) -> Mapping[str, str]:
        try:
            await self._act(words, deadline)
        except (EffectRefused, EffectUnknown) as error:
            return {self.name: error.message}
        return {}


def host_access(
    name: str, entry: HostAccessEntry, host: SshHost, base: Path, command: Callable[[], HostCommand]
) -> HostAccess:
    """The adapter for one host of the estate. Raises ConfigError where the authority's files are not ours alone."""
    return HostAccess(name, entry, command, Authority(entry.authority, base), Knocking(host, base))


def _raise(error: ReadFailure) -> NoReturn:
    if error.trouble is Trouble.DENIED:
        raise EffectRefused(error.message, "host-refused") from error
    raise EffectUnknown(error.message, error.trouble.value) from error


def _controls(wanted: WantedCertificate) -> tuple[WantedCertificate, WantedCertificate]:
    """Two that nobody gets: one shares its key with what was given, one its serial, and neither anything else that is
    revoked. That they are refused later shows that key and serial are, each by itself."""
    other = wanted_certificate(wanted.key, wanted.principal, wanted.now, wanted.before, SESSION, wanted.extensions)
    by_key = replace(other, key_id=f"{wanted.key_id}/key")
    return by_key, replace(wanted, key=nobodys_key(), key_id=f"{wanted.key_id}/serial")


def _is_shut(grant: HostGrant) -> bool:
    return grant.over or grant.told.state is TargetState.ENDING


def _extensions(bundle: HostBundle) -> tuple[str, ...]:
    """What a login may do besides its command."""
    shell = () if bundle.command else ("permit-pty",)
    return (*(("permit-port-forwarding",) if bundle.forwarding else ()), *shell)
