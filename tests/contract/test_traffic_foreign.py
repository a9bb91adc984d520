"""Balancers as others have set them up, on every HAProxy of this machine: state files, long names, followers beside
servers of their own, backends without servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from state.errors import ReadFailure
from state.health import Health
from state.verdicts.traffic import backend_verdict, reason_word, server_health
from tests.contract.haproxy_sections import card, checked, estate_of, healthy, listening, until
from tests.support.ports import free_port

RESTORED = """
global
  server-state-base {base}
  server-state-file state
backend web
  load-server-state-from-file global
  option httpchk
  server first 127.0.0.1:{gone} check inter 50s
  server late 127.0.0.1:{gone} check inter {inter}
"""
STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
srv_agent_port
2 web 1 first 127.0.0.1 2 0 1 1 4000 15 3 4 6 0 0 0 - {gone} - 0 0 - - 0
2 web 2 late 127.0.0.1 2 0 1 1 4000 15 3 9 6 0 0 0 - {gone} - 0 0 - - 0
"""


def restored(folder: Path, port: int) -> Path:
    """The folder with the state of a process in which both servers passed their checks for an hour."""
    (folder / "state").write_text(STATE.format(gone=port))
    return folder


async def test_what_a_state_file_says_of_a_check_is_no_answer_of_it(
    run: Callable[..., HAProxy], tmp_path: Path
) -> None:
    gone = free_port()
    balancer = run(RESTORED, base=restored(tmp_path, gone), gone=gone, inter="50s")
    reading = await balancer.read(deadline=2)
    server = reading.servers["web/late"]
    assert server.up, "HAProxy sends it requests, which fail: its first check is half an interval away"
    assert server_health(server) is Health.UNKNOWN
    assert backend_verdict([server], 1, {}).health is Health.UNKNOWN
    assert not (await balancer.read_backend("web", deadline=2))[1].checked, "a plan sees the same"


async def test_the_first_answer_of_a_check_proves_a_restored_server(
    run: Callable[..., HAProxy], tmp_path: Path
) -> None:
    async with listening(healthy) as (port,):
        balancer = run(RESTORED, base=restored(tmp_path, port), gone=port, inter="300ms")
        reading = await until(balancer, lambda r: r.servers["web/late"].checked)
    assert server_health(reading.servers["web/late"]) is Health.PASS


LONG = "x" * 200
LONG_NAMES = f"""
backend {LONG}
  option httpchk
  server {LONG} 127.0.0.1:{{port}} check inter 200ms
  server {LONG}2 127.0.0.1:{{port}} check inter 200ms
"""


async def test_what_is_shown_can_be_acted_on_however_long_its_name_is(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(LONG_NAMES, port=port)
        await checked(balancer, LONG)
        await balancer.set_state(LONG, LONG, "drain", deadline=2)
        await balancer.set_weight(LONG, f"{LONG}2", 7, deadline=2)
        one, two = await balancer.read_backend(LONG, deadline=2)
    assert (one.drained, two.weight) == (True, 7)


MIXED = """
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms
backend mixed
  option httpchk
  server own 127.0.0.1:{port} check inter 200ms
  server led 127.0.0.1:{port} track web/a
"""


async def test_a_follower_counts_in_the_floor_of_a_plan_as_on_the_screen(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(MIXED, port=port)
        await checked(balancer, "web")
        reading = await checked(balancer, "mixed")
        assert await balancer.read_backend("mixed", deadline=2) == reading.of("mixed")
        place = estate_of(shop={"backend": "mixed", "floor": 1})
        preview = await card(balancer, "server.drain", place, backend="mixed", server="own")
    (floor,) = [rule for rule in preview.rules if rule.rule == "floor"]
    assert (floor.passed, floor.fact) == (True, "1 of 2 servers would serve, shop needs at least 1")
    assert reason_word(reading.servers["mixed/led"]) == "follows web/a"


ABSENT = """
backend off
  disabled
  server a 127.0.0.1:{port}
backend empty
"""


@pytest.mark.parametrize(("backend", "said"), [("off", "is disabled in its configuration"), ("empty", "has no server")])
async def test_a_backend_that_takes_nothing_is_named_as_what_it_is(
    run: Callable[..., HAProxy], backend: str, said: str
) -> None:
    balancer = run(ABSENT, port=free_port())
    with pytest.raises(ReadFailure) as failure:
        await balancer.read_backend(backend, deadline=2)
    assert failure.value.message == f"HAProxy's backend {backend} {said}"
