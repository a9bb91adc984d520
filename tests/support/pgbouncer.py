"""A real PgBouncer in front of a server, which asks it for the verifiers of its users."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.access.pgbouncer import PgBouncer
from adapters.secrets import Secret
from state.granting.scram import verifier
from tests.contract.components import Pair, listens, wait_for
from tests.support.ports import free_port

PROGRAM = "/usr/sbin/pgbouncer"
ADMIN_SECRET, LOOKUP_SECRET = "of-the-console", "of-the-lookup"
LOOKUP = f"""
create role pgbouncer login password '{LOOKUP_SECRET}';
create function public.lookup(name text) returns table (usename name, passwd text) language sql security definer
  set search_path = pg_catalog as $f$ select rolname, rolpassword from pg_authid where rolname = name $f$;
revoke all on function public.lookup(text) from public; grant execute on function public.lookup(text) to pgbouncer
"""
"""As many have it: the verifier is looked up, without a look at VALID UNTIL or NOLOGIN."""


@dataclass
class RunningPooler:
    """A pooler that runs."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def adapter(self) -> PgBouncer:
        """As an estate names it."""
        return PgBouncer("front", "127.0.0.1", self.port, "boss", Secret(ADMIN_SECRET))


@contextmanager
def running_pooler(
    pair: Pair, mode: str = "session", entry: str = "", auth: str = "scram-sha-256", shared: int = 0
) -> Iterator[RunningPooler]:
    """In front of the primary; `entry` is more of its entry of the database; `shared`: the port that it shares with
    other processes of it."""
    folder, port = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp")), shared or free_port()
    server = f"host=127.0.0.1 port={pair.primary}"
    secrets = {"boss": ADMIN_SECRET, "pgbouncer": LOOKUP_SECRET}
    users = "".join(f'"{name}" "{secret if name == "pgbouncer" or auth == "md5" else verifier(secret)}"\n'
                    for name, secret in secrets.items())  # fmt: skip
    (folder / "users.txt").write_text(users)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\npostgres = {server} {entry}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = {auth}\nauth_file = {folder}/users.txt\nauth_user = pgbouncer\n"
        "auth_query = select usename, passwd from public.lookup($1)\nadmin_users = boss\n"
        f"pool_mode = {mode}\nserver_login_retry = 15\nignore_startup_parameters = extra_float_digits\n"
        f"logfile = {folder}/log\npidfile =\nso_reuseport = {int(bool(shared))}\n"
    )
    argv = [PROGRAM, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody").pw_uid
        for path in (folder, *folder.iterdir()):
            os.chown(path, nobody, -1)
        argv = [PROGRAM, "-u", "nobody", str(folder / "pgbouncer.ini")]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port))
        yield RunningPooler(port, folder, process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
