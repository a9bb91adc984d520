"""The built wheel in an environment of its own, and the refusal to run where other programs share the packages.

Nothing is downloaded: the wheel is unpacked as pip does it, and its dependencies are those of this environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from adapters.lab.options import LabOptions
from adapters.lab.process.binaries import missing_packages
from console.cli.installation import Installation, InstalledFrom, SharedEnvironment, origin_of, shared_place
from console.cli.manual import manual, roff
from recovery_console import foreign

ROOT = Path(__file__).parents[2]
DEPENDENCIES = sysconfig.get_path("purelib")
ESTATE = "estate: small\nenvironment: staging\nsites: {east: {}}\nrunbooks: []\n"
WHEEL = "file:///opt/recovery_console-0.1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(argv, check=True, cwd=ROOT, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    """`site-packages` of a new environment with the wheel in it."""
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (data,) = site.glob("*.data/data")
    shutil.copytree(data, tmp_path / "env", dirs_exist_ok=True)  # as installers do with it
    (site / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
    return site


def recovery(python: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the script that pip makes of the entry point does, in a folder with nothing in it."""
    folder = python.parent / "empty"
    folder.mkdir(exist_ok=True)
    argv = [str(python), "-P", "-c", "import sys, recovery_console; sys.exit(recovery_console.main())", *words]
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RECOVERY_ESTATE")}
    return subprocess.run(
        argv, capture_output=True, text=True, cwd=folder, env={**kept, **environment}, check=False, timeout=120
    )


def python_of(site: Path) -> Path:
    return site.parents[2] / "bin" / "python"


