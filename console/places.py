"""The place of an estate's engine on this host: which estate is meant, its sockets, state and index file.

Standard library only, and one line is read where the file has it, because a console's first frame waits for it. A
running engine writes `engine.json` into its runtime directory; who can read it finds it without the estate file.

Sessions of cron, su and sudo lack XDG_RUNTIME_DIR. There the engine's lock in its state folder names its process and
its runtime directory, and the kernel's list of sockets has the others. Only what this account or root owns is used; of
an engine of another account only its place is reported (`state.host.trust`).
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from state.errors import ConfigError, NotFound, Problem
from state.host.processes import held_lock
from state.host.regular import bounded
from state.host.trust import SYSTEM, engine_account, offence, require_ours

SESSIONS = Path("/run/user")
INDEX = "engine.json"
LOCK = "engine.lock"
ENGINE_SOCKET = "engine.sock"
LAB_DIRECTORY = "recovery-lab"
LAB_MARK = "LAB.json"
LARGEST = 1_000_000
"""The most bytes of a file that is read here."""
ESTATE_FILE = "recovery.yaml"
LAB_ESTATE = "estate.yaml"
_LISTENS = "00010000"  # __SO_ACCEPTCON in the flags of /proc/net/unix
_ROOT = re.compile(r"recovery(-\d+)?")
_VALID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NAME = re.compile(
    r"""^(?:estate|"estate"|'estate')[ \t]*:[ \t]+["']?([A-Za-z0-9][A-Za-z0-9._-]{0,62})["']?[ \t]*(?:#.*)?$""",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """One estate's engine on this host. `file` is None when only a running engine's index was found; `by_itself`: the
    file was found in the current folder, or named by another account's engine, and nobody here has named it."""

    estate: str
    file: Path | None
    runtime: Path
    state: Path
    chosen: str
    by_itself: bool = False

    @property
    def engine(self) -> Path:
        """The socket that takes requests."""
        return self.runtime / ENGINE_SOCKET

    @property
    def observe(self) -> Path:
        """The socket for reading only."""
        return self.runtime / "observe.sock"

    @property
    def index(self) -> Path:
        return self.runtime / INDEX

    @property
    def lock(self) -> Path:
        return self.state / LOCK

    @property
    def journal(self) -> Path:
        return self.state / "journal.db"

    @property
    def log(self) -> Path:
        return self.state / "engine.log"


class NoEstate(NotFound):
    """There is no estate here at all: none is named, none is in this folder, and no engine runs."""


def find(wanted: str | None = None, option: str = "--estate") -> EnginePlace:
    """The place of the estate that is meant, and in `chosen` why.

    Order: the argument, `$RECOVERY_ESTATE`, `./recovery.yaml`, the running lab, the only engine on this host,
    `./config/recovery.yaml`. An argument is a file, a folder with a recovery.yaml, or the name of a running
    engine's estate; `option` is how it was given. Raises NotFound, or ConfigError when the file names no estate.
    """
    for named, why in ((wanted, option), (os.environ.get("RECOVERY_ESTATE"), "$RECOVERY_ESTATE")):
        if named:
            return _named(named, why)
    here = Path(ESTATE_FILE)
    if here.is_file():
        return replace(of_file(here, "in this folder"), by_itself=True)
    lab = lab_directory()
    if (lab / LAB_MARK).is_file() and (lab / LAB_ESTATE).is_file() and offence(lab) is None:
        return of_file(lab / LAB_ESTATE, "the running lab")
    running = list(_indexes())
    if len(running) == 1:
        return _of_index(running[0], "the only engine on this host")
    beside = Path("config") / ESTATE_FILE
    if beside.is_file():
        return replace(of_file(beside, "in ./config"), by_itself=True)
    if running:
        names = ", ".join(sorted(path.parent.name for path in running))
        raise NotFound(f"several engines run here: {names}; choose with --estate NAME")
    others = list(_others())
    message = (
        f"no estate: give --estate FILE, set $RECOVERY_ESTATE, or change to a folder with {ESTATE_FILE};"
        " `recovery init` writes one from what runs"
    )
    raise (NotFound if others else NoEstate)(message + "".join(f"; {_of_another(folder)}" for folder in others))


def of_file(file: Path, chosen: str) -> EnginePlace:
    """The place of an estate file. Raises ConfigError when it is not ours, cannot be read or names no estate."""
    file = file.absolute()
    require_ours(file)
    try:
        found = _NAME.search(bounded(file, LARGEST).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((Problem(str(file), 0, 0, "", f"a readable estate file ({_reason(error)})"),)) from error
    name = found[1] if found is not None else _name_in(file)
    if (file.parent / LAB_MARK).is_file():
        return EnginePlace(name, file, file.parent / "run", file.parent / "state", chosen)
    return EnginePlace(name, file, _runtime(name), _state(name), chosen)


def _name_in(file: Path) -> str:
    """The name in a file that is written in another style of YAML. Raises ConfigError."""
    from adapters.files.read import read_yaml

    data = read_yaml(file).data
    name = data.get("estate") if isinstance(data, dict) else None
    if not isinstance(name, str) or not re.fullmatch(_VALID, name):
        raise ConfigError((Problem(str(file), 1, 1, "", "a line `estate: NAME`"),))
    return name


def lab_directory() -> Path:
    """The default directory of `recovery lab up`; where the session names none, that of a lab which runs already."""
    named = _named_session()
    if named is not None:
        return named / LAB_DIRECTORY
    session = _session()
    if session is not None and (session / LAB_DIRECTORY / LAB_MARK).is_file():
        return session / LAB_DIRECTORY
    return Path("/tmp") / f"{LAB_DIRECTORY}-{os.getuid()}"  # noqa: S108 - the lab makes it 0700 and checks the owner


def read_index(place: EnginePlace) -> dict[str, Any] | None:
    """What a running engine wrote about itself, or None. It may be from an engine that was killed."""
    return _read(place.index)


def other_file(place: EnginePlace) -> Path | None:
    """The estate file of the engine that wrote the index here, when it is another one than that of this place.

    The same file is the same path, or the same file by another path. Equal content is not enough: what a file names is
    looked up beside it.
    """
    told = (read_index(place) or {}).get("file")
    if place.file is None or not isinstance(told, str) or Path(told) == place.file:
        return None
    try:
        return None if place.file.samefile(told) else Path(told)
    except OSError:  # it is gone, or closed to this account
        return Path(told)


def _named(named: str, why: str) -> EnginePlace:
    path = Path(named)
    with contextlib.suppress(RuntimeError):  # ~ of an account without a home stays as it is
        path = path.expanduser()
    if path.is_dir():
        path = path / ESTATE_FILE
    if path.is_file():
        return of_file(path, why)
    running = {index.parent.name: index for index in reversed(list(_indexes()))}
    if named in running:
        return _of_index(running[named], why)
    from state.config_files.suggestions import nearest

    close = nearest(named, running)
    hint = f"; did you mean {close}?" if close else ""
    others = "".join(f"; {_of_another(folder)}" for folder in _others() if folder.name == named)
    raise NotFound(f"{why} {named}: no such file, and no engine of that name runs here{hint}{others}")


def running_estates() -> list[str]:
    """The estates whose engines can be named on this host."""
    return sorted({index.parent.name for index in _indexes()})


def lock_holder(place: EnginePlace) -> int | None:
    """The engine process that has the estate's lock, ready or not; None when none has, or it cannot be seen."""
    held = held_lock(place.lock)
    return None if held is None else held.pid


def no_engine(place: EnginePlace) -> str:
    """Why no engine answers at a place: none was started, it was killed, it has no sockets, or it runs under another
    account."""
    if (pid := lock_holder(place)) is not None:
        return (
            f"the engine of {place.estate}, process {pid}, runs but does not listen in {place.runtime}: it is starting"
            f" or ending, or its sockets were removed and it cannot make them anew; {place.log} says which"
        )
    for folder in _others():
        if folder.name == place.estate and folder != place.runtime:
            return f"no engine of {place.estate} listens in {place.runtime}; {_of_another(folder)}"
    index = read_index(place)
    if index is not None:
        return f"no engine of {place.estate} listens in {place.runtime}; process {index.get('pid')} was killed"
    return f"no engine of {place.estate} listens in {place.runtime}"


def _of_another(folder: Path) -> str:
    """An engine that this account does not use, and how to use it."""
    try:
        owner = pwd.getpwuid(folder.stat().st_uid).pw_name
    except (OSError, KeyError):
        owner = "another account"
    return f"an engine of {folder.name} listens in {folder} under {owner}: run the verb as that account"


def _listening() -> Iterator[Path]:
    """Runtime directories in which an engine's socket listens, of every account, as the kernel lists them."""
    try:
        lines = Path("/proc/net/unix").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(maxsplit=7)
        if len(fields) != 8 or fields[3] != _LISTENS:
            continue
        path = Path(fields[7])
        if path.name == ENGINE_SOCKET and _ROOT.fullmatch(path.parent.parent.name):
            yield path.parent


def _others() -> Iterator[Path]:
    """Runtime directories of running engines that belong to another account."""
    for folder in _listening():
        if not _usable(folder):
            yield folder


def _usable(folder: Path) -> bool:
    """Whether a runtime directory may be used: no other account made it up, or root gave it to that account."""
    return isinstance(engine_account(folder, SYSTEM), int) and os.access(folder, os.X_OK)


def _of_lock(state: Path) -> Path | None:
    """The runtime directory of the engine that has the lock in a state folder."""
    held = held_lock(state / LOCK)
    if held is None or not held.runtime:
        return None
    folder = Path(held.runtime)
    return folder if (folder / ENGINE_SOCKET).exists() and _usable(folder) else None


def _roots() -> Iterator[Path]:
    """Where runtime directories may be, system first."""
    yield SYSTEM
    session = _session()
    if session is not None:
        yield session / "recovery"
    yield _own_temporary()


def _own_temporary() -> Path:
    return Path("/tmp") / f"recovery-{os.getuid()}"  # noqa: S108 - made 0700 and owner-checked before use


def _named_session() -> Path | None:
    """What XDG_RUNTIME_DIR names. After su it may still be that of the account before, which is not ours to use."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = os.path.isabs(named) and os.access(named, os.R_OK | os.X_OK) and offence(named) is None
    return Path(named) if usable else None


def _session() -> Path | None:
    """The runtime directory of the login session. Where none is named, that of the account, if it has one."""
    named = _named_session()
    if named is not None:
        return named
    usual = SESSIONS / str(os.getuid())
    return usual if usual.is_dir() and offence(usual) is None else None


def _indexes() -> Iterator[Path]:
    """The index files of engines, those in the usual places first."""
    found = [index for root in _roots() for index in sorted(root.glob(f"*/{INDEX}")) if _usable(index.parent)]
    found += [folder / INDEX for folder in _elsewhere() if (folder / INDEX).is_file()]
    yield from dict.fromkeys(found)


def _elsewhere() -> Iterator[Path]:
    """Runtime directories of running engines of this account that its environment does not lead to."""
    kept = states()
    for lock in sorted(kept.glob(f"*/{LOCK}")) if kept is not None and offence(kept) is None else ():
        if (folder := _of_lock(lock.parent)) is not None:
            yield folder
    if _named_session() is None:
        yield from (folder for folder in _listening() if _usable(folder) and folder.lstat().st_uid == os.getuid())


def _runtime(name: str) -> Path:
    """The unit's own directory, else where an engine runs, else where one would be started."""
    folders = os.environ.get("RUNTIME_DIRECTORY")
    if folders:
        return Path(folders.split(":")[0])
    known = [root / name for root in _roots() if (root / name / INDEX).is_file() and _usable(root / name)]
    running = [folder for folder in _elsewhere() if folder.name == name]
    for folder in (*running, *known):
        return folder
    named = _named_session()
    if named is not None:
        return named / "recovery" / name
    return _own_temporary() / name


def _state(name: str) -> Path:
    folders = os.environ.get("STATE_DIRECTORY")
    if folders:
        return Path(folders.split(":")[0])
    kept = states()
    if kept is None:
        raise NotFound(f"account {os.getuid()} has no home directory for the journal: set HOME or XDG_STATE_HOME")
    return kept / name


def states() -> Path | None:
    """Where the states of this account's engines are; None for an account without a home."""
    named = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(named):
        return Path(named) / "recovery"
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home):  # empty or relative it would be another folder wherever this is typed
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            return None
    return Path(home) / ".local" / "state" / "recovery" if os.path.isabs(home) else None


def _of_index(index: Path, chosen: str) -> EnginePlace:
    content = _read(index) or {}
    file = content.get("file")
    state = Path(str(content.get("state") or _state(index.parent.name)))
    told_by_another = index.stat().st_uid not in (os.geteuid(), 0)
    return EnginePlace(
        index.parent.name, Path(str(file)) if file else None, index.parent, state, chosen, by_itself=told_by_another
    )


def _read(index: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(bounded(index, LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
