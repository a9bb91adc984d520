"""Whose a path is: every component, links followed, owners and modes of each (kinds 1 and 10)."""

from __future__ import annotations

import grp
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from adapters.files.programs import program_of
from adapters.files.read import read_yaml, runbook_paths
from adapters.lab.client import LabClient
from adapters.lab.errors import LabError
from adapters.lab.process.directory import scratch
from adapters.net.socket_folder import SocketFolder
from adapters.net.ssh import require_files
from adapters.secrets import resolve
from console import places
from console.cli.trusted import require_yes
from console.engine.host import make_private, require_own_files
from console.places import find
from state.errors import ConfigError, RecoveryError, Refused
from state.estate.hosts import SshHost
from state.estate.model import Polling, SecretRef
from state.host.trust import engine_account, offence, require_private_folder
from tests.attack.strangers import ROOT, STRANGER, give_away
from tests.support.certificates import Authority


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of ours below the sticky /tmp, with two levels and a file."""
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as name:
        folder = Path(name, "a", "b")
        folder.mkdir(parents=True)
        (folder / "file").write_text("estate: x\n")
        yield Path(name)


def foreign(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


def linked(path: Path) -> None:
    """Put a link of the stranger's where the path was; it leads to the very same."""
    aside = path.rename(path.with_name(f"{path.name}-aside"))
    path.symlink_to(aside)
    foreign(path)


SPOILERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "everybody writes": (lambda path: path.chmod(0o777), "chmod go-w {path}"),
    "a group writes": (lambda path: (os.chown(path, -1, STRANGER), path.chmod(0o770))[1], "chmod g-w {path}"),
    "a stranger owns": (foreign, "chown"),
    "a stranger's link": (linked, "chown"),
}


@pytest.mark.parametrize("level", ["a", "a/b", "a/b/file"])
@pytest.mark.parametrize("how", SPOILERS)
def test_each_component_counts(place: Path, level: str, how: str) -> None:
    if not ROOT:
        return
    file = place / "a" / "b" / "file"
    assert offence(file) is None
    spoil, way_out = SPOILERS[how]
    spoil(place / level)
    found = offence(file)
    assert found is not None
    assert found.path == str(place / level)
    assert way_out.format(path=place / level) in found.way_out


def test_a_link_leads_through_every_component_of_its_target(place: Path) -> None:
    file = place / "a" / "b" / "file"
    for target in (str(file), "a/../a/b/file", f"{place}/./a/b/file"):
        link = place / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert offence(link) is None
    (place / "a").chmod(0o707)
    found = offence(place / "link")
    assert found is not None
    assert found.path == str(place / "a")


def test_two_points_leave_a_folder_and_not_a_text(place: Path) -> None:
    """`link/../file` is beside what the link leads to, wherever the link stands."""
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "open" / "inner").mkdir()
    (place / "link").symlink_to(place / "open" / "inner")
    found = offence(f"{place}/link/../file")
    assert found is not None
    assert found.path == str(place / "open")


def test_links_without_end_are_refused(place: Path) -> None:
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    found = offence(place / "one")
    assert found is not None
    assert "without end" in found.found


def test_a_sticky_folder_counts_for_what_is_ours_below_it(place: Path) -> None:
    (place / "a").chmod(0o1777)
    assert offence(place / "a" / "b" / "file") is None
    with pytest.raises(ConfigError, match="chmod go-w"):  # but nobody else may put anything beside what is believed
        require_private_folder(place / "a")
    if ROOT:
        foreign(place / "a" / "b")
        assert offence(place / "a" / "b" / "file") is not None


def test_a_group_of_nobody_else_may_write(place: Path) -> None:
    if not ROOT:
        return
    (place / "a").chmod(0o770)
    os.chown(place / "a", -1, 0)
    assert offence(place / "a" / "b") is None
    named = [each for each in grp.getgrall() if set(each.gr_mem) - {"root"}]
    for group in named:
        os.chown(place / "a", -1, group.gr_gid)
        assert offence(place / "a" / "b") is not None


def test_what_is_not_there_is_nobodys(place: Path) -> None:
    assert offence(place / "a" / "none" / "x") is None
    assert offence(place / "a" / "b" / "file" / "x") is None


def test_what_an_estate_names_must_be_ours(place: Path) -> None:
    context = AdapterContext(place / "a", Polling())
    Authority(place / "a")
    for name in ("secret", "id", "known_hosts", "program"):
        (place / "a" / name).write_text("x")
        (place / "a" / name).chmod(0o700)
    host = SshHost(address="h", identity="id", known_hosts="known_hosts")
    mine: dict[str, Callable[[], object]] = {
        "estate": lambda: read_yaml(place / "a" / "b" / "file"),
        "runbooks": lambda: runbook_paths(place / "a" / "recovery.yaml", ("b",)),
        "secret": lambda: resolve(SecretRef(file="secret"), place / "a"),
        "certificate": lambda: context.authorities("monitors.edge", "ca.pem"),
        "host": lambda: require_files({"h": host}, place / "a"),
        "program": lambda: program_of("./program", place / "a"),
        "program of PATH": lambda: program_of("program", place, str(place / "a")),
    }
    for read in mine.values():
        read()
    (place / "a").chmod(0o777)
    for name, read in mine.items():
        with pytest.raises(ConfigError, match="chmod go-w") as refused:
            read()
        assert f"{place}/a: found folder with mode 0777" in str(refused.value), name


