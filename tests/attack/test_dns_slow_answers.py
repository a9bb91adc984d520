"""An answer to an update that is made to take long is not read: 16 kB of pointers cost seconds of the whole engine."""

from __future__ import annotations

import struct

import dns.message
import dns.name
import dns.update
import pytest

from adapters.dns.signing import Key, Signer, is_readable, is_unsigned, refusal_of
from adapters.dns.updates import UpdateChannel
from adapters.secrets import Secret
from state.errors import EffectUnknown

LONG = b"\x01a" * 120 + b"\x00"
POINTING = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 0, 2) + b"\xc0\x0c"
"""A record whose name and value are the question's: 16 bytes stand for 240 labels."""


def answer(records: int, *, code: int = 5, number: int = 1) -> bytes:
    """A refusal with so many records of this kind in its answer section."""
    head = struct.pack("!HHHHHH", number, 0xA800 | code, 1, records, 0, 0)
    return head + LONG + struct.pack("!HH", 6, 1) + POINTING * records


def test_what_has_more_records_than_an_answer_to_an_update_is_not_read() -> None:
    assert refusal_of(answer(0), "ns1", "lab.test", "key.") is not None
    for wire in (
        answer(1000),
        answer(65),
        answer(0)[:2] + b"\xa8\x05" + b"\xff" * 8 + answer(0)[12:],
        b"",
        b"\x00" * 11,
    ):
        assert not is_readable(wire)
        assert (refusal_of(wire, "ns1", "lab.test", "key."), is_unsigned(wire)) == (None, False)


def test_such_an_answer_leaves_the_outcome_unknown() -> None:
    channel = UpdateChannel(
        "lab.test", "127.0.0.1:5353", Signer(Key(name="key", secret={"env": "X"}), Secret("c2VjcmV0"))
    )
    message = dns.update.UpdateMessage("lab.test")
    channel.signer.sign(message)
    message.to_wire()
    with pytest.raises(EffectUnknown, match="is not read"):
        channel._read(answer(1000, number=message.id), message)
