"""A file of people that the program writes anew keeps whose it is."""

from __future__ import annotations

import os
from pathlib import Path

from adapters.files.fresh_files import replace_text


def test_mode_owner_and_group_stay(tmp_path: Path) -> None:
    """The engine's account could no longer read its estate after root had updated it."""
    file = tmp_path / "recovery.yaml"
    file.write_text("estate: shop\n")
    owner = (12345, 12346) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(file, *owner)
    file.chmod(0o640)
    replace_text(file, "estate: other\n")
    status = file.stat()
    assert (file.read_text(), status.st_mode & 0o777) == ("estate: other\n", 0o640)
    assert (status.st_uid, status.st_gid) == owner
    assert list(tmp_path.iterdir()) == [file]
