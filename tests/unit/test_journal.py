"""The journal's chain: any change is found and its place named; a torn end is torn, not tampering."""

import json
import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.monitors.alert_rows import alerts_of
from state.api.run_states import StepState
from state.capabilities import load_events, parts
from state.changes.model import Finding
from state.detection.observations import AlertFired, FiringAlert, ServiceUnknown, UnjudgedService
from state.engine.events import Heartbeat, RequestRefused
from state.estate.model import Estate
from state.estate.severities import Severities
from state.journal.events import Event, TooLarge
from state.journal.format import GENESIS, MAX_PAYLOAD, Sealed, Sealer, canonical, recorded, unseal, verify
from state.journal.projection import Folds, FoldSetting
from state.ports.target import Setting
from state.proof.lines import export_line, verify_export
from state.runs.events import EffectEnded, RunStarted
from state.verdicts.judge import Judge
from state.world.world import World
from tests.attack.tampering import rehashed
from tests.support.retained import retained
from tests.support.small_estate import ESTATE, LoopClock

SEALER = Sealer("host", "boot")


def chain(n: int = 12) -> list[Sealed]:
    entries, head = [], GENESIS
    for seq in range(1, n + 1):
        event = Event(Heartbeat(f"entry {seq}"), "ada", "s", run=f"R-{seq}")
        entry = SEALER.seal(event, seq=seq, previous=head, at=1000.0 + seq, mono=float(seq))
        head = entry.hash
        entries.append(entry)
    return entries


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


TAMPERINGS = {
    "header bit flip": lambda e: [*e[:4], replace(e[4], header=flip(e[4].header, 9)), *e[5:]],
    "payload bit flip": lambda e: [*e[:4], replace(e[4], payload=flip(e[4].payload, 3)), *e[5:]],
    "salt bit flip": lambda e: [*e[:4], replace(e[4], salt=flip(e[4].salt, 3)), *e[5:]],
    "hash bit flip": lambda e: [*e[:4], replace(e[4], hash=flip(e[4].hash, 3)), *e[5:]],
    "one deleted": lambda e: [*e[:4], *e[5:]],
    "first deleted": lambda e: e[1:],
    "many deleted": lambda e: [*e[:3], *e[9:]],
    "reordered": lambda e: [*e[:4], e[5], e[4], *e[6:]],
    "duplicated": lambda e: [*e[:5], e[4], *e[5:]],
    "spliced from another journal": lambda e: [*e[:6], *chain()[6:]],
    "renumbered after a deletion": lambda e: [*e[:4], *(replace(x, seq=x.seq - 1) for x in e[5:])],
    "deleted and hashed onward": lambda e: rehashed([*e[:4], *e[5:]], 4),
    "payload swapped with a neighbour": lambda e: [
        *e[:4],
        replace(e[4], payload=e[5].payload, salt=e[5].salt),
        *e[5:],
    ],
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_trap_17_every_kind_of_tampering_is_found_and_its_place_named(kind):
    entries = chain()
    result = verify(TAMPERINGS[kind](entries), head=entries[-1].hash)
    assert not result.ok
    assert "entry" in result.problem


@pytest.mark.parametrize(
    ("forged", "message"),
    [
        (lambda e: e[:-1], "another hash"),
        (lambda e: [], "another hash"),
        (lambda e: chain(), "another hash"),
        (
            lambda e: rehashed([*e[:4], replace(e[4], header=e[4].header.replace(b'"ada"', b'"eve"')), *e[5:]], 4),
            "another",
        ),
    ],
)
def test_with_the_known_head_truncation_and_replacement_are_found_too(forged, message):
    entries = chain()
    assert message in verify(forged(entries), head=entries[-1].hash).problem


def test_clean_chains_verify_also_when_a_payload_was_erased_by_retention():
    entries = chain()
    assert verify(entries, head=entries[-1].hash).ok
    erased = retained(entries, {5, 6, 9})
    found = verify(erased, head=erased[-1].hash)
    assert (found.problem, found.erased) == ("", 3)
    assert unseal(erased[4]).erased


def test_an_erasure_that_no_entry_tells_is_named():
    entries = chain()
    erased = retained(entries, {5, 6})
    for seq in (4, 7):  # one that was kept, and one behind those that were erased
        taken = [replace(e, payload=b"", salt=b"") if e.seq == seq else e for e in erased]
        assert f"the payload of entry {seq} was erased" in verify(taken).problem
    assert "of entry 5, and of 1 other was erased" in verify(erased[:-1]).problem
    silenced = [*erased[:-1], replace(erased[-1], payload=b"", salt=b"")]
    assert "of entry 5, and of 2 others was erased" in verify(silenced).problem
    assert verify([replace(e, payload=b"") if e.seq == 5 else e for e in entries]).problem  # its salt is still there


def test_an_export_verifies_anywhere_and_a_torn_last_line_is_torn():
    lines = [export_line(e) for e in chain()]
    assert verify_export(lines).ok
    torn = verify_export([*lines[:-1], lines[-1][:40]])
    assert torn.ok
    assert torn.torn == "line 12 is not a journal entry: it is cut short"
    assert torn.entries == 11
    middle = verify_export([*lines[:5], lines[5][:40], *lines[6:]])
    assert middle.problem == "line 6 is not a journal entry"


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_changed_byte_of_an_export_is_found(seed):
    pick = random.Random(seed)
    lines = [export_line(e) for e in CLEAN]
    row = pick.randrange(len(lines))
    line = bytearray(lines[row])
    at = pick.randrange(len(line))
    line[at] = pick.choice([b for b in range(32, 127) if b != line[at]])
    result = verify_export([*lines[:row], bytes(line), *lines[row + 1 :]], known=CLEAN[-1].hash.hex())
    same = _meaning(bytes(line)) == _meaning(lines[row])
    assert same or result.problem or result.torn


CLEAN = chain(6)


def _meaning(line: bytes) -> object:
    """What a line says; hexadecimal digits say the same in either case."""
    try:
        raw = json.loads(line)
        return raw["seq"], raw["header"], raw["hash"].lower(), raw["salt"].lower(), raw["payload"]
    except (ValueError, KeyError):
        return line


def test_nan_cannot_be_recorded_and_a_huge_decision_is_replaced_by_its_hash():
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"x": float("nan")})
    event = Event(RequestRefused("x" * 300_000), "ada")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=time.time(), mono=1.0)
    assert b'"bytes":3000' in sealed.payload
    assert unseal(sealed).body == RequestRefused("payload too large")
    assert verify([sealed]).ok


