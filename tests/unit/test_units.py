"""Numbers are shown short, with their unit, and never rounded into a lie."""

import math

import pytest

from state import units


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (13_200_000, "13.2 MB"),
        (2_000_000_000, "2000.0 MB"),
        (100_000, "0.1 MB"),
        (20_000, "20 kB"),
        (1500, "1.5 kB"),
        (999, "999 B"),
        (0.2, "1 B"),
        (0, "0 B"),
        (-20_000, "-20 kB"),
        (math.nan, "?"),
    ],
)
def test_sizes(n_bytes: float, shown: str) -> None:
    assert units.megabytes(n_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "00:00"),
        (702.9, "11:42"),
        (3600, "1:00:00"),
        (-61, "-01:01"),
        (-0.4, "00:00"),
        (math.inf, "--:--"),
    ],
)
def test_clocks(seconds: float, shown: str) -> None:
    assert units.clock(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(34.9, "34 s"), (119, "119 s"), (300, "5 m"), (7200, "2 h"), (200_000, "2 d"), (-3, "-3 s")],
)
def test_ages(seconds: float, shown: str) -> None:
    assert units.ago(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.899955, "0.9 s"), (0.05, "0.05 s"), (1.5, "1.5 s"), (9.96, "10 s"), (29.99, "30 s")]
)
def test_limits_are_rounded_for_people(seconds: float, shown: str) -> None:
    assert units.time_limit(seconds) == shown


def test_one_is_told_as_one() -> None:
    assert [units.counted(n, "key") for n in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]
    assert [units.counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0.182, "18.2%"), (0, "0.0%"), (1, "100.0%"), (0.0001, "<0.1%"), (0.99996, ">99.9%"), (2, "200.0%")],
)
def test_shares(ratio: float, shown: str) -> None:
    assert units.percent(ratio) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.48, "480 ms"), (0.0004, "0.4 ms"), (0, "0 ms"), (0.00001, "<0.1 ms"), (12.34, "12.3 s")],
)
def test_latencies(seconds: float, shown: str) -> None:
    assert units.millis(seconds) == shown


def test_rates_and_times() -> None:
    assert units.rate(12.34) == "12.3/s"
    assert units.rate(1234.5, "req") == "1234 req/s"
    assert units.rate(0.01) == "<0.1/s"
    assert units.utc(1_795_417_392) == "07:03:12Z"
    assert units.utc_date(1_795_417_392) == "2026-11-23 07:03:12Z"


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900.0), ("500ms", 0.5), ("5s", 5.0), ("1h30m", 5400.0), ("1d", 86400.0)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("1MB", 1_000_000), ("64kB", 64_000), ("512B", 512), ("1.5 GB", 1_500_000_000)]
)
def test_sizes_are_read(text: str, n_bytes: int) -> None:
    assert units.parse_size(text) == n_bytes


def test_shares_are_read() -> None:
    assert units.parse_ratio("1%") == pytest.approx(0.01)
    assert units.parse_ratio("0.5") == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["", "15", "-5s", "5 minutes", "m"])
def test_bad_durations_are_explained(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["", "1", "1Mib", "-1MB"])
def test_bad_sizes_are_explained(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["", "101%", "-1%", "x", "1.5"])
def test_bad_shares_are_explained(text: str) -> None:
    with pytest.raises(ValueError, match="share"):
        units.parse_ratio(text)
