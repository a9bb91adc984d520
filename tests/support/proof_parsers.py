"""Parsers of what proves a journal: anchors of other places, seals, signatures, bundles."""

from __future__ import annotations

import tempfile
from pathlib import Path

from console.cli.bundles import tar_of
from state.audit.bundling import files_of_bundle
from state.proof.anchors import AnchorsRead
from state.proof.bundle import Selection, verify_bundle
from state.proof.chain import Verifier
from state.proof.seals import NAMESPACE, seal_of
from state.proof.sshsig import fingerprint, wrong
from tests.support.sealed import written

MADE = written(5, periods=2, each=3)
SEEDS = (
    b"Nov 28 log recovery: " + MADE.anchors[0].line.encode(),
    next(entry.payload for entry in MADE.entries if b"journal.sealed" in entry.header),
    MADE.keys[1].public.encode() + b"\n" + MADE.anchors[0].signature.encode(),
)
BUNDLE = tar_of(files_of_bundle(MADE.entries, Selection(since=1.0), b"", {})[0])


def proofs(data: bytes) -> None:
    """Anchors, seals and signatures: whatever it is, it is read or told to be none."""
    read = AnchorsRead()
    read.take(data.splitlines(), "there")
    verifier = Verifier(anchors=read.anchors)
    verifier.feed(MADE.entries)
    verifier.anchors.end(verifier.entries)
    for anchor in read.anchors:
        assert isinstance(f"{anchor} {anchor.wrong()}", str)
    seal = seal_of(3, data)
    if seal is not None:
        seal.wrong()
    for kind in ("journal.sealed", "journal.keyed"):
        following = Verifier(after=(2, b"h" * 32))
        following.seals.take(3, kind, data)
        following.seals.tail(3)
    public, _, signature = data.decode("utf-8", "surrogateescape").partition("\n")
    fingerprint(public)
    wrong(public, b"", signature, NAMESPACE)


def bundles(data: bytes) -> None:
    """A file that says it is a bundle."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.tar")
        path.write_bytes(data)
        assert isinstance(verify_bundle(path).problem, str)
