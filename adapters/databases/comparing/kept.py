"""What is kept of a comparison under way, so that it can be taken up where it was."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from state.comparing.request import CompareRequest
from state.comparing.results import Comparison, TableResult
from state.errors import ConfigError, ExitCode, Problem, UnsuitableArgument
from state.host.regular import bounded
from state.host.trust import require_ours

LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class KeptComparison:
    """Which servers and tables were compared, and what was found so far."""

    of: str
    tables: list[TableResult]


KEPT = TypeAdapter(KeptComparison)


def subject(request: CompareRequest, whole: Comparison) -> str:
    """What a comparison is about: another one cannot be continued with it."""
    sides = [f"{side.name} {side.database} {side.system_id}" for side in (whole.a, whole.b)]
    chosen = request.selection
    return "; ".join([*sides, " ".join(chosen.patterns) or "all", f"without {' '.join(chosen.left_out)}"])


class StateFile:
    """The file; only this account may read it: it has keys of rows."""

    def __init__(self, path: Path, request: CompareRequest, *, resume: bool) -> None:
        """Raises UnsuitableArgument and ConfigError."""
        self._path, self._request = path, request
        self._kept: KeptComparison | None = None
        if path.exists() and not resume:
            raise UnsuitableArgument(f"{path} is there: add --resume to continue that comparison, or name a new file")
        if resume:
            self._kept = _read(path)

    def earlier(self, whole: Comparison) -> list[TableResult]:
        """The tables that are done, and one that is done in part; those of which not all is known are compared again.
        Raises UnsuitableArgument for a comparison of something else."""
        if self._kept is None:
            return []
        if self._kept.of != subject(self._request, whole):
            raise UnsuitableArgument(f"{self._path} is of another comparison: {self._kept.of}")
        return [each for each in self._kept.tables if not each.uncompared and not each.open_rows]

    def keep(self, whole: Comparison) -> None:
        """Write what is known by now; complete or not at all. Raises OSError."""
        tables = [each for each in whole.tables if each.code is not ExitCode.UNKNOWN or each.done_to is not None]
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, how, 0o600), "wb") as file:
            file.write(KEPT.dump_json(KeptComparison(subject(self._request, whole), tables)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _read(path: Path) -> KeptComparison:
    require_ours(path)
    try:
        return KEPT.validate_json(bounded(path, LARGEST))
    except (OSError, ValidationError, RecursionError) as error:
        what = error.strerror or str(error) if isinstance(error, OSError) else "something else"
        raise ConfigError((Problem(str(path), 0, 0, what, "what --state has written"),)) from error
