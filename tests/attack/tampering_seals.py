"""What somebody could do to a sealed and anchored journal who has the host: its files, and the key that is in use.

Each gives the journal as it is found afterwards. The keys of former periods are destroyed, so nothing here uses them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random

from state.audit.events import JournalKeyed
from state.journal.erasures import JournalRetained
from state.journal.format import canonical
from state.proof import anchors
from state.proof.seals import SEALED, statement
from tests.attack.tampering import forged, rehashed
from tests.support.sealed import TestKey, Written, written

Attack = Callable[[Written, Random], Written]


def seal_places(made: Written) -> list[int]:
    return [n for n, entry in enumerate(made.entries) if b',"journal.sealed",' in entry.header]


def cut(made: Written, seq: int) -> Written:
    """As if nothing behind an entry had ever been there; the key in use, its number and the anchors stay."""
    made.entries = made.entries[:seq]
    return made


def told(made: Written, at: int, **changed: object) -> Written:
    """Other words in the entry at a place, hashed onward."""
    payload = canonical({**json.loads(made.entries[at].payload), **changed})
    entries = [*made.entries[:at], forged(made.entries[at], payload), *made.entries[at + 1 :]]
    made.entries = rehashed(entries, at)
    return made


def signed_anew(made: Written, at: int, key: TestKey, **changed: object) -> Written:
    """The seal at a place with other words and a fresh signature."""
    said = {**json.loads(made.entries[at].payload), **changed}
    return told(made, at, **changed, signature=key.sign(statement(said), "journal.recovery"))


def truncated_and_resumed(made: Written, chance: Random) -> Written:
    """Cut in a former period; then the engine goes on and seals with the key that it has (CVE-2023-31438)."""
    at = chance.choice(seal_places(made)[1:])
    cut(made, at - chance.randrange(1, 4))
    made.sealed = json.loads(made.entries[seal_places(made)[-1]].payload)["last"]
    made.beat(6)
    made.seal()
    made.beat(3)
    return made


def sealed_with_a_newer_key(made: Written, chance: Random) -> Written:
    """An old entry is another one, and everything from there on is sealed with the key in use (CVE-2023-31439)."""
    key, places = made.key, seal_places(made)
    first = chance.randrange(len(places))
    told(made, places[first] - 2, words="nothing happened")
    for place in places[first:]:
        seal = json.loads(made.entries[place].payload)
        signed_anew(made, place, key, head=made.entries[seal["last"] - 1].hash.hex(), public=key.public)
    return made


def without(made: Written, at: int) -> Written:
    """One entry is gone, and all behind it have other numbers."""
    kept = made.entries[at + 1 :]
    headers = [e.header.replace(b"[%d," % e.seq, b"[%d," % (e.seq - 1), 1) for e in kept]
    moved = [replace(e, seq=e.seq - 1, header=header) for e, header in zip(kept, headers, strict=True)]
    made.entries = rehashed([*made.entries[:at], *moved], at)
    return made


def an_empty_period_is_gone(made: Written, chance: Random) -> Written:
    """The seal of a period in which nothing happened (the other half of CVE-2023-31438)."""
    places = seal_places(made)
    return without(made, places[chance.randrange(len(places) - 1)])


def forged_line(made: Written, chance: Random) -> Written:
    """From a former period on sealed with keys of the forger's own, each certifying the next."""
    places = seal_places(made)
    first = chance.randrange(len(places))
    key = TestKey(chance.randbytes(32))
    told(made, places[first] - 2, words="nothing happened")
    for place in places[first:]:
        following = TestKey(chance.randbytes(32))
        seal = json.loads(made.entries[place].payload)
        head = made.entries[seal["last"] - 1].hash.hex()
        signed_anew(made, place, key, head=head, public=key.public, next=following.public)
        key = following
    return made


def another_root(made: Written, chance: Random) -> Written:
    """Everything anew, from the first key on."""
    other = written(chance.randrange(10**6) + 10**6)
    made.entries = other.entries
    return made


def another_root_in_the_same_words(made: Written, chance: Random) -> Written:
    key = TestKey(chance.randbytes(32))
    at = next(n for n, entry in enumerate(made.entries) if b',"journal.keyed",' in entry.header)
    told(made, at, public=key.public)
    for place in seal_places(made):
        following = TestKey(chance.randbytes(32))
        seal = json.loads(made.entries[place].payload)
        head = made.entries[seal["last"] - 1].hash.hex()
        signed_anew(made, place, key, head=head, public=key.public, next=following.public)
        key = following
    return made