def test_a_program_is_never_looked_up_in_this_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for name in ("cat", "only-here"):
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    assert program_of("cat", place, ":.:/usr/bin:/bin") in ("/usr/bin/cat", "/bin/cat")
    with pytest.raises(ConfigError, match="a program in a folder of PATH"):
        program_of("only-here", place, ":.:/usr/bin:/bin")


def test_a_state_folder_that_others_may_write_is_refused_with_the_command(place: Path) -> None:
    state = place / "state" / "recovery" / "shop"
    make_private(state)
    assert [oct(each.stat().st_mode & 0o777) for each in (place / "state", state)] == ["0o700", "0o700"]
    (state / "journal.db").write_text("")
    require_own_files(state)
    for mode in (0o777, 0o1777, 0o707):
        state.chmod(mode)
        with pytest.raises(ConfigError, match=f"chmod go-w {state}"):
            make_private(state)
    state.chmod(0o700)
    (state / "journal.db").chmod(0o666)
    with pytest.raises(ConfigError, match=f"chmod go-w {state}/journal.db"):
        require_own_files(state)


def test_a_runtime_folder_that_somebody_made_first_is_refused(place: Path) -> None:
    if not ROOT:
        return
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    (place / "elsewhere").mkdir()
    for made in (lambda path: path.mkdir(), lambda path: path.symlink_to(place / "elsewhere")):
        made(place / "tmp" / "recovery-0")
        foreign(place / "tmp" / "recovery-0")
        with pytest.raises(ConfigError, match=f"{place}/tmp/recovery-0: found"):
            make_private(place / "tmp" / "recovery-0" / "shop")
        assert list((place / "elsewhere").iterdir()) == []
        give_away(place / "tmp")
        if (place / "tmp" / "recovery-0").is_symlink():
            continue
        (place / "tmp" / "recovery-0").rmdir()
        os.chown(place / "tmp", 0, 0)


def test_a_folder_of_the_system_belongs_to_whom_root_gave_it(place: Path) -> None:
    if not ROOT:
        return
    system = place / "system"
    (system / "shop").mkdir(parents=True)
    assert engine_account(system / "shop", system) == 0
    foreign(system / "shop")
    assert engine_account(system / "shop", system) == STRANGER
    assert not isinstance(engine_account(system / "shop", place / "other"), int)
    (system / "shop").chmod(0o777)
    assert not isinstance(engine_account(system / "shop", system), int)
    (system / "shop").chmod(0o755)
    foreign(system)
    assert not isinstance(engine_account(system / "shop", system), int)


def test_a_lab_of_a_stranger_is_neither_asked_nor_ended(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not ROOT:
        return
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.chdir(place)
    lab = place / "recovery-lab"
    lab.mkdir()
    (lab / "LAB.json").write_text('{"control": "/nowhere"}')
    (lab / "estate.yaml").write_text("estate: bait\n")
    assert find().estate == "bait"
    give_away(lab)
    with pytest.raises(LabError, match=f"{lab}: folder of account"):
        LabClient(lab)
    with pytest.raises(RecoveryError) as refused:
        find()
    assert "bait" not in str(refused.value)


def test_the_file_that_another_accounts_engine_names_is_not_named_by_anybody_here(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root gave an account a folder of the system; what its index says starts nothing without a yes."""
    if not ROOT:
        return
    system = place / "system"
    (system / "shop").mkdir(parents=True)
    (system / "shop" / "engine.json").write_text(f'{{"file": "{place}/a/b/file", "state": "/nowhere"}}')
    monkeypatch.setattr(places, "SYSTEM", system)
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "a"))
    assert find("shop").by_itself is False
    give_away(system / "shop")
    found = find("shop")
    assert (found.file, found.by_itself) == (place / "a" / "b" / "file", True)
    with pytest.raises(Refused, match="recovery trust"):
        require_yes(found)


def test_no_folder_of_sockets_is_made_where_somebody_could_rename_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "a"))
    monkeypatch.setattr("tempfile.tempdir", str(place / "a"))
    with pytest.raises(ConfigError, match="chmod go-w"):
        SocketFolder().stand()
    assert scratch() == Path("/tmp")
    monkeypatch.setattr("tempfile.tempdir", str(place))
    sockets = SocketFolder()
    sockets.stand()
    assert sockets.path.parent == place


def test_a_whole_path_is_judged_from_anywhere_also_where_this_folder_is_gone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "gone").mkdir()
    monkeypatch.chdir(place / "gone")
    (place / "gone").rmdir()
    assert offence(place / "a" / "b" / "file") is None
    (place / "a").chmod(0o777)
    assert offence(place / "a" / "b" / "file") is not None
    monkeypatch.chdir(place)
