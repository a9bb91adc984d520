"""What comparisons of databases are known to get wrong, on PostgreSQL 15 and 18 (traps 43 to 52)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from adapters.databases.comparing.repairing import RepairFile
from adapters.databases.comparing.side import ComparedSide
from adapters.databases.comparing.work import CompareWatch
from adapters.databases.postgres import Access
from adapters.secrets import Secret
from state.comparing.results import Apart, Comparison
from state.errors import ExitCode, NotFound, Refused
from tests.contract.compared import asked, compared, of, oracle, psql, side, told
from tests.contract.components import Pair
from tests.support.random_tables import DEFINED, TYPES, copied

PINNED = "set datestyle='ISO, YMD'; set timezone='UTC'; set extra_float_digits=1; set intervalstyle='postgres';"


class Two:
    """Two databases, one on each side, and the comparison of them."""

    def __init__(self, a: Pair, b: Pair) -> None:
        self.a, self.b = a, b

    def both(self, sql: str, *, stdin: str = "") -> None:
        self.on_a(sql, stdin=stdin)
        self.on_b(sql, stdin=stdin)

    def on_a(self, sql: str, *, stdin: str = "") -> str:
        return psql(self.a, self.a.primary, "left_one", sql, settings=PINNED, stdin=stdin)

    def on_b(self, sql: str, *, stdin: str = "") -> str:
        return psql(self.b, self.b.primary, "right_one", sql, settings=PINNED, stdin=stdin)

    def sides(self) -> tuple[ComparedSide, ComparedSide]:
        return side(self.a, self.a.primary, "left_one", "a"), side(self.b, self.b.primary, "right_one", "b")

    async def compared(self, *tables: str) -> Comparison:
        return await compared(*self.sides(), asked(*tables))


@pytest.fixture(params=["15-18"])
def two(majors: dict[str, Pair], request: pytest.FixtureRequest) -> Iterator[Two]:
    a, _, b = str(request.param).partition("-")
    found = Two(majors[a], majors[b or a])
    psql(found.a, found.a.primary, "postgres", "create database left_one")
    psql(found.b, found.b.primary, "postgres", "create database right_one")
    yield found
    psql(found.a, found.a.primary, "postgres", "drop database left_one with (force)")
    psql(found.b, found.b.primary, "postgres", "drop database right_one with (force)")


async def test_s43_every_two_values_that_print_differently_are_told_apart(two: Two) -> None:
    """Each pair of values of each type, though many are equal or have one hash; and NULL from each."""
    names = {kind: f"v{at}" for at, kind in enumerate(TYPES)}
    two.both(DEFINED + "".join(f"create table {name} (id int primary key, v {kind});" for kind, name in names.items()))
    for kind, name in names.items():
        pairs = list(combinations([*TYPES[kind], None], 2))
        two.on_a(f"copy {name} from stdin", stdin=copied([[str(at), one] for at, (one, _) in enumerate(pairs)]))
        two.on_b(f"copy {name} from stdin", stdin=copied([[str(at), other] for at, (_, other) in enumerate(pairs)]))
    whole = await two.compared()
    for kind, name in names.items():
        a, b = (run(f"copy {name} to stdout").splitlines() for run in (two.on_a, two.on_b))
        expected = oracle(a, b, ("id", "v"), ("id",))
        assert expected, kind
        assert told(of(whole, name)) == expected, kind


async def test_s43_values_that_change_places_are_told_apart(two: Two) -> None:
    """A sum of hashes that were made column by column would be the same."""
    two.both("create table t (id int primary key, x text, y text, z int)")
    two.on_a("insert into t values (1, 'a', 'b', 5), (2, 'c', 'd', 6), (3, 'e', null, 7), (4, null, null, 8)")
    two.on_b("insert into t values (1, 'c', 'b', 5), (2, 'a', 'd', 6), (3, null, 'e', 7), (4, null, null, 9)")
    result = of(await two.compared(), "t")
    assert {row.key[0]: row.columns for row in result.listed} == {
        "1": ("x",), "2": ("x",), "3": ("x", "y"), "4": ("z",),
    }  # fmt: skip
    two.on_b(
        "truncate t; insert into t values (1, 'a', 'b', 5), (2, 'c', 'd', 6), (3, 'e', null, 7), (4, null, null, 9)"
    )
    two.on_b("update t set z = 8 where id = 4")
    assert (await two.compared()).code is ExitCode.DONE


async def test_s43_zeros_that_change_their_sign_between_two_rows_are_told_apart(two: Two) -> None:
    """The hash of a zero is its seed: a bit added to it is not mixed, and the sum of two rows may be the same."""
    two.both("create table t (id int primary key, f float8, g float4)")
    pairs = "insert into t select 2500 * i + side, case when side = {0} then '-0'::float8 else 0 end, 0"
    pairs += " from generate_series(1, 400) as i, generate_series(0, 1) as side"
    two.on_a(pairs.format(0))
    two.on_b(pairs.format(1))
    assert of(await two.compared(), "t").apart == {Apart.CHANGED: 800}
    two.both("create table n (f float8)")
    two.on_a("insert into n values ('-0'), (1)")
    two.on_b("insert into n values (null), (1)")
    assert of(await two.compared("n"), "n").apart == {Apart.ONLY_A: 1, Apart.ONLY_B: 1}


async def test_s43_what_a_value_adds_to_the_first_seed_is_no_null_of_a_column(two: Two) -> None:
    """Far time stamps add their microseconds, and large numbers their high word: neither is the bit of a NULL."""
    two.both("create table t (s timestamp, x text)")
    two.on_a("insert into t values ('3000-01-01 00:00:00.000002', ''), ('4000-01-01', 'same')")
    two.on_b("insert into t values ('3000-01-01', null), ('4000-01-01', 'same')")
    assert of(await two.compared("t"), "t").apart == {Apart.ONLY_A: 1, Apart.ONLY_B: 1}
    two.both("create table b (n bigint, x text)")
    two.on_a("insert into b values (5, null), (7, '')")
    two.on_b("insert into b values (4294967300, ''), (7, '')")
    assert of(await two.compared("b"), "b").apart == {Apart.ONLY_A: 1, Apart.ONLY_B: 1}


async def test_s43_nulls_of_many_time_stamps_are_not_summed_as_bits(two: Two) -> None:
    """NULLs in two rows are not both of them in one row, though the bits of both have one sum."""
    two.both(f"create table t ({', '.join(f's{at} timestamptz' for at in range(16))})")
    zero, none = "'2000-01-01+00'", "null"
    row = "insert into t values ({})".format
    rest = [zero] * 13
    for thirteenth, fourteenth, run in (
        (none, zero, two.on_a), (zero, none, two.on_a), (zero, zero, two.on_b), (none, none, two.on_b),
    ):  # fmt: skip
        run(row(", ".join([*rest, thirteenth, fourteenth, zero])))
    assert of(await two.compared("t"), "t").apart == {Apart.ONLY_A: 2, Apart.ONLY_B: 2}


async def test_s44_settings_of_role_and_database_have_no_say(two: Two) -> None:
    two.both(
        "create table t (id int primary key, s timestamptz, f float8, i interval, b bytea, d date, m money);"
        "insert into t values (1, '2024-06-01 12:00:00.123456+00', 0.1::float8 + 0.2, '1 mon 2 days', '\\x00ff',"
        " '2024-02-03', '1.50')"
    )
    for setting in (
        "timezone = 'Asia/Kathmandu'", "datestyle = 'German'", "extra_float_digits = -5", "intervalstyle = 'iso_8601'",
        "bytea_output = 'escape'", "enable_seqscan = off", "search_path = 'nowhere'",
    ):  # fmt: skip
        two.on_b(f"alter database right_one set {setting}")
    assert (await two.compared()).code is ExitCode.DONE
    two.on_b("update public.t set s = s + interval '1 microsecond'")
    (row,) = of(await two.compared(), "t").listed
    assert row.columns == ("s",)


async def test_s45_rows_with_a_null_in_a_unique_key_are_compared(two: Two) -> None:
    two.both("create table t (k int unique, v text); insert into t values (1, 'a'), (null, 'b'), (null, 'c')")
    assert (await two.compared()).code is ExitCode.DONE
    two.on_b("update t set v = 'd' where v = 'c'")
    assert of(await two.compared(), "t").apart == {Apart.ONLY_A: 1, Apart.ONLY_B: 1}


async def test_s46_text_keys_whatever_their_collation(two: Two) -> None:
    """One side sorts by bytes, the other one by another collation; and one takes `a` and `A` for equal."""
    words = ["a", "A", "ä", "Z", "zz", "_", "é", "e\u0301", "ß", "ss", "\U0001f600", "a b", "a-b", ""]
    values = ", ".join(f"('{word}', {at})" for at, word in enumerate(words))
    two.on_a('create table t (k text collate "C" primary key, v int)')
    two.on_b('create table t (k text collate "ucs_basic" primary key, v int)')
    two.both(f"insert into t values {values}")
    assert (await two.compared()).code is ExitCode.DONE
    two.on_b("update t set v = -1 where k = 'ä'; delete from t where k = 'A'")
    assert told(of(await two.compared(), "t")) == {("changed", ("ä",)): 1, ("only on A", ("A",)): 1}


async def test_s46_an_indeterminate_collation_hides_nothing(majors: dict[str, Pair]) -> None:
    server = majors["15"]
    psql(server, server.primary, "postgres", "create database left_one")
    psql(server, server.primary, "postgres", "create database right_one")
    try:
        two = Two(server, server)
        two.both(
            "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
            "create table t (k text collate folded primary key, v text collate folded)"
        )
        two.on_a("insert into t values ('a', 'x'), ('b', 'y')")
        two.on_b("insert into t values ('A', 'x'), ('b', 'Y')")
        expected = {("only on A", ("a",)): 1, ("only on B", ("A",)): 1, ("changed", ("b",)): 1}
        assert told(of(await two.compared(), "t")) == expected
    finally:
        psql(server, server.primary, "postgres", "drop database left_one with (force)")
        psql(server, server.primary, "postgres", "drop database right_one with (force)")


async def test_s47_equal_rows_without_a_key_are_counted(two: Two) -> None:
    two.both("create table t (v text); insert into t select 'x' from generate_series(1, 1000)")
    two.on_b("insert into t values ('x')")
    result = of(await two.compared(), "t")
    assert result.apart == {Apart.ONLY_B: 1}
    assert [(row.count_a, row.count_b) for row in result.listed] == [(1000, 1001)]


async def test_s48_a_role_from_which_rows_are_hidden_is_refused(two: Two) -> None:
    two.both("create table t (id int primary key); insert into t values (1), (2);"
             "alter table t enable row level security; create policy p on t using (id = 1)")  # fmt: skip
    whole = await two.compared()
    assert "row-level security" in of(whole, "t").uncompared
    assert "BYPASSRLS" in of(whole, "t").way_out
    assert whole.code is ExitCode.UNKNOWN


async def test_s51_large_values_are_compared_and_their_row_is_named_in_the_script(two: Two, tmp_path: Path) -> None:
    two.both("create table t (id int primary key, v bytea, w text)")
    two.both("insert into t select i, convert_to(repeat(chr(64 + i), 20000000), 'UTF8'), repeat('x', 9000000)"
             " from generate_series(1, 2) as i")  # fmt: skip
    two.on_b("update t set v = v || '\\x00' where id = 2")
    repair = RepairFile(tmp_path / "repair.sql")
    whole = await compared(*two.sides(), asked(), CompareWatch(found=repair.found))
    repair.close(whole)
    (row,) = of(whole, "t").listed
    assert (row.key, row.columns) == (("2",), ("v",))
    script = (tmp_path / "repair.sql").read_text()
    assert "-- not written, too large or gone: changed 2" in script
    assert len(script) < 10_000


async def test_s52_more_columns_than_arguments_and_the_last_one_differs(two: Two) -> None:
    columns = ", ".join(f"c{at} int" for at in range(1200))
    two.both(f"create table wide (id int primary key, {columns}); create table heap ({columns})")
    two.both("insert into wide (id, c0) values (1, 5), (2, 6); insert into heap (c0) values (1), (2)")
    assert (await two.compared()).code is ExitCode.DONE
    two.on_b("update wide set c1199 = 0 where id = 2; update heap set c1199 = 0 where c0 = 2")
    whole = await two.compared()
    assert of(whole, "wide").listed[0].columns == ("c1199",)
    assert of(whole, "heap").differences == 2


async def test_s52_definitions_that_differ_are_no_rows_that_differ(two: Two) -> None:
    two.on_a("create table t (id int primary key, v int, w text, x int); create table only_a (i int)")
    two.on_b("create table t (id int primary key, v bigint, w text, y int); create table only_b (i int)")
    two.both("insert into t (id, v, w) values (1, 1, 'a'), (2, 2, 'b')")
    whole = await two.compared()
    result = of(whole, "t")
    assert result.differences == 0
    assert result.definitions == (
        "column v is integer on A and bigint on B", "column x is only on A", "column y is only on B",
    )  # fmt: skip
    assert of(whole, "only_a").definitions == ("the table is only on A",)
    assert of(whole, "only_b").definitions == ("the table is only on B",)
    assert whole.code is ExitCode.FAILED
    two.on_b("update t set w = 'c' where id = 2")
    assert [row.columns for row in of(await two.compared("t"), "t").listed] == [("w",)]


async def test_generated_columns_and_partitions(two: Two) -> None:
    twice = "twice int generated always as (v * 2) stored"
    two.on_a(f"create table p (id int, at date, v int, {twice}, primary key (id, at)) partition by range (at);"
             "create table p1 partition of p for values from ('2024-01-01') to ('2024-07-01');"
             "create table p2 partition of p default")  # fmt: skip
    two.on_b("create table p (id int, at date, v int, twice int, primary key (id, at))")
    two.on_a("insert into p (id, at, v) select i, date '2024-01-01' + i, i from generate_series(1, 365) as i")
    two.on_b("insert into p select i, date '2024-01-01' + i, i, i * 2 from generate_series(1, 365) as i")
    whole = await two.compared()
    result = of(whole, "p")
    assert [each.name for each in whole.tables if each.rows_a] == ["public.p"]
    assert (result.rows_a, result.rows_b, result.differences) == (365, 365, 0)
    assert result.definitions == ("column twice is generated and stored on A and stored on B",)
    two.on_b("update p set twice = 0 where id = 7")
    assert [row.columns for row in of(await two.compared("p"), "p").listed] == [("twice",)]


async def test_what_may_not_be_read_and_what_is_not_there_is_no_pass(two: Two) -> None:
    two.both("create table t (id int primary key); create table u (id int primary key)")
    two.both("insert into t values (1); insert into u values (1)")
    nobody = Access("nobody_much", "postgres", Secret("x"))
    two.both("grant select on t to nobody_much; grant pg_monitor to nobody_much")
    try:
        whole = await compared(
            side(two.a, two.a.primary, "left_one", "a", nobody), side(two.b, two.b.primary, "right_one", "b", nobody)
        )
        assert of(whole, "t").code is ExitCode.DONE
        assert (of(whole, "u").uncompared, of(whole, "u").way_out) == (
            "a: nobody_much may not read it", "GRANT pg_read_all_data TO nobody_much;",
        )  # fmt: skip
        assert whole.code is ExitCode.UNKNOWN
    finally:
        two.both("revoke pg_monitor from nobody_much; drop owned by nobody_much")
    with pytest.raises(NotFound):
        await two.compared("tt")
    two.both("drop table t; drop table u")
    whole = await two.compared()
    assert (whole.code, whole.tables) == (ExitCode.UNKNOWN, [])
    assert "postgres" in whole.others
    two.both("select lo_create(7)")
    assert (await two.compared()).code is ExitCode.UNKNOWN


async def test_a_server_is_not_compared_with_itself(majors: dict[str, Pair]) -> None:
    server = majors["18"]
    one, same = (side(server, server.primary, "postgres", name) for name in ("a", "b"))
    with pytest.raises(Refused):
        await compared(one, same)


async def test_whole_numbers_at_both_ends_of_their_range_and_far_apart(two: Two) -> None:
    two.both("create table t (id bigint primary key, v int); create table u (id bigint primary key, v int)")
    two.both("insert into t values (-9223372036854775808, 1), (0, 2), (9223372036854775807, 3)")
    two.both("insert into u select i * 1000000007::int8 - 500000000000, i from generate_series(1, 5000) as i")
    assert (await two.compared()).code is ExitCode.DONE
    two.on_b("update t set v = 0 where v = 3; update u set v = 0 where v in (1, 499, 500, 501, 5000)")
    two.on_b("insert into u values (-500000000000 - 77, 7)")
    whole = await two.compared()
    assert [row.key for row in of(whole, "t").listed] == [("9223372036854775807",)]
    assert len(of(whole, "u").listed) == 6
