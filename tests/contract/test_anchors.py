"""The contract of every place for anchors, on the real thing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from adapters.anchors.postgres import PostgresAnchorOptions
from adapters.context import AdapterContext
from state.errors import ReadFailure, Trouble
from state.estate.model import Polling
from state.ports.anchors import CanReadAnchors
from state.proof.anchors import AnchorsRead
from tests.contract.anchor_places import KINDS, TABLE, Place, built, place_of
from tests.contract.components import PASSWORD, Pair, kill_pair, make_primary, postgres_with_tls
from tests.support.sealed import written

ANCHORS = written(3).anchors


@pytest.fixture(scope="module")
def server() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="ra-", dir="/tmp") as folder:
        pair = make_primary(Path(folder), postgres_with_tls())
        yield pair
        kill_pair(pair)


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ra-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, short: Path, server: Pair) -> AsyncIterator[Place]:
    async with place_of(request.param, short, server) as made:
        yield made


async def read_from(place: Place, least: int) -> AnchorsRead:
    """What the server has, once it has so many lines: a system log writes when it likes."""
    async with asyncio.timeout(60):
        while True:
            found = AnchorsRead()
            found.take(place.lines(), "there")
            if len(found.anchors) >= least:
                return found
            await asyncio.sleep(0.05)


async def test_a_place_has_the_very_line_that_it_confirmed(place: Place) -> None:
    for anchor in ANCHORS[:3]:
        await place.place.keep(anchor.line, deadline=30)
    found = await read_from(place, 3)
    assert found.anchors == ANCHORS[:3]
    assert found.unreadable == 0
    assert all(each.wrong() == "" for each in found.anchors), "signatures are whole"


async def test_the_same_line_again_does_no_harm(place: Place) -> None:
    await place.place.keep(ANCHORS[0].line, deadline=30)
    await place.place.keep(ANCHORS[0].line, deadline=30)
    assert set((await read_from(place, 1)).anchors) == {ANCHORS[0]}


async def test_a_place_that_is_gone_is_told_without_a_secret(place: Place) -> None:
    await place.place.keep(ANCHORS[0].line, deadline=30)
    place.gone()
    with pytest.raises(ReadFailure) as failure:
        await place.place.keep(ANCHORS[1].line, deadline=30)
    assert "anchors.elsewhere" in failure.value.message
    assert "t0ken" not in failure.value.message
    assert PASSWORD not in failure.value.message


async def test_a_place_that_is_silent_is_given_up_at_the_limit(place: Place) -> None:
    with pytest.raises(ReadFailure):
        async with asyncio.timeout(30):  # a limit that is not kept ends as TimeoutError
            await place.hung.keep(ANCHORS[0].line, deadline=0.5)


async def test_what_can_be_read_back_is_what_was_kept(place: Place) -> None:
    for anchor in ANCHORS[:3]:
        await place.place.keep(anchor.line, deadline=30)
    if isinstance(place.place, CanReadAnchors):
        found = AnchorsRead()
        found.take((await place.place.kept(deadline=30)).splitlines(), "there")
        assert sorted(found.anchors, key=lambda each: each.seq) == ANCHORS[:3]


async def test_a_look_leaves_nothing_and_tells_of_a_place_that_is_silent(place: Place) -> None:
    assert await place.place.look(deadline=30)
    found = AnchorsRead()
    found.take(place.lines(), "there")
    assert found.anchors == []


async def test_a_table_that_the_engine_could_change_is_no_place_outside(short: Path, server: Pair) -> None:
    server.psql(server.primary, TABLE.format(password=PASSWORD))
    try:
        (short / "password").write_text(PASSWORD)
        (short / "password").chmod(0o600)
        about = {"user": "recovery_anchors", "password": {"file": "password"}, "tls": "plain"}
        place = built("postgres", AdapterContext(short, Polling()), address=f"127.0.0.1:{server.primary}", **about)
        for right in ("update", "delete", "truncate"):
            server.psql(server.primary, f"grant {right} on public.recovery_anchors to recovery_anchors")
            with pytest.raises(ReadFailure, match="may change what is in it") as failure:
                await place.keep(ANCHORS[0].line, deadline=30)
            assert failure.value.trouble is Trouble.DENIED
            server.psql(server.primary, f"revoke {right} on public.recovery_anchors from recovery_anchors")
        server.psql(server.primary, "grant audit_owner to recovery_anchors")
        with pytest.raises(ReadFailure, match="owns the table"):
            await place.keep(ANCHORS[0].line, deadline=30)
        server.psql(server.primary, "revoke audit_owner from recovery_anchors")
        await place.keep(ANCHORS[0].line, deadline=30)
        server.psql(
            server.primary,
            "create function public.lose() returns trigger language plpgsql as 'begin return null; end'; "
            "create trigger lose before insert on public.recovery_anchors for each row execute function public.lose()",
        )
        with pytest.raises(ReadFailure, match="not there afterwards"):
            await place.keep(ANCHORS[1].line, deadline=30)
        server.psql(server.primary, "drop function public.lose() cascade")
    finally:
        server.psql(server.primary, "drop owned by audit_owner cascade; drop owned by recovery_anchors cascade")
        server.psql(server.primary, "drop role audit_owner; drop role recovery_anchors")


OUT = {
    "a rule": "create rule away as on insert to public.recovery_anchors do instead nothing",
    "a trigger": "create function away() returns trigger language plpgsql as 'begin return null; end'; "
    "create trigger away before insert on public.recovery_anchors for each row execute function away()",
    "a policy": "alter table public.recovery_anchors enable row level security; "
    "create policy adds on public.recovery_anchors for insert with check (true)",
    "no log": "alter table public.recovery_anchors set unlogged",
}


@pytest.mark.parametrize("how", list(OUT))
async def test_a_row_that_the_table_does_not_keep_is_no_anchor(how: str, short: Path, server: Pair) -> None:
    server.psql(server.primary, TABLE.format(password=PASSWORD))
    try:
        (short / "password").write_text(PASSWORD)
        (short / "password").chmod(0o600)
        about = {"user": "recovery_anchors", "password": {"file": "password"}, "tls": "plain"}
        place = built("postgres", AdapterContext(short, Polling()), address=f"127.0.0.1:{server.primary}", **about)
        server.psql(server.primary, OUT[how])
        with pytest.raises(ReadFailure, match="unlogged table" if how == "no log" else "is not there afterwards"):
            await place.keep(ANCHORS[0].line, deadline=30)
    finally:
        server.psql(server.primary, "drop owned by audit_owner cascade; drop owned by recovery_anchors cascade")
        server.psql(server.primary, "drop role audit_owner; drop role recovery_anchors")
        server.psql(server.primary, "drop function if exists away()")


async def test_an_anchor_is_written_before_it_is_confirmed_whatever_the_accounts_settings(
    short: Path, server: Pair
) -> None:
    server.psql(server.primary, TABLE.format(password=PASSWORD))
    try:
        (short / "password").write_text(PASSWORD)
        (short / "password").chmod(0o600)
        about = {"user": "recovery_anchors", "password": {"file": "password"}, "tls": "plain"}
        place = built("postgres", AdapterContext(short, Polling()), address=f"127.0.0.1:{server.primary}", **about)
        server.psql(server.primary, "alter role recovery_anchors set synchronous_commit = off")
        server.psql(server.primary, "alter table public.recovery_anchors add how text default "
                    "current_setting('synchronous_commit')")  # fmt: skip
        await place.keep(ANCHORS[0].line, deadline=30)
        server.psql(server.primary, "do $$ begin assert (select how from public.recovery_anchors) = 'on'; end $$")
    finally:
        server.psql(server.primary, "drop owned by audit_owner cascade; drop owned by recovery_anchors cascade")
        server.psql(server.primary, "drop role audit_owner; drop role recovery_anchors")


def test_plain_text_to_another_machine_needs_its_reason() -> None:
    about = {"kind": "postgres", "address": "10.0.0.1:5432", "user": "recovery"}
    with pytest.raises(ValueError, match="waive"):
        PostgresAnchorOptions.model_validate({**about, "tls": "plain"})
    PostgresAnchorOptions.model_validate(about)
    PostgresAnchorOptions.model_validate({**about, "tls": "plain", "waive": {"tls": "a cable between two rooms"}})
