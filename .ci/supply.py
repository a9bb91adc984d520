"""What `make check` asks of the packages that production installs: locked, licensed, listed, audited.

Three files pin what is installed: `requirements.lock` for production, `requirements-lab.lock` and
`requirements-dev.lock` for what the laboratory and the tests need besides. `docs/sbom.cdx.json` (CycloneDX) lists the
first with licences; `--write` makes it anew. Needs no network but for the advisories of `pip-audit`; without them the
last line says that nothing was audited, which is no failure and no pass.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-lab.lock", "requirements-dev.lock")
SBOM = ROOT / "docs" / "sbom.cdx.json"
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0", "Python-2.0"}
"""Licences under which the product may be used and passed on with its own, by their SPDX names."""
SPELT = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
READ = {"cronsim": ("License :: OSI Approved :: BSD License", "BSD-3-Clause")}
"""What a package calls its licence where that says too little, and which one its own licence file is."""
AUDIT_SECONDS = 120
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)([^#\n]*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)*)", re.MULTILINE)
_HASH = re.compile("--hash=sha256:([0-9a-f]{64})")


def pins(lock: str) -> dict[str, str]:
    """The version of each package that a lock file names. Raises SystemExit where one has no hash."""
    found = {}
    for name, version, rest in _PIN.findall((ROOT / lock).read_text(encoding="utf-8")):
        if "--hash=sha256:" not in rest:
            raise SystemExit(f"{lock}: {name} has no hash; renew it with `make lock`")
        found[plain(name)] = version
    return found


def hashes(lock: str) -> dict[str, frozenset[str]]:
    """The files of each package that may be installed by a lock file."""
    found = _PIN.findall((ROOT / lock).read_text(encoding="utf-8"))
    return {plain(name): frozenset(_HASH.findall(rest)) for name, _, rest in found}


def plain(name: str) -> str:
    """A package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(extra: str | None = None) -> set[str]:
    """The packages that pyproject.toml asks for itself: of the product, or of one of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {plain(re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]) for line in lines}


def of_the_locks() -> list[str]:
    """Where the lock files leave out a package, disagree about a version, or bring what production does not need."""
    runtime, lab, dev = (pins(lock) for lock in LOCKS)
    found = [
        f"{lock}: {name} is in pyproject.toml and not pinned"
        for lock, names, pinned in (
            (LOCKS[0], wanted(), runtime),
            (LOCKS[1], wanted("lab"), lab),
            (LOCKS[2], wanted("dev"), dev),
        )
        for name in sorted(names - pinned.keys())
    ]
    found += [
        f"{lock}: {name} is {wider.get(name, 'not there')}, and {version} in {smaller_lock}"
        for smaller_lock, smaller, lock, wider in ((LOCKS[0], runtime, LOCKS[1], lab), (LOCKS[1], lab, LOCKS[2], dev))
        for name, version in smaller.items()
        if wider.get(name) != version
    ]
    files = [hashes(lock) for lock in LOCKS]
    found += [
        f"{lock}: {name} has other hashes than in {smaller_lock}; renew both with `make lock`"
        for smaller_lock, smaller, lock, wider in (
            (LOCKS[0], files[0], LOCKS[1], files[1]),
            (LOCKS[1], files[1], LOCKS[2], files[2]),
        )
        for name, allowed_files in smaller.items()
        if name in wider and wider[name] != allowed_files
    ]
    foreign = (wanted("lab") | wanted("dev")) - wanted()
    found += [f"{LOCKS[0]}: {name} is not for production" for name in sorted(runtime.keys() & foreign)]
    return found


def allowed(component: dict[str, Any]) -> bool:
    """Whether every licence that a component of the list names is an allowed one; of alternatives one is enough."""
    says, is_ = READ.get(str(component.get("name")), ("", ""))
    named = [is_ if says == _name(entry) else _name(entry) for entry in component.get("licenses", ())]
    return bool(named) and all(
        any(all(SPELT.get(part, part) in ALLOWED for part in way.split(" AND ")) for way in name.split(" OR "))
        for name in named
    )


def _name(entry: dict[str, Any]) -> str:
    licence = entry.get("license", {})
    return str(entry.get("expression") or licence.get("id") or licence.get("name") or "none")


def of_the_list() -> list[str]:
    """Where the list of production's packages is not what the lock file has, or a licence is not known to be good."""
    listed = {plain(part["name"]): part for part in json.loads(SBOM.read_text(encoding="utf-8"))["components"]}
    pinned, name = pins(LOCKS[0]), SBOM.relative_to(ROOT)
    found = [f"{name}: {package} is missing; `make lock`" for package in sorted(pinned.keys() - listed.keys())]
    for package, component in sorted(listed.items()):
        if pinned.get(package) != component["version"]:
            lock = pinned.get(package, "not there")
            found.append(f"{name}: {package} is {component['version']}, in {LOCKS[0]} {lock}; `make lock`")
        if not allowed(component):
            named = ", ".join(_name(entry) for entry in component.get("licenses", ())) or "none"
            found.append(f"{name}: {package} has a licence that is not one of those allowed: {named}")
    return found


def audited() -> tuple[list[str], str]:
    """Known weaknesses of what production installs, and in words what was compared with the advisories.

    `pip-audit` ends with "no known vulnerabilities" also where it could ask about nothing, so its own list decides.
    """
    argv = (sys.executable, "-P", "-m", "pip_audit", "--require-hashes", "--disable-pip", "--requirement", LOCKS[0])
    argv += ("--format", "json", "--progress-spinner", "off", "--timeout", "5")
    try:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS)
        answers = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"not audited: no advisories within {AUDIT_SECONDS} s"
    except (ValueError, KeyError, TypeError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return [], f"not audited: no advisories could be read ({reason[:120]})"
    weak = [
        f"{answer['name']} {answer['version']}: {weakness['id']}, mended in {weakness['fix_versions'] or 'no version'}"
        for answer in answers
        for weakness in answer.get("vulns", ())
    ]
    asked = sum("skip_reason" not in answer for answer in answers)
    if asked == len(answers):
        return weak, f"{asked} packages compared with the advisories"
    return weak, f"not audited: {len(answers) - asked} of {len(answers)} packages are unknown to the advisories"


def write_list() -> None:
    """Make the list anew from an environment that has what production installs and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run((*install, "--require-hashes", "--requirement", LOCKS[0]), cwd=ROOT, check=True)
        subprocess.run((python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools"), check=True)
        subprocess.run((python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip"), check=True)
        argv = (sys.executable, "-P", "-m", "cyclonedx_py", "environment", str(python), "--pyproject", "pyproject.toml")
        argv += ("--output-reproducible", "--spec-version", "1.6", "--output-file", str(SBOM))
        subprocess.run(argv, cwd=ROOT, check=True)


def main() -> int:
    """0 when nothing is wrong. What could not be audited is said and is no failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make docs/sbom.cdx.json anew first")
    if parser.parse_args().write:
        write_list()
    weak, said = audited()
    wrong = [*of_the_locks(), *of_the_list(), *weak]
    for line in wrong:
        print(line)
    print(f"packages: {len(pins(LOCKS[0]))} for production, {said}")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
