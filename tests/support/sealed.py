"""Journals with seals and anchors, made in memory: what engines leave, and what an intruder could make."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from hashlib import sha512
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from state.audit.events import JournalKeyed, JournalSealed
from state.engine.events import ClockJumped, EngineStarted, EngineStopped, Heartbeat
from state.journal.events import Body, Event
from state.journal.format import GENESIS, Sealed, Sealer
from state.proof import anchors, seals
from state.proof.anchors import Anchor
from state.proof.seals import statement
from state.proof.sshsig import MAGIC, VERSION, fingerprint

NODE, ESTATE = "here", "small"


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class TestKey:
    """A key as ssh-keygen has it."""

    __test__ = False

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.blob = string(b"ssh-ed25519") + string(self._key.public_key().public_bytes_raw())
        self.public = f"ssh-ed25519 {b64encode(self.blob).decode()}"

    def sign(self, message: bytes, namespace: str) -> str:
        about = string(namespace.encode()) + string(b"") + string(b"sha512")
        raw = self._key.sign(MAGIC + about + string(sha512(message).digest()))
        signed = string(b"ssh-ed25519") + string(raw)
        return b64encode(MAGIC + VERSION + string(self.blob) + about + string(signed)).decode()


@dataclass
class Written:
    """A journal that grows. `keys` are those of its periods, by number: an engine has only the last one."""

    seed: int
    chance: Random = field(init=False)
    entries: list[Sealed] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    keys: dict[int, TestKey] = field(default_factory=dict)
    period: int = 0
    sealed: int = 0
    boot: str = "boot-0"
    at: float = 1.7e9
    mono: float = 100.0

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    @property
    def key(self) -> TestKey:
        return self.keys[self.period]

    @property
    def root(self) -> str:
        return fingerprint(self.keys[1].public)

    def new_key(self) -> TestKey:
        return TestKey(self.chance.randbytes(32))

    def append(self, body: Body, **about: str) -> Sealed:
        self.at, self.mono = self.at + 60, self.mono + 60
        head, seq = (self.entries[-1].hash, self.entries[-1].seq + 1) if self.entries else (GENESIS, 1)
        event, sealer = Event(body, "engine@here", **about), Sealer(NODE, self.boot)
        entry = sealer.seal(event, seq=seq, previous=head, at=self.at, mono=self.mono)
        self.entries.append(entry)
        return entry

    def begin(self) -> None:
        self.period += 1
        self.keys[self.period] = self.new_key()
        self.append(JournalKeyed(self.period, self.key.public, "begins"))

    def seal(self, *, key: TestKey | None = None, **instead: Any) -> Sealed:
        """A seal, with another key or other words than an engine would use."""
        following = self.new_key()
        last = self.entries[-1]
        told = {
            "period": self.period,
            "first": self.sealed + 1,
            "last": last.seq,
            "head": last.hash.hex(),
            "public": self.key.public,
            "next": following.public,
            **instead,
        }
        signature = instead.pop("signature", "") or (key or self.key).sign(statement(told), seals.NAMESPACE)
        entry = self.append(JournalSealed(**{**told, "signature": signature, "message": "sealed"}))
        self.sealed = told["last"]
        self.period += 1
        self.keys[self.period] = following
        return entry

    def anchor(self, *, keep: bool = True) -> Anchor:
        last = self.entries[-1]
        about = (
            self.entries[0].hash.hex(),
            ESTATE,
            NODE,
            self.period,
            self.keys[self.period].public if self.period else "",
        )
        made = Anchor(last.seq, last.hash.hex(), self.at, *about, "")
        if self.period:
            made = replace(made, signature=self.key.sign(made.statement, anchors.NAMESPACE))
        if keep:
            self.anchors.append(made)
        return made

    def beat(self, count: int = 1) -> None:
        for _ in range(count):
            self.append(Heartbeat("running"))

    def restart(self) -> None:
        """The host was rebooted, and the engine is back."""
        self.boot, self.mono = f"boot-{self.chance.randrange(10**6)}", self.chance.random() * 100
        self.append(EngineStarted("engine started"))

    def step_clock(self) -> None:
        seconds = self.chance.choice((-86_400.0, -3600.0, -5.0, 7.0, 3600.0, 40 * 86_400.0))
        self.at += seconds
        self.append(ClockJumped(seconds, "the wall clock went"))


def written(seed: int, periods: int = 5, each: int = 8) -> Written:
    """An ordinary journal: some periods and a bit of the next, anchored at the end of each and in between."""
    made = Written(seed)
    made.append(EngineStarted("engine started"))
    made.begin()
    for _ in range(periods):
        for _ in range(each):
            made.beat()
        made.anchor()
        made.seal()
    made.beat(4)
    made.anchor()
    return made


def eventful(seed: int) -> Written:
    """What an engine may leave in a bad month: reboots, clock steps, ends without a word, periods of any length."""
    made = Written(seed)
    chance = made.chance
    made.append(EngineStarted("engine started"))
    if chance.random() < 0.2:
        made.beat(chance.randrange(60))  # from before there were seals
    made.begin()
    made.seal()
    for _ in range(chance.randrange(12)):
        made.beat(chance.randrange(1, 20))
        if len(made.entries) - made.sealed > 20:  # an engine seals every quarter of an hour
            made.seal()
        happens = chance.random()
        if happens < 0.25:
            made.step_clock()
        elif happens < 0.5:
            if chance.random() < 0.5:
                made.append(EngineStopped("engine stopped"))
                made.seal()
            made.restart()
            made.seal()
        if chance.random() < 0.7:
            made.anchor()
        if chance.random() < 0.6:
            late = chance.randrange(3)
            last = made.entries[-1]
            made.beat(late)  # recorded while the signature was made
            made.seal(last=last.seq, head=last.hash.hex())
    if len(made.entries) - made.sealed < 30 and chance.random() < 0.5:
        made.beat(chance.randrange(8))
    return made
