"""A host of its own for a test: sshd with accounts, files and processes that nobody else on this machine sees.

It has namespaces for mounts and processes, so that accounts can be made and everything of one be ended there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.access.preparing_host import PreparingHost
from state.estate.access import AuthorityEntry, HostAccessEntry, HostBundle
from state.estate.hosts import SshHost
from state.estate.model import Estate, Site
from tests.support.ports import free_port
from tests.support.sshd import _key, _until_it_listens

BUNDLES = {
    "shell": {"shell": "/bin/bash"},
    "ports": {"forwarding": True, "shell": "/bin/bash"},
    "uptime": {"command": ["/usr/bin/uptime"]},
    "watched": {"record": ["script"], "shell": "/bin/bash"},
    "everything": {"groups": ["sudo"], "shell": "/bin/bash"},
    "games": {"groups": ["games"], "shell": "/bin/bash"},
}
UIDS = (61_000, 61_999)
OWN = ("/run", "/tmp", "/var/tmp", "/dev/shm", "/home", "/root", "/usr/local", "/opt", "/srv", "/var/lib/systemd",
       "/var/spool", "/var/log")  # fmt: skip
BOOT = """\
set -e
mount -t tmpfs none /mnt
cp -a /etc /mnt/etc
mount --bind /mnt/etc /etc
rm -rf /etc/ssh
mkdir /etc/ssh
cp {folder}/host_key /etc/ssh/key
chmod 0600 /etc/ssh/key
cp {folder}/client_key.pub /etc/ssh/console_keys
cp {folder}/prepare.sh /etc/prepare.sh
mkdir /etc/ssh/sshd_config.d
cp {folder}/site.conf /etc/ssh/sshd_config.d/00-site.conf
{mounts}
mkdir -p /run/sshd /var/lib/recovery-access /var/spool/cron/crontabs /var/spool/cron/atjobs /var/lib/systemd/linger
mount -t tmpfs none /var/lib/recovery-access
chmod 1777 /tmp /var/tmp /dev/shm
chmod 0755 /run /usr/local /opt /srv /home /var/lib/systemd /var/spool /var/log /var/lib/recovery-access
sed -i '/^bg_/d' /etc/passwd /etc/group /etc/shadow
cat > /etc/ssh/sshd_config <<'END'
Include /etc/ssh/sshd_config.d/*.conf
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/ssh/key
AuthorizedKeysFile /etc/ssh/console_keys .ssh/authorized_keys
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
MaxSessions 50
LogLevel VERBOSE
END
sh /etc/prepare.sh >&2
/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config &
wait
"""


@dataclass(frozen=True, slots=True)
class HostSite:
    """A running host: its folder has `ca`, `client_key`, `known_hosts` and sshd's `log`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def entry(self) -> HostAccessEntry:
        """What an estate allows there."""
        return HostAccessEntry(
            authority=AuthorityEntry(key=str(self.folder / "ca"), public=str(self.folder / "ca.pub")),
            bundles={name: HostBundle(**each) for name, each in BUNDLES.items()},
            uids=UIDS,
        )

    @property
    def host(self) -> SshHost:
        """How the product reaches it."""
        return SshHost(
            address="127.0.0.1",
            port=self.port,
            user="root",
            identity=str(self.folder / "client_key"),
            known_hosts=str(self.folder / "known_hosts"),
            access=self.entry,
        )

    @property
    def tree(self) -> dict[str, Any]:
        """The entry of an estate's file."""
        plain: dict[str, Any] = self.host.model_dump(mode="json", exclude_defaults=True)
        return plain

    def inside(self, *words: str, text: str = "", check: bool = True) -> str:
        """Run a command there, as root; what it prints."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._init()), "-m", "-p", *words], input=text, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _init(self) -> int:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True)
        return int(found.stdout.split()[0])

    def log(self) -> str:
        """What sshd said so far."""
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def host_site(folder: Path, name: str = "web1", site_config: str = "") -> Iterator[HostSite]:
    """A prepared host while the context lasts, in an empty folder. `site_config`: what its sshd is told besides."""
    (folder / "site.conf").write_text(f"{site_config}\n")
    port = free_port()
    for key in ("host_key", "client_key", "ca"):
        _key(folder / key)
    kind, key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    site = HostSite(folder, port, subprocess.Popen(["true"]))
    site.process.wait()
    estate = Estate(estate="hosted", environment="lab", sites={"east": Site()}, hosts={name: site.host})
    (folder / "prepare.sh").write_text(PreparingHost(estate, folder, name).script())
    mounts = "\n".join(f"mount -t tmpfs none {each}" for each in OWN if Path(each).is_dir())
    boot = BOOT.format(folder=folder, port=port, mounts=mounts)
    namespaces = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [shutil.which("unshare") or "unshare", *mapped, *namespaces, "--", "/bin/sh", "-c", boot],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    site = HostSite(folder, port, process)
    try:
        _until_it_listens(site)  # type: ignore[arg-type]
        yield site
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def move_end(site: HostSite, uid: int, seconds: float) -> None:
    """From now on the grant ends then, by the host's own clock."""
    code = (
        "import json,sys,time; p=f'/var/lib/recovery-access/grants/{sys.argv[1]}.json'; m=json.load(open(p)); "
        "m['ends']=time.time()+float(sys.argv[2]); json.dump(m,open(p,'w'))"
    )
    site.inside("python3", "-c", code, str(uid), str(seconds))
