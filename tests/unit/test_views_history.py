"""The last hour of a service: means of what was shown, gaps where nothing was known, and what a monitor remembers."""

from __future__ import annotations

from dataclasses import replace

from state.api.views.history import BLOCK, POINTS, STEP, HistoryView, lag_series, series
from state.journal.projection import FoldSetting
from state.verdicts.judge import Judge
from state.views.history import History
from state.world.observed import Observed
from state.world.world import World
from tests.unit.verdict_world import ESTATE, MB, NOW, WALL, metrics, primary, standby


class Moving:
    """A clock that a test moves; wall and monotonic time run alike."""

    def __init__(self) -> None:
        self.passed = 0.0

    def mono(self) -> float:
        return NOW + self.passed

    def wall(self) -> float:
        return WALL + self.passed


class Story:
    """One monitor's readings in the order of time."""

    def __init__(self) -> None:
        self.clock, self.world = Moving(), World()
        self.history = History(FoldSetting(ESTATE, Judge(ESTATE, self.world), self.clock, "boot", "engine"))

    def shown(self, error_ratio: float | None, seconds: float = 5.0) -> None:
        """Read after so many seconds, and notice."""
        self.clock.passed += seconds
        mono, wall = self.clock.mono(), self.clock.wall()
        reading = metrics(error_ratio)
        self.world.observed["metrics:prometheus"] = Observed("metrics:prometheus", 3.0, reading, wall, mono)
        self.history.notice(mono)

    def silent(self, seconds: float) -> None:
        """Nothing is read."""
        self.clock.passed += seconds
        self.history.notice(self.clock.mono())

    @property
    def errors(self) -> tuple[float | None, ...]:
        found = series(self.history.view, "checkout", "errors")
        return () if found is None else tuple(found.values)


def test_points_are_means_and_gaps_are_none() -> None:
    story = Story()
    for value in (0.1, 0.2, 0.3):
        story.shown(value, 4.0)
    assert story.errors == (), "the point that is being made is not shown"
    story.silent(48.0)
    story.shown(0.5, 1.0)
    story.silent(30.0)
    first = round(WALL / STEP) % BLOCK
    assert story.errors[first:] == (0.2, None, None, None, 0.5)
    found = series(story.history.view, "checkout", "rate")
    assert found is not None
    assert (found.started_at % (STEP * BLOCK), found.step, found.values[-1]) == (0.0, STEP, 50.0)


def test_only_the_newest_row_changes_and_an_hour_stays() -> None:
    story = Story()
    for _ in range(2 * POINTS):
        story.shown(0.25, STEP)
    before = dict(story.history.view.blocks)
    assert POINTS - 1 <= sum(value is not None for value in story.errors) <= POINTS
    story.shown(0.5, STEP)
    story.shown(0.5, STEP)
    now = story.history.view.blocks
    changed = [key for key in now if now[key] != before.get(key)]
    assert len(changed) <= 3, "the newest, perhaps a new one, and the oldest"


def test_the_wall_clock_may_be_set_back() -> None:
    story = Story()
    story.shown(0.1, STEP)
    story.clock.passed -= 7200.0
    story.shown(0.2, STEP)
    story.silent(STEP)
    assert [value for value in story.errors if value is not None] == [0.2]


def test_what_a_monitor_remembers_fills_what_was_not_seen() -> None:
    story = Story()
    story.shown(0.5, 1.0)
    past = {"checkout": tuple((WALL - minutes * 60.0, 0.1, 7.0, None) for minutes in (30.0, 20.0, 0.0))}
    reading = replace(metrics(0.5), past=past)
    story.history.on_reading(Observed("metrics:prometheus", 3.0, reading, story.clock.wall(), story.clock.mono()))
    story.silent(STEP)
    assert [value for value in story.errors if value is not None] == [0.1, 0.1, 0.5]
    found = series(story.history.view, "checkout", "rate")
    assert found is not None
    assert [value for value in found.values if value is not None] == [7.0, 7.0, 50.0]


def test_nothing_known_is_no_series() -> None:
    assert series(HistoryView({}), "checkout", "errors") is None


class Cluster(Story):
    """A primary and the standby n2, read together."""

    def read(self, behind: int | None, seconds: float = 5.0) -> None:
        self.clock.passed += seconds
        mono, wall = self.clock.mono(), self.clock.wall()
        seen = {"n1": primary("n1", 10 * MB), "n2": standby("n2", 10 * MB - behind) if behind is not None else None}
        for name, reading in seen.items():
            if reading is not None:
                key = f"postgres:orders/{name}"
                self.world.observed[key] = Observed(key, 3.0, reading, wall, mono)
        self.history.notice(mono)

    def behind(self, node: str = "n2") -> list[float | None]:
        found = lag_series(self.history.view, "orders", node)
        return [] if found is None else list(found.values)


def test_the_hour_of_a_standby_has_means_and_gaps_and_a_primary_has_none() -> None:
    story = Cluster()
    for behind in (100, 200, 300):
        story.read(behind, 4.0)
    assert story.behind() == [], "the point that is being made is not shown"
    story.read(None, 48.0)
    story.read(MB, 1.0)
    story.silent(30.0)
    first = round(WALL / STEP) % BLOCK
    assert story.behind()[first:] == [200.0, None, None, None, float(MB)]
    assert story.behind("n1") == []
    assert story.errors == (), "a lag is no figure of a service"


def test_a_reading_counts_once_and_an_hour_stays() -> None:
    story = Cluster()
    story.read(100)
    for _ in range(3):
        story.silent(0.5)
    story.read(300, 1.0)
    story.silent(STEP)
    assert [value for value in story.behind() if value is not None] == [200.0]
    for _ in range(2 * POINTS):
        story.read(7, STEP)
    assert POINTS - 1 <= sum(value is not None for value in story.behind()) <= POINTS
