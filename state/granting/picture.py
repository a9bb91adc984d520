"""What of a cluster a superuser could leave behind, as a picture that is taken before and after, and compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class PictureKind(StrEnum):
    """What is compared. Each has its own way out."""

    ROLE = "role"
    ROLE_FLAGS = "role-flags"
    PASSWORD = "password"
    VALID_UNTIL = "valid-until"
    MEMBERSHIP = "membership"
    DEAD_GRANTOR = "dead-grantor"
    ROLE_SETTINGS = "role-settings"
    DATABASE_SETTINGS = "database-settings"
    DATABASE = "database"
    TABLESPACE = "tablespace"
    SLOT = "slot"
    ORIGIN = "origin"
    PREPARED = "prepared"
    PARAMETER_RIGHT = "parameter-right"
    AUTO_CONF = "auto-conf"
    CONF = "conf"
    PRELOAD = "preload"
    COMMAND = "command"
    HBA = "hba"
    IDENT = "ident"
    WORKER = "worker"
    SUBSCRIPTION = "subscription"
    PUBLICATION = "publication"
    DEFINER = "definer"
    NATIVE_FUNCTION = "native-function"
    FUNCTION = "function"
    SYSTEM_FUNCTION = "system-function"
    SYSTEM_CATALOGUE = "system-catalogue"
    OWN_FUNCTION = "own-function"
    FUNCTION_RIGHT = "function-right"
    EVENT_TRIGGER = "event-trigger"
    LANGUAGE = "language"
    EXTENSION = "extension"
    WRAPPER = "wrapper"
    FOREIGN_SERVER = "foreign-server"
    USER_MAPPING = "user-mapping"
    DEFAULTS = "default-privileges"
    SCHEMA = "schema"
    OWNERSHIP = "ownership"
    COLUMNS = "columns"
    RELATION = "relation"
    INDEX = "index"
    CONSTRAINT = "constraint"
    TYPE = "type"
    OPERATOR = "operator"
    ACCESS_METHOD = "access-method"
    TEXT_SEARCH = "text-search"
    OTHER_OBJECT = "other-object"
    TABLE_RIGHT = "table-right"
    COLUMN_RIGHT = "column-right"
    ROW_SECURITY = "row-security"
    POLICY = "policy"
    TRIGGER = "trigger"
    RULE = "rule"
    VIEW = "view"
    CAST = "cast"
    LARGE_OBJECT = "large-object"
    JOB = "job"
    LABEL = "label"
    UNREAD = "unread"
    TOO_MANY = "too-many"


WAYS_OUT: dict[PictureKind, str] = {
    PictureKind.ROLE: "drop owned by ROLE; drop role ROLE, and end its sessions; a role that is gone: create it again",
    PictureKind.ROLE_FLAGS: "alter role ROLE nosuperuser nocreaterole nocreatedb noreplication nobypassrls, as it was",
    PictureKind.PASSWORD: "alter role ROLE password with a new one: the old one may be known",
    PictureKind.VALID_UNTIL: "alter role ROLE valid until, as it was",
    PictureKind.MEMBERSHIP: "revoke ROLE from MEMBER, or grant it again; end the member's sessions",
    PictureKind.DEAD_GRANTOR: "as a superuser: revoke ROLE from MEMBER granted by whom it names; else drop MEMBER",
    PictureKind.ROLE_SETTINGS: "alter role ROLE reset SETTING",
    PictureKind.DATABASE_SETTINGS: "alter database NAME reset SETTING, or alter role ROLE in database NAME reset",
    PictureKind.DATABASE: "look into it; drop database NAME, or its owner, rights and connections as they were",
    PictureKind.TABLESPACE: "drop tablespace NAME, then look at its folder on the host",
    PictureKind.SLOT: "select pg_drop_replication_slot('NAME'): whoever has it reads all changes",
    PictureKind.ORIGIN: "select pg_replication_origin_drop('NAME')",
    PictureKind.PREPARED: "rollback prepared 'GID' in its database",
    PictureKind.PARAMETER_RIGHT: "revoke set, alter system on parameter NAME from ROLE",
    PictureKind.AUTO_CONF: "alter system reset NAME; select pg_reload_conf()",
    PictureKind.CONF: "compare the file with the one of your configuration management, then reload",
    PictureKind.PRELOAD: "alter system reset NAME, look at the library on the host, restart the server",
    PictureKind.COMMAND: "alter system reset NAME and reload: the server runs this program",
    PictureKind.HBA: "take the line out of pg_hba.conf, then select pg_reload_conf()",
    PictureKind.IDENT: "take the line out of pg_ident.conf, then select pg_reload_conf()",
    PictureKind.WORKER: "find what started it (extension, preload, subscription); end it or restart the server",
    PictureKind.SUBSCRIPTION: "drop subscription NAME",
    PictureKind.PUBLICATION: "drop publication NAME",
    PictureKind.DEFINER: "read it; drop function NAME: it runs with the rights of its owner",
    PictureKind.NATIVE_FUNCTION: "drop function NAME: it runs outside the language's limits, as the server's account",
    PictureKind.FUNCTION: "read it, and put back what it was from your migrations",
    PictureKind.SYSTEM_FUNCTION: "the catalogue itself was changed: restore the cluster as it was before",
    PictureKind.SYSTEM_CATALOGUE: "what came with the server was changed: restore the cluster as it was before",
    PictureKind.OWN_FUNCTION: "recovery db prepare: until then do not believe what it tells of grants",
    PictureKind.FUNCTION_RIGHT: "revoke execute on function NAME, as it was",
    PictureKind.EVENT_TRIGGER: "drop event trigger NAME: it runs as whoever changes or logs in, superusers too",
    PictureKind.LANGUAGE: "drop language NAME",
    PictureKind.EXTENSION: "drop extension NAME",
    PictureKind.WRAPPER: "drop foreign data wrapper NAME",
    PictureKind.FOREIGN_SERVER: "drop server NAME: it leads to another place, with what is mapped to it",
    PictureKind.USER_MAPPING: "drop user mapping for ROLE server NAME",
    PictureKind.DEFAULTS: "alter default privileges for role ROLE revoke …, as it was",
    PictureKind.SCHEMA: "its owner and rights as they were, or drop schema NAME",
    PictureKind.OWNERSHIP: "alter table NAME owner to …, as it was; what is new: keep or drop it",
    PictureKind.COLUMNS: "columns, their defaults and what they are computed from: put back what your migrations say",
    PictureKind.RELATION: "options, storage and parents of NAME: put back what your migrations say",
    PictureKind.INDEX: "drop index NAME, or make it again from your migrations: what it computes runs as others write",
    PictureKind.CONSTRAINT: "alter table TABLE drop constraint NAME, or add it again from your migrations",
    PictureKind.TYPE: "read it; drop type NAME, or put back what your migrations say",
    PictureKind.OPERATOR: "drop it, or make it again from your migrations: it runs as whoever uses it",
    PictureKind.ACCESS_METHOD: "drop access method NAME",
    PictureKind.TEXT_SEARCH: "drop it, or put back what your migrations say",
    PictureKind.OTHER_OBJECT: "drop it, or put back what your migrations say",
    PictureKind.TABLE_RIGHT: "revoke … on NAME, as it was",
    PictureKind.COLUMN_RIGHT: "revoke … (COLUMN) on NAME, as it was",
    PictureKind.ROW_SECURITY: "alter table NAME enable or disable row level security, as it was",
    PictureKind.POLICY: "drop policy NAME on TABLE, or make it again as it was",
    PictureKind.TRIGGER: "drop trigger NAME on TABLE, or alter table enable trigger NAME",
    PictureKind.RULE: "drop rule NAME on TABLE",
    PictureKind.VIEW: "read it, and put back what it was from your migrations",
    PictureKind.CAST: "drop cast (A as B)",
    PictureKind.LARGE_OBJECT: "select lo_unlink(OID), or its owner as it was",
    PictureKind.JOB: "select cron.unschedule(ID): it runs whether or not anybody is logged in",
    PictureKind.LABEL: "security label … is null",
    PictureKind.UNREAD: "have it read (recovery db prepare, connections), or look there by hand",
    PictureKind.TOO_MANY: "compare these by hand, with a dump of the schema from before",
}

NOT_SEEN = (
    "files and programs of the host (COPY … TO PROGRAM, untrusted languages)",
    "data that was read or copied",
    "programs that run in the server without a connection to a database",
    "other hosts that were reached from there",
    "sessions of other superusers, through which it may go on",
)
"""What no picture shows; said on the card before such a grant."""
MOST = 20_000
"""So many things of one kind and database are compared; of more it is said that there are too many."""
NEW, CHANGED, GONE, NOT_COMPARED = "new", "changed", "gone", "not compared"
PART = 1500
"""Things in one entry of the journal."""


@dataclass(frozen=True, slots=True, order=True)
class PictureItem:
    """One thing as it was: `digest` says nothing of its content but whether it is another one."""

    kind: PictureKind
    database: str
    thing: str
    digest: str

    @property
    def line(self) -> str:
        """As the journal has it."""
        return "\t".join((self.kind.value, self.database, self.thing, self.digest))

    @staticmethod
    def of(line: str) -> PictureItem:
        """The item of a line. Raises ValueError for another text."""
        kind, database, thing, digest = line.split("\t")
        return PictureItem(PictureKind(kind), database, thing, digest)


@dataclass(frozen=True, slots=True)
class PictureDifference:
    """What is not as it was: `change` is one of `new`, `changed`, `gone` and `not compared`."""

    kind: PictureKind
    database: str
    thing: str
    change: str

    @property
    def told(self) -> str:
        """In one line, without the way out."""
        return f"{self.kind.value} in {self.database}: {self.thing} ({self.change})"

    @property
    def way_out(self) -> str:
        """What an administrator does."""
        return WAYS_OUT[self.kind]


FOLLOWS = frozenset({PictureKind.ROLE_FLAGS, PictureKind.PASSWORD, PictureKind.VALID_UNTIL})
"""Of a role that is new or gone these say nothing more."""
PARTS = frozenset({PictureKind.COLUMNS, PictureKind.RELATION, PictureKind.INDEX, PictureKind.CONSTRAINT})
"""Nor these of a table that is."""
HBA_ORDER = "order of its lines"
"""Told where no line is new, changed or gone: the first line that fits decides."""


def differences(before: Collection[PictureItem], after: Collection[PictureItem]) -> Sequence[PictureDifference]:
    """What differs, in the order of kinds; what is in a database that is new or gone is told with it alone. What could
    not be read is no less told when it could not be read before either."""
    old, new = _by_key(before), _by_key(after)
    found = [
        PictureDifference(kind, database, thing, _change(old.get(key), new.get(key)))
        for key in sorted(old.keys() | new.keys())
        for kind, database, thing in (key,)
        if old.get(key) != new.get(key) or (kind is PictureKind.UNREAD and not new[key])
    ]
    whole = {(each.kind, each.thing) for each in found if each.change in (NEW, GONE)}
    unread = {each.database for each in found if each.kind is PictureKind.UNREAD}
    lines = {each.thing for each in found if each.kind is PictureKind.HBA} - {HBA_ORDER}
    return [
        each
        for each in found
        if not (each.kind in FOLLOWS and (PictureKind.ROLE, each.thing) in whole)
        and not (each.kind in PARTS and (PictureKind.OWNERSHIP, each.thing.rpartition(" on ")[2]) in whole)
        and not (each.kind is PictureKind.HBA and each.thing == HBA_ORDER and lines)
        and (PictureKind.DATABASE, each.database) not in whole
        and (each.database not in unread or each.kind is PictureKind.UNREAD)
    ]


def _change(old: str | None, new: str | None) -> str:
    if old == new:
        return NOT_COMPARED
    return NEW if old is None else GONE if new is None else CHANGED


def _by_key(items: Collection[PictureItem]) -> Mapping[tuple[PictureKind, str, str], str]:
    return {(each.kind, each.database, each.thing): each.digest for each in items}
