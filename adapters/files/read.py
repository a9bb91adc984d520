"""Estate and runbook files on disk; what another account may change is refused. Failures are ConfigError."""

from __future__ import annotations

import errno
from pathlib import Path

from adapters.files.located_yaml import parse_yaml, refuse
from state.config_files.located import START, Located
from state.errors import ConfigError, Problem
from state.host.regular import bounded
from state.host.trust import require_ours, require_private_folder

LARGEST = 1_000_000
"""The most bytes a file may have."""


def read_yaml(path: Path) -> Located:
    """A YAML file of ours as data with places. Raises ConfigError with the place of every finding."""
    require_ours(path)
    return parse_yaml(_text(path), str(path))


def read_shipped(path: Path) -> Located:
    """The same of a file that is part of the program: whoever may change it may change the program."""
    return parse_yaml(_text(path), str(path))


def runbook_paths(estate_file: Path, listed: tuple[str, ...]) -> tuple[Path, ...]:
    """The runbook files an estate lists: `*.yaml` and `*.yml` of folders, and files, relative to the estate's file.

    Raises ConfigError when one of them does not exist, or when somebody else may put files into a folder.
    """
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for entry in listed:
        place = estate_file.parent / entry
        if place.is_dir():
            require_private_folder(place.resolve())
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
    """The content of a regular file."""
    try:
        return bounded(path, LARGEST)
    except OSError as error:
        if error.errno == errno.EFBIG:
            refuse(str(path), START, f"at most {LARGEST:,} bytes", "a larger file")
        refuse(str(path), START, f"a readable file: {(error.strerror or 'it cannot be read').lower()}")
