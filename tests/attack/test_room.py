"""Who gets a connection, and how much one account may ask for: attacks on the engine's room, without sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from adapters.api_server.accepting import Accepting
from adapters.api_server.answers import EngineBusy
from adapters.api_server.callers import standing_of
from adapters.api_server.room import (
    HEADER,
    IDLE,
    KEPT,
    MOST_OF_ACTOR,
    MOST_OF_NAMED,
    MOST_OF_OTHER,
    MOST_OF_OTHERS,
    Room,
    Seat,
    Share,
    Standing,
)
from adapters.api_server.throttle import LOOKING, MOST_PREVIEWS, MOST_READINGS, Throttle
from state.api.caller import Identified, KernelAccount
from tests.support.front_desk import Desk
from tests.support.real_engine import until


class Clock:
    """A monotonic clock that is turned by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """A transport as far as a room looks at it."""

    unread = 0
    aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True


class Handler:
    """A connection as far as a room looks at it."""

    def __init__(self) -> None:
        self.transport: Any = Wire()


def admitted(room: Room, uid: int, standing: Standing, times: int = 1) -> list[Handler]:
    """What gets a seat of so many attempts."""
    made: list[Handler] = []
    for _ in range(times):
        if not room.full(uid, standing):
            made.append(Handler())
            room.take(made[-1], uid, standing)
    return made


def seated(room: Room, uid: int, standing: Standing) -> Seat:
    """The seat of a new connection."""
    [one] = admitted(room, uid, standing)
    seat = room.seat(one)
    assert seat is not None
    return seat


def shares(room: Room, handlers: list[Handler]) -> Counter[Share]:
    seats = (room.seat(h) for h in handlers)
    return Counter(seat.share for seat in seats if seat is not None)


def test_accounts_that_only_look_share_a_part_of_the_room() -> None:
    room = Room(Clock())
    first = admitted(room, 1, Standing.STRANGER, times=100)
    assert len(first) == MOST_OF_OTHER
    others = [len(admitted(room, uid, Standing.STRANGER, times=100)) for uid in range(2, 20)]
    assert len(first) + sum(others) == MOST_OF_OTHERS
    assert shares(room, admitted(room, 99, Standing.ACTS, times=MOST_OF_ACTOR)) == {Share.ALL: MOST_OF_ACTOR}


def test_strangers_take_no_room_of_the_people_who_may_only_look() -> None:
    """Before: whoever may only look shared one part of the room, on observe.sock too."""
    room = Room(Clock())
    strangers = sum(len(admitted(room, uid, Standing.STRANGER, times=100)) for uid in range(1000, 1020))
    assert strangers == MOST_OF_OTHERS
    assert room.full(1020, Standing.STRANGER) == "accounts of no person of this estate have 96 connections open"
    named = [len(admitted(room, uid, Standing.NAMED, times=100)) for uid in range(1, 20)]
    assert named[0] == MOST_OF_OTHER, "one of them has no more than a stranger"
    assert sum(named) == MOST_OF_NAMED
    assert room.full(30, Standing.NAMED) == "accounts of people who may only look have 96 connections open"
    assert len(admitted(room, 99, Standing.ACTS)) == 1


@pytest.mark.parametrize(
    ("uid", "roles", "standing"),
    [
        (os.getuid(), (), Standing.ACTS),
        (os.getuid() + 1, ("responder",), Standing.ACTS),
        (os.getuid() + 1, ("observer", "commander"), Standing.ACTS),
        (os.getuid() + 1, ("observer",), Standing.NAMED),
        (os.getuid() + 1, (), Standing.STRANGER),
    ],
)
def test_what_an_account_is_to_the_estate(uid: int, roles: tuple[str, ...], standing: Standing) -> None:
    class Known(Desk):
        def who(self, account: KernelAccount, login: KernelAccount | None = None) -> Identified:
            return Identified("ann" if roles else "", roles)

    assert standing_of(uid, Known()) is standing


def test_an_account_that_may_act_always_gets_a_connection_to_stop_on() -> None:
    room = Room(Clock())
    made = admitted(room, 99, Standing.ACTS, times=MOST_OF_ACTOR + 100)
    assert shares(room, made) == {Share.ALL: MOST_OF_ACTOR, Share.STOPPING: KEPT}
    assert room.seat(made[-1]) is not None, "the newest one stays"
    assert sum(h.transport.aborted for h in made) == 100 - KEPT


