"""Releases: what pipelines recorded of each, what a running instance says of its own, and the schema that is there."""

from __future__ import annotations

import re
from dataclasses import dataclass

DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
"""What names an artifact for ever. A tag may be another artifact tomorrow."""
SCHEMA = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,5}")
LEAVES = "leaves"
"""What the journal has beside the request of a way back: the digests that served when its card was made."""
SHORT = 12
"""So many digits of a digest are shown."""


def is_digest(text: str) -> bool:
    """Whether a text names one artifact: `sha256:` with 64 hexadecimal digits, or `sha512:` with 128."""
    return DIGEST.fullmatch(text) is not None


def short_digest(digest: str) -> str:
    """`sha256:0123456789ab`; any other text as it is."""
    kind, colon, rest = digest.partition(":")
    return f"{kind}:{rest[:SHORT]}" if colon and is_digest(digest) else digest


def schema_key(version: str) -> tuple[int, ...] | None:
    """A version of a schema as what is compared: whole numbers with dots, `20261127` or `4.12`. None for any other
    text: it has no order. Zeros at the end count nothing, `4.0` is `4`."""
    if SCHEMA.fullmatch(version) is None:
        return None
    numbers = [int(part) for part in version.split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class Release:
    """One release of a service as a pipeline recorded it.

    `schema_min` and `schema_max` are the oldest and the newest version of the schema that it reads and writes rightly;
    empty: not declared. `reversible_until`: the newest version of the schema at which going back from this release
    loses nothing. `blockers` are why nobody goes back from it; `needs` are checks of the estate that must pass for it
    to run, such as the version of somebody else's API. `order` is the journal entry that
    recorded it first: it grows with each release; `at` is its time, epoch seconds. `left_in` is the newest run that
    went back from it, `left_at` when that began; empty: none did.
    """

    service: str
    digest: str
    version: str
    schema_min: str = ""
    schema_max: str = ""
    commit: str = ""
    change: str = ""
    reversible_until: str = ""
    blockers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    order: int = 0
    at: float = 0.0
    actor: str = ""
    left_in: str = ""
    left_at: float = 0.0

    @property
    def label(self) -> str:
        """`v42 sha256:0123456789ab`."""
        return f"{self.version} {short_digest(self.digest)}".strip()


@dataclass(frozen=True, slots=True)
class VersionReading:
    """What one instance says it runs. `started_at`: when its process began, epoch seconds, None = not told. `doubt`:
    why this is no evidence of what its process runs; empty where it is."""

    instance: str
    digest: str
    version: str
    commit: str
    started_at: float | None
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class SchemaReading:
    """The version of a service's schema, as its database has it now."""

    service: str
    version: str
