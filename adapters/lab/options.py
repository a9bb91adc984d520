"""What a caller may choose about a lab, as options of the API and as flags of the supervisor."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from state.config_files.suggestions import not_found

SHAPES = ("patroni", "plain-pair", "standby-cluster")
"""How PostgreSQL is set up: nodes under Patroni, a primary and a standby without a manager, or nodes under Patroni and
a standby cluster of another Patroni that follows them."""
COMPONENTS = ("postgres", "haproxy", "apps", "load", "dns", "prometheus", "alertmanager")


@dataclass(frozen=True, slots=True)
class LabOptions:
    """Choices for one lab.

    `postgres` is a `bin` directory, `haproxy` a program, `debs` the root of unpacked Debian packages. `embedded`
    uses only what the Python packages contain. `without` names components to leave out (of `COMPONENTS`). `shape` is
    one of `SHAPES`, `nodes` the number of PostgreSQL nodes under Patroni, 1 to 3; `rate` is the number of orders per
    second that the load places.
    """

    postgres: Path | None = None
    haproxy: Path | None = None
    debs: Path | None = None
    embedded: bool = False
    without: frozenset[str] = frozenset()
    nodes: int = 3
    rate: float = 20.0
    shape: str = SHAPES[0]

    def __post_init__(self) -> None:
        for unknown in sorted(self.without - set(COMPONENTS)):
            raise ValueError(str(not_found("component", unknown, COMPONENTS)))
        if not 1 <= self.nodes <= 3:
            raise ValueError(f"nodes must be 1, 2 or 3, not {self.nodes}")
        if self.shape not in SHAPES:
            raise ValueError(str(not_found("shape", self.shape, SHAPES)))
        if self.followed and not self.wants("haproxy"):
            raise ValueError("a standby cluster follows its primary through haproxy: it cannot be left out")

    @property
    def managed(self) -> bool:
        """Whether Patroni manages the nodes."""
        return self.shape != SHAPES[1]

    @property
    def followed(self) -> bool:
        """Whether a standby cluster follows."""
        return self.shape == SHAPES[2]

    @property
    def members(self) -> int:
        """How many PostgreSQL nodes there are."""
        return self.nodes if self.managed else 2

    def wants(self, component: str) -> bool:
        return component not in self.without

    def arguments(self) -> list[str]:
        """The same choices as flags of `python -m adapters.lab.supervisor`."""
        flags: list[str] = []
        for name, path in (("--postgres", self.postgres), ("--haproxy", self.haproxy), ("--debs", self.debs)):
            if path is not None:
                flags += [name, str(path)]
        if self.embedded:
            flags.append("--embedded")
        for component in sorted(self.without):
            flags += ["--without", component]
        return [*flags, "--nodes", str(self.nodes), "--rate", str(self.rate), "--shape", self.shape]


def default_directory() -> Path:
    """`$XDG_RUNTIME_DIR/recovery-lab`. Where that variable is not set: the account's, if a lab runs there, else
    `/tmp/recovery-lab-<uid>`."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.R_OK | os.X_OK):  # after su it may be that of another account
        return Path(runtime) / "recovery-lab"
    session = Path(f"/run/user/{os.getuid()}/recovery-lab")
    if (session / "LAB.json").is_file():
        return session
    return Path("/tmp") / f"recovery-lab-{os.getuid()}"  # noqa: S108 - created with mode 0700 and owner-checked


class Arguments(NamedTuple):
    """How a supervisor was called: where, what, whether to detach, and the descriptor of its starter's bond."""

    directory: Path
    options: LabOptions
    detach: bool
    bond: int | None


def parse_arguments(argv: list[str] | None = None) -> Arguments:
    """Read the flags. Exits with code 2 and a message on wrong ones."""
    parser = argparse.ArgumentParser(prog="python -m adapters.lab.supervisor", description="Run the lab.")
    parser.add_argument("--dir", type=Path, default=None, help="where LAB.json and the estate are written")
    parser.add_argument("--postgres", type=Path, help="a directory with postgres, initdb, pg_ctl, ...")
    parser.add_argument("--haproxy", type=Path, help="an HAProxy program")
    parser.add_argument("--debs", type=Path, help="the root of unpacked Debian packages")
    parser.add_argument("--embedded", action="store_true", help="use only what the Python packages contain")
    parser.add_argument("--without", action="append", default=[], choices=COMPONENTS)
    parser.add_argument("--nodes", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--rate", type=float, default=20.0, help="orders per second")
    parser.add_argument("--shape", default=SHAPES[0], choices=SHAPES)
    parser.add_argument("--detach", action="store_true", help="continue in the background, in a session of its own")
    parser.add_argument("--bond", type=int, default=None, metavar="FD", help=argparse.SUPPRESS)
    known = parser.parse_args(argv)
    options = LabOptions(
        postgres=known.postgres,
        haproxy=known.haproxy,
        debs=known.debs,
        embedded=known.embedded,
        without=frozenset(known.without),
        nodes=known.nodes,
        rate=known.rate,
        shape=known.shape,
    )
    return Arguments((known.dir or default_directory()).absolute(), options, known.detach, known.bond)
