"""The journal's entries for the verbs: from the engine, or straight from its file where no engine answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from console.cli.reach import ask, client_of, host_of
from console.cli.shown import note
from console.client.engine_client import EngineClient
from console.client.engine_errors import EngineUnreachable
from console.places import find
from state.api.messages import ChainProof
from state.api.views.header import HeaderView
from state.api.views.journal import JournalRow
from state.api.wire import named, revive
from state.config_files.suggestions import not_found
from state.errors import JournalUnavailable, UnsuitableArgument
from state.proof.seals import SEALED
from state.units import ago, counted, parse_duration, utc_date

if TYPE_CHECKING:
    from adapters.journals.reading import JournalFile
    from state.journal.events import Recorded

T = TypeVar("T")
PAGE = 1000  # entries per request
QUIET = ("engine.heartbeat", SEALED)
"""What comes by the clock is shown where its kind is asked for."""


class Entries(Protocol):
    """Where entries are read."""

    async def head(self) -> int:
        """The seq of the newest entry; 0 when there is none."""

    async def rows(self, after: int, limit: int) -> list[JournalRow]:
        """Entries with seq > after, oldest first, texts made safe."""

    async def detail(self, seq: int) -> dict[str, Any]:
        """One entry with what was recorded, texts made safe; empty where only its row is known."""

    async def verify(self, known: str) -> ChainProof:
        """Whether the chain is valid, and has an entry whose hash begins with `known`."""

    async def export(self) -> bytes:
        """Every entry's stored bytes, one a line, oldest first."""


class EngineEntries:
    """The entries as an engine answers them."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self.verify = client.journal_verify
        self.export = client.journal_export
        self.rows = client.journal

    async def head(self) -> int:
        """The seq of the newest entry."""
        header: HeaderView = await self._client.view("header")
        return header.journal_seq

    async def detail(self, seq: int) -> dict[str, Any]:
        """An engine answers rows only."""
        return {}


class FileEntries:
    """The entries in a journal's file."""

    def __init__(self, file: JournalFile) -> None:
        from state.capabilities import load_events

        load_events()
        self._file = file

    async def head(self) -> int:
        """The seq of the newest entry."""
        return self._file.head()

    async def rows(self, after: int, limit: int) -> list[JournalRow]:
        """Entries with seq > after."""
        from state.views.journal import journal_row

        return [revive(JournalRow, named(journal_row(entry))) for entry in self._recorded(after, limit)]

    async def detail(self, seq: int) -> dict[str, Any]:
        """One entry with what was recorded."""
        for entry in self._recorded(seq - 1, 1):
            event = entry.event
            told = {"node": entry.node, "session": event.session, "incident": event.incident, "hash": entry.hash}
            safe: dict[str, Any] = revive(Any, {**told, "facts": entry.body.as_json()})
            return safe
        return {}

    def _recorded(self, after: int, limit: int) -> list[Recorded]:
        from state.journal.format import unseal_any

        return [unseal_any(sealed) for sealed in self._file.rows(after, limit)]

    async def verify(self, known: str) -> ChainProof:
        """Check the chain page by page."""
        from state.journal.format import Verifier
        from state.views.journal import chain_proof

        verifier, after = Verifier(known), 0
        while page := self._file.rows(after, PAGE):
            if not verifier.feed(page):
                break
            after = page[-1].seq
        found = verifier.prove()
        return chain_proof(replace(found, problem=found.problem or self._file.missing()), known)

    async def export(self) -> bytes:
        """The lines of an export."""
        from state.proof.lines import export_line

        return b"".join(export_line(sealed) + b"\n" for sealed in self._file.rows())


