"""`recovery trust FILE`, and the question before an estate that was found by itself runs anything the first time.

An estate names programs that its engine runs: of secrets, of own commands. Who changes to a folder has not said that
they shall run. So a file that nobody named runs nothing until this account has said yes once. The yes is for a path and
its owner; it is in the account's own state folder. Naming a file is a yes for that one time.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import click

from console.cli.reach import host_option, json_option, run_there
from console.cli.shown import neutral, note, say, say_json
from console.places import EnginePlace, find, states
from state.errors import ConfigError, ExitCode, NotFound, Problem, Refused
from state.host.regular import bounded
from state.host.trust import account_name, require_ours

KEPT = "known-estates.json"
LARGEST = 1_000_000


def kept_in() -> Path | None:
    """The file with every estate that this account has said yes to; None for an account without a home."""
    folder = states()
    return None if folder is None else folder / KEPT


def is_known(file: Path) -> bool:
    """Whether this account has said yes to an estate's file, and its owner is the same."""
    return _entry(file) in _read()


def remember(file: Path) -> None:
    """Say yes to an estate's file; what is not there any more is forgotten. Raises ConfigError where this account has
    no place for it."""
    from console.engine.host import make_private

    kept, known = kept_in(), [each for each in _read() if os.path.exists(each[0])]
    if kept is None:
        raise ConfigError((Problem("HOME", 0, 0, "nothing", "a folder of this account for what it trusts"),))
    make_private(kept.parent)
    fresh = kept.with_name(f"{KEPT}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(sorted({*known, _entry(file)}), out, indent=1)
    fresh.replace(kept)


def require_yes(place: EnginePlace) -> None:
    """Ask before an estate that nobody named runs anything the first time. Raises Refused without a yes, and without a
    terminal to ask on."""
    if not place.by_itself or place.file is None or is_known(place.file):
        return
    file = str(place.file)
    me = account_name(os.geteuid())
    fact = f"{file} ({place.chosen}) was found and not named here, and {me} has not used it before"
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        note(neutral(f"{fact}."))
        note("Its engine runs the programs that it names, as this account, and reads the secrets that it names.")
        if click.confirm("Use it?", default=False, err=True):
            remember(place.file)
            return
    way_out = f"Read it. If it is yours: recovery trust {shlex.quote(file)}; to use it once, name it: --estate FILE"
    raise Refused("known-estate", f"{fact}; nothing in it was run", way_out)


def _entry(file: Path) -> tuple[str, int]:
    return str(file.resolve()), file.stat().st_uid


def _read() -> list[tuple[str, int]]:
    """Every path with its owner; none where the file is not ours. Raises ConfigError then."""
    kept = kept_in()
    if kept is None or not kept.is_file():
        return []
    require_ours(kept)
    try:
        content = json.loads(bounded(kept, LARGEST))
        return [(str(path), int(uid)) for path, uid in content]
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return []


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@host_option
@json_option
def trust(file: Path | None, as_json: bool) -> int:
    """Let an estate's file run what it names, where it is found without being named.

    Without FILE: that of the estate in this folder. Asked once of each account; who owns the file may change it.
    """
    if (code := run_there()) is not None:
        return code
    place = find(str(file) if file else None, "FILE")
    if place.file is None:
        raise NotFound(f"the file of {place.estate} is not known here: give FILE")
    remember(place.file)
    if as_json:
        say_json({"estate": place.estate, "file": str(place.file), "list": str(kept_in())})
    else:
        say(neutral(f"{place.estate}: {place.file} may run what it names, as {account_name(os.geteuid())}"))
    return ExitCode.DONE
