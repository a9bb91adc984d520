"""Every outcome of what Patroni is asked besides a switchover: what is certain is believed, all else is unknown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.databases.patroni import PatroniCluster
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.ports.database import CanFailOver, CanMark, CanPause, CanReinitialize, CanSchedule, HasLease, HasManagers
from state.ports.target import Receipt
from tests.contract.patroni_answers import cluster_41
from tests.contract.test_patroni import cluster

CLUSTER = (200, cluster_41())
Act = Callable[[PatroniCluster], Awaitable[Receipt]]
ACTS: dict[str, tuple[str, Act]] = {
    "fail over": ("POST /failover", lambda d: d.fail_over("n1", deadline=0.5)),
    "schedule": ("POST /switchover", lambda d: d.schedule("n1", "n2", 1798776000.0, deadline=0.5)),
    "unschedule": ("DELETE /switchover", lambda d: d.unschedule(deadline=0.5)),
    "pause": ("PATCH /config", lambda d: d.pause(paused=True, deadline=0.5)),
    "resume": ("PATCH /config", lambda d: d.pause(paused=False, deadline=0.5)),
    "reinitialize": ("POST /reinitialize", lambda d: d.reinitialize("n1", deadline=0.5)),
}
SENT = {
    "fail over": {"candidate": "n1"},
    "schedule": {"leader": "n1", "candidate": "n2", "scheduled_at": "2027-01-01T04:00:00+00:00"},
    "pause": {"pause": True},
    "resume": {"pause": None},
    "reinitialize": {"force": False},
}
WELL = {
    "fail over": ((200, 'Successfully failed over to "n1"'), "switched"),
    "schedule": ((202, "Switchover scheduled"), "scheduled"),
    "unschedule": ((200, "scheduled switchover deleted"), "unscheduled"),
    "pause": ((200, {"pause": True}), "configured"),
    "resume": ((200, {}), "configured"),
    "reinitialize": ((200, "reinitialize started"), "begun"),
}


@pytest.mark.parametrize("name", ACTS)
async def test_a_request_is_sent_once_with_its_document(context: AdapterContext, name: str) -> None:
    ask, act = ACTS[name]
    answer, code = WELL[name]
    async with cluster(context, {"GET /cluster": CLUSTER, ask: answer}) as (database, server):
        assert (await act(database)).code == code
        sent = [body for asked, _, body in server.asked if asked == ask]
    assert len(sent) == 1
    assert (json.loads(sent[0]) if sent[0] else None) == SENT.get(name)


@pytest.mark.parametrize(
    ("name", "answer", "error", "code"),
    [
        ("fail over", (412, "candidate does not exists"), EffectRefused, "impossible-412"),
        ("fail over", (503, "Failover failed"), EffectUnknown, "failed-503"),
        ("schedule", (422, "Cannot schedule switchover in the past"), EffectRefused, "bad-request-422"),
        ("schedule", (400, "Can't schedule switchover in the paused state"), EffectRefused, "bad-request-400"),
        ("unschedule", (404, "no switchover is scheduled"), EffectRefused, "none-scheduled-404"),
        ("unschedule", (409, ""), EffectUnknown, "answer-409"),
        ("pause", (503, ""), EffectRefused, "no-configuration-503"),
        ("pause", (409, ""), EffectUnknown, "answer-409"),
        ("pause", (401, "no auth header received"), EffectRefused, "denied-401"),
        ("reinitialize", (503, "I am the leader, can not reinitialize"), EffectRefused, "refused-503"),
        ("reinitialize", (503, "a proxy is out of order"), EffectUnknown, "answer-503"),
        ("reinitialize", (403, "Access is denied"), EffectRefused, "denied-403"),
        ("resume", (302, ""), EffectUnknown, "redirect"),
        *((name, None, EffectUnknown, "timeout") for name in ("fail over", "schedule", "reinitialize")),
    ],
)
async def test_only_what_is_certain_is_refused(
    context: AdapterContext, name: str, answer: Any, error: type[EffectRefused | EffectUnknown], code: str
) -> None:
    ask, act = ACTS[name]
    async with cluster(context, {"GET /cluster": CLUSTER, ask: answer}) as (database, server):
        with pytest.raises(error) as met:
            await act(database)
        assert [asked for asked, _, _ in server.asked].count(ask) == 1
    assert met.value.code == code


@pytest.mark.parametrize("name", ["pause", "unschedule"])
async def test_without_a_member_that_reads_the_cluster_nothing_is_sent(context: AdapterContext, name: str) -> None:
    ask, act = ACTS[name]
    async with cluster(context, {"GET /cluster": b"", ask: (200, "")}) as (database, server):
        with pytest.raises(EffectRefused) as met:
            await act(database)
        assert ask not in [asked for asked, _, _ in server.asked]
    assert met.value.code == "unreachable"


async def test_a_schedule_that_cannot_be_read_is_not_called_none(context: AdapterContext) -> None:
    for row, found in (({"at": "soon"}, None), ({"at": "2027-01-01T04:00:00+00:00", "to": "n2"}, "n2")):
        told = {**cluster_41(), "scheduled_switchover": row}
        async with cluster(context, {"GET /cluster": (200, told)}) as (database, _):
            if found is None:
                with pytest.raises(ReadFailure, match="cannot be read"):
                    await database.scheduled(deadline=1)
            else:
                seen = await database.scheduled(deadline=1)
                assert seen is not None
                assert (seen.candidate, seen.at) == (found, 1798776000.0)


async def test_it_fulfils_the_ports_of_a_manager(context: AdapterContext) -> None:
    async with cluster(context, {}) as (database, _):
        for port in (CanFailOver, CanMark, CanPause, CanReinitialize, CanSchedule, HasLease, HasManagers):
            assert isinstance(database, port), port
