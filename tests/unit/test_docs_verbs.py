"""Every verb that a document names is one that the command line has, with the options and arguments written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console.cli.verbs import VERBS
from tests.support.verbs import by_path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SPAN = re.compile(r"`(?:\.venv/bin/)?recovery ([^`]+)`")
LINE = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?recovery (.+)$")
NUMBERS = {"PORT": "9187", "S": "5", "SECONDS": "5", "SEQ": "7", "ORDERS": "20"}
"""What stands for a number."""
KNOWN = by_path()


def named(text: str) -> Iterator[tuple[str, bool]]:
    """What follows `recovery` in blocks and in sentences, and whether it is a whole line to type."""
    inside = False
    for line in text.splitlines():
        inside ^= line.lstrip().startswith("```")
        whole = LINE.match(line) if inside else None
        if whole:
            yield whole[1], True
        elif not inside:
            for span in SPAN.finditer(line):
                yield span[1], False


def words_of(written: str) -> list[str]:
    """The words that a shell hands over; what stands in brackets is given too."""
    bare = written.replace("ssh://[USER@]HOST[:PORT]", "ssh://HOST").replace("[", "").replace("]", "")
    words = (word.partition("|")[0] for word in shlex.split(bare.partition(" #")[0].partition(" >")[0]))
    return [NUMBERS.get(word, word) for word in words]


EXAMPLES = sorted(
    {(str(path.relative_to(ROOT)), text, whole) for path in DOCUMENTS for text, whole in named(path.read_text())}
)


def test_the_documents_name_many_verbs() -> None:
    said = {text.split()[0] for _, text, _ in EXAMPLES}
    assert len(EXAMPLES) > 60
    assert set(VERBS) - said <= {"db", "stop"}, "these are rows of tables"


@pytest.mark.parametrize(("document", "written", "whole"), EXAMPLES)
def test_a_verb_of_a_document_is_accepted(document: str, written: str, whole: bool) -> None:
    words = words_of(written)
    if words[0] in ("VERB", "…"):
        return
    path = next((" ".join(words[:n]) for n in (3, 2, 1) if " ".join(words[:n]) in KNOWN), None)
    if path is None:
        assert any(known.startswith(f"{' '.join(words)} ") for known in KNOWN) or words[1].startswith("-"), written
        return
    rest = words[len(path.split()) :]
    try:
        KNOWN[path].make_context(path, rest)
    except click.MissingParameter:
        assert not whole, "a line to type has all that it needs"
