-- Fills a database with traps: whoever calls one is written into the server's log, also from within a transaction that may not write.
-- $WIDE are the types of which every pair is tried, $NAMES the functions that pgbk calls.
SET client_min_messages = error;
SET search_path = '';
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE evil.made (kind pg_catalog.text, name pg_catalog.text);

CREATE FUNCTION evil.sprung(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'TRAP % in %', what, pg_catalog.current_database();
    RETURN true;
END $$;

-- One statement; one that the server refuses makes no trap, and is not counted.
CREATE PROCEDURE evil.make(kind pg_catalog.text, name pg_catalog.text, statement pg_catalog.text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    INSERT INTO evil.made VALUES (kind, name);
EXCEPTION WHEN OTHERS THEN
    NULL;
END $$;

-- Every function of pg_catalog, with the very arguments, in the schema that stands before it.
DO $$
DECLARE
    f record;
    body pg_catalog.text;
BEGIN
    FOR f IN SELECT p.oid, p.proname, p.proretset, p.prorettype, pg_catalog.pg_get_function_arguments(p.oid) AS arguments,
            pg_catalog.pg_get_function_result(p.oid) AS result
            FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.prokind = 'f' LOOP
        body := pg_catalog.format('BEGIN PERFORM evil.sprung(%L); RETURN%s; END', 'function ' || f.proname,
            CASE WHEN f.proretset OR f.prorettype = 'pg_catalog.record'::pg_catalog.regtype OR f.result = 'void' THEN '' ELSE ' NULL' END);
        CALL evil.make('functions before pg_catalog', f.proname,
            pg_catalog.format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.arguments, f.result, body));
    END LOOP;
END $$;

-- Every aggregate of it.
CREATE FUNCTION evil.step(pg_catalog.int8) RETURNS pg_catalog.int8 LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.sprung('aggregate *'); RETURN 0; END $$;
CALL evil.make('aggregates', 'count', 'CREATE AGGREGATE evil.count(*) (SFUNC = evil.step, STYPE = pg_catalog.int8)');
DO $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT p.oid, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid) AS arguments, pg_catalog.format_type(p.prorettype, NULL) AS result
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid
            WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND g.aggkind = 'n' AND p.pronargs BETWEEN 1 AND 2 LOOP
        CALL evil.make('steps', a.proname,
            pg_catalog.format('CREATE FUNCTION evil.step(%1$s, %2$s) RETURNS %1$s LANGUAGE plpgsql AS %3$L', a.result, a.arguments,
                pg_catalog.format('BEGIN PERFORM evil.sprung(%L); RETURN NULL; END', 'aggregate ' || a.proname)));
        CALL evil.make('aggregates', a.proname,
            pg_catalog.format('CREATE AGGREGATE evil.%I(%s) (SFUNC = evil.step, STYPE = %s)', a.proname, a.arguments, a.result));
    END LOOP;
END $$;
DELETE FROM evil.made WHERE kind = 'steps';

-- What each of two operands calls, one function for each pair of types.
CREATE PROCEDURE evil.operator(kind pg_catalog.text, schema pg_catalog.text, name pg_catalog.text, l pg_catalog.regtype, r pg_catalog.regtype, result pg_catalog.regtype) LANGUAGE plpgsql AS $$
DECLARE
    called pg_catalog.text := pg_catalog.format('evil.%I', 'op_' || pg_catalog.md5(pg_catalog.concat(name, l, r, result)));
    operands pg_catalog.text := CASE WHEN l = 0 THEN r::pg_catalog.text ELSE pg_catalog.concat(l, ', ', r) END;
BEGIN
    CALL evil.make('called', name, pg_catalog.format('CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql AS %L', called, operands, result,
        pg_catalog.format('BEGIN PERFORM evil.sprung(%L); RETURN NULL; END', pg_catalog.concat('operator ', l, ' ', name, ' ', r))));
    CALL evil.make(kind, name, pg_catalog.format('CREATE OPERATOR %I.%s (%s RIGHTARG = %s, FUNCTION = %s)', schema, name,
        CASE WHEN l = 0 THEN '' ELSE pg_catalog.format('LEFTARG = %s,', l) END, r, called));
