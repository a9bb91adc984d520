"""Where the program starts: `recovery` is `recovery_console:main`.

The packages have common names, and a folder of `PYTHONPATH` may have a `state` or `console` of its own. This module has
a name that nothing else has, and looks where the others come from before it imports one of them.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

PACKAGES = ("console", "adapters", "state")
TLS_SETTINGS = (
    "SSLKEYLOGFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
)
USAGE = 2  # `state.errors.ExitCode.USAGE`, which cannot be imported yet


def main() -> None:
    """Run one verb and exit with its code; with 2 where a package of another program stands before ours."""
    leave_current_folder()
    leave_tls_settings()
    if line := foreign(os.path.dirname(os.path.abspath(__file__))):
        sys.stderr.write(f"{line}\n")
        sys.exit(USAGE)
    from console.cli import main as run

    run()


def leave_current_folder() -> None:
    """Look for code and programs nowhere in the current folder, here and in all that is started from here.

    What `PYTHONPATH` and `PATH` name by no absolute path would be another program wherever this is typed. Python has
    made such pieces absolute before this runs.
    """
    pieces = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    relative = {os.path.abspath(piece or ".") for piece in pieces if not os.path.isabs(piece)}
    sys.path[:] = [each for each in sys.path if os.path.isabs(each) and os.path.abspath(each) not in relative]
    for name in ("PATH", "PYTHONPATH"):
        if name in os.environ:
            os.environ[name] = os.pathsep.join(filter(os.path.isabs, os.environ[name].split(os.pathsep)))


def leave_tls_settings() -> None:
    """Whom TLS believes and what it writes down is said by the estate alone, here and in all that is started from here.

    OpenSSL and Python obey these variables without a word: keys of every connection in a file, authorities and code of
    whoever set them.
    """
    for name in TLS_SETTINGS:
        os.environ.pop(name, None)


def foreign(home: str) -> str:
    """The line that says which package would be imported from elsewhere than `home`, or nothing."""
    for name in PACKAGES:
        found = PathFinder.find_spec(name)
        places = [] if found is None else list(found.submodule_search_locations or [str(found.origin)])
        own = os.path.join(home, name)
        if not any(os.path.realpath(place) == os.path.realpath(own) for place in places):
            seen = ascii(places[0]) if places else "nowhere"
            way = (
                "unset PYTHONPATH"
                if os.environ.get("PYTHONPATH")
                else "install it apart: pipx install recovery-console"
            )
            return f"recovery: Installation: its package {name} is found at {seen}, not at {own!a}; {way}"
    return ""
