"""What a pipeline would have told of the lab's releases: with it the way back from the bad one is known."""

from __future__ import annotations

from adapters.lab.topology import CATALOG_RELEASE, CONTRACTED, SCHEMA_VERSION, digest_of
from state.api.releases import ReleaseRecord

RECORDS = (
    ReleaseRecord("checkout", digest_of("checkout", "v41"), "v41", str(SCHEMA_VERSION - 1), str(SCHEMA_VERSION)),
    ReleaseRecord(
        "checkout",
        digest_of("checkout", "v42"),
        "v42",
        str(SCHEMA_VERSION),
        str(CONTRACTED),
        reversible_until=str(SCHEMA_VERSION),
    ),
    ReleaseRecord("catalog", digest_of("catalog", CATALOG_RELEASE), CATALOG_RELEASE),
)
"""The oldest first. v42 runs on the schema after the migration too; past that nothing goes back from it."""