def test_connections_that_are_closed_take_no_room() -> None:
    room = Room(Clock())
    for _ in range(MOST_OF_ACTOR * 3):
        [each] = admitted(room, 99, Standing.ACTS)
        room.came(each)
        assert shares(room, [each]) == {Share.ALL: 1}
        each.transport = None


def test_who_connects_again_and_again_is_turned_away_before_anything_is_made_for_it() -> None:
    clock = Clock()
    room = Room(clock)
    turned_away = 0
    for _ in range(1000):
        turned_away += bool(room.full(7, Standing.STRANGER))
        clock.now += 0.001
    assert turned_away > 800


def test_half_a_request_an_idle_connection_and_an_unread_answer_end() -> None:
    clock = Clock()
    room = Room(clock)
    half, idle, unread, busy = admitted(room, 1, Standing.STRANGER, times=4)
    for each in (idle, unread, busy):
        room.begin(each)
    for each in (idle, unread):
        room.end(each)
    unread.transport.unread = 5000
    assert list(room.overdue(5.0)) == []
    clock.now += 6.0
    assert [h for h, _, _ in room.overdue(5.0)] == [unread]
    clock.now += HEADER - 5.0
    assert {id(h): why for h, _, why in room.overdue(5.0)}.keys() == {id(unread), id(half)}
    clock.now += IDLE
    assert id(busy) not in {id(h) for h, _, _ in room.overdue(5.0)}, "a stream is no idle connection"
    assert id(idle) in {id(h) for h, _, _ in room.overdue(5.0)}


async def test_where_there_is_no_descriptor_it_is_said_once_and_accepted_later(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.api_server.accepting.NO_ROOM", 0.05)

    class Exhausted(socket.socket):
        left = 5

        def accept(self) -> Any:
            if self.left:
                self.left -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().accept()

    listening = Exhausted(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.setblocking(False)
    listening.listen(8)
    came: list[int] = []

    def make() -> Any:
        came.append(1)
        return asyncio.Protocol()

    room = Room()
    accepting = Accepting(listening, room, make, lambda _uid: Standing.ACTS)
    accepting.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, str(tmp_path / "s"))

        async def accepted() -> bool:
            return bool(came)

        await until(accepted, 60)
        await asyncio.sleep(0.05)
    accepting.close()
    lines = [r.message for r in caplog.records if r.name == "recovery.door"]
    assert lines == [
        "no connection is accepted: Too many open files; tried again every second",
        "connections are accepted again",
    ]


async def test_an_account_has_one_expensive_reading_and_few_previews_at_a_time() -> None:
    room = Room()
    seat = seated(room, 1, Standing.STRANGER)
    throttle = Throttle(room, own=-1)
    async with throttle.reading(seat):
        with pytest.raises(EngineBusy, match="wait for it"):
            async with throttle.reading(seat):
                pass
    async with throttle.reading(seat):
        pass
    async with AsyncExitStack() as readings:
        for uid in range(100, 100 + MOST_READINGS):
            await readings.enter_async_context(throttle.reading(seated(room, uid, Standing.STRANGER)))
        with pytest.raises(EngineBusy, match="try again later"):
            await readings.enter_async_context(throttle.reading(seat))
        await readings.enter_async_context(throttle.reading(seated(room, 2, Standing.NAMED)))
    with ExitStack() as stack:
        for _ in range(MOST_PREVIEWS):
            stack.enter_context(throttle.preview(1))
        with pytest.raises(EngineBusy, match="previews of this account are under way"):
            stack.enter_context(throttle.preview(1))
        stack.enter_context(throttle.preview(2))


async def test_requests_too_many_are_answered_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.api_server.throttle.PENALTY", 0.0)
    clock, room = Clock(), Room()
    seat = seated(room, 1, Standing.STRANGER)
    throttle, (rate, most) = Throttle(room, own=-1, now=clock), LOOKING
    for _ in range(int(most)):
        await throttle.admit(seat)
    for _ in range(100):
        with pytest.raises(EngineBusy, match="requests a second"):
            await throttle.admit(seat)
    clock.now += 1.0
    for _ in range(int(rate)):
        await throttle.admit(seat)
    own = Throttle(room, own=1, now=clock)
    for _ in range(1000):
        await own.admit(seat)
