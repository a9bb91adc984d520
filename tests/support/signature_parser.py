"""The parser of SSH signatures, for the table of parsers."""

from __future__ import annotations

from state.policy.sshsig import parse_signature

SIGNATURE = b"""-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgreWg9cQ+cfVNtvZLxONoRK5Or4
aB5JNDEuO1UWxiRosAAAARYXBwcm92YWxAcmVjb3ZlcnkAAAAAAAAABnNoYTUxMgAAAFMA
AAALc3NoLWVkMjU1MTkAAABAB9ObtFBCsuN5SHwmQkew8IWY+1asfm0o/hXVU1tWC9Y6K9
v5S6BzgCZUaWhIMwS9Vr4VuRxeW+FblN3/D/2HAQ==
-----END SSH SIGNATURE-----
"""


def ssh_signature(data: bytes) -> None:
    """A signature as somebody hands it in, with what a terminal made of it."""
    parse_signature(data.decode("ascii", "replace"))
