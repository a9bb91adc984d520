"""State files of balancers: what a configuration reads, what a row becomes, what is said of it, and what a run makes of
a save that fails, hangs or is cut off."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from adapters.balancers.haproxy_state import lost, present_in, rows_in, written
from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from console.card_pieces import pieces_of
from state.api.card import Fact, FactKind
from state.discovery.haproxy_state_cfg import state_loading
from state.errors import ConfigError, EffectRefused, EffectUnknown, ReadFailure
from state.health import Health
from state.verdicts.keeping import Keeping, keeping
from state.world.balancer_parts import NextReads, SavedSettings
from tests.support.cards import card
from tests.support.estate_samples import estate
from tests.support.estate_samples import small as sample
from tests.support.small_estate import change, small

pytestmark = pytest.mark.virtual_time

CONFIGURATIONS = [
    ("global\n server-state-file /s\ndefaults\n load-server-state-from-file global\nbackend a\n", {"a": "/s"}, "/s"),
    (
        "global\n server-state-base /b\n server-state-file s\ndefaults\n load-server-state-from-file global\n"
        "listen a\nbackend b\n load-server-state-from-file none\n",
        {"a": "/b/s", "b": ""},
        "/b/s",
    ),
    (
        "global\n server-state-base /b\ndefaults\n load-server-state-from-file local\nbackend a\nbackend c\n"
        " server-state-file-name use-backend-name\n",
        {"a": "/b/a", "c": "/b/c"},
        "/b/{backend}",
    ),
    (
        "global\n server-state-base /b\nbackend a\n load-server-state-from-file local\n server-state-file-name /x/y\n",
        {"a": "/x/y"},
        "",
    ),
    ("global\n server-state-file s\ndefaults\n load-server-state-from-file global\nbackend a\n", {"a": ""}, ""),
    ("global\n server-state-file /s\nbackend a\n", {"a": ""}, ""),
    (
        "global\n server-state-file /s\ndefaults one\n load-server-state-from-file global\ndefaults two\nbackend a\n"
        "backend b from one\ndefaults three from one\nbackend c\n",
        {"a": "", "b": "/s", "c": "/s"},
        "/s",
    ),
]


@pytest.mark.parametrize(("text", "loads", "common"), CONFIGURATIONS)
def test_what_a_configuration_reads(text: str, loads: dict[str, str], common: str) -> None:
    found = state_loading(text)
    assert (dict(found.loads), found.unsure, found.common) == (loads, False, common)


UNSURE = [
    "global\n server-state-file ${S}/s\ndefaults\n load-server-state-from-file global\nbackend a\n",
    "global\n.if defined(X)\n server-state-file /s\n.endif\n",
]


@pytest.mark.parametrize("text", UNSURE)
def test_what_only_the_starting_process_knows_is_not_guessed(text: str) -> None:
    found = state_loading(text)
    assert (found.unsure, found.common) == (True, "")


HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight x\n"


def rows(*servers: str) -> bytes:
    """Rows of `name op admin weight configured`, which were up for an hour by a check of layer 7."""
    made = []
    for each in servers:
        name, operation, admin, weight, configured = each.split()
        made.append(
            f"2 shop 1 {name} 10.0.0.1 {operation} {admin} {weight} {configured} 3600 15 3 4 6 0 0 0 - 80 - 0 0 - - 0"
        )
    return (HEAD + "\n".join(made) + "\n\n").encode()


def test_only_what_people_set_is_written_and_no_check_is() -> None:
    dump = rows(
        "same 0 0 100 100", "light 2 0 30 100", "drained 3 8 100 100", "off 0 5 1 1", "on 2 4 1 1", "out 0 1 1 1"
    )
    kept = written(dump).decode().splitlines()[2:]
    assert [line.split()[3] for line in kept] == ["light", "drained", "on", "out"]
    assert {tuple(line.split()[n] for n in (5, 9, 10, 11, 12)) for line in kept} == {("2", "0", "1", "0", "0")}
    assert lost(present_in(dump), rows_in(written(dump)), {}) == {}, "and it reads back as what it was made from"


@pytest.mark.parametrize(
    ("now", "kept", "then"),
    [
        ("a 2 0 30 100", "a 2 0 30 100", None),
        ("a 2 0 30 100", None, "weight 100"),
        ("a 2 0 30 100", "a 2 0 20 100", "weight 20"),
        ("a 2 0 30 50", "a 2 0 30 100", "weight 50"),
        ("a 3 8 30 100", "a 2 0 30 100", "ready"),
        ("a 3 8 30 100", None, "ready, weight 100"),
        ("a 0 1 1 1", "a 3 8 1 1", "drain"),
        ("a 2 4 1 1", None, "maint"),
        ("a 2 4 1 1", "a 2 4 1 1", None),
        ("a 3 8 1 1", "a 3 8 0 0", "ready"),
        ("a 2 0 1 1", "a 0 5 1 1", None),
    ],
)
def test_what_a_reload_makes_of_a_server(now: str, kept: str | None, then: str | None) -> None:
    """By the rules of `srv_state_srv_update` in HAProxy's src/server_state.c."""
    found = lost(present_in(rows(now)), rows_in(rows(kept)) if kept else {}, {})
    assert found == ({} if then is None else {"shop/a": then})