def firing(number: int, text: str) -> AlertFired:
    alerts = [FiringAlert(f"{n:016x}", text, text, "firing", 1.0, text, ("alerts:am",)) for n in range(number)]
    return AlertFired(f"{number} alerts: {text}", tuple(alerts))


@pytest.mark.parametrize(("number", "text"), [(1, "n" * 1_000_000), (50, "Реплика " * 300), (200, "\U0001f4a3" * 220)])
def test_a_huge_observation_keeps_every_fact_and_the_beginnings_of_its_texts(number: int, text: str) -> None:
    event = Event(firing(number, text), "engine@h")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=1.0, mono=1.0)
    assert len(sealed.payload) <= MAX_PAYLOAD
    read = unseal(sealed)
    assert read == recorded(sealed, event, at=1.0, mono=1.0, sealer=SEALER)
    assert isinstance(read.body, AlertFired)
    assert [each.fingerprint for each in read.body.alerts] == [f"{n:016x}" for n in range(number)]
    assert all(each.summary.startswith(text[:8]) and "…(+" in each.summary for each in read.body.alerts)
    assert verify([sealed]).ok


def test_a_thousand_services_without_evidence_are_one_entry_with_all_their_names() -> None:
    names = [f"service-of-a-name-that-is-as-long-as-a-name-may-be-in-an-es-{n:04}" for n in range(1000)]
    unknown_now = tuple(UnjudgedService(name, "prometheus: the answer is broken HTTP; " * 7, 1.0) for name in names)
    event = Event(ServiceUnknown("1000 services are unknown", unknown_now), "engine@h")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=1.0, mono=1.0)
    read = unseal(sealed)
    assert _folds().fold(read) == ""
    assert isinstance(read.body, ServiceUnknown)
    assert [each.service for each in read.body.services] == names


def test_an_outcome_with_endless_evidence_keeps_what_follows_from_it() -> None:
    leaves = (Setting(("edge", "shop", "blue"), "weight", "1" * 500),)
    lines = tuple(f"server {n}: " + "\U0001f4a3" * 500 for n in range(5000))
    body = EffectEnded("e1", StepState.DONE, Finding.DONE, lines, {"node": "n" * 500}, 1.0, "done " * 100_000, leaves)
    event = Event(body, "ada", run="R-1", step="s1")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=1.0, mono=1.0)
    read = unseal(sealed)
    assert read == recorded(sealed, event, at=1.0, mono=1.0, sealer=SEALER)
    assert isinstance(read.body, EffectEnded)
    assert (read.body.state, read.body.leaves, read.body.figures) == (StepState.DONE, leaves, {"node": "n" * 500})
    assert len(read.body.evidence) == 101
    assert read.body.evidence[-1] == "…(+4900)"


def test_an_observation_that_cannot_be_shortened_is_no_doubt_and_a_decision_is() -> None:
    event = Event(firing(20_000, "x"), "engine@h")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=1.0, mono=1.0)
    for entry in (unseal(sealed), recorded(sealed, event, at=1.0, mono=1.0, sealer=SEALER)):
        assert (entry.body, entry.kind) == (TooLarge(), "alert.fired")
        assert _folds().fold(entry) == ""
    event = Event(RunStarted("x" * 300_000, "", "", "", None, (), {}, (), "x"), "ada", run="R-1")
    sealed = SEALER.seal(event, seq=1, previous=GENESIS, at=1.0, mono=1.0)
    for entry in (unseal(sealed), recorded(sealed, event, at=1.0, mono=1.0, sealer=SEALER)):
        assert _folds().fold(entry) == "entry 1 cannot be read as run.started"


def test_no_text_of_an_alert_is_kept_without_end() -> None:
    long = "n" * 1_000_000
    row = {
        "labels": {"alertname": long, "severity": long, "instance": long},
        "annotations": {"summary": long},
        "fingerprint": long,
        "startsAt": "2026-11-27T16:00:00Z",
        "status": {"state": "suppressed", "silencedBy": ["s"]},
    }
    silences = {"s": {"endsAt": "2026-11-27T17:00:00Z", "comment": long, "createdBy": long}}
    [alert] = alerts_of([row], silences, Severities(), ())
    assert len(repr(alert)) < 10_000
    assert alert.fingerprint == alerts_of([{**row, "fingerprint": ""}], silences, Severities(), ())[0].fingerprint


def _folds() -> Folds:
    load_events()
    estate = Estate.model_validate(ESTATE)
    setting = FoldSetting(estate, Judge(estate, World()), LoopClock(), "b", "engine@h")
    return Folds(tuple(parts("projections")), setting)
