"""Measures become answers: clocks, certificates, names of the estate that a target does not have."""

from __future__ import annotations

from collections.abc import Collection
from email.utils import parsedate_to_datetime

from state.config_files.suggestions import nearest, one_of
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.units import ago, utc

CLOCKS_APART = 2.0
"""Seconds by which two clocks may differ: more makes ages and the order of entries of two hosts hard to compare."""
RENEW_WITHIN = 14
"""Days before its end from which on a certificate, or a password with an end, warns."""
DAY = 86_400.0
NAMES_SHOWN = 6


def clock_apart(subject: Subject, theirs: float, before: float, after: float, step: float = 0.0) -> Diagnosis:
    """A target's clock (epoch seconds, told in steps) against ours before and after it was asked."""
    ahead = theirs - after if theirs > after else min(0.0, theirs + step - before)
    if abs(ahead) <= CLOCKS_APART:
        return subject.passes(Asked.CLOCK, f"agrees with this host's within {CLOCKS_APART:g} s")
    side = "ahead of" if ahead > 0 else "behind"
    way_out = "let both hosts follow time servers: chronyc tracking, timedatectl"
    return subject.warns(Asked.CLOCK, f"its clock is {ago(abs(ahead))} {side} this host's", way_out)


def clock_by_date(subject: Subject, date: str, before: float, after: float) -> Diagnosis | None:
    """The same by a header `Date`, which has whole seconds; None when there is no usable one."""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return clock_apart(subject, theirs, before, after, step=1.0)


def ends(subject: Subject, question: Asked, what: str, end: float, now: float) -> Diagnosis:
    """What is valid until an instant (epoch seconds), such as a certificate."""
    days = (end - now) / DAY
    if days < 0:
        reason = f"{what} expired {_days(-days)} ago, {utc(end)}"
        return subject.fails(question, reason, "renew it, then let the server read it")
    reason = f"{what} is valid for {_days(days)}, until {utc(end)}"
    if days < RENEW_WITHIN:
        return subject.warns(question, reason, "renew it")
    return subject.passes(question, reason)


def _days(days: float) -> str:
    whole = int(days)
    return "less than a day" if whole < 1 else f"{whole} day{'s' if whole > 1 else ''}"


def has_name(subject: Subject, what: str, wanted: str, known: Collection[str], used_by: str) -> Diagnosis:
    """Whether a name that the estate uses exists at the target; `what` is the kind of thing it names."""
    if wanted in known:
        return subject.passes(Asked.NAME, f"{what} {wanted} is there ({used_by})")
    near = nearest(wanted, sorted(known))
    some = one_of(sorted(known)[:NAMES_SHOWN]) + (", …" if len(known) > NAMES_SHOWN else "") if known else "none"
    there = f"did you mean {near!r}?" if near else f"there is {some}"
    way_out = f"correct {used_by} in the estate, or add it at the target"
    return subject.fails(Asked.NAME, f"no {what} {wanted}, which {used_by} names; {there}", way_out)
