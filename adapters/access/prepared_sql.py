"""The SQL with which a cluster is prepared for grants, per major version (15 to 18).

The account that acts gets EXECUTE on functions and nothing else: each runs with the rights of `recovery_owner`, which
nobody can log in as, has a fixed search path, knows the bundles by name, and touches only roles that carry the mark of
a grant. Nobody but `recovery_owner` can take the lock that the functions take turns with.

Sources: PostgreSQL manual, "CREATE FUNCTION" (Writing SECURITY DEFINER Functions Safely), "Role Membership",
"Predefined Roles", "DROP OWNED", "REASSIGN OWNED".
"""

from __future__ import annotations

from adapters.access.picture_sql import SUPER, tier_sql
from adapters.access.prepared_ends import CLEANER, REAPER
from adapters.access.prepared_functions import FUNCTIONS, HEAD
from adapters.access.prepared_powers import POWERS
from state.granting.model import Bundle

SCHEMA, OWNER, ORPHANS = "recovery_access", "recovery_owner", "recovery_orphans"
RELOADERS, ENDERS = "recovery_config_reload", "recovery_terminate"
MAJORS = (15, 16, 17, 18)
VERSION = 1
"""Of these functions; `recovery_access.version()` tells which a database has."""
BUNDLES: dict[Bundle, str] = {
    Bundle.READ_ALL: "pg_read_all_data",
    Bundle.MONITOR: "pg_monitor",
    Bundle.TERMINATE: ENDERS,
    Bundle.CONFIG_RELOAD: RELOADERS,
}
"""The role whose rights a bundle gives; schema-fix gives those of the role that the estate names."""

ADOPT = """
do $$ declare s text; begin
  for s in select nspname from pg_catalog.pg_namespace where nspname !~ '^pg_'
      and nspname not in ('information_schema', 'recovery_access') loop
    execute pg_catalog.format('grant usage, create on schema %I to recovery_orphans', s);
  end loop;
end $$;"""
"""Without it nothing in these schemas can be handed over; nobody can log in as that role or become it."""


FIRST = """
set search_path = pg_catalog, pg_temp;
do $$ begin
  if exists (select from pg_namespace as n join pg_roles as r on r.oid = n.nspowner
      where n.nspname = 'recovery_access' and r.rolname <> 'recovery_owner')
    or exists (select from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace join pg_roles as r
      on r.oid = p.proowner where n.nspname = 'recovery_access' and not r.rolsuper
        and r.rolname <> 'recovery_owner') then
    raise 'schema recovery_access here, or something in it, belongs to somebody else: look at it, and drop it first';
  end if;
end $$;"""
"""Whoever owns the database could have operators of his found before those of the server, which would run with the
rights of the superuser who prepares; or have made the schema before, to put functions of his into it."""


def quoted(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string of SQL."""
    return "'" + text.replace("'", "''") + "'"


def prepare_sql(
    major: int, *, act: str, read: str, longest: int, schema_owner: str | None = None, superuser: bool = False
) -> str:
    """What an administrator runs once in each database of the cluster; it may be run again.

    `act` and `read` are the accounts of the estate, `longest` the most seconds of a grant, `schema_owner` the role that
    owns the tables which schema-fix is for; `superuser`: the estate allows that tier. Raises ValueError for a
    major version that this is not written for.
    """
    if major not in MAJORS:
        raise ValueError(f"PostgreSQL {major} is not one of {', '.join(map(str, MAJORS))}")
    parts = [_roles(major, act, read, schema_owner), _functions(longest, schema_owner, superuser), _rights(act)]
    return "\n".join([*parts, *([tier_sql(quoted(act))] if superuser else []), "reset search_path;"])


def printed(sql: str) -> str:
    """The same for an administrator's own program: done as a whole, or nothing of it where a part is refused."""
    return f"begin;\n{sql}\ncommit;"


def _roles(major: int, act: str, read: str, schema_owner: str | None) -> str:
    admin = " with admin option" if major >= 16 else ""
    lent = ["pg_read_all_data", RELOADERS, ENDERS, *([schema_owner] if schema_owner else [])]
    lines = [
        f"-- PostgreSQL {major}: run as a superuser, in every database of the cluster, in one transaction",
        FIRST,
        *(_role(name, "nologin") for name in (OWNER, ORPHANS, RELOADERS, ENDERS)),
        *(_role(name, "login") for name in dict.fromkeys((read, act))),
        f"alter role {OWNER} nologin createrole nosuperuser;",
        f"alter role {ORPHANS} nologin nosuperuser nocreaterole nocreatedb;",
        f"grant pg_monitor to {quoted(read)};",
        f"grant pg_monitor to {OWNER}{admin};",
        f"grant pg_signal_backend to {OWNER};",
        f"grant {ORPHANS} to {OWNER};",
        *(f"grant {quoted(name)} to {OWNER}{admin};" for name in lent if major >= 16),
    ]
    if major >= 16:  # a seat when all others are taken, where reserved_connections has any
        lines += [f"grant pg_use_reserved_connections to {quoted(name)};" for name in dict.fromkeys((read, act))]
    return "\n".join(lines)


def _role(name: str, login: str) -> str:
    return (
        f"do $$ begin if not exists (select from pg_catalog.pg_roles where rolname = {literal(name)}) then "
        f"create role {quoted(name)} {login}; end if; end $$;"
    )


def _functions(longest: int, schema_owner: str | None, superuser: bool) -> str:
    given = {each.value: role for each, role in BUNDLES.items()}
    if schema_owner:
        given[Bundle.SCHEMA_FIX.value] = schema_owner
    lent = [*given.values()]
    if superuser:
        given[Bundle.SUPERUSER.value] = SUPER
    cases = " ".join(f"when {literal(name)} then {literal(role)}" for name, role in given.items())
    head = [
        f"create schema if not exists {SCHEMA} authorization {OWNER};",
        f"revoke all on schema {SCHEMA} from public;",
        ADOPT,
        f"set role {OWNER};",
        f"create table if not exists {SCHEMA}.turn ();",
        f"revoke all on {SCHEMA}.turn from public;",
    ]
    told = {"HEAD": HEAD, "CASES": cases, "LONGEST": str(longest), "VERSION": str(VERSION)}
    told["LENT"] = ", ".join(literal(role) for role in lent)
    body = FUNCTIONS + POWERS
    for name, value in told.items():
        body = body.replace(f"@{name}@", value)
    return "\n".join([*head, body, "reset role;", CLEANER, REAPER])


def _rights(act: str) -> str:
    them = f"all routines in schema {SCHEMA}"
    return "\n".join(
        [
            f"revoke all on {them} from public;",
            f"grant usage on schema {SCHEMA} to {quoted(act)}, {ENDERS};",
            f"grant execute on {them} to {quoted(act)};",
            f"revoke all on function {SCHEMA}.end_session(int) from {quoted(act)};",
            f"grant execute on function {SCHEMA}.end_session(int) to {ENDERS};",
            f"grant execute on function pg_catalog.pg_reload_conf() to {RELOADERS};",
        ]
    )
