"""Numbers as text: MB with one decimal, mm:ss, UTC with Z. And the reverse, for files.

Sizes are decimal (1 MB = 1,000,000 bytes). A value that is not zero is never shown as zero, a share below 1 never
as 100 %.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_DURATION = re.compile(r"(?:\d{1,18}(?:\.\d{1,18})?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKMGT]?B)")
_RATIO = re.compile(r"(\d+(?:\.\d+)?) ?(%?)")
NO_NUMBER = "?"
NO_TIME = "unknown"


def megabytes(n_bytes: float) -> str:
    """A size: `13.2 MB`; below 0.1 MB in kB, below 1 kB in B."""
    if not math.isfinite(n_bytes):
        return NO_NUMBER
    size = abs(n_bytes)
    sign = "-" if n_bytes < 0 else ""
    if size < 1000:
        return f"{sign}{math.ceil(size)} B"
    if size < 10_000:
        return f"{sign}{size / 1000:.1f} kB"
    if size < 100_000:
        return f"{sign}{size / 1000:.0f} kB"
    return f"{sign}{size / 1_000_000:.1f} MB"


def clock(seconds: float) -> str:
    """A duration: `mm:ss`, above an hour `h:mm:ss`; whole seconds, negative when overdue."""
    if not math.isfinite(seconds):
        return "--:--"
    whole = int(abs(seconds))
    sign = "-" if seconds < 0 and whole else ""
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}:{minute:02d}:{second:02d}"
    return f"{sign}{minute:02d}:{second:02d}"


def least(figure: str, *, beyond: bool) -> str:
    """A figure, marked when it is known only to be at least this."""
    return f"≥{figure}" if beyond else figure


def time_limit(seconds: float) -> str:
    """A time limit as people read it: `0.9 s`, `30 s`; what was left of one is rounded."""
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def counted(number: int, one: str, many: str = "") -> str:
    """So many of something: `1 key`, `3 keys`, `1 entry`, `2 entries`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def ago(seconds: float) -> str:
    """An age: `34 s`, `5 m`, `3 h`, `2 d`; negative when the other clock is ahead."""
    if not math.isfinite(seconds):
        return NO_NUMBER
    size = int(abs(seconds))
    sign = "-" if seconds < 0 and size else ""
    if size < 120:
        return f"{sign}{size} s"
    if size < 7200:
        return f"{sign}{size // 60} m"
    if size < 172_800:
        return f"{sign}{size // 3600} h"
    return f"{sign}{size // 86_400} d"


def short_duration(seconds: float) -> str:
    """A duration as files have it: `200ms`, `15s`, `1m30s`, `20m`."""
    if not math.isfinite(seconds):
        return NO_NUMBER
    if seconds < 10 and seconds != int(seconds):
        return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{rest}s" if not minutes else f"{minutes}m{rest}s" if rest else f"{minutes}m"


def percent(ratio: float) -> str:
    """A share: `18.2%`; `<0.1%` and `>99.9%` where rounding would show 0% or 100%."""
    if not math.isfinite(ratio):
        return NO_NUMBER
    if 0 < ratio < 0.0005:
        return "<0.1%"
    if 0.9995 <= ratio < 1:
        return ">99.9%"
    return f"{ratio * 100:.1f}%"


def millis(seconds: float) -> str:
    """A latency: `480 ms`, below 10 ms with one decimal, from 10 s on in seconds."""
    if not math.isfinite(seconds):
        return NO_NUMBER
    ms = seconds * 1000
    if abs(ms) >= 10_000:
        return f"{seconds:.1f} s"
    if 0 < abs(ms) < 0.1:
        return "<0.1 ms"
    return f"{ms:.0f} ms" if abs(ms) >= 9.95 or ms == 0 else f"{ms:.1f} ms"


def rate(per_second: float, unit: str = "") -> str:
    """A rate: `12.3/s`, or `12.3 req/s` with a unit; whole numbers from 100 on."""
    if not math.isfinite(per_second):
        return NO_NUMBER
    per = f" {unit}/s" if unit else "/s"
    if 0 < abs(per_second) < 0.1:
        return f"<0.1{per}"
    return f"{per_second:.0f}{per}" if abs(per_second) >= 99.95 else f"{per_second:.1f}{per}"


def utc(epoch: float) -> str:
    """A time of day in UTC: `07:03:12Z`, from seconds since 1970; `NO_TIME` where there is no such date."""
    return _dated(epoch, "%H:%M:%SZ")


def utc_date(epoch: float) -> str:
    """A date and time in UTC: `2026-11-23 07:03:12Z`, from seconds since 1970; `NO_TIME` where there is none."""
    return _dated(epoch, "%Y-%m-%d %H:%M:%SZ")


def file_of(name: str, written: float) -> str:
    """From which file something is and how old that is, in brackets behind it; nothing where there is no file.
    `written` is when it was last changed, seconds since 1970."""
    return f" ({name} of {utc_date(written)})" if name else ""


def _dated(epoch: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return NO_TIME


def utc_since(epoch: float, now: float) -> str:
    """When something began: the time of day, with its date when that is a day or more from now. `unknown` for a time
    before 1970, as sources write for none."""
    if epoch <= 0:
        return "unknown"
    return utc(epoch) if abs(now - epoch) < 86_400 else utc_date(epoch)


def rfc3339(epoch: float) -> str | None:
    """A date and time in UTC for scripts (RFC 3339): `2026-11-23T07:03:12.250Z`; None where there is no such date."""
    try:
        return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def _number(value: object, message: str) -> float | None:
    """A finite number as it is, None for text. Raises ValueError for anything else."""
    if isinstance(value, str):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not {message}")
    return float(value)


def parse_duration(text: str | float) -> float:
    """Seconds, from `500ms`, `5s`, `2m`, `1h30m`, `1d`; a number is seconds already. Raises ValueError."""
    number = _number(text, "a duration")
    if number is not None or not isinstance(text, str):
        return number or 0.0
    if not text.isascii() or not _DURATION.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a duration: write it like 500ms, 5s, 15m, 1h30m or 1d")
    return sum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION_PART.findall(text))


def parse_size(text: str | float) -> int:
    """Bytes, from `512B`, `64kB`, `1.5MB`, `2GB` (decimal); a number is bytes already. Raises ValueError."""
    number = _number(text, "a size")
    if number is not None or not isinstance(text, str):
        return round(number or 0.0)
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size: write it like 512B, 64kB, 1.5MB or 2GB")
    size = float(found[1]) * _BYTES[found[2].lower()]
    if not math.isfinite(size):
        raise ValueError(f"{text[:20]}… is larger than any size")
    return round(size)


def parse_ratio(text: str | float) -> float:
    """A share from 0 to 1, from `1%` or `0.01`. Raises ValueError."""
    found = _RATIO.fullmatch(text.strip() if isinstance(text, str) else repr(_number(text, "a share")))
    ratio = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"{text!r} is not a share: write 1% or 0.01, from 0 to 100%")
    return ratio
