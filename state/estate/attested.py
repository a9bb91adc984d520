"""What an estate attests and no program can read: who says so, since when, and how."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from state.estate.entry import Entry
from state.estate.waivers import Reason

AttestedBy = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(str.strip)]


class EncryptedAtRest(Entry):
    """That the data of a database is encrypted where it lies: `by` whom that was looked at, `on` which day, `how` it is
    done. It counts for a year."""

    by: AttestedBy
    on: date
    how: Reason

    @property
    def at(self) -> float:
        """The beginning of that day in UTC, epoch seconds."""
        return datetime(self.on.year, self.on.month, self.on.day, tzinfo=UTC).timestamp()
