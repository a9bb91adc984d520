"""Which estate is meant, and where its engine lives."""

import json
import os
import pwd
from pathlib import Path

import pytest

from console import places
from console.places import find, of_file
from state.errors import ConfigError, NotFound


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, and nobody else's runtime, state or environment."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RECOVERY_ESTATE", "RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "system")
    (tmp_path / "runtime").mkdir()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(places, "_own_temporary", lambda: tmp_path / "own")
    return here


def write(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# an estate\nestate: {name}   # its name\nenvironment: lab\n")
    return path


def engine_of(root: Path, name: str) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "engine.json").write_text(json.dumps({"file": f"/etc/{name}.yaml", "state": f"/var/{name}"}))


def test_the_order_of_looking(elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="give --estate FILE"):
        find()
    write(elsewhere / "config" / "recovery.yaml", "last")
    assert (find().estate, find().chosen) == ("last", "in ./config")
    engine_of(tmp_path / "runtime" / "recovery", "running")
    assert (find().estate, find().file) == ("running", Path("/etc/running.yaml"))
    lab = tmp_path / "runtime" / "recovery-lab"
    write(lab / "estate.yaml", "lab")
    (lab / "LAB.json").write_text("{}")
    assert (find().estate, find().chosen) == ("lab", "the running lab")
    assert find().runtime == lab / "run"
    write(elsewhere / "recovery.yaml", "here")
    assert find().estate == "here"
    monkeypatch.setenv("RECOVERY_ESTATE", str(write(tmp_path / "e.yaml", "environment")))
    assert (find().estate, find().chosen) == ("environment", "$RECOVERY_ESTATE")
    named = write(tmp_path / "folder" / "recovery.yaml", "argument").parent
    assert find(str(named)).estate == "argument"


def test_a_running_engine_by_name_and_several_without_one(tmp_path: Path) -> None:
    root = tmp_path / "runtime" / "recovery"
    engine_of(root, "shop")
    engine_of(root, "bank")
    assert find("bank").runtime == root / "bank"
    with pytest.raises(NotFound, match="bank, shop"):
        find()
    with pytest.raises(NotFound, match="no engine of that name"):
        find("club")


def test_runtime_and_state_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "e.yaml", "shop")
    place = of_file(file, "")
    assert place.runtime == tmp_path / "runtime" / "recovery" / "shop"
    assert place.journal == tmp_path / "state" / "recovery" / "shop" / "journal.db"
    engine_of(tmp_path / "system", "shop")
    assert of_file(file, "").runtime == tmp_path / "system" / "shop"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/recovery/shop")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/recovery/shop")
    assert of_file(file, "").runtime == Path("/run/recovery/shop")
    assert of_file(file, "").state == Path("/var/lib/recovery/shop")


def test_a_temporary_folder_of_somebody_else_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_of(tmp_path / "own", "shop")
    assert find("shop").runtime == tmp_path / "own" / "shop"
    if os.geteuid() == 0:
        os.chown(tmp_path / "own", 4_000_000, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(NotFound):
        find("shop")


@pytest.mark.parametrize(
    "content", ["", "environment: lab\n", "estate: ../../etc\n", "  estate: ../etc\n", "estate:\n"]
)
def test_a_file_that_names_no_estate(tmp_path: Path, content: str) -> None:
    file = tmp_path / "e.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match="a line `estate: NAME`"):
        of_file(file, "")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        of_file(tmp_path / "none.yaml", "")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        of_file(tmp_path / "bytes.yaml", "")


@pytest.mark.parametrize("home", ["", "relative", "./here"])
def test_a_home_that_is_no_absolute_path_is_that_of_the_account(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before: the journal stood in `/.local`, or below whatever folder this was typed in."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", home)
    account = pwd.getpwuid(os.getuid()).pw_dir
    assert places.states() == Path(account) / ".local" / "state" / "recovery"
