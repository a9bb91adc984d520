"""A bundle for an auditor: made from an export, with its own verifier; and checked."""

from __future__ import annotations

import io
import json
import tarfile
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from console.cli.proving import Elsewhere
from console.cli.shown import complain, say, say_json
from state.audit.bundling import files_of_bundle
from state.errors import ExitCode, NotFound, RecoveryError
from state.host.regular import bounded
from state.proof.bundle import MANIFEST, Selection, verify_bundle
from state.proof.lines import ExportLines
from state.units import counted

ROOT = Path(__file__).parents[2]
VERIFIER = ("state/__init__.py", "state/units.py", "state/host/__init__.py", "state/host/regular.py")
"""What the verifier needs besides `state/proof`."""
LARGEST_SOURCE = 1 << 20
MAIN = b"""\
import sys

if sys.version_info < (3, 11):
    told = "this verifier needs Python 3.11 or newer, and this is %d.%d: nothing is shown\\n"
    sys.stderr.write(told % tuple(sys.version_info[:2]))
    sys.exit(3)

from state.proof.__main__ import main

sys.exit(main())
"""
"""Read by any Python: an older one must not end as if something were wrong with what it is given."""


def bundle_proof(path: Path, outside: Elsewhere, *, as_json: bool) -> int:
    """Check a bundle and say what it proves."""
    found = verify_bundle(path, anchors=outside.anchors, trusted=outside.keys)
    code = ExitCode.FAILED if found.problem else ExitCode.UNKNOWN if found.unproven else ExitCode.DONE
    if as_json:
        say_json({"ok": code is ExitCode.DONE, **asdict(found)})
    elif found.problem:
        complain(f"Bundle broken: {found.problem}")
    else:
        asked = counted(found.selected, "entry", "entries")
        say(f"{asked} ({found.selection}) within entries {found.first} to {found.last}, which are whole")
        say(f"sealed up to entry {found.sealed}, anchored up to {found.anchored}; first key {found.root or 'none'}")
        for each in found.unproven:
            say(f"not shown: {each}")
    return code


def bundled(
    file: Path | None, export: bytes, selection: Selection, anchors: Sequence[bytes], sessions: bytes
) -> tuple[bytes, str]:
    """The tar file, and what is in it. Raises NotFound when nothing was recorded of what is asked for."""
    lines = ExportLines(export.splitlines(keepends=True))
    about = {"made": round(time.time(), 3), "version": _version(), **_estate(file)}
    files, told = files_of_bundle([*lines], selection, b"".join(anchors), about, sessions)
    if lines.broken:
        raise NotFound(f"the export cannot be read: {lines.broken}")
    if not told.selected:
        raise NotFound(f"there is no entry of {selection}")
    return tar_of({**files, "verify.pyz": verifier()}), f"{told}"


def _version() -> str:
    try:
        return version("recovery-console")
    except PackageNotFoundError:
        return "unknown"


def _estate(file: Path | None) -> Mapping[str, object]:
    """The policies in force as the estate's file has them now; nothing where it cannot be read here."""
    from console.engine.loading import load

    if file is None:
        return {}
    try:
        found = load(file).estate
    except (RecoveryError, OSError):
        return {}
    people = {name: list(person.roles) for name, person in found.people.items()}
    places = {name: entry.kind for name, entry in found.anchors.items()}
    policies = json.loads(found.policies.model_dump_json())
    return {
        "estate": found.estate,
        "environment": found.environment,
        "policies": policies,
        "roles": people,
        "anchors": places,
    }


def verifier() -> bytes:
    """The offline verifier as one file: `python3 verify.pyz BUNDLE`."""
    held = io.BytesIO()
    sources = [*VERIFIER, *sorted(f"state/proof/{path.name}" for path in (ROOT / "state/proof").glob("*.py"))]
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name in sources:
            made.writestr(zipfile.ZipInfo(name), bounded(ROOT / name, LARGEST_SOURCE))
        made.writestr(zipfile.ZipInfo("__main__.py"), MAIN)
    return b"#!/usr/bin/env python3\n" + held.getvalue()


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """One tar file, the manifest first."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in _in_order(files):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return held.getvalue()


def _in_order(files: Mapping[str, bytes]) -> Iterable[tuple[str, bytes]]:
    return sorted(files.items(), key=lambda each: (each[0] != MANIFEST, each[0]))