def read_journal(
    estate: str | None, work: Callable[[Entries], Coroutine[Any, Any, T]], *, quiet: bool, file: Path | None = None
) -> T:
    """Do `work` on the entries of an engine; where none answers on this host, on those in its journal's file.

    `file` names a journal's file to read in any case. Raises EngineUnreachable when there is neither.
    """
    if file is not None:
        return _from_file(file, work, f"read from {file}")
    try:
        return ask(work(EngineEntries(client_of(estate, quiet=quiet))))
    except EngineUnreachable:
        if host_of():
            raise
        place = find(estate)
        path = place.journal
        if not path.is_file():
            _require_never_there(path, place.runtime)
            raise
        return _from_file(path, work, f"no engine answers; read from {path}", place.runtime)


def _require_never_there(path: Path, runtime: Path) -> None:
    """Raises JournalUnavailable when a journal was there and is gone."""
    from adapters.journals.head_file import heads_of
    from adapters.journals.reading import require_content

    require_content(path)
    for head in heads_of(path, runtime):
        if gone := head.missing(lambda _: None):
            raise JournalUnavailable(f"{path} does not exist; {gone}")


def _from_file(
    path: Path, work: Callable[[Entries], Coroutine[Any, Any, T]], how: str, runtime: Path | None = None
) -> T:
    from adapters.journals.reading import JournalFile

    with closing(JournalFile(path, runtime)) as file:
        entries = FileEntries(file)
        note(f"{how}: {ask(_last_of(entries))}")
        return ask(work(entries))


async def _last_of(entries: Entries) -> str:
    head = await entries.head()
    last = await entries.rows(head - 1, 1) if head else []
    if not last:
        return "no entries"
    return f"{counted(head, 'entry', 'entries')}, the last {ago(time() - last[0].at)} old ({utc_date(last[0].at)})"


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are asked for. Empty = all, without heartbeats and seals; `origin` is `observed` or `decided`."""

    run: str = ""
    kind: str = ""
    since: float | None = None
    origin: str = ""

    def takes(self, row: JournalRow) -> bool:
        """Whether an entry is one of them. A kind also names those below it: `run` is `run.started` and others."""
        kind = row.kind == self.kind or row.kind.startswith(f"{self.kind}.") if self.kind else row.kind not in QUIET
        origin = self.origin in ("", row.origin)
        return kind and origin and self.run in ("", row.run) and (self.since is None or row.at >= self.since)


async def newest(entries: Entries, wanted: EntryFilter, count: int) -> list[JournalRow]:
    """The newest entries that are wanted, oldest first. Raises NotFound for a run that no entry is about."""
    found: list[JournalRow] = []
    runs: dict[str, None] = {}
    async for page in _backwards(entries):
        runs.update(dict.fromkeys(row.run for row in reversed(page) if row.run))
        found = [row for row in page if wanted.takes(row)] + found
        if len(found) >= count or (wanted.since is not None and page[0].at < wanted.since):
            break
    if wanted.run and wanted.run not in runs and not found:
        raise not_found("run", wanted.run, runs)
    return found[-count:]


async def _backwards(entries: Entries) -> AsyncIterator[list[JournalRow]]:
    end = await entries.head()
    while end > 0:
        after = max(0, end - PAGE)
        if page := await entries.rows(after, end - after):
            yield page
        end = after


def known_kind(kind: str) -> str:
    """A kind of entry, or the first part of several. Raises NotFound with the nearest."""
    if not kind:
        return ""
    from state.capabilities import load_events
    from state.journal.events import EVENTS

    load_events()
    if not any(known == kind or known.startswith(f"{kind}.") for known in EVENTS):
        raise not_found("kind of entry", kind, EVENTS)
    return kind


def instant(text: str) -> float | None:
    """Epoch seconds, from an age (`30m`, `2h`) or a time (RFC 3339, UTC without a zone). Raises
    UnsuitableArgument."""
    if not text:
        return None
    try:
        if re.fullmatch(r"[\d.]+(ms|s|m|h|d).*", text):
            return time() - parse_duration(text)
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace(" +", "+"))
    except ValueError:
        raise UnsuitableArgument(
            f"{text!r} is no time: write an age like 30m or 2h, or a time like 2026-11-23T07:03:12Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
