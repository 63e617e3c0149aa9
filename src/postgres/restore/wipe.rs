//! Counts and drops what users have made in a database.

use crate::postgres::session::quote::literal;
use std::collections::BTreeSet;

/// Query for objects that are in no schema, as `kind` and `name` of a DROP statement, in the best order to drop them. Without the
/// system's objects, and those that belong to an extension or another object. Event triggers come first, because they would see the
/// others go. A subscription has the number 0 here, because not every role may read its own.
const LOOSE: &str = "
SELECT made.kind, made.name FROM (
    SELECT 1 AS turn, 'EVENT TRIGGER' AS kind, pg_catalog.quote_ident(evtname) AS name, 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AS class, oid AS object
        FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 2, 'SUBSCRIPTION', pg_catalog.quote_ident(subname), 'pg_catalog.pg_subscription'::pg_catalog.regclass, 0
        FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = pg_catalog.current_database()
    UNION ALL SELECT 3, 'PUBLICATION', pg_catalog.quote_ident(pubname), 'pg_catalog.pg_publication'::pg_catalog.regclass, oid
        FROM pg_catalog.pg_publication
    UNION ALL SELECT 4, 'TRANSFORM', pg_catalog.format('FOR %s LANGUAGE %I', pg_catalog.format_type(trftype, NULL), lanname),
            'pg_catalog.pg_transform'::pg_catalog.regclass, t.oid
        FROM pg_catalog.pg_transform t JOIN pg_catalog.pg_language l ON l.oid = t.trflang
    UNION ALL SELECT 5, 'CAST', pg_catalog.format('(%s AS %s)', pg_catalog.format_type(castsource, NULL), pg_catalog.format_type(casttarget, NULL)),
            'pg_catalog.pg_cast'::pg_catalog.regclass, oid
        FROM pg_catalog.pg_cast
    UNION ALL SELECT 6, 'LANGUAGE', pg_catalog.quote_ident(lanname), 'pg_catalog.pg_language'::pg_catalog.regclass, oid
        FROM pg_catalog.pg_language
    UNION ALL SELECT 7, 'ACCESS METHOD', pg_catalog.quote_ident(amname), 'pg_catalog.pg_am'::pg_catalog.regclass, oid
        FROM pg_catalog.pg_am
    UNION ALL SELECT 8, 'FOREIGN DATA WRAPPER', pg_catalog.quote_ident(fdwname), 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid
        FROM pg_catalog.pg_foreign_data_wrapper
) made
WHERE (made.object = 0 OR made.object >= 16384)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = made.class AND d.objid = made.object AND d.deptype IN ('e', 'i'))
ORDER BY made.turn";

/// Returns the query for the number of objects. It counts neither the system's nor an extension's, nor schemas that an extension is
/// in: a provider puts such into every database.
pub fn count() -> String {
    format!(
        "{OWN}
SELECT (SELECT pg_catalog.count(*) FROM own JOIN pg_catalog.pg_namespace n ON n.oid = own.nsp
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = own.classid AND d.objid = own.objid AND d.deptype = 'e')
          AND NOT (own.objid = own.nsp AND EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extnamespace = own.nsp)))
     + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata)
     + (SELECT pg_catalog.count(*) FROM ({LOOSE}) loose)"
    )
}

/// Query for all schemas but `public`, and the objects in them. A composite type is listed by its type, because that is what
/// belongs to an extension, and not its class.
const OWN: &str = "
WITH own(classid, objid, nsp) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid, relnamespace FROM pg_catalog.pg_class WHERE relkind NOT IN ('i', 'I', 't', 'c')
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace FROM pg_catalog.pg_type WHERE typtype IN ('d', 'e', 'r')
    UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typnamespace FROM pg_catalog.pg_type t
        JOIN pg_catalog.pg_class c ON c.oid = t.typrelid WHERE t.typtype = 'c' AND c.relkind = 'c'
    UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, connamespace FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfnamespace FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgnamespace FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictnamespace FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, oid, prsnamespace FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_catalog.pg_ts_template'::pg_catalog.regclass, oid, tmplnamespace FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, oid FROM pg_catalog.pg_namespace WHERE nspname <> 'public'
)";

