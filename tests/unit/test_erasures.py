"""What one retention erased is accounted for by its own entry, whatever a later one says."""

from __future__ import annotations

import json

from state.proof.erasures import Erasures


def _header(kind: str) -> bytes:
    return json.dumps([1, "node", 0.0, 0.0, "boot", 0, 0, kind]).encode()


def _claim(upto: dict[str, int], *kept: tuple[int, int]) -> bytes:
    return json.dumps({"upto": upto, "kept": kept}).encode()


def _erased(*seqs: int, claims: tuple[bytes, ...]) -> tuple[int, int]:
    erasures = Erasures()
    for seq in seqs:
        erasures.erased(seq, _header("alert.fired"))
    for claim in claims:
        erasures.retained(claim)
    return erasures.unrecorded()


def test_a_later_retention_of_less_takes_nothing_back() -> None:
    """With a longer age, or when only an older entry goes that was kept before, the newest entry ends below."""
    first, second = _claim({"alert.fired": 9}, (4, 4)), _claim({"alert.fired": 4})
    assert _erased(2, 4, 9, claims=(first, second)) == (0, 0)
    assert _erased(2, 4, 9, claims=(first,)) == (4, 1), "what was kept was taken away by something else"
    assert _erased(2, 11, claims=(first, second)) == (11, 1)


def test_an_entry_of_another_kind_is_not_accounted_for() -> None:
    assert _erased(2, claims=(_claim({"dns.changed": 9}),)) == (2, 1)
    assert _erased(2, claims=(b"{}", b"[", b"null")) == (2, 1)
