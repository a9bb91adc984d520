"""A command as text for the shell of an account that ssh logs in, whichever shell it is.

sshd hands over one text, and the account's own shell takes it apart. Shells differ: fish reads `\\'` within quotes,
csh ends a command at a quoted line break and replaces a quoted `!`. So only text goes there that all read alike.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

PLAIN = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./:@+-]*")
"""A word that no shell reads as anything but itself."""
KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _./:@+-=,%#")
SCRIPT = 'c=$(printf %b "$0") && eval "${c:?}"'
"""For a POSIX shell. It has no sign that a shell reads within single quotes."""
READ_DIFFERENTLY = re.compile(r"['\\!\u2018-\u201b\x00-\x1f\x7f]")
"""Signs that shells read differently even within single quotes."""


def for_any_shell(words: Sequence[str], sign: str = "") -> str:
    """Text by which every shell starts these very words: as they are, or written out for the POSIX shell /bin/sh. A
    `sign` is the first line of its output then: an account that never comes so far gives none."""
    if not sign and all(map(PLAIN.fullmatch, words)):
        return " ".join(words)
    first = f"printf '%s\\n' {shlex.quote(sign)} && " if sign else ""
    line = f"{first}exec {shlex.join(words)}".encode(errors="surrogateescape")
    octal = "".join(chr(byte) if byte in KEPT else f"\\0{byte:03o}" for byte in line)
    return f"/bin/sh -c '{SCRIPT}' '{octal}'"


def for_a_forced_command(words: Sequence[str]) -> str:
    """Text with each word in plain quotes at most, which a forced command can take apart. Raises ValueError for a sign
    that the shell of an account without a forced command could read differently."""
    for word in words:
        if found := READ_DIFFERENTLY.search(word):
            raise ValueError(f"shells read {found[0]!r} differently: not sent to a host with `environment: send`")
    return " ".join(word if PLAIN.fullmatch(word) else f"'{word}'" for word in words)