def test_of_two_rows_of_a_server_the_first_one_counts_and_a_torn_file_has_none() -> None:
    """As `srv_state_parse_and_store_line` in HAProxy's src/server_state.c has it."""
    two = rows("a 2 0 100 100", "a 2 0 30 100")
    assert rows_in(two) == {}, "the first one is as configured"
    assert rows_in(rows("a 2 0 30 100", "a 2 0 100 100")).keys() == {"shop/a"}
    assert rows_in(rows("a 2 9 30 100", "a 2 0 30 100")) == {}, "of the first one HAProxy takes nothing"
    for torn in (two.rstrip(b"\n"), two + b"3\n", two.replace(b" 3600 ", b" x ")):
        with pytest.raises(ReadFailure):
            rows_in(torn)


def test_a_file_of_nothing_but_ends_of_lines_is_read_without_a_list_of_them() -> None:
    assert most_taken(lambda: rows_in(HEAD.encode() + b"\n" * 1_000_000)) < 3_000_000


def most_taken(do: Callable[[], object]) -> int:
    """Bytes that were taken at most."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_answer_that_is_no_table_is_never_written() -> None:
    for dump in (b"", b"2\n", b"Unknown command\n", rows("a 2 x 1 1"), HEAD.encode() + b"2 shop 1 a\n"):
        with pytest.raises(ReadFailure):
            written(dump)


SAVED = SavedSettings("/s", kept=frozenset({"shop"}), reads={"shop": NextReads.YES})


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (SAVED, Keeping(Health.PASS, "saved in /s, which a reload reads")),
        (SavedSettings("/s", reads={"shop": NextReads.YES}), None),
        (
            SavedSettings("/s", kept=frozenset({"shop"}), unknown="it is dark"),
            Keeping(Health.UNKNOWN, "saved in /s; whether a reload reads it is not known: it is dark"),
        ),
        (
            SavedSettings("/s/{backend}", {f"shop/{n}": "ready" for n in "abcde"}, trouble="/s/shop is not there"),
            Keeping(Health.WARN, "a reload sets a to ready, b to ready, c to ready and 2 more: /s/shop is not there"),
        ),
        (
            SavedSettings("/s", {"shop/a": "ready", "shops/b": "ready"}, reads={"shop": NextReads.NO}),
            Keeping(Health.WARN, "a reload sets a to ready: nothing reads /s for it"),
        ),
    ],
)
def test_what_is_said_of_it(saved: SavedSettings, said: Keeping | None) -> None:
    assert keeping(saved, "shop") == said


@pytest.mark.parametrize(
    ("health", "label", "words"),
    [
        (Health.PASS, "saved", "then, in /s, which a reload reads"),
        (Health.FAIL, "lost", "at a reload or restart: it is then set as configured, for nothing reads /s"),
        (Health.UNKNOWN, "saved", "then, in /s; whether a reload reads it is not known: it is dark"),
    ],
)
def test_the_card_says_what_a_reload_reads(health: Health, label: str, words: str) -> None:
    source = "it is dark" if health is Health.UNKNOWN else ""
    made = card(
        facts=(
            Fact(FactKind.DOES, "edge/shop", "drain"),
            Fact(FactKind.SAVED, "edge/shop", "/s", source, health=health),
        )
    )
    pieces = [each for part in pieces_of(made, 0.0).values() for each in part if "/s" in each.value]
    assert [(each.label, each.subject, each.value) for each in pieces] == [(label, "edge/shop", words)]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("/s/edge", "'/s/edge', expected a file that edge does not have"),
        ("/s/{backend}", "'/s/{backend}', expected a file that edge does not have"),
    ],
)
def test_one_file_is_of_one_balancer(file: str, said: str) -> None:
    entry = "  edge: {kind: haproxy, site: east, socket: /run/edge.sock, state_file: /s/edge}\n"
    text = sample().replace("  edge: {kind: haproxy, site: east, socket: /run/edge.sock}\n", entry)
    assert entry in text
    assert estate(text).balancers["edge"].state_file == "/s/edge"  # type: ignore[attr-defined]
    again = entry.replace("edge:", "edge2:").replace("edge.sock", "edge2.sock").replace("/s/edge", f"'{file}'")
    with pytest.raises(ConfigError) as refused:
        estate(text.replace(entry, entry + again))
    assert said in str(refused.value)


def test_a_socket_behind_ssh_has_no_file_here() -> None:
    entry = "  edge: {kind: haproxy, site: east, socket: 'ssh://h1/run/edge.sock', state_file: /s/edge}\n"
    text = sample().replace("  edge: {kind: haproxy, site: east, socket: /run/edge.sock}\n", entry)
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert "leave it out, and let a command of the estate write it there" in str(refused.value)


class SavingBalancer(MemoryBalancer):
    """Saves as it is told to, and counts it."""

    def __init__(self, save: Callable[[], Awaitable[SavedSettings]]) -> None:
        super().__init__("edge", {"shop": {"blue": 100, "green": 100}})
        self._save, self.saves = save, 0
        self.saved = SavedSettings("/s", unknown="not read yet")

    async def save(self, backend: str, *, deadline: float) -> SavedSettings:
        self.saves += 1
        return await self._save()


async def well() -> SavedSettings:
    return SAVED


async def refused() -> SavedSettings:
    raise EffectRefused("/s: No space left on device", "not-replaced")


async def unknown() -> SavedSettings:
    raise EffectUnknown("/s was not written within 5 s", "timeout")


async def never() -> SavedSettings:
    await asyncio.sleep(3600)
    return SAVED


@pytest.mark.parametrize(
    ("save", "unsaved"),
    [
        (well, ""),
        (refused, "set, and not saved: /s: No space left on device; a reload forgets it"),
        (unknown, "set; whether it is saved is not known: /s was not written within 5 s"),
        (never, "set; whether it is saved in /s is not known: no answer within 5 s"),
    ],
)
async def test_whatever_becomes_of_a_save_the_change_is_done(
    save: Callable[[], Awaitable[SavedSettings]], unsaved: str
) -> None:
    balancer = SavingBalancer(save)
    async with small(balancer=balancer) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="blue", weight=30)))).run
        assert await lab.ended(run, 30) == "done"
        told = lab.engine.history.runs[run]
        step = told.latest("change")
        assert (step.unsaved, balancer.saves) == (unsaved, 1)
        assert step.message == "done, read back twice" + (f"; {unsaved}" if unsaved else "")
        assert ("a reload does not keep it" in told.message) == bool(unsaved)
        assert step.intent is not None
        assert step.intent.message.endswith("; then it is saved in /s"), "before it was sent"


async def test_what_was_not_done_is_not_saved() -> None:
    class Deaf(SavingBalancer):
        async def set_weight(self, *where: object, **more: object) -> object:
            raise EffectRefused("no", "refused")

    balancer = Deaf(well)
    async with small(balancer=balancer) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="blue", weight=30)))).run
        assert await lab.ended(run, 30) == "failed"
        assert balancer.saves == 0


class EngineGone(BaseException):
    """Ends an engine where it is."""


@pytest.mark.parametrize(("point", "times"), [("after_effect", 1), ("before_outcome", 1), ("after_outcome", 1)])
async def test_the_next_engine_saves_what_the_former_one_had_no_time_for(point: str, times: int) -> None:
    balancer, store, reached = SavingBalancer(well), MemoryJournal(), asyncio.Event()

    def kill(name: str) -> None:
        if name == point:
            reached.set()
            raise EngineGone(point)

    async with small(balancer=balancer, store=store, reach=kill) as lab:
        run = (await lab.submit(await lab.preview(change("server.weight", server="blue", weight=30)))).run
        await asyncio.wait_for(reached.wait(), 5)
        with pytest.raises(EngineGone):
            await lab.engine.executor._tasks[run]
        lab.engine.executor._tasks.clear()
    async with small(balancer=balancer, store=store) as lab:
        assert await lab.ended(run, 30) == "done"
        step = lab.engine.history.runs[run].latest("change")
        assert balancer.saves == times
        assert "saved in /s, which a reload reads" in step.evidence
