"""What is read of one database for a picture.

A row of a catalogue is compared as a whole, so that a column which a later version adds is compared too; left out is
what changes by itself. Rows that came with the server (`oid < 16384`) are one thing for each catalogue.
"""

from __future__ import annotations

from state.granting.picture import PictureKind

LASTING = "n.nspname !~ '^pg_(toast|temp)' and n.nspname <> 'information_schema'"
ALL_BUT_TEMPORARY = "n.nspname !~ '^pg_(toast_)?temp'"
BODY = "(to_jsonb(p) - 'oid' - 'proacl')::text"
FUNCTIONS = (
    f"select p.oid::regprocedure::text, concat_ws(',', {BODY}, (select to_jsonb(g)::text from pg_aggregate as g "
    "where g.aggfnoid = p.oid)) from pg_proc as p join pg_language as l on l.oid = p.prolang "
    "join pg_namespace as n on n.oid = p.pronamespace where p.oid >= 16384 and n.nspname <> 'recovery_access' "
    "and n.nspname !~ '^pg_temp' and "
)
PLAIN = "(l.lanpltrusted or l.lanname = 'sql' or p.prokind = 'a')"
RELATIONS = "from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where "
OWN = f"{LASTING} and c.oid >= 16384 and c.relkind in "
KEPT = "(to_jsonb(o) - 'oid')::text"
SYSTEM = {
    **dict.fromkeys(
        ("pg_operator", "pg_opclass", "pg_opfamily", "pg_amop", "pg_amproc", "pg_am", "pg_type", "pg_cast",
         "pg_conversion", "pg_collation", "pg_language", "pg_rewrite", "pg_constraint", "pg_attrdef", "pg_ts_config",
         "pg_ts_dict", "pg_ts_parser", "pg_ts_template"),
        ("t.oid", "t"),
    ),
    "pg_aggregate": ("t.aggfnoid::oid", "t"),
    "pg_range": ("t.rngtypid", "t"),
    "pg_ts_config_map": ("t.mapcfg", "t"),
    "pg_attribute": ("t.attrelid", "(t.attrelid, t.attnum, t.attname, t.atttypid, t.attnotnull)"),
    "pg_class": ("t.oid", "(t.oid, t.relname, t.relnamespace, t.relowner, t.relkind, t.relrowsecurity, "
                          "t.relforcerowsecurity, t.reloptions)"),
    "pg_index": ("t.indexrelid", "(t.indexrelid, t.indrelid, t.indkey, t.indclass, t.indisvalid, "
                                 "t.indexprs::text, t.indpred::text)"),
}  # fmt: skip
"""Of the catalogues: the column that says what is the server's own, and what is compared of a row (`t`: all)."""


def _described(catalogue: str) -> str:
    """What people made in a catalogue, each row by the server's own words for it."""
    return (
        f"select pg_describe_object('{catalogue}'::regclass, o.oid, 0), {KEPT} from {catalogue} as o "
        "where o.oid >= 16384"
    )


def _unchanged(catalogue: str, number: str, row: str) -> str:
    """One digest for what came with the server."""
    digest = f"sha256(convert_to(string_agg(({row})::text, ',' order by ({row})::text), getdatabaseencoding()))"
    return f"select '{catalogue}', encode({digest}, 'hex') from {catalogue} as t where {number} < 16384"


