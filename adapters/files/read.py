"""Estate and runbook files on disk; a file that every account may change is refused. Failures are ConfigError."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from adapters.files.located_yaml import parse_yaml, refuse
from state.config_files.located import START, Located
from state.errors import ConfigError, Problem

LARGEST = 1_000_000
"""The most bytes a file may have."""


def read_yaml(path: Path) -> Located:
    """A YAML file as data with places. Raises ConfigError with the place of every finding."""
    return parse_yaml(_text(path), str(path))


def runbook_paths(estate_file: Path, listed: tuple[str, ...]) -> tuple[Path, ...]:
    """The runbook files an estate lists: `*.yaml` and `*.yml` of folders, and files, relative to the estate's file.

    Raises ConfigError when one of them does not exist.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for entry in listed:
        place = estate_file.parent / entry
        if place.is_dir():
            found |= dict.fromkeys(sorted(p for p in place.iterdir() if p.suffix in {".yaml", ".yml"}))
        elif place.is_file():
            found[place] = None
        else:
            problems.append(Problem(str(estate_file), *START, f"runbooks: {entry!r}", "a folder or file that exists"))
    if problems:
        raise ConfigError(tuple(problems))
    return tuple(found)


def _text(path: Path) -> str:
    raw = _bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = (before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        refuse(str(path), place, "UTF-8 text", f"byte 0x{raw[error.start]:02x}")


def _bytes(path: Path) -> bytes:
    """The file's content, if not everybody may change it. Checked on the open file: it cannot be replaced meanwhile."""
    try:
        # Not blocking, so that a named pipe in place of the file cannot stop this process.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            folder = os.stat(path.resolve().parent)
            if not stat.S_ISREG(status.st_mode):
                refuse(str(path), START, "a regular file")
            if status.st_mode & stat.S_IWOTH:
                mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
                refuse(str(path), START, "a file that not everybody may write (chmod o-w)", mode)
            if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
                mode = f"folder mode {stat.S_IMODE(folder.st_mode):04o}"
                refuse(str(path), START, "a folder where not everybody may replace files (chmod o-w)", mode)
            raw = file.read(LARGEST + 1)
    except OSError as error:
        refuse(str(path), START, f"a readable file: {(error.strerror or 'it cannot be read').lower()}")
    if len(raw) > LARGEST:
        refuse(str(path), START, f"at most {LARGEST:,} bytes", "a larger file")
    return raw
