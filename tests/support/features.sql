-- A server may have several such databases, but one such role.
DO $$BEGIN IF to_regrole('"Load Owner"') IS NULL THEN CREATE ROLE "Load Owner"; END IF; END$$;
CREATE SCHEMA "Sch ""ema";
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'back\slash');
CREATE DOMAIN "positive" AS integer DEFAULT 7 CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, "b b" text);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE "My Table;
\! touch x" (
    id integer GENERATED ALWAYS AS IDENTITY (START WITH 5 INCREMENT BY 3) PRIMARY KEY,
    "Col""umn;" text DEFAULT E'a\\b''c',
    twice integer GENERATED ALWAYS AS (7 * 2) STORED,
    m mood, p positive, pr pair, s span, arr text[], raw bytea, j jsonb, b bit(5), t timestamptz
);
INSERT INTO "My Table;
\! touch x" ("Col""umn;", m, p, pr, s, arr, raw, j, b, t) VALUES
    (NULL, 'sad', 1, '(1,"x y")', '[1,2)', '{a,NULL,"N\\"}', '\x00ff5c2e0a', '{"a": "\\."}', B'10101', '2026-01-01'),
    ('', 'it''s ok', 2, NULL, 'empty', '{}', '\x', NULL, NULL, 'infinity'),
    ('\N', 'back\slash', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (E'\\.\n\\.\n\\! touch x\r\n\t', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('žluťoučký 🐘 日本', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('COPY x FROM stdin;', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE "Sch ""ema".empty ();
CREATE TABLE one (c text);
INSERT INTO one VALUES (''), (NULL), ('\.'), (E'\n');
CREATE TABLE parted (k integer, v text) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT i, 'v' || i FROM generate_series(1, 20) i;
CREATE FUNCTION body() RETURNS text LANGUAGE plpgsql AS $_$
BEGIN
    -- COPY x FROM stdin;
    RETURN 'a;' || $q$b;$q$;
END
$_$;
CREATE FUNCTION lines() RETURNS text LANGUAGE sql AS '
SELECT ''
COPY one (c) FROM stdin;
x
\.
\! touch x
''::text;
';
-- since 14
CREATE FUNCTION atomic(n integer) RETURNS integer LANGUAGE sql
BEGIN ATOMIC
    SELECT CASE WHEN n > 0 THEN CASE n WHEN 1 THEN 2 ELSE 3 END ELSE (SELECT 4) END;
    SELECT length('; end') + 1;
END;
CREATE PROCEDURE begin(x integer) LANGUAGE sql BEGIN ATOMIC INSERT INTO one VALUES ('p'); SELECT 1; END;
-- since 12
CREATE TABLE log (what text, CHECK (what <> E'\\' OR what = ';'));
CREATE VIEW seen AS SELECT c, length(c) AS "len;" FROM one WHERE c IS DISTINCT FROM 'it''s \.';
CREATE RULE several AS ON INSERT TO seen DO INSTEAD (
    INSERT INTO one (c) VALUES (NEW.c);
    INSERT INTO log VALUES (';');
);
CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM one;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES ('n'); RETURN NEW; END$$;
CREATE TRIGGER watch AFTER INSERT ON one FOR EACH ROW WHEN (NEW.c = ';') EXECUTE FUNCTION noted();
ALTER TABLE one ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p;" ON one FOR SELECT TO "Load Owner", PUBLIC USING (c <> '\');
CREATE SEQUENCE odd INCREMENT BY -3 MINVALUE -100 MAXVALUE 50 START 20 CYCLE;
SELECT nextval('odd'), nextval('odd');
CREATE INDEX partial ON one (lower(c)) WHERE c LIKE 'a;%';
COMMENT ON TABLE one IS E'it''s a "comment" \\! touch x\n\\.\n-- PostgreSQL database dump complete\n';
COMMENT ON FUNCTION body() IS '$$;/*';
SELECT lo_from_bytea(4242, '\x00010203ff');
SELECT lo_from_bytea(4243, decode(repeat('5c2e0a', 20000), 'hex'));
COMMENT ON LARGE OBJECT 4242 IS 'large;';
ALTER TABLE one OWNER TO "Load Owner";
GRANT SELECT, INSERT ON log TO "Load Owner" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE "Load Owner" GRANT SELECT ON TABLES TO PUBLIC;
DO $$BEGIN
    EXECUTE 'CREATE TABLE wide (' || (SELECT string_agg('"c;' || i || repeat('""', 20) || '" integer', ', ') FROM generate_series(1, 1600) i) || ')';
    INSERT INTO wide DEFAULT VALUES;
END$$;
CREATE TABLE many (id bigint PRIMARY KEY, v text COLLATE "C", f double precision, n numeric);
INSERT INTO many SELECT i, repeat(md5(i::text), 1 + i % 9), i / 7.0, i ^ 11 FROM generate_series(1, 5000) i;
INSERT INTO many VALUES (-1, E'tab\there\\N', 'NaN', 'NaN'), (-2, NULL, '-Infinity', 1e-100);
CREATE TABLE child (of bigint REFERENCES many DEFERRABLE INITIALLY DEFERRED, EXCLUDE USING btree (of WITH =));
INSERT INTO child VALUES (1), (2), (-1);
CREATE TABLE selfish (id integer PRIMARY KEY, parent integer REFERENCES selfish);
INSERT INTO selfish VALUES (1, 2), (2, 1);
CREATE STATISTICS together (dependencies) ON id, v FROM many;
CREATE SEQUENCE owned_elsewhere AS smallint START 32767 MAXVALUE 32767;
SELECT nextval('owned_elsewhere');
CREATE AGGREGATE total (integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE FUNCTION tells(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR === (leftarg = integer, rightarg = integer, function = tells);
CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER loud ON ddl_command_start WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION watched();
CREATE PUBLICATION everything FOR TABLE many;
-- What belongs to no schema, and what else a schema can hold.
CREATE CAST (macaddr AS jsonb) WITH INOUT;
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
CREATE ACCESS METHOD tree TYPE INDEX HANDLER bthandler;
CREATE FUNCTION handles() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE LANGUAGE other HANDLER handles;
CREATE FOREIGN DATA WRAPPER bare OPTIONS (note 'it''s');
CREATE SERVER "far; away" FOREIGN DATA WRAPPER bare;
CREATE USER MAPPING FOR "Load Owner" SERVER "far; away" OPTIONS (password 'x');
CREATE FOREIGN TABLE distant (v text) SERVER "far; away";
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple, stopwords = english);
CREATE TEXT SEARCH CONFIGURATION searched (COPY = simple);
CREATE CONVERSION converted FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE COLLATION plain_c FROM "C";
CREATE OPERATOR CLASS backwards FOR TYPE integer USING btree AS OPERATOR 1 > , OPERATOR 3 = , OPERATOR 5 < , FUNCTION 1 btint4cmp(integer, integer);