DATABASE: dict[PictureKind, str] = {
    PictureKind.DEFINER: FUNCTIONS + "p.prosecdef",
    PictureKind.NATIVE_FUNCTION: f"{FUNCTIONS}not p.prosecdef and not {PLAIN}",
    PictureKind.FUNCTION: f"{FUNCTIONS}not p.prosecdef and {PLAIN}",
    PictureKind.SYSTEM_FUNCTION: _unchanged(
        "pg_proc",
        "t.oid",
        "(t.oid, t.proname, t.pronamespace, t.proowner, t.prolang, t.prosupport::oid, t.prokind, t.prosecdef, "
        "t.proleakproof, t.proisstrict, t.proretset, t.provolatile, t.prorettype, t.proargtypes, "
        "t.proargdefaults::text, t.prosrc, t.probin, t.prosqlbody::text, t.proconfig)",
    ),
    PictureKind.SYSTEM_CATALOGUE: " union all ".join(_unchanged(name, *each) for name, each in SYSTEM.items()),
    PictureKind.OWN_FUNCTION: (
        f"select p.oid::regprocedure::text, {BODY} from pg_proc as p "
        "where p.pronamespace = 'recovery_access'::regnamespace"
    ),
    PictureKind.FUNCTION_RIGHT: "select oid::regprocedure::text, proacl::text from pg_proc where proacl is not null",
    PictureKind.EVENT_TRIGGER: (
        "select evtname, concat_ws(',', evtevent, evtowner, evtfoid, evtenabled, evttags) from pg_event_trigger"
    ),
    PictureKind.LANGUAGE: f"select lanname, {KEPT} from pg_language as o where oid >= 16384",
    PictureKind.EXTENSION: f"select extname, {KEPT} from pg_extension as o",
    PictureKind.WRAPPER: "select fdwname, xmin::text from pg_foreign_data_wrapper",
    PictureKind.FOREIGN_SERVER: "select srvname, xmin::text from pg_foreign_server",
    PictureKind.PUBLICATION: (
        "select p.pubname, concat_ws(';', p.xmin, (select "
        "string_agg(r.prrelid || ':' || r.xmin, ',' order by r.prrelid) from pg_publication_rel as r "
        "where r.prpubid = p.oid), (select string_agg(r.pnnspid::text, ',' order by r.pnnspid) "
        "from pg_publication_namespace as r where r.pnpubid = p.oid)) from pg_publication as p"
    ),
    PictureKind.DEFAULTS: (
        "select format('%s in %s, %s', d.defaclrole::regrole, coalesce(n.nspname, 'all schemas'), d.defaclobjtype), "
        "d.defaclacl::text from pg_default_acl as d left join pg_namespace as n on n.oid = d.defaclnamespace"
    ),
    PictureKind.SCHEMA: (
        f"select n.nspname, concat_ws(',', n.nspowner, n.nspacl) from pg_namespace as n where {ALL_BUT_TEMPORARY}"
    ),
    PictureKind.OWNERSHIP: (
        f"select c.oid::regclass::text, concat_ws(',', c.relowner, c.relkind) {RELATIONS}{OWN}"
        "('r', 'p', 'v', 'm', 'f', 'S')"
    ),
    PictureKind.COLUMNS: (
        "select c.oid::regclass::text, string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, "
        "a.attnotnull, a.attidentity, a.attgenerated, a.attcollation, a.attislocal, a.attfdwoptions, d.adbin::text), "
        "';' order by a.attnum) "
        "from pg_class as c join pg_namespace as n on n.oid = c.relnamespace "
        "join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        f"left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum where {OWN}"
        "('r', 'p', 'v', 'm', 'f') group by c.oid"
    ),
    PictureKind.RELATION: (
        "select c.oid::regclass::text, concat_ws(';', c.relpersistence, c.reloptions, c.relreplident, c.relam, "
        "c.relispartition, c.relpartbound::text, (select string_agg(i.inhparent::text, ',' order by i.inhseqno) "
        "from pg_inherits as i where i.inhrelid = c.oid), (select to_jsonb(s)::text from pg_sequence as s "
        "where s.seqrelid = c.oid), (select to_jsonb(f)::text from pg_foreign_table as f where f.ftrelid = c.oid)) "
        f"{RELATIONS}{OWN}('r', 'p', 'v', 'm', 'f', 'S')"
    ),
    PictureKind.INDEX: (
        "select format('%s on %s', c.oid::regclass, i.indrelid::regclass), concat_ws(',', "
        "pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready, i.indislive, i.indisreplident) from pg_index as i "
        f"join pg_class as c on c.oid = i.indexrelid join pg_namespace as n on n.oid = c.relnamespace where {OWN}"
        "('i', 'I')"
    ),
    PictureKind.CONSTRAINT: (
        "select format('%s on %s', o.conname, case when o.conrelid <> 0 then o.conrelid::regclass::text "
        f"else o.contypid::regtype::text end), {KEPT} from pg_constraint as o "
        f"join pg_namespace as n on n.oid = o.connamespace where o.oid >= 16384 and {ALL_BUT_TEMPORARY}"
    ),
    PictureKind.TYPE: (
        f"select o.oid::regtype::text, concat_ws(';', {KEPT}, (select string_agg(e.enumlabel, ',' "
        "order by e.enumsortorder) from pg_enum as e where e.enumtypid = o.oid), (select to_jsonb(r)::text "
        "from pg_range as r where r.rngtypid = o.oid), (select string_agg(concat_ws(',', a.attname, a.atttypid), ',' "
        "order by a.attnum) from pg_attribute as a where a.attrelid = o.typrelid and not a.attisdropped)) "
        "from pg_type as o join pg_namespace as n on n.oid = o.typnamespace left join pg_class as c "
        f"on c.oid = o.typrelid where o.oid >= 16384 and {LASTING} and o.typcategory <> 'A' "
        "and (c.oid is null or c.relkind = 'c')"
    ),
    PictureKind.OPERATOR: " union all ".join(
        _described(each) for each in ("pg_operator", "pg_opclass", "pg_opfamily", "pg_amop", "pg_amproc")
    ),
    PictureKind.ACCESS_METHOD: _described("pg_am"),
    PictureKind.TEXT_SEARCH: " union all ".join(
        [
            *(_described(each) for each in ("pg_ts_config", "pg_ts_dict", "pg_ts_parser", "pg_ts_template")),
            "select format('mappings of %s', m.mapcfg::regconfig), string_agg(to_jsonb(m)::text, ',' "
            "order by m.maptokentype, m.mapseqno) from pg_ts_config_map as m where m.mapcfg >= 16384 group by m.mapcfg",
        ]
    ),
    PictureKind.OTHER_OBJECT: " union all ".join(
        _described(each) for each in ("pg_collation", "pg_conversion", "pg_transform", "pg_statistic_ext")
    ),
    PictureKind.TABLE_RIGHT: (
        f"select c.oid::regclass::text, c.relacl::text {RELATIONS}{ALL_BUT_TEMPORARY} and c.relacl is not null"
    ),
    PictureKind.COLUMN_RIGHT: (
        "select format('%s.%s', a.attrelid::regclass, a.attname), a.attacl::text from pg_attribute as a "
        "where a.attacl is not null"
    ),
    PictureKind.ROW_SECURITY: (
        "select oid::regclass::text, concat_ws(',', relrowsecurity, relforcerowsecurity) from pg_class "
        "where relrowsecurity or relforcerowsecurity"
    ),
    PictureKind.POLICY: "select format('%s on %s', polname, polrelid::regclass), xmin::text from pg_policy",
    PictureKind.TRIGGER: (
        f"select format('%s on %s', o.tgname, o.tgrelid::regclass), {KEPT} from pg_trigger as o "
        "where not o.tgisinternal"
    ),
    PictureKind.RULE: (
        "select format('%s on %s', r.rulename, r.ev_class::regclass), concat_ws(',', r.ev_enabled, r.xmin) "
        "from pg_rewrite as r where r.rulename <> '_RETURN' and r.oid >= 16384"
    ),
    PictureKind.VIEW: (
        "select r.ev_class::regclass::text, r.xmin::text from pg_rewrite as r where r.rulename = '_RETURN' "
        "and r.oid >= 16384"
    ),
    PictureKind.CAST: (
        f"select format('%s as %s', castsource::regtype, casttarget::regtype), {KEPT} from pg_cast as o "
        "where oid >= 16384"
    ),
    PictureKind.LARGE_OBJECT: "select oid::text, concat_ws(',', lomowner, lomacl) from pg_largeobject_metadata",
    PictureKind.LABEL: "select format('%s %s', objtype, objname), label from pg_seclabels where objtype <> 'role'",
}
"""Thing and value. Two rows with one name are told apart by their number where they come up."""