def distribution(site: Path, name: str, package: str) -> None:
    """Another program's distribution with a package, as its installer writes it down."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n{name}-1.0.dist-info/METADATA,,\n")


def test_the_wheel_has_what_an_operator_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "recovery_console-0.1.0.data/data/share/man/man1/recovery.1" in names
    documents = "recovery_console-0.1.0.data/data/share/doc/recovery-console/"
    pages = ("estate.md", "runbooks.md", "security.md", "products/haproxy.md")
    assert {f"{documents}{each}" for each in pages} <= names
    assert {"config/systemd/recovery-engine@.service", "config/schema.json", "config/recovery.yaml"} <= names
    tops = {name.partition("/")[0].partition("-")[0] for name in names}
    assert tops == {"adapters", "config", "console", "state", "recovery_console.py", "recovery_console"}


def test_the_wheel_works_in_an_environment_of_its_own(site: Path, tmp_path: Path) -> None:
    python, file = python_of(site), tmp_path / "recovery.yaml"
    assert recovery(python, "--version").stdout == "recovery, version 0.1.0\n"
    file.write_text(ESTATE)
    checked = recovery(python, "check", str(file))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "_recovery_completion" in recovery(python, "completion", "bash").stdout
    file.write_text(ESTATE.replace("[]", "[runbooks]"))
    (tmp_path / "runbooks").mkdir()
    assert recovery(python, "runbook", "new", "mine", "--estate", str(file)).returncode == 0
    (named,) = re.findall(r"Every key: (\S+)\.\n", (tmp_path / "runbooks" / "mine.yaml").read_text())
    assert "recovery-console" in named
    assert Path(named).is_file()
    said = recovery(python, "init", str(tmp_path / "nothing.sock"), "-o", str(tmp_path / "new"), "--yes")
    assert said.returncode == 3, said.stderr


@pytest.mark.parametrize("words", [("check",), ("--version",), ("init",), ("engine", "start"), ("engine", "run")])
def test_a_package_of_another_distribution_is_refused_by_its_name(site: Path, words: tuple[str, ...]) -> None:
    distribution(site, "shop_backend", "state")
    done = recovery(python_of(site), *words)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("recovery: Installation: shop_backend in ")
    assert "has a package state too" in line
    assert line.endswith("pipx install recovery-console")


def test_a_distribution_with_names_of_its_own_disturbs_nobody(site: Path) -> None:
    distribution(site, "shop_backend", "shop")
    assert recovery(python_of(site), "--version").returncode == 0


def test_the_packages_of_a_whole_python_are_refused(wheel: Path, tmp_path: Path) -> None:
    """As after `sudo pip install`: no environment, and in the folder that all programs share."""
    place = tmp_path / "lib" / "dist-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    done = subprocess.run(
        [base, "-P", "-c", "import recovery_console; recovery_console.main()", "--version"],
        env={"PYTHONPATH": f"{place}:{DEPENDENCIES}", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert f"it is installed in {place}, which all programs of this Python share; remove it there" in done.stderr


@pytest.mark.parametrize("name", ["console", "adapters", "state"])
def test_a_folder_of_pythonpath_with_one_of_the_names_is_found_before_it_is_imported(
    site: Path, tmp_path: Path, name: str
) -> None:
    foreigner = tmp_path / "shop" / name
    foreigner.mkdir(parents=True)
    (foreigner / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    done = recovery(python_of(site), "status", PYTHONPATH=str(foreigner.parent))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line == (
        f"recovery: Installation: its package {name} is found at {str(foreigner)!r}, not at "
        f"{str(site / name)!r}; unset PYTHONPATH"
    )
    assert foreign(str(ROOT)) == ""


def test_what_an_environment_of_its_own_is() -> None:
    base, own = Path("/usr"), Path("/opt/recovery")
    assert shared_place(own / "lib/python3.11/site-packages", own, base) == ""
    inherited = shared_place(Path("/usr/lib/python3/dist-packages"), own, base)
    assert inherited == str(Path("/usr/lib/python3/dist-packages").resolve())
    assert shared_place(Path("/usr/lib/python3.11/site-packages"), base, base)
    assert shared_place(Path("/srv/recovery"), base, base) == ""


@pytest.mark.parametrize(
    ("told", "requirement"),
    [
        (None, "'recovery-console[lab]'"),
        ("no JSON", "'recovery-console[lab]'"),
        ("[]", "'recovery-console[lab]'"),
        (f'{{"url": "{WHEEL}", "archive_info": {{}}}}', f"'recovery-console[lab] @ {WHEEL}'"),
        ('{"url": "file:///srv/my code", "dir_info": {"editable": true}}', "--editable '/srv/my code[lab]'"),
        (
            '{"url": "https://h/r.git", "vcs_info": {"vcs": "git", "commit_id": "ab12"}}',
            "'recovery-console[lab] @ git+https://h/r.git@ab12'",
        ),
    ],
)
def test_what_brings_an_extra_is_what_was_installed(told: str | None, requirement: str) -> None:
    origin = origin_of(told)
    by_pip = Installation(Path("/opt/recovery"), origin, "", {}, by_pipx=False)
    by_pipx = Installation(Path("/opt/recovery"), origin, "", {}, by_pipx=True)
    assert by_pip.bring("lab") == f"/opt/recovery/bin/python -m pip install {requirement}"
    assert by_pipx.bring("lab") == f"pipx install --force {requirement}"


def test_both_reasons_name_the_way_out() -> None:
    for shared, owners in (("/usr/lib/python3/dist-packages", {}), ("", {"config": ("a", "b")})):
        with pytest.raises(SharedEnvironment, match="then: pipx install recovery-console"):
            Installation(Path("/usr"), InstalledFrom(), shared, owners, by_pipx=False).require_own()


@pytest.mark.parametrize("words", [("lab", "up"), ("demo", "--headless")])
def test_a_missing_extra_is_named_with_the_command_that_brings_it(
    site: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """An environment with all dependencies but Patroni."""
    (site / "dependencies.pth").unlink()
    for each in Path(DEPENDENCIES).iterdir():
        if not each.name.startswith(("patroni", "_editable", "recovery")) and not (site / each.name).exists():
            (site / each.name).symlink_to(each)
    done = recovery(python_of(site), *words, XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line == (
        "recovery: Lab: patroni of the extra [lab] is not installed: "
        f"{python_of(site)} -m pip install 'recovery-console[lab]'"
    )


def test_a_lab_without_databases_needs_no_extra() -> None:
    assert missing_packages(LabOptions(without=frozenset({"postgres"}))) == []


def test_the_man_page_is_current() -> None:
    assert (ROOT / "docs/recovery.1").read_text() == manual(), "make man"


def test_no_text_is_a_command_of_roff() -> None:
    assert [roff(text) for text in (".so /etc/passwd", "'x", "a\\n --b")] == [
        r"\&.so /etc/passwd",
        r"\&'x",
        r"a\en \-\-b",
    ]
