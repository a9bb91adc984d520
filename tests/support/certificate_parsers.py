"""The parsers of what is told of SSH certificates and of a host's grants, for the table of parsers."""

from __future__ import annotations

import json

from adapters.access.host_rows import host_answer, host_facts, host_residue
from adapters.access.knocking import judged
from state.granting.certificates import WantedCertificate, amiss, parse_certificate, public_key

CERTIFICATE = (
    b"ssh-ed25519-cert-v01@openssh.com "
    b"AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIFZSp+K1Nou2+tT68Xm6Hp0k9hhZ0yhfv29qFjTcdGTQAAAA"
    b"INUTPdpDYX4366IPycrQrnTNEa28fXoTzknf3bvJX7U4AAAAAAAAACoAAAABAAAACEctQUFBQUFBAAAADAAAAAhHLUFBQUFBQQAA"
    b"AABrCwiQAAAAAGsLD5gAAABDAAAADWZvcmNlLWNvbW1hbmQAAAAuAAAAKi91c3IvbG9jYWwvbGliZXhlYy9yZWNvdmVyeS1hY2Nl"
    b"c3Mgc2Vzc2lvbgAAABIAAAAKcGVybWl0LXB0eQAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACAinjZh8INl9u1+iFzEhpoe"
    b"4B/DgTuzCbCeqLoC5lBgnAAAAFMAAAALc3NoLWVkMjU1MTkAAABAPvJ/B3UtSNySoGBG09ZRbnAQ1HFd/JPxj7OBpN9I9I80168/"
    b"ctBzQCJQCDM/gMIUpQYRSmcqVWHebeLlHau7Ag=="
)
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbYZCgGIXAFYJKwZeRtu4nEr2XDqWZLoGriibcAiVdp comment"
MARK = {
    "uid": 70000, "role": "bg_gaaaaaa_ada", "grant": "G-AAAAAA", "bundle": "shell", "person": "ada", "ticket": "INC-42",
    "effect": "R-1/s", "extended_by": "", "made": 1795880000.0, "ends": 1795880600.0, "window": 1795880060.0,
    "state": "open", "secret": "0" * 64, "serials": [42], "keys": ["ssh-ed25519 AAAA"], "certificate": "",
    "controls": [], "rights": "shell", "elevated": False, "can_login": True,
}  # fmt: skip
ROW = {
    "pid": 4711, "since": 1795880001.0, "title": "sshd: bg_gaaaaaa_ada@pts/0", "own": True, "orphan": False,
    "ports": [8080], "terminal": "pts/0", "as": 70000, "client": "10.1.0.7",
}  # fmt: skip
SEEN = json.dumps(
    {
        "version": 1, "clock": 1795880010.0, "unable": "", "grants": [MARK], "over": [], "sessions": {"70000": [ROW]},
        "waiting": [70000], "others": [{"uid": 0, "name": "toor", "why": "uid 0", "root": True, "shut": False}],
    }
).encode()  # fmt: skip
LEFT = json.dumps({"left": [{"kind": "crontab", "thing": "/var/spool/cron/x", "id": ""}]}).encode()
KNOCK = b"""debug1: Offering public key: /tmp/x-cert.pub ED25519-CERT SHA256:abc explicit
debug1: Server accepts key: /tmp/x-cert.pub ED25519-CERT SHA256:abc explicit
you@host: Permission denied (publickey).
"""


WANTED = WantedCertificate("ssh-ed25519 AAAA", 42, "G-AAAAAA", "G-AAAAAA", 1795880000.0, 1795880600.0, "true", ())


def certificate(data: bytes) -> None:
    """What an authority gave back."""
    found = parse_certificate(data.decode("ascii", "replace"))
    amiss(found, WANTED)


def key(data: bytes) -> None:
    """What a person hands in."""
    public_key(data.decode("utf-8", "replace"))


def host_grants(data: bytes) -> None:
    """What the program on a host answers."""
    told = host_answer("web1", data)
    if "left" in told:
        host_residue("web1", told)
    else:
        host_facts("web1", told).seen("web1", {})


def knock(data: bytes) -> None:
    """What the client of OpenSSH says of two certificates over one connection."""
    judged({"its key": "/tmp/x-cert.pub", "its serial": "/tmp/y-cert.pub"}, data.decode("utf-8", "replace"))
