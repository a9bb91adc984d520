"""What access an estate allows to be given at a database or a host, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from state.config_files.findings import refuse
from state.estate.addresses import is_loopback
from state.estate.entry import Entry, Name, Seconds, SecretRef
from state.estate.values import HostPort
from state.granting.model import Bundle

HOUR = 3600.0
MOST = 4 * HOUR
RoleName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class PoolerEntry(Entry):
    """A PgBouncer in front of this cluster, on this machine. `user` is one of its `admin_users` or `stats_users`."""

    address: HostPort
    user: RoleName
    password: SecretRef | None = None

    @field_validator("address")
    @classmethod
    def _here(cls, address: str) -> str:
        if not is_loopback(address.rpartition(":")[0].strip("[]")):
            raise ValueError("a loopback address: what its console tells is not encrypted")
        return address


class AccessEntry(Entry):
    """Grants at this cluster: the bundles that may be given, and how long one lasts unless something else is asked for,
    and at most (seconds).

    `poolers` are asked whose sessions they keep. `schema_owner` is the role that owns the tables which schema-fix is
    for; without one there is no schema-fix. `known` are accounts with raised rights that belong here: others that have
    such rights are shown as nobody's. What the cluster must be prepared with says `recovery db prepare`.
    """

    bundles: tuple[Bundle, ...] = (Bundle.READ_ALL, Bundle.MONITOR, Bundle.TERMINATE, Bundle.CONFIG_RELOAD)
    usual: Seconds = 1800.0
    longest: Annotated[Seconds, Field(ge=60, le=MOST)] = MOST
    schema_owner: RoleName | None = None
    known: tuple[RoleName, ...] = ()
    poolers: Mapping[Name, PoolerEntry] = Field(default_factory=dict)


RAISED_GROUPS = (
    "root", "sudo", "wheel", "admin", "docker", "lxd", "disk", "shadow", "staff", "kmem", "libvirt", "incus-admin",
)  # fmt: skip
"""Whose members can become root."""
PROGRAM = "/usr/local/libexec/recovery-access"
"""Where `recovery host prepare` puts what it makes."""
SCRIPT = ("script", "-q", "-f", "-e", "-a", "-c", "{command}", "{file}")
Words = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...], Field(min_length=1, max_length=40)]
HostGroup = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
UidRange = Annotated[int, Field(ge=60_001, le=2_000_000_000)]
"""Above those of people: useradd gives no subordinate uids there, under which something could go on."""


class AuthorityEntry(Entry):
    """Who signs certificates of SSH keys: `key`, the file of a private key that only this account may read, or
    `command`, which prints one.

    In its words stand `{public}` for a file with the public key, `{serial}`, `{key_id}`, `{principal}`, `{after}` and
    `{before}` (UTC, `20261128170000Z`) and `{command}`, which must be forced. `public` is the file of its public key.
    """

    public: str
    key: str | None = None
    command: Words | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.key is None) == (self.command is None):
            refuse(type(self), [(("key",), self.key, "either key or command, not both and not none")])
        return self


class HostBundle(Entry):
    """What a grant lets its person do on a host: run one `command`, or have a `shell`, with the rights of `groups`.

    `forwarding`: may forward ports. `record` is the host's own tool that a login at a terminal runs under, with
    `{command}` and `{file}` in its words; `script` for the one of util-linux. `elevated`: can become root, so that
    every difference in the host's own files holds the end up until it is resolved or accepted.
    """

    title: Annotated[str, Field(max_length=120)] = ""
    groups: tuple[HostGroup, ...] = ()
    command: Words | None = None
    shell: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]{1,100}$")] = "/bin/sh"
    forwarding: bool = False
    record: Words | None = None
    elevated: bool = False

    @property
    def can_be_root(self) -> bool:
        """Whether its holder can do anything there."""
        return self.elevated or bool({*self.groups} & {*RAISED_GROUPS})

    @property
    def recorder(self) -> tuple[str, ...]:
        """The words of the host's tool, none without one."""
        return SCRIPT if self.record == ("script",) else self.record or ()


class HostAccessEntry(Entry):
    """Grants at this host: who signs, the bundles by name, and how long one lasts (seconds).

    `helper` is how the console calls the program of `recovery host prepare` there; `uids` are those that accounts of
    grants get, each once; `sshd` is the configuration that its sshd reads.
    """

    authority: AuthorityEntry
    bundles: Mapping[Name, HostBundle]
    usual: Seconds = 1800.0
    longest: Annotated[Seconds, Field(ge=60, le=MOST)] = MOST
    helper: Words = (PROGRAM,)
    uids: tuple[UidRange, UidRange] = (70_000, 79_999)
    sshd: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]{1,100}$")] = "/etc/ssh/sshd_config"

    @field_validator("bundles")
    @classmethod
    def _own_names(cls, bundles: Mapping[str, HostBundle]) -> Mapping[str, HostBundle]:
        if same := {*bundles} & {*Bundle}:
            raise ValueError(f"another name than {', '.join(sorted(same))}: that is a bundle of databases")
        return bundles
