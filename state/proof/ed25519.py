"""Ed25519 signatures (RFC 8032), verified only: nothing here is secret, so it need not take the same time for all.

Written for machines with nothing but Python. Keys and signatures are made by OpenSSH, which can verify them too.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
"""A square root of -1."""
WINDOW = 4

Point = tuple[int, int, int, int]
"""X, Y, Z and T of a point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z."""
ZERO: Point = (0, 1, 1, 0)


def verified(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature (64 bytes) of a message is that of the public key (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    key = _point(public)
    if key is None or scalar >= L or _is_small(key):
        return False
    hashed = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % L
    x, y, z, t = key
    # S·B - h·A must be R, in the very bytes of the signature.
    found = _sum_of(scalar, hashed, (P - x, y, z, P - t))
    return _bytes(found) == signature[:32]


def _is_small(point: Point) -> bool:
    """Whether it is one of the eight points that no honest key is, and under which one signature fits many messages."""
    for _ in range(3):
        point = _double(point)
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0


def _sum_of(first: int, second: int, other: Point) -> Point:
    """first·B + second·other, both with windows of four bits in one pass."""
    base, table = _multiples_of_base(), _multiples(other)
    total, zero = ZERO, ZERO
    for place in range(252, -1, -WINDOW):
        for _ in range(WINDOW):
            total = _double(total)
        for table_of, scalar in ((base, first), (table, second)):
            digit = scalar >> place & 15
            if digit:
                total = table_of[digit] if total is zero else _add(total, table_of[digit])
    return total


def _multiples(point: Point) -> tuple[Point, ...]:
    found = [ZERO, point]
    while len(found) < 1 << WINDOW:
        found.append(_add(found[-1], point))
    return tuple(found)


@lru_cache(maxsize=1)
def _multiples_of_base() -> tuple[Point, ...]:
    base = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    assert base is not None
    return _multiples(base)


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(point: Point) -> Point:
    x, y, z, _ = point
    a, b, c = x * x % P, y * y % P, 2 * z * z % P
    h = a + b
    e, g = h - (x + y) ** 2 % P, a - b
    f = c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _point(data: bytes) -> Point | None:
    """The point of 32 bytes; None for bytes that are none, or not its only ones."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _bytes(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    return ((y * inverse % P) | (x * inverse % P & 1) << 255).to_bytes(32, "little")
