"""Secrets: where they are read from, and a type that does not reveal them by accident."""

from __future__ import annotations

import ctypes
import hmac
import os
import stat
from pathlib import Path
from typing import NoReturn

from adapters.confined.run import run_confined
from adapters.files.programs import program_of
from state.errors import ConfigError, Problem
from state.estate.model import SecretRef
from state.host.regular import opened
from state.host.trust import require_ours

COMMAND_SECONDS = 5.0
GROUP_READS = stat.S_IRGRP
OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
MAX_BYTES = 64 * 1024


class Secret:
    """A secret in memory. Shown as `***` everywhere; only `reveal` returns it, for the call that must send it.

    It cannot be pickled, hashed or turned into JSON, and comparing always takes the same time.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Never keep the result in an attribute, a message or a log record."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def _refused(place: str, value: str, expected: str) -> ConfigError:
    return ConfigError((Problem(place, 0, 0, value, expected),))


def _from_file(name: str, base: Path) -> str:
    path = base / name
    require_ours(path)
    try:
        with opened(path) as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_BYTES + 1) or b""  # nothing also where a file of the kernel would be waited for
    except OSError as error:
        raise _refused(str(path), error.strerror or "unreadable", "a readable secret file") from error
    _require_private(path, status)
    return _text(content, str(path))


def require_private(path: Path) -> None:
    """Raise ConfigError unless a file is this account's or root's alone."""
    require_ours(path)
    try:
        _require_private(path, path.stat())
    except OSError as error:
        raise _refused(str(path), error.strerror or "unreadable", "a readable secret file") from error


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(str(path), "not a regular file", "a regular file")
    if status.st_mode & (OPEN_TO_OTHERS & ~GROUP_READS if _is_credential(path) else OPEN_TO_OTHERS):
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
        raise _refused(str(path), mode, "mode 0600 or stricter, no rights for group and others")


def _is_credential(path: Path) -> bool:
    """Whether systemd passed this file with LoadCredential=.

    It gives the account access by an ACL, whose mask shows as a right of the group; only this unit enters the folder.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.resolve().parent == Path(folder).resolve()


def _text(content: bytes, place: str) -> str:
    """The secret in a file's or a command's output: one trailing line end is not part of it."""
    if len(content) > MAX_BYTES:
        raise _refused(place, "more than 64 KiB", "a secret")
    try:
        text = content.decode()
    except UnicodeDecodeError:  # the error contains the secret
        raise _refused(place, "bytes that are not UTF-8", "text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _refused(place, "nothing", "a secret")
    if any(sign in text for sign in "\r\n\0"):  # in a header, a line end would begin another header
        raise _refused(place, "several lines", "a secret in one line")
    return text


def _overwrite(variable: str) -> None:
    """Overwrite a variable in this process's memory: the kernel shows that (`/proc/PID/environ`), and programs that
    are started inherit it. `os.environ` has a copy of its own, for a reload."""
    libc = ctypes.CDLL(None)
    libc.getenv.argtypes, libc.getenv.restype = (ctypes.c_char_p,), ctypes.c_void_p
    at = libc.getenv(os.fsencode(variable))
    if at:
        ctypes.memset(at, ord("*"), len(ctypes.string_at(at)))


def _from_command(argv: tuple[str, ...], base: Path) -> str:
    place = f"command {argv[0]}"
    program = program_of(argv[0], base)
    try:
        done = run_confined(program, argv, base, seconds=COMMAND_SECONDS, most=MAX_BYTES)
    except OSError as error:
        raise _refused(place, error.strerror or "not started", "a command that can be started") from error
    if done.code is None and len(done.output) <= MAX_BYTES:
        raise _refused(place, f"still running after {COMMAND_SECONDS:g} s", "a secret on its output")
    if done.code and len(done.output) <= MAX_BYTES:
        raise _refused(place, f"exit code {done.code}", "exit code 0")
    return _text(done.output, place)


def resolve(ref: SecretRef, base: Path) -> Secret:
    """Read the secret once; relative files and commands start at `base`, the folder of the estate file.

    A file must belong to this account or root and give no rights to group and others (systemd's credentials may show
    that the group reads); a command runs without a shell, with few variables of the environment, and has 5 s. Raises
    ConfigError naming the place and what is wrong with it, never the content. Blocks: call it before the event loop
    runs or in a thread.
    """
    used = [name for name in ("file", "env", "command") if getattr(ref, name) is not None]
    if len(used) != 1:
        raise _refused("secret", " and ".join(used) or "nothing", "exactly one of file, env, command")
    if ref.file is not None:
        return Secret(_from_file(ref.file, base))
    if ref.env is not None:
        place = f"environment variable {ref.env}"
        value = os.fsencode(os.environ.get(ref.env, ""))
        _overwrite(ref.env)
        return Secret(_text(value, place))
    if not ref.command:
        raise _refused("secret command", "nothing", "a command and its arguments")
    return Secret(_from_command(ref.command, base))
