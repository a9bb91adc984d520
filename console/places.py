"""The place of an estate's engine on this host: which estate is meant, its sockets, state and index file.

Standard library only and no parsing of more than one line, because a console's first frame waits for it. A running
engine writes `engine.json` into its runtime directory; who can read it finds the engine without the estate file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from state.errors import ConfigError, NotFound, Problem

SYSTEM = Path("/run/recovery")
INDEX = "engine.json"
LAB_MARK = "LAB.json"
ESTATE_FILE = "recovery.yaml"
LAB_ESTATE = "estate.yaml"
_NAME = re.compile(r"""^estate:[ \t]*["']?([A-Za-z0-9][A-Za-z0-9._-]{0,62})["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """One estate's engine on this host. `file` is None when only a running engine's index was found."""

    estate: str
    file: Path | None
    runtime: Path
    state: Path
    chosen: str

    @property
    def engine(self) -> Path:
        """The socket that takes requests."""
        return self.runtime / "engine.sock"

    @property
    def observe(self) -> Path:
        """The socket for reading only."""
        return self.runtime / "observe.sock"

    @property
    def index(self) -> Path:
        return self.runtime / INDEX

    @property
    def lock(self) -> Path:
        return self.state / "engine.lock"

    @property
    def journal(self) -> Path:
        return self.state / "journal.db"

    @property
    def log(self) -> Path:
        return self.state / "engine.log"


def find(wanted: str | None = None) -> EnginePlace:
    """The place of the estate that is meant, and in `chosen` why.

    Order: the argument, `$RECOVERY_ESTATE`, `./recovery.yaml`, the running lab, the only engine on this host,
    `./config/recovery.yaml`. An argument is a file, a folder with a recovery.yaml, or the name of a running
    engine's estate. Raises NotFound, or ConfigError when the file names no estate.
    """
    for named, why in ((wanted, "--estate"), (os.environ.get("RECOVERY_ESTATE"), "$RECOVERY_ESTATE")):
        if named:
            return _named(named, why)
    here = Path(ESTATE_FILE)
    if here.is_file():
        return of_file(here, "in this folder")
    lab = lab_directory()
    if (lab / LAB_MARK).is_file() and (lab / LAB_ESTATE).is_file():
        return of_file(lab / LAB_ESTATE, "the running lab")
    running = list(_indexes())
    if len(running) == 1:
        return _of_index(running[0], "the only engine on this host")
    beside = Path("config") / ESTATE_FILE
    if beside.is_file():
        return of_file(beside, "in ./config")
    names = ", ".join(path.parent.name for path in running)
    raise NotFound(
        f"several engines run here: {names}; choose with --estate NAME"
        if running
        else f"no estate: give --estate FILE, set $RECOVERY_ESTATE, or change to a folder with {ESTATE_FILE}"
    )


def of_file(file: Path, chosen: str) -> EnginePlace:
    """The place of an estate file. Raises ConfigError when it cannot be read or names no estate."""
    file = file.absolute()
    try:
        found = _NAME.search(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(file), 0, 0, "", f"a readable estate file ({_reason(error)})"),)) from error
    if found is None:
        raise ConfigError((Problem(str(file), 1, 1, "", "a line `estate: NAME`"),))
    name = found[1]
    if (file.parent / LAB_MARK).is_file():
        return EnginePlace(name, file, file.parent / "run", file.parent / "state", chosen)
    return EnginePlace(name, file, _runtime(name), _state(name), chosen)


def lab_directory() -> Path:
    """The default directory of `recovery lab up`."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "recovery-lab"
    return Path("/tmp") / f"recovery-lab-{os.getuid()}"  # noqa: S108 - the lab makes it 0700 and checks the owner


def read_index(place: EnginePlace) -> dict[str, Any] | None:
    """What a running engine wrote about itself, or None. It may be from an engine that was killed."""
    return _read(place.index)


def _named(named: str, why: str) -> EnginePlace:
    path = Path(named).expanduser()
    if path.is_dir():
        path = path / ESTATE_FILE
    if path.is_file():
        return of_file(path, why)
    for index in _indexes():
        if index.parent.name == named:
            return _of_index(index, why)
    raise NotFound(f"{why} {named}: no such file, and no engine of that name runs here")


def _roots() -> Iterator[Path]:
    """Where runtime directories may be, system first. One below /tmp counts only when this account owns it."""
    yield SYSTEM
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield Path(runtime) / "recovery"
    own = _own_temporary()
    if own.is_dir() and not own.is_symlink() and own.stat().st_uid == os.getuid():
        yield own


def _own_temporary() -> Path:
    return Path("/tmp") / f"recovery-{os.getuid()}"  # noqa: S108 - made 0700 and owner-checked before use


def _indexes() -> Iterator[Path]:
    for root in _roots():
        yield from sorted(root.glob(f"*/{INDEX}"))


def _runtime(name: str) -> Path:
    """The unit's own directory, else where an engine runs, else where one would be started."""
    folders = os.environ.get("RUNTIME_DIRECTORY")
    if folders:
        return Path(folders.split(":")[0])
    for root in _roots():
        if (root / name / INDEX).is_file():
            return root / name
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "recovery" / name
    return _own_temporary() / name


def _state(name: str) -> Path:
    folders = os.environ.get("STATE_DIRECTORY")
    if folders:
        return Path(folders.split(":")[0])
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "recovery" / name


def _of_index(index: Path, chosen: str) -> EnginePlace:
    content = _read(index) or {}
    file = content.get("file")
    state = Path(str(content.get("state") or _state(index.parent.name)))
    return EnginePlace(index.parent.name, Path(str(file)) if file else None, index.parent, state, chosen)


def _read(index: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
