"""Random tables and edits on real majors: what a comparison lists is what the lines of two COPYs differ in."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from adapters.databases.comparing.repairing import RepairFile
from adapters.databases.comparing.work import CompareWatch
from state.errors import ExitCode
from tests.contract.compared import asked, compared, of, oracle, psql, side, told
from tests.contract.components import Pair
from tests.support.random_tables import DEFINED, RandomTable, copied, edited, random_table

TABLES = 10
"""Tables in one pair of databases."""
PINNED = "set datestyle='ISO, YMD'; set timezone='UTC'; set extra_float_digits=1; set intervalstyle='postgres';"


def filled(
    server: Pair, database: str, tables: list[RandomTable], rows: dict[str, list[list[str | None]]], *, whole: bool
) -> None:
    psql(server, server.primary, "postgres", f"create database {database}")
    ddl = "".join(each.ddl(partitioned=each.partitioned and whole) for each in tables)
    psql(server, server.primary, database, DEFINED + ddl)
    for each in tables:
        psql(
            server,
            server.primary,
            database,
            f'copy "{each.name}" from stdin',
            settings=PINNED,
            stdin=copied(rows[each.name]),
        )


def dumped(server: Pair, database: str, table: RandomTable) -> list[str]:
    return psql(
        server, server.primary, database, f'copy (select * from "{table.name}") to stdout', settings=PINNED
    ).splitlines()


async def same_as_oracle(
    majors: dict[str, Pair], a: str, b: str, seed: int, script: Path, *, portable: bool = False
) -> None:
    random = Random(seed)
    tables = [random_table(random, f"t{seed}_{at}") for at in range(TABLES)]
    left, right = majors[a], majors[b]
    one, two = f"one_{seed}", f"two_{seed}"
    filled(left, one, tables, {each.name: each.rows for each in tables}, whole=True)
    filled(right, two, tables, {each.name: edited(random, each) for each in tables}, whole=False)
    repair = RepairFile(script)
    one_side, two_side = side(left, left.primary, one, "a"), side(right, right.primary, two, "b")
    whole = await compared(one_side, two_side, asked(portable=portable), CompareWatch(found=repair.found))
    repair.close(whole)
    assert whole.portable is portable
    for each in tables:
        result = of(whole, each.name)
        assert (result.uncompared, result.open_rows, result.definitions) == ("", 0, ()), each.ddl(partitioned=False)
        names = [name for name, _ in each.columns]
        key = each.key if result.key else []
        assert bool(key) is bool(each.key and not each.unique_only)
        expected = oracle(dumped(left, one, each), dumped(right, two, each), names, key)
        unescaped = {(how, tuple(v.replace("\\\\", "\\") for v in row)): n for (how, row), n in expected.items()}
        assert told(result) == unescaped, (seed, each.ddl(partitioned=False))
        assert result.code is (ExitCode.FAILED if expected else ExitCode.DONE)
    psql(right, right.primary, two, script.read_text().replace("ROLLBACK;", "COMMIT;"))
    for each in tables:
        assert sorted(dumped(left, one, each)) == sorted(dumped(right, two, each)), (seed, "after the repair")
    psql(left, left.primary, "postgres", f"drop database {one}")
    psql(right, right.primary, "postgres", f"drop database {two}")


@pytest.mark.parametrize(("a", "b", "portable"), [("15", "15", False), ("18", "18", True), ("15", "18", False)])
async def test_every_difference_and_no_other_and_the_script_mends_them(
    majors: dict[str, Pair], a: str, b: str, portable: bool, tmp_path: Path
) -> None:
    await same_as_oracle(majors, a, b, 1, tmp_path / "repair.sql", portable=portable)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(2, 24))
async def test_every_difference_in_hundreds_of_tables(majors: dict[str, Pair], seed: int, tmp_path: Path) -> None:
    a, b = (("15", "15"), ("18", "18"), ("15", "18"))[seed % 3]
    await same_as_oracle(majors, a, b, seed, tmp_path / "repair.sql", portable=seed % 5 == 0)
