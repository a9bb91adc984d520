"""What `check --connect` and `init` say of state files, of every HAProxy of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.balancers import haproxy_examine
from adapters.balancers.haproxy import HaproxyOptions
from adapters.context import AdapterContext
from adapters.discovery.haproxy import find_balancer, read_configuration
from adapters.discovery.looking import Looking
from state.diagnosis.model import Asked
from state.discovery.answers import Answers
from state.discovery.propose import propose
from state.health import Health
from tests.contract.state_files import LOADED, OWN, UNREAD, Reloadable
from tests.support.ports import free_port

Start = Callable[..., Reloadable]
SOME = LOADED + "backend other\n  load-server-state-from-file none\n  server a 127.0.0.1:{port}\n"


async def said(running: Reloadable, context: AdapterContext, **options: str) -> tuple[Health, str] | None:
    """The answer about a reload, None where nothing is said."""
    entry = HaproxyOptions.model_validate({"kind": "haproxy", "site": "east", "socket": str(running.socket), **options})
    found = await haproxy_examine.examine("edge", entry, context, deadline=20)
    rows = [(row.health, row.reason) for row in found if row.asked is Asked.RELOAD]
    return rows[0] if rows else None


@pytest.mark.parametrize(
    ("text", "health", "words"),
    [
        (LOADED, Health.PASS, "a reload reads {state}, and this account may write it"),
        (UNREAD, Health.FAIL, "nothing reads {state} at a reload"),
        (SOME, Health.WARN, "not every backend (other does not) reads {state} at a reload"),
    ],
)
async def test_who_reads_it_is_told(
    reloadable: Start, context: AdapterContext, text: str, health: Health, words: str
) -> None:
    running = reloadable(text, port=free_port())
    state = str(running.state)
    assert await said(running, context, state_file=state) == (health, words.format(state=state))


async def test_a_file_that_could_not_be_written_fails_and_stays(reloadable: Start, context: AdapterContext) -> None:
    running = reloadable(LOADED, port=free_port())
    running.state.mkdir()
    found = await said(running, context, state_file=str(running.state))
    assert found == (Health.FAIL, f"the state file would not be written: {running.state} is no regular file")
    assert running.state.is_dir()


async def test_without_a_configuration_nothing_passes(reloadable: Start, context: AdapterContext) -> None:
    running = reloadable(LOADED, port=free_port())
    config = running.folder / "h.cfg"
    moved = config.rename(running.folder / "moved.cfg")
    found = await said(running, context, state_file=str(running.state))
    assert found is not None
    assert (found[0], "No such file" in found[1]) == (Health.UNKNOWN, True)
    found = await said(running, context, state_file=str(running.state), config=str(moved))
    assert found is not None
    assert found[0] is Health.PASS, "the estate names it"
    moved.write_text(moved.read_text().replace("a.sock", "b.sock"))
    found = await said(running, context, state_file=str(running.state), config=str(moved))
    assert found is not None
    assert (found[0], "does not name the socket" in found[1]) == (Health.UNKNOWN, True)


async def test_a_file_that_a_reload_reads_and_nobody_names_is_told(reloadable: Start, context: AdapterContext) -> None:
    running = reloadable(LOADED, port=free_port())
    found = await said(running, context)
    assert found is not None
    assert found[0] is Health.WARN
    assert found[1] == f"a reload keeps what is set where {running.state} has it, and the engine does not write that"
    assert await said(reloadable(UNREAD, port=free_port()), context) is None


async def test_init_names_it_and_does_not_set_it(reloadable: Start) -> None:
    """Who reloads may write it already: an engine that writes it too is a person's decision."""
    running = reloadable(OWN, port=free_port())
    asked = await find_balancer(str(running.socket), Looking())
    read = read_configuration(Path(running.folder, "h.cfg"), Looking())
    assert asked.state_file == read.state_file == f"{running.folder}/{{backend}}"
    proposal, _ = propose([asked], Answers(("ada",)), "edge", "ada")
    told = [point for point in proposal.open if "state_file" in point.way_out]
    assert [(point.what, point.way_out) for point in told] == [
        (
            f"a reload keeps what is set where {running.folder}/{{backend}} has it; the engine does not write it",
            f"state_file: {running.folder}/{{backend}}, where this account may write it",
        )
    ]
