"""An approval is proven from an export alone, as the document says, with OpenSSH and without this program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.recipes import ROOT
from tests.support.signing import ADA, approve, asked, estate
from tests.support.small_estate import Small, flip, small


def program() -> str:
    """The program of the document."""
    text = (ROOT / "docs/approvals.md").read_text()
    return text.partition("```python\n")[2].partition("```")[0]


async def exported(lab: Small, place: Path) -> Path:
    file = place / "journal.ndjson"
    file.write_bytes(b"\n".join([line async for line in lab.engine.journal_export()]) + b"\n")
    return file


async def test_an_approval_is_proven_from_an_export_alone(tmp_path: Path) -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await approve(lab, name)
        accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        await lab.ended(accepted.run)
        file = await exported(lab, tmp_path)
    (tmp_path / "proof.py").write_text(program())
    words = [sys.executable, "-I", "proof.py", str(file), name]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.startswith("ssh-keygen -Y verify")

    def verified() -> bool:
        return subprocess.run(told, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert verified()
    statement = (tmp_path / "statement").read_text()
    assert f"request: {name}\n" in statement
    for other in (statement.replace("risk: B2", "risk: B1"), statement.rstrip("\n"), statement + "\n"):
        (tmp_path / "statement").write_text(other)
        assert not verified(), other
