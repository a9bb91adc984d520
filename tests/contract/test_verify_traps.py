"""What the integrity suite must not take for sound, on real servers: sequences, constraints, collations, indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from state.health import Health
from state.integrity.model import IntegrityAsked
from state.integrity.snapshot import changes
from tests.contract.compared import psql
from tests.contract.components import Pair, wait_for
from tests.contract.test_verify import Sound, bad, sound, written

ASKED = IntegrityAsked
__all__ = ["sound"]


def facts(found: list[tuple[Health, str, str]]) -> list[tuple[Health, str]]:
    return [(health, fact) for health, _, fact in found]


async def test_replication_trap_42_after_logical_replication_every_sequence_is_behind_until_it_is_set(
    majors: dict[str, Pair], tmp_path: Path
) -> None:
    """Rows are replicated and sequences are not: the first insert at the target would fail."""
    source, server = majors["15"], majors["18"]
    target = Sound(server, written(tmp_path, server))
    tables = (
        "create table orders (id serial primary key); create table parcels (id bigint generated always as identity)"
    )
    for each in (source, server):
        psql(each, each.primary, "postgres", "create database sound")
    publisher = Sound(source, target.file)
    for at in (publisher, target):
        at.sql(tables)
    publisher.sql("create publication moved for all tables; insert into parcels default values;"
                  " insert into orders select from generate_series(1, 10)")  # fmt: skip
    where = f"host={source.place} port={source.primary} user=postgres dbname=sound"
    target.sql(f"create subscription moved connection '{where}' publication moved")
    try:
        wait_for(lambda: target.sql("select count(*) from orders").strip() == "10", 60)
        wait_for(lambda: target.sql("select count(*) from parcels").strip() == "1", 60)
        found = bad(await target.found(ASKED.AMCHECK), ASKED.SEQUENCES)
        assert facts(found) == [
            (Health.FAIL, "gives 1 next, public.orders.id has 10 already"),
            (Health.FAIL, "gives 1 next, public.parcels.id has 1 already"),
        ]
        target.sql("select setval('orders_id_seq', 10), setval('parcels_id_seq', 1)")
        assert bad(await target.found(ASKED.AMCHECK), ASKED.SEQUENCES) == []
        target.sql("select setval('orders_id_seq', 10, false)")
        found = bad(await target.found(ASKED.AMCHECK), ASKED.SEQUENCES)
        assert facts(found) == [(Health.FAIL, "gives 10 next, public.orders.id has 10 already")]
    finally:
        target.sql("drop subscription moved")
        for each in (source, server):
            psql(each, each.primary, "postgres", "drop database sound with (force)")


async def test_replication_trap_42_sequences_that_go_down_are_used_up_or_fill_a_smaller_column(sound: Sound) -> None:
    sound.sql("create table down (id int generated always as identity (increment by -1)); create sequence wide;"
              " create table narrow (id int default nextval('wide')); create table shop (id smallserial)")  # fmt: skip
    sound.sql("insert into down default values; insert into narrow default values; insert into shop default values")
    assert bad(await sound.found(ASKED.AMCHECK), ASKED.SEQUENCES) == []
    sound.sql("insert into down overriding system value values (-7); select setval('wide', 2147483647);"
              " select setval('shop_id_seq', 32000)")  # fmt: skip
    found = bad(await sound.found(ASKED.AMCHECK), ASKED.SEQUENCES)
    assert facts(found) == [
        (Health.FAIL, "gives -2 next, public.down.id has -7 already"),
        (Health.WARN, "is at 32000 of 32767"),
        (Health.FAIL, "is used up: 2147483647 is the last number that it gives or public.narrow.id holds"),
    ]
    sound.sql("select setval('shop_id_seq', 32767)")
    found = bad(await sound.found(ASKED.AMCHECK), ASKED.SEQUENCES)
    assert (Health.FAIL, "is used up: 32767 is the last number that it gives or public.shop.id holds") in facts(found)


async def test_replication_trap_53_a_sequence_that_is_further_on_a_standby_is_no_loss(sound: Sound) -> None:
    """A look while the primary was silent has the standby's count, which is up to 32 ahead of what was given out."""
    sound.sql("create table orders (id serial primary key); insert into orders default values")
    sound.caught_up()
    assert sound.sql("select last_value from orders_id_seq", node="b").strip() == "33", "the trap itself"
    whole = sound.file.read_text()
    sound.file.write_text(whole.replace(f"127.0.0.1:{sound.server.primary}", "127.0.0.1:1"))
    before, _ = await sound.verified(ASKED.AMCHECK, within=5)
    assert before.nodes["b"].databases["sound"].positions == {"public.orders_id_seq": 33}
    sound.file.write_text(whole)
    after, found = await sound.verified(ASKED.AMCHECK)
    assert after.nodes["a"].databases["sound"].positions == {"public.orders_id_seq": 1}
    assert bad(found, ASKED.SEQUENCES) == []
    assert [each.fact for each in changes(before, after) if "orders_id_seq" in each.where] == []
    sound.sql("select setval('orders_id_seq', 200)")
    later, _ = await sound.verified(ASKED.AMCHECK)
    gone = [each.health for each in changes(later, after) if "orders_id_seq" in each.where]
    assert gone == [Health.FAIL], "one that went back at a writer is told"