def a_new_line(made: Written, chance: Random) -> Written:
    """Cut, and a new line of keys begun, as an engine does that has lost its key."""
    place = chance.choice(seal_places(made))
    cut(made, place + 1)
    made.period = json.loads(made.entries[place].payload)["period"] + 2
    made.keys[made.period] = made.new_key()
    made.append(JournalKeyed(made.period, made.key.public, "begins"))
    made.sealed = json.loads(made.entries[place].payload)["last"]
    made.beat(5)
    made.seal()
    return made


def no_seals(made: Written, chance: Random) -> Written:
    for place in reversed(seal_places(made)):
        without(made, place)
    return without(made, next(n for n, e in enumerate(made.entries) if b',"journal.keyed",' in e.header))


def erased(made: Written, chance: Random) -> Written:
    """A seal whose payload was taken away, with an entry that says it was erased by policy."""
    at = chance.choice(seal_places(made))
    made.entries[at] = replace(made.entries[at], payload=b"", salt=b"")
    made.append(JournalRetained({"observed": 1.0}, {SEALED: at + 1}, (), {}, 1, "erased"))
    return made


def bare_tail(made: Written, chance: Random) -> Written:
    made.beat(41 + chance.randrange(9))
    return made


def said(**changed: Callable[[Written, Random, dict[str, object]], object]) -> Attack:
    """One word of a seal is another."""

    def attack(made: Written, chance: Random) -> Written:
        at = chance.choice(seal_places(made))
        now = json.loads(made.entries[at].payload)
        return told(made, at, **{name: change(made, chance, now) for name, change in changed.items()})

    return attack


def same_seal_again(made: Written, chance: Random) -> Written:
    at = chance.choice(seal_places(made)[:-1])
    again = json.loads(made.entries[at].payload)
    made.period = again["period"]
    made.sealed = again["first"] - 1
    made.seal(**{name: again[name] for name in ("first", "last", "head", "public", "next", "signature")})
    return made


def of_another_journal(made: Written, chance: Random) -> Written:
    """A seal of another journal in the place of its own."""
    at = chance.choice(seal_places(made))
    return told(made, at, **json.loads(written(chance.randrange(10**6) + 10**6).entries[at].payload))


def claims_what_comes(made: Written, chance: Random) -> Written:
    made.seal(last=made.entries[-1].seq + 3, head="00" * 32)
    return made


def leaves_out(made: Written, chance: Random) -> Written:
    """With the key in use a stretch is left out of the seal."""
    made.seal(first=made.sealed + 3)
    return made


def flipped_letter(made: Written, chance: Random, seal: dict[str, object]) -> str:
    text = str(seal["signature"])
    at = chance.randrange(40, len(text) - 4)
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def former_signature(made: Written, chance: Random) -> Written:
    places = seal_places(made)
    at = chance.randrange(1, len(places))
    return told(made, places[at], signature=json.loads(made.entries[places[at - 1]].payload)["signature"])


def with_the_key_in_use(**instead: Callable[[Written], object]) -> Attack:
    """A seal that says something else, rightly signed: what somebody can make who has the host now."""

    def attack(made: Written, chance: Random) -> Written:
        del chance
        made.seal(**{name: value(made) for name, value in instead.items()})
        return made

    return attack


def for_something_else(made: Written, chance: Random) -> Written:
    """The very words of the seal, signed with the right key for another use."""
    del chance
    key, place = made.key, len(made.entries)
    made.seal()
    said = json.loads(made.entries[place].payload)
    return told(made, place, signature=key.sign(statement(said), anchors.NAMESPACE))


