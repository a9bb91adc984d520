"""What nobody can discover, and is asked: owners, tiers, RTO, RPO, and the site of what no name places."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from state.config_files.suggestions import nearest
from state.discovery.names import valid
from state.units import parse_duration, parse_size

KEYS = ("owners", "tier1", "tier3", "rto", "rpo", "site", "environment", "waive")
ENVIRONMENTS = ("production", "staging", "drill")
MOST_RTO = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class InitQuestion:
    """One question: `proposal` is what is taken when nobody answers."""

    key: str
    text: str
    proposal: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered or is proposed. `rto` is that of tier 1, 2 and 3; `asked` names what a person answered."""

    owners: tuple[str, ...]
    tier1: frozenset[str] = frozenset()
    tier3: frozenset[str] = frozenset()
    rto: tuple[str, str, str] = ("15m", "1h", "4h")
    rpo: str = ""
    """Empty: that of each database by what its manager tolerates, and none for services."""
    site: str = "main"
    environment: str = "production"
    waive: str = ""
    """Why plain text to other machines is accepted; without a reason what needs it is left out."""
    asked: frozenset[str] = field(default=frozenset())

    def tier(self, service: str) -> int:
        """The tier of a service: 2 unless it was named."""
        return 1 if service in self.tier1 else 3 if service in self.tier3 else 2


class WrongAnswer(ValueError):
    """An answer that cannot be taken; `key` is its question."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(f"{key}: expected {expected}")
        self.key = key


def questions(
    base: Answers, services: Collection[str], homeless: Collection[str], plain: Collection[str]
) -> list[InitQuestion]:
    """What to ask about these services; `homeless` is what no name places, `plain` what answers without TLS."""
    owner = ", ".join(base.owners)
    asked = []
    if services:
        names = ", ".join(list(services)[:6]) + (", …" if len(services) > 6 else "")
        asked = [
            InitQuestion("owners", "Who owns the services (names of people, the first is you)?", owner),
            InitQuestion("tier1", f"Which services are recovered first, tier 1 ({names})? Names, all or none", "none"),
            InitQuestion("tier3", "Which can wait, tier 3? All others are tier 2. Names, all or none", "none"),
            InitQuestion("rto", "Time to recover tier 1, 2 and 3?", " ".join(base.rto)),
            InitQuestion(
                "rpo",
                "Data that may be lost (0B, 1MB)? Empty: 0B for services, for clusters what each tolerates",
                base.rpo,
            ),
        ]
    else:
        asked = [InitQuestion("owners", "Who operates this (names of people, the first is you)?", owner)]
    if homeless:
        names = ", ".join(list(homeless)[:4]) + (", …" if len(homeless) > 4 else "")
        asked.append(InitQuestion("site", f"Site of {names}: no name tells it", base.site))
    if plain:
        names = ", ".join(list(plain)[:4]) + (", …" if len(plain) > 4 else "")
        text = f"{names}: plain text to another machine. Why is that accepted (shown in red)? Empty: leave them out"
        asked.append(InitQuestion("waive", text, base.waive))
    return asked


def answered(base: Answers, given: Mapping[str, str], services: Collection[str]) -> Answers:
    """The answers with those that were given. Raises WrongAnswer."""
    found = base
    for key, text in given.items():
        if key not in KEYS:
            raise WrongAnswer(key, f"one of {', '.join(KEYS)}")
        found = _take(found, key, text.strip(), services)
    return found


def _take(base: Answers, key: str, text: str, services: Collection[str]) -> Answers:
    words = [word for word in text.replace(",", " ").split() if word]
    asked = base.asked | {key}
    if key == "owners":
        if not words or not all(valid(word) for word in words):
            raise WrongAnswer(key, "names of letters, digits, dot, dash and underscore")
        return replace(base, owners=tuple(dict.fromkeys(words)), asked=asked)
    if key in ("tier1", "tier3"):
        chosen = frozenset(_services(key, words, services))
        return replace(base, tier1=chosen, asked=asked) if key == "tier1" else replace(base, tier3=chosen, asked=asked)
    if key == "rto":
        return replace(base, rto=_times(words), asked=asked)
    if key == "rpo":
        return replace(base, rpo=_size(text), asked=asked)
    if key == "waive":
        return replace(base, waive=_reason(text), asked=asked)
    if key == "environment":
        if text not in ENVIRONMENTS:
            raise WrongAnswer(key, f"one of {', '.join(ENVIRONMENTS)}")
        return replace(base, environment=text, asked=asked)
    if not valid(text):
        raise WrongAnswer(key, "a name of letters, digits, dot, dash and underscore")
    return replace(base, site=text, asked=asked)


def _services(key: str, words: list[str], services: Collection[str]) -> Collection[str]:
    if words in (["all"], ["none"], []):
        return services if words == ["all"] else ()
    for word in words:
        if word not in services:
            near = nearest(word, services)
            raise WrongAnswer(key, f"names of services, not {word!r}" + (f"; did you mean {near}?" if near else ""))
    return words


def _times(words: list[str]) -> tuple[str, str, str]:
    """One time for all tiers, or three."""
    message = "one duration or three, such as 15m 1h 4h, at most 366d"
    try:
        limits = [parse_duration(word) for word in words if not word.isdigit()]
    except ValueError as error:
        raise WrongAnswer("rto", message) from error
    if len(limits) != len(words) or len(words) not in (1, 3) or not all(0 < each <= MOST_RTO for each in limits):
        raise WrongAnswer("rto", message)
    return (words[0], words[-2] if len(words) == 3 else words[0], words[-1])


def _reason(text: str) -> str:
    if text and not (10 <= len(text) <= 200 and text.isprintable()):
        raise WrongAnswer("waive", "a reason in one line of 10 to 200 letters, or nothing")
    return text


def _size(text: str) -> str:
    if text:
        try:
            if text.isdigit() or parse_size(text) < 0:
                raise ValueError
        except ValueError as error:
            raise WrongAnswer("rpo", "a size such as 0B, 64kB or 1MB") from error
    return text
