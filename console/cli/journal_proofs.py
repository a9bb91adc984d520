"""`recovery journal verify`, `anchors` and `export --bundle`: what makes a journal provable to somebody else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from console.cli.entries import instant, read_journal
from console.cli.journal import journal
from console.cli.reach import ask, client_of, estate_option, host_of, json_option
from console.cli.shown import complain, neutral, note, say, say_json
from console.cli.streams import ENDS
from state.api.messages import ChainProof
from state.api.wire import named
from state.errors import ConfigError, ExitCode, NotFound, Problem, ReadFailure, RecoveryError, UnsuitableArgument
from state.units import counted

__all__ = ["journal"]

NEWLINE = b"\n"
MOST = 1 << 28
"""Bytes of the lines of one place."""
READ_LIMIT = 30.0
"""Seconds that one place may take to say what it has."""


@journal.command()
@click.option(
    "--file", "stored", type=click.Path(path_type=Path), help="An export, a bundle, or a journal.db, to check."
)
@click.option(
    "--head", metavar="HASH", help="An entry's hash that was stored elsewhere, 8 digits or more: it must be there."
)
@click.option(
    "--anchors", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help="Lines of a place with anchors."
)
@click.option("--key", "keys", multiple=True, metavar="SHA256:KEY", help="The first key, as it was stored elsewhere.")
@estate_option
@json_option
def verify(
    estate: str | None,
    as_json: bool,
    stored: Path | None,
    head: str | None,
    anchors: tuple[Path, ...],
    keys: tuple[str, ...],
) -> int:
    """Check hash chain, seals and anchors from the first entry, and that nothing is missing at its end.

    Exit code 1 names the first bad entry, or what happened to the file; 3 when an export is cut short, or a bundle
    does not show all of it.
    """
    from console.cli.bundles import bundle_proof
    from console.cli.proving import Elsewhere, proof_code, proof_of, proven
    from state.journal.format import known_head

    outside = Elsewhere("" if head is None else known_head(head), read_anchors(anchors), keys)
    if stored is not None and _is_bundle(stored):
        return bundle_proof(stored, outside, as_json=as_json)
    proof = proof_of(estate, stored, outside, quiet=as_json)
    message = "" if proof.problem else proven(proof)
    code = proof_code(proof)
    if as_json:
        say_json({"ok": code is ExitCode.DONE, "message": message, **_fields(proof)})
    elif proof.problem:
        complain(f"Journal broken: {proof.problem}")
    else:
        say(message)
    return code


def _is_bundle(stored: Path) -> bool:
    from state.proof.bundle import is_bundle

    try:
        return stored.is_file() and is_bundle(stored)
    except OSError:
        return False  # what reads it as an export tells why it cannot be read


def _fields(proof: ChainProof) -> dict[str, Any]:
    fields = named(proof)
    assert isinstance(fields, dict)
    return fields


def read_anchors(files: Sequence[Path]) -> Any:
    """The anchors in the files of some places. Raises NotFound and UnsuitableArgument."""
    from state.host.regular import opened
    from state.proof.anchors import AnchorsRead

    read = AnchorsRead()
    for path in files:
        try:
            with opened(path) as file:
                read.take(file, path.name)
        except OSError as error:
            raise NotFound(f"{path}: {error.strerror}") from error
    if files and not read.anchors:
        raise UnsuitableArgument(f"there is no anchor in {', '.join(map(str, files))}")
    if read.unreadable:
        note(neutral(f"{counted(read.unreadable, 'line')} with an anchor cannot be read"))
    return read


@journal.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here (mode 0600), not to stdout.")
@estate_option
def anchors(estate: str | None, output: Path | None) -> int:
    """Read the anchors that the estate's places have, for `verify --anchors`.

    The places are asked by this process, with the estate's secrets; those that cannot be read back are named. Read them
    before you export: an anchor of an entry behind the end of an export says that it is missing. Exit code 3 when a
    place did not answer.
    """
    from console.cli.proving import write_export

    if host_of():
        raise click.UsageError("the places are asked by the host that has the estate's secrets: call it there")
    lines, missing = asyncio.run(collected(estate))
    for message in missing:
        note(message)
    if output is not None:
        try:
            write_export(output, lines)
        except OSError as error:
            raise click.FileError(str(output), error.strerror) from error
        note(neutral(f"{counted(lines.count(NEWLINE), 'line')} written to {output}"))
    else:
        _to_stdout(lines)
    return ExitCode.UNKNOWN if missing else ExitCode.DONE


async def collected(estate: str | None) -> tuple[bytes, list[str]]:
    """The lines of all places that can be read, and what is to be said of the others. Raises ConfigError."""
    from adapters.wiring import wire
    from console.cli.trusted import require_yes
    from console.engine.loading import load
    from console.places import find
    from state.ports.anchors import CanReadAnchors
    from state.proof.anchors import placed_lines

    place = find(estate)
    if place.file is None:
        raise NotFound("the running engine does not report its estate file: give --estate FILE")
    require_yes(place)
    found = load(place.file).estate
    if not found.anchors:
        raise ConfigError((Problem(str(place.file), 0, 0, "no anchors", "anchors: places outside of this host"),))
    outside = wire(found, place.file.parent)
    missing: list[str] = []
    lines = b""
    try:
        for name, kept in outside.anchors.items():
            if not isinstance(kept, CanReadAnchors):
                missing.append(f"anchors.{name} says nothing back: take its lines from there")
                continue
            try:
                lines += placed_lines(name, await kept.kept(deadline=READ_LIMIT))
            except ReadFailure as failure:
                missing.append(failure.message)
    finally:
        if outside.connections is not None:
            await outside.connections.close()
    return lines, missing


@journal.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here (mode 0600), not to stdout.")
@click.option("--bundle", is_flag=True, help="A bundle for an auditor: needs -o, and what is asked for.")
@click.option("--run", default="", metavar="RUN", help="With --bundle: entries of one run.")
@click.option("--incident", default="", metavar="ID", help="With --bundle: entries of one incident.")
@click.option("--since", default="", metavar="TIME", help="With --bundle: from an age (30m) or a time (RFC 3339) on.")
@click.option("--until", default="", metavar="TIME", help="With --bundle: until then.")
@click.option(
    "--anchors", type=click.Path(path_type=Path), multiple=True, metavar="FILE", help="With --bundle: to put into it."
)
@estate_option
def export(
    estate: str | None,
    output: Path | None,
    bundle: bool,
    run: str,
    incident: str,
    since: str,
    until: str,
    anchors: tuple[Path, ...],
) -> int:
    """Every entry's stored bytes, one a line, for `verify --file` on any machine.

    With --bundle: one run, one incident or one period with all that proves it, and a verifier that needs Python only.
    It writes a new file and replaces none.
    """
    from console.cli.proving import write_export

    asked = any((run, incident, since, until))
    if (asked or anchors) and not bundle:
        raise click.UsageError("--run, --incident, --since, --until and --anchors are for --bundle")
    if bundle and not (asked and output):
        raise click.UsageError("--bundle needs -o FILE, and --run, --incident or --since")
    raw = read_journal(estate, lambda entries: entries.export(), quiet=output is None)
    if not raw:
        raise NotFound("there is no entry to export")
    if output is None:
        return _to_stdout(raw)
    told = f"{counted(raw.count(NEWLINE), 'entry', 'entries')} written to {output}"
    if bundle:
        from console.cli.bundles import bundled
        from state.proof.bundle import Selection

        selection = Selection(run, incident, instant(since) or 0.0, instant(until) or 0.0)
        here = None if host_of() else find_file(estate)
        raw, told = bundled(here, raw, selection, read_all(anchors), session_log(estate))
        told = f"{told} written to {output}"
    try:
        write_export(output, raw)
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from error
    note(neutral(told))
    return ExitCode.DONE


@journal.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here (mode 0600), not to stdout.")
@estate_option
def sessions(estate: str | None, output: Path | None) -> int:
    """What consoles showed and what was pressed there, one JSON object a line, oldest first.

    Keys are told as actions; nothing that was typed or pasted is in it. It is kept for 90 days and at most 64 MB.
    """
    from console.cli.proving import write_export

    raw = ask(client_of(estate, quiet=output is None).sessions())
    if output is None:
        return _to_stdout(raw)
    try:
        write_export(output, raw)
    except OSError as error:
        raise click.FileError(str(output), error.strerror) from error
    note(f"{counted(raw.count(NEWLINE), 'line')} written to {output}")
    return ExitCode.DONE


def session_log(estate: str | None) -> bytes:
    """The session log for a bundle; without an engine there is none, and the bundle is made all the same."""
    try:
        return ask(client_of(estate, quiet=True).sessions())
    except RecoveryError as error:
        note(neutral(f"without the session log: {error}"))
        return b""


def find_file(estate: str | None) -> Path | None:
    """The estate's file, where it is known on this host."""
    from console.places import find
    from state.errors import RecoveryError

    try:
        return find(estate).file
    except RecoveryError:
        return None


def read_all(files: Sequence[Path]) -> list[bytes]:
    """The content of files. Raises NotFound."""
    from state.host.regular import bounded

    try:
        return [bounded(path, MOST) for path in files]
    except OSError as error:
        raise NotFound(f"{error.filename}: {error.strerror}") from error


def _to_stdout(raw: bytes) -> int:
    ENDS.flush()
    sys.stdout.buffer.write(raw)
    return ExitCode.DONE
