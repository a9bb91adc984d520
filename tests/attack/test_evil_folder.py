"""Nothing is imported and nothing is started from the folder that a person happens to be in (kind 1)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

RECOVERY = Path(sys.executable).with_name("recovery")
EVIL = "import pathlib\npathlib.Path({mark!r}).write_text(__name__)\n"
MODULES = (
    "asyncio", "json", "yaml", "ruamel", "click", "textual", "aiohttp", "pydantic", "asyncpg", "dns", "sqlite3",
    "shutil", "sitecustomize", "usercustomize", "encodings_x", "traceback", "resource", "grp", "tempfile", "uvloop",
    "patroni",
)  # fmt: skip
PACKAGES = ("state", "console", "adapters", "config", "aiosqlite", "psycopg2", "ydiff")
PROGRAMS = ("ssh", "haproxy", "initdb", "sh", "unshare", "ipcrm", "cat")
ESTATE = """
estate: evil
environment: drill
sites: {here: {}}
monitors:
  page: {kind: http, url: "http://127.0.0.1:9", headers: {}}
runbooks: []
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a module, a package and a program of every name that we use."""
    with tempfile.TemporaryDirectory(prefix="re-", dir="/tmp") as name:
        evil = Path(name, "evil")
        evil.mkdir()
        code = EVIL.format(mark=f"{name}/imported")
        for module in MODULES:
            (evil / f"{module}.py").write_text(code)
        for package in PACKAGES:
            (evil / package).mkdir()
            (evil / package / "__init__.py").write_text(code)
        for program in PROGRAMS:
            (evil / program).write_text(f"#!/bin/sh\ntouch {name}/started\n")
            (evil / program).chmod(0o755)
        yield Path(name)


VERBS = (
    ["--version"], ["--help"], ["status"], ["check", "../recovery.yaml", "--connect", "--within", "1"],
    ["engine", "start", "--estate", "../recovery.yaml"], ["engine", "stop", "--estate", "../recovery.yaml"],
    ["init", "http://127.0.0.1:9", "--plan-only", "--within", "1"], ["runbook", "list"], ["schema"], ["console"],
    ["lab", "status"], ["journal", "verify", "--file", "json.py"], ["completion", "bash"], ["run", "list"],
    ["status", "--host", "ssh://127.0.0.1:9"],
)  # fmt: skip


@pytest.mark.parametrize("decoy", [False, True], ids=["modules", "packages too"])
@pytest.mark.parametrize("path", [None, "", ":", ".", "./", ":/nowhere"])
def test_every_verb_in_an_evil_folder_runs_its_own_code(path: str | None, decoy: bool, folder: Path) -> None:
    """`PYTHONPATH` may name the current folder too, by an empty piece. Packages of our names there are no way out: the
    program must start, and with its own."""
    for package in PACKAGES if not decoy else ():
        shutil.rmtree(folder / "evil" / package)
    (folder / "recovery.yaml").write_text(ESTATE)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"XDG_STATE_HOME": str(folder / "s"), "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    environment["PATH"] = f":.:{environment['PATH']}"
    verbs = VERBS if path is None else VERBS[:4]
    modules = [] if path is None else ["sitecustomize", "usercustomize", "encodings_x"]
    for module in modules:  # the interpreter itself loads these before any line of ours runs
        (folder / "evil" / f"{module}.py").unlink()
    for argv in verbs:
        done = subprocess.run(
            [RECOVERY, *argv],
            cwd=folder / "evil",
            env=environment if path is None else {**environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not (folder / "imported").exists(), (argv, (folder / "imported").read_text(), done.stderr)
        assert not (folder / "started").exists(), (argv, done.stderr)
        assert "Traceback" not in done.stderr, (argv, done.stderr)
        assert "Installation" not in done.stderr, "the packages of the current folder were looked at"
        if argv in (["--version"], ["--help"], ["schema"]):
            assert done.returncode == 0, (argv, done.stderr)


def test_the_trap_bites(folder: Path) -> None:
    """Python's own way of starting a module does import from here."""
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", "status"],
        cwd=folder / "evil",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (folder / "imported").exists(), done.stderr