END $$;

-- Every operator of pg_catalog, before it.
DO $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT oprname, oprleft, oprright, oprresult FROM pg_catalog.pg_operator
            WHERE oprnamespace = 'pg_catalog'::pg_catalog.regnamespace AND oprright <> 0 LOOP
        CALL evil.operator('operators before pg_catalog', 'evil', o.oprname, o.oprleft, o.oprright, o.oprresult);
    END LOOP;
END $$;

-- Behind it, where everybody may have been let in: every operator over every pair of types for which pg_catalog has none, which would fit better.
DO $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT names.name, l.t AS l, r.t AS r
            FROM (SELECT DISTINCT oprname AS name FROM pg_catalog.pg_operator WHERE oprleft <> 0
                  AND oprleft = ANY ('$WIDE'::pg_catalog.regtype[]) AND oprright = ANY ('$WIDE'::pg_catalog.regtype[])) names,
                pg_catalog.unnest('$WIDE'::pg_catalog.regtype[]) l(t), pg_catalog.unnest('$WIDE'::pg_catalog.regtype[]) r(t)
            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_operator p WHERE p.oprname = names.name AND p.oprleft = l.t AND p.oprright = r.t
                  AND p.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace) LOOP
        CALL evil.operator('operators behind pg_catalog', 'public', o.name, o.l, o.r, 'pg_catalog.bool');
    END LOOP;
END $$;

-- The functions that pgbk calls, with every argument for which pg_catalog has none.
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN WITH wide AS (SELECT t FROM pg_catalog.unnest('$WIDE'::pg_catalog.regtype[]) w(t)),
            called AS (SELECT DISTINCT proname AS name, pronargs AS n FROM pg_catalog.pg_proc
                WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND proname = ANY ('$NAMES'::pg_catalog.name[]) AND prokind = 'f' AND provariadic = 0)
            SELECT name, pg_catalog.concat(l.t) AS arguments FROM called, wide l WHERE n = 1
            UNION ALL SELECT name, pg_catalog.concat(l.t, ', ', r.t) FROM called, wide l, wide r WHERE n = 2
            UNION ALL SELECT name, pg_catalog.concat(l.t, ', ', r.t, ', ', x.t) FROM called, wide l, wide r, wide x WHERE n = 3 AND l.t = r.t LOOP
        CONTINUE WHEN pg_catalog.to_regprocedure(pg_catalog.format('pg_catalog.%I(%s)', f.name, f.arguments)) IS NOT NULL;
        CALL evil.make('functions behind pg_catalog', f.name,
            pg_catalog.format('CREATE FUNCTION public.%I(%s) RETURNS pg_catalog.text LANGUAGE plpgsql AS %L', f.name, f.arguments,
                pg_catalog.format('BEGIN PERFORM evil.sprung(%L); RETURN NULL; END', pg_catalog.concat('function ', f.name, ' of ', f.arguments))));
    END LOOP;
END $$;

-- Its tables and views.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND relkind IN ('r', 'v') LOOP
        CALL evil.make('relations', c.relname, pg_catalog.format('CREATE VIEW evil.%I AS SELECT * FROM pg_catalog.%1$I WHERE evil.sprung(%L)',
            c.relname, 'relation ' || c.relname));
    END LOOP;
END $$;

-- Its types.
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT typname FROM pg_catalog.pg_type WHERE typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND typtype = 'b' AND typname !~ '^_' LOOP
        CALL evil.make('types', t.typname, pg_catalog.format('CREATE DOMAIN evil.%I AS pg_catalog.%1$I CHECK (evil.sprung(%L))',
            t.typname, 'type ' || t.typname));
    END LOOP;
END $$;