SEALS: dict[str, Attack] = {
    "CVE-2023-31438: truncated and resumed": truncated_and_resumed,
    "CVE-2023-31438: an empty period is gone": an_empty_period_is_gone,
    "CVE-2023-31439: sealed with a newer key": sealed_with_a_newer_key,
    "re-sealed with keys of one's own": forged_line,
    "another first key": another_root,
    "another first key, the same words": another_root_in_the_same_words,
    "a new line of keys": a_new_line,
    "all seals are gone": no_seals,
    "a seal erased by policy": erased,
    "an end without seals": bare_tail,
    "a signature changed": said(signature=flipped_letter),
    "a signature of a former seal": former_signature,
    "a signature for something else": said(signature=lambda made, c, s: made.key.sign(b"x", anchors.NAMESPACE)),
    "no signature": said(signature=lambda *_: ""),
    "another next key": said(next=lambda made, c, s: TestKey(c.randbytes(32)).public),
    "another key": said(public=lambda made, c, s: made.key.public),
    "another period": said(period=lambda made, c, s: int(str(s["period"])) + c.choice((-1, 1, 2))),
    "another beginning": said(first=lambda made, c, s: int(str(s["first"])) + c.choice((-1, 1))),
    "another end": said(last=lambda made, c, s: int(str(s["last"])) - 1),
    "another head": said(head=lambda made, c, s: c.randbytes(32).hex()),
    "no numbers": said(last=lambda *_: "7"),
    "the same seal again": same_seal_again,
    "a seal of another journal": of_another_journal,
    "a seal of what comes": claims_what_comes,
    "a stretch left out": leaves_out,
    "another head, rightly signed": with_the_key_in_use(head=lambda made: "00" * 32),
    "another period, rightly signed": with_the_key_in_use(period=lambda made: made.period + 1),
    "the same period again, rightly signed": with_the_key_in_use(period=lambda made: made.period - 1),
    "an end before its beginning, rightly signed": with_the_key_in_use(
        last=lambda made: made.sealed, head=lambda made: made.entries[made.sealed - 1].hash.hex()
    ),
    "signed for something else": for_something_else,
}
"""Found by the seals and by the first key that was stored elsewhere, without any anchor."""


def edited_since_the_seal(made: Written, chance: Random) -> Written:
    return told(made, len(made.entries) - 1 - chance.randrange(3), words="nothing happened")


def cut_since_the_seal(made: Written, chance: Random) -> Written:
    return cut(made, len(made.entries) - 1 - chance.randrange(3))


def cut_and_grown(made: Written, chance: Random) -> Written:
    cut(made, len(made.entries) - 2 - chance.randrange(2))
    made.beat(9)
    made.seal()
    return made


def rolled_back(made: Written, chance: Random) -> Written:
    """The whole state of an hour before, keys too, as a restored backup has it."""
    return cut(made, chance.choice(seal_places(made)) + 2)


def forked(made: Written, chance: Random) -> Written:
    """Two engines went on from one state; the anchors are of both."""
    other = copy.deepcopy(made)
    made.beat(3)
    other.beat(2)
    made.anchors.append(other.anchor(keep=False))
    return made


def anchor_changed(made: Written, chance: Random) -> Written:
    """Somebody who has a place, and not the host."""
    at = chance.randrange(len(made.anchors))
    made.anchors[at] = replace(made.anchors[at], hash=chance.randbytes(32).hex())
    return made


def anchor_moved(made: Written, chance: Random) -> Written:
    at = chance.randrange(len(made.anchors))
    made.anchors[at] = replace(made.anchors[at], seq=made.anchors[at].seq + chance.choice((-1, 1, 500)))
    return made


def with_old_anchors(made: Written, chance: Random) -> Written:
    """One place shows an old anchor again in the place of its newest; the other place has them all."""
    old = made.anchors[0]
    made.anchors = [old, *made.anchors, old]
    return cut_since_the_seal(made, chance)


def strangers_too(made: Written, chance: Random) -> Written:
    """The journal was begun anew on the same host: its own anchors fit, those of before name it."""
    before = made.anchors
    fresh = written(chance.randrange(10**6) + 10**6)
    fresh.anchors = [*before, *fresh.anchors]
    return fresh


ANCHORS: dict[str, Attack] = {
    "edited since the last seal": edited_since_the_seal,
    "cut since the last seal": cut_since_the_seal,
    "cut since the last seal and grown again": cut_and_grown,
    "rolled back with its keys": rolled_back,
    "forked": forked,
    "an anchor changed": anchor_changed,
    "an anchor moved": anchor_moved,
    "an old anchor again": with_old_anchors,
    "another journal": another_root,
    "begun anew": strangers_too,
}
"""Found by the anchors alone."""
