"""What a follower remembers of subjects that are normal again: enough to see one flap, never all there were."""

from __future__ import annotations

from state.detection.follow import IDLE, NORMAL, WINDOW, Follower, Pace, Told

AT_ONCE = Pace(0.0, 0.0)


def come_and_go(follower: Follower, names: list[str], at: float) -> None:
    """Subjects whose changes, one second apart, are told together."""
    for value, when in (("firing", at), (NORMAL, at + 1)):
        for name in names:
            follower.see(name, value, when)
        assert [shift.subject for shift in follower.shifts(when)] == names
        follower.recorded([Told(name, value) for name in names], when)
    assert follower.shifts(at + 1) == []


def known(follower: Follower, names: list[str]) -> list[str]:
    return [name for name in names if follower.told(name) is not None]


def test_of_names_that_never_come_again_the_last_ones_are_remembered() -> None:
    follower = Follower(AT_ONCE)
    names = [f"alert-{n}" for n in range(IDLE + 400)]
    for storm in range(0, len(names), 200):
        come_and_go(follower, names[storm : storm + 200], storm)
    assert known(follower, names) == names[400:]


def test_what_is_not_normal_is_never_forgotten_however_many_there_are() -> None:
    follower = Follower(AT_ONCE)
    names = [f"alert-{n}" for n in range(IDLE * 2)]
    for name in names:
        follower.see(name, "firing", 0)
    follower.shifts(0)
    follower.recorded([Told(name, "firing") for name in names], 0)
    come_and_go(follower, ["other"], WINDOW * 3)
    assert known(follower, names) == names
    assert len(follower.open) == IDLE * 2


def test_after_the_window_nothing_is_left_of_what_is_normal() -> None:
    follower = Follower(AT_ONCE)
    come_and_go(follower, ["alert"], 0)
    follower.shifts(WINDOW)
    assert known(follower, ["alert"]) == ["alert"], "its changes still count"
    follower.shifts(WINDOW + 2)
    assert known(follower, ["alert"]) == []
