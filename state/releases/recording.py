"""Recording a release: what a pipeline says is held against the estate, then it is an entry of the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from state.api.caller import Caller
from state.api.messages import Accepted
from state.api.releases import ReleaseRecord
from state.config_files.suggestions import not_found
from state.errors import Refused
from state.estate.model import Estate
from state.journal.events import Event
from state.journal.writer import Journal
from state.policy.authority import RECORDING, require_role
from state.releases.events import ReleaseRecorded
from state.releases.ledger import Ledger
from state.text import clean
from state.world.release_parts import is_digest, schema_key, short_digest

DIGESTS = "Give the digest of the artifact, as its build printed it: sha256: and 64 hexadecimal digits"
SCHEMAS = "Give whole numbers with dots, as the schema's own table has them: 20261127 or 4.12"


class Recording:
    """What pipelines may ask for. `estate` is the one in force when asked."""

    def __init__(self, estate: Callable[[], Estate], ledger: Ledger, journal: Journal) -> None:
        self._estate, self._ledger, self._journal = estate, ledger, journal

    async def record(self, caller: Caller, asked: ReleaseRecord) -> Accepted:
        """Record a release; what is known already in the same words is not recorded again. Raises Refused, NotFound
        and JournalUnavailable."""
        require_role(caller, RECORDING, "recording a release")
        estate = self._estate()
        if asked.service not in estate.services:
            raise not_found("service", asked.service, estate.services)
        for name in asked.needs:
            if name not in estate.checks:
                raise not_found("check of the estate", name, estate.checks)
        refused = next(_faults(asked), None)
        if refused is not None:
            raise refused
        known = self._ledger.releases.get(asked.service, {}).get(asked.digest)
        named = f"{asked.service} {asked.version} {short_digest(asked.digest)}"
        body = ReleaseRecorded(
            asked.service, asked.digest, asked.version, asked.schema_min, asked.schema_max, clean(asked.commit),
            clean(asked.change), asked.reversible_until, tuple(map(clean, asked.blockers)), asked.needs,
            f"{named}: {'recorded' if known is None else 'said anew'}",
        )  # fmt: skip
        if known is not None and all(getattr(known, name) == getattr(body, name) for name in SAID):
            return Accepted("", f"{named} is recorded already, in the same words")
        await self._journal.append(Event(body, caller.person or caller.account, caller.session))
        return Accepted("", body.message)


SAID = (
    "version", "schema_min", "schema_max", "commit", "change", "reversible_until", "blockers", "needs",
)  # fmt: skip
"""What a record says of its artifact."""


def _faults(asked: ReleaseRecord) -> Iterator[Refused]:
    """Why a record is not to be taken."""
    if not is_digest(asked.digest):
        fact = f"{clean(asked.digest) or 'nothing'} names no artifact for ever: a tag may be another one tomorrow"
        yield Refused("digest", fact, DIGESTS)
    if not asked.version or clean(asked.version) != asked.version:
        yield Refused("version", "a release needs the version that people call it by", "Give --version")
    for name in ("schema_min", "schema_max", "reversible_until"):
        value = getattr(asked, name)
        if value and schema_key(value) is None:
            yield Refused("schema-version", f"{name} {clean(value)} has no order", SCHEMAS)
    if bool(asked.schema_min) != bool(asked.schema_max):
        fact = "only one end of the range of schemas is given, and what is beyond the other end would count as tried"
        yield Refused("schema-range", fact, "Give both --schema-min and --schema-max, or none of them")
    low, high = schema_key(asked.schema_min), schema_key(asked.schema_max)
    if low is not None and high is not None and low > high:
        yield Refused("schema-range", f"{asked.schema_min} is newer than {asked.schema_max}", "Exchange them")
