"""`recovery host prepare`: what an administrator runs once on a host that shall take grants, as one readable script."""

from __future__ import annotations

import base64
import io
import json
import shlex
import textwrap
import zipfile
from pathlib import Path
from typing import Any

from adapters.access.authority import Authority
from state.config_files.suggestions import not_found
from state.errors import EffectRefused, Refused
from state.estate.access import PROGRAM, HostAccessEntry
from state.estate.model import Estate
from state.host.regular import bounded

ROOT = Path(__file__).parents[2]
PARTS = ("__init__", "acts", "doorkeeper", "ending", "leftovers", "main", "running", "seeing", "store", "watched")
SOURCES = (
    "state/__init__.py", "state/host/__init__.py", "state/host/regular.py", "adapters/__init__.py",
    "adapters/access/__init__.py", *(f"adapters/access/on_host/{name}.py" for name in PARTS),
)  # fmt: skip
"""What the program on a host consists of."""
MAIN = b"import sys\n\nfrom adapters.access.on_host.main import main\n\nsys.exit(main(sys.argv[1:]))\n"
PREFIX = "bg_"
AUTHORITY, REVOKED = "/etc/ssh/recovery_ca.pub", "/etc/ssh/recovery_revoked"
LARGEST = 1 << 20
SCRIPT = """\
#!/bin/sh
# {estate}, host {host}: run as root; it may be run again, also after an update of the console.
# It puts {program} here (Python 3.9 or newer; `unzip -l` shows what it is), tells sshd to ask it about the accounts
# {prefix}* and about no other one, and has it look each minute for what should be over.
set -eu
umask 022
others=$(getent passwd | awk -F: '$1 ~ /^{prefix}/ && ($3 < {lowest} || $3 > {highest}) {{ print $1 }}')
if test -n "$others"; then
  echo "no grant made these accounts, and this would lock them out: $others. Rename them first" >&2
  exit 1
fi
mkdir -p /usr/local/libexec /etc/ssh/sshd_config.d
base64 -d > {program}.new <<'END-OF-PROGRAM'
{code}
END-OF-PROGRAM
chmod 0755 {program}.new
mv {program}.new {program}
cat > /etc/recovery-access.json <<'END-OF-SETTINGS'
{settings}
END-OF-SETTINGS
cat > {authority} <<'END-OF-KEY'
{public}
END-OF-KEY
test -s {revoked} || ssh-keygen -q -k -f {revoked} -s {authority} /dev/null
chmod 0644 {revoked} {authority} /etc/recovery-access.json
rm -f {folder}/recovery-access.conf
cat > {snippet} <<'END-OF-SSHD'
{sshd}
END-OF-SSHD
if ! grep -Eqi '^[[:space:]]*Include[[:space:]]+{folder}/([*]|00-recovery)' {config}; then
  cp -p {config} {config}.new
  printf '%s\\n' 'Include {snippet}' | cat - {config} > {config}.new
  mv {config}.new {config}
fi
if test -d /run/systemd/system; then
  printf '[Service]\\nType=oneshot\\nKillMode=process\\nExecStart={program} sweep\\n' \\
    > /etc/systemd/system/recovery-access.service
  printf '[Timer]\\nOnBootSec=15\\nOnUnitActiveSec=60\\n[Install]\\nWantedBy=timers.target\\n' \\
    > /etc/systemd/system/recovery-access.timer
  systemctl daemon-reload
  systemctl enable --now recovery-access.timer
elif test -d /etc/cron.d; then
  printf '* * * * * root {program} sweep >/dev/null\\n' > /etc/cron.d/recovery-access
fi
"$(command -v sshd || echo /usr/sbin/sshd)" -t -f {config}
if test -d /run/systemd/system; then
  systemctl try-reload-or-restart ssh 2>/dev/null || systemctl try-reload-or-restart sshd
else test ! -s {pid} || kill -HUP "$(cat {pid})"; fi
{program} where
"""
SSHD = """\
# Certificates of {authority} let in accounts {prefix}* and nobody else; keys and passwords do not.
Match User {prefix}*
    TrustedUserCAKeys {authority}
    RevokedKeys {revoked}
    AuthorizedPrincipalsCommand {program} principals %u
    AuthorizedPrincipalsCommandUser nobody
    AuthorizedPrincipalsFile none
    AuthorizedKeysFile none
    AuthorizedKeysCommand none
    PubkeyAuthentication yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    GSSAPIAuthentication no
    HostbasedAuthentication no
    PermitUserRC no
    ForceCommand {program} session
    PermitTunnel no
    X11Forwarding no
    AllowAgentForwarding no
"""


class PreparingHost:
    """One host of the estate. Raises NotFound and Refused when it cannot be prepared for grants, and ConfigError."""

    def __init__(self, estate: Estate, base: Path, name: str) -> None:
        if name not in estate.hosts:
            raise not_found("host", name, estate.hosts)
        found = estate.hosts[name].access
        if found is None:
            fact = f"the estate does not allow access at {name}"
            raise Refused("access-allowed", fact, f"Add hosts.{name}.access, then call this again")
        self.name, self._estate, self._entry = name, estate.estate, found
        self._authority = Authority(found.authority, base)

    def script(self) -> str:
        """The whole of it. Raises Refused where the authority's public key cannot be read."""
        try:
            public = self._authority.public()
        except EffectRefused as error:
            raise Refused("authority", error.message, f"Look at hosts.{self.name}.access.authority.public") from error
        places = {
            "program": PROGRAM, "authority": AUTHORITY, "revoked": REVOKED, "prefix": PREFIX, "estate": self._estate,
            "host": self.name, "config": self._entry.sshd, "folder": "/etc/ssh/sshd_config.d", "public": public,
            "snippet": "/etc/ssh/sshd_config.d/00-recovery-access.conf", "pid": "/run/sshd.pid",
            "lowest": self._entry.uids[0], "highest": self._entry.uids[1],
        }  # fmt: skip
        code = "\n".join(textwrap.wrap(base64.b64encode(host_program()).decode(), 120))
        settings = json.dumps(host_settings(self._entry), indent=1)
        sshd = SSHD.format_map(places).rstrip("\n")
        return SCRIPT.format_map({**places, "code": code, "settings": settings, "sshd": sshd})


def host_settings(entry: HostAccessEntry) -> dict[str, Any]:
    """What the program on the host may do at most, whatever it is asked for."""
    return {
        "authority": AUTHORITY,
        "revoked": REVOKED,
        "program": PROGRAM,
        "prefix": PREFIX,
        "sshd": entry.sshd,
        "uids": list(entry.uids),
        "longest": round(entry.longest),
        "bundles": {
            name: {
                "title": each.title or (shlex.join(each.command) if each.command else ", ".join(each.groups) or name),
                "groups": list(each.groups),
                "command": list(each.command or ()),
                "shell": each.shell,
                "record": list(each.recorder),
                "elevated": each.can_be_root,
            }
            for name, each in entry.bundles.items()
        },
    }


def host_program() -> bytes:
    """The program as one file; the same bytes each time."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name in SOURCES:
            made.writestr(zipfile.ZipInfo(name), bounded(ROOT / name, LARGEST))
        made.writestr(zipfile.ZipInfo("__main__.py"), MAIN)
    return b"#!/usr/bin/python3 -I\n" + held.getvalue()
