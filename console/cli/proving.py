"""`recovery journal verify` and `export`: a journal or an export is checked and told; an export is written whole."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from console.cli.entries import read_journal
from state.api.messages import ChainProof
from state.errors import ExitCode, JournalUnavailable, NotFound, UnsuitableArgument
from state.units import counted

SQLITE = b"SQLite format 3\x00"
BEGINS = b'{"hash":"'
"""The first bytes of every export."""
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line of an export: more than any entry has."""


def proof_of(estate: str | None, stored: Path | None, known: str, *, quiet: bool) -> ChainProof:
    """What the engine's journal, or a file, proves. Raises NotFound for a file that cannot be read."""
    if stored is not None:
        try:
            with stored.open("rb") as file:
                if not _is_journal(stored, file.peek(len(SQLITE))):
                    return _exported(file, known)
        except OSError as error:
            raise NotFound(f"{stored}: {error.strerror}") from error
    try:
        return read_journal(estate, lambda entries: entries.verify(known), quiet=quiet, file=stored)
    except JournalUnavailable as error:
        return ChainProof(str(error), "", 0, "", 0, 0)


def _is_journal(stored: Path, first: bytes) -> bool:
    """Whether a file is a journal and no export; beside its log it may be damaged at its beginning, or empty."""
    from adapters.journals.reading import beside

    log = beside(stored, "-wal")
    return first.startswith(SQLITE) or (log.is_file() and log.stat().st_size > 0)


def _exported(file: BinaryIO, known: str) -> ChainProof:
    from state.journal.exports import verify_export
    from state.views.journal import chain_proof

    lines = iter(partial(file.readline, LONGEST_LINE), b"")
    return chain_proof(verify_export(lines, known=known), known)


def proven(proof: ChainProof) -> str:
    """What was proven, and what was not."""
    parts = [f"{counted(proof.entries, 'entry', 'entries')}, head {proof.head}"]
    if proof.erased:
        parts.append(f"{proof.erased} of them without payload: what they said is not proven")
    if proof.known:
        later = proof.entries - proof.known
        after = f"{counted(later, 'entry', 'entries')} after it" if later else "it is the last one"
        parts.append(f"entry {proof.known} has the hash that was given, {after}")
    if proof.torn:
        parts.append(f"TORN AT THE END: {proof.torn}; what was behind is not there")
    return f"the chain is valid: {'; '.join(parts)}"


def proof_code(proof: ChainProof) -> ExitCode:
    """An export without its end is no tampering, and no pass either."""
    if proof.problem:
        return ExitCode.FAILED
    return ExitCode.UNKNOWN if proof.torn else ExitCode.DONE


def write_export(output: Path, raw: bytes) -> None:
    """Write an export with mode 0600, complete or not at all. Only an older export is replaced: a mistyped name must
    not cost a journal. Raises UnsuitableArgument and OSError."""
    there = output.resolve()
    if there.exists() and not there.is_file():  # a pipe or device: nothing is kept there
        there.write_bytes(raw)
        return
    if there.exists():
        with there.open("rb") as file:
            first = file.read(len(BEGINS))
        if _is_journal(there, first) or not BEGINS.startswith(first):
            raise UnsuitableArgument(f"{output} is there and is no export of a journal: it is left as it is")
    descriptor, fresh = mkstemp(prefix=f".{there.name}.", dir=there.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, there)
    except OSError:
        os.unlink(fresh)
        raise