/// Returns statements that empty the database, for the restore's own transaction.
///
/// A session that uses the target holds locks on it: waiting for it is an error after a minute. A missing `public` is made as
/// `initdb` makes it for this major version.
///
/// Extensions that the role may not drop stay, with the schemas that they are in, and so do those in `kept`. From such a schema,
/// and from another role's, everything is dropped that belongs to no extension.
pub fn wipe(server_major: u32, kept: &BTreeSet<String>) -> String {
    let kept: Vec<String> = kept.iter().map(|name| literal(name)).chain(["'plpgsql'".to_owned()]).collect();
    let kept = kept.join(", ");
    let (owner, rights) = match server_major {
        15.. => ("pg_database_owner", "USAGE"),
        _ => ("CURRENT_USER", "USAGE, CREATE"),
    };
    format!(
        "SET LOCAL lock_timeout = '60s';
DO $pgbk$
DECLARE
    r record;
    grantee text;
    dropped text;
BEGIN
    FOR r IN SELECT subname, subslotname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
            WHERE d.datname = pg_catalog.current_database() AND subslotname IS NOT NULL LOOP
        RAISE EXCEPTION 'subscription \"%\" has the replication slot \"%\" at its publisher', r.subname, r.subslotname
            USING HINT = 'drop the subscription yourself: that takes both servers, and cannot be undone with a restore that fails';
    END LOOP;
    FOR r IN {LOOSE} LOOP
        EXECUTE pg_catalog.format('DROP %s IF EXISTS %s CASCADE', r.kind, r.name);
    END LOOP;
    FOR r IN SELECT extname AS name FROM pg_catalog.pg_extension
            WHERE extname NOT IN ({kept}) AND pg_catalog.pg_has_role(extowner, 'USAGE') LOOP
        EXECUTE pg_catalog.format('DROP EXTENSION IF EXISTS %I CASCADE', r.name);
    END LOOP;
    FOR r IN SELECT n.oid, n.nspname AS name, NOT pg_catalog.pg_has_role(n.nspowner, 'USAGE')
                OR EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extnamespace = n.oid)
                OR EXISTS ({OWN} SELECT FROM own JOIN pg_catalog.pg_depend d ON d.classid = own.classid AND d.objid = own.objid
                           WHERE own.nsp = n.oid AND d.deptype = 'e') AS stays
            FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LOOP
        IF NOT r.stays THEN
            EXECUTE pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', r.name);
            CONTINUE;
        END IF;
        -- All at once: nobody can name what has gone with another object.
        FOREACH dropped IN ARRAY ARRAY({OWN} SELECT pg_catalog.format('DROP %s IF EXISTS %s CASCADE', o.type, o.identity)
                FROM own CROSS JOIN LATERAL pg_catalog.pg_identify_object(own.classid, own.objid, 0) o
                WHERE own.nsp = r.oid AND own.objid <> own.nsp
                  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                  WHERE d.classid = own.classid AND d.objid = own.objid AND d.objsubid = 0
                                    AND d.deptype IN ('e', 'i'))) LOOP
            EXECUTE dropped;
        END LOOP;
    END LOOP;
    FOR r IN SELECT a.rolname AS role, d.defaclacl AS acl,
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES'
                WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS kind
            FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles a ON a.oid = d.defaclrole WHERE d.defaclnamespace = 0 LOOP
        FOR grantee IN SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END
                FROM pg_catalog.aclexplode(r.acl) x LOOP
            EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM %s', r.role, r.kind, grantee);
        END LOOP;
        -- Once they are what a server begins with, it forgets them.
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I', r.role, r.kind, r.role);
        IF r.kind IN ('FUNCTIONS', 'TYPES') THEN
            EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO PUBLIC', r.role, r.kind);
        END IF;
    END LOOP;
    PERFORM pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata;
    IF pg_catalog.to_regnamespace('public') IS NULL THEN
        CREATE SCHEMA public AUTHORIZATION {owner};
        COMMENT ON SCHEMA public IS 'standard public schema';
        GRANT {rights} ON SCHEMA public TO PUBLIC;
    END IF;
END
$pgbk$"
    )
}
