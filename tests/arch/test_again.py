"""What a failed whole run is followed by: few tests, alone, each time."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LATE = "from pathlib import Path\ndef test_it():\n    Path('runs').open('a').write('x')\n    assert {condition}\n"


@pytest.fixture
def again() -> ModuleType:
    spec = importlib.util.spec_from_file_location("again", ROOT / ".ci" / "again.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def project(tmp_path: Path, condition: str, *failed: str) -> Path:
    """A project of one test, whose last run had these failures."""
    cache = tmp_path / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    (tmp_path / "test_one.py").write_text(LATE.format(condition=condition))
    return tmp_path


def runs(place: Path) -> int:
    return len((place / "runs").read_text()) if (place / "runs").exists() else 0


def test_what_passes_alone_each_time_is_told_to_be_unsteady(
    again: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = project(tmp_path, "True", "test_one.py::test_it@the laboratory")
    assert again.main(place) == 0
    assert runs(place) == again.TIMES
    assert "UNSTEADY, passed 3 times alone: test_one.py::test_it\n" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("condition", "ran"), [("False", 1), ("len(Path('runs').read_text()) != 2", 2)], ids=["always", "once-in-three"]
)
def test_one_failure_alone_is_one(again: ModuleType, tmp_path: Path, condition: str, ran: int) -> None:
    place = project(tmp_path, condition, "test_one.py::test_it@test_one.py")
    assert again.main(place) == 1
    assert runs(place) == ran


@pytest.mark.parametrize(
    "failed",
    [
        (),
        ("test_one.py",),
        ("tests/crash/test_kills.py::test_it@x",),
        ("tests/attack/test_floods.py::test_it@x",),
        tuple(f"test_one.py::test_it[{number}]@x" for number in range(4)),
    ],
    ids=["no-list", "not-collected", "crash", "attack", "many"],
)
def test_what_is_meant_is_not_repeated(again: ModuleType, tmp_path: Path, failed: tuple[str, ...]) -> None:
    place = project(tmp_path, "True", *failed)
    assert again.main(place) == 1
    assert runs(place) == 0
