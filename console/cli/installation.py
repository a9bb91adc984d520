"""How this program is installed: in an environment of its own, or where other programs can overwrite its packages.

Its packages have common names (`console`, `state`, …). Two distributions with one of them in one environment replace
each other's files, and nobody notices until the wrong one runs. So an environment that is shared is refused.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from state.errors import ExitCode, RecoveryError

DISTRIBUTION = "recovery-console"
PACKAGES = ("console", "adapters", "state", "config")


class SharedEnvironment(RecoveryError):
    """Other programs are, or will be, installed over this one's packages."""

    title = "Installation"
    kind = "installation"
    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class InstalledFrom:
    """What was installed, by PEP 610: a URL, empty for a registry; `editable` for a folder that is worked on."""

    url: str = ""
    editable: bool = False

    def requirement(self, extra: str = "") -> str:
        """What pip and pipx install, as one word of a shell, or two."""
        name = DISTRIBUTION + (f"[{extra}]" if extra else "")
        folder = self.url.removeprefix("file://")
        if self.editable:
            return f"--editable {shlex.quote(folder + name.removeprefix(DISTRIBUTION))}"
        return shlex.quote(f"{name} @ {self.url}" if self.url else name)


@dataclass(frozen=True, slots=True)
class Installation:
    """`shared` is the folder that all programs of a Python use, empty in an environment of its own; `owners` are the
    other distributions that have our packages' names."""

    prefix: Path
    origin: InstalledFrom
    shared: str
    owners: Mapping[str, tuple[str, ...]]
    by_pipx: bool

    def bring(self, extra: str) -> str:
        """The command that adds an extra."""
        if self.by_pipx:
            return f"pipx install --force {self.origin.requirement(extra)}"
        return f"{shlex.quote(str(self.prefix / 'bin' / 'python'))} -m pip install {self.origin.requirement(extra)}"

    def require_own(self) -> None:
        """Raises SharedEnvironment with what is there, where, and the way out."""
        way = f"remove it there, then: pipx install {self.origin.requirement()}"
        for name, others in self.owners.items():
            raise SharedEnvironment(
                f"{', '.join(others)} in {self.prefix} has a package {name} too, and each replaces files of the "
                f"other; {way}"
            )
        if self.shared:
            raise SharedEnvironment(f"it is installed in {self.shared}, which all programs of this Python share; {way}")


def installation() -> Installation:
    """Read it from the environment that this process runs in. Takes some 50 ms: not for the first frame."""
    prefix = Path(sys.prefix)
    owners = {}
    packages = metadata.packages_distributions()
    for name in PACKAGES:
        if others := tuple(sorted({each for each in packages.get(name, ()) if normal(each) != DISTRIBUTION})):
            owners[name] = others
    try:
        mine = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from its files
        return Installation(prefix, InstalledFrom(), "", owners, by_pipx=False)
    return Installation(
        prefix,
        origin_of(mine.read_text("direct_url.json")),
        shared_place(Path(str(mine.locate_file(""))), prefix, Path(sys.base_prefix)),
        owners,
        by_pipx=(prefix / "pipx_metadata.json").is_file(),
    )


def normal(distribution: str) -> str:
    """A distribution's name as registries compare it."""
    return distribution.lower().replace("_", "-").replace(".", "-")


def shared_place(place: Path, prefix: Path, base: Path) -> str:
    """The folder, when it belongs to a Python and to no environment of its own."""
    place, prefix = place.resolve(), prefix.resolve()
    own = prefix != base.resolve() and place.is_relative_to(prefix)
    return "" if own or place.name not in ("site-packages", "dist-packages") else str(place)


def origin_of(direct_url: str | None) -> InstalledFrom:
    """The origin that an installer wrote down; a registry where it wrote nothing that can be read."""
    try:
        told = json.loads(direct_url or "{}")
        url, vcs = str(told.get("url", "")), told.get("vcs_info", {})
        if vcs:
            url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
        return InstalledFrom(url, editable=told.get("dir_info", {}).get("editable") is True)
    except (ValueError, AttributeError, KeyError, TypeError):
        return InstalledFrom()
