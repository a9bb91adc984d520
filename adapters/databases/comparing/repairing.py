"""Writes the repair script as differences are found."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from adapters.databases.comparing.settle import arguments_of
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import Compared
from state.comparing.narrowing import Key
from state.comparing.repair import IN_ORDER, LARGEST, Literals, head, statements, tail
from state.comparing.results import Apart, Comparison, RowApart
from state.comparing.shapes import TableShape
from state.comparing.statements import TableSql
from state.errors import UnsuitableArgument

AT_ONCE = 20
"""Rows whose values are held in memory at a time."""


class RepairFile:
    """A new file that only this account may read; it ends with ROLLBACK, also when the comparison breaks off."""

    def __init__(self, path: Path) -> None:
        """Raises UnsuitableArgument for a file that is there, and OSError."""
        new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file: BinaryIO = os.fdopen(os.open(path, new, 0o600), "wb")
        except FileExistsError as error:
            raise UnsuitableArgument(f"{path} is there and is left as it is: name a new file") from error
        self._begun = False
        self._later: dict[Apart, BinaryIO] = {}
        for how in IN_ORDER[1:]:
            self._later[how] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - until close

    async def found(self, compared: Compared, rows: Sequence[RowApart]) -> None:
        """Write what some rows need. Raises OSError."""
        common = compared.sql.common
        assert compared.a.facts is not None
        assert compared.b.facts is not None
        if not self._begun:
            self._begun = True
            self._write(head(compared.a.facts, compared.b.facts))
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            of_a = await _values(compared.sql, compared.a, common.a, [r for r in part if r.how is not Apart.ONLY_B])
            gone = [] if common.key else [r for r in part if r.how is Apart.ONLY_B]
            of_b = await _values(compared.sql, compared.b, common.b, gone)
            for how in IN_ORDER:
                self._write(statements(common, [r for r in part if r.how is how], of_a, of_b), how)

    def close(self, whole: Comparison | None) -> None:
        """The end of the script, with what it lacks; None for a comparison that broke off. Raises OSError."""
        for later in self._later.values():
            later.seek(0)
            shutil.copyfileobj(later, self._file)
            later.close()
        self._write(tail(whole, self._begun))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write(self, lines: Sequence[str], how: Apart = Apart.ONLY_B) -> None:
        self._later.get(how, self._file).writelines(f"{line}\n".encode() for line in lines)


async def _values(sql: TableSql, side: ComparedSide, table: TableShape, rows: Sequence[RowApart]) -> Literals:
    if not rows:
        return {}
    keys: list[Key] = [row.key if sql.keyed else row.key[:1] for row in rows]
    found = await side.fetch(sql.values(table, LARGEST), *arguments_of(keys))
    return {tuple(row["k"]): None if row["q"] is None else tuple(row["q"]) for row in found}
