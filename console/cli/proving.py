"""`recovery journal verify` and `export`: a journal or an export is checked and told; an export is written whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO
from pathlib import Path
from stat import S_ISFIFO, S_ISREG
from typing import BinaryIO

from console.cli.entries import read_journal
from state.api.messages import ChainProof
from state.errors import ExitCode, JournalUnavailable, NotFound, UnsuitableArgument
from state.proof.anchors import AnchorsRead
from state.units import counted

SQLITE = b"SQLite format 3\x00"
DESCRIPTORS = ("/dev/fd", "/proc/self/fd", "/dev")
"""Where a pipe is an open end that the shell gave: `<(…)`, /dev/stdin."""
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line of an export: more than any entry has."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What other places know: the beginning of an entry's hash, anchors, fingerprints of first keys."""

    known: str
    anchors: AnchorsRead
    keys: tuple[str, ...]


def proof_of(estate: str | None, stored: Path | None, outside: Elsewhere, *, quiet: bool) -> ChainProof:
    """What the engine's journal, or a file, proves. Raises NotFound for a file that cannot be read."""
    known = outside.known
    if stored is not None:
        try:
            with _opened(stored) as file:
                if not _is_journal(stored, file.peek(len(SQLITE))):
                    return _exported(file, outside)
        except OSError as error:
            raise NotFound(f"{stored}: {error.strerror}") from error
    try:
        if outside.anchors.anchors or outside.keys:  # held against the bytes here, not by the engine itself
            raw = read_journal(estate, lambda entries: entries.export(), quiet=quiet, file=stored)
            return _exported(BytesIO(raw), outside)
        return read_journal(estate, lambda entries: entries.verify(known), quiet=quiet, file=stored)
    except JournalUnavailable as error:
        return ChainProof(str(error), "", 0, "", 0, 0)


def _opened(stored: Path) -> BufferedReader:
    """A file or a pipe; nothing is waited for and nothing without an end is read. Raises OSError, NotFound."""
    descriptor = os.open(stored, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    piped = S_ISFIFO(mode) and str(stored.parent) in DESCRIPTORS
    if not (S_ISREG(mode) or piped):
        os.close(descriptor)
        raise NotFound(f"{stored} is no file: name an export or a copy of a journal.db")
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def _is_journal(stored: Path, first: bytes) -> bool:
    """Whether a file is a journal and no export; beside its log it may be damaged at its beginning, or empty."""
    from adapters.journals.reading import beside

    log = beside(stored, "-wal")
    return first.startswith(SQLITE) or (log.is_file() and log.stat().st_size > 0)


def _exported(file: BinaryIO, outside: Elsewhere) -> ChainProof:
    from state.proof.lines import verify_export
    from state.views.journal import chain_proof

    lines = iter(partial(file.readline, LONGEST_LINE), b"")
    found = verify_export(lines, known=outside.known, anchors=outside.anchors.anchors, trusted=outside.keys)
    return chain_proof(found, outside.known)


def proven(proof: ChainProof) -> str:
    """What was proven, and what was not."""
    parts = [f"{counted(proof.entries, 'entry', 'entries')}, head {proof.head}"]
    if proof.erased:
        parts.append(f"{proof.erased} of them without payload: what they said is not proven")
    if proof.known:
        later = proof.entries - proof.known
        after = f"{counted(later, 'entry', 'entries')} after it" if later else "it is the last one"
        parts.append(f"entry {proof.known} has the hash that was given, {after}")
    if proof.sealed:
        periods = counted(proof.periods, "key")
        parts.append(f"sealed up to entry {proof.sealed} with {periods}, the first {proof.root}")
    if proof.anchored:
        parts.append(f"anchored up to entry {proof.anchored}")
    if proof.torn:
        parts.append(f"TORN AT THE END: {proof.torn}; what was behind is not there")
    return f"the chain is valid: {'; '.join(parts)}"


def proof_code(proof: ChainProof) -> ExitCode:
    """An export without its end is no tampering, and no pass either."""
    if proof.problem:
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if proof.torn else ExitCode.DONE


def write_export(output: Path, raw: bytes) -> None:
    """Write an export to a new file with mode 0600, complete or not at all; no link is followed and nothing is
    replaced. Raises UnsuitableArgument and OSError."""
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(output, how, 0o600)
    except FileExistsError as error:
        raise UnsuitableArgument(f"{output} is there and is left as it is: name a new file") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(output)
        raise