async def test_replication_trap_54_domains_and_keys_of_full_match_are_looked_at(sound: Sound) -> None:
    sound.sql("create domain positive int; create table t (v positive); insert into t values (-1);"
              " alter domain positive add constraint above check (value > 0) not valid")  # fmt: skip
    sound.sql("create table pair (a int, b int, primary key (a, b));"
              " create table part (a int, b int, foreign key (a, b) references pair match full)")  # fmt: skip
    sound.sql("insert into part values (null, null)")
    found = await sound.found(ASKED.AMCHECK)
    assert [(h, w) for h, w, _ in bad(found, ASKED.CONSTRAINTS)] == [(Health.WARN, "a/sound/domain public.positive")]
    assert bad(found, ASKED.KEYS) == []
    sound.sql("set session_replication_role = replica; insert into part values (1, null)")
    found = await sound.found(ASKED.AMCHECK)
    assert [(h, w) for h, w, _ in bad(found, ASKED.KEYS)] == [(Health.FAIL, "a/sound/public.part")]


async def test_replication_trap_54_keys_over_a_span_of_time_need_all_of_it(
    majors: dict[str, Pair], tmp_path: Path
) -> None:
    server = majors["18"]
    psql(server, server.primary, "postgres", "create database sound")
    at = Sound(server, written(tmp_path, server))
    try:
        at.sql("create table rate (id int4range, span int4range, primary key (id, span without overlaps));"
               " create table bill (id int4range, span int4range, foreign key (id, period span) references rate"
               " (id, period span))")  # fmt: skip
        at.sql("insert into rate values ('[1,2)', '[1,5)'), ('[1,2)', '[5,9)'); insert into bill values"
               " ('[1,2)', '[2,8)'), ('[1,2)', null)")  # fmt: skip
        assert bad(await at.found(ASKED.AMCHECK), ASKED.KEYS) == []
        at.sql("set session_replication_role = replica; insert into bill values ('[1,2)', '[7,12)')")
        found = bad(await at.found(ASKED.AMCHECK), ASKED.KEYS)
        assert [(h, w) for h, w, _ in found] == [(Health.FAIL, "a/sound/public.bill")]
    finally:
        psql(server, server.primary, "postgres", "drop database sound with (force)")


@pytest.fixture
def german(majors: dict[str, Pair], tmp_path: Path) -> Iterator[Sound]:
    """A database that sorts by ICU, which the newer server here has not."""
    server = majors["15"]
    psql(
        server, server.primary, "postgres", "create database sound template template0 locale_provider icu icu_locale de"
    )
    made = Sound(server, written(tmp_path, server))
    grant = "grant execute on function bt_index_check(regclass) to reader"
    for database in ("sound", "postgres"):
        made.sql(f"create extension amcheck; {grant}", database=database)
    yield made
    made.sql("drop extension amcheck", database="postgres")
    psql(server, server.primary, "postgres", "drop database sound with (force)")


async def test_replication_trap_55_a_refreshed_version_without_a_rebuild_still_warns(german: Sound) -> None:
    """The server's own warning is silent then. What amcheck has read in order is proven."""
    german.sql("create collation words (provider = icu, locale = 'de'); create table t (k text collate words unique);"
               " create index hashed on t using hash (k)")  # fmt: skip
    assert bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION) == []
    german.sql("update pg_collation set collversion = '1.2.3' where collname = 'words'")
    old, _ = await german.verified(ASKED.AMCHECK)
    german.sql("alter collation words refresh version")
    ((health, where, fact),) = bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION)
    assert (health, where) == (Health.WARN, "a/sound")
    assert fact.startswith("the record of collation words was changed after public.hashed, public.t_k_key was built")
    ((_, _, fact),) = bad(await german.found(), ASKED.COLLATION)
    assert "after public.hashed was built" in fact, "amcheck reads no hash index"
    after, _ = await german.verified(ASKED.AMCHECK)
    told = [each.health for each in changes(old, after) if "recorded version of collation words" in each.fact]
    assert told == [Health.WARN]
    german.sql("reindex table t")
    assert bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION) == []


async def test_replication_trap_55_the_database_s_own_collation_and_one_without_a_record(german: Sound) -> None:
    german.sql("create table t (k text unique)")
    assert bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION) == []
    german.sql("update pg_database set datcollversion = '1.2.3' where datname = 'sound'", database="postgres")
    german.sql("alter database sound refresh collation version")
    ((health, _, fact),) = bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION)
    assert (health, fact.partition(" was changed after ")[0]) == (Health.WARN, "the record of the database's collation")
    assert bad(await german.found(), ASKED.COLLATION) == [], "amcheck has read it in order, on both nodes"
    german.sql("update pg_database set datcollversion = null where datname = 'sound'", database="postgres")
    found = bad(await german.found(ASKED.AMCHECK), ASKED.COLLATION)
    assert [(h, w) for h, w, _ in found] == [(Health.WARN, "a/sound"), (Health.WARN, "b/sound")]


async def test_replication_trap_56_what_amcheck_does_not_read_is_not_called_checked(sound: Sound) -> None:
    sound.sql("create table t (v int primary key, w int); create index lossy on t using brin (w);"
              " create unlogged table u (v int primary key)")  # fmt: skip
    found = await sound.found()
    read = {each.where: each.fact for each in found if each.asked is ASKED.AMCHECK and each.health is Health.PASS}
    assert read["a/sound"].endswith("B-trees in order; not read: 1 brin")
    assert read["b/sound"].endswith("B-trees in order; not read: 1 brin, 1 unlogged")
