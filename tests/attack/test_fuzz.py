"""Every parser of bytes from outside, given what no author thought of: nothing is raised but what it declares.

Inputs that once did are kept in `corpus/PARSER/`. `python -m tests.attack.test_fuzz PARSER` runs Atheris on one of
them, where it is installed (`pip install atheris`).
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.capabilities import parts, topics
from state.journal.projection import Folds, FoldSetting
from state.verdicts.judge import Judge
from state.views.context import JournalState, ViewContext
from state.views.memory import Memory
from state.world.observed import Observed
from state.world.readings import Alert, AlertsReading, Reading
from state.world.shapes import misfit
from state.world.world import World
from tests.attack.test_blind import ALERT, MEMBER, PATRONI, SENDER, SLOT
from tests.support.heartbeat import unit
from tests.support.mutating import JUNK, mutated
from tests.support.parsers import BY_NAME, CORPUS, PARSERS, Parser
from tests.unit.night import Hands, calm_night

SLOWEST = 40.0
"""Units of work (about 5 ms each) that one input may take at most; the largest are of 20 kB."""
SHORT, LONG = 150, 1_000_000
EACH = [pytest.param(each, id=each.name) for each in PARSERS]


def tried(parser: Parser, data: bytes) -> bool:
    """Whether the parser took it; every exception that is not declared is a defect."""
    try:
        parser.call(data)
    except parser.declared:
        return False
    return True


def kept(parser: Parser) -> list[bytes]:
    """The inputs that are kept for a parser."""
    return [path.read_bytes() for path in sorted((CORPUS / parser.name).glob("*"))]


@pytest.mark.parametrize("parser", EACH)
def test_what_is_kept_and_what_is_good_raises_nothing_else(parser: Parser) -> None:
    taken = [tried(parser, data) for data in parser.seeds]
    assert any(taken), "none of the good ones is taken: nothing would be tried"
    for data in kept(parser):
        tried(parser, data)


@pytest.mark.parametrize("parser", EACH)
def test_changed_inputs_raise_nothing_else(parser: Parser) -> None:
    chance = random.Random(f"48 {parser.name}")
    for _ in range(SHORT):
        data = mutated(parser.seeds, chance)
        try:
            tried(parser, data)
        except BaseException:
            print(f"keep this in corpus/{parser.name}: {data!r}")
            raise


BYTES = st.binary(max_size=300) | st.text(max_size=200).map(lambda told: told.encode("utf-8", "surrogatepass"))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(PARSERS), BYTES)
def test_any_bytes_raise_nothing_else(parser: Parser, data: bytes) -> None:
    tried(parser, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
READ_AS_JSON = [each for each in PARSERS if any(seed[:1] in (b"{", b"[") for seed in each.seeds)]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(READ_AS_JSON), JSON)
def test_any_json_raises_nothing_else(parser: Parser, value: Any) -> None:
    tried(parser, json.dumps(value).encode())


# -- behind the gate: what fits can be judged and shown


def _variants(reading: Any, chance: random.Random) -> Any:
    """A reading, or a part of it, with one field replaced by anything."""
    names = [each.name for each in fields(reading) if each.init]
    name = chance.choice(names)
    value = getattr(reading, name)
    if isinstance(value, tuple) and value and is_dataclass(value[0]) and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return replace(reading, **{name: (*value[:place], _variants(value[place], chance), *value[place + 1 :])})
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        each = value[key]
        made = _variants(each, chance) if is_dataclass(each) else chance.choice(JUNK)
        return replace(reading, **{name: {**value, key: made}})
    if is_dataclass(value) and chance.random() < 0.8:
        return replace(reading, **{name: _variants(value, chance)})
    alike = [each for each in JUNK if type(each) is type(value)] if chance.random() < 0.7 else JUNK
    return replace(reading, **{name: chance.choice(alike or JUNK)})


def _worlds() -> dict[str, Reading]:
    """Every source of a calm night, with rows in every table."""
    night = calm_night()
    found = {key: reading for key, reading in night.readings.items() if reading is not None}
    alerts = AlertsReading((ALERT, replace(ALERT, fingerprint="1f", labels={"a": "b"})), True, lost={"0f": ("a", 1.0)})
    for key, reading in found.items():
        if key.startswith("postgres"):
            found[key] = replace(reading, senders=(SENDER,), slots=(SLOT,))  # type: ignore[call-arg]
        elif key.startswith("alerts"):
            found[key] = alerts
        elif key.startswith("patroni"):
            found[key] = replace(reading, members=(MEMBER,))  # type: ignore[call-arg]
    assert isinstance(PATRONI, get_args(Reading))
    assert isinstance(ALERT, Alert)
    return found


def shown(count: int, seed: int) -> int:
    """Judge and show changed readings; how many of them the gate let pass."""
    chance, passed = random.Random(seed), 0
    base, estate = _worlds(), calm_night().estate
    for _ in range(count):
        clock, world = Hands(), World()
        key = chance.choice(list(base))
        changed = _variants(base[key], chance)
        if misfit(changed) is not None:
            continue
        passed += 1
        for name, reading in {**base, key: changed}.items():
            world.observed[name] = Observed(name, 3.0).succeeded(reading, clock.wall(), clock.now)
        judge = Judge(estate, world)
        folds = Folds(tuple(parts("projections")), FoldSetting(estate, judge, clock, "boot", "engine@test"))
        folds.notice(clock.now)
        context = ViewContext(judge.at(clock.now), folds, JournalState(), {}, Memory())
        for topic in topics().values():
            topic.builder(context)
    return passed


def test_what_passes_the_gate_can_be_judged_and_shown() -> None:
    assert shown(150, 48) >= 30


@pytest.mark.torture
def test_what_passes_the_gate_can_be_judged_and_shown_at_length() -> None:
    passed = shown(20_000, 49)
    print(f"20,000 readings with a changed value: {passed} passed the gate, all were judged and shown")
    assert passed > 4000


# -- the long programme


def _turns(count: int) -> Iterator[Parser]:
    """Parsers by turns, fast ones more often: each has the same time."""
    spent = dict.fromkeys(BY_NAME, 0.0)
    for _ in range(count):
        name = min(spent, key=lambda each: spent[each])
        began = time.process_time()
        yield BY_NAME[name]
        spent[name] += time.process_time() - began


@pytest.mark.torture
def test_a_million_inputs_raise_nothing_else() -> None:
    gc.collect()
    gc.freeze()
    chance, one = random.Random(int(time.time())), unit()
    counts = {name: [0, 0, 0.0] for name in BY_NAME}
    for parser in _turns(LONG):
        data = mutated(parser.seeds, chance)
        began = time.process_time()
        try:
            taken = tried(parser, data)
        except BaseException:
            print(f"keep this in corpus/{parser.name}: {data!r}")
            raise
        found = counts[parser.name]
        found[0] += 1
        found[1] += taken
        found[2] = max(found[2], time.process_time() - began)
    for name, (inputs, accepted, longest) in counts.items():
        print(f"{name}: {inputs} inputs, {accepted} taken, longest {longest * 1000:.1f} ms ({longest / one:.1f} units)")
    gc.unfreeze()
    total = sum(found[0] for found in counts.values())
    longest = max(found[2] for name, found in counts.items() if BY_NAME[name].on_loop)
    print(f"in all {total} inputs, 0 exceptions that are not declared, longest on the loop {longest * 1000:.1f} ms")
    assert total >= LONG
    assert longest / one < SLOWEST


def _own() -> Iterator[FunctionType]:
    """The functions of the product that are loaded, those of its classes too."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("adapters.", "state.", "console.", "tests.support.parsers")):
            for value in list(vars(module).values()):
                inside = vars(value).values() if isinstance(value, type) and value.__module__ == name else (value,)
                yield from (each for each in inside if isinstance(each, FunctionType) and each.__module__ == name)


def main(name: str, arguments: list[str]) -> None:
    """Atheris on one parser, with its corpus."""
    import atheris  # type: ignore[import-not-found]

    parser = BY_NAME[name]
    with tempfile.TemporaryDirectory() as folder:  # what it finds interesting goes there, what raises is printed
        for number, seed in enumerate((*parser.seeds, *kept(parser))):
            Path(folder, str(number)).write_bytes(seed)
        for function in _own():
            atheris.instrument_func(function)
        atheris.Setup([sys.argv[0], *arguments, folder], lambda data: tried(parser, data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
